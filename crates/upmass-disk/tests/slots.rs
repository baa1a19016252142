//! Writing the inactive slot and switching, with the power cut at every moment.

mod slot_disk;

use std::sync::Arc;

use slot_disk::{Image, SECTORS, disk, layout};
use upmass_disk::gpt::{Fault, LayoutError, Place, Slot, read_tables};
use upmass_disk::{
    Disk, Flushes, Found, ReadAt, Region, SharedDisk, SimDisk, SlotDisk, SlotError, SlotImage,
};

const RANDOM: u64 = 300;

fn old() -> Image {
    Image::new(1, 1500)
}

fn new() -> Image {
    Image::new(2, 1300)
}

fn update(disk: SharedDisk, image: &Image) -> Result<SlotDisk, SlotError> {
    SlotDisk::open(disk)?.into_inactive().write(image, &mut |_| {})?.switch()
}

/// The slot that firmware boots, which must be whole.
fn decided(disk: &dyn Disk) -> Result<Slot, String> {
    let found = Found::on(disk).map_err(|error| error.to_string())?;
    let expected = if found.active == Slot::One { old() } else { new() };
    match expected.is_in(disk, found.active) {
        true => Ok(found.active),
        false => Err(format!("slot {} is active and not whole", found.active)),
    }
}

/// All states of a disk that crashed at any time, and how many of each.
fn census(disk: &SimDisk) -> (u64, u64, Vec<String>) {
    let (mut olds, mut news, mut broken) = (0, 0, Vec::new());
    disk.crash_states(RANDOM, &mut |state| match decided(&state) {
        Ok(Slot::One) => olds += 1,
        Ok(Slot::Two) => news += 1,
        Err(why) => broken.push(why),
    });
    (olds, news, broken)
}

#[test]
fn an_update_makes_the_other_slot_active_and_leaves_the_old_one_as_it_was() {
    let disk = disk(Slot::One, &old());
    let slots = update(disk.clone(), &new()).unwrap();
    assert_eq!(slots.active(), Slot::Two);
    assert_eq!(decided(&*disk), Ok(Slot::Two));
    assert!(old().is_in(&*disk, Slot::One));
    assert_eq!(Found::on(&*disk).unwrap().to_write, []);
    let back = update(disk.clone(), &old()).unwrap();
    assert_eq!((back.active(), decided(&*disk)), (Slot::One, Ok(Slot::One)));
}

#[test]
fn a_power_cut_at_any_moment_leaves_the_old_slot_or_the_new_one() {
    let disk = disk(Slot::One, &old());
    update(disk.clone(), &new()).unwrap();
    let (olds, news, broken) = census(&disk);
    assert_eq!(broken, [""; 0]);
    assert!(olds > 90 && news > 2, "{olds} {news}");
}

#[test]
fn without_flushes_the_same_test_finds_broken_states() {
    let disk = Arc::new(disk(Slot::One, &old()).copy().with_flushes(Flushes::Dropped));
    update(disk.clone(), &new()).unwrap();
    let (_, _, broken) = census(&disk);
    assert!(broken.iter().any(|why| why.contains("not whole")), "a switch before the content");
    assert!(broken.iter().any(|why| why.contains("no partition table")), "both headers torn");
}

#[test]
fn a_second_cut_during_recovery_changes_nothing_and_the_third_start_is_whole() {
    let disk = disk(Slot::One, &old());
    update(disk.clone(), &new()).unwrap();
    let (mut states, mut nested) = (0, 0);
    disk.crash_states(RANDOM, &mut |state| {
        states += 1;
        let before = decided(&state).unwrap();
        let state = Arc::new(state);
        assert_eq!(SlotDisk::open(state.clone()).unwrap().active(), before);
        assert_eq!(Found::on(&*state).unwrap().to_write, []);
        state.crash_states(RANDOM, &mut |again| {
            nested += 1;
            assert_eq!(decided(&again), Ok(before));
            let again = Arc::new(again);
            assert_eq!(SlotDisk::open(again.clone()).unwrap().active(), before);
            assert_eq!(Found::on(&*again).unwrap().to_write, []);
            assert_eq!(decided(&*again), Ok(before));
        });
        // And the update can be made again, or the next one be undone.
        let next = if before == Slot::One { new() } else { old() };
        assert_eq!(update(state.clone(), &next).unwrap().active(), before.other());
        assert_eq!(decided(&*state), Ok(before.other()));
    });
    assert!(states > 100 && nested > 120, "{states} {nested}");
}

