//! The index makes a second import fast and never wrong.

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use support::{
    Place, entry, import, import_archive, import_with, is_root, set_time, tar, tree, write,
};
use upmass_format::ObjectHasher;
use upmass_format::tree::{Child, Node};
use upmass_import::{ImportOptions, IndexUse};
use upmass_store::Store;

/// Until files are older than the margin, so that they are entered.
const AGE: Duration = Duration::from_millis(2300);

const A: [u8; 1000] = [b'a'; 1000];
const B: [u8; 1000] = [b'b'; 1000];

#[test]
fn an_old_file_is_hashed_once_and_a_young_one_each_time() {
    let place = Place::new();
    write(&place.source().join("old"), &A);
    write(&place.source().join("inline"), b"never entered");
    std::thread::sleep(AGE);
    write(&place.source().join("young"), &B);
    let store = place.store();
    let hashed = || import(&store, &place.source()).hashed_bytes;
    assert_eq!([hashed(), hashed()], [2013, 1013]);
    std::thread::sleep(AGE);
    assert_eq!([hashed(), hashed()], [1013, 13]);
    let options = ImportOptions { index: IndexUse::Rebuild, ..ImportOptions::default() };
    assert_eq!(import_with(&store, &place.source(), &options).hashed_bytes, 2013);
    assert_eq!(hashed(), 13);
}

#[test]
fn an_edit_of_the_same_length_right_after_an_import_is_seen() {
    let place = Place::new();
    let store = place.store();
    let path = place.source().join("f");
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for round in 0..100 {
        let content = if round % 2 == 0 { A } else { B };
        write(&path, &content);
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        assert_content(&store, &place.source(), "f", &content);
    }
}

#[test]
fn an_edit_is_seen_although_length_and_mtime_are_put_back() {
    let place = Place::new();
    let store = place.store();
    let path = place.source().join("f");
    write(&path, &A);
    set_time(&path, 1_700_000_000, 0);
    let (inode, before) =
        (fs::metadata(&path).unwrap().ino(), fs::metadata(&path).unwrap().mtime());
    std::thread::sleep(AGE);
    assert_content(&store, &place.source(), "f", &A);
    assert_eq!(import(&store, &place.source()).hashed_bytes, 0);
    write(&path, &B);
    set_time(&path, 1_700_000_000, 0);
    let after = fs::metadata(&path).unwrap();
    assert_eq!((after.ino(), after.mtime()), (inode, before));
    assert_content(&store, &place.source(), "f", &B);
}

#[test]
fn other_files_under_the_old_names_are_seen() {
    let place = Place::new();
    let store = place.store();
    let [f, g, new] = ["f", "g", "new"].map(|name| place.source().join(name));
    let third = [b'c'; 1000];
    for (path, content) in [(&f, &A), (&g, &B), (&new, &third)] {
        write(path, content);
        set_time(path, 1_700_000_000, 0);
    }
    fs::rename(&new, place.home().join("new")).unwrap();
    std::thread::sleep(AGE);
    assert_content(&store, &place.source(), "f", &A);
    // Two known inodes change names.
    rename(&f, &place.home().join("aside"));
    rename(&g, &f);
    rename(&place.home().join("aside"), &g);
    assert_content(&store, &place.source(), "f", &B);
    assert_content(&store, &place.source(), "g", &A);
    // An unknown inode comes, as old and as long as the one before.
    rename(&place.home().join("new"), &f);
    assert_content(&store, &place.source(), "f", &third);
}

#[test]
fn an_id_that_the_store_lost_is_not_believed() {
    let place = Place::new();
    write(&place.source().join("f"), &A);
    std::thread::sleep(AGE);
    let tree = import(&place.store(), &place.source()).tree;
    assert_eq!(place.store().collect(false).unwrap().removed, 2);
    let imported = import(&place.store(), &place.source());
    assert_eq!((imported.tree, imported.hashed_bytes), (tree, 1000));
    assert!(place.store().contains(ObjectHasher::hash(&A)).unwrap());
}

