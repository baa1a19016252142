//! A tree in a store becomes a smaller one.

use upmass_format::tree::{Child, Directory, Meta, MtimePolicy, Node};
use upmass_format::{Name, TreePath};
use upmass_minify::{Level, Options, minify_tree};
use upmass_store::Store;

fn name(text: &str) -> Name {
    Name::new(text.as_bytes().to_vec()).unwrap()
}

fn path(text: &str) -> TreePath {
    TreePath::new(text.as_bytes().to_vec()).unwrap()
}

/// Puts a leaf at a path, with the directories on the way.
fn put(tree: &mut Directory, at: &str, mode: u16, node: Node) {
    let mut here = tree;
    let (directories, last) = at.rsplit_once('/').unwrap_or(("", at));
    for part in directories.split('/').filter(|part| !part.is_empty()) {
        let directory =
            || Child::Directory(Directory { meta: meta(0o755), ..Directory::default() });
        here = match here.children.entry(name(part)).or_insert_with(directory) {
            Child::Directory(directory) => directory,
            Child::Leaf(..) => panic!("{part} is a file"),
        };
    }
    here.children.insert(name(last), Child::Leaf(meta(mode), node));
}

fn meta(mode: u16) -> Meta {
    Meta { mode, ..Meta::default() }
}

fn get<'t>(tree: &'t Directory, at: &str) -> Option<&'t Child> {
    tree.get(&path(at))
}

#[test]
fn what_is_dropped_is_not_in_the_new_tree_and_all_else_is_as_it_was() {
    let work = tempfile::tempdir().unwrap();
    let store = Store::open_or_create(&work.path().join("store")).unwrap();
    let long = [b"#!/usr/bin/sh\n# ", &[b'x'; 100][..], b"\nother\n"].concat();
    let id = store.put(&long).unwrap();
    let mut tree = Directory { meta: meta(0o755), ..Directory::default() };
    let object = Node::Object { size: long.len() as u64, id };
    put(&mut tree, "usr/bin/run", 0o755, object.clone());
    put(&mut tree, "usr/bin/sh", 0o755, Node::Inline(b"x".to_vec()));
    put(&mut tree, "usr/bin/other", 0, Node::Hardlink(path("srv.old/a")));
    put(&mut tree, "usr/bin/other2", 0, Node::Hardlink(path("srv.old/a")));
    put(&mut tree, "srv.old/a", 0o4755, Node::Inline(b"content".to_vec()));
    put(&mut tree, "usr/bin/gone", 0o755, Node::Inline(b"x".to_vec()));
    let database = b"Package: x\nArchitecture: all\n".to_vec();
    put(&mut tree, "var/lib/dpkg/status", 0o644, Node::Inline(database));
    let bytes = tree.to_bytes(MtimePolicy::Normalised).unwrap();
    let before = store.put(&bytes).unwrap().into();

    let options = Options {
        roots: vec!["run".to_owned(), "other2".to_owned()],
        drop: Options::globs(&["/srv.old".to_owned()]).unwrap(),
        ..Options::default()
    };
    let (after, minified) = minify_tree(&store, before, &options, &|_| {}).unwrap();
    let (small, policy) = store.tree(after).unwrap();
    assert_eq!(policy, MtimePolicy::Normalised);
    assert_eq!(get(&small, "usr/bin/run"), Some(&Child::Leaf(meta(0o755), object)));
    assert_eq!(get(&small, "usr/bin/gone"), None);
    assert_eq!(get(&small, "srv.old"), None);
    // The first name of the inode went, so the next one has what it had.
    let first = Child::Leaf(meta(0o4755), Node::Inline(b"content".to_vec()));
    assert_eq!(get(&small, "usr/bin/other"), Some(&first));
    let second = Node::Hardlink(path("usr/bin/other"));
    assert!(
        matches!(get(&small, "usr/bin/other2"), Some(Child::Leaf(_, node)) if *node == second),
        "{:?}",
        get(&small, "usr/bin/other2")
    );
    assert!(minified.keeps(b"/usr/bin/other2") && !minified.keeps(b"/usr/bin/gone"));

    // The old tree is as it was, and the same again gives the same.
    assert_eq!(store.tree(before).unwrap().0, tree);
    assert_eq!(minify_tree(&store, before, &options, &|_| {}).unwrap().0, after);
    let safe = Options { level: Level::Safe, ..Options::default() };
    assert_eq!(minify_tree(&store, before, &safe, &|_| {}).unwrap().0, before);
}
