//! A release is applied, tried once, and confirmed or dropped.

use std::fs;

use crate::machine::{GLOBAL, Machine};

#[test]
fn an_update_is_armed_tried_confirmed_and_followed_by_the_next_one() {
    let machine = Machine::new(&["1", "2", "3"]);
    machine.assert_state("1", "settled", "boot-1", "boot-1");
    let said = machine.succeed(&["apply", "1-2.upm"]);
    assert_eq!(said.trim(), machine.id("2"));
    machine.assert_state("1", "armed", "boot-1", "boot-1");
    assert_eq!(machine.status()["next_release"], machine.id("2"));
    machine.assert_systems("2");
    machine.assert_systems("1");

    machine.start();
    machine.assert_state("2", "trial", "boot-2", "boot-1");
    assert_eq!(machine.status()["next_release"], machine.id("1"));
    assert_eq!(machine.succeed(&["confirm"]).trim(), machine.id("2"));
    machine.assert_state("2", "settled", "boot-2", "boot-2");
    assert_eq!(machine.status()["last_attempt"], serde_json::Value::Null);
    assert_eq!(
        machine.fail(5, &["confirm"]),
        format!("upmass: release {} is not on trial", machine.short("2"))
    );
    machine.start();
    machine.assert_state("2", "settled", "boot-2", "boot-2");

    // The next one goes into the other slot, whose number is another one now.
    machine.succeed(&["apply", "2-3.upm"]);
    machine.start();
    machine.assert_state("3", "trial", "boot-1", "boot-2");
    machine.succeed(&["confirm"]);
    machine.start();
    machine.assert_state("3", "settled", "boot-1", "boot-1");
    machine.assert_systems("3");
    assert_eq!(machine.restarts(), 0, "nobody asked for one");
}

#[test]
fn a_restart_without_confirmation_brings_the_old_release_back() {
    let machine = Machine::new(&["1", "2"]);
    machine.succeed(&["apply", "1-2.upm"]);
    machine.start();
    machine.start();
    machine.assert_state("1", "settled", "boot-1", "boot-1");
    // A command that may write notes what happened: nothing did before.
    machine.fail(5, &["confirm"]);
    let attempt = &machine.status()["last_attempt"];
    assert_eq!(attempt["release"], machine.id("2"));
    assert_eq!(attempt["state"], "failed");
    assert_eq!(attempt["reason"], "it did not start, or was reset before it could say so");

    // Applied again, it is tried again; and now it is known to have run.
    machine.succeed(&["apply", "1-2.upm"]);
    machine.start();
    machine.fail(3, &["apply", "1-2.upm"]);
    machine.start();
    machine.fail(5, &["confirm"]);
    let reason = &machine.status()["last_attempt"]["reason"];
    assert_eq!(reason, "it was restarted before it was confirmed");
    let text = machine.succeed(&["status"]);
    let line = format!(
        "attempt  release {} failed: it was restarted before it was confirmed",
        machine.short("2")
    );
    assert!(text.contains(&line), "{text}");
}

#[test]
fn applying_twice_is_applying_once() {
    let machine = Machine::new(&["1", "2"]);
    machine.succeed(&["apply", "1-2.upm"]);
    let before = machine.decisive();
    let error = machine.fail(5, &["apply", "1-2.upm"]);
    assert_eq!(
        error,
        format!(
            "upmass: release {} is armed already: `upmass reboot` tries it",
            machine.short("2")
        )
    );
    assert!(machine.decisive() == before);
    machine.start();
    machine.succeed(&["confirm"]);
    let before = machine.decisive();
    let error = machine.fail(5, &["apply", "1-2.upm"]);
    assert_eq!(error, format!("upmass: release {} runs already", machine.short("2")));
    assert!(machine.decisive() == before);
}

#[test]
fn an_armed_update_gives_way_to_the_next_one() {
    let machine = Machine::new(&["1", "2", "3"]);
    machine.update("1", "3");
    machine.succeed(&["apply", "1-2.upm"]);
    machine.succeed(&["apply", "1-3.upm"]);
    assert_eq!(machine.status()["next_release"], machine.id("3"));
    machine.start();
    machine.assert_state("3", "trial", "boot-2", "boot-1");
}

#[test]
fn what_is_armed_is_taken_back() {
    let machine = Machine::new(&["1", "2"]);
    machine.succeed(&["apply", "1-2.upm"]);
    assert_eq!(machine.succeed(&["rollback"]).trim(), machine.id("1"));
    assert_eq!(machine.read_variable(GLOBAL, "BootNext"), None);
    machine.assert_state("1", "settled", "boot-1", "boot-1");
    machine.start();
    machine.assert_state("1", "settled", "boot-1", "boot-1");
}

#[test]
fn what_is_on_trial_is_given_up() {
    let machine = Machine::new(&["1", "2"]);
    machine.succeed(&["apply", "1-2.upm"]);
    machine.start();
    machine.succeed(&["rollback"]);
    machine.start();
    machine.assert_state("1", "settled", "boot-1", "boot-1");
    assert_eq!(machine.status()["last_attempt"]["reason"], "it was rolled back by hand");
}

#[test]
fn what_is_confirmed_gives_way_to_the_other_slot_and_comes_back() {
    let machine = Machine::new(&["1", "2"]);
    let error = machine.fail(3, &["rollback"]);
    assert_eq!(error, "slot boot-2 has no release to go back to");
    machine.succeed(&["apply", "1-2.upm"]);
    machine.start();
    machine.succeed(&["confirm"]);
    assert_eq!(machine.succeed(&["rollback"]).trim(), machine.id("1"));
    machine.assert_state("2", "leaving", "boot-2", "boot-1");
    machine.fail(5, &["rollback"]);
    assert_eq!(
        machine.fail(3, &["apply", "1-2.upm"]),
        "the other slot was made active: restart first"
    );
    machine.start();
    machine.assert_state("1", "settled", "boot-1", "boot-1");
    machine.succeed(&["rollback"]);
    machine.start();
    machine.assert_state("2", "settled", "boot-2", "boot-2");
}

#[test]
fn a_slot_that_is_not_whole_is_not_gone_back_to() {
    let machine = Machine::new(&["1", "2"]);
    machine.succeed(&["apply", "1-2.upm"]);
    machine.start();
    machine.succeed(&["confirm"]);
    // A byte of the old kernel.
    let (_, found) = machine.disk();
    let range = found.layout.slot(upmass_disk::gpt::Slot::One).range;
    let mut disk = fs::read(machine.path("dev/sda")).unwrap();
    let kernel = fs::read(machine.place.path("main-1/boot/vmlinuz")).unwrap();
    let slot = &mut disk[range.start() as usize..range.end() as usize];
    let at = slot.windows(64).position(|window| window == &kernel[..64]).unwrap();
    slot[at + 1000] ^= 1;
    fs::write(machine.path("dev/sda"), disk).unwrap();
    let before = machine.decisive();
    let error = machine.fail(3, &["rollback"]);
    let expected = "slot boot-1 is not made active, since it is not whole: its file upmass/kernel-";
    assert!(error.starts_with(expected) && error.ends_with(" is damaged"), "{error}");
    assert!(machine.decisive() == before);
    machine.assert_state("2", "settled", "boot-2", "boot-2");
}
