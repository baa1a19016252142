//! All volumes behave alike: one list of tests for each of them.

mod script;

use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use upmass_disk::{DirVolume, Fault, FaultVolume, LockMode, SimVolume, Volume};

use script::run;

/// Runs a test on each volume; each is empty.
fn on_each(test: impl Fn(&dyn Volume)) {
    let directory = tempfile::tempdir().unwrap();
    test(&DirVolume::open(directory.path()).unwrap());
    test(&SimVolume::new(CAPACITY));
    test(&FaultVolume::new(SimVolume::new(CAPACITY), Fault::Count));
}

/// Lines of `command -> what comes of it`, on each volume.
#[track_caller]
fn check(lines: &str) {
    on_each(|volume| {
        for line in lines.lines().filter(|line| !line.trim().is_empty()) {
            let (command, expected) = line.split_once("->").expect("command -> result");
            assert_eq!(run(volume, command), expected.trim(), "{line}");
        }
    });
}

#[test]
fn a_new_file_has_what_was_written() {
    check(
        r#"
        put a hello     -> done
        read a          -> "hello"
        len a           -> 5
        draft b x       -> done
        read b          -> "x"
        "#,
    );
}

#[test]
fn create_never_takes_a_name_that_exists() {
    check(
        r#"
        put a old       -> done
        put a new       -> AlreadyExists
        read a          -> "old"
        mkdir d         -> true
        put d new       -> AlreadyExists
        put no/a new    -> NotFound
        put a/b new     -> NotADirectory
        "#,
    );
}

#[test]
fn zeros_read_as_zeros() {
    check(
        r#"
        zeros a 3       -> done
        read a          -> "\\x00\\x00\\x00"
        zeros b 0       -> done
        len b           -> 0
        "#,
    );
    on_each(|volume| {
        let mut file = volume.create("mixed").unwrap();
        file.write(b"ab").unwrap();
        file.write_zeros(5000).unwrap();
        file.write(b"cd").unwrap();
        drop(file);
        let file = volume.open("mixed").unwrap();
        let mut content = vec![1; 5004];
        file.read_exact_at(&mut content, 0).unwrap();
        assert_eq!(content, [b"ab", &[0; 5000][..], b"cd"].concat());
        assert_eq!(file.len(), 5004);
    });
}

#[test]
fn zeros_that_overflow_are_refused_and_change_nothing() {
    on_each(|volume| {
        let mut file = volume.create("a").unwrap();
        file.write(b"abc").unwrap();
        assert!(file.write_zeros(u64::MAX).is_err());
        drop(file);
        assert!(volume.file_len("a").unwrap().unwrap() >= 3);
    });
}

#[test]
fn publish_takes_a_free_name_only() {
    check(
        r#"
        put a one       -> done
        publish a b     -> true
        read a          -> none
        read b          -> "one"
        put a two       -> done
        publish a b     -> false
        read a          -> "two"
        read b          -> "one"
        publish a a     -> false
        mkdir d         -> true
        publish a d     -> false
        publish a d/x   -> true
        read d/x        -> "two"
        publish no x    -> NotFound
        publish no b    -> NotFound
        publish b no/x  -> NotFound
        publish b d/x/y -> NotADirectory
        "#,
    );
}

#[test]
fn replace_takes_any_file_name() {
    check(
        r#"
        put a one       -> done
        put b two       -> done
        replace a b     -> done
        read a          -> none
        read b          -> "one"
        replace b c     -> done
        list .          -> [c]
        replace c c     -> done
        read c          -> "one"
        replace no c    -> NotFound
        read c          -> "one"
        mkdir d         -> true
        replace c d     -> IsADirectory
        replace c no/c  -> NotFound
        "#,
    );
}

#[test]
fn removing_twice_is_no_error() {
    check(
        r#"
        put a one       -> done
        remove a        -> done
        remove a        -> done
        remove no/a     -> done
        list .          -> []
        mkdir d         -> true
        remove d        -> IsADirectory
        put d/a one     -> done
        rmdir d         -> DirectoryNotEmpty
        rmdir d/a       -> NotADirectory
        remove d/a/b    -> NotADirectory
        remove d/a      -> done
        rmdir d         -> done
        rmdir d         -> done
        rmdir no/d      -> done
        list .          -> []
        "#,
    );
}

#[test]
fn a_directory_is_made_once() {
    check(
        r#"
        mkdir d         -> true
        mkdir d         -> false
        mkdir d/e       -> true
        mkdir no/e      -> NotFound
        put a one       -> done
        mkdir a         -> false
        mkdir a/e       -> NotADirectory
        rmdir d/e       -> done
        mkdir d/e       -> true
        "#,
    );
}

#[test]
fn lists_are_in_order_and_empty_where_nothing_is() {
    check(
        r#"
        list .          -> []
        put b x         -> done
        put a x         -> done
        put B x         -> done
        mkdir aa        -> true
        put aa/z x      -> done
        list .          -> [B a aa/ b]
        list aa         -> [z]
        list no         -> []
        list no/more    -> []
        list a          -> NotADirectory
        list a/b        -> NotADirectory
        "#,
    );
}

