//! Partition tables: encoding, layout, and reading what is damaged.

mod slot_disk;

use std::collections::BTreeMap;

use proptest::prelude::*;
use slot_disk::{Image, SECTORS, disk, guid, layout};
use upmass_disk::gpt::{
    Entry, Fault, Guid, Header, Layout, LayoutError, Name, NewPartition, Place, Slot, Table, kind,
    read_tables, smallest_disk,
};
use upmass_disk::{Disk, Found, SimDisk};

fn header() -> Header {
    layout(SECTORS).header(Place::Primary, Slot::Two)
}

prop_compose! {
    fn any_header()(
        numbers in any::<[u64; 5]>(),
        guid in any::<[u8; 16]>(),
        count in 0u32..128,
        log in 7u32..12,
        array_crc in any::<u32>(),
    ) -> Header {
        let [own, other, first_usable, last_usable, array] = numbers;
        let (disk, entry_len) = (Guid::from_bytes(guid), 1 << log);
        Header { own, other, first_usable, last_usable, disk, array, count, entry_len, array_crc }
    }
}

prop_compose! {
    fn any_entry()(
        kind in any::<[u8; 16]>().prop_filter("in use", |kind| *kind != [0; 16]),
        id in any::<[u8; 16]>(),
        numbers in any::<[u64; 3]>(),
        name in "\\PC{0,18}",
    ) -> Entry {
        let [first, last, attributes] = numbers;
        let (kind, id) = (Guid::from_bytes(kind), Guid::from_bytes(id));
        Entry { kind, id, first, last, attributes, name: Name::new(&name).unwrap() }
    }
}

proptest! {
    #[test]
    fn a_header_is_read_as_it_was_written(header in any_header()) {
        prop_assert_eq!(Header::from_sector(&header.to_sector(), header.own), Ok(header));
    }

    #[test]
    fn an_entry_is_read_as_it_was_written(entry in any_entry()) {
        prop_assert_eq!(Entry::from_bytes(&entry.to_bytes()), Some(entry));
    }

    #[test]
    fn any_bytes_of_an_entry_survive(bytes in any::<[u8; 32]>()) {
        let bytes: [u8; 128] = std::array::from_fn(|index| bytes[index % 32]);
        if let Some(entry) = Entry::from_bytes(&bytes) {
            prop_assert_eq!(entry.to_bytes(), bytes);
            let _ = (entry.range(), entry.name.to_string());
        }
    }

    #[test]
    fn a_layout_is_found_again_in_either_of_its_tables(
        lens in proptest::collection::vec(1u64..20_000_000, 0..6),
        slot_len in 1u64..5_000_000,
        slack in 0u64..5_000_000,
        is_two in any::<bool>(),
    ) {
        let others: Vec<NewPartition> = (3..).zip(&lens).map(|(number, len)| NewPartition {
            name: format!("part-{number}"),
            id: guid(number),
            kind: kind::LINUX,
            len: Some(*len),
        }).collect();
        let smallest = smallest_disk([slot_len, slot_len].into_iter().chain(lens.iter().copied()));
        let new = |len| Layout::new(len, guid(0), [guid(1), guid(2)], slot_len, others.clone());
        let too_small = matches!(new(smallest - 1), Err(LayoutError::TooSmall { .. }));
        prop_assert!(too_small);
        let len = smallest + slack;
        let layout = new(len).unwrap();
        let active = if is_two { Slot::Two } else { Slot::One };
        for place in [Place::Primary, Place::Backup] {
            let header = layout.header(place, active);
            let array = layout.array(active);
            let entries = array.chunks(128).map(|bytes| Entry::from_bytes(bytes.first_chunk().unwrap()));
            let entries = (1..).zip(entries).filter_map(|(n, entry)| Some((n, entry?))).collect();
            let found = Layout::of_table(&Table { header, entries }, len / 512 * 512);
            prop_assert_eq!(found, Ok((layout.clone(), active)));
        }
        for (partition, len) in layout.partitions().zip([slot_len, slot_len].iter().chain(&lens)) {
            prop_assert!(partition.range.len() >= *len);
            prop_assert_eq!(partition.range.start() % (1 << 20), 0);
        }
    }

    #[test]
    fn reading_a_disk_of_any_bytes_never_panics(
        bytes in proptest::collection::vec(any::<u8>(), 1024..3000),
        header in any_header(),
        at_start in any::<bool>(),
    ) {
        let mut bytes = bytes;
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        if at_start {
            bytes[512..1024].copy_from_slice(&Header { own: 1, ..header }.to_sector());
        }
        let disk = SimDisk::new(bytes.len() as u64 / 512);
        disk.write_at(&bytes, 0).unwrap();
        let _ = Found::on(&disk);
    }
}

