//! What is refused, wherever an archive or its compression is cut or damaged.

use super::*;

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
