//! File systems of boot slots: made always alike, and read by us and by others.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use upmass_disk::ReadAt;
use upmass_disk::fat::{
    FatError, FileSystem, Geometry, Image, MIN_LEN, NewFile, NodeKind, PlanError,
};

const LEN: u64 = 40 << 20;

/// Files by path.
type Files = BTreeMap<String, Vec<u8>>;

fn files(list: &[(&str, usize)]) -> Files {
    let content = |path: &str, len: usize| -> Vec<u8> {
        (0..len).map(|index| (index * 7 + index / 256 + path.len()) as u8).collect()
    };
    list.iter().map(|(path, len)| ((*path).to_owned(), content(path, *len))).collect()
}

fn ordinary() -> Files {
    files(&[
        ("EFI/BOOT/BOOTX64.EFI", 100_001),
        ("EFI/Linux/a rather long name with spaces.efi", 513),
        ("loader/loader.conf", 40),
        ("loader/entries/main.conf", 200),
        ("loader/entries/rescue.conf", 0),
        ("vmlinuz-6.1.0-26-amd64", 3_000_000),
        ("größe und maß", 4096),
        ("UPPER.TXT", 512),
        ("upmass-release", 65),
        (".dot", 1),
    ])
}

fn plan(len: u64, files: &Files) -> Result<Image, PlanError> {
    let new = |(path, content): (&String, &Vec<u8>)| NewFile {
        path: path.clone(),
        len: content.len() as u64,
    };
    let new: Vec<NewFile> = files.iter().map(new).collect();
    Image::plan(len, 1 << 20, 0x1234_abcd, "BOOT-1", &new)
}

/// The whole partition.
fn make(len: u64, files: &Files) -> Vec<u8> {
    let image = plan(len, files).unwrap();
    let mut bytes = Vec::new();
    write(&image, files, &mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, image.len());
    bytes.resize(len as usize, 0);
    bytes
}

fn write(image: &Image, files: &Files, output: &mut dyn Write) -> io::Result<()> {
    let contents: Vec<&Vec<u8>> = files.values().collect();
    image.write_to(output, &mut |index, output| output.write_all(contents[index]))
}

struct Bytes(Vec<u8>);

impl ReadAt for Bytes {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.0.len());
        let len = buffer.len().min(self.0.len() - start);
        buffer[..len].copy_from_slice(&self.0[start..start + len]);
        Ok(len)
    }

    fn len(&self) -> u64 {
        self.0.len() as u64
    }
}

/// All files that our reader finds.
fn read_all(bytes: &Bytes) -> Result<Files, FatError> {
    let system = FileSystem::open(bytes)?;
    let mut found = Files::new();
    let mut directories = vec![(String::new(), 0)];
    while let Some((path, depth)) = directories.pop() {
        for node in system.list(&path)? {
            let path =
                if path.is_empty() { node.name.clone() } else { format!("{path}/{}", node.name) };
            match node.kind {
                // A damaged directory may be in itself.
                NodeKind::Directory if depth < 4 => directories.push((path, depth + 1)),
                NodeKind::Directory => {}
                NodeKind::File(len) if len > LEN => {}
                NodeKind::File(_) => {
                    let mut content = Vec::new();
                    system.copy(&node, &mut content)?;
                    found.insert(path, content);
                }
            }
        }
    }
    Ok(found)
}

/// Runs a program on an image; gives what it said.
#[track_caller]
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C.UTF-8").output();
    let output = output.unwrap_or_else(|_| panic!("{program} is missing: run ./setup"));
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    let said = format!("{stdout}{stderr}");
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    said
}

#[track_caller]
fn fsck(path: &Path) {
    let said = run("fsck.fat", &["-n", "-v", path.to_str().unwrap()]);
    for word in ["Differences", "wrong", "differs", "Free cluster summary", "Bad", "Dirty", "too"] {
        assert!(!said.contains(word), "{said}");
    }
}

