//! Disks for U-Boot: U-Boot itself, Debian's for QEMU, runs the boot script that `upmass image` and `upmass apply` put into
//! slots; a few instructions stand for Linux and say what they were told.

mod board;
#[path = "../common/mod.rs"]
mod common;
mod payload;
mod slot;

use std::fs;

use board::Board;
use upmass_disk::gpt::Slot;

#[test]
fn a_release_is_tried_once_and_stays_when_it_is_confirmed() {
    let board = Board::new(&["1", "2", "3"]);
    board.starts("main 1");
    board.assert_state("main 1", "settled", "boot-1", "boot-1");
    board.succeed(&["apply", "1-2.upm"]);
    board.assert_state("main 1", "armed", "boot-1", "boot-1");
    board.starts("main 2");
    board.assert_state("main 2", "trial", "boot-2", "boot-1");
    // Not confirmed.
    board.starts("main 1");
    board.assert_state("main 1", "settled", "boot-1", "boot-1");

    board.succeed(&["apply", "1-2.upm"]);
    board.starts("main 2");
    board.succeed(&["confirm"]);
    board.assert_state("main 2", "settled", "boot-2", "boot-2");
    board.starts("main 2");
    board.assert_state("main 2", "settled", "boot-2", "boot-2");

    // The next one goes into the first slot, which is the second partition now.
    board.succeed(&["apply", "2-3.upm"]);
    board.starts("main 3");
    board.assert_state("main 3", "trial", "boot-1", "boot-2");
    board.starts("main 2");
}

#[test]
fn other_systems_are_started_once_or_from_now_on_and_with_a_trial() {
    let board = Board::new(&["1", "2"]);
    board.starts("main 1");
    board.succeed(&["reboot", "--into", "rescue"]);
    assert_eq!(board.status()["next_system_once"], "rescue");
    board.starts("rescue 1");
    board.assert_state("rescue 1", "settled", "boot-1", "boot-1");
    board.succeed(&["reboot", "--into", "rescue", "--keep"]);
    assert_eq!(board.status()["preferred_system"], "rescue");
    board.starts("rescue 1");
    // With a trial, too: the one-shot says both.
    board.succeed(&["apply", "1-2.upm"]);
    board.succeed(&["reboot", "--into", "main"]);
    board.starts("main 2");
    board.assert_state("main 2", "trial", "boot-2", "boot-1");
    board.succeed(&["confirm"]);
    // The preference is one of names, and holds for the next release; its copy does where it is damaged.
    board.damage(board.once().start() + 512, 512, |sector| sector[200] ^= 1);
    board.starts("rescue 2");
    board.succeed(&["reboot", "--into", "main", "--keep"]);
    board.starts("main 2");
    board.succeed(&["rollback"]);
    board.starts("main 1");
    board.assert_state("main 1", "settled", "boot-1", "boot-1");
}

#[test]
fn what_cannot_be_loaded_gives_way_to_the_other_slot() {
    let board = Board::new(&["1", "2"]);
    board.starts("main 1");
    // There is no other slot: nothing starts, and nothing hangs in the script.
    let whole = fs::read(board.disk()).unwrap();
    let kernel = kernel(&board, Slot::One);
    board.mtools("mdel", Slot::One, &[&kernel]);
    let started = board.start();
    assert_eq!(started.kernel, "", "{}", started.console);
    assert!(started.console.contains("Upmass: no slot of virtio 0 can be loaded"));
    fs::write(board.disk(), &whole).unwrap();

    // A trial of a slot without its kernel is the old release at once.
    board.succeed(&["apply", "1-2.upm"]);
    let armed = fs::read(board.disk()).unwrap();
    board.mtools("mdel", Slot::Two, &[&self::kernel(&board, Slot::Two)]);
    board.starts("main 1");
    board.assert_state("main 1", "settled", "boot-1", "boot-1");

    // What is armed is a trial of slot 2; what follows happens to slot 1 meanwhile.
    let with = |damage: &dyn Fn()| {
        fs::write(board.disk(), &armed).unwrap();
        board.starts("main 2");
        damage();
        board.start().kernel
    };
    let without_kernel = || drop(board.mtools("mdel", Slot::One, &[&kernel]));
    assert_eq!(with(&without_kernel), "main 2");
    let without_file_system =
        || board.damage(board.slot(Slot::One).start(), 512, |all| all.fill(0));
    assert_eq!(with(&without_file_system), "main 2");
    // The script of the other slot is found, and does the same.
    let with_damaged_script = || {
        let script = board.place.path("boot.scr");
        let script = script.to_str().unwrap();
        board.mtools("mcopy", Slot::One, &["-n", "::boot.scr", script]);
        let mut bytes = fs::read(script).unwrap();
        bytes[100] ^= 1;
        fs::write(script, bytes).unwrap();
        board.mtools("mcopy", Slot::One, &["-o", script, "::boot.scr"]);
    };
    assert_eq!(with(&with_damaged_script), "main 1");
    // Without its first partition table the disk boots by the second one.
    let without_table = || board.damage(512, 512, |all| all.fill(0));
    assert_eq!(with(&without_table), "main 1");
}

#[test]
fn a_one_shot_that_was_torn_or_is_of_another_disk_is_none() {
    let board = Board::new(&["1", "2"]);
    board.starts("main 1");
    board.succeed(&["apply", "1-2.upm"]);
    let armed = fs::read(board.disk()).unwrap();
    let once = board.once().start();
    for (what, at) in [("checksum", 0), ("name", 10), ("value", 40), ("rest", 511)] {
        fs::write(board.disk(), &armed).unwrap();
        board.damage(once, 512, |sector| sector[at] ^= 1);
        assert_eq!(board.start().kernel, "main 1", "{what}");
        board.assert_state("main 1", "settled", "boot-1", "boot-1");
    }
    // A disk that cannot be written: what cannot be cleared is not done.
    fs::write(board.disk(), &armed).unwrap();
    let started = board.start_read_only();
    assert_eq!(started.kernel, "main 1", "{}", started.console);
    assert!(started.console.contains("Upmass: the one-shot cannot be cleared, so it is not done"));
}

/// The path of the fallback's kernel in a slot.
fn kernel(board: &Board, slot: Slot) -> String {
    let text = board.mtools("mtype", slot, &["::upmass/extlinux.conf"]);
    let path = text.lines().find_map(|line| line.trim().strip_prefix("linux ")).unwrap();
    format!("::{path}")
}
