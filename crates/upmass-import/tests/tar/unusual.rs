//! What is unusual, and imported all the same.

use super::*;

#[test]
fn what_is_unusual_is_imported_with_a_warning() {
    let dir = || Archive::new().directory("./");
    let end = [0; 1024];
    let table: Vec<(Vec<u8>, &[&str], &[&str])> = vec![
        (dir().file("f", b"").end(), &["f"], &[]),
        (
            dir().file("/etc/f", b"").file("//g", b"").end(),
            &["etc", "etc/f", "g"],
            &[
                "directories that the archive lacks were made, with mode 0755 and owner 0:0: etc",
                "paths that begin with / were taken as below the root of the tree: etc/f and 1 more",
            ],
        ),
        (
            dir().file("a/b/c/f", b"").end(),
            &["a", "a/b", "a/b/c", "a/b/c/f"],
            &[
                "directories that the archive lacks were made, with mode 0755 and owner 0:0: a and 2 more",
            ],
        ),
        (
            Archive::new().file("f", b"").end(),
            &["f"],
            &[
                "the archive has no entry for its root directory, which gets mode 0755 and owner 0:0",
            ],
        ),
        (
            vec![0; 10240],
            &[],
            &[
                "the archive has no entry for its root directory, which gets mode 0755 and owner 0:0",
            ],
        ),
        (
            [&dir().0[..], &end[..512]].concat(),
            &[],
            &["the archive ends with one block of zeros instead of two"],
        ),
        (
            [&dir().0[..], &end, b"garbage"].concat(),
            &[],
            &["data behind the end of the archive was ignored, as tar does"],
        ),
        (
            filter("gzip", &[], &dir().0),
            &[],
            &["the archive has no mark of its end, two blocks of zeros"],
        ),
        (
            dir().entry(&Header::new(b'V', "volume", 0), b"").end(),
            &[],
            &["the name of the volume in the archive was ignored"],
        ),
        (
            dir().extended(b'x', &record("SCHILY.acl.access", "user::rwx")).file("f", b"").end(),
            &["f"],
            &[
                "access lists (SCHILY.acl) are not imported; import the directory itself to keep them: f",
            ],
        ),
        (
            dir().extended(b'x', &record("LIBARCHIVE.xattr.user.a", "YQ")).file("f", b"").end(),
            &["f"],
            &[
                "extended attributes that only libarchive reads (LIBARCHIVE.xattr) are not imported: f",
            ],
        ),
        (
            dir()
                .extended(b'x', &record("SCHILY.xattr.btrfs.compression", "zstd"))
                .file("f", b"")
                .end(),
            &["f"],
            &[
                "extended attributes that belong to a file system were left out: btrfs.compression of f",
            ],
        ),
    ];
    let store = memory_store();
    for (archive, paths, warnings) in table {
        let imported = import_archive(&store, &archive).unwrap();
        assert_eq!(imported.warnings, warnings);
        assert_eq!(self::paths(&tree(&store, imported.tree)), paths);
    }
}

#[test]
fn the_last_of_several_entries_of_a_path_stays() {
    let store = memory_store();
    let archive = Archive::new()
        .directory("./")
        .file("f", b"old")
        .entry(&Header::link(b'1', "g", "f"), b"")
        .file("./f", b"new")
        .directory("d")
        .entry(&Header { mode: b"0000700".to_vec(), ..Header::new(b'5', "d/", 0) }, b"")
        .directory("e")
        .entry(&Header::link(b'2', "e", "d"), b"")
        .entry(&Header::link(b'2', "s", "d"), b"")
        .directory("s")
        .entry(&Header::link(b'1', "g", "g"), b"");
    let imported = import_archive(&store, &archive.end()).unwrap();
    let tree = tree(&store, imported.tree);
    let leaf = |path| match entry(&tree, path) {
        Child::Leaf(_, node) => node.clone(),
        Child::Directory(directory) => panic!("{path}: {directory:?}"),
    };
    assert_eq!(leaf("f"), Node::Inline(b"new".to_vec()));
    assert_eq!(leaf("g"), Node::Inline(b"old".to_vec()));
    assert_eq!(leaf("e"), Node::Symlink(b"d".to_vec()));
    assert!(matches!(entry(&tree, "s"), Child::Directory(_)));
    assert!(matches!(entry(&tree, "d"), Child::Directory(d) if d.meta.mode == 0o700));
    assert_eq!((imported.files, imported.bytes), (2, 6));
}