#[test]
fn arrays_that_the_medium_lost_are_written_again_before_they_are_needed() {
    let intact = disk(Slot::One, &old());
    let layout = layout(SECTORS);
    for (place, slot) in [
        (Place::Primary, Slot::Two),
        (Place::Backup, Slot::Two),
        (Place::Primary, Slot::One),
        (Place::Backup, Slot::One),
    ] {
        let disk = intact.copy();
        disk.make_unreadable(layout.array_sector(place, slot) + 1);
        let disk = Arc::new(disk);
        assert_eq!(decided(&*disk), Ok(Slot::One), "{place} {slot}");
        update(disk.clone(), &new()).unwrap();
        let (_, news, broken) = census(&disk);
        assert_eq!(broken, [""; 0], "{place} {slot}");
        assert!(news > 2);
        let tables = read_tables(&*disk);
        assert!(tables.primary.is_ok() && tables.backup.is_ok(), "{place} {slot}");
    }
}

#[test]
fn an_abandoned_switch_does_not_come_back_when_the_primary_header_is_lost_later() {
    let disk = disk(Slot::One, &old());
    update(disk.clone(), &new()).unwrap();
    let mut abandoned = 0;
    disk.crash_states(0, &mut |state| {
        let tables = read_tables(&state);
        let says_new = |table: &Result<upmass_disk::gpt::Table, Fault>| {
            table.as_ref().is_ok_and(|table| table.header.array_crc == header_crc(Slot::Two))
        };
        if !says_new(&tables.backup) || says_new(&tables.primary) || tables.primary.is_err() {
            return;
        }
        abandoned += 1;
        let state = Arc::new(state);
        SlotDisk::open(state.clone()).unwrap();
        state.corrupt(1, |sector| sector.fill(0));
        assert_eq!(decided(&*state), Ok(Slot::One));
    });
    assert!(abandoned > 0);
}

fn header_crc(slot: Slot) -> u32 {
    layout(SECTORS).header(Place::Backup, slot).array_crc
}

#[test]
fn a_primary_table_that_firmware_restored_into_its_scratch_is_followed_and_put_right() {
    for active in Slot::ALL {
        let image = if active == Slot::One { old() } else { new() };
        let disk = disk(active, &image);
        let layout = layout(SECTORS);
        // As OVMF does: the array behind the header, and a header that names it.
        disk.write_at(&layout.array(active), 2 * 512).unwrap();
        let header = layout.header(Place::Primary, active);
        let restored = upmass_disk::gpt::Header { array: 2, ..header };
        disk.write_at(&restored.to_sector(), 512).unwrap();
        assert_eq!(decided(&*disk), Ok(active));
        let disk = Arc::new(disk.copy());
        assert_eq!(SlotDisk::open(disk.clone()).unwrap().active(), active);
        assert_eq!(
            read_tables(&*disk).primary.unwrap().header,
            layout.header(Place::Primary, active)
        );
        let mut broken = 0;
        disk.crash_states(RANDOM, &mut |state| broken += u32::from(decided(&state) != Ok(active)));
        assert_eq!(broken, 0);
    }
}

#[test]
fn a_disk_that_fails_anywhere_leaves_the_old_slot_or_the_new_one() {
    let intact = disk(Slot::One, &old());
    let counted = Arc::new(intact.copy());
    update(counted.clone(), &new()).unwrap();
    let mut outcomes = Vec::new();
    for step in 0..counted.steps() {
        let failing = Arc::new(intact.copy());
        failing.cut_power_at(step);
        let error = update(failing.clone(), &new()).err().expect("the disk failed");
        assert!(matches!(error, SlotError::Disk(_)), "{error}");
        outcomes.push(decided(&failing.copy()).unwrap());
    }
    // All is old until the last flush, which alone has the primary header before it.
    let (last, rest) = outcomes.split_last().unwrap();
    assert_eq!((last, rest.iter().all(|slot| *slot == Slot::One)), (&Slot::Two, true));
}

