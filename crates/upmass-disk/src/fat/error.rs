//! What can go wrong with file systems of boot slots.

/// Why an image cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The partition cannot be FAT32.
    #[error("a boot slot needs at least {needed} bytes for FAT32, and this one has {found}")]
    PartitionTooShort {
        /// The smallest length.
        needed: u64,
        /// The length that was given.
        found: u64,
    },
    /// The partition is longer than FAT32 can be.
    #[error("a boot slot has at most {limit} bytes with FAT32, and this one has {found}")]
    PartitionTooLong {
        /// The largest length.
        limit: u64,
        /// The length that was given.
        found: u64,
    },
    /// The files do not fit.
    #[error("the files need {needed} bytes of a boot slot, and this one has {available}")]
    Full {
        /// What they take.
        needed: u64,
        /// What there is for files.
        available: u64,
    },
    /// FAT has no such name.
    #[error(
        "{path:?} is no path for FAT: each name has 1 to 255 characters, none of \" * / : < > ? \\ |, \
         and ends neither with a space nor with a full stop"
    )]
    Name {
        /// The path.
        path: String,
    },
    /// Two names are the same but for case.
    #[error("{first:?} and {second:?} are the same name for FAT")]
    SameName {
        /// One path.
        first: String,
        /// The other.
        second: String,
    },
    /// A path goes through a file.
    #[error("{path:?} is a file and a directory")]
    FileAndDirectory {
        /// The path.
        path: String,
    },
    /// A file of 4 GiB or more.
    #[error("{path:?} has {len} bytes; FAT takes at most 4294967295")]
    FileTooLong {
        /// The path.
        path: String,
        /// Its length.
        len: u64,
    },
    /// More names than a directory may have.
    #[error("the directory {path:?} has more than 65536 entries, with those of long names")]
    DirectoryTooLong {
        /// The path.
        path: String,
    },
    /// The label is no label.
    #[error("the label {0:?} is not 1 to 11 capital letters, digits, spaces, - or _")]
    Label(String),
}

/// Why a file system cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FatError {
    /// The medium failed.
    #[error("read {len} bytes at {offset} of the file system: {source}")]
    Read {
        /// Where.
        offset: u64,
        /// How much.
        len: usize,
        /// Why.
        source: std::io::Error,
    },
    /// It is something else.
    #[error("there is no FAT32 file system: {0}")]
    NotFat32(&'static str),
    /// It contradicts itself.
    #[error("the file system is damaged at byte {offset}: {what}")]
    Damaged {
        /// Where.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// There is no such file.
    #[error("the file system has no {path:?}")]
    Missing {
        /// The path.
        path: String,
    },
    /// The file is longer than the caller takes.
    #[error("{path:?} has {found} bytes, expected at most {limit}")]
    TooLong {
        /// The path.
        path: String,
        /// Its length.
        found: u64,
        /// The limit.
        limit: u64,
    },
}
