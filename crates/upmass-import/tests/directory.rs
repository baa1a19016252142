//! What is particular to importing a directory of the running system.

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, OFlags, mkdirat, openat};
use support::{Place, Sample, entry, import, import_with, is_root, tree, write};
use upmass_format::TreePath;
use upmass_format::tree::{Child, Device, Node};
use upmass_import::{ImportError, ImportOptions, Imported, Mounts, Owners, import_directory};

#[test]
fn every_kind_of_file_is_kept_with_its_attributes() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let sample = Sample::new(&place.source());
    sample.directory("d", 0o1777).owner("d", 1, 2).file("d/setuid", b"x").owner("d/setuid", 3, 4);
    sample.mode("d/setuid", 0o6755).symlink("nowhere", "link").owner("link", 5, 6);
    sample.node("null", FileType::CharacterDevice, 0o666, (1, 3));
    sample.node("disk", FileType::BlockDevice, 0o660, (259, 1_048_575));
    sample.node("pipe", FileType::Fifo, 0o600, (0, 0));
    sample.attribute("d", "user.x", b"1").attribute("link", "trusted.y", b"2");
    let _socket = UnixListener::bind(place.source().join("socket")).unwrap();
    sample.mode("socket", 0o700);

    let store = place.store();
    let tree = tree(&store, import(&store, &place.source()).tree);
    let found = |path| match entry(&tree, path) {
        Child::Directory(directory) => (directory.meta.clone(), Node::Directory),
        Child::Leaf(meta, node) => (meta.clone(), node.clone()),
    };
    let check = |path, expected: Node, mode, uid, gid, attributes: &[(&str, &str)]| {
        let (meta, node) = found(path);
        assert_eq!(node, expected, "{path}");
        assert_eq!((meta.mode, meta.uid, meta.gid), (mode, uid, gid), "{path}");
        let xattrs: Vec<(&str, &str)> = (meta.xattrs.iter())
            .map(|x| (str::from_utf8(&x.name).unwrap(), str::from_utf8(&x.value).unwrap()))
            .collect();
        assert_eq!(xattrs, attributes, "{path}");
    };
    check("d", Node::Directory, 0o1777, 1, 2, &[("user.x", "1")]);
    check("d/setuid", Node::Inline(b"x".to_vec()), 0o6755, 3, 4, &[]);
    check("link", Node::Symlink(b"nowhere".to_vec()), 0o777, 5, 6, &[("trusted.y", "2")]);
    check("null", Node::CharDevice(Device { major: 1, minor: 3 }), 0o666, 0, 0, &[]);
    let disk = Device { major: 259, minor: 1_048_575 };
    check("disk", Node::BlockDevice(disk), 0o660, 0, 0, &[]);
    check("pipe", Node::Fifo, 0o600, 0, 0, &[]);
    check("socket", Node::Socket, 0o700, 0, 0, &[]);
}

#[test]
fn of_several_names_the_first_in_order_has_the_content() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let sample = Sample::new(&place.source());
    sample.directory("z", 0o755).directory("a", 0o755).file("z/made-first", &[1; 100]);
    sample.link("z/made-first", "m").link("m", "a/made-last").symlink("t", "z/symlink");
    sample.link("z/symlink", "symlink-too").node("z/pipe", FileType::Fifo, 0o600, (0, 0));
    sample.link("z/pipe", "pipe");
    let store = place.store();
    let imported = import(&store, &place.source());
    assert_eq!((imported.files, imported.bytes), (1, 100));
    let tree = tree(&store, imported.tree);
    let node = |path| match entry(&tree, path) {
        Child::Leaf(_, node) => node.clone(),
        Child::Directory(_) => Node::Directory,
    };
    let link = |target| Node::Hardlink(TreePath::new(target).unwrap());
    assert!(matches!(node("a/made-last"), Node::Object { size: 100, .. }));
    assert_eq!([node("m"), node("z/made-first")], [link("a/made-last"), link("a/made-last")]);
    assert_eq!(node("symlink-too"), Node::Symlink(b"t".to_vec()));
    assert_eq!(node("z/symlink"), link("symlink-too"));
    assert_eq!([node("pipe"), node("z/pipe")], [Node::Fifo, link("pipe")]);
}