#[test]
fn a_half_written_slot_is_no_file_system() {
    let disk = disk(Slot::One, &old());
    // Something that firmware could boot is in the slot that is written.
    let long = Image::new(9, 40 * 512);
    let slots = SlotDisk::open(disk.clone()).unwrap();
    slots.into_inactive().write(&long, &mut |_| {}).unwrap();
    let disk = Arc::new(disk.copy());
    let newer = Image::new(7, 60 * 512);
    SlotDisk::open(disk.clone()).unwrap().into_inactive().write(&newer, &mut |_| {}).unwrap();
    let start = layout(SECTORS).slot(Slot::Two).range.start();
    let mut starts = [0; 3];
    disk.crash_states(RANDOM, &mut |state| {
        let mut first = [0; 512];
        if state.read_at(&mut first, start).is_err() {
            return;
        }
        // The first sector of an image is there only with all the rest of it.
        if first == newer.0[..512] {
            starts[2] += 1;
            assert!(newer.is_in(&state, Slot::Two));
        } else if first == long.0[..512] {
            starts[0] += 1;
            assert!(long.is_in(&state, Slot::Two));
        } else {
            starts[1] += 1;
        }
    });
    assert!(starts.iter().all(|count| *count > 0), "{starts:?}");
}

/// Notes what is written where.
struct Watched {
    disk: SimDisk,
    written: std::sync::Mutex<Vec<std::ops::Range<u64>>>,
}