#[test]
fn fsck_finds_nothing_and_mtools_reads_every_file_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("slot.img");
    let image = path.to_str().unwrap();
    for len in [MIN_LEN, LEN, 260 << 20] {
        let files = ordinary();
        std::fs::write(&path, make(len, &files)).unwrap();
        fsck(&path);
        for (name, content) in &files {
            let copy = directory.path().join("copy");
            run("mcopy", &["-n", "-i", image, &format!("::{name}"), copy.to_str().unwrap()]);
            assert!(std::fs::read(&copy).unwrap() == *content, "{name}");
            std::fs::remove_file(copy).unwrap();
        }
        let said = run("mdir", &["-/", "-b", "-i", image, "::"]);
        let mut found: Vec<&str> =
            said.lines().filter_map(|line| line.strip_prefix("::/")).collect();
        found.retain(|path| !path.ends_with('/'));
        found.sort_unstable();
        let expected: Vec<&String> = files.keys().collect();
        assert_eq!(found, expected);
        let said = run("mlabel", &["-s", "-i", image, "::"]);
        assert!(said.contains("BOOT-1"), "{said}");
        let said = run("minfo", &["-i", image, "::"]);
        assert!(said.contains("serial number: 1234ABCD"), "{said}");
    }
}

#[test]
fn our_reader_finds_what_was_put_in() {
    let files = ordinary();
    let bytes = Bytes(make(LEN, &files));
    assert!(read_all(&bytes).unwrap() == files);
    let system = FileSystem::open(&bytes).unwrap();
    assert_eq!(system.serial(), 0x1234_abcd);
    assert_eq!(
        system.read("efi/boot/bootx64.efi", 1 << 20).unwrap(),
        files["EFI/BOOT/BOOTX64.EFI"]
    );
    let check = |path: &str, limit, expected: &str| {
        assert_eq!(system.read(path, limit).unwrap_err().to_string(), expected);
    };
    check("upmass-release", 64, "\"upmass-release\" has 65 bytes, expected at most 64");
    check("loader/none", 64, "the file system has no \"loader/none\"");
    check("none/loader", 64, "the file system has no \"none/loader\"");
    check("loader", 64, "the file system has no \"loader\"");
    assert!(matches!(system.list("none"), Err(FatError::Missing { .. })));
}

#[test]
fn the_same_files_make_the_same_bytes_and_nothing_else_does() {
    let files = ordinary();
    assert!(make(LEN, &files) == make(LEN, &files));
    let mut other = files.clone();
    other.insert("loader/loader.conf".to_owned(), vec![b'x'; 40]);
    assert!(make(LEN, &files) != make(LEN, &other));
    // The order in which files are given makes none.
    let reversed: Vec<NewFile> = (files.iter().rev())
        .map(|(path, content)| NewFile { path: path.clone(), len: content.len() as u64 })
        .collect();
    let image = Image::plan(LEN, 1 << 20, 0x1234_abcd, "BOOT-1", &reversed).unwrap();
    let contents: Vec<&Vec<u8>> = files.values().rev().collect();
    let mut bytes = Vec::new();
    image.write_to(&mut bytes, &mut |index, output| output.write_all(contents[index])).unwrap();
    assert!(bytes == make(LEN, &files)[..bytes.len()]);
}

#[test]
fn our_reader_reads_what_mkfs_and_mtools_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("slot.img");
    let image = path.to_str().unwrap();
    for cluster_sectors in ["1", "2"] {
        std::fs::write(&path, vec![0; 80 << 20]).unwrap();
        run("mkfs.fat", &["-F", "32", "-s", cluster_sectors, image]);
        let files = ordinary();
        for (name, content) in &files {
            let mut parent = String::new();
            for part in name.split('/').take(name.split('/').count() - 1) {
                parent = format!("{parent}/{part}");
                let _ = Command::new("mmd").args(["-i", image, &format!("::{parent}")]).output();
            }
            let source = directory.path().join("source");
            std::fs::write(&source, content).unwrap();
            run("mcopy", &["-i", image, source.to_str().unwrap(), &format!("::/{name}")]);
        }
        let bytes = Bytes(std::fs::read(&path).unwrap());
        assert!(read_all(&bytes).unwrap() == files);
    }
}

