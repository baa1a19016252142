//! What is particular to importing an archive, good or hostile.

mod support;

use std::io::Read;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use support::{
    Archive, Header, Place, entry, filter, import_archive, import_archive_with, memory_store,
    record, tar, tree, write,
};
use upmass_format::tree::{Child, Directory, MtimePolicy, Node};
use upmass_format::{ObjectHasher, TreePath};
use upmass_import::{ImportError, ImportOptions, TarSource, import_tar, import_tar_stream};
use upmass_store::Store;

#[test]
fn what_is_wrong_with_an_archive_is_one_clear_sentence() {
    let dir = || Archive::new().directory("./");
    let two = |first: Vec<u8>, second: Vec<u8>| [first, second].concat();
    let sparse_1_0 = |map: &[u8], size: &str| {
        let keys = [
            record("GNU.sparse.major", "1"),
            record("GNU.sparse.minor", "0"),
            record("GNU.sparse.name", "s"),
            record("GNU.sparse.realsize", size),
        ];
        let mut content = map.to_vec();
        content.resize(content.len().next_multiple_of(512), 0);
        content.extend_from_slice(b"data");
        dir().extended(b'x', &keys.concat()).file("GNUSparseFile.1/s", content).end()
    };
    let old_sparse = |change| {
        let header = Header { change, magic: *b"ustar  \0", ..Header::new(b'S', "s", 4) };
        dir().entry(&header, b"data").end()
    };
    let table: Vec<(Vec<u8>, &str)> = vec![
        // No archive.
        (vec![], "test.tar at byte 0: it is empty: expected a tar archive"),
        (
            vec![b'x'; 4096],
            "test.tar at byte 0: it is not a tar archive: expected a tar header, or gzip, xz or zstd around one",
        ),
        (
            b"short".to_vec(),
            "test.tar at byte 0: it ends inside a header: it was cut short, copy it again",
        ),
        (
            b"BZh91AY&SY....".to_vec(),
            "test.tar at byte 0: it is compressed with bzip2: expected gzip, xz, zstd or nothing; compress it anew",
        ),
        (
            dir().0,
            "test.tar at byte 512: it has no mark of its end, two blocks of zeros: it may have been cut short; copy it again, or add the mark where it is known to be whole",
        ),
        (
            two(two(dir().0, vec![0; 512]), Archive::new().file("f", b"").end()),
            "test.tar at byte 512: a single block of zeros is between its entries: expected two at the end only",
        ),
        (
            two(dir().0, vec![1; 512]),
            "test.tar at byte 512: its header is damaged: expected the checksum 1370, found \\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01",
        ),
        // Paths.
        (
            dir().file("../f", b"").end(),
            "test.tar at byte 512, entry ../f: its path has the part \"..\", which could lead out of the tree",
        ),
        (
            dir().file("a/../../f", b"").end(),
            "test.tar at byte 512, entry a/../../f: its path has the part \"..\", which could lead out of the tree",
        ),
        (
            dir().entry(&Header::link(b'1', "f", "../../etc/passwd"), b"").end(),
            "test.tar at byte 512, entry f: its hardlink target has the part \"..\", which could lead out of the tree",
        ),
        (
            dir().extended(b'x', &record("path", b"a\0b")).file("f", b"").end(),
            "test.tar at byte 512, entry a\\0b: its path is not a valid path: it has a byte 0",
        ),
        (
            dir().extended(b'x', &record("path", [b'n'; 256])).file("f", b"").end(),
            "its name has 256 bytes: expected at most 255",
        ),
        (
            dir().extended(b'x', &record("path", b"n/".repeat(2049))).file("f", b"").end(),
            "its path has 4097 bytes: expected at most 4095",
        ),
        (
            Archive::new().file("./", b"x").end(),
            "test.tar at byte 0, entry ./: it is a directory and has 1 bytes of content: expected none",
        ),
        (
            Archive::new().file(".", b"x").end(),
            "test.tar at byte 0, entry .: it stands for the root of the tree and is a file: expected a directory",
        ),
        // Links.
        (
            dir().entry(&Header::link(b'2', "bin", "/etc"), b"").file("bin/passwd", b"x").end(),
            "bin/passwd is below bin, which is a symlink",
        ),
        (dir().file("f", b"").file("f/g", b"").end(), "f/g is below f, which is a file"),
        (
            dir().entry(&Header::link(b'1', "g", "f"), b"").end(),
            "g is a hardlink to f, which does not come before it",
        ),
        (
            dir().entry(&Header::link(b'1', "g", "g"), b"").end(),
            "g is a hardlink to g, which does not come before it",
        ),
        (
            dir().directory("d").entry(&Header::link(b'1', "g", "d"), b"").end(),
            "g is a hardlink to the directory d",
        ),
        (dir().entry(&Header::link(b'2', "f", ""), b"").end(), "f is a symlink to nowhere"),
        (
            dir()
                .extended(b'x', &record("linkpath", [b't'; 5000]))
                .entry(&Header::link(b'2', "f", "t"), b"")
                .end(),
            "f cannot be part of a tree: the target of its symlink is 5000, the limit is 4095",
        ),
        // Conflicts.
        (
            dir().directory("d").file("d/f", b"").file("d", b"").end(),
            "d is a directory that holds d/f",
        ),
        // What is no root file system.
        (
            dir().file("etc/.wh.passwd", b"").end(),
            "test.tar at byte 512, entry etc/.wh.passwd: it deletes a file of another layer: this is a layer of an OCI image, import the image instead",
        ),
        (
            dir().file("etc/.wh..wh..opq", b"").end(),
            "test.tar at byte 512, entry etc/.wh..wh..opq: it deletes a file of another layer: this is a layer of an OCI image, import the image instead",
        ),
        (
            dir().entry(&Header::new(b'M', "f", 0), b"").end(),
            "test.tar at byte 512, entry f: it has the type 'M', the rest of a file from another volume: make the archive anew without it",
        ),
        (
            dir().entry(&Header::new(b'?', "f", 0), b"").end(),
            "test.tar at byte 512, entry f: it has the type '?', which upmass does not know: make the archive anew without it",
        ),
        (
            dir().entry(&Header::new(b'6', "f", 3), b"abc").end(),
            "test.tar at byte 512, entry f: it is a named pipe and has 3 bytes of content: expected none",
        ),
        // Numbers.
        (
            dir().entry(&Header { size: b"8".to_vec(), ..Header::new(b'0', "f", 0) }, b"").end(),
            "test.tar at byte 512, entry f: its size is \"8\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\": expected an octal number",
        ),
        (
            dir().entry(&Header { size: vec![0xff; 12], ..Header::new(b'0', "f", 0) }, b"").end(),
            "expected an octal number",
        ),
        (
            dir()
                .entry(
                    &Header { uid: vec![0x80, 0, 0, 1, 0, 0, 0, 0], ..Header::new(b'0', "f", 0) },
                    b"",
                )
                .end(),
            "expected a number of 32 bits",
        ),
        (
            dir().extended(b'x', &record("uid", "4294967296")).file("f", b"").end(),
            "test.tar at byte 512: its uid is \"4294967296\": expected a number of 32 bits",
        ),
        (
            dir().extended(b'x', &record("size", "99999999999")).file("f", b"").end(),
            "test.tar at byte 512, entry f: it ends inside a file: it was cut short, copy it again",
        ),
        (
            dir().extended(b'x', &record("size", "18446744073709551615")).file("f", b"").end(),
            "f cannot be part of a tree: its length is 18446744073709551615, the limit is 1099511627776",
        ),
        // Extended headers.
        (
            dir().extended(b'x', b"9999 path=f\n").file("f", b"").end(),
            "test.tar at byte 512: its extended header is damaged: the length of a record is wrong",
        ),
        (
            dir()
                .extended(b'x', &record("path", "a"))
                .extended(b'x', &record("path", "b"))
                .file("f", b"")
                .end(),
            "test.tar at byte 512: its extended header is damaged: an entry has two of them",
        ),
        (
            dir().extended(b'g', &record("path", "a")).file("f", b"").end(),
            "test.tar at byte 512: its extended header is damaged: it gives one path or size to all entries",
        ),
        (
            dir()
                .entry(&Header { size: b"77777777777".to_vec(), ..Header::new(b'x', "x", 0) }, b"")
                .end(),
            "test.tar at byte 512: its extended header has 8589934591 bytes: expected at most 33554432",
        ),
        (
            dir()
                .entry(&Header { size: b"77777777777".to_vec(), ..Header::new(b'L', "x", 0) }, b"")
                .end(),
            "test.tar at byte 512: its path has 8589934591 bytes: expected at most 4095",
        ),
        (
            dir().extended(b'x', &record("path", "f")).end(),
            "test.tar at byte 512: it ends inside an extended header: it was cut short, copy it again",
        ),
        (
            dir().extended(b'x', &record("path", "f")).0,
            "test.tar at byte 512: it ends inside an extended header: it was cut short, copy it again",
        ),
        // Attributes.
        (
            dir()
                .extended(b'x', &record("SCHILY.xattr.user.a", vec![0; 65537]))
                .file("f", b"")
                .end(),
            "f cannot be part of a tree: an extended attribute is 65537, the limit is 65536",
        ),
        (
            dir()
                .extended(
                    b'x',
                    &(0..257)
                        .flat_map(|n| record(&format!("SCHILY.xattr.user.{n}"), ""))
                        .collect::<Vec<u8>>(),
                )
                .file("f", b"")
                .end(),
            "f cannot be part of a tree: the number of extended attributes is 257, the limit is 256",
        ),
        // Sparse files.
        (
            sparse_1_0(b"1\n0\n5\n", "4"),
            "test.tar at byte 512, entry s: its map of sparse data is damaged: it reaches behind the end of the file",
        ),
        (
            sparse_1_0(b"1\n0\n3\n", "4"),
            "its map of sparse data is damaged: it has more or less data than the archive",
        ),
        (
            sparse_1_0(b"2\n2\n2\n0\n2\n", "4"),
            "its map of sparse data is damaged: its segments overlap or do not ascend",
        ),
        (
            sparse_1_0(b"1\n18446744073709551615\n4\n", "4"),
            "its map of sparse data is damaged: it reaches behind the end of the file",
        ),
        (
            sparse_1_0(b"1\n0\n4\n", "18446744073709551615"),
            "s cannot be part of a tree: its length is 18446744073709551615, the limit is 1099511627776",
        ),
        (
            sparse_1_0(b"99999999\n", "4"),
            "its map of sparse data is damaged: it has too many segments",
        ),
        (sparse_1_0(b"1\nx\n4\n", "4"), "its map of sparse data is damaged: a line is no number"),
        (sparse_1_0(&[b'1'; 600], "4"), "its map of sparse data is damaged: a line is no number"),
        (sparse_1_0(b"1000\n", "4"), "its map of sparse data is damaged: a line is no number"),
        (
            dir()
                .extended(
                    b'x',
                    &[record("GNU.sparse.offset", "0"), record("GNU.sparse.offset", "0")].concat(),
                )
                .file("s", b"")
                .end(),
            "its extended header is damaged: offsets and lengths of sparse data do not alternate",
        ),
        (
            dir().extended(b'x', &record("GNU.sparse.map", "0,4")).file("s", b"data").end(),
            "its map of sparse data is damaged: the length of the file is missing",
        ),
        (
            dir()
                .extended(
                    b'x',
                    &[record("GNU.sparse.size", "4"), record("GNU.sparse.map", "0")].concat(),
                )
                .file("s", b"data")
                .end(),
            "its map of sparse data is damaged: it has an offset without a length, or too many of them",
        ),
        (
            dir().extended(b'x', &record("GNU.sparse.major", "2")).file("s", b"data").end(),
            "its map of sparse data is damaged: its version is not known",
        ),
        (
            old_sparse(|block| {
                block[386..410].copy_from_slice(&octal_pair("0000000000x", "00000000004"));
                block[483..495].copy_from_slice(b"00000000004\0");
            }),
            "its map of sparse data is damaged: a field is no number",
        ),
        (
            old_sparse(|block| {
                block[386..410].copy_from_slice(&octal_pair("00000000000", "00000000005"));
                block[483..495].copy_from_slice(b"00000000004\0");
            }),
            "its map of sparse data is damaged: it reaches behind the end of the file",
        ),
    ];
    let store = memory_store();
    for (archive, expected) in table {
        let message = match import_archive(&store, &archive) {
            Err(error) => {
                assert!(error.is_bad_input() && !error.is_temporary(), "{error}");
                error.to_string()
            }
            Ok(imported) => {
                panic!("imported, expected: {expected}\n{:?}", tree(&store, imported.tree))
            }
        };
        assert!(message.ends_with(expected), "\n{message}\ndoes not end with\n{expected}");
        assert!(!message.contains('\n'), "{message:?}");
    }
    assert_nothing_stays(store);
}

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

