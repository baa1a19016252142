//! Looking at everything in a directory but the content of regular files.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;
use upmass_disk::Volume;
use upmass_format::tree::{Meta, Node};
use upmass_format::{MAX_PATH, Name, TreePath};
use upmass_store::Store;

use crate::beneath::{Beneath, DIRECTORY, LOOK};
use crate::index::{Filesystem, Filesystems};
use crate::stat::{Inode, InodeKey};
use crate::warnings::Warnings;
use crate::xattr::{LEFT_OUT, Opened, XattrReader};
use crate::{ImportError, ImportOptions, Mounts, Result, TreeBuilder};

/// The state of a walk, and what it found.
pub(super) struct Walk<'a> {
    source: &'a Beneath,
    options: &'a ImportOptions,
    /// The store, which must not be met.
    store: Option<InodeKey>,
    /// The file system of the source.
    device: u64,
    filesystems: Filesystems,
    xattrs: XattrReader,
    /// The first name of each inode that has several.
    groups: HashMap<InodeKey, TreePath>,
    /// Everything but regular files and further names.
    pub(super) tree: TreeBuilder,
    /// Regular files, whose content is read later.
    pub(super) files: Vec<RegularFile>,
    /// Further names, and the first name of each.
    pub(super) links: Vec<(TreePath, TreePath)>,
    pub(super) warnings: Warnings,
}

/// A regular file that was met.
pub(super) struct RegularFile {
    pub(super) path: TreePath,
    pub(super) key: InodeKey,
    /// Where it is; `None` when the index cannot rely on that.
    pub(super) filesystem: Option<Filesystem>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(source: &'a Beneath, options: &'a ImportOptions, store: &Store) -> Self {
        let volume = store.volume().as_ref();
        Self {
            source,
            options,
            store: directory_of(volume),
            device: 0,
            filesystems: Filesystems::new(volume),
            xattrs: XattrReader::new(options.xattrs),
            groups: HashMap::new(),
            tree: TreeBuilder::new(options.mtimes),
            files: Vec::new(),
            links: Vec::new(),
            warnings: Warnings::default(),
        }
    }

    /// Walks all of the source.
    pub(super) fn run(&mut self) -> Result<()> {
        let mut waiting = vec![TreePath::root()];
        while let Some(path) = waiting.pop() {
            self.directory(&path, &mut waiting)?;
        }
        Ok(())
    }

    pub(super) fn warn_left_out(&mut self, attribute: &str, path: &TreePath) {
        let path = format!("{attribute} of {}", self.source.display(path));
        self.warnings.add(LEFT_OUT, path);
    }

