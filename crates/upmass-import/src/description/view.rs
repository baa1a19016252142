//! The files of a system as it runs: its components, each at its install path.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io::Read;
use std::rc::Rc;

use upmass_format::release::Release;
use upmass_format::tree::{Child, Directory, Node};
use upmass_format::{Name, TreeId, TreePath};
use upmass_store::{Store, StoreError};

use super::glob::{Part, PathPattern};

/// Trees that were read, shared by the views of all systems.
pub(super) struct Trees<'a> {
    store: &'a Store,
    read: RefCell<HashMap<TreeId, Rc<Directory>>>,
}

/// Some components of a release.
pub(super) struct View<'a> {
    trees: &'a Trees<'a>,
    release: &'a Release,
    /// Indexes into the components of the release, the deepest install path first: what is
    /// installed below hides what is there.
    members: Vec<usize>,
}

/// What a path leads to, after all links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Directory(TreePath),
    File {
        /// Index into the components of the release.
        component: usize,
        /// In the tree of the component.
        path: TreePath,
    },
    /// Something else, named with its article.
    Other(&'static str),
    /// A link leads to a path that is not there.
    Missing(TreePath),
    TooManyLinks,
}

/// What matches a pattern: the path as it is written, and what it leads to.
pub(super) type Matches = Vec<(TreePath, Found)>;

/// One step, links not followed.
enum Here {
    Directory,
    File { component: usize, path: TreePath },
    Symlink(Vec<u8>),
    Other(&'static str),
}

impl<'a> Trees<'a> {
    pub(super) fn new(store: &'a Store) -> Self {
        Self { store, read: RefCell::default() }
    }

    pub(super) fn store(&self) -> &'a Store {
        self.store
    }

    pub(super) fn get(&self, id: TreeId) -> Result<Rc<Directory>, StoreError> {
        if let Some(tree) = self.read.borrow().get(&id) {
            return Ok(tree.clone());
        }
        let tree = Rc::new(self.store.tree(id)?.0);
        self.read.borrow_mut().insert(id, tree.clone());
        Ok(tree)
    }
}

impl<'a> View<'a> {
    pub(super) fn new(trees: &'a Trees<'a>, release: &'a Release, mut members: Vec<usize>) -> Self {
        let depth = |index: &usize| release.components[*index].install.tree_path().names().count();
        members.sort_by_key(|index| std::cmp::Reverse(depth(index)));
        Self { trees, release, members }
    }

    /// What matches a pattern. Where nothing does, the directory that exists and in which the
    /// next part of the pattern matches nothing.
    pub(super) fn find(
        &self,
        pattern: &PathPattern,
    ) -> Result<Result<Matches, TreePath>, StoreError> {
        let (last, above) = pattern.parts().split_last().expect("a pattern has parts");
        // Paths as written and as they are.
        let mut here = vec![(TreePath::root(), TreePath::root())];
        for part in above {
            let mut next = Vec::new();
            for (written, found) in self.matching(&here, part)? {
                if let Found::Directory(real) = found {
                    next.push((written, real));
                }
            }
            if next.is_empty() {
                return Ok(Err(first(here)));
            }
            here = next;
        }
        let matches = self.matching(&here, last)?;
        Ok(if matches.is_empty() { Err(first(here)) } else { Ok(matches) })
    }

    /// The names in a directory.
    pub(super) fn names(&self, directory: &TreePath) -> Result<BTreeSet<Name>, StoreError> {
        let mut names = BTreeSet::new();
        for index in &self.members {
            let component = &self.release.components[*index];
            let install = component.install.tree_path();
            if let Some(rest) = below(directory, install) {
                let tree = self.trees.get(component.tree)?;
                if let Some(directory) = sub_directory(&tree, &rest) {
                    names.extend(directory.children.keys().cloned());
                }
            } else if let Some(rest) = below(install, directory) {
                let name = rest.names().next().expect("a path below another has a name");
                names.extend(Name::new(name));
            }
        }
        Ok(names)
    }

    /// The content of a file, all links followed. `None` where there is none.
    pub(super) fn content(&self, path: &TreePath, limit: u64) -> Result<Option<Vec<u8>>, Unread> {
        let Found::File { component, path } = self.follow(path)? else { return Ok(None) };
        let tree = self.trees.get(self.release.components[component].tree)?;
        match tree.get(&path) {
            Some(Child::Leaf(_, Node::Inline(content))) => Ok(Some(content.clone())),
            Some(Child::Leaf(_, Node::Object { id, size })) if *size <= limit => {
                let mut content = Vec::new();
                let mut object = self.trees.store.object_reader(*id)?;
                object.read_to_end(&mut content).map_err(Unread::Io)?;
                Ok(Some(content))
            }
            Some(Child::Leaf(_, Node::Object { size, .. })) => Err(Unread::TooLong(*size)),
            _ => Ok(None),
        }
    }

