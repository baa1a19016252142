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
mod member;
mod number;
mod path;
mod pax;
mod sparse;
mod stream;
mod zstd;

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use upmass_format::TreePath;
use upmass_format::tree::{Meta, Node};
use upmass_store::Store;

pub use self::fault::ArchiveFault;
use self::member::{Kind, Member, Members};
use self::stream::Stream;
use crate::objects::{MAX_FILE, Objects, Piece};
use crate::warnings::Warnings;
use crate::xattr::is_portable;
use crate::{ImportError, ImportOptions, Imported, Result, TreeBuilder};

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
    let mut import = Import {
        objects: Objects::new(store)?,
        options,
        progress,
        tree: TreeBuilder::new(options.mtimes),
        has_root: false,
        hashed_bytes: 0,
        warnings: Warnings::default(),
    };
    let result = import.run(&mut members);
    match result {
        Ok(()) => import.finish(members.remarks),
        Err(Stop::Import(error)) => Err(error),
        Err(Stop::Archive(fault)) => {
            Err(archive_error(name, &failure, Some(compression.name()), members.at, fault))
        }
    }
}

struct Import<'a> {
    objects: Objects<'a>,
    options: &'a ImportOptions,
    progress: &'a (dyn Fn(u64) + Sync),
    tree: TreeBuilder,
    has_root: bool,
    hashed_bytes: u64,
    warnings: Warnings,
}

/// Why an import stops.
enum Stop {
    /// The archive is at fault, at the entry that is being read.
    Archive(ArchiveFault),
    Import(ImportError),
}

impl Import<'_> {
    fn run(&mut self, members: &mut Members<'_>) -> Result<(), Stop> {
        while let Some(member) = members.next()? {
            let cleaned = path::clean(&member.path, "path")?;
            if cleaned.was_absolute {
                self.warnings.add(ABSOLUTE, &cleaned.path);
            }
            if path::is_whiteout(&cleaned.path) {
                return Err(ArchiveFault::Whiteout.into());
            }
            let meta = self.meta(&cleaned.path, &member)?;
            if cleaned.path.is_root() {
                self.root(&member, meta)?;
            } else {
                self.make_parents(&cleaned.path)?;
                self.entry(cleaned.path, member, meta, members)?;
            }
        }
        Ok(())
    }

    fn finish(mut self, remarks: Vec<&'static str>) -> Result<Imported> {
        if !self.has_root {
            self.warnings.add(NO_ROOT, "");
        }
        for remark in remarks {
            self.warnings.add(remark, "");
        }
        let (files, bytes) = self.tree.files();
        let tree = self.objects.put_tree(&self.tree)?;
        self.objects.commit()?;
        let (hashed_bytes, warnings) = (self.hashed_bytes, self.warnings.into_sentences());
        Ok(Imported { tree, files, bytes, hashed_bytes, warnings })
    }

    fn root(&mut self, member: &Member, meta: Meta) -> Result<(), Stop> {
        if !matches!(member.kind, Kind::Directory) {
            return Err(ArchiveFault::Root { found: member.kind.describe() }.into());
        }
        self.has_root = true;
        Ok(self.tree.set_root(meta)?)
    }

    /// Owner, permissions and attributes, as the options want them.
    fn meta(&mut self, path: &TreePath, member: &Member) -> Result<Meta> {
        let mut meta = member.meta.clone();
        meta.xattrs.retain(|xattr| {
            let is_portable = is_portable(xattr);
            if !is_portable {
                let attribute = xattr.name.escape_ascii();
                self.warnings.add(crate::xattr::LEFT_OUT, format!("{attribute} of {path}"));
            }
            is_portable
        });
        if member.has_access_lists {
            self.warnings.add(ACCESS_LISTS, path);
        }
        if member.has_foreign_xattrs {
            self.warnings.add(FOREIGN_XATTRS, path);
        }
        if !matches!(member.kind, Kind::Hardlink(_)) {
            self.options.owners.apply(path, &mut meta)?;
        }
        Ok(meta)
    }

    fn make_parents(&mut self, path: &TreePath) -> Result<()> {
        while let Some(missing) = self.tree.missing_parent(path)? {
            self.warnings.add(MISSING_PARENT, &missing);
            let meta = Meta { mode: 0o755, ..Meta::default() };
            self.tree.insert(missing, meta, Node::Directory)?;
        }
        Ok(())
    }

    /// Adds an entry. As when tar unpacks, the last one of a path stays.
    fn entry(
        &mut self,
        path: TreePath,
        member: Member,
        meta: Meta,
        members: &mut Members<'_>,
    ) -> Result<(), Stop> {
        let node = match member.kind {
            Kind::Directory => {
                if let Some((_, Node::Directory)) = self.tree.get(&path) {
                    self.tree.set_meta(&path, meta)?;
                    return Ok(());
                }
                Node::Directory
            }
            Kind::Hardlink(target) => {
                let target = path::clean(&target, "hardlink target")?;
                if target.was_absolute {
                    self.warnings.add(ABSOLUTE, &target.path);
                }
                return Ok(self.link(path, &target.path)?);
            }
            Kind::File => self.file(&path, &member, members)?,
            Kind::Symlink(target) => Node::Symlink(target),
            Kind::CharDevice(device) => Node::CharDevice(device),
            Kind::BlockDevice(device) => Node::BlockDevice(device),
            Kind::Fifo => Node::Fifo,
        };
        self.tree.remove(&path)?;
        Ok(self.tree.insert(path, meta, node)?)
    }

    fn link(&mut self, path: TreePath, target: &TreePath) -> Result<()> {
        let has_file =
            |path| matches!(self.tree.get(path), Some((_, node)) if *node != Node::Directory);
        if path == *target && has_file(&path) {
            // So tar writes a file that it was told to take twice.
            return Ok(());
        }
        if has_file(target) {
            self.tree.remove(&path)?;
        }
        self.tree.link(path, target)
    }

    fn file(
        &mut self,
        path: &TreePath,
        member: &Member,
        members: &mut Members<'_>,
    ) -> Result<Node, Stop> {
        let size = member.size();
        if size > MAX_FILE {
            let (path, what) = (path.to_string(), "its length");
            let error = ImportError::TooLarge { path, what, found: size, limit: MAX_FILE };
            return Err(error.into());
        }
        let mut file = self.objects.file(size)?;
        let stream = &mut members.stream;
        content(stream, member, &mut |piece| {
            (self.progress)(piece.len());
            file.add(piece)
        })?;
        let node = file.finish()?;
        stream.padding(member.stored, "a file")?;
        self.hashed_bytes += size;
        Ok(node)
    }
}