    fn directory(&mut self, path: &TreePath, waiting: &mut Vec<TreePath>) -> Result<()> {
        let error = |action, errno| source_error(self.source, action, path, errno);
        let directory = match self.source.open_at(path, DIRECTORY) {
            Ok(directory) => directory,
            Err(errno) => return Err(error("open", errno)),
        };
        let inode = Inode::of(&directory).map_err(|errno| error("look at", errno))?;
        if self.store == Some(inode.key) {
            return Err(ImportError::StoreInside { store: self.source.display(path) });
        }
        self.filesystems.meet(inode.key.device, &directory);
        let names = list(&directory).map_err(|errno| error("list", errno))?;
        let meta = self.meta(path, &inode, Opened::ToRead(directory.as_fd()))?;
        if path.is_root() {
            self.device = inode.key.device;
            self.tree.set_root(meta)?;
        } else {
            self.tree.insert(path.clone(), meta, Node::Directory)?;
            if self.is_left_out(&inode) {
                let here = self.source.display(path);
                self.warnings.add("another file system is mounted here and was left out", here);
                return Ok(());
            }
        }
        for name in names {
            self.entry(&directory, path, &name, waiting)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        directory: &OwnedFd,
        parent: &TreePath,
        name: &Name,
        waiting: &mut Vec<TreePath>,
    ) -> Result<()> {
        let path = parent.join(name).ok_or_else(|| ImportError::TooLarge {
            path: format!("{}/{name}", self.source.display(parent)),
            what: "the length of its path",
            found: (parent.as_bytes().len() + 1 + name.as_bytes().len()) as u64,
            limit: MAX_PATH as u64,
        })?;
        let os_name = OsStr::from_bytes(name.as_bytes());
        let stat = fs::statat(directory, os_name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| source_error(self.source, "look at", &path, errno))?;
        let inode = Inode::from(&stat);
        if inode.file_type == FileType::Directory {
            waiting.push(path);
            return Ok(());
        }
        if inode.links > 1 {
            if let Some(first) = self.groups.get(&inode.key) {
                self.links.push((path, first.clone()));
                return Ok(());
            }
            self.groups.insert(inode.key, path.clone());
        }
        if inode.file_type != FileType::RegularFile {
            return self.special(directory, path, os_name);
        }
        if self.is_left_out(&inode) {
            let here = self.source.display(&path);
            self.warnings.add("another file is mounted here; an empty one takes its place", here);
            let mut meta = inode.meta();
            self.options.owners.apply(&path, &mut meta)?;
            return self.tree.insert(path, meta, Node::Inline(Vec::new()));
        }
        let filesystem = self.filesystems.get(inode.key.device);
        self.files.push(RegularFile { path, key: inode.key, filesystem });
        Ok(())
    }

    /// Symlinks, devices, pipes and sockets: they are looked at and never opened.
    fn special(&mut self, directory: &OwnedFd, path: TreePath, name: &OsStr) -> Result<()> {
        let error = |action, errno| source_error(self.source, action, &path, errno);
        let flags = LOOK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = fs::openat(directory, name, flags, Mode::empty())
            .map_err(|errno| error("look at", errno))?;
        let inode = Inode::of(&file).map_err(|errno| error("look at", errno))?;
        let node = match inode.file_type {
            FileType::Symlink => {
                let target = fs::readlinkat(&file, "", Vec::new())
                    .map_err(|errno| error("read the symlink", errno))?;
                Node::Symlink(target.into_bytes())
            }
            FileType::Fifo => Node::Fifo,
            FileType::Socket => Node::Socket,
            FileType::CharacterDevice => Node::CharDevice(inode.device()),
            FileType::BlockDevice => Node::BlockDevice(inode.device()),
            _ => {
                let what = "another file has its name now";
                return Err(ImportError::Changed { path: self.source.display(&path), what });
            }
        };
        let meta = self.meta(&path, &inode, Opened::ToLook(file.as_fd()))?;
        self.tree.insert(path, meta, node)
    }

    fn meta(&mut self, path: &TreePath, inode: &Inode, file: Opened<'_>) -> Result<Meta> {
        let xattrs = self
            .xattrs
            .read(file)
            .map_err(|errno| source_error(self.source, "read the attributes of", path, errno))?;
        for name in &xattrs.left_out {
            self.warn_left_out(name, path);
        }
        let mut meta = Meta { xattrs: xattrs.kept, ..inode.meta() };
        self.options.owners.apply(path, &mut meta)?;
        Ok(meta)
    }

    fn is_left_out(&self, inode: &Inode) -> bool {
        self.options.mounts == Mounts::Empty && inode.key.device != self.device
    }
}

/// A failed call on an entry that was there a moment ago.
pub(super) fn source_error(
    source: &Beneath,
    action: &'static str,
    path: &TreePath,
    errno: Errno,
) -> ImportError {
    let path = source.display(path);
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO | Errno::STALE | Errno::NODATA => {
            let what = "it was removed or replaced";
            ImportError::Changed { path, what }
        }
        _ => ImportError::read(action, path, errno),
    }
}

/// The directory of the store, so that it is not imported into itself.
fn directory_of(volume: &dyn Volume) -> Option<InodeKey> {
    let directory = Beneath::open(&volume.real_path("")?).ok()?;
    Some(directory.inode().ok()?.key)
}

/// The names in a directory, ascending.
fn list(directory: &OwnedFd) -> rustix::io::Result<Vec<Name>> {
    let mut buffer = [MaybeUninit::uninit(); 1 << 15];
    let mut names = Vec::new();
    let mut entries = RawDir::new(directory, &mut buffer);
    while let Some(entry) = entries.next() {
        // `.` and `..` are not names.
        names.extend(Name::new(entry?.file_name().to_bytes()));
    }
    names.sort();
    Ok(names)
}
