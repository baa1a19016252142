//! Contents: holes stay holes, blocks are shared where the file system can, and an object that
//! is not what the tree says is refused.

mod support;

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;
use support::{Fixture, Part, component, dir, mode, release, system};
use upmass_checkout::{CheckoutError, Options, checkout_system};
use upmass_disk::SimVolume;
use upmass_format::tree::{Child, Directory, MtimePolicy, Node};
use upmass_format::{ObjectId, ReleaseId};
use upmass_store::Store;

const GIB: u64 = 1 << 30;

#[test]
fn a_file_of_4_gib_with_a_few_bytes_stays_sparse() {
    let fixture = Fixture::new();
    let parts: [(u64, &[u8]); 3] =
        [(0, b"start"), (2 * GIB + 12_345, b"middle"), (4 * GIB - 3, b"end")];
    let (id, size) = sparse_object(&fixture.store, &parts, 4 * GIB);
    let report = check_single(&fixture, id, size);
    assert_eq!(report.bytes, 4 * GIB);
    let file = File::open(fixture.target().join("file")).unwrap();
    let stat = file.metadata().unwrap();
    assert_eq!(stat.len(), 4 * GIB);
    assert!(stat.blocks() * 512 <= 64 << 10, "{} blocks", stat.blocks());
    for (offset, expected) in parts {
        let mut found = vec![0; expected.len()];
        file.read_exact_at(&mut found, offset).unwrap();
        assert_eq!(found, expected, "at {offset}");
    }
    let mut hole = [1; 4096];
    file.read_exact_at(&mut hole, GIB).unwrap();
    assert_eq!(hole, [0; 4096]);
}

#[test]
fn holes_at_the_start_and_at_the_end_stay() {
    let fixture = Fixture::new();
    let size = 40 << 20;
    let (id, _) = sparse_object(&fixture.store, &[(20 << 20, &[7; 5000])], size);
    check_single(&fixture, id, size);
    check_same(&fixture, id, 64 << 10);
}

#[test]
fn a_file_of_nothing_but_zeros_has_no_blocks() {
    let fixture = Fixture::new();
    let (id, size) = sparse_object(&fixture.store, &[], (1 << 20) + 1);
    check_single(&fixture, id, size);
    check_same(&fixture, id, 4096);
}

#[test]
fn blocks_of_zeros_that_the_store_has_written_are_not_written_again() {
    let fixture = Fixture::new();
    let content = [vec![1; 300_000], vec![0; 600_000], vec![2; 300_000]].concat();
    let id = fixture.store.put(&content).unwrap();
    // As a copy of the store that knew no holes.
    fs::write(fixture.object_file(id), &content).unwrap();
    let report = check_single(&fixture, id, content.len() as u64);
    let most_on_disk = match report.cloned_bytes {
        0 => 650_000,
        // What is shared is as it is there.
        _ => 1_250_000,
    };
    check_same(&fixture, id, most_on_disk);
}

#[test]
fn dense_files_around_the_buffer_size_are_the_same() {
    for size in [65, 4095, 4096, 4097, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, 3 << 20] {
        let fixture = Fixture::new();
        let content: Vec<u8> = (0..size).map(|n: u32| (n * 31 % 253) as u8).collect();
        let id = fixture.store.put(&content).unwrap();
        check_single(&fixture, id, content.len() as u64);
        assert_eq!(fs::read(fixture.target().join("file")).unwrap(), content);
    }
}

#[test]
fn blocks_are_shared_exactly_where_the_file_system_can() {
    let fixture = Fixture::new();
    let id = fixture.store.put(&[9; 100_000]).unwrap();
    let report = check_single(&fixture, id, 100_000);
    check_same(&fixture, id, 200_000);
    let expected = match can_clone(fixture.dir.path(), &fixture.object_file(id)) {
        true => 100_000,
        false => 0,
    };
    assert_eq!(report.cloned_bytes, expected);
}

#[test]
fn a_file_that_was_cloned_can_be_changed_without_the_object() {
    let fixture = Fixture::new();
    let id = fixture.store.put(&[9; 100_000]).unwrap();
    check_single(&fixture, id, 100_000);
    let path = fixture.target().join("file");
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(b"changed", 0).unwrap();
    assert_eq!(fs::read(fixture.object_file(id)).unwrap(), [9; 100_000]);
}

#[test]
fn a_store_that_is_no_directory_can_be_checked_out() {
    let volume = Arc::new(SimVolume::new(64 << 20));
    let store = Store::create_on(volume, "simulated").unwrap();
    let (id, size) = sparse_object(&store, &[(3 << 20, &[5; 400_000])], 9 << 20);
    let release = single(&store, id, size);
    let fixture = Fixture::new();
    let target = fixture.target();
    let options = Options::default();
    let report = checkout_system(&store, release, None, &target, &options, &mut |_| {}).unwrap();
    assert_eq!((report.bytes, report.cloned_bytes), (9 << 20, 0));
    let content = fs::read(target.join("file")).unwrap();
    let mut expected = vec![0; 9 << 20];
    expected[3 << 20..][..400_000].fill(5);
    assert!(content == expected);
    let blocks = target.join("file").metadata().unwrap().blocks();
    assert!(blocks * 512 <= 500_000, "{blocks} blocks");
}

#[test]
fn a_store_that_was_moved_can_still_be_checked_out() {
    let fixture = Fixture::new();
    let id = fixture.store.put(&[9; 100_000]).unwrap();
    let release = single(&fixture.store, id, 100_000);
    let path = fixture.dir.path();
    fs::rename(path.join("store"), path.join("moved")).unwrap();
    assert_eq!(fixture.checkout(release).unwrap().bytes, 100_000);
}

