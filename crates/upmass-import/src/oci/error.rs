//! Why an image could not be imported, by what the user can do.

/// Why an OCI image could not be imported. `image` is the image, for people.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// Bytes that are not what their name says: another digest or length.
    #[error(
        "{image}: {place} is damaged: expected {expected}, found {found}; copy the image again"
    )]
    Damaged {
        /// The image.
        image: String,
        /// Which part of it.
        place: String,
        /// As the image says.
        expected: String,
        /// As it is.
        found: String,
    },
    /// A part that is not there.
    #[error("{image}: {place} is not there: expected it at {path}; copy the image again")]
    Missing {
        /// The image.
        image: String,
        /// Which part of it.
        place: String,
        /// Where it should be.
        path: String,
    },
    /// Something that no valid image says, or that no service can be made from.
    #[error("{image}: {place}: expected {expected}, found {found}")]
    Invalid {
        /// The image.
        image: String,
        /// Which part of it.
        place: String,
        /// What would be right.
        expected: String,
        /// What there is.
        found: String,
    },
    /// More than is imported.
    #[error("{image}: {place} has {found}: expected at most {limit}{hint}")]
    TooMuch {
        /// The image.
        image: String,
        /// Which part of it.
        place: String,
        /// What there is, with its unit.
        found: String,
        /// What is allowed, with its unit.
        limit: String,
        /// What to do, where something can be done.
        hint: &'static str,
    },
    /// Several images, or none, are what was asked for.
    #[error("{image}: expected one image{wanted}, found {found}: {hint}")]
    Choice {
        /// Where they are.
        image: String,
        /// What was asked for.
        wanted: String,
        /// What there is.
        found: String,
        /// What to do.
        hint: &'static str,
    },
}