#[test]
fn every_flipped_bit_of_a_header_is_found() {
    let header = header();
    let sector = header.to_sector();
    for bit in 0..92 * 8 {
        let mut flipped = sector;
        flipped[bit / 8] ^= 1 << (bit % 8);
        Header::from_sector(&flipped, 1).unwrap_err();
    }
    // What is behind the header is not part of it.
    let mut behind = sector;
    behind[92] = 1;
    assert_eq!(Header::from_sector(&behind, 1), Ok(header));
}

#[test]
fn every_header_that_was_cut_short_or_torn_is_found() {
    let [old, new] = Slot::ALL.map(|slot| layout(SECTORS).header(Place::Primary, slot).to_sector());
    for len in 0..512 {
        for behind in [[0; 512], [0xff; 512], old] {
            let mut cut = behind;
            cut[..len].copy_from_slice(&new[..len]);
            // Some bytes may be the same on both sides of the tear.
            let is_torn = cut[..92] != old[..92] && cut[..92] != new[..92];
            assert_eq!(Header::from_sector(&cut, 1).is_err(), is_torn, "{len}");
        }
    }
}

#[test]
fn every_flipped_bit_of_an_array_is_found() {
    let intact = disk(Slot::One, &Image::new(1, 600)).copy();
    let layout = layout(SECTORS);
    let array = layout.array(Slot::One);
    let first = layout.array_sector(Place::Primary, Slot::One);
    for bit in (0..array.len() * 8).step_by(61) {
        let disk = intact.copy();
        disk.corrupt(first + (bit / 4096) as u64, |sector| sector[bit / 8 % 512] ^= 1 << (bit % 8));
        let fault = read_tables(&disk).primary.unwrap_err();
        assert!(matches!(fault, Fault::ArrayChecksum { .. }), "{fault}");
        assert_eq!(Found::on(&disk).unwrap().active, Slot::One);
    }
}

/// What can be wrong with one table.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Damage {
    None,
    HeaderZero,
    HeaderGarbage,
    HeaderUnreadable,
    ArrayGarbage,
    ArrayUnreadable,
}

#[test]
fn of_two_tables_in_any_condition_the_primary_is_used_if_it_can_be_and_the_backup_otherwise() {
    use Damage::{ArrayGarbage, ArrayUnreadable, HeaderGarbage, HeaderUnreadable, HeaderZero};
    const ALL: [Damage; 6] =
        [Damage::None, HeaderZero, HeaderGarbage, HeaderUnreadable, ArrayGarbage, ArrayUnreadable];
    let layout = layout(SECTORS);
    for says_primary in Slot::ALL {
        for says_backup in Slot::ALL {
            for (primary, backup) in ALL.iter().flat_map(|a| ALL.iter().map(move |b| (*a, *b))) {
                let disk = disk(Slot::One, &Image::new(1, 600)).copy();
                for (place, slot, damage) in
                    [(Place::Primary, says_primary, primary), (Place::Backup, says_backup, backup)]
                {
                    let header = layout.header(place, slot);
                    disk.corrupt(header.own, |sector| sector.copy_from_slice(&header.to_sector()));
                    match damage {
                        Damage::None => {}
                        HeaderZero => disk.corrupt(header.own, |sector| sector.fill(0)),
                        HeaderGarbage => disk.corrupt(header.own, |sector| sector[50] ^= 8),
                        HeaderUnreadable => disk.make_unreadable(header.own),
                        ArrayGarbage => disk.corrupt(header.array + 9, |sector| sector[0] ^= 1),
                        ArrayUnreadable => disk.make_unreadable(header.array + 9),
                    }
                }
                let expected = match (primary, backup) {
                    (Damage::None, _) => Some(says_primary),
                    (_, Damage::None) => Some(says_backup),
                    _ => None,
                };
                let found = Found::on(&disk).map(|found| found.active).ok();
                assert_eq!(found, expected, "{primary:?} {backup:?}");
                let Some(expected) = expected else { continue };
                let disk = std::sync::Arc::new(disk);
                let opened = upmass_disk::SlotDisk::open(disk.clone()).unwrap();
                assert_eq!(opened.active(), expected);
                let tables = read_tables(&*disk);
                for (place, table) in
                    [(Place::Primary, tables.primary), (Place::Backup, tables.backup)]
                {
                    assert_eq!(table.unwrap().header, layout.header(place, expected));
                }
            }
        }
    }
}

