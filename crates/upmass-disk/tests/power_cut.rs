//! The simulated volume loses what the contract of `Volume` allows to be lost, and no more.

mod script;

use std::collections::BTreeSet;
use std::io::ErrorKind;

use upmass_disk::{LockMode, SimVolume, Survivors, Volume};

use script::{run_all, show};

/// Runs commands, cuts the power, and compares all that may be found then with `expected`. What
/// is missing here makes the model too kind, and what is found beyond it makes it too harsh.
#[track_caller]
fn check(commands: &str, expected: &[&str]) {
    let volume = SimVolume::new(CAPACITY);
    run_all(&volume, commands).unwrap();
    let found = outcomes(&volume);
    let expected: BTreeSet<String> = expected.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected, "after {commands}");
}

fn outcomes(volume: &SimVolume) -> BTreeSet<String> {
    Survivors::some(SEEDS).map(|survivors| show(&volume.after_power_cut(survivors))).collect()
}

#[test]
fn synced_content_under_a_synced_name_is_there() {
    check("put a x; syncdir .", &["a=x"]);
}

#[test]
fn content_that_was_not_synced_is_missing_or_zeros_or_there() {
    check("draft a x; syncdir .", &["a=", "a=\\x00", "a=x"]);
}

#[test]
fn a_name_that_was_not_synced_is_there_or_not() {
    check("put a x", &["", "a=x"]);
    check("mkdir d", &["", "d"]);
    check("zeros a 1; syncall; put b x", &["a=\\x00", "a=\\x00 b=x"]);
}

#[test]
fn a_removal_is_undone_until_it_is_synced() {
    check("put a x; syncdir .; remove a", &["", "a=x"]);
    check("put a x; syncdir .; remove a; syncdir .", &[""]);
    check("mkdir d; syncdir .; rmdir d", &["", "d"]);
    check("mkdir d; syncdir .; rmdir d; syncdir .", &[""]);
}

#[test]
fn names_survive_in_any_combination() {
    check("put a 1; put b 2", &["", "a=1", "b=2", "a=1 b=2"]);
    check("put a 1; syncdir .; remove a; put b 2", &["", "a=1", "b=2", "a=1 b=2"]);
}

#[test]
fn a_name_may_mean_all_that_it_meant_since_the_last_sync() {
    check("put a 1; syncdir .; remove a; put a 2; remove a; put a 3", &["", "a=1", "a=2", "a=3"]);
}

#[test]
fn a_file_without_a_durable_name_may_be_lost_while_it_moves() {
    check("put a x; publish a b", &["", "a=x", "b=x", "a=x b=x"]);
}

#[test]
fn a_file_with_a_durable_name_keeps_one_while_it_moves() {
    check("put a x; syncdir .; publish a b", &["a=x", "b=x", "a=x b=x"]);
    check("put a x; syncdir .; publish a b; syncdir .", &["b=x"]);
    check(
        "put a x; syncdir .; publish a b; publish b c",
        &["a=x", "b=x", "c=x", "a=x b=x", "a=x c=x", "b=x c=x", "a=x b=x c=x"],
    );
}

#[test]
fn a_file_that_was_moved_and_removed_may_be_lost() {
    check("put a x; syncdir .; publish a b; remove b", &["", "a=x", "b=x", "a=x b=x"]);
}

#[test]
fn a_replaced_name_means_the_old_file_or_the_new_one() {
    check("put a 1; put b 2; syncdir .; replace b a", &["a=1 b=2", "a=2", "a=2 b=2"]);
    check("put a 1; syncdir .; put b 2; replace b a", &["a=1", "a=1 b=2", "a=2", "a=2 b=2"]);
    check("put a 1; put b 2; syncdir .; replace b a; syncdir .", &["a=2"]);
}

#[test]
fn files_that_change_places_are_both_kept() {
    let volume = SimVolume::new(CAPACITY);
    let swap = "put a 1; put b 2; syncdir .; publish a c; publish b a; publish c b";
    run_all(&volume, swap).unwrap();
    let found = outcomes(&volume);
    assert!(found.contains("a=2 b=1"));
    assert!(found.contains("a=1 b=2"));
    for outcome in found {
        assert!(outcome.contains("=1") && outcome.contains("=2"), "{outcome}");
    }
}

