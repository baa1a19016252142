//! Trees by hand, releases of them, and reading a directory back.

#![allow(dead_code, reason = "each test file uses some of it")]

pub mod snapshot;

use std::collections::BTreeMap;
use std::path::PathBuf;

use tempfile::TempDir;
use upmass_checkout::{CheckoutError, Options, Report, checkout_system};
use upmass_format::release::{Changes, Component, InstallPath, Release, System};
use upmass_format::tree::{
    Child, Device, Directory, MAX_INLINE, Meta, Mtime, MtimePolicy, NORMALISED_MTIME, Node, Xattr,
};
use upmass_format::{Name, ObjectId, ReleaseId, TreeId, TreePath};
use upmass_store::Store;

/// A store, and a place for targets.
pub struct Fixture {
    pub dir: TempDir,
    pub store: Store,
}

/// A component by its name and install path.
pub struct Part {
    pub name: &'static str,
    pub install: &'static str,
    pub tree: TreeId,
}

impl Fixture {
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let store = Store::open_or_create(&dir.path().join("store")).unwrap();
        Self { dir, store }
    }

    /// The path of a target that does not exist.
    pub fn target(&self) -> PathBuf {
        self.dir.path().join("target")
    }

    pub fn put_tree(&self, tree: &Directory, policy: MtimePolicy) -> TreeId {
        self.store.put(&tree.to_bytes(policy).unwrap()).unwrap().into()
    }

    /// A component without times.
    pub fn part(&self, name: &'static str, install: &'static str, tree: &Directory) -> Part {
        let tree = self.put_tree(tree, MtimePolicy::Normalised);
        Part { name, install, tree }
    }

    /// Records a release of one system that is made of all these.
    pub fn release(&self, mut parts: Vec<Part>) -> ReleaseId {
        parts.sort_by_key(|part| part.name);
        let roots = (0..parts.len()).collect();
        let components = parts.into_iter().map(component).collect();
        let release = release(components, vec![system("main", roots)]);
        self.store.record(&release).unwrap()
    }

    /// A release of one component at `/`.
    pub fn release_of(&self, tree: &Directory) -> ReleaseId {
        self.release(vec![self.part("root", "/", tree)])
    }

    /// Checks out the fallback system with everything kept.
    pub fn checkout(&self, release: ReleaseId) -> Result<Report, CheckoutError> {
        self.checkout_with(release, &Options::default())
    }

    pub fn checkout_with(
        &self,
        release: ReleaseId,
        options: &Options,
    ) -> Result<Report, CheckoutError> {
        let target = self.target();
        checkout_system(&self.store, release, None, &target, options, &mut |_| {})
    }

    /// Checks that a checkout fails with these words and leaves nothing behind.
    pub fn check_refused(&self, release: ReleaseId, expected: &str) {
        let error = self.checkout(release).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(self.names(), ["store"], "nothing is left behind");
    }

    /// The names beside the target, and its own.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = (std::fs::read_dir(self.dir.path()).unwrap())
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The file of an object.
    pub fn object_file(&self, id: ObjectId) -> PathBuf {
        self.store.object_path(id).unwrap()
    }

    /// Content of a file, in the store if it is not small.
    pub fn content(&self, content: &[u8]) -> Node {
        match content.len() <= MAX_INLINE {
            true => Node::Inline(content.to_vec()),
            false => {
                Node::Object { size: content.len() as u64, id: self.store.put(content).unwrap() }
            }
        }
    }
}

pub fn component(part: Part) -> Component {
    Component {
        name: part.name.to_owned(),
        install: InstallPath::new(part.install.as_bytes()).unwrap(),
        references: Vec::new(),
        labels: BTreeMap::new(),
        tree: part.tree,
    }
}

pub fn system(name: &str, roots: Vec<usize>) -> System {
    System {
        name: name.to_owned(),
        labels: BTreeMap::new(),
        roots,
        boot: Vec::new(),
        command_line: String::new(),
        changes: Changes::default(),
    }
}

pub fn release(components: Vec<Component>, systems: Vec<System>) -> Release {
    Release {
        machine: "test".to_owned(),
        counter: 1,
        labels: BTreeMap::new(),
        components,
        systems,
        fallback: 0,
    }
}

/// A directory of mode 0755.
pub fn dir<const N: usize>(children: [(&str, Child); N]) -> Directory {
    let children = children.map(|(name, child)| (self::name(name.as_bytes()), child));
    Directory { meta: mode(0o755), children: children.into_iter().collect() }
}

/// The same as an entry.
pub fn sub<const N: usize>(children: [(&str, Child); N]) -> Child {
    Child::Directory(dir(children))
}

pub fn file(content: &str) -> Child {
    Child::Leaf(mode(0o644), Node::Inline(content.as_bytes().to_vec()))
}

pub fn symlink(target: &str) -> Child {
    Child::Leaf(mode(0o777), Node::Symlink(target.as_bytes().to_vec()))
}

pub fn hardlink(target: &str) -> Child {
    let target = TreePath::new(target).unwrap();
    Child::Leaf(Meta::default(), Node::Hardlink(target))
}

pub fn device(major: u32, minor: u32) -> Device {
    Device { major, minor }
}

pub fn name(bytes: &[u8]) -> Name {
    Name::new(bytes).unwrap()
}

pub fn mode(mode: u16) -> Meta {
    Meta { mode, ..Meta::default() }
}

pub fn xattr(name: &str, value: &[u8]) -> Xattr {
    Xattr { name: name.as_bytes().to_vec(), value: value.to_vec() }
}

/// The tree as it is read back: all times are the normalised one.
pub fn normalised(mut tree: Directory) -> Directory {
    set_mtimes(&mut tree, &mut |meta| meta.mtime = Some(NORMALISED_MTIME));
    tree
}

/// Gives each entry another time.
pub fn with_mtimes(mut tree: Directory) -> Directory {
    let mut seconds = 1_000_000_000;
    set_mtimes(&mut tree, &mut |meta| {
        seconds += 86_399;
        let nanoseconds = seconds as u32 % 1_000_000_000;
        meta.mtime = Some(Mtime { seconds, nanoseconds });
    });
    tree
}

fn set_mtimes(directory: &mut Directory, set: &mut impl FnMut(&mut Meta)) {
    set(&mut directory.meta);
    for child in directory.children.values_mut() {
        match child {
            Child::Directory(directory) => set_mtimes(directory, set),
            Child::Leaf(_, Node::Hardlink(_)) => {}
            Child::Leaf(meta, _) => set(meta),
        }
    }
}