#[test]
fn an_archive_that_is_cut_short_is_refused_wherever_it_is_cut() {
    let archive = Archive::new()
        .directory("./")
        .file("inline", b"x")
        .extended(
            b'x',
            &[record("path", "long"), record("SCHILY.xattr.user.a", [b'v'; 700])].concat(),
        )
        .file("object", [7; 3000])
        .entry(&Header::new(b'L', "././@LongLink", 600), &[b'n'; 600].map(|_| b'/'))
        .directory("d")
        .entry(&Header::link(b'2', "s", "t"), b"");
    let members = archive.0.len();
    let whole = archive.end();
    let store = memory_store();
    let cuts = (0..=whole.len()).filter(|cut| {
        let rest = cut % 512;
        [0, 1, 7, 256, 511].contains(&rest)
    });
    for cut in cuts {
        let result = import_archive(&store, &whole[..cut]);
        if cut >= members + 512 && (cut == members + 512 || cut == whole.len()) {
            assert!(result.is_ok(), "{cut}");
            continue;
        }
        let message = result.map(|_| ()).unwrap_err().to_string();
        let is_clear = ["it is empty", "it ends inside", "it has no mark of its end"];
        assert!(is_clear.iter().any(|words| message.contains(words)), "{cut}: {message}");
        assert!(message.contains("cut short") || cut == 0, "{cut}: {message}");
        assert!(!message.contains('\n'));
    }
    assert_nothing_stays(store);
}

