//! What can be wrong with an archive.

use std::io;

/// Why an archive, or an entry of it, cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveFault {
    /// It is no archive at all.
    #[error("it is not a tar archive: expected a tar header, or gzip, xz or zstd around one")]
    NotTar,
    /// It has no bytes.
    #[error("it is empty: expected a tar archive")]
    Empty,
    /// It is compressed in a way that is not read here.
    #[error("it is compressed with {found}: expected gzip, xz, zstd or nothing; compress it anew")]
    OtherCompression {
        /// The program that made it.
        found: &'static str,
    },
    /// The decompression failed.
    #[error("its {format} compression is damaged or cut short ({why}): copy the archive again")]
    Compression {
        /// "gzip", "xz" or "zstd".
        format: &'static str,
        /// The words of the decoder.
        why: String,
    },
    /// The decompression would need more memory than it gets.
    #[error("its {format} compression needs too much memory ({why}): compress it anew with less")]
    TooMuchMemory {
        /// "xz" or "zstd".
        format: &'static str,
        /// The words of the decoder.
        why: String,
    },
    /// It stops inside an entry.
    #[error("it ends inside {part}: it was cut short, copy it again")]
    Truncated {
        /// What is incomplete.
        part: &'static str,
    },
    /// It stops where the next entry should be.
    #[error(
        "it has no mark of its end, two blocks of zeros: it may have been cut short; copy it \
         again, or add the mark where it is known to be whole"
    )]
    NoEnd,
    /// Entries follow one block of zeros.
    #[error("a single block of zeros is between its entries: expected two at the end only")]
    LoneZeroBlock,
    /// The checksum of a header is wrong.
    #[error("its header is damaged: expected the checksum {expected:o}, found {found}")]
    Checksum {
        /// As computed.
        expected: u64,
        /// As written in the header.
        found: String,
    },
    /// A number cannot be read or is too large.
    #[error("its {field} is {found}: expected {expected}")]
    Number {
        /// The field of the header, or the key of the record.
        field: String,
        /// As written.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A record of an extended header is damaged.
    #[error("its extended header is damaged: {why}")]
    Extension {
        /// How.
        why: &'static str,
    },
    /// More than an entry may have.
    #[error("its {what} has {found} bytes: expected at most {limit}")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its length.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// A type that is unknown or cannot be imported.
    #[error("it has the type {tag:?}, {meaning}: make the archive anew without it")]
    Type {
        /// The byte in the header.
        tag: char,
        /// What the type stands for.
        meaning: &'static str,
    },
    /// Something other than a regular file has content.
    #[error("it is {kind} and has {size} bytes of content: expected none")]
    Content {
        /// What it is.
        kind: &'static str,
        /// How many bytes follow.
        size: u64,
    },
    /// A path that leaves the tree.
    #[error("its {what} has the part \"..\", which could lead out of the tree")]
    Traversal {
        /// "path" or "hardlink target".
        what: &'static str,
    },
    /// A path that no tree can hold.
    #[error("its {what} is not a valid path: {why}")]
    Path {
        /// "path" or "hardlink target".
        what: &'static str,
        /// Why.
        why: &'static str,
    },
    /// The root of the tree is something else than a directory.
    #[error("it stands for the root of the tree and is {found}: expected a directory")]
    Root {
        /// What it is.
        found: &'static str,
    },
    /// A mark that a file of a lower layer is deleted.
    #[error(
        "it deletes a file of another layer: this is a layer of an OCI image, import the image instead"
    )]
    Whiteout,
    /// A mark that deletes what no layer can delete.
    #[error("it deletes \"{found}\": expected the name of a file of a lower layer")]
    BadWhiteout {
        /// What stands behind the mark.
        found: String,
    },
    /// A path through too many links.
    #[error("its path leads through more than {limit} symlinks: they may be a circle")]
    TooManyLinks {
        /// The limit.
        limit: usize,
    },
    /// The list of data in a sparse file makes no sense.
    #[error("its map of sparse data is damaged: {why}")]
    Sparse {
        /// Why.
        why: &'static str,
    },
    /// Reading failed; told apart from decoding by the importer.
    #[error("reading failed: {0}")]
    Io(#[from] io::Error),
}
