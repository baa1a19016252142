//! Entries of an archive become entries of a tree.

use upmass_format::TreePath;
use upmass_format::tree::{Meta, Node};
use upmass_store::Store;

use super::fault::ArchiveFault;
use super::member::{Kind, Member, Members};
use super::stream::Stream;
use super::{path, sparse};
use crate::objects::{MAX_FILE, Objects, Piece};
use crate::warnings::Warnings;
use crate::xattr::is_portable;
use crate::{ImportError, ImportOptions, Imported, Result, TreeBuilder};

/// A tree that is made from one archive, or from the layers of an image.
pub(crate) struct Unpack<'a> {
    objects: Objects<'a>,
    pub(super) options: &'a ImportOptions,
    progress: &'a (dyn Fn(u64) + Sync),
    pub(super) tree: TreeBuilder,
    has_root: bool,
    /// Whether layers of an image are put on top of each other.
    pub(super) is_layered: bool,
    hashed_bytes: u64,
    pub(super) warnings: Warnings,
}

/// Why an import stops.
pub(super) enum Stop {
    /// The archive is at fault, at the entry that is being read.
    Archive(ArchiveFault),
    Import(ImportError),
}

impl<'a> Unpack<'a> {
    /// Starts with nothing but a root directory.
    pub(crate) fn new(
        store: &'a Store,
        options: &'a ImportOptions,
        progress: &'a (dyn Fn(u64) + Sync),
    ) -> Result<Self> {
        Ok(Self {
            objects: Objects::new(store)?,
            options,
            progress,
            tree: TreeBuilder::new(options.mtimes),
            has_root: false,
            is_layered: false,
            hashed_bytes: 0,
            warnings: Warnings::default(),
        })
    }

    /// Adds all entries of an archive.
    pub(super) fn archive(&mut self, members: &mut Members<'_>) -> Result<(), Stop> {
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
        self.remarks(members);
        Ok(())
    }

    /// Takes over what the user should know of an archive.
    pub(super) fn remarks(&mut self, members: &Members<'_>) {
        for remark in &members.remarks {
            self.warnings.add(remark, "");
        }
    }

    /// Stores the tree. All is durable on return.
    pub(crate) fn finish(mut self) -> Result<Imported> {
        if !self.has_root {
            self.warnings.add(NO_ROOT, "");
        }
        let (files, bytes) = self.tree.files();
        let tree = self.objects.put_tree(&self.tree)?;
        self.objects.commit()?;
        let (hashed_bytes, warnings) = (self.hashed_bytes, self.warnings.into_sentences());
        Ok(Imported { tree, files, bytes, hashed_bytes, warnings })
    }

    pub(super) fn root(&mut self, member: &Member, meta: Meta) -> Result<(), Stop> {
        if !matches!(member.kind, Kind::Directory) {
            return Err(ArchiveFault::Root { found: member.kind.describe() }.into());
        }
        self.has_root = true;
        Ok(self.tree.set_root(meta)?)
    }

    /// Owner, permissions and attributes, as the options want them.
    pub(super) fn meta(&mut self, path: &TreePath, member: &Member) -> Result<Meta> {
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

    pub(super) fn make_parents(&mut self, path: &TreePath) -> Result<()> {
        for missing in self.tree.missing_parents(path)? {
            self.warnings.add(MISSING_PARENT, &missing);
            let meta = Meta { mode: 0o755, ..Meta::default() };
            self.tree.insert(missing, meta, Node::Directory)?;
        }
        Ok(())
    }

    /// Adds an entry. As when tar unpacks, the last one of a path stays.
    pub(super) fn entry(
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
                let target = match self.is_layered {
                    true => self.resolve_name(&target.path)?,
                    false => target.path,
                };
                return Ok(self.link(path, &target)?);
            }
            Kind::File => self.file(&path, &member, members)?,
            Kind::Symlink(target) => Node::Symlink(target),
            Kind::CharDevice(device) => Node::CharDevice(device),
            Kind::BlockDevice(device) => Node::BlockDevice(device),
            Kind::Fifo => Node::Fifo,
        };
        self.make_room(&path)?;
        Ok(self.tree.insert(path, meta, node)?)
    }

    /// Removes what another entry takes the place of. A directory that holds something is in the
    /// way in an archive, where it can only be a mistake, and goes where layers are put on top of
    /// each other.
    fn make_room(&mut self, path: &TreePath) -> Result<()> {
        if self.is_layered {
            self.tree.remove_below(path, &|_| false);
        }
        self.tree.remove(path).map(drop)
    }

    fn link(&mut self, path: TreePath, target: &TreePath) -> Result<()> {
        let has_file =
            |path| matches!(self.tree.get(path), Some((_, node)) if *node != Node::Directory);
        if path == *target && has_file(&path) {
            // So tar writes a file that it was told to take twice.
            return Ok(());
        }
        if has_file(target) {
            self.make_room(&path)?;
        }
        self.tree.link(path, target)
    }

    pub(super) fn file(
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
pub(super) fn content(
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

pub(super) const ABSOLUTE: &str =
    "paths that begin with / were taken as below the root of the tree";
const MISSING_PARENT: &str =
    "directories that the archive lacks were made, with mode 0755 and owner 0:0";
const NO_ROOT: &str =
    "the archive has no entry for its root directory, which gets mode 0755 and owner 0:0";
const ACCESS_LISTS: &str =
    "access lists (SCHILY.acl) are not imported; import the directory itself to keep them";
const FOREIGN_XATTRS: &str =
    "extended attributes that only libarchive reads (LIBARCHIVE.xattr) are not imported";
