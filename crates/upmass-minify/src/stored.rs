//! A tree of a store as a tree of files, and the smaller tree that is made of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;

use upmass_format::tree::{Child, Directory, Meta, MtimePolicy, Node};
use upmass_format::{ObjectId, TreeId, TreePath};
use upmass_store::Store;

use crate::{Entry, Files, Kind, Minified, MinifyError, Options, Result, minify};

/// Trees of a store, each at its place. Only metadata is in memory.
pub struct StoredFiles<'s> {
    store: &'s Store,
    entries: Vec<Entry>,
    contents: HashMap<Vec<u8>, Content>,
    /// All paths.
    seen: HashSet<Vec<u8>>,
    /// How many inodes have several names.
    inodes: u64,
}

enum Content {
    Object(ObjectId),
    Inline(Vec<u8>),
}

impl<'s> StoredFiles<'s> {
    /// Takes a tree that was read from `store`.
    pub fn new(store: &'s Store, tree: &Directory) -> Self {
        let mut files = Self::empty(store);
        files.add(tree, b"");
        files
    }

    /// No files yet.
    pub fn empty(store: &'s Store) -> Self {
        Self {
            store,
            entries: Vec::new(),
            contents: HashMap::new(),
            seen: HashSet::new(),
            inodes: 0,
        }
    }

    /// Adds a tree at a directory: an absolute path without a slash at its end, empty for the
    /// root. What is there already stays, so the tree that hides others comes first.
    pub fn add(&mut self, tree: &Directory, at: &[u8]) {
        let mut parent = at;
        while !parent.is_empty() {
            self.entry(Entry {
                path: parent.to_vec(),
                kind: Kind::Directory,
                mode: 0o755,
                inode: None,
            });
            parent = crate::files::parent_of(parent);
        }
        let mut inodes: HashMap<TreePath, u64> = HashMap::new();
        let infallible = tree.walk(&mut |_, _, node| {
            if let Node::Hardlink(first) = node {
                let next = self.inodes + inodes.len() as u64;
                inodes.entry(first.clone()).or_insert(next);
            }
            Ok::<(), std::convert::Infallible>(())
        });
        let Ok(()) = infallible;
        self.inodes += inodes.len() as u64;
        let infallible = tree.walk(&mut |path, meta, node| {
            self.add_node(tree, at, path, meta, node, &inodes);
            Ok::<(), std::convert::Infallible>(())
        });
        let Ok(()) = infallible;
    }

    fn add_node(
        &mut self,
        tree: &Directory,
        at: &[u8],
        path: &TreePath,
        meta: &Meta,
        node: &Node,
        inodes: &HashMap<TreePath, u64>,
    ) {
        let absolute = [at, b"/", path.as_bytes()].concat();
        let (first, meta, node) = match node {
            Node::Hardlink(first) => match tree.get(first) {
                Some(Child::Leaf(meta, node)) => (first, meta, node),
                // Reading a tree refuses such a link.
                _ => return,
            },
            node => (path, meta, node),
        };
        let (kind, content) = match node {
            Node::Directory => (Kind::Directory, None),
            Node::Symlink(target) => (Kind::Symlink(target.clone()), None),
            Node::Object { size, id } => (Kind::File { size: *size }, Some(Content::Object(*id))),
            Node::Inline(content) => {
                let size = content.len() as u64;
                (Kind::File { size }, Some(Content::Inline(content.clone())))
            }
            _ => (Kind::Other, None),
        };
        let inode = inodes.get(first).copied();
        let path = absolute.clone();
        let is_new = self.entry(Entry { path, kind, mode: meta.mode, inode });
        if let (true, Some(content)) = (is_new, content) {
            self.contents.insert(absolute, content);
        }
    }

    /// Adds an entry, unless its path has one.
    fn entry(&mut self, entry: Entry) -> bool {
        let is_new = self.seen.insert(entry.path.clone());
        if is_new {
            self.entries.push(entry);
        }
        is_new
    }
}