#[test]
fn old_and_odd_headers_are_read() {
    let store = memory_store();
    let check = |archive: Archive, path: &str, expected: Node| {
        let imported = import_archive(&store, &archive.end()).unwrap();
        match entry(&tree(&store, imported.tree), path) {
            Child::Leaf(_, node) => assert_eq!(*node, expected, "{path}"),
            Child::Directory(_) => assert_eq!(Node::Directory, expected, "{path}"),
        }
    };
    let x = || Node::Inline(b"x".to_vec());
    let new = Archive::new;
    let header = |tag, name: &str| Header::new(tag, name, 1);
    // Version 7: no magic, and what looks like a prefix is none.
    let v7 = Header { magic: [0; 8], prefix: b"no".to_vec(), ..header(0, "f") };
    check(new().entry(&v7, b"x"), "f", x());
    let directory = Header { magic: [0; 8], ..Header::new(0, "d/", 0) };
    check(new().entry(&directory, b""), "d", Node::Directory);
    // POSIX: a prefix. GNU: times in its place.
    let prefix = b"long/prefix".to_vec();
    check(
        new().entry(&Header { prefix: prefix.clone(), ..header(b'0', "f") }, b"x"),
        "long/prefix/f",
        x(),
    );
    let gnu = Header { prefix, magic: *b"ustar  \0", ..header(b'0', "f") };
    check(new().entry(&gnu, b"x"), "f", x());
    // star: times behind a shorter prefix.
    let change: fn(&mut [u8; 512]) = |block| {
        block[476..500].copy_from_slice(b"14371573600 14371573600 ");
        block[508..512].copy_from_slice(b"tar\0");
    };
    let star = Header { prefix: b"p".to_vec(), change, ..header(b'0', "f") };
    check(new().entry(&star, b"x"), "p/f", x());
    // A name that fills its field, contiguous files, type bits in the mode.
    check(new().entry(&header(b'0', &"n".repeat(100)), b"x"), &"n".repeat(100), x());
    check(new().entry(&header(b'7', "f"), b"x"), "f", x());
    check(new().entry(&Header { mode: b"0100644".to_vec(), ..header(b'0', "f") }, b"x"), "f", x());
    // GNU's long names and links, with and without a NUL.
    let long = "l".repeat(200);
    let name = Header::new(b'L', "././@LongLink", 201);
    check(new().entry(&name, format!("{long}\0").as_bytes()).file("cut", b"x"), &long, x());
    let target = Header::new(b'K', "././@LongLink", 200);
    let link = Header::link(b'2', "s", "cut");
    check(
        new().entry(&target, long.as_bytes()).entry(&link, b""),
        "s",
        Node::Symlink(long.clone().into_bytes()),
    );
    // Records that are taken back, for one entry and for all.
    let records = [record("path", "wrong"), record("path", "")].concat();
    check(new().extended(b'x', &records).file("f", b"x"), "f", x());
    check(new().extended(b'g', &record("comment", "0a1b2c")).file("f", b"x"), "f", x());
}

#[test]
fn records_for_all_entries_hold_until_they_are_replaced() {
    let store = memory_store();
    let archive = Archive::new()
        .extended(b'g', &record("uid", "7"))
        .file("a", b"")
        .extended(b'x', &record("uid", "8"))
        .file("b", b"")
        .file("c", b"")
        .extended(b'g', &record("uid", ""))
        .file("d", b"");
    let tree = tree(&store, import_archive(&store, &archive.end()).unwrap().tree);
    let uid = |path| match entry(&tree, path) {
        Child::Leaf(meta, _) => meta.uid,
        Child::Directory(_) => panic!("{path} is no file"),
    };
    assert_eq!(["a", "b", "c", "d"].map(uid), [7, 8, 7, 0]);
}

#[test]
fn labels_of_selinux_are_read_in_both_forms() {
    let store = memory_store();
    let label = |records: &[Vec<u8>]| {
        let archive = Archive::new().extended(b'x', &records.concat()).file("f", b"").end();
        let tree = tree(&store, import_archive(&store, &archive).unwrap().tree);
        match entry(&tree, "f") {
            Child::Leaf(meta, _) => meta.xattrs.clone(),
            Child::Directory(_) => panic!("f is no file"),
        }
    };
    let plain = record("RHT.security.selinux", "a:b:c");
    let attribute = record("SCHILY.xattr.security.selinux", "a:b:c\0");
    let [only] = &label(std::slice::from_ref(&plain))[..] else { panic!("no label") };
    assert_eq!((&only.name[..], &only.value[..]), (&b"security.selinux"[..], &b"a:b:c\0"[..]));
    let only = std::slice::from_ref(only);
    assert_eq!(label(std::slice::from_ref(&attribute)), only);
    assert_eq!(label(&[plain, attribute]), only);
}

#[test]
fn negative_times_are_kept() {
    let store = memory_store();
    let options = ImportOptions { mtimes: MtimePolicy::Kept, ..ImportOptions::default() };
    let change: fn(&mut [u8; 512]) = |block| block[136..148].copy_from_slice(&[0xff; 12]);
    let archive = Archive::new()
        .entry(&Header { change, ..Header::new(b'0', "a", 0) }, b"")
        .extended(b'x', &record("mtime", "-1.25"))
        .file("b", b"");
    let imported = import_archive_with(&store, &archive.end(), &options).unwrap();
    let tree = tree(&store, imported.tree);
    let time = |path| match entry(&tree, path) {
        Child::Leaf(meta, _) => meta.mtime.map(|time| (time.seconds, time.nanoseconds)),
        Child::Directory(_) => panic!("{path} is no file"),
    };
    assert_eq!(["a", "b"].map(time), [Some((-1, 0)), Some((-2, 750_000_000))]);
}