#[test]
fn access_lists_are_kept_and_their_owners_mapped() {
    if !is_root() {
        return;
    }
    // rwx for owner, user 1000, group, group 100 and others, and a mask.
    let list = |user: u32, group: u32| {
        let none = u32::MAX;
        let mut value = vec![2, 0, 0, 0];
        for (tag, id) in [(1, none), (2, user), (4, none), (8, group), (16, none), (32, none)] {
            value.extend_from_slice(&[tag, 0, 7, 0]);
            value.extend_from_slice(&id.to_le_bytes());
        }
        value
    };
    let place = Place::new();
    let sample = Sample::new(&place.source());
    sample.file("f", b"x").attribute("f", "system.posix_acl_access", &list(1000, 100));
    let store = place.store();
    let found = |owners| {
        let options = ImportOptions { owners, ..ImportOptions::default() };
        let tree = tree(&store, import_with(&store, &place.source(), &options).tree);
        match entry(&tree, "f") {
            Child::Leaf(meta, _) => meta.xattrs[0].value.clone(),
            Child::Directory(_) => panic!("f is no file"),
        }
    };
    assert_eq!(found(Owners::Keep), list(1000, 100));
    let map = |from, to| vec![(0, 0), (from, to)];
    assert_eq!(found(Owners::Map { uids: map(1000, 7), gids: map(100, 8) }), list(7, 8));
}