#[test]
fn missing_files_are_none_and_directories_are_no_files() {
    check(
        r#"
        read no         -> none
        read no/more    -> none
        len no          -> none
        len no/more     -> none
        mkdir d         -> true
        len d           -> none
        put a x         -> done
        len a/b         -> NotADirectory
        read a/b        -> NotADirectory
        "#,
    );
    on_each(|volume| {
        assert!(volume.open("no").err().unwrap().is_missing());
        volume.create_dir("d").unwrap();
        assert!(volume.open("d").is_err());
        assert!(volume.open_if_exists("d").is_err());
    });
}

#[test]
fn everything_can_be_synced() {
    check(
        r#"
        syncall         -> done
        syncdir .       -> done
        mkdir d         -> true
        put d/a x       -> done
        syncdir d       -> done
        syncdir .       -> done
        syncall         -> done
        syncdir no      -> NotFound
        syncdir d/a     -> NotADirectory
        read d/a        -> "x"
        "#,
    );
}

#[test]
fn a_reader_ends_where_the_file_ends() {
    on_each(|volume| {
        assert_eq!(run(volume, "put a hello"), "done");
        let file = volume.open("a").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(file.read_at(&mut buffer, 2).unwrap(), 3);
        assert_eq!(&buffer[..3], b"llo");
        assert_eq!(file.read_at(&mut buffer, 5).unwrap(), 0);
        assert_eq!(file.read_at(&mut buffer, 1 << 40).unwrap(), 0);
        let error = file.read_exact_at(&mut buffer, 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    });
}

#[test]
fn handles_follow_the_file_and_not_the_name() {
    on_each(|volume| {
        let mut writer = volume.create("a").unwrap();
        writer.write(b"1").unwrap();
        assert!(volume.publish("a", "b").unwrap());
        writer.write(b"2").unwrap();
        assert_eq!(run(volume, "read b"), "\"12\"");
        let reader = volume.open("b").unwrap();
        volume.remove("b").unwrap();
        assert_eq!(run(volume, "put b other"), "done");
        writer.write(b"3").unwrap();
        writer.sync().unwrap();
        let mut buffer = [0; 4];
        assert_eq!(reader.read_at(&mut buffer, 0).unwrap(), 3);
        assert_eq!(&buffer[..3], b"123");
        assert_eq!(run(volume, "read b"), "\"other\"");
    });
}

#[test]
fn one_exclusive_lock_or_many_shared_ones() {
    on_each(|volume| {
        let try_lock = |mode| volume.lock("lock", mode, false).unwrap();
        let first = try_lock(LockMode::Shared).unwrap();
        let second = try_lock(LockMode::Shared).unwrap();
        assert!(try_lock(LockMode::Exclusive).is_none());
        drop(first);
        assert!(try_lock(LockMode::Exclusive).is_none());
        drop(second);
        let alone = try_lock(LockMode::Exclusive).unwrap();
        assert!(try_lock(LockMode::Shared).is_none());
        assert!(try_lock(LockMode::Exclusive).is_none());
        assert!(volume.lock("other", LockMode::Exclusive, false).unwrap().is_some());
        drop(alone);
        assert!(try_lock(LockMode::Shared).is_some());
        assert_eq!(run(volume, "list ."), "[lock other]");
        assert_eq!(run(volume, "len lock"), "0");
    });
}

#[test]
fn a_lock_leaves_the_content_of_its_file_alone() {
    on_each(|volume| {
        assert_eq!(run(volume, "put a x"), "done");
        let lock = volume.lock("a", LockMode::Exclusive, false).unwrap();
        assert!(lock.is_some());
        assert_eq!(run(volume, "read a"), "\"x\"");
        volume.create_dir("d").unwrap();
        assert!(volume.lock("d", LockMode::Shared, false).is_err());
        assert!(volume.lock("no/a", LockMode::Shared, false).is_err());
    });
}

#[test]
fn who_waits_for_a_lock_gets_it_when_it_is_free() {
    on_each(|volume| {
        let got = AtomicBool::new(false);
        let first = volume.lock("lock", LockMode::Exclusive, true).unwrap();
        assert!(first.is_some());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let second = volume.lock("lock", LockMode::Shared, true).unwrap();
                assert!(second.is_some());
                got.store(true, Ordering::SeqCst);
            });
            std::thread::sleep(Duration::from_millis(30));
            assert!(!got.load(Ordering::SeqCst));
            drop(first);
        });
        assert!(got.load(Ordering::SeqCst));
    });
}