impl Disk for Watched {
    fn len(&self) -> u64 {
        self.disk.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> upmass_disk::Result<()> {
        self.disk.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> upmass_disk::Result<()> {
        self.written.lock().unwrap().push(offset..offset + bytes.len() as u64);
        self.disk.write_at(bytes, offset)
    }

    fn flush(&self) -> upmass_disk::Result<()> {
        self.disk.flush()
    }
}

#[test]
fn an_update_writes_the_inactive_slot_and_two_headers_and_nothing_else() {
    let disk = disk(Slot::One, &old()).copy();
    let watched = Arc::new(Watched { disk, written: Default::default() });
    update(watched.clone(), &new()).unwrap();
    let slot = layout(SECTORS).slot(Slot::Two).range;
    let headers = [512, (SECTORS - 1) * 512];
    let mut in_headers = Vec::new();
    for written in watched.written.lock().unwrap().iter() {
        if headers.contains(&written.start) && written.end == written.start + 512 {
            in_headers.push(written.start);
        } else {
            assert!(written.start >= slot.start() && written.end <= slot.end(), "{written:?}");
        }
    }
    assert_eq!(in_headers, [(SECTORS - 1) * 512, 512], "the backup comes first");
}

/// A medium that takes what is written to a place and keeps something else.
struct Lying {
    disk: SimDisk,
    offset: u64,
}

impl Disk for Lying {
    fn len(&self) -> u64 {
        self.disk.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> upmass_disk::Result<()> {
        self.disk.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> upmass_disk::Result<()> {
        let mut bytes = bytes.to_vec();
        if let Some(byte) =
            self.offset.checked_sub(offset).and_then(|at| bytes.get_mut(at as usize))
        {
            *byte ^= 1;
        }
        self.disk.write_at(&bytes, offset)
    }

    fn flush(&self) -> upmass_disk::Result<()> {
        self.disk.flush()
    }
}

#[test]
fn a_medium_that_keeps_something_else_is_found_by_reading_back() {
    let slot = layout(SECTORS).slot(Slot::Two).range.start();
    for offset in [slot + 700, 512 + 30, (SECTORS - 1) * 512 + 90] {
        let disk = disk(Slot::One, &old()).copy();
        let lying = Arc::new(Lying { disk, offset });
        let error = update(lying.clone(), &new()).err().unwrap();
        let SlotError::ReadBack { offset: found, .. } = error else { panic!("{error}") };
        assert!(found == offset || found == offset / 512 * 512, "{error}");
        // The old one boots, or the new one where only the primary header is damaged.
        assert!(decided(&lying.disk).is_ok());
    }
}

#[test]
fn a_slot_that_was_written_before_the_last_start_is_compared_before_the_switch() {
    let disk = disk(Slot::One, &old());
    let slots = SlotDisk::open(disk.clone()).unwrap();
    assert_eq!(
        slots.into_inactive().write(&new(), &mut |_| {}).unwrap().keep().active(),
        Slot::One
    );
    let slots = SlotDisk::open(disk.clone()).unwrap();
    let slots = slots.into_inactive().compare(&new(), &mut |_| {}).unwrap().switch().unwrap();
    assert_eq!(slots.active(), Slot::Two);

    let mut other = old();
    other.0[1234] ^= 1;
    let error = slots.into_inactive().compare(&other, &mut |_| {}).err().unwrap();
    assert!(matches!(error, SlotError::Differs { slot: Slot::One, offset: 1234 }), "{error}");
}

#[test]
fn a_slot_that_another_version_wrote_is_looked_at_before_the_switch() {
    let disk = disk(Slot::One, &old());
    SlotDisk::open(disk.clone()).unwrap().into_inactive().write(&new(), &mut |_| {}).unwrap();
    let check = |wanted: u8| {
        let slots = SlotDisk::open(disk.clone()).unwrap();
        slots.into_inactive().check(|content| {
            let mut first = [0];
            content.read_exact_at(&mut first, 0).unwrap();
            if first == [wanted] { Ok(()) } else { Err(format!("it begins with {}", first[0])) }
        })
    };
    assert_eq!(check(9).err().unwrap(), "it begins with 2");
    assert_eq!(decided(&*disk), Ok(Slot::One));
    assert_eq!(check(2).unwrap().switch().unwrap().active(), Slot::Two);
}

#[test]
fn progress_goes_up_to_twice_the_length() {
    let disk = disk(Slot::One, &old());
    let mut seen = Vec::new();
    let image = Image::new(3, 1 << 20);
    SlotDisk::open(disk)
        .unwrap()
        .into_inactive()
        .write(&image, &mut |bytes| seen.push(bytes))
        .unwrap();
    assert_eq!(seen, [0, 1 << 20]);
}

struct Odd {
    says: u64,
    has: usize,
}

impl SlotImage for Odd {
    fn len(&self) -> u64 {
        self.says
    }

    fn write_to(&self, output: &mut dyn std::io::Write) -> std::io::Result<()> {
        output.write_all(&vec![1; self.has])
    }
}

#[test]
fn an_image_that_does_not_fit_or_is_not_as_long_as_it_says_is_refused() {
    let disk = disk(Slot::One, &old());
    let write = |says, has| {
        let slots = SlotDisk::open(disk.clone()).unwrap();
        slots.into_inactive().write(&Odd { says, has }, &mut |_| {}).err().unwrap().to_string()
    };
    let steps = disk.steps();
    assert_eq!(
        write((1 << 20) + 1, 1),
        "the image has 1048577 bytes, and the slot boot-2 only 1048576"
    );
    assert_eq!(disk.steps(), steps, "nothing was written");
    assert_eq!(
        write(10, 9),
        "make the image of a slot: it has 9 bytes and not the 10 that it said"
    );
    assert_eq!(
        write(10, 11),
        "make the image of a slot: it has more than the 10 bytes that it said"
    );
    assert_eq!(decided(&*disk), Ok(Slot::One));
}

#[test]
fn a_disk_without_slots_is_refused_and_left_as_it_is() {
    let refuse = |disk: SimDisk| {
        let before = disk.snapshot();
        let disk = Arc::new(disk);
        let error = SlotDisk::open(disk.clone()).err().unwrap();
        assert_eq!((disk.steps(), disk.snapshot() == before), (0, true));
        error
    };
    let error = refuse(SimDisk::new(SECTORS)).to_string();
    assert_eq!(
        error,
        "the disk has no partition table: the primary one is no header, the backup is no header"
    );
    let error = refuse(SimDisk::new(0));
    assert!(matches!(error, SlotError::NoTable { .. }), "{error}");
    // An image that was written to a longer disk.
    let longer = SimDisk::new(SECTORS + 10);
    longer.write_at(&disk(Slot::One, &old()).snapshot(), 0).unwrap();
    let error = refuse(longer.copy());
    assert!(matches!(error, SlotError::Layout(LayoutError::OtherLength { .. })), "{error}");
}

#[test]
fn a_wiped_disk_boots_nothing_until_it_is_installed() {
    let disk = disk(Slot::One, &old());
    SlotDisk::wipe(&*disk, &layout(SECTORS)).unwrap();
    let installing = Arc::new(disk.copy());
    assert!(Found::on(&*installing).is_err());
    SlotDisk::install(installing.clone(), layout(SECTORS), Slot::One).unwrap();
    assert_eq!(decided(&*installing), Ok(Slot::One));
    installing.crash_states(20, &mut |state| {
        assert!(Found::on(&state).is_err() || decided(&state) == Ok(Slot::One));
    });
}

#[test]
fn a_region_is_all_that_a_slot_can_reach() {
    let disk = disk(Slot::One, &old());
    let range = layout(SECTORS).slot(Slot::Two).range;
    let region = Region::new(disk, range).unwrap();
    assert!(region.write_at(&[0; 512], range.len()).is_err());
    assert!(region.write_at(&[0; 1024], range.len() - 512).is_err());
}