#[test]
fn progress_adds_up_to_all_bytes() {
    let place = Place::new();
    for (name, len) in [("inline", 3), ("small", 5000), ("large", 5 << 20)] {
        write(&place.source().join(name), &vec![7; len]);
    }
    Sample::new(&place.source()).sparse("sparse", 100 << 20, &[(1 << 20, 4096)]);
    let sum = AtomicU64::new(0);
    let add = |bytes| {
        sum.fetch_add(bytes, Ordering::Relaxed);
    };
    let options = ImportOptions::default();
    let imported = import_directory(&place.store(), &place.source(), &options, &add).unwrap();
    assert_eq!(imported.bytes, 3 + 5000 + (105 << 20));
    assert_eq!(sum.into_inner(), imported.bytes);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_refused() {
    let content = vec![7; 9 << 20];
    let check = |change: fn(&Path), expected: &str| {
        for content in [&content[..], &content[..5000]] {
            let place = Place::new();
            write(&place.source().join("f"), content);
            // The clock that stamps files ticks every few milliseconds.
            std::thread::sleep(Duration::from_millis(30));
            let error = import_and_meanwhile(&place, || change(&place.source().join("f")));
            let error = error.unwrap_err();
            assert!(matches!(error, ImportError::Changed { .. }), "{error}");
            assert!(error.is_temporary());
            let message = error.to_string();
            assert!(message.contains("source/f changed while it was imported"), "{message}");
            // A file that is held in memory is not read again.
            assert!(message.contains(expected) || content.len() == 5000, "{message}");
        }
    };
    let again = "it has other content when it is read again";
    check(|file| write(file, &vec![8; 9 << 20]), again);
    check(|file| write(file, &vec![8; 10 << 20]), again);
    check(|file| write(file, b""), "it became shorter");
    check(
        |file| fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap(),
        "its length or times are not what they were",
    );
}

#[test]
fn what_is_replaced_meanwhile_never_leads_outside() {
    let check = |replace: fn(&Path)| {
        let place = Place::new();
        write(
            &place.home().join("secret"),
            b"secret secret secret secret secret secret secret secret secret",
        );
        fs::create_dir(place.source().join("d")).unwrap();
        write(&place.source().join("a"), b"read first");
        write(&place.source().join("d/secret"), b"harmless");
        let error = import_and_meanwhile(&place, || replace(&place.source())).unwrap_err();
        assert!(
            matches!(&error, ImportError::Changed { path, .. } if path.ends_with("d/secret")),
            "{error}"
        );
    };
    check(|source| {
        fs::remove_file(source.join("d/secret")).unwrap();
        symlink("../../secret", source.join("d/secret")).unwrap();
    });
    check(|source| {
        fs::rename(source.join("d"), source.join("moved")).unwrap();
        symlink("..", source.join("d")).unwrap();
    });
    check(|source| {
        fs::rename(source.join("d"), source.join("moved")).unwrap();
        fs::create_dir(source.join("d")).unwrap();
        fs::hard_link(source.join("../secret"), source.join("d/secret")).unwrap();
    });
    check(|source| fs::remove_file(source.join("d/secret")).unwrap());
    check(|source| {
        fs::remove_file(source.join("d/secret")).unwrap();
        UnixListener::bind(source.join("d/secret")).unwrap();
    });
}

#[test]
fn files_without_a_fixed_length_are_refused() {
    let place = Place::new();
    let source = Path::new("/proc/sys/kernel/random");
    let error = import_directory(&place.store(), source, &ImportOptions::default(), &|_| {});
    let message = error.unwrap_err().to_string();
    assert!(message.contains("it is longer than it says, as files in /proc are"), "{message}");
}

#[test]
fn a_store_inside_of_the_source_is_refused() {
    let place = Place::new();
    let error = import_directory(&place.store(), place.home(), &ImportOptions::default(), &|_| {});
    let store = place.home().join("store").display().to_string();
    assert_eq!(
        error.unwrap_err().to_string(),
        format!("the store {store} is inside the directory to import: keep it elsewhere")
    );
}

#[test]
fn a_source_that_is_no_directory_is_refused_and_a_link_to_one_is_not() {
    let place = Place::new();
    write(&place.home().join("file"), b"");
    symlink("source", place.home().join("link")).unwrap();
    let message = |name| {
        let source = place.home().join(name);
        let imported =
            import_directory(&place.store(), &source, &ImportOptions::default(), &|_| {});
        imported.map_err(|error| error.to_string()).map(|_| ())
    };
    let home = place.home().display();
    assert_eq!(message("link"), Ok(()));
    let missing = format!("cannot open {home}/missing: No such file or directory (os error 2)");
    assert_eq!(message("missing"), Err(missing));
    assert_eq!(
        message("file"),
        Err(format!("cannot open {home}/file: Not a directory (os error 20)"))
    );
}

#[test]
fn a_path_that_is_too_long_for_a_tree_is_refused() {
    let place = Place::new();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let name = "d".repeat(250);
    let mut here = openat(CWD, place.source(), flags, Mode::empty()).unwrap();
    for _ in 0..17 {
        mkdirat(&here, &*name, Mode::from_raw_mode(0o755)).unwrap();
        here = openat(&here, &*name, flags, Mode::empty()).unwrap();
    }
    let error =
        import_directory(&place.store(), &place.source(), &ImportOptions::default(), &|_| {});
    match error.unwrap_err() {
        ImportError::TooLarge { what, found, limit, .. } => {
            assert_eq!((what, found, limit), ("the length of its path", 17 * 251 - 1, 4095));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn other_file_systems_are_imported_or_left_out_with_a_warning() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    fs::create_dir(place.source().join("mounted")).unwrap();
    write(&place.source().join("file"), b"below");
    let mounted = place.source().join("mounted");
    let _tmpfs = Mounted::new(&["-t", "tmpfs", "none"], &mounted);
    write(&mounted.join("inner"), b"inner");
    let other = mounted.join("inner").display().to_string();
    let file = place.source().join("file");
    let _file = Mounted::new(&["--bind", &other], &file);
    let store = place.store();
    let inline = |tree: &_, path| match entry(tree, path) {
        Child::Leaf(_, Node::Inline(content)) => content.clone(),
        other => panic!("{other:?}"),
    };

    let imported = import(&store, &place.source());
    assert_eq!(imported.warnings, [] as [String; 0]);
    let descended = tree(&store, imported.tree);
    assert_eq!(inline(&descended, "mounted/inner"), b"inner");
    assert_eq!(inline(&descended, "file"), b"inner");

    let options = ImportOptions { mounts: Mounts::Empty, ..ImportOptions::default() };
    let imported = import_with(&store, &place.source(), &options);
    let source = place.source().display().to_string();
    assert_eq!(
        imported.warnings,
        [
            format!("another file is mounted here; an empty one takes its place: {source}/file"),
            format!("another file system is mounted here and was left out: {source}/mounted"),
        ]
    );
    let stayed = tree(&store, imported.tree);
    assert_eq!(inline(&stayed, "file"), b"");
    assert!(matches!(entry(&stayed, "mounted"), Child::Directory(d) if d.children.is_empty()));
}

#[test]
fn without_permission_the_path_and_a_way_out_are_told() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let sample = Sample::new(&place.source());
    sample.directory("closed", 0o700).file("readable", b"x").mode("", 0o755);
    fs::set_permissions(place.home(), Permissions::from_mode(0o777)).unwrap();
    let closed = place.source().join("closed").display().to_string();
    let check = |expected: Result<(), String>| {
        let _ = fs::remove_dir_all(place.home().join("store"));
        let program = place.home().join("program");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        let output = Command::new(&program)
            .args(["--exact", "as_another_user", "--nocapture"])
            .env(HOME_OF_THE_OTHER, place.home())
            .uid(65534)
            .gid(65534)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let found = text
            .lines()
            .find_map(|line| line.split_once("imported: "))
            .unwrap_or_else(|| panic!("{text} {output:?}"))
            .1;
        assert_eq!(found, format!("{expected:?}"));
    };
    check(Err(format!(
        "cannot open {closed}: Permission denied (os error 13); import as root, or make it readable"
    )));
    sample.mode("closed", 0o755).file("closed/f", b"secret").mode("closed/f", 0o600);
    check(Err(format!(
        "cannot open {closed}/f: Permission denied (os error 13); import as root, or make it readable"
    )));
    sample.mode("closed/f", 0o644);
    check(Ok(()));
}

/// Runs in a process of its own that the test above starts as another user.
#[test]
fn as_another_user() {
    let Some(home) = std::env::var_os(HOME_OF_THE_OTHER) else { return };
    let home = Path::new(&home);
    let store = upmass_store::Store::open_or_create(&home.join("store")).unwrap();
    let imported =
        import_directory(&store, &home.join("source"), &ImportOptions::default(), &|_| {});
    println!("imported: {:?}", imported.map(|_| ()).map_err(|error| error.to_string()));
}

const HOME_OF_THE_OTHER: &str = "UPMASS_TEST_HOME";

/// Imports with one thread, in the order of the names, and calls `change` when the first bytes
/// were read.
fn import_and_meanwhile(place: &Place, change: impl Fn() + Sync) -> Result<Imported, ImportError> {
    let is_done = AtomicBool::new(false);
    let progress = |_| {
        if !is_done.swap(true, Ordering::Relaxed) {
            change();
        }
    };
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    one_thread.install(|| {
        import_directory(&place.store(), &place.source(), &ImportOptions::default(), &progress)
    })
}

/// A mount that ends with the test.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn new(arguments: &[&str], at: &'a Path) -> Mounted<'a> {
        let status = Command::new("mount").args(arguments).arg(at).status().unwrap();
        assert!(status.success(), "mount {arguments:?} {}", at.display());
        Mounted(at)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}