    fn matching(
        &self,
        directories: &[(TreePath, TreePath)],
        part: &Part,
    ) -> Result<Matches, StoreError> {
        let mut matches = Vec::new();
        for (written, real) in directories {
            let names = match part {
                Part::Literal(name) => BTreeSet::from([name.clone()]),
                Part::Wild(_) => self.names(real)?,
            };
            for name in names.iter().filter(|name| part.matches(name)) {
                let (Some(path), Some(written)) = (real.join(name), written.join(name)) else {
                    continue;
                };
                if self.at(&path)?.is_some() {
                    matches.push((written, self.follow(&path)?));
                }
            }
        }
        Ok(matches)
    }

    /// Follows all links on the way to a path and at its end.
    fn follow(&self, path: &TreePath) -> Result<Found, StoreError> {
        let mut left: VecDeque<Vec<u8>> = path.names().map(<[u8]>::to_vec).collect();
        let mut here = TreePath::root();
        let mut links = 0;
        while let Some(name) = left.pop_front() {
            if name == b".." {
                here = here.split_last().map_or(TreePath::root(), |(parent, _)| parent);
                continue;
            }
            let Some(next) = Name::new(name).and_then(|name| here.join(&name)) else {
                return Ok(Found::Missing(here));
            };
            match self.at(&next)? {
                None => return Ok(Found::Missing(next)),
                Some(Here::Directory) => here = next,
                Some(Here::Symlink(target)) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Ok(Found::TooManyLinks);
                    }
                    if target.starts_with(b"/") {
                        here = TreePath::root();
                    }
                    let names = target.split(|byte| *byte == b'/');
                    let names = names.filter(|name| !name.is_empty() && *name != b".");
                    for name in names.rev() {
                        left.push_front(name.to_vec());
                    }
                }
                Some(_) if !left.is_empty() => return Ok(Found::Missing(next)),
                Some(Here::File { component, path }) => return Ok(Found::File { component, path }),
                Some(Here::Other(what)) => return Ok(Found::Other(what)),
            }
        }
        Ok(Found::Directory(here))
    }

    fn at(&self, path: &TreePath) -> Result<Option<Here>, StoreError> {
        for index in &self.members {
            let component = &self.release.components[*index];
            let install = component.install.tree_path();
            if let Some(rest) = below(path, install) {
                let tree = self.trees.get(component.tree)?;
                if let Some(here) = in_tree(&tree, *index, rest) {
                    return Ok(Some(here));
                }
            } else if below(install, path).is_some() {
                return Ok(Some(Here::Directory));
            }
        }
        Ok(None)
    }
}

/// Why the content of a file is not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("read an object: {0}")]
    Io(std::io::Error),
    #[error("a file of it has {0} bytes, which is too long")]
    TooLong(u64),
}

fn in_tree(tree: &Directory, component: usize, path: TreePath) -> Option<Here> {
    if path.is_root() {
        return Some(Here::Directory);
    }
    Some(match tree.get(&path)? {
        Child::Directory(_) => Here::Directory,
        Child::Leaf(_, Node::Symlink(target)) => Here::Symlink(target.clone()),
        Child::Leaf(_, Node::Hardlink(first)) => return in_tree(tree, component, first.clone()),
        Child::Leaf(_, Node::Object { .. } | Node::Inline(_)) => Here::File { component, path },
        Child::Leaf(_, other) => Here::Other(crate::builder::describe(other)),
    })
}

fn sub_directory<'t>(tree: &'t Directory, path: &TreePath) -> Option<&'t Directory> {
    if path.is_root() {
        return Some(tree);
    }
    match tree.get(path)? {
        Child::Directory(directory) => Some(directory),
        Child::Leaf(..) => None,
    }
}

/// The rest of a path that is `directory` or lies below it.
fn below(path: &TreePath, directory: &TreePath) -> Option<TreePath> {
    let rest = path.as_bytes().strip_prefix(directory.as_bytes())?;
    let rest = match rest.strip_prefix(b"/") {
        Some(rest) => rest,
        None if directory.is_root() || rest.is_empty() => rest,
        None => return None,
    };
    TreePath::new(rest)
}

fn first(directories: Vec<(TreePath, TreePath)>) -> TreePath {
    directories.into_iter().next().map(|(written, _)| written).unwrap_or_default()
}

/// As many as Linux follows.
const MAX_LINKS: usize = 40;
