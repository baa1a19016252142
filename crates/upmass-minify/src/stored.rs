//! A tree of a store as a tree of files, and the smaller tree that is made of it.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use upmass_format::tree::{Child, Directory, Meta, Node};
use upmass_format::{ObjectId, TreeId, TreePath};
use upmass_store::Store;

use crate::{Entry, Files, Kind, Minified, MinifyError, Options, Result, minify};

/// A tree of a store. Only metadata is in memory.
pub struct StoredFiles<'s> {
    store: &'s Store,
    entries: Vec<Entry>,
    contents: HashMap<Vec<u8>, Content>,
}

enum Content {
    Object(ObjectId),
    Inline(Vec<u8>),
}

impl<'s> StoredFiles<'s> {
    /// Takes a tree that was read from `store`.
    pub fn new(store: &'s Store, tree: &Directory) -> Self {
        let mut files = Self { store, entries: Vec::new(), contents: HashMap::new() };
        let mut inodes: HashMap<TreePath, u64> = HashMap::new();
        let infallible = tree.walk(&mut |_, _, node| {
            if let Node::Hardlink(first) = node {
                let next = inodes.len() as u64;
                inodes.entry(first.clone()).or_insert(next);
            }
            Ok::<(), std::convert::Infallible>(())
        });
        let Ok(()) = infallible;
        let infallible = tree.walk(&mut |path, meta, node| {
            files.add(tree, path, meta, node, &inodes);
            Ok::<(), std::convert::Infallible>(())
        });
        let Ok(()) = infallible;
        files
    }

    fn add(
        &mut self,
        tree: &Directory,
        path: &TreePath,
        meta: &Meta,
        node: &Node,
        inodes: &HashMap<TreePath, u64>,
    ) {
        let absolute = [b"/", path.as_bytes()].concat();
        let (first, meta, node) = match node {
            Node::Hardlink(first) => match tree.get(first) {
                Some(Child::Leaf(meta, node)) => (first, meta, node),
                // Reading a tree refuses such a link.
                _ => return,
            },
            node => (path, meta, node),
        };
        let kind = match node {
            Node::Directory => Kind::Directory,
            Node::Symlink(target) => Kind::Symlink(target.clone()),
            Node::Object { size, id } => {
                self.contents.insert(absolute.clone(), Content::Object(*id));
                Kind::File { size: *size }
            }
            Node::Inline(content) => {
                self.contents.insert(absolute.clone(), Content::Inline(content.clone()));
                Kind::File { size: content.len() as u64 }
            }
            _ => Kind::Other,
        };
        let inode = inodes.get(first).copied();
        self.entries.push(Entry { path: absolute, kind, mode: meta.mode, inode });
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
    let (mut directory, mtimes) = store.tree(tree)?;
    let minified = minify(&StoredFiles::new(store, &directory), options, progress)?;
    keep_names_of_inodes(&mut directory, &minified);
    prune(&mut directory, &mut Vec::new(), &minified);
    let bytes = directory.to_bytes(mtimes);
    let bytes = bytes.map_err(|error| MinifyError::read("encode the tree of", b"/", error))?;
    Ok((store.put(&bytes)?.into(), minified))
}

/// Where the first name of an inode goes and another stays, that one has the content from now on.
fn keep_names_of_inodes(tree: &mut Directory, minified: &Minified) {
    let mut links: BTreeMap<TreePath, Vec<TreePath>> = BTreeMap::new();
    let walked = tree.walk(&mut |path, _, node| {
        if let Node::Hardlink(first) = node
            && !keeps(minified, first)
            && keeps(minified, path)
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

fn keeps(minified: &Minified, path: &TreePath) -> bool {
    minified.keeps(&[b"/", path.as_bytes()].concat())
}

fn prune(directory: &mut Directory, here: &mut Vec<u8>, minified: &Minified) {
    directory.children.retain(|name, child| {
        let len = here.len();
        here.push(b'/');
        here.extend_from_slice(name.as_bytes());
        let keeps = minified.keeps(here);
        if let Child::Directory(below) = child
            && keeps
        {
            prune(below, here, minified);
        }
        here.truncate(len);
        keeps
    });
}