#[test]
fn a_directory_may_have_many_names_that_are_alike() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("slot.img");
    let many: Files = (0..2000)
        .map(|n| (format!("entries/system number {n}.conf"), vec![n as u8; n % 3]))
        .collect();
    let bytes = make(LEN, &many);
    std::fs::write(&path, &bytes).unwrap();
    fsck(&path);
    assert!(read_all(&Bytes(bytes)).unwrap() == many);
}

#[test]
fn names_that_need_no_long_one_keep_it_from_aliases_of_others() {
    let files = files(&[("LOADER~1.CON", 3), ("loader.conf", 4), ("LOADER~2.CON", 5)]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("slot.img");
    let bytes = make(LEN, &files);
    std::fs::write(&path, &bytes).unwrap();
    fsck(&path);
    assert!(read_all(&Bytes(bytes)).unwrap() == files);
}

#[test]
fn a_partition_is_used_to_its_last_cluster_and_not_beyond() {
    let empty = plan(MIN_LEN, &Files::new()).unwrap();
    let capacity = empty.geometry().capacity();
    let with = |len: u64| Image::plan(MIN_LEN, 0, 0, "X", &[NewFile { path: "f".into(), len }]);
    // One cluster of the root.
    let full = with(capacity - 512).unwrap();
    assert_eq!(full.len(), MIN_LEN);
    assert_eq!(
        with(capacity - 511).unwrap_err(),
        PlanError::Full { needed: capacity + 512, available: capacity }
    );
    let mut content = vec![3; (capacity - 512) as usize];
    content[77] = 4;
    let files = Files::from([("f".to_owned(), content)]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("slot.img");
    let bytes = make(MIN_LEN, &files);
    std::fs::write(&path, &bytes).unwrap();
    fsck(&path);
    assert!(read_all(&Bytes(bytes)).unwrap() == files);
}

#[test]
fn lengths_decide_the_length_of_clusters() {
    for (mib, cluster_len) in [(40, 512), (70, 1024), (140, 2048), (300, 4096), (4000, 4096)] {
        assert_eq!(Geometry::of(mib << 20).unwrap().cluster_len(), cluster_len, "{mib}");
    }
    assert!(Geometry::of(MIN_LEN).is_ok());
    assert!(matches!(Geometry::of(MIN_LEN - 1), Err(PlanError::PartitionTooShort { .. })));
    assert!(matches!(Geometry::of(3 << 40), Err(PlanError::PartitionTooLong { .. })));
}

proptest! {
    #[test]
    fn every_length_has_a_geometry_that_fits(len in MIN_LEN..1 << 41) {
        if let Ok(geometry) = Geometry::of(len) {
            let file = NewFile { path: "f".into(), len: 1 };
            let image = Image::plan(len, 0, 0, "X", &[file]).unwrap();
            let rest = geometry.capacity() - 2 * geometry.cluster_len();
            prop_assert!(image.len() + rest <= len);
            prop_assert!(len - (image.len() + rest) < 8 * geometry.cluster_len() + 1024);
        }
    }
}

#[test]
fn what_fat_cannot_have_is_refused_with_the_reason() {
    let check = |paths: &[&str], expected: &str| {
        let list: Vec<NewFile> =
            paths.iter().map(|path| NewFile { path: (*path).to_owned(), len: 1 }).collect();
        let error = Image::plan(LEN, 0, 0, "X", &list).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    for name in
        ["", "a/", "/a", "a//b", "a.", "a ", " a", ".", "..", "a:b", "a\nb", &"n".repeat(256)]
    {
        check(&[name], "is no path for FAT");
    }
    check(&["Readme", "README"], "are the same name for FAT");
    check(&["a", "a"], "are the same name for FAT");
    check(&["dir/a", "DIR/b"], "are the same name for FAT");
    check(&["a", "a/b"], "\"a\" is a file and a directory");
    check(&["x/a/b", "x/a"], "\"x/a\" is a file and a directory");
    let long = NewFile { path: "a".into(), len: 1 << 32 };
    assert!(matches!(Image::plan(8 << 30, 0, 0, "X", &[long]), Err(PlanError::FileTooLong { .. })));
    for label in ["", "boot", "TWELVE CHARS", " X"] {
        assert!(matches!(Image::plan(LEN, 0, 0, label, &[]), Err(PlanError::Label(_))));
    }
    let many: Vec<NewFile> =
        (0..30_000).map(|n| NewFile { path: format!("d/long name number {n}"), len: 0 }).collect();
    let error = Image::plan(LEN, 0, 0, "X", &many).unwrap_err();
    assert_eq!(error, PlanError::DirectoryTooLong { path: "d".into() });
}

#[test]
fn content_of_another_length_than_planned_is_an_error() {
    let image = plan(LEN, &files(&[("f", 10)])).unwrap();
    for len in [9, 11] {
        let error =
            image.write_to(&mut io::sink(), &mut |_, output| output.write_all(&vec![0; len]));
        assert!(error.unwrap_err().to_string().contains("not the 10 that were planned"));
    }
}

#[test]
fn what_is_no_fat32_is_refused_with_the_reason() {
    let good = make(LEN, &files(&[("a", 3)]));
    let check = |at: usize, bytes: &[u8], expected: &str| {
        let mut damaged = good.clone();
        damaged[at..at + bytes.len()].copy_from_slice(bytes);
        let error = FileSystem::open(&Bytes(damaged)).err().unwrap().to_string();
        assert_eq!(error, format!("there is no FAT32 file system: {expected}"));
    };
    check(510, &[0, 0], "its first sector has no signature");
    check(11, &[0, 8], "its sectors do not have 512 bytes");
    check(13, &[3], "the length of its clusters cannot be");
    check(16, &[0], "it has no FAT");
    check(22, &[1], "it is FAT12 or FAT16");
    check(42, &[1], "it is of a later version");
    check(32, &[0, 0, 0, 1], "it is longer than its partition");
    check(32, &[0, 0, 1, 0], "it is FAT12 or FAT16");
    check(36, &[1, 0, 0, 0], "its FAT is too short");
    check(44, &[0], "its root directory is outside");
    let error = FileSystem::open(&Bytes(good[..100].to_vec())).err().unwrap();
    assert!(matches!(error, FatError::Read { .. }), "{error}");
}

#[test]
fn every_flipped_bit_and_every_cut_is_read_without_harm() {
    let files = files(&[("dir/a long name.conf", 1500), ("B", 600)]);
    let good = make(MIN_LEN, &files);
    let fat = 32 * 512;
    let data = plan(MIN_LEN, &Files::new()).unwrap().len() as usize - 512;
    let mut damaged = Bytes(good.clone());
    let mut refused = 0;
    for range in [0..96, fat..fat + 60, data..data + 128, data + 512 * 3..data + 512 * 4] {
        for bit in range.start * 8..range.end * 8 {
            damaged.0[bit / 8] ^= 1 << (bit % 8);
            refused += u32::from(read_all(&damaged).is_err());
            damaged.0[bit / 8] ^= 1 << (bit % 8);
        }
    }
    assert!(refused > 50, "{refused}");
    for len in (0..good.len()).step_by(good.len() / 97) {
        assert!(read_all(&Bytes(good[..len].to_vec())).is_err());
    }
}

#[test]
fn a_chain_that_runs_in_a_circle_ends() {
    let mut bytes = Bytes(make(MIN_LEN, &files(&[("f", 3000)])));
    // The root leads to itself, and has no end.
    bytes.0[32 * 512 + 8..32 * 512 + 12].copy_from_slice(&2u32.to_le_bytes());
    let data = plan(MIN_LEN, &Files::new()).unwrap().len() as usize - 512;
    let entry: [u8; 32] = *bytes.0[data + 32..].first_chunk().unwrap();
    for place in bytes.0[data..data + 512].chunks_mut(32) {
        place.copy_from_slice(&entry);
    }
    let error = read_all(&bytes).unwrap_err().to_string();
    assert!(error.contains("more than 65536 entries"), "{error}");
}