#[test]
fn a_directory_syncs_its_own_names_only() {
    let two = "mkdir d; mkdir e; syncdir .";
    check(&format!("{two}; put d/a x; put e/a y; syncdir d"), &["d d/a=x e", "d d/a=x e e/a=y"]);
    check(
        &format!("{two}; put d/a x; syncdir d; publish d/a e/b; syncdir e"),
        &["d d/a=x e e/b=x", "d e e/b=x"],
    );
}

#[test]
fn a_move_of_which_only_the_old_directory_was_synced_may_lose_the_file() {
    check(
        "mkdir d; mkdir e; put d/a x; syncall; publish d/a e/b; syncdir d",
        &["d e", "d e e/b=x"],
    );
}

#[test]
fn what_is_in_a_directory_is_lost_with_its_name() {
    check("mkdir d; put d/a x; syncdir d", &["", "d d/a=x"]);
    check("mkdir d; syncdir .; put d/a x", &["d", "d d/a=x"]);
    check("mkdir d; put d/a x; syncdir d; syncdir .", &["d d/a=x"]);
    check("mkdir d; put d/a x", &["", "d", "d d/a=x"]);
}

#[test]
fn a_directory_comes_back_for_a_file_that_was_moved_out() {
    check(
        "mkdir d; put d/a x; syncall; publish d/a b; rmdir d",
        &["b=x", "b=x d", "b=x d d/a=x", "d d/a=x"],
    );
}

#[test]
fn a_directory_that_is_made_again_does_not_have_the_old_files() {
    check("mkdir d; put d/a x; syncall; remove d/a; rmdir d; mkdir d; syncdir .", &["d"]);
}

#[test]
fn syncing_all_makes_all_durable() {
    let commands = "mkdir d; draft d/a x; zeros b 1; put c y; publish c d/c; remove b; syncall";
    check(commands, &["d d/a=x d/c=y"]);
}

#[test]
fn a_locked_file_is_a_name_as_any_other() {
    let volume = SimVolume::new(CAPACITY);
    let lock = volume.lock("lock", LockMode::Exclusive, false).unwrap();
    assert!(lock.is_some());
    assert_eq!(outcomes(&volume), ["", "lock="].map(str::to_owned).into());
    let after = volume.after_power_cut(Survivors::Everything);
    let again = after.lock("lock", LockMode::Exclusive, false).unwrap();
    assert!(again.is_some(), "a lock ends with the power");
}

#[test]
fn survivors_without_chance_are_what_they_say() {
    let volume = SimVolume::new(CAPACITY);
    run_all(&volume, "put a 1; draft new 234; syncdir .; replace new a").unwrap();
    let after = |survivors| show(&volume.after_power_cut(survivors));
    assert_eq!(after(Survivors::Nothing), "a=1 new=");
    assert_eq!(after(Survivors::Everything), "a=234");
    assert_eq!(after(Survivors::NamesOnly), "a=");
    assert_eq!(after(Survivors::NamesAndLengths), "a=\\x00\\x00\\x00");
}

#[test]
fn content_tears_at_any_byte_and_at_sectors_but_never_before_the_sync() {
    let volume = SimVolume::new(CAPACITY);
    let whole: Vec<u8> = (0..2500_u32).map(|i| (i % 251) as u8 + 1).collect();
    let synced = 700;
    let mut file = volume.create("a").unwrap();
    file.write(&whole[..synced]).unwrap();
    file.sync().unwrap();
    file.write(&whole[synced..]).unwrap();
    volume.sync_dir("").unwrap();
    let mut seen = BTreeSet::new();
    for survivors in Survivors::some(SEEDS) {
        let after = volume.after_power_cut(survivors);
        let content = after.snapshot().remove("a").unwrap().unwrap();
        assert!((synced..=whole.len()).contains(&content.len()));
        assert_eq!(content[..synced], whole[..synced]);
        let mut sectors = Vec::new();
        for start in (0..content.len()).step_by(512) {
            let range = start.max(synced)..content.len().min(start + 512);
            if !range.is_empty() {
                let is_real = content[range.clone()] == whole[range.clone()];
                assert!(is_real || content[range].iter().all(|byte| *byte == 0));
                sectors.push(is_real);
            }
        }
        let is_long = content.len() == whole.len();
        seen.insert(match (is_long, sectors.contains(&true), sectors.contains(&false)) {
            (true, true, false) => "whole",
            (true, false, true) => "zeros",
            (true, true, true) => "holes",
            (false, true, false) => "a prefix",
            (false, false, true) => "short and zeros",
            (false, true, true) => "short with holes",
            (_, false, false) => "nothing",
        });
    }
    let all =
        ["whole", "zeros", "holes", "a prefix", "short and zeros", "short with holes", "nothing"];
    assert_eq!(seen, all.into());
}