#[test]
fn progress_only_grows_and_ends_with_all_bytes() {
    let fixture = Fixture::new();
    let mut tree = dir([("inline", support::file("12345"))]);
    let (id, size) = sparse_object(&fixture.store, &[(5 << 20, &[3; 900_000])], 8 << 20);
    let node = Node::Object { size, id };
    for name in ["a", "b"] {
        let child = Child::Leaf(mode(0o644), node.clone());
        tree.children.insert(support::name(name.as_bytes()), child);
    }
    let release = fixture.release_of(&tree);
    let mut seen = vec![0];
    let mut progress = |bytes| seen.push(bytes);
    let (target, options) = (fixture.target(), Options::default());
    let report =
        checkout_system(&fixture.store, release, None, &target, &options, &mut progress).unwrap();
    assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
    assert_eq!(seen.last(), Some(&(2 * size + 5)));
    assert_eq!(report.bytes, 2 * size + 5);
}

#[test]
fn an_object_of_another_length_is_refused() {
    for found in [0, 99_999, 100_001] {
        let fixture = Fixture::new();
        let id = fixture.store.put(&[9; 100_000]).unwrap();
        let release = single(&fixture.store, id, 100_000);
        let file = OpenOptions::new().write(true).open(fixture.object_file(id));
        file.unwrap().set_len(found).unwrap();
        fixture.check_refused(
            release,
            &format!(
                "content of /file: object {id} is damaged: expected 100000 bytes, found {found}: \
                 run `upmass check`"
            ),
        );
    }
}

#[test]
fn a_missing_object_is_told_with_the_path_of_the_file() {
    let fixture = Fixture::new();
    let id = fixture.store.put(&[9; 100_000]).unwrap();
    let release = single(&fixture.store, id, 100_000);
    fs::remove_file(fixture.object_file(id)).unwrap();
    fixture.check_refused(
        release,
        &format!("content of /file: object {id} is missing from the store: run `upmass check`"),
    );
}

#[test]
fn an_object_that_is_something_else_is_not_read() {
    let fixture = Fixture::new();
    let id = fixture.store.put(&[9; 100_000]).unwrap();
    let release = single(&fixture.store, id, 100_000);
    let path = fixture.object_file(id);
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    assert!(matches!(
        fixture.checkout(release),
        Err(CheckoutError::Content { path, .. }) if path == "/file"
    ));
    assert_eq!(fixture.names(), ["store"]);
}

#[test]
fn a_damaged_tree_is_told_with_its_component() {
    let fixture = Fixture::new();
    let tree = fixture.put_tree(&dir([("a", support::file("x"))]), MtimePolicy::Normalised);
    let release = fixture.release(vec![Part { name: "root", install: "/", tree }]);
    let path = fixture.object_file(tree.into());
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let error = fixture.checkout(release).unwrap_err().to_string();
    assert!(error.starts_with("component root: object "), "{error}");
    assert_eq!(fixture.names(), ["store"]);
    fs::write(&path, [&bytes[..], b"more"].concat()).unwrap();
    let error = fixture.checkout(release).unwrap_err().to_string();
    assert!(error.starts_with("component root: object "), "{error}");
    fs::remove_file(&path).unwrap();
    let error = fixture.checkout(release).unwrap_err().to_string();
    assert!(error.ends_with("is missing from the store: run `upmass check`"), "{error}");
    assert_eq!(fixture.names(), ["store"]);
}

/// Stores an object of zeros with some parts, ascending by offset.
fn sparse_object(store: &Store, parts: &[(u64, &[u8])], size: u64) -> (ObjectId, u64) {
    let mut batch = store.batch().unwrap();
    let mut incoming = store.incoming().unwrap();
    for (offset, bytes) in parts {
        incoming.write_zeros(offset - incoming.len()).unwrap();
        incoming.write(bytes).unwrap();
    }
    incoming.write_zeros(size - incoming.len()).unwrap();
    let id = batch.add(incoming).unwrap();
    batch.commit().unwrap();
    (id, size)
}

/// Records a release with nothing but `/file`.
fn single(store: &Store, id: ObjectId, size: u64) -> ReleaseId {
    let child = Child::Leaf(mode(0o644), Node::Object { size, id });
    let tree: Directory = dir([("file", child)]);
    let bytes = tree.to_bytes(MtimePolicy::Normalised).unwrap();
    let part = Part { name: "root", install: "/", tree: store.put(&bytes).unwrap().into() };
    let release = release(vec![component(part)], vec![system("main", vec![0])]);
    store.record(&release).unwrap()
}

fn check_single(fixture: &Fixture, id: ObjectId, size: u64) -> upmass_checkout::Report {
    let release = single(&fixture.store, id, size);
    fixture.checkout(release).unwrap()
}

/// Compares with the object, and how much of the disk it takes.
fn check_same(fixture: &Fixture, id: ObjectId, most_on_disk: u64) {
    let path = fixture.target().join("file");
    assert!(fs::read(&path).unwrap() == fs::read(fixture.object_file(id)).unwrap());
    let on_disk = path.metadata().unwrap().blocks() * 512;
    assert!(on_disk <= most_on_disk, "{on_disk} bytes on the disk");
}

fn can_clone(dir: &Path, source: &Path) -> bool {
    let source = File::open(source).unwrap();
    let probe = File::create(dir.join("probe")).unwrap();
    match rustix::fs::ioctl_ficlone(probe, source) {
        Ok(()) => true,
        Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::INVAL) => false,
        Err(errno) => panic!("cannot tell whether files can be cloned: {errno}"),
    }
}
