//! The content of the system partition as a directory, for `mke2fs` to copy.
//!
//! Whoever runs this may not give files away or make devices. So the directory has names,
//! contents and links only, and a list says what else each name shall have ([`Fix`]).

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::SeekFrom;
use rustix::io::Errno;
use upmass_disk::DirVolume;
use upmass_format::release::Release;
use upmass_format::tree::{Device, Meta, Node};
use upmass_format::{ObjectId, ReleaseId};
use upmass_store::Store;

use crate::error::Context;
use crate::merged::{Entry, Merged, merge};
use crate::{ImageError, Result, STORE, SYSTEMS};

/// Links that an inode of ext4 may have are 65000; the next one is another copy.
const MAX_LINKS: u32 = 60_000;

/// What a name of the file system shall have, and its staged file cannot.
#[derive(Debug, Clone)]
pub(crate) struct Fix {
    pub(crate) meta: Meta,
    pub(crate) kind: Kind,
}

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
    Symlink,
    Fifo,
    Socket,
    /// Not staged.
    CharDevice(Device),
    /// Not staged.
    BlockDevice(Device),
}

/// A staged directory.
#[derive(Default)]
pub(crate) struct Staging {
    root: PathBuf,
    /// By path from the root, as bytes.
    pub(crate) fixes: HashMap<Vec<u8>, Fix>,
    /// Names of one inode.
    groups: HashMap<(ObjectId, Meta), (PathBuf, u32)>,
    /// Which group has the object of the store itself.
    first: HashMap<ObjectId, Meta>,
    /// Inodes, those without a staged file included.
    pub(crate) inodes: u64,
    /// Blocks of 4 KiB that contents and directories take.
    pub(crate) blocks: u64,
}