#[test]
fn damaged_or_cut_compression_is_refused() {
    let mut state = 1u32;
    let noise: Vec<u8> = (0..200_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 28) as u8
        })
        .collect();
    let archive = Archive::new().directory("./").file("noise", &noise).end();
    let store = memory_store();
    let formats = [
        ("gzip", filter("gzip", &["-1"], &archive)),
        ("xz", filter("xz", &["-0"], &archive)),
        ("zstd", filter("zstd", &["-1", "--check"], &archive)),
    ];
    for (format, whole) in formats {
        let expected = import_archive(&store, &whole).unwrap().tree;
        for cut in [20, whole.len() / 2, whole.len() - 1] {
            let message = import_archive(&store, &whole[..cut]).unwrap_err().to_string();
            let sentence = format!("its {format} compression is damaged or cut short (");
            assert!(message.contains(&sentence), "{message}");
            assert!(!message.contains('\n'));
        }
        for at in (20..whole.len()).step_by(whole.len() / 50) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            // A few bits fill up a byte and mean nothing.
            if let Ok(imported) = import_archive(&store, &damaged) {
                assert_eq!(imported.tree, expected, "{format}: byte {at}");
            }
        }
    }
}

#[test]
fn compressed_streams_may_have_several_parts() {
    let archive = Archive::new().directory("./").file("f", [7; 100_000]).end();
    let (front, back) = archive.split_at(50_000);
    let store = memory_store();
    let expected = import_archive(&store, &archive).unwrap().tree;
    // A frame that decoders pass over, as pzstd writes it.
    let skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc";
    let gzip = |part| filter("gzip", &[], part);
    let xz = |part| filter("xz", &["-0"], part);
    let zstd = |part| filter("zstd", &[], part);
    let table = [
        ("gzip", [gzip(front), gzip(back)].concat()),
        ("xz", [xz(front), xz(back)].concat()),
        ("xz with padding", [xz(front), vec![0; 8], xz(back)].concat()),
        ("zstd", [zstd(front), skippable.to_vec(), zstd(back)].concat()),
        ("zstd behind a frame to skip", [skippable.to_vec(), zstd(&archive)].concat()),
        ("zstd --long=27", filter("zstd", &["--long=27", "-T1"], &archive)),
        ("zstd --ultra -22", filter("zstd", &["--ultra", "-22"], &archive)),
        ("xz -9", filter("xz", &["-9"], &archive)),
        ("xz --x86", filter("xz", &["--x86", "--lzma2=preset=1"], &archive)),
    ];
    for (name, archive) in table {
        let imported = import_archive(&store, &archive);
        assert_eq!(imported.unwrap_or_else(|error| panic!("{name}: {error}")).tree, expected);
    }
}

