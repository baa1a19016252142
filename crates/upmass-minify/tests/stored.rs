//! A tree in a store becomes a smaller one.

use upmass_format::tree::{Child, Directory, Meta, MtimePolicy, Node};
use upmass_format::{Name, TreePath};
use upmass_minify::{Level, Options, StoredFiles, minify, minify_tree, prune_tree};
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

#[test]
fn trees_at_several_places_are_one_system() {
    let work = tempfile::tempdir().unwrap();
    let store = Store::open_or_create(&work.path().join("store")).unwrap();
    let mut root = Directory { meta: meta(0o755), ..Directory::default() };
    put(&mut root, "usr/bin/tool", 0o755, Node::Inline(b"#!/usr/bin/sh\n".to_vec()));
    put(&mut root, "usr/bin/sh", 0o755, Node::Inline(b"x".to_vec()));
    put(&mut root, "usr/bin/gone", 0o755, Node::Inline(b"x".to_vec()));
    put(&mut root, "opt/app/hidden", 0o755, Node::Inline(b"/usr/bin/gone\n".to_vec()));
    let database = b"Package: x\nArchitecture: all\n".to_vec();
    put(&mut root, "var/lib/dpkg/status", 0o644, Node::Inline(database));
    let mut app = Directory { meta: meta(0o755), ..Directory::default() };
    put(&mut app, "run", 0o755, Node::Inline(b"#!/usr/bin/sh\ntool\n".to_vec()));
    put(&mut app, "hidden", 0o644, Node::Inline(b"what is seen\n".to_vec()));
    put(&mut app, "a", 0o644, Node::Inline(b"1".to_vec()));
    put(&mut app, "b", 0o644, Node::Hardlink(path("a")));

    let mut files = StoredFiles::empty(&store);
    files.add(&app, b"/opt/app");
    files.add(&root, b"");
    let options = Options { roots: vec!["/opt/app/run".to_owned()], ..Options::default() };
    let minified = minify(&files, &options, &|_| {}).unwrap();
    // What the application needs is in the other tree; what it hides is not looked at.
    assert!(minified.keeps(b"/usr/bin/tool") && minified.keeps(b"/opt/app/hidden"));
    assert!(!minified.keeps(b"/usr/bin/gone"));
    assert_eq!(minified.chain(b"/usr/bin/tool").unwrap()[1].entry.path, b"/opt/app/run");
    let inodes: Vec<_> = minified.entries().filter_map(|(entry, _)| entry.inode).collect();
    assert!(inodes.len() == 2 && inodes[0] == inodes[1], "{inodes:?}");

    let bytes = root.to_bytes(MtimePolicy::Normalised).unwrap();
    let id = store.put(&bytes).unwrap().into();
    let keeps = |path: &TreePath| minified.keeps(&[b"/", path.as_bytes()].concat());
    let (small, policy) = store.tree(prune_tree(&store, id, &keeps).unwrap()).unwrap();
    assert_eq!(policy, MtimePolicy::Normalised);
    assert!(get(&small, "usr/bin/tool").is_some() && get(&small, "usr/bin/gone").is_none());
}