#[test]
fn chance_is_the_same_each_time() {
    let volume = SimVolume::new(CAPACITY);
    run_all(&volume, "draft a 123456; put b 2; publish b c; mkdir d").unwrap();
    for survivors in Survivors::some(20) {
        let first = volume.after_power_cut(survivors).snapshot();
        assert_eq!(first, volume.after_power_cut(survivors).snapshot());
    }
}

#[test]
fn what_survived_is_durable_and_on_its_own() {
    let volume = SimVolume::new(CAPACITY);
    run_all(&volume, "put a x; draft b 123456; mkdir d; publish a d/a").unwrap();
    let before = volume.snapshot();
    for survivors in Survivors::some(50) {
        let after = volume.after_power_cut(survivors);
        assert_eq!(outcomes(&after).len(), 1, "{survivors:?}");
        assert_eq!(after.steps(), 0);
        run_all(&after, "put new x; remove b").unwrap();
    }
    assert_eq!(volume.snapshot(), before);
}

#[test]
fn a_file_with_two_names_is_one_file() {
    let volume = SimVolume::new(CAPACITY);
    run_all(&volume, "put a x; syncdir .; publish a b").unwrap();
    let mut both = Survivors::some(SEEDS)
        .map(|survivors| volume.after_power_cut(survivors))
        .filter(|after| show(after) == "a=x b=x");
    let after = both.next().unwrap();
    assert_eq!(after.free_space().unwrap(), CAPACITY - 1);
    assert!(!after.publish("a", "b").unwrap());
    after.replace("a", "b").unwrap();
    assert_eq!(show(&after), "a=x b=x", "rename(2) of a file to itself");
    after.remove("a").unwrap();
    assert_eq!(show(&after), "b=x");
    assert_eq!(after.free_space().unwrap(), CAPACITY - 1);
}

#[test]
fn the_step_of_a_cut_has_no_effect_and_all_later_ones_fail() {
    let commands = [
        "publish a z",
        "replace a b",
        "remove a",
        "rmdir d",
        "mkdir e",
        "syncdir .",
        "syncall",
        "zeros new 0",
    ];
    for command in commands {
        let volume = SimVolume::new(CAPACITY);
        run_all(&volume, "put a x; put b y; mkdir d; syncall; put c z").unwrap();
        let before = (volume.snapshot(), outcomes(&volume));
        let steps = volume.steps();
        let reader = volume.open("a").unwrap();
        volume.cut_power_at(steps);
        assert!(volume.list("").is_ok(), "there was no step yet");
        assert!(!volume.is_off());
        for _ in 0..2 {
            let error = run_all(&volume, command).unwrap_err();
            assert_eq!(error.source.raw_os_error(), Some(5), "{command}");
            assert!(volume.is_off());
            assert_eq!(volume.steps(), steps);
        }
        assert_eq!((volume.snapshot(), outcomes(&volume)), before, "{command}");
        assert!(volume.open("a").is_err());
        assert!(volume.open_if_exists("no").is_err());
        assert!(volume.file_len("a").is_err());
        assert!(volume.list("").is_err());
        assert!(volume.free_space().is_err());
        assert!(volume.lock("l", LockMode::Shared, false).is_err());
        assert!(reader.read_at(&mut [0], 0).is_err());
    }
}

#[test]
fn a_write_is_torn_by_the_cut_and_a_sync_has_no_effect() {
    let volume = SimVolume::new(CAPACITY);
    let mut file = volume.create("a").unwrap();
    volume.sync_dir("").unwrap();
    file.write(b"ab").unwrap();
    volume.cut_power_at(volume.steps());
    assert!(file.write(b"cdef").is_err());
    assert!(file.write(b"cdef").is_err());
    assert!(file.sync().is_err());
    assert_eq!(show(&volume.after_power_cut(Survivors::Everything)), "a=abcd");
    assert_eq!(show(&volume.after_power_cut(Survivors::Nothing)), "a=");

    let volume = SimVolume::new(CAPACITY);
    let mut file = volume.create("a").unwrap();
    volume.sync_dir("").unwrap();
    file.write(b"ab").unwrap();
    volume.cut_power_at(volume.steps());
    assert!(file.sync().is_err());
    assert_eq!(show(&volume.after_power_cut(Survivors::Nothing)), "a=");
}