#[test]
fn compression_that_needs_much_memory_is_refused() {
    let archive = Archive::new().directory("./").end();
    let store = memory_store();
    // The dictionary is written in the header, however short the content is.
    let xz = filter("xz", &["--lzma2=dict=1GiB"], &archive);
    let message = import_archive(&store, &xz).unwrap_err().to_string();
    assert!(message.contains("its xz compression needs too much memory ("), "{message}");
    // A frame with a window of 256 MiB and nothing in it.
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0, 18 << 3, 1, 0, 0];
    let message = import_archive(&store, &zstd).unwrap_err().to_string();
    assert!(message.contains("its zstd compression needs too much memory ("), "{message}");
}

#[test]
fn a_source_that_cannot_be_read_is_not_called_damaged() {
    struct Failing<'a>(&'a [u8]);
    impl Read for Failing<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(std::io::Error::other("the cable was pulled")),
                n => Ok(n),
            }
        }
    }
    let archive = Archive::new().directory("./").file("f", [7; 100_000]).end();
    let store = memory_store();
    let options = ImportOptions::default();
    for archive in [
        archive.clone(),
        filter("gzip", &[], &archive),
        filter("xz", &[], &archive),
        filter("zstd", &[], &archive),
    ] {
        let mut input = Failing(&archive[..archive.len() / 2]);
        let error = import_tar_stream(&store, "test.tar", &mut input, &options, &|_| {});
        let error = error.unwrap_err();
        assert!(matches!(error, ImportError::Read { .. }), "{error}");
        assert_eq!(error.to_string(), "cannot read test.tar: the cable was pulled");
    }
}

