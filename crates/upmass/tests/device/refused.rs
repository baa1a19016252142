//! Each wrong input gets one clear sentence and changes nothing that decides what boots.

use std::fs;

use crate::machine::{GLOBAL, LOADER, Machine};

#[test]
fn what_is_no_device_is_refused() {
    let machine = Machine::new(&["1", "2"]);
    let commands: [&[&str]; 7] = [
        &["apply", "1-2.upm"],
        &["status"],
        &["confirm"],
        &["rollback"],
        &["health"],
        &["collect"],
        &["reboot", "--into", "main"],
    ];
    let line = fs::read_to_string(machine.path("proc/cmdline")).unwrap();
    fs::write(machine.path("proc/cmdline"), "root=/dev/sda1\n").unwrap();
    let before = machine.decisive();
    for command in commands {
        let error = machine.fail(3, command);
        let expected = "this system was not started from a boot slot of Upmass: ";
        assert!(error.starts_with(expected), "{error}");
    }
    fs::write(machine.path("proc/cmdline"), line).unwrap();
    fs::write(machine.path("sys/block/sda/size"), "0\n").unwrap();
    for command in commands {
        let error = machine.fail(3, command);
        assert!(error.contains("which is no boot slot of a disk with two"), "{error}");
    }
    assert_eq!((machine.restarts(), machine.decisive() == before), (0, true));
}

#[test]
fn without_efi_variables_nothing_is_tried() {
    let machine = Machine::new(&["1", "2"]);
    let efi = machine.path("sys/firmware/efi/efivars");
    let before = machine.decisive();
    fs::rename(&efi, machine.path("efivars")).unwrap();
    let error = machine.fail(3, &["apply", "1-2.upm"]);
    assert!(error.starts_with("there are no EFI variables at device/sys/firmware"), "{error}");
    // Nobody knows what is armed, so nothing else is changed either.
    let commands: [&[&str]; 5] =
        [&["confirm"], &["health"], &["collect"], &["rollback"], &["reboot", "--into", "rescue"]];
    for command in commands {
        let error = machine.fail(3, command);
        let expected = "there are no EFI variables at device/sys/firmware/efi/efivars, so it is not known what \
                        the next start boots: ";
        assert!(error.starts_with(expected), "{error}");
    }
    assert_eq!(machine.restarts(), 0);
    // What can be told without them is told.
    let status = machine.status();
    assert_eq!((&status["can_try"], &status["booted_told_by"]), (&false.into(), &"release".into()));
    let text = machine.succeed(&["status"]);
    assert!(text.contains("trials   not possible: there are no EFI variables"), "{text}");
    fs::rename(machine.path("efivars"), &efi).unwrap();
    assert!(machine.decisive() == before);
}

#[test]
fn an_update_during_a_trial_is_refused() {
    let machine = Machine::new(&["1", "2", "3"]);
    machine.succeed(&["apply", "1-2.upm"]);
    machine.start();
    let before = machine.decisive();
    let error = machine.fail(3, &["apply", "2-3.upm"]);
    assert!(error.ends_with("until then its slot is not written"), "{error}");
    assert!(machine.decisive() == before);
}

#[test]
fn what_is_not_trusted_or_starts_elsewhere_is_refused() {
    let machine = Machine::new(&["1", "2", "3"]);
    let before = machine.decisive();
    let error = machine.fail(3, &["apply", "2-3.upm"]);
    assert!(error.contains("release"), "{error}");
    machine.place.succeed(&["keygen", "-o", "other"]);
    let keys = machine.path("etc/upmass/keys");
    fs::copy(machine.place.path("other.pub"), keys.join("test.pub")).unwrap();
    machine.fail(3, &["apply", "1-2.upm"]);
    fs::remove_file(keys.join("test.pub")).unwrap();
    let error = machine.fail(3, &["apply", "1-2.upm"]);
    assert!(error.ends_with("has no public key (*.pub), so nothing is trusted"), "{error}");
    fs::remove_dir(&keys).unwrap();
    machine.fail(1, &["apply", "1-2.upm"]);
    assert!(machine.decisive() == before);
}

#[test]
fn a_slot_that_is_too_short_is_refused_before_it_is_written() {
    let machine = Machine::with(&["1"], "slot = \"34MiB\"\nsystem = \"300MiB\"\n");
    let root = machine.place.path("main-9");
    fs::create_dir_all(root.join("boot")).unwrap();
    fs::write(root.join("boot/vmlinuz"), crate::common::noise(9, 40 << 20)).unwrap();
    let text = "machine = \"test\"\nversion = \"9\"\ncounter = 9\n[[system]]\nname = \"main\"\n\
                source = { dir = \"main-9\" }\nkernel = \"/boot/vmlinuz\"\n";
    fs::write(machine.place.path("nine.toml"), text).unwrap();
    machine.place.succeed(&["release", "nine.toml", "--store", "st"]);
    machine.place.full_update("st", "9", "9.upm");
    let before = machine.decisive();
    let error = machine.fail(3, &["apply", "9.upm"]);
    assert!(error.starts_with("the boot slots: the files need "), "{error}");
    assert!(machine.decisive() == before);
    machine.assert_state("1", "settled", "boot-1", "boot-1");
}

#[test]
fn a_system_partition_that_is_too_short_is_refused_with_numbers() {
    let machine = Machine::with(&["1", "2"], "slot = \"40MiB\"\nsystem = \"10MiB\"\n");
    let before = machine.decisive();
    let error = machine.fail(4, &["apply", "1-2.upm"]);
    assert!(error.contains(" bytes of the system partition, which has "), "{error}");
    assert!(machine.decisive() == before);
}

#[test]
fn a_one_shot_of_the_firmware_that_is_not_ours_stays_until_an_update_is_armed() {
    let machine = Machine::new(&["1", "2"]);
    machine.variable(GLOBAL, "BootNext", Some(&[9, 0]));
    machine.fail(5, &["confirm"]);
    assert_eq!(machine.read_variable(GLOBAL, "BootNext"), Some(vec![9, 0]));
    machine.succeed(&["apply", "1-2.upm"]);
    assert_eq!(machine.read_variable(GLOBAL, "BootNext"), Some(vec![0, 0]));
    assert!(machine.read_variable(LOADER, "LoaderFeatures").is_some());
}
