//! Entries in any order become one canonical tree.

use proptest::prelude::*;
use upmass_format::tree::{Directory, Meta, MtimePolicy, NORMALISED_MTIME, Node, Xattr};
use upmass_format::{ObjectId, TreePath};
use upmass_import::{ImportError, TreeBuilder};

fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

fn builder() -> TreeBuilder {
    TreeBuilder::new(MtimePolicy::Normalised)
}

fn meta(mode: u16) -> Meta {
    Meta { mode, ..Meta::default() }
}

/// Adds `name/` as a directory, `name=target` as a hardlink, `name` as a file.
fn build(entries: &[&str]) -> Result<TreeBuilder, ImportError> {
    let mut builder = builder();
    for entry in entries {
        match (entry.split_once('='), entry.strip_suffix('/')) {
            (Some((name, target)), _) => builder.link(path(name), &path(target))?,
            (_, Some(name)) => builder.insert(path(name), meta(0o755), Node::Directory)?,
            _ => builder.insert(path(entry), meta(0o644), Node::Inline(b"x".to_vec()))?,
        }
    }
    Ok(builder)
}

#[test]
fn the_order_of_a_tree_is_name_by_name() {
    let tree = build(&["a-b", "a/b", "a/", "a.c", "a/b-"]).unwrap().encode().unwrap();
    let (tree, _) = Directory::read(&tree[..]).unwrap();
    let mut paths = Vec::new();
    tree.walk::<()>(&mut |path, _, _| {
        paths.push(path.to_string());
        Ok(())
    })
    .unwrap();
    assert_eq!(paths, ["a", "a/b", "a/b-", "a-b", "a.c"]);
}

#[test]
fn conflicts_are_refused() {
    let check = |entries: &[&str], expected: &str| {
        let error = build(entries).and_then(|builder| builder.encode()).unwrap_err();
        assert!(error.is_bad_input());
        assert_eq!(error.to_string(), expected);
    };
    check(&["f", "f"], "f occurs twice");
    check(&["d/", "d"], "d occurs twice");
    check(&["", "f"], "/ is the root of the tree, which must be a directory");
    check(&["d/f"], "d/f has no directory d");
    check(&["a/", "a/b/c/f"], "a/b/c/f has no directory a/b");
    check(&["f", "f/g"], "f/g is below f, which is a file");
    check(&["g=f", "f"], "g is a hardlink to f, which does not come before it");
    check(&["d/", "g=d"], "g is a hardlink to the directory d");
    check(&["f", "f=f"], "f occurs twice");
}

