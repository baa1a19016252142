//! Entries in any order become the one canonical tree.

use std::collections::{BTreeMap, BTreeSet};

use upmass_format::tree::{
    Entry, MAX_INLINE, MAX_SYMLINK, MAX_XATTR_VALUE, MAX_XATTRS, Meta, MtimePolicy,
    NORMALISED_MTIME, Node, TreeWriter,
};
use upmass_format::{MAX_NAME, MAX_PATH};
use upmass_format::{Name, TreeId, TreePath};
use upmass_store::{Batch, Store};

use crate::{ImportError, Result};

/// Collects the entries of a tree in any order, and writes them as the canonical encoding.
///
/// Several names of one inode are made by [`Self::link`]. Whichever came first, the first name
/// in canonical order has the attributes and the others are [`Node::Hardlink`]s to it.
#[derive(Debug)]
pub struct TreeBuilder {
    mtimes: MtimePolicy,
    root: Meta,
    /// [`TreePath`] orders as the encoding does: a directory comes right before its entries.
    entries: BTreeMap<TreePath, usize>,
    inodes: Vec<(Meta, Node)>,
}

impl TreeBuilder {
    /// Starts with nothing but a root directory of mode 0755 that belongs to root.
    pub fn new(mtimes: MtimePolicy) -> Self {
        let root = Meta { mode: 0o755, ..Meta::default() };
        Self { mtimes, root, entries: BTreeMap::new(), inodes: Vec::new() }
    }

    /// Sets the attributes of the root directory.
    pub fn set_root(&mut self, meta: Meta) -> Result<()> {
        self.root = checked(&TreePath::root(), meta, &Node::Directory)?;
        Ok(())
    }

    /// Adds an entry. A hardlink is refused here: see [`Self::link`]. What has the path already
    /// is refused too: see [`Self::remove`].
    pub fn insert(&mut self, path: TreePath, meta: Meta, node: Node) -> Result<()> {
        if let Node::Hardlink(target) = &node {
            return Err(conflict(&path, format!("is a hardlink to {target} that has no inode")));
        }
        let meta = checked(&path, meta, &node)?;
        check_node(&path, &node)?;
        self.claim(path, self.inodes.len())?;
        self.inodes.push((meta, node));
        Ok(())
    }

    /// Adds another name of the inode at `target`, which must be there and no directory.
    pub fn link(&mut self, path: TreePath, target: &TreePath) -> Result<()> {
        let inode = match self.entries.get(target) {
            Some(inode) if self.inodes[*inode].1 != Node::Directory => *inode,
            Some(_) => {
                return Err(conflict(&path, format!("is a hardlink to the directory {target}")));
            }
            None => {
                let why = format!("is a hardlink to {target}, which does not come before it");
                return Err(conflict(&path, why));
            }
        };
        self.claim(path, inode)
    }

    /// What is at a path. The root is not an entry.
    pub fn get(&self, path: &TreePath) -> Option<(&Meta, &Node)> {
        let (meta, node) = &self.inodes[*self.entries.get(path)?];
        Some((meta, node))
    }

    /// Changes the attributes of what is at a path, for all its names. `false` when there is
    /// nothing.
    pub fn set_meta(&mut self, path: &TreePath, meta: Meta) -> Result<bool> {
        let Some(inode) = self.entries.get(path) else {
            return Ok(false);
        };
        let (old, node) = &mut self.inodes[*inode];
        *old = checked(path, meta, node)?;
        Ok(true)
    }

    /// Removes a name; other names of its inode stay. `false` when there is none. A directory
    /// with entries is refused.
    pub fn remove(&mut self, path: &TreePath) -> Result<bool> {
        if let Some(child) = self.first_below(path) {
            return Err(conflict(path, format!("is a directory that holds {child}")));
        }
        Ok(self.entries.remove(path).is_some())
    }