#[test]
fn there_is_free_space() {
    on_each(|volume| assert!(volume.free_space().unwrap() > 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_commands_do_the_same_on_a_directory_and_in_memory(
        commands in proptest::collection::vec(any_command(), 1..40)
    ) {
        let directory = tempfile::tempdir().unwrap();
        let real = DirVolume::open(directory.path()).unwrap();
        let simulated = SimVolume::new(CAPACITY);
        for command in &commands {
            prop_assert_eq!(run(&real, command), run(&simulated, command), "{}", command);
        }
        for directory in [".", "d", "d/e"] {
            let command = format!("list {directory}");
            prop_assert_eq!(run(&real, &command), run(&simulated, &command));
        }
    }
}

/// Commands on few names, so that they meet. Directories are neither moved nor replaced: those
/// are errors for which the contract has no name.
fn any_command() -> impl Strategy<Value = String> {
    let file = || prop::sample::select(vec!["a", "b", "d/a", "d/b", "d/e/a", "no/a", "a/b"]);
    let directory = || prop::sample::select(vec!["d", "d/e", "no/d"]);
    let any = move || prop_oneof![3 => file(), 1 => directory()];
    prop_oneof![
        3 => (file(), "[a-z]{1,4}").prop_map(|(path, text)| format!("put {path} {text}")),
        2 => directory().prop_map(|path| format!("mkdir {path}")),
        2 => (file(), any()).prop_map(|(from, to)| format!("publish {from} {to}")),
        2 => (file(), file()).prop_map(|(from, to)| format!("replace {from} {to}")),
        1 => (any(), 0..2000_u32).prop_map(|(path, len)| format!("zeros {path} {len}")),
        1 => any().prop_map(|path| format!("remove {path}")),
        1 => any().prop_map(|path| format!("rmdir {path}")),
        1 => any().prop_map(|path| format!("list {path}")),
        1 => any().prop_map(|path| format!("len {path}")),
        1 => file().prop_map(|path| format!("read {path}")),
        1 => any().prop_map(|path| format!("syncdir {path}")),
    ]
}

#[test]
fn a_directory_refuses_symlinks() {
    let directory = tempfile::tempdir().unwrap();
    let volume = DirVolume::open(directory.path()).unwrap();
    std::fs::write(directory.path().join("target"), "x").unwrap();
    std::os::unix::fs::symlink("target", directory.path().join("link")).unwrap();
    assert!(volume.open("link").is_err());
    assert!(volume.open_if_exists("link").is_err());
    assert!(volume.lock("link", LockMode::Shared, false).is_err());
    assert!(volume.create("link").is_err());
    assert_eq!(volume.file_len("link").unwrap(), None);
    assert_eq!(run(&volume, "list ."), "[link? target]");
    assert_eq!(run(&volume, "put new y"), "done");
    assert_eq!(run(&volume, "publish new link"), "false");
    volume.replace("new", "link").unwrap();
    assert_eq!(run(&volume, "read target"), "\"x\"");
    assert_eq!(run(&volume, "read link"), "\"y\"");
}

#[test]
fn a_directory_refuses_what_is_no_regular_file_without_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let volume = DirVolume::open(directory.path()).unwrap();
    let path = directory.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert!(volume.open("pipe").is_err());
    assert_eq!(volume.file_len("pipe").unwrap(), None);
}

#[test]
fn a_directory_is_made_where_it_is_missing() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("volume");
    assert!(DirVolume::open(&path).err().unwrap().is_missing());
    for _ in 0..2 {
        let volume = DirVolume::create(&path).unwrap();
        volume.sync_all().unwrap();
        volume.sync_dir("").unwrap();
    }
    // As a mount point in a read-only root: its parent cannot be synced.
    DirVolume::create(Path::new("/proc/self")).unwrap();
    assert!(DirVolume::create(&path.join("no/more")).is_err());
    std::fs::write(parent.path().join("file"), "").unwrap();
    assert!(DirVolume::create(&parent.path().join("file")).is_err());
}

#[test]
fn a_directory_that_is_moved_can_still_be_used() {
    let parent = tempfile::tempdir().unwrap();
    let volume = DirVolume::create(&parent.path().join("old")).unwrap();
    std::fs::rename(parent.path().join("old"), parent.path().join("new")).unwrap();
    assert_eq!(run(&volume, "put a x"), "done");
    assert!(parent.path().join("new/a").exists());
}

#[test]
fn errors_of_a_directory_tell_path_and_action() {
    let directory = tempfile::tempdir().unwrap();
    let volume = DirVolume::open(directory.path()).unwrap();
    volume.create("taken").unwrap();
    let errors = [
        (volume.create("taken").err(), "create", "taken"),
        (volume.open("no").err(), "open", "no"),
        (volume.publish("no", "to").err(), "rename", "to"),
        (volume.replace("no", "to").err(), "rename", "to"),
        (volume.remove("taken/a").err(), "remove", "taken/a"),
        (volume.remove_dir("taken").err(), "remove directory", "taken"),
        (volume.create_dir("no/d").err(), "create directory", "no/d"),
        (volume.list("taken").err(), "open", "taken"),
        (volume.sync_dir("no").err(), "open", "no"),
        (volume.file_len("taken/a").err(), "stat", "taken/a"),
    ];
    for (error, action, path) in errors {
        let error = error.expect(action);
        assert_eq!(error.action, action);
        assert_eq!(Path::new(&error.path), directory.path().join(path));
        let text = error.to_string();
        assert!(text.starts_with(action) && text.contains(&error.path), "{text}");
    }
    assert_eq!(volume.real_path("d/a"), Some(directory.path().join("d/a")));
}

const CAPACITY: u64 = 1 << 20;