impl Staging {
    /// Stages the store of one release and its systems. `root` is an empty directory.
    pub(crate) fn fill(
        root: PathBuf,
        store: &Store,
        id: ReleaseId,
        release: &Release,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self> {
        let mut this = Self { root, ..Self::default() };
        let copy = this.store_of(store, id, release, progress)?;
        let plain = || Meta { mode: 0o755, ..Meta::default() };
        this.directory(b"", plain())?;
        let here = format!("{SYSTEMS}/{id}");
        this.directory(SYSTEMS.as_bytes(), plain())?;
        this.directory(here.as_bytes(), plain())?;
        for system in &release.systems {
            let fail = |why: &str| {
                let (system, why) = (system.name.clone(), why.to_owned());
                Err(ImageError::System { system, why })
            };
            if system.name.contains('/') || matches!(&system.name[..], "." | "..") {
                return fail("its name is the name of its directory, which it cannot be");
            }
            let merged = merge(store, release, system)?;
            let path = format!("{here}/{}", system.name).into_bytes();
            let base = path.len() + 1;
            this.tree(&copy, path, base, &merged)?;
        }
        this.rest_of_store(STORE.as_bytes().to_vec())?;
        Ok(this)
    }

    /// A store with the objects of the release, which are links to those of the other store where
    /// that can be.
    fn store_of(
        &mut self,
        store: &Store,
        id: ReleaseId,
        release: &Release,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Store> {
        let path = self.root.join(STORE);
        fs::create_dir(&path).on("make the directory", &path)?;
        let volume = Arc::new(DirVolume::temporary(&path)?);
        let copy = Store::create_on(volume, &path.display().to_string())?;
        let mut objects = Vec::new();
        store.visit_objects(id, &mut |object| objects.push(object))?;
        objects.sort_unstable();
        objects.dedup();
        let mut bytes = 0;
        for object in objects {
            let to = copy.object_path(object).expect("the copy is a directory");
            bytes += store.object_len(object)?;
            if !to.exists() {
                let directory = to.parent().expect("objects are in directories");
                fs::create_dir_all(directory).on("make the directory", directory)?;
                self.take(store, object, &to)?;
            }
            progress(bytes);
        }
        let recorded = copy.record(release)?;
        debug_assert_eq!(recorded, id);
        Ok(copy)
    }

    /// Links or copies an object.
    fn take(&self, store: &Store, object: ObjectId, to: &Path) -> Result<()> {
        let Some(from) = store.object_path(object) else {
            return Err(ImageError::Io {
                action: "find the directory of the store for",
                path: to.display().to_string(),
                source: std::io::ErrorKind::Unsupported.into(),
            });
        };
        // Nothing here changes a staged file, so that a link does the store no harm.
        if fs::hard_link(&from, to).is_err() {
            fs::copy(&from, to).on("copy", &from)?;
        }
        Ok(())
    }

    /// What is in the store and was not taken for a system.
    fn rest_of_store(&mut self, path: Vec<u8>) -> Result<()> {
        let here = self.path(&path);
        // Nobody but root has business in the store itself.
        let mode = if path == STORE.as_bytes() { 0o700 } else { 0o755 };
        self.note(&path, Kind::Directory, Meta { mode, ..Meta::default() });
        let mut names = 0;
        for entry in fs::read_dir(&here).on("list", &here)? {
            let entry = entry.on("list", &here)?;
            names += 1;
            let inner = join(&path, entry.file_name().as_bytes());
            if entry.file_type().on("look at", &entry.path())?.is_dir() {
                self.rest_of_store(inner)?;
            } else if !self.fixes.contains_key(&inner) {
                self.note(&inner, Kind::File, Meta { mode: 0o644, ..Meta::default() });
                self.count(&entry.path())?;
            }
        }
        self.blocks += directory_blocks(names);
        Ok(())
    }

    fn tree(&mut self, store: &Store, path: Vec<u8>, base: usize, merged: &Merged) -> Result<()> {
        self.directory(&path, merged.meta.clone())?;
        self.blocks += directory_blocks(merged.children.len());
        for (name, entry) in &merged.children {
            let path = join(&path, name.as_bytes());
            match entry {
                Entry::Directory(inner) => self.tree(store, path, base, inner)?,
                Entry::Leaf(meta, node) => self.leaf(store, path, base, meta, node)?,
            }
        }
        Ok(())
    }

    fn directory(&mut self, path: &[u8], meta: Meta) -> Result<()> {
        let here = self.path(path);
        if !path.is_empty() {
            fs::create_dir(&here).on("make the directory", &here)?;
        }
        self.note(path, Kind::Directory, meta);
        self.inodes += 1;
        Ok(())
    }

    fn leaf(
        &mut self,
        store: &Store,
        path: Vec<u8>,
        base: usize,
        meta: &Meta,
        node: &Node,
    ) -> Result<()> {
        let here = self.path(&path);
        let kind = match node {
            Node::Object { id, .. } => return self.object(store, path, meta, *id),
            Node::Hardlink(target) => {
                let target = join(&path[..base - 1], target.as_bytes());
                let Some(fix) = self.fixes.get(&target).cloned() else {
                    return Err(cannot(&path, "is a hardlink that leads to nothing"));
                };
                if matches!(fix.kind, Kind::CharDevice(_) | Kind::BlockDevice(_)) {
                    return Err(cannot(&path, "is a hardlink to a device"));
                }
                let target = self.path(&target);
                fs::hard_link(target, &here).on("link", &here)?;
                self.fixes.insert(path, fix);
                return Ok(());
            }
            Node::Inline(content) => {
                fs::write(&here, content).on("write", &here)?;
                self.blocks += 1;
                Kind::File
            }
            Node::Symlink(target) => {
                symlink(OsStr::from_bytes(target), &here).on("make the symlink", &here)?;
                // Short ones are in the inode.
                self.blocks += u64::from(target.len() >= 60);
                Kind::Symlink
            }
            Node::Fifo => {
                make_node(&here, rustix::fs::FileType::Fifo)?;
                Kind::Fifo
            }
            Node::Socket => {
                make_node(&here, rustix::fs::FileType::Socket)?;
                Kind::Socket
            }
            Node::CharDevice(device) => Kind::CharDevice(*device),
            Node::BlockDevice(device) => Kind::BlockDevice(*device),
            Node::Directory => unreachable!("a leaf is no directory"),
        };
        self.note(&path, kind, meta.clone());
        self.inodes += 1;
        Ok(())
    }

    /// A file of the store: a link to the object where both may have the same owner, mode and
    /// attributes, another copy where not. Files that share an inode share all of that.
    fn object(&mut self, store: &Store, path: Vec<u8>, meta: &Meta, id: ObjectId) -> Result<()> {
        let here = self.path(&path);
        let key = (id, meta.clone());
        match self.groups.get_mut(&key) {
            Some((known, links)) if *links < MAX_LINKS => {
                *links += 1;
                let known = known.clone();
                fs::hard_link(&known, &here).on("link", &here)?;
            }
            known => {
                let object = store.object_path(id).expect("the copy is a directory");
                let is_first = known.is_none() && !self.first.contains_key(&id);
                if is_first {
                    fs::hard_link(&object, &here).on("link", &here)?;
                    self.first.insert(id, meta.clone());
                    let text = id.to_string();
                    let object = format!("{STORE}/objects/{}/{}", &text[..2], &text[2..]);
                    self.note(object.as_bytes(), Kind::File, meta.clone());
                } else {
                    fs::copy(&object, &here).on("copy", &here)?;
                }
                self.count(&here)?;
                self.groups.insert(key, (here, 2));
            }
        }
        self.note(&path, Kind::File, meta.clone());
        Ok(())
    }

    fn count(&mut self, path: &Path) -> Result<()> {
        self.inodes += 1;
        self.blocks += blocks(path).on("read", path)?;
        Ok(())
    }

    fn note(&mut self, path: &[u8], kind: Kind, meta: Meta) {
        // Attributes that do not fit into the inode take a block of their own.
        let len: usize = meta.xattrs.iter().map(|x| x.name.len() + x.value.len() + 20).sum();
        self.blocks += u64::from(len > 90);
        self.fixes.insert(path.to_vec(), Fix { meta, kind });
    }

    fn path(&self, path: &[u8]) -> PathBuf {
        self.root.join(OsStr::from_bytes(path))
    }
}

fn cannot(path: &[u8], why: &str) -> ImageError {
    ImageError::Entry { path: path.escape_ascii().to_string(), why: why.to_owned() }
}

/// Blocks of a file that are not zeros, which is what `mke2fs` copies: how the file is stored
/// here makes no difference.
fn blocks(path: &Path) -> std::io::Result<u64> {
    const BLOCK: u64 = 4096;
    let file = fs::File::open(path)?;
    let len = file.metadata()?.len();
    let mut buffer = vec![0; 1 << 17];
    let (mut position, mut count) = (0, 0);
    while position < len {
        // Holes are skipped in whole blocks.
        let data = match rustix::fs::seek(&file, SeekFrom::Data(position)) {
            Err(Errno::NXIO) => return Ok(count),
            Err(_) => position,
            Ok(data) => data / BLOCK * BLOCK,
        };
        position = data.max(position);
        let take = (len - position).min(buffer.len() as u64) as usize;
        file.read_exact_at(&mut buffer[..take], position)?;
        let is_data = |block: &&[u8]| block.iter().any(|byte| *byte != 0);
        count += buffer[..take].chunks(BLOCK as usize).filter(is_data).count() as u64;
        position += take as u64;
    }
    Ok(count)
}

/// Blocks that a directory may take: names of middling length, in blocks that are not full.
fn directory_blocks(names: usize) -> u64 {
    1 + names as u64 / 40
}

pub(crate) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match directory {
        b"" => name.to_vec(),
        directory => [directory, b"/", name].concat(),
    }
}

fn make_node(path: &Path, kind: rustix::fs::FileType) -> Result<()> {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).on("make", path)
}
