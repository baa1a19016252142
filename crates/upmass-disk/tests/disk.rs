//! A disk keeps what was flushed, and a simulated one loses all else in every way that the
//! contract of `Disk` allows.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use upmass_disk::{Disk, DiskRange, FileDisk, Flushes, Region, SimDisk};

const SECTOR: usize = 512;

fn sector(byte: u8) -> Vec<u8> {
    vec![byte; SECTOR]
}

/// The content of each sector as a letter; `~` is torn, `!` cannot be read.
fn show(disk: &SimDisk) -> String {
    let look = |number: u64| {
        let mut content = sector(0);
        match disk.read_at(&mut content, number * SECTOR as u64) {
            Err(_) => '!',
            Ok(()) if content.iter().all(|byte| *byte == content[0]) => match content[0] {
                0 => '.',
                byte => byte.into(),
            },
            Ok(()) => '~',
        }
    };
    (0..disk.len() / SECTOR as u64).map(look).collect()
}

fn states(disk: &SimDisk) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    disk.crash_states(50, &mut |state| {
        found.insert(show(&state));
    });
    found
}

#[track_caller]
fn check(disk: &SimDisk, expected: &[&str]) {
    assert_eq!(states(disk), expected.iter().map(ToString::to_string).collect());
}

#[test]
fn a_sector_that_was_not_flushed_is_old_new_torn_or_unreadable() {
    let disk = SimDisk::new(2);
    disk.write_at(&sector(b'a'), 0).unwrap();
    check(&disk, &["..", "a.", "~.", "!."]);
    assert_eq!(show(&disk), "a.", "whoever wrote it reads it");
}

#[test]
fn a_sector_that_was_flushed_stays_whatever_is_written_elsewhere() {
    let disk = SimDisk::new(2);
    disk.write_at(&sector(b'a'), 0).unwrap();
    disk.flush().unwrap();
    let disk = disk.copy();
    disk.write_at(&sector(b'b'), 512).unwrap();
    check(&disk, &["a.", "ab", "a~", "a!"]);
}

#[test]
fn writes_between_two_flushes_survive_in_any_combination() {
    let disk = SimDisk::new(2);
    disk.write_at(&sector(b'a'), 0).unwrap();
    disk.write_at(&sector(b'b'), 512).unwrap();
    let found = states(&disk);
    assert_eq!(found.len(), 16, "{found:?}");
    assert!(found.contains(".b") && found.contains("a.") && found.contains("~!"));
}

#[test]
fn a_sector_may_be_as_it_was_at_any_time_since_the_flush() {
    let disk = SimDisk::new(1);
    disk.write_at(&sector(b'a'), 0).unwrap();
    disk.write_at(&sector(b'b'), 0).unwrap();
    check(&disk, &[".", "a", "b", "~", "!"]);
}

#[test]
fn a_cut_may_come_in_any_epoch() {
    let disk = SimDisk::new(2);
    disk.write_at(&sector(b'a'), 0).unwrap();
    disk.flush().unwrap();
    disk.write_at(&sector(b'b'), 512).unwrap();
    disk.flush().unwrap();
    check(&disk, &["..", "~.", "!.", "a.", "a~", "a!", "ab"]);
}

#[test]
fn a_disk_that_drops_flushes_may_lose_what_came_first() {
    let disk = SimDisk::new(2).with_flushes(Flushes::Dropped);
    disk.write_at(&sector(b'a'), 0).unwrap();
    disk.flush().unwrap();
    disk.write_at(&sector(b'b'), 512).unwrap();
    assert!(states(&disk).contains(".b"));
}

#[test]
fn a_large_write_survives_in_parts_and_halves() {
    let disk = SimDisk::new(64);
    disk.write_at(&vec![b'a'; 40 * SECTOR], 0).unwrap();
    disk.write_at(&vec![b'b'; 24 * SECTOR], 40 * SECTOR as u64).unwrap();
    let found = states(&disk);
    let line = |parts: &[(char, usize)]| -> String {
        parts.iter().map(|(letter, count)| letter.to_string().repeat(*count)).collect()
    };
    assert!(found.contains(&line(&[('.', 64)])));
    assert!(found.contains(&line(&[('a', 40), ('b', 24)])));
    assert!(found.contains(&line(&[('.', 40), ('b', 24)])), "reordered");
    assert!(found.contains(&line(&[('a', 20), ('.', 44)])), "halved");
    assert!(found.contains(&line(&[('.', 20), ('a', 20), ('.', 24)])), "the other half");
    assert!(found.contains(&line(&[('a', 39), ('!', 1), ('b', 24)])), "one sector unreadable");
}

