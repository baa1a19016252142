//! Faults hit the step they are meant for.

mod script;

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use upmass_disk::{DirVolume, Fault, FaultVolume, LockMode, SimVolume, Survivors, Volume};

use script::{run, run_all, show};

#[test]
fn faults_have_a_text_form() {
    let cases = [
        ("count", Some(Fault::Count)),
        ("kill:17", Some(Fault::Kill(17))),
        ("full:0", Some(Fault::Full(0))),
        ("io:3", Some(Fault::Io(3))),
        ("", None),
        ("kill", None),
        ("kill:", None),
        ("kill:x", None),
        ("kill:-1", None),
        ("burn:1", None),
        ("io:99999999999999999999", None),
    ];
    for (text, expected) in cases {
        assert_eq!(Fault::parse(text), expected, "{text}");
    }
}

#[test]
fn the_same_steps_are_counted_as_by_the_simulation() {
    let volume = FaultVolume::new(SimVolume::new(CAPACITY), Fault::Count);
    let counter = volume.counter();
    for command in ALL_STEPS.split(';') {
        run(&volume, command);
        assert_eq!(volume.steps(), volume.inner().steps(), "{command}");
    }
    run_all(&volume, "list .; read c; len c").unwrap();
    assert_eq!(volume.steps(), volume.inner().steps());
    let steps = volume.steps();
    drop(volume);
    assert_eq!(counter.steps(), steps);
}

#[test]
fn an_io_error_comes_once_and_its_step_has_no_effect() {
    for at in 0..steps_of(ALL_STEPS) {
        let volume = FaultVolume::new(SimVolume::new(CAPACITY), Fault::Io(at));
        let error = run_all(&volume, ALL_STEPS).unwrap_err();
        assert_eq!(error.source.raw_os_error(), Some(5), "{at}");
        assert_eq!(volume.steps(), at + 1);
        let cut = SimVolume::new(CAPACITY);
        cut.cut_power_at(at);
        run_all(&cut, ALL_STEPS).unwrap_err();
        assert_eq!(show(volume.inner()), show(&cut), "as a cut at {at}");
        for survivors in Survivors::some(10) {
            let after = volume.inner().after_power_cut(survivors);
            assert_eq!(show(&after), show(&cut.after_power_cut(survivors)));
        }
        run_all(&volume, "put later x; syncall").unwrap();
    }
}

#[test]
fn a_full_disk_stays_full_but_lets_us_make_room() {
    let volume = FaultVolume::new(SimVolume::new(CAPACITY), Fault::Full(7));
    run_all(&volume, "put a 1; put b 2; mkdir d").unwrap();
    assert!(volume.free_space().unwrap() > 0);
    for _ in 0..2 {
        assert_eq!(run(&volume, "put c 3"), "StorageFull");
        assert_eq!(volume.free_space().unwrap(), 0);
        assert_eq!(run(&volume, "mkdir e"), "StorageFull");
        assert_eq!(run(&volume, "publish a c"), "StorageFull");
        assert_eq!(run(&volume, "replace a b"), "StorageFull");
        assert!(volume.lock("l", LockMode::Shared, false).is_err());
    }
    assert!(volume.lock("a", LockMode::Shared, false).unwrap().is_some());
    assert_eq!(run(&volume, "put a 1"), "AlreadyExists");
    assert_eq!(run(&volume, "publish a b"), "false");
    assert_eq!(run(&volume, "mkdir d"), "false");
    assert_eq!(run(&volume, "remove b"), "done");
    assert_eq!(run(&volume, "rmdir d"), "done");
    assert_eq!(run(&volume, "syncdir ."), "done");
    assert_eq!(run(&volume, "syncall"), "done");
    assert_eq!(run(&volume, "read a"), "\"1\"");
    assert_eq!(show(volume.inner()), "a=1");
}

#[test]
fn a_disk_that_gets_full_takes_half_of_a_write_and_then_nothing() {
    let volume = FaultVolume::new(SimVolume::new(CAPACITY), Fault::Full(1));
    let mut file = volume.create("a").unwrap();
    assert!(file.write(b"1234").unwrap_err().is_full());
    assert!(file.write(b"5678").unwrap_err().is_full());
    assert!(file.write_zeros(4).unwrap_err().is_full());
    file.sync().unwrap();
    assert_eq!(show(volume.inner()), "a=12");
}

#[test]
fn a_killed_process_leaves_what_was_done_before() {
    for at in 0..steps_of(ALL_STEPS) {
        let directory = tempfile::tempdir().unwrap();
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_is_killed"])
            .env(CHILD_DIRECTORY, directory.path())
            .env(CHILD_FAULT, format!("kill:{at}"))
            .status()
            .unwrap();
        assert_eq!(status.signal(), Some(9), "{status}");
        let expected = SimVolume::new(CAPACITY);
        expected.cut_power_at(at);
        run_all(&expected, ALL_STEPS).unwrap_err();
        let expected = expected.after_power_cut(Survivors::Everything);
        let found = DirVolume::open(directory.path()).unwrap();
        for command in ["list .", "list d", "read a", "read b", "read c"] {
            assert_eq!(run(&found, command), run(&expected, command), "{command}, {at}");
        }
    }
}

/// Not a test of its own: the process that the test above starts.
#[test]
fn child_that_is_killed() {
    let Some(directory) = std::env::var_os(CHILD_DIRECTORY) else {
        return;
    };
    let fault = std::env::var(CHILD_FAULT).unwrap();
    let volume = DirVolume::open(directory.as_ref()).unwrap();
    let volume = FaultVolume::new(volume, Fault::parse(&fault).unwrap());
    run_all(&volume, ALL_STEPS).unwrap();
}

fn steps_of(commands: &str) -> u64 {
    let volume = SimVolume::new(CAPACITY);
    run_all(&volume, commands).unwrap();
    volume.steps()
}

/// All kinds of steps, also those without effect.
const ALL_STEPS: &str = "put a 1234; zeros b 5; mkdir d; mkdir d; publish a b; publish a c; \
    replace b c; syncdir .; put d/x 12; syncdir d; remove d/x; remove no; rmdir d; rmdir d; \
    syncall";
const CAPACITY: u64 = 1 << 20;
const CHILD_DIRECTORY: &str = "UPMASS_TEST_CHILD_DIRECTORY";
const CHILD_FAULT: &str = "UPMASS_TEST_CHILD_FAULT";