#[test]
fn a_damaged_index_costs_time_and_nothing_else() {
    let place = Place::new();
    write(&place.source().join("f"), &A);
    std::thread::sleep(AGE);
    let store = place.store();
    let expected = import(&store, &place.source());
    assert_eq!(import(&store, &place.source()).hashed_bytes, 0);
    let index = only_file(&place.home().join("store/index"));
    let whole = fs::read(&index).unwrap();
    let mut flipped = whole.clone();
    flipped[20] ^= 1;
    for damaged in [&b""[..], &whole[..whole.len() - 1], &flipped, &[0; 4096]] {
        write(&index, damaged);
        let imported = import(&store, &place.source());
        assert_eq!((imported.tree, imported.hashed_bytes), (expected.tree, 1000));
        let [warning] = &imported.warnings[..] else { panic!("{:?}", imported.warnings) };
        let sentence = "the index of the last import cannot be read and is made anew: index/";
        assert!(warning.starts_with(sentence) && warning.ends_with(": it is damaged"), "{warning}");
        assert_eq!(fs::read(&index).unwrap(), whole);
    }
    fs::remove_file(&index).unwrap();
    assert_eq!(import(&store, &place.source()), expected);
}

#[test]
fn times_in_the_future_are_not_believed() {
    let place = Place::new();
    write(&place.source().join("f"), &A);
    set_time(&place.source().join("f"), 4_000_000_000, 0);
    std::thread::sleep(AGE);
    let store = place.store();
    for _ in 0..2 {
        assert_eq!(import(&store, &place.source()).hashed_bytes, 1000);
    }
}

#[test]
fn sources_do_not_share_an_index_and_archives_have_none() {
    let place = Place::new();
    write(&place.source().join("f"), &A);
    let store = place.store();
    import(&store, &place.source());
    import(&store, &place.source().join("."));
    import_archive(&store, &tar(&place.source(), &[])).unwrap();
    assert_eq!(fs::read_dir(place.home().join("store/index")).unwrap().count(), 1);
    let other = place.home().join("other");
    fs::create_dir(&other).unwrap();
    import(&store, &other);
    assert_eq!(fs::read_dir(place.home().join("store/index")).unwrap().count(), 2);
}

/// A build that makes the same image each time, but for one file: the inodes, lengths and times
/// in it are equal, also ctime, and it is mounted in the place of the last one.
#[test]
fn an_image_that_was_built_again_is_not_taken_for_the_last_one() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let store = place.store();
    let build = |content: &[u8]| {
        let image = place.home().join("image");
        let _ = fs::remove_file(&image);
        fs::File::create(&image).unwrap().set_len(4 << 20).unwrap();
        run(Command::new("mke2fs").args(["-q", "-t", "ext4"]).arg(&image));
        let file = place.home().join("content");
        write(&file, content);
        let mut debugfs = Command::new("debugfs");
        debugfs.arg("-w").arg("-R").arg(format!("write {} f", file.display())).arg(&image);
        run(&mut debugfs);
        for time in ["ctime", "mtime"] {
            let request = format!("set_inode_field f {time} @1700000000");
            run(Command::new("debugfs").args(["-w", "-R", &request]).arg(&image));
        }
        run(Command::new("mount").args(["-o", "loop,ro"]).arg(&image).arg(place.source()));
        Mounted(&place)
    };
    let seen = || {
        let stat = fs::metadata(place.source().join("f")).unwrap();
        (stat.dev(), stat.ino(), stat.len(), stat.mtime(), stat.ctime())
    };
    let mounted = build(&A);
    let before = seen();
    assert_content(&store, &place.source(), "f", &A);
    drop(mounted);
    let _mounted = build(&B);
    assert_eq!((seen().1, seen().2, seen().3, seen().4), (before.1, before.2, before.3, before.4));
    assert_content(&store, &place.source(), "f", &B);
}

struct Mounted<'a>(&'a Place);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.source()).status();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn rename(from: &Path, to: &Path) {
    fs::rename(from, to).unwrap();
}

fn assert_content(store: &Store, source: &Path, path: &str, content: &[u8]) {
    let tree = tree(store, import(store, source).tree);
    match entry(&tree, path) {
        Child::Leaf(_, Node::Object { id, .. }) => assert_eq!(*id, ObjectHasher::hash(content)),
        other => panic!("{other:?}"),
    }
}

fn only_file(directory: &Path) -> std::path::PathBuf {
    let mut entries = fs::read_dir(directory).unwrap();
    let path = entries.next().unwrap().unwrap().path();
    assert!(entries.next().is_none());
    path
}