    /// Removes all that is below a path and that `stays` does not keep. Where it keeps something, it
    /// keeps the directories above it too.
    pub fn remove_below(&mut self, path: &TreePath, stays: &dyn Fn(&TreePath) -> bool) {
        let below = self.entries.range(path.clone()..).map(|(other, _)| other);
        let below = below.filter(|other| *other != path).take_while(|other| is_below(other, path));
        let goes: Vec<TreePath> = below.filter(|other| !stays(other)).cloned().collect();
        for path in goes {
            self.entries.remove(&path);
        }
    }

    /// The directories above `path` that are not there yet, the topmost first. Something else than a
    /// directory in the place of one is refused.
    pub fn missing_parents(&self, path: &TreePath) -> Result<Vec<TreePath>> {
        let mut missing = Vec::new();
        let mut next = path.split_last();
        while let Some((parent, _)) = next.filter(|(parent, _)| !parent.is_root()) {
            next = parent.split_last();
            match self.get(&parent) {
                None => missing.push(parent),
                Some((_, Node::Directory)) => break,
                Some((_, node)) => {
                    let why = format!("is below {parent}, which is {}", describe(node));
                    return Err(conflict(path, why));
                }
            }
        }
        missing.reverse();
        Ok(missing)
    }

    /// How many regular files there are, names of one inode counted once, and their length in
    /// bytes.
    pub fn files(&self) -> (u64, u64) {
        let inodes: BTreeSet<usize> = self.entries.values().copied().collect();
        let sizes = inodes.iter().filter_map(|inode| self.inodes[*inode].1.file_size());
        sizes.fold((0, 0), |(files, bytes), size| (files + 1, bytes + size))
    }

    /// The canonical encoding. An entry without its directory is refused.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let root = self.with_mtime(&self.root);
        let mut writer = write_ok(TreeWriter::new(Vec::new(), self.mtimes, &root));
        let mut first_names: Vec<Option<&TreePath>> = vec![None; self.inodes.len()];
        let mut open: Vec<&TreePath> = Vec::new();
        for (path, inode) in &self.entries {
            let (parent, name) = path.split_last().expect("the root is not an entry");
            while open.last().is_some_and(|directory| !is_below(path, directory)) {
                open.pop();
                write_ok(writer.leave());
            }
            if open.last().map_or(!parent.is_root(), |directory| **directory != parent) {
                return Err(match self.missing_parents(path)?.first() {
                    Some(missing) => conflict(path, format!("has no directory {missing}")),
                    None => unreachable!("all directories above an entry were entered"),
                });
            }
            let (meta, node) = &self.inodes[*inode];
            let entry = match first_names[*inode] {
                Some(first) => hardlink(name, first),
                None => {
                    first_names[*inode] = Some(path);
                    Entry { name, meta: self.with_mtime(meta), node: node.clone() }
                }
            };
            write_ok(writer.entry(&entry));
            if *node == Node::Directory {
                open.push(path);
            }
        }
        for _ in 0..=open.len() {
            write_ok(writer.leave());
        }
        Ok(write_ok(writer.finish()))
    }

    /// Writes the tree as an object into a batch. It is durable when the batch is committed.
    pub fn finish(self, store: &Store, batch: &mut Batch) -> Result<TreeId> {
        let mut incoming = store.incoming()?;
        incoming.write(&self.encode()?)?;
        Ok(batch.add(incoming)?.into())
    }

    fn claim(&mut self, path: TreePath, inode: usize) -> Result<()> {
        if path.is_root() {
            return Err(conflict(
                &path,
                "is the root of the tree, which must be a directory".into(),
            ));
        }
        if self.entries.contains_key(&path) {
            return Err(conflict(&path, "occurs twice".into()));
        }
        self.entries.insert(path, inode);
        Ok(())
    }

    fn first_below(&self, path: &TreePath) -> Option<&TreePath> {
        let (child, _) = self.entries.range(path.clone()..).find(|(other, _)| *other != path)?;
        is_below(child, path).then_some(child)
    }

    fn with_mtime(&self, meta: &Meta) -> Meta {
        let mtime = match self.mtimes {
            MtimePolicy::Normalised => None,
            MtimePolicy::Kept => Some(meta.mtime.unwrap_or(NORMALISED_MTIME)),
        };
        Meta { mtime, ..meta.clone() }
    }
}