#[test]
fn what_no_tree_can_hold_is_refused() {
    let check = |meta: Meta, node: Node, expected: &str| {
        let error = builder().insert(path("f"), meta, node).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let id = ObjectId::from_bytes([1; 32]);
    check(meta(0), Node::Object { size: 64, id }, "f is too small to be an object");
    check(meta(0), Node::Inline(vec![0; 65]), "f is too large to be inline");
    check(meta(0), Node::Symlink(vec![]), "f is a symlink to nowhere");
    check(meta(0), Node::Symlink(b"a\0".to_vec()), "f is a symlink to nowhere");
    check(meta(0), Node::Hardlink(path("g")), "f is a hardlink to g that has no inode");
    let xattr = |name: &str| Xattr { name: name.into(), value: vec![] };
    let with = |xattrs| Meta { xattrs, ..Meta::default() };
    check(
        with(vec![xattr("user.a"), xattr("user.b"), xattr("user.a")]),
        Node::Fifo,
        "f has the extended attribute user.a twice",
    );
    check(with(vec![xattr("")]), Node::Fifo, "f has an extended attribute without a valid name");
    check(
        with(vec![xattr(&"n".repeat(256))]),
        Node::Fifo,
        "f cannot be part of a tree: the name of an extended attribute is 256, the limit is 255",
    );
}

#[test]
fn entries_can_be_looked_at_changed_and_removed() {
    let mut builder = build(&["d/", "d/f", "g=d/f"]).unwrap();
    assert_eq!(builder.files(), (1, 1));
    assert_eq!(builder.missing_parents(&path("d/e/f/g")).unwrap(), [path("d/e"), path("d/e/f")]);
    assert_eq!(builder.missing_parents(&path("x/y/z")).unwrap(), [path("x"), path("x/y")]);
    assert_eq!(builder.missing_parents(&path("d/x")).unwrap(), []);
    let error = builder.remove(&path("d")).unwrap_err();
    assert_eq!(error.to_string(), "d is a directory that holds d/f");
    // One inode, two names.
    assert!(builder.set_meta(&path("g"), meta(0o600)).unwrap());
    assert_eq!(builder.get(&path("d/f")).unwrap().0.mode, 0o600);
    assert!(builder.remove(&path("d/f")).unwrap());
    assert_eq!(builder.get(&path("g")).unwrap().1, &Node::Inline(b"x".to_vec()));
    assert!(builder.remove(&path("d")).unwrap());
    assert!(!builder.remove(&path("d")).unwrap());
    assert!(!builder.set_meta(&path("d"), meta(0)).unwrap());
}

#[test]
fn attributes_become_canonical() {
    let mut builder = TreeBuilder::new(MtimePolicy::Kept);
    let xattr = |name: &str| Xattr { name: name.into(), value: vec![] };
    let symlink = Meta { xattrs: vec![xattr("user.b"), xattr("user.a")], ..meta(0o644) };
    builder.insert(path("s"), symlink, Node::Symlink(b"t".to_vec())).unwrap();
    let (tree, _) = Directory::read(&builder.encode().unwrap()[..]).unwrap();
    match tree.get(&path("s")).unwrap() {
        upmass_format::tree::Child::Leaf(meta, _) => {
            assert_eq!((meta.mode, meta.mtime), (0o777, Some(NORMALISED_MTIME)));
            assert_eq!(meta.xattrs, [xattr("user.a"), xattr("user.b")]);
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    /// Whatever the order of arrival, the bytes are the same and can be read.
    #[test]
    fn any_order_gives_the_same_tree(
        names in prop::collection::btree_set("[a-c.-]{1,2}(/[a-c.-]{1,2}){0,3}", 1..20),
        order in any::<prop::sample::Index>(),
        linked in any::<u64>(),
    ) {
        let names: Vec<TreePath> = names.iter().filter_map(|name| TreePath::new(name.as_str())).collect();
        // What others are below of is a directory.
        let is_directory = |path: &TreePath| {
            let mut prefix = path.as_bytes().to_vec();
            prefix.push(b'/');
            names.iter().any(|other| other.as_bytes().starts_with(&prefix))
        };
        let files: Vec<&TreePath> = names.iter().filter(|name| !is_directory(name)).collect();
        let build = |first: usize| {
            let mut builder = builder();
            let add_parents = |builder: &mut TreeBuilder, path: &TreePath| {
                for missing in builder.missing_parents(path).unwrap() {
                    builder.insert(missing, meta(0o755), Node::Directory).unwrap();
                }
            };
            // The inode that several names share comes from any of them.
            let shared: Vec<&&TreePath> = files.iter().enumerate()
                .filter(|(index, _)| linked >> index & 1 == 1).map(|(_, path)| path).collect();
            let mut rotated = files.clone();
            rotated.rotate_left(first % files.len().max(1));
            let mut inode: Option<TreePath> = None;
            for path in rotated {
                add_parents(&mut builder, path);
                if !shared.contains(&&path) {
                    builder.insert(path.clone(), meta(0o644), Node::Inline(path.as_bytes().to_vec())).unwrap();
                } else if let Some(inode) = &inode {
                    builder.link(path.clone(), inode).unwrap();
                } else {
                    builder.insert(path.clone(), meta(0o600), Node::Fifo).unwrap();
                    inode = Some(path.clone());
                }
            }
            builder.encode().unwrap()
        };
        let expected = build(0);
        prop_assert_eq!(&build(order.index(files.len().max(1))), &expected);
        let (tree, policy) = Directory::read(&expected[..]).unwrap();
        prop_assert_eq!(tree.to_bytes(policy).unwrap(), expected);
    }
}
