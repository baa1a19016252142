//! Files, standard input and compressed streams as sources.

use super::*;

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
        .args(["--exact", "sources::from_standard_input", "--nocapture"])
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