fn hardlink(name: Name, first: &TreePath) -> Entry {
    Entry { name, meta: Meta::default(), node: Node::Hardlink(first.clone()) }
}

/// What an entry is, with its article, for messages.
pub(crate) fn describe(node: &Node) -> &'static str {
    match node {
        Node::Directory => "a directory",
        Node::Object { .. } | Node::Inline(_) => "a file",
        Node::Symlink(_) => "a symlink",
        Node::Hardlink(_) => "a hardlink",
        Node::Fifo => "a named pipe",
        Node::Socket => "a socket",
        Node::CharDevice(_) => "a character device",
        Node::BlockDevice(_) => "a block device",
    }
}

/// Makes attributes canonical, and refuses what the encoding cannot hold.
fn checked(path: &TreePath, mut meta: Meta, node: &Node) -> Result<Meta> {
    meta.mode = match node {
        Node::Symlink(_) => 0o777,
        _ => meta.mode & 0o7777,
    };
    meta.xattrs.sort();
    let limits = [("the number of extended attributes", meta.xattrs.len(), MAX_XATTRS)]
        .into_iter()
        .chain([("the length of its path", path.as_bytes().len(), MAX_PATH)])
        .chain(meta.xattrs.iter().flat_map(|xattr| {
            [
                ("the name of an extended attribute", xattr.name.len(), MAX_NAME),
                ("an extended attribute", xattr.value.len(), MAX_XATTR_VALUE),
            ]
        }));
    for (what, found, limit) in limits {
        if found > limit {
            let (found, limit) = (found as u64, limit as u64);
            return Err(ImportError::TooLarge { path: path.to_string(), what, found, limit });
        }
    }
    if let Some([twice, _]) = meta.xattrs.array_windows().find(|[a, b]| a.name == b.name) {
        let name = twice.name.escape_ascii();
        return Err(conflict(path, format!("has the extended attribute {name} twice")));
    }
    if meta.xattrs.iter().any(|xattr| xattr.name.is_empty() || xattr.name.contains(&0)) {
        return Err(conflict(path, "has an extended attribute without a valid name".into()));
    }
    Ok(meta)
}

/// Refuses what the encoding cannot hold.
fn check_node(path: &TreePath, node: &Node) -> Result<()> {
    match node {
        Node::Object { size, .. } if *size <= MAX_INLINE as u64 => {
            Err(conflict(path, "is too small to be an object".into()))
        }
        Node::Inline(content) if content.len() > MAX_INLINE => {
            Err(conflict(path, "is too large to be inline".into()))
        }
        Node::Symlink(target) if target.is_empty() || target.contains(&0) => {
            Err(conflict(path, "is a symlink to nowhere".into()))
        }
        Node::Symlink(target) if target.len() > MAX_SYMLINK => Err(ImportError::TooLarge {
            path: path.to_string(),
            what: "the target of its symlink",
            found: target.len() as u64,
            limit: MAX_SYMLINK as u64,
        }),
        _ => Ok(()),
    }
}

fn conflict(path: &TreePath, why: String) -> ImportError {
    let path = if path.is_root() { "/".to_owned() } else { path.to_string() };
    ImportError::Conflict { path, why }
}

fn is_below(path: &TreePath, directory: &TreePath) -> bool {
    directory.is_root() && !path.is_root()
        || path
            .as_bytes()
            .strip_prefix(directory.as_bytes())
            .is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// Writing to memory fails only where entries are out of order or not canonical, which the
/// builder excludes.
fn write_ok<T>(result: std::io::Result<T>) -> T {
    result.expect("the builder writes a canonical tree to memory")
}