#[test]
fn files_and_standard_input_are_sources() {
    let place = Place::new();
    write(&place.source().join("f"), b"content");
    let archive = place.home().join("archive.tar");
    write(&archive, &tar(&place.source(), &[]));
    let store = place.store();
    let import = |source| {
        import_tar(&store, source, &ImportOptions::default(), &|_| {}).map_err(|e| e.to_string())
    };
    let imported = import(TarSource::File(archive.clone())).unwrap();
    assert_eq!((imported.files, imported.bytes, imported.hashed_bytes), (1, 7, 7));
    let missing = place.home().join("missing");
    assert_eq!(
        import(TarSource::File(missing.clone())).unwrap_err(),
        format!("cannot open {}: No such file or directory (os error 2)", missing.display())
    );
    // This test program again, with the archive as its standard input.
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "from_standard_input", "--nocapture"])
        .env(READ_STANDARD_INPUT, "1")
        .stdin(Stdio::from(std::fs::File::open(archive).unwrap()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(&format!("imported {}", imported.tree)), "{text}");
}

/// Runs in a process of its own that the test above starts.
#[test]
fn from_standard_input() {
    if std::env::var_os(READ_STANDARD_INPUT).is_some() {
        let store = memory_store();
        let imported = import_tar(&store, TarSource::Stdin, &ImportOptions::default(), &|_| {});
        println!("imported {}", imported.unwrap().tree);
    }
}