#[test]
fn power_that_fails_in_a_write_leaves_its_first_half_and_stays_off() {
    let disk = SimDisk::new(4);
    disk.cut_power_at(1);
    disk.write_at(&sector(b'a'), 0).unwrap();
    disk.write_at(&vec![b'b'; 2 * SECTOR], 512).unwrap_err();
    assert!(disk.flush().is_err() && disk.read_at(&mut [0], 0).is_err());
    assert_eq!(disk.steps(), 1);
    assert_eq!(show(&disk.copy()), "ab..");
}

#[test]
fn a_simulated_disk_writes_whole_sectors_only() {
    let disk = SimDisk::new(2);
    assert!(disk.write_at(&[1], 0).is_err() && disk.write_at(&sector(1), 1).is_err());
}

/// What every disk does alike.
fn conforms(disk: &dyn Disk) {
    let len = disk.len();
    disk.write_at(&sector(b'x'), 0).unwrap();
    disk.write_at(&sector(b'y'), len - 512).unwrap();
    disk.flush().unwrap();
    disk.forget(DiskRange::new(0, len).unwrap());
    let mut read = [0; 2];
    disk.read_at(&mut read[..1], 511).unwrap();
    disk.read_at(&mut read[1..], len - 1).unwrap();
    assert_eq!(&read, b"xy");
    for offset in [len - 1, len, u64::MAX] {
        let error = disk.read_at(&mut [0; 2], offset).unwrap_err();
        assert_eq!(error.source.kind(), ErrorKind::UnexpectedEof, "{error}");
    }
    for offset in [len - 511, len, u64::MAX] {
        disk.write_at(&sector(b'z'), offset).unwrap_err();
    }
    disk.read_at(&mut read[1..], len - 1).unwrap();
    assert_eq!((&read, disk.len()), (b"xy", len), "nothing was written, and it did not grow");
}

#[test]
fn all_disks_conform() {
    conforms(&SimDisk::new(9));
    let directory = tempfile::tempdir().unwrap();
    conforms(&FileDisk::create(&directory.path().join("disk"), 9 * 512).unwrap());
    let whole: Arc<dyn Disk> = Arc::new(SimDisk::new(30));
    conforms(&Region::new(whole.clone(), DiskRange::sectors(7, 15).unwrap()).unwrap());
    let mut around = [1; 2];
    whole.read_at(&mut around[..1], 7 * 512 - 1).unwrap();
    whole.read_at(&mut around[1..], 16 * 512).unwrap();
    assert_eq!(around, [0; 2], "a region does not touch what is around it");
    assert!(Region::new(whole, DiskRange::sectors(20, 30).unwrap()).is_none());
}

#[test]
fn a_range_that_is_cleared_reads_as_zeros() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk");
    let disk = FileDisk::create(&path, 1 << 16).unwrap();
    disk.write_at(&vec![7; 1 << 16], 0).unwrap();
    disk.clear(DiskRange::new(1000, 50_000).unwrap()).unwrap();
    let content = std::fs::read(&path).unwrap();
    let ones = |range: std::ops::Range<usize>| content[range].iter().all(|byte| *byte == 7);
    assert!(ones(0..1000) && ones(51_000..1 << 16));
    assert!(content[1000..51_000].iter().all(|byte| *byte == 0));
    assert!(disk.clear(DiskRange::new(1 << 16, 1).unwrap()).is_err());
}

#[test]
fn what_is_no_disk_is_refused_with_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let error = FileDisk::open(directory.path()).unwrap_err().to_string();
    assert!(error.contains(directory.path().to_str().unwrap()), "{error}");
    let error = FileDisk::open_to_read(directory.path()).unwrap_err().to_string();
    assert!(error.contains("neither a block device nor a regular file"), "{error}");
    assert!(FileDisk::open(Path::new("/dev/null")).is_err());
    let path = directory.path().join("disk");
    FileDisk::create(&path, 512).unwrap();
    assert!(FileDisk::create(&path, 512).is_err(), "the name is taken");
    assert!(FileDisk::open_to_read(&path).unwrap().write_at(&sector(1), 0).is_err());
}
