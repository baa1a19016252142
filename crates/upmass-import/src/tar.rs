//! A tar archive becomes a tree: plain, or compressed with gzip, xz or zstd.
//!
//! Archives are read by this module itself. Of the crates for it, `tar` splits the records of
//! extended headers at line ends, which breaks names and attributes that hold one, and does not
//! know three of the four ways to write a sparse file.
//!
//! Nothing is unpacked to a file system. The list of entries is held in memory, contents are
//! streamed into the store. What tar would unpack without a word is imported; what it would
//! unpack to something else than the archive says is a warning; what could be a mistake that a
//! device would pay for is refused.

mod compression;
mod fault;
mod header;
mod layer;
mod listing;
mod member;
mod number;
mod path;
mod pax;
mod sparse;
mod stream;
mod unpack;
mod zstd;

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use upmass_store::Store;

pub(crate) use self::compression::{Compression, open as decompress};
pub use self::fault::ArchiveFault;
pub(crate) use self::layer::unpack_layer;
pub(crate) use self::listing::{Listed, list};
use self::member::Members;
use self::stream::Stream;
use self::unpack::Stop;
pub(crate) use self::unpack::Unpack;
use crate::{ImportError, ImportOptions, Imported, Result};

/// Where an archive comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TarSource {
    /// A file.
    File(PathBuf),
    /// The standard input of this process.
    Stdin,
}

/// Imports a tar archive.
///
/// `progress` is told how many more bytes of content are done. All objects and the tree are
/// durable on return. They stay as long as `store` has its writer lock; the caller records the
/// release that needs them before it gives that up.
///
/// Owners are the numbers in the archive; names of owners are not looked up.
pub fn import_tar(
    store: &Store,
    source: TarSource,
    options: &ImportOptions,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Imported> {
    match source {
        TarSource::Stdin => {
            let mut input = io::stdin().lock();
            import_tar_stream(store, "standard input", &mut input, options, progress)
        }
        TarSource::File(path) => {
            let name = path.display().to_string();
            let mut file =
                File::open(&path).map_err(|error| ImportError::read("open", &name, error))?;
            import_tar_stream(store, &name, &mut file, options, progress)
        }
    }
}

/// Imports a tar archive that arrives as a stream; `name` is for messages. Otherwise as
/// [`import_tar`].
pub fn import_tar_stream(
    store: &Store,
    name: &str,
    input: &mut dyn Read,
    options: &ImportOptions,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Imported> {
    let failure = Failure::default();
    let input = Watched { input, failure: failure.clone() };
    let (compression, input) = compression::open(input)
        .map_err(|fault| archive_error(name, &failure, None, (0, Vec::new()), fault))?;
    let mut members = Members::new(Stream::new(input), compression);
    let mut unpack = Unpack::new(store, options, progress)?;
    let result = unpack.archive(&mut members);
    match result {
        Ok(()) => unpack.finish(),
        Err(Stop::Import(error)) => Err(error),
        Err(Stop::Archive(fault)) => {
            Err(archive_error(name, &failure, Some(compression.name()), members.at, fault))
        }
    }
}

/// What a failed read of the source was, so that it is told from damaged compression.
type Failure = Arc<Mutex<Option<io::Error>>>;

/// A source whose failures are noted.
struct Watched<'a> {
    input: &'a mut dyn Read,
    failure: Failure,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                let noted = io::Error::new(error.kind(), error.to_string());
                *self.failure.lock().expect("no panic while the lock is held") = Some(noted);
            }
        })
    }
}

fn archive_error(
    name: &str,
    failure: &Failure,
    format: Option<&'static str>,
    (offset, member): (u64, Vec<u8>),
    fault: ArchiveFault,
) -> ImportError {
    let failed = failure.lock().expect("no panic while the lock is held").take();
    let fault = match (fault, failed, format) {
        (ArchiveFault::Io(_), Some(error), _) => return ImportError::read("read", name, error),
        (ArchiveFault::Io(error), None, Some(format)) => {
            let why = error.to_string();
            match error.kind() {
                io::ErrorKind::OutOfMemory => ArchiveFault::TooMuchMemory { format, why },
                _ => ArchiveFault::Compression { format, why },
            }
        }
        (fault, ..) => fault,
    };
    let member = String::from_utf8_lossy(&member).escape_debug().to_string();
    ImportError::Archive { archive: name.to_owned(), offset, member, fault }
}