const READ_STANDARD_INPUT: &str = "UPMASS_TEST_READ_STANDARD_INPUT";

/// The `tar` crate writes what this crate reads.
#[test]
fn archives_of_another_writer_are_read() {
    let store = memory_store();
    let content = [9; 5000];
    let long = format!("{}/{}", "d".repeat(150), "f".repeat(150));
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o4755);
    header.set_uid(3_000_000_000);
    header.set_size(content.len() as u64);
    builder.append_pax_extensions([("SCHILY.xattr.user.a", &b"value"[..])]).unwrap();
    builder.append_data(&mut header, "short", &content[..]).unwrap();
    builder.append_data(&mut header, &long, &content[..]).unwrap();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "link", &long).unwrap();
    let archive = builder.into_inner().unwrap();

    let imported = import_archive(&store, &archive).unwrap();
    let tree = tree(&store, imported.tree);
    let id = ObjectHasher::hash(&content);
    for (path, attributes) in [("short", 1), (&long[..], 0)] {
        match entry(&tree, path) {
            Child::Leaf(meta, node) => {
                assert_eq!(*node, Node::Object { size: 5000, id });
                assert_eq!((meta.mode, meta.uid), (0o4755, 3_000_000_000));
                assert_eq!(meta.xattrs.len(), attributes);
            }
            Child::Directory(_) => panic!("{path} is a directory"),
        }
    }
    let link = Node::Symlink(long.into_bytes());
    assert!(matches!(entry(&tree, "link"), Child::Leaf(_, node) if *node == link));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// No archive may panic, take memory that it does not have content for, or do anything but
    /// fail with a message of one line.
    #[test]
    fn no_archive_panics(
        damages in prop::collection::vec((0usize..6144, any::<u8>()), 1..20),
        repair in any::<bool>(),
    ) {
        let sparse = [
            record("GNU.sparse.major", "1"),
            record("GNU.sparse.minor", "0"),
            record("GNU.sparse.realsize", "5000"),
        ];
        let mut map = b"1\n100\n4\n".to_vec();
        map.resize(512, 0);
        map.extend_from_slice(b"data");
        let mut archive = Archive::new()
            .directory("./")
            .file("f", [7; 600])
            .entry(&Header::link(b'1', "g", "f"), b"")
            .extended(b'x', &sparse.concat())
            .file("s", map)
            .entry(&Header::new(b'L', "././@LongLink", 5), b"long\0")
            .file("cut", b"x")
            .end();
        for (at, byte) in damages {
            let at = at % archive.len();
            archive[at] = byte;
        }
        if repair {
            // So that damaged headers get past their checksum.
            for block in archive.chunks_exact_mut(512) {
                if block[257..262] == *b"ustar" {
                    block[148..156].fill(b' ');
                    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
                    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
                }
            }
        }
        let store = memory_store();
        if let Err(error) = import_archive(&store, &archive) {
            prop_assert!(!error.to_string().contains('\n'), "{error}");
            prop_assert!(error.is_bad_input(), "{error}");
        }
    }
}

/// After a refused archive the store has no release, and all that was written can go.
fn assert_nothing_stays(store: Store) {
    assert_eq!(store.releases().unwrap(), []);
    let volume = store.volume().clone();
    drop(store);
    let store = Store::on(volume, "memory").unwrap();
    assert_eq!(store.collect(false).unwrap().kept, 0);
    let report = store.check(&mut |_| {}).unwrap();
    assert_eq!((report.objects, report.damages.len()), (0, 0));
    assert_eq!(store.volume().list("incoming").unwrap(), []);
}

/// Two fields of a header that follow each other.
fn octal_pair(first: &str, second: &str) -> Vec<u8> {
    format!("{first}\0{second}\0").into_bytes()
}

fn paths(tree: &Directory) -> Vec<String> {
    let mut paths = Vec::new();
    let mut add = |path: &TreePath| paths.push(path.to_string());
    tree.walk::<()>(&mut |path, _, _| {
        add(path);
        Ok(())
    })
    .unwrap();
    paths
}