impl Files for StoredFiles<'_> {
    fn entries(&self) -> Result<Vec<Entry>> {
        Ok(self.entries.clone())
    }

    fn read(&self, path: &[u8], limit: u64) -> Result<Vec<u8>> {
        match self.contents.get(path) {
            None => Ok(Vec::new()),
            Some(Content::Inline(content)) => {
                Ok(content[..content.len().min(limit as usize)].to_vec())
            }
            Some(Content::Object(id)) => {
                let mut content = Vec::new();
                let mut reader = self.store.object_reader(*id)?.take(limit);
                let read = reader.read_to_end(&mut content);
                read.map_err(|error| MinifyError::read("read", path, error))?;
                Ok(content)
            }
        }
    }
}

/// Makes the smaller tree of one in the store. The new tree is durable on return; nothing of the
/// store changes otherwise, and the caller records what needs the tree. `progress` is told the
/// bytes that were looked at.
///
/// # Errors
/// As [`minify`], and what the store cannot do.
pub fn minify_tree(
    store: &Store,
    tree: TreeId,
    options: &Options,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(TreeId, Minified)> {
    let (directory, mtimes) = store.tree(tree)?;
    let minified = minify(&StoredFiles::new(store, &directory), options, progress)?;
    let keeps = |path: &TreePath| minified.keeps(&[b"/", path.as_bytes()].concat());
    Ok((put_pruned(store, directory, mtimes, &keeps)?, minified))
}

/// Makes the smaller tree of one in the store: what `keeps` says no to goes, with all below it.
/// The new tree is durable on return, as with [`minify_tree`].
///
/// # Errors
/// What the store cannot do.
pub fn prune_tree(
    store: &Store,
    tree: TreeId,
    keeps: &dyn Fn(&TreePath) -> bool,
) -> Result<TreeId> {
    let (directory, mtimes) = store.tree(tree)?;
    put_pruned(store, directory, mtimes, keeps)
}

fn put_pruned(
    store: &Store,
    mut directory: Directory,
    mtimes: MtimePolicy,
    keeps: &dyn Fn(&TreePath) -> bool,
) -> Result<TreeId> {
    keep_names_of_inodes(&mut directory, keeps);
    prune(&mut directory, &TreePath::root(), keeps);
    let bytes = directory.to_bytes(mtimes);
    let bytes = bytes.map_err(|error| MinifyError::read("encode the tree of", b"/", error))?;
    Ok(store.put(&bytes)?.into())
}

/// Where the first name of an inode goes and another stays, that one has the content from now on.
fn keep_names_of_inodes(tree: &mut Directory, keeps: &dyn Fn(&TreePath) -> bool) {
    let mut links: BTreeMap<TreePath, Vec<TreePath>> = BTreeMap::new();
    let walked = tree.walk(&mut |path, _, node| {
        if let Node::Hardlink(first) = node
            && !keeps(first)
            && keeps(path)
        {
            links.entry(first.clone()).or_default().push(path.clone());
        }
        Ok::<(), std::convert::Infallible>(())
    });
    let Ok(()) = walked;
    for (first, names) in links {
        let Some(Child::Leaf(meta, node)) = tree.get(&first).cloned() else { continue };
        // The order of the walk is that of the encoding, so the first one comes first there.
        let mut names = names.into_iter();
        let Some(heir) = names.next() else { continue };
        for name in names {
            replace(tree, &name, Child::Leaf(meta.clone(), Node::Hardlink(heir.clone())));
        }
        replace(tree, &heir, Child::Leaf(meta, node));
    }
}

fn replace(tree: &mut Directory, path: &TreePath, child: Child) {
    let Some((parent, name)) = path.split_last() else { return };
    let mut here = tree;
    for name in parent.names() {
        let next = upmass_format::Name::new(name).and_then(|name| here.children.get_mut(&name));
        match next {
            Some(Child::Directory(directory)) => here = directory,
            _ => return,
        }
    }
    here.children.insert(name, child);
}

fn prune(directory: &mut Directory, here: &TreePath, keeps: &dyn Fn(&TreePath) -> bool) {
    directory.children.retain(|name, child| {
        // A path that is too long for a tree is not in one.
        let Some(path) = here.join(name) else { return false };
        let stays = keeps(&path);
        if let (true, Child::Directory(below)) = (stays, child) {
            prune(below, &path, keeps);
        }
        stays
    });
}