#[test]
fn who_waits_for_a_lock_is_told_of_the_cut() {
    let volume = SimVolume::new(CAPACITY);
    let held = volume.lock("lock", LockMode::Exclusive, true).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| volume.lock("lock", LockMode::Exclusive, true).is_err());
        std::thread::sleep(std::time::Duration::from_millis(30));
        volume.cut_power_at(0);
        assert!(volume.sync_all().is_err());
        assert!(waiting.join().unwrap());
    });
    drop(held);
}

#[test]
fn content_takes_space_and_gives_it_back() {
    let volume = SimVolume::new(10);
    run_all(&volume, "put a 1234; zeros b 3").unwrap();
    assert_eq!(volume.free_space().unwrap(), 3);
    let error = run_all(&volume, "put c 56789").unwrap_err();
    assert!(error.is_full());
    assert_eq!(error.source.kind(), ErrorKind::StorageFull);
    assert_eq!(show(&volume), "a=1234 b=\\x00\\x00\\x00 c=567");
    assert_eq!(volume.free_space().unwrap(), 0);
    assert!(run_all(&volume, "zeros d 1").unwrap_err().is_full());
    run_all(&volume, "publish a e; replace e b; remove c; remove d").unwrap();
    assert_eq!(volume.free_space().unwrap(), 6);
    let after = volume.after_power_cut(Survivors::Everything);
    assert_eq!(after.free_space().unwrap(), 6);
}

#[test]
fn a_damaged_file_stays_damaged() {
    let volume = SimVolume::new(10);
    run_all(&volume, "put a 1234; syncdir .").unwrap();
    volume.corrupt("a", |content| content[1] ^= 1).unwrap();
    assert_eq!(outcomes(&volume), ["a=1334".to_owned()].into());
    volume.corrupt("a", |content| content.truncate(1)).unwrap();
    assert_eq!(volume.free_space().unwrap(), 9);
    assert!(volume.corrupt("no", |_| {}).unwrap_err().is_missing());
}

#[test]
fn paths_that_are_not_ours_are_errors() {
    let volume = SimVolume::new(10);
    run_all(&volume, "mkdir d").unwrap();
    for path in ["", "/", "/a", "a/", "d//a", "./a", "d/../a", "..", "a\0b"] {
        let error = volume.create(path).err().expect(path);
        assert_eq!(error.source.kind(), ErrorKind::InvalidInput, "{path:?}");
    }
    assert!(volume.sync_dir("/").is_err());
    assert!(volume.list(".").is_err());
}

/// Cuts the power at each step of `commands`, run after `a=old` became durable, and collects what
/// `a` is then.
fn every_cut(commands: &str) -> BTreeSet<String> {
    let start = SimVolume::new(CAPACITY);
    run_all(&start, "put a old; syncdir .").unwrap();
    let mut found = BTreeSet::new();
    for cut in 0.. {
        let volume = start.after_power_cut(Survivors::Everything);
        volume.cut_power_at(cut);
        let finished = run_all(&volume, commands).is_ok();
        for survivors in Survivors::some(SEEDS) {
            let content = volume.after_power_cut(survivors).snapshot().remove("a");
            let content = content.map(|content| content.unwrap());
            let text = content.map(|content| content.escape_ascii().to_string());
            found.insert(text.unwrap_or("missing".to_owned()));
        }
        if finished {
            break;
        }
    }
    found
}

#[test]
fn a_careful_replacement_is_old_or_new_at_each_cut() {
    let found = every_cut("put b new; replace b a; syncdir .");
    assert_eq!(found, ["new", "old"].map(str::to_owned).into());
}

#[test]
fn careless_replacements_are_caught() {
    let no_sync = every_cut("draft b new; replace b a; syncdir .");
    assert!(no_sync.contains("") && no_sync.contains("\\x00\\x00\\x00"), "{no_sync:?}");
    let no_rename = every_cut("remove a; put a new; syncdir .");
    assert!(no_rename.contains("missing"), "{no_rename:?}");
}

const CAPACITY: u64 = 1 << 20;
const SEEDS: u64 = 400;