#[test]
fn what_firmware_restores_lies_in_its_scratch_or_in_the_same_slots_array() {
    let layout = layout(SECTORS);
    for slot in Slot::ALL {
        let backup = layout.header(Place::Backup, slot);
        assert_eq!(backup.last_usable + 1, backup.array);
        assert_eq!(layout.header(Place::Primary, slot).last_usable + 1, backup.array);
    }
    assert!(layout.array_sector(Place::Primary, Slot::One) >= 2 + 32);
}

#[test]
fn a_header_of_another_place_or_kind_is_refused_with_what_was_found() {
    let check = |header: Header, own, expected: &str| {
        let fault = Header::from_sector(&header.to_sector(), own).unwrap_err();
        assert_eq!(fault.to_string(), expected);
    };
    check(header(), 5, "header that belongs into sector 1, not into 5");
    let entry_len = 100;
    check(Header { entry_len, ..header() }, 1, "an array of 128 entries of 100 bytes");
    let count = u32::MAX;
    check(Header { count, ..header() }, 1, "an array of 4294967295 entries of 128 bytes");
}

#[test]
fn tables_of_others_are_refused_with_the_reason() {
    let good = Table {
        header: header(),
        entries: {
            let array = layout(SECTORS).array(Slot::Two);
            let entry =
                |n: usize| Entry::from_bytes(array[n * 128..].first_chunk().unwrap()).unwrap();
            BTreeMap::from([(1, entry(0)), (2, entry(1)), (7, entry(2))])
        },
    };
    let len = SECTORS * 512;
    assert!(Layout::of_table(&good, len).is_ok(), "numbers may have gaps");
    let check = |change: &dyn Fn(&mut BTreeMap<u32, Entry>), expected: &str| {
        let mut table = good.clone();
        change(&mut table.entries);
        assert_eq!(Layout::of_table(&table, len).unwrap_err().to_string(), expected);
    };
    let no_slots = "its first two partitions are not boot-1 and boot-2";
    check(&|entries| entries.clear(), no_slots);
    check(&|entries| entries.get_mut(&1).unwrap().name = Name::new("esp").unwrap(), no_slots);
    check(&|entries| entries.get_mut(&2).unwrap().name = Name::new("boot-2").unwrap(), no_slots);
    check(
        &|entries| entries.get_mut(&7).unwrap().first = 97,
        "its partition system is at sectors 97 to 8191, outside of 98..=10239",
    );
    check(
        &|entries| entries.get_mut(&7).unwrap().last = u64::MAX,
        "its partition system is at sectors 6144 to 18446744073709551615, outside of 98..=10239",
    );
    check(
        &|entries| entries.get_mut(&7).unwrap().first = 6143,
        "its partitions boot-2 and system overlap",
    );
    let longer = Layout::of_table(&good, len + 512).unwrap_err().to_string();
    assert!(longer.contains("another length"), "{longer}");
}

#[test]
fn partitions_that_cannot_be_placed_are_refused_with_numbers() {
    let new = |name: &str, len| NewPartition {
        name: name.to_owned(),
        id: guid(9),
        kind: kind::LINUX,
        len,
    };
    let place = |others| {
        let slots = [guid(1), guid(2)];
        Layout::new(8 << 20, guid(0), slots, 1 << 20, others).unwrap_err().to_string()
    };
    assert_eq!(
        place(vec![new("system", Some(5 << 20))]),
        "the disk has 8388608 bytes, and its partitions need 8421888"
    );
    assert!(place(vec![new("data", None), new("more", None)]).contains("must have a length"));
    assert!(place(vec![new(&"n".repeat(37), None)]).contains("more than 36"));
    let huge = place(vec![new("system", Some(u64::MAX))]);
    assert!(huge.contains("need 18446744073709551615"), "{huge}");
}