/// Reads the content of a file in order, holes included.
fn content(
    stream: &mut Stream<'_>,
    member: &Member,
    sink: &mut dyn FnMut(Piece<'_>) -> Result<()>,
) -> Result<(), Stop> {
    let mut buffer = vec![0; member.stored.min(BUFFER) as usize];
    let mut position = 0;
    let whole = [sparse::Segment { offset: 0, len: member.stored }];
    let segments = member.map.as_ref().map_or(&whole[..], |map| &map.segments);
    for segment in segments {
        if segment.offset > position {
            sink(Piece::Zeros(segment.offset - position))?;
        }
        let mut rest = segment.len;
        while rest > 0 {
            let take = rest.min(buffer.len() as u64) as usize;
            stream.exact(&mut buffer[..take], "a file")?;
            sink(Piece::Data(&buffer[..take]))?;
            rest -= take as u64;
        }
        position = segment.offset + segment.len;
    }
    if member.size() > position {
        sink(Piece::Zeros(member.size() - position))?;
    }
    Ok(())
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

impl From<ArchiveFault> for Stop {
    fn from(fault: ArchiveFault) -> Self {
        Stop::Archive(fault)
    }
}

impl From<ImportError> for Stop {
    fn from(error: ImportError) -> Self {
        Stop::Import(error)
    }
}

/// How much of a file is in memory at once.
const BUFFER: u64 = 1 << 18;

const ABSOLUTE: &str = "paths that begin with / were taken as below the root of the tree";
const MISSING_PARENT: &str =
    "directories that the archive lacks were made, with mode 0755 and owner 0:0";
const NO_ROOT: &str =
    "the archive has no entry for its root directory, which gets mode 0755 and owner 0:0";
const ACCESS_LISTS: &str =
    "access lists (SCHILY.acl) are not imported; import the directory itself to keep them";
const FOREIGN_XATTRS: &str =
    "extended attributes that only libarchive reads (LIBARCHIVE.xattr) are not imported";
