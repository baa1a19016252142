//! Other systems of a release, what is kept, and what of `/etc` differs.

use std::fs;

use crate::machine::{LOADER, Machine, run};

#[test]
fn another_system_is_started_once_or_from_now_on() {
    let machine = Machine::new(&["1", "2"]);
    let system = || machine.status()["system"].as_str().unwrap().to_owned();
    assert_eq!(system(), "main");
    machine.succeed(&["reboot", "--into", "rescue"]);
    assert_eq!(machine.status()["next_system_once"], "rescue");
    assert_eq!(machine.restarts(), 1);
    machine.start();
    assert_eq!(system(), "rescue");
    machine.start();
    assert_eq!(system(), "main");
    machine.succeed(&["reboot", "--into", "rescue", "--keep"]);
    assert_eq!(machine.status()["preferred_system"], "rescue");
    machine.start();
    machine.start();
    assert_eq!(system(), "rescue");

    // The choice stays with the next release, and a trial is of the system that is wanted.
    machine.succeed(&["apply", "1-2.upm"]);
    machine.start();
    machine.assert_state("2", "trial", "boot-2", "boot-1");
    assert_eq!(system(), "rescue");
    machine.succeed(&["confirm"]);
    // The fallback is what starts when nothing is said.
    machine.succeed(&["reboot", "--into", "main", "--keep"]);
    assert_eq!(machine.read_variable(LOADER, "LoaderEntryDefault"), None);
    machine.start();
    assert_eq!(system(), "main");
}

#[test]
fn a_system_that_there_is_not_is_refused_with_those_that_there_are() {
    let machine = Machine::new(&["1"]);
    let before = machine.decisive();
    let error = machine.fail(3, &["reboot", "--into", "mission"]);
    let id = machine.short("1");
    let expected =
        format!("release {id}, which boots next, has no system \"mission\"; it has main, rescue");
    assert_eq!(error, expected);
    assert_eq!((machine.restarts(), machine.decisive() == before), (0, true));
    machine.variable(LOADER, "LoaderFeatures", None);
    let error = machine.fail(3, &["reboot", "--into", "rescue"]);
    assert!(error.starts_with("the boot loader does not say that it can be told"), "{error}");
    assert_eq!(machine.restarts(), 0);
    machine.succeed(&["reboot"]);
    assert_eq!(machine.restarts(), 1);
}

#[test]
fn collecting_keeps_what_either_slot_needs() {
    let machine = Machine::new(&["1", "2", "3"]);
    machine.succeed(&["apply", "1-2.upm"]);
    machine.start();
    machine.succeed(&["confirm"]);
    let said = machine.succeed(&["gc"]);
    assert!(said.starts_with("removed 0 objects"), "{said}");
    machine.assert_systems("1");
    machine.assert_systems("2");
    machine.succeed(&["apply", "2-3.upm"]);
    let said = machine.succeed(&["collect", "--dry-run"]);
    let line = format!("would remove release {}, which neither boot slot has", machine.id("1"));
    assert!(said.contains(&line), "{said}");
    let said: serde_json::Value =
        serde_json::from_str(&machine.succeed(&["collect", "--json"])).unwrap();
    assert_eq!(said["releases"], serde_json::json!([machine.id("1")]));
    assert!(said["removed"].as_u64().unwrap() > 0);
    machine.assert_systems("2");
    machine.assert_systems("3");
    let mounted = machine.mounted();
    let mut names: Vec<_> = fs::read_dir(mounted.0.join("systems"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut expected = [machine.id("2"), machine.id("3")];
    expected.sort_unstable();
    assert_eq!(names, expected);
}

#[test]
fn what_of_etc_is_not_as_the_release_has_it_is_said() {
    let machine = Machine::new(&["1"]);
    let etc = |name: &str| machine.path("etc").join(name);
    fs::write(etc("version"), "1\n").unwrap();
    let said = |machine: &Machine| machine.status()["etc"].to_string();
    assert_eq!(said(&machine), r#"[{"path":"/etc/upmass","change":"added"}]"#);
    fs::write(etc("version"), "2\n").unwrap();
    assert!(said(&machine).contains(r#"{"path":"/etc/version","change":"changed"}"#));
    fs::remove_file(etc("version")).unwrap();
    assert!(said(&machine).contains(r#"{"path":"/etc/version","change":"removed"}"#));
    let text = machine.succeed(&["status"]);
    assert!(text.contains("/etc     2 names differ from the release"), "{text}");
}

#[test]
fn a_file_system_that_is_mounted_read_only_is_made_writable_for_the_command_alone() {
    let machine = Machine::new(&["1", "2"]);
    let (_, found) = machine.disk();
    let range = found.layout.partition("system").unwrap().range;
    let output = std::process::Command::new("losetup")
        .args(["--find", "--show", &format!("--offset={}", range.start())])
        .arg(format!("--sizelimit={}", range.len()))
        .arg(machine.path("dev/sda"))
        .output()
        .unwrap();
    let node = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let target = machine.place.path("root");
    fs::create_dir(&target).unwrap();
    let target = target.to_str().unwrap().to_owned();
    run(&["mount", "-o", "ro", &node, &target]);
    machine.assert_state("1", "settled", "boot-1", "boot-1");
    let applied = machine.run(&["apply", "1-2.upm"]);
    let is_read_only = fs::write(format!("{target}/new"), "x").is_err();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mounts.lines().find(|line| line.contains(&target)).unwrap().to_owned();
    run(&["umount", &target]);
    run(&["losetup", "-d", &node]);
    assert_eq!(applied.status, 0, "{}", applied.stderr);
    assert!(is_read_only);
    // Mount and file system, as before.
    assert!(line.contains(" ro,") && line.rsplit(' ').next().unwrap().starts_with("ro"), "{line}");
    machine.start();
    machine.assert_state("2", "trial", "boot-2", "boot-1");
}

#[test]
fn systems_are_links_to_the_store_and_take_hardly_any_space() {
    use std::os::unix::fs::MetadataExt;
    let machine = Machine::new(&["1", "2"]);
    machine.succeed(&["apply", "1-2.upm"]);
    let mounted = machine.mounted();
    let stat = |version: &str, path: &str| {
        let system = mounted.0.join("systems").join(machine.id(version));
        fs::symlink_metadata(system.join(path)).unwrap()
    };
    // One inode: the object, and the file in two systems of two releases.
    let program = stat("1", "main/program");
    for (version, path) in [("1", "rescue/program"), ("2", "main/program"), ("2", "rescue/program")]
    {
        assert_eq!(stat(version, path).ino(), program.ino(), "{version} {path}");
    }
    assert_eq!(program.nlink(), 5);
    assert_eq!(stat("2", "main/boot/vmlinuz").nlink(), 3, "store, main and rescue");
}
