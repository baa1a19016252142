//! What the specifications say is what the code does.

#[path = "../../upmass-format/tests/common/markdown.rs"]
mod markdown;
mod slot_disk;

use markdown::{Spec, hex};
use slot_disk::{Image, SECTORS, disk, layout};
use upmass_disk::gpt::{
    ALIGNMENT, ARRAY_SECTORS, Entry, FIRST_USABLE, Guid, Header, Name, PRIMARY_ARRAYS, Place,
    RESERVED_AT_END, Slot, kind,
};
use upmass_disk::{Found, SECTOR_LEN};

const BOOT_DISK: Spec = Spec(include_str!("../spec/boot-disk.md"));

#[test]
fn numbers_of_a_boot_disk() {
    BOOT_DISK.check_numbers(
        "Numbers",
        &[
            ("sector, bytes", SECTOR_LEN),
            ("array 1, sector", PRIMARY_ARRAYS[0]),
            ("array 2, sector", PRIMARY_ARRAYS[1]),
            ("array, sectors", ARRAY_SECTORS),
            ("first usable, sector", FIRST_USABLE),
            ("reserved at the end, sectors", RESERVED_AT_END),
            ("alignment, sectors", ALIGNMENT),
            ("header, bytes", Header::LEN as u64),
            ("entry, bytes", Entry::LEN as u64),
            ("name, units of UTF-16", Name::LEN as u64),
        ],
    );
}

#[test]
fn sectors_of_a_boot_disk() {
    let layout = layout(SECTORS);
    let place = |text: &str| match text.strip_prefix("n - ") {
        Some(back) => SECTORS - back.parse::<u64>().unwrap(),
        None => text.parse().unwrap(),
    };
    let rows = BOOT_DISK.rows("Sectors");
    let first: Vec<u64> = rows.iter().map(|row| place(&row[0])).collect();
    let expected = [
        0,
        layout.header_sector(Place::Primary),
        2,
        layout.array_sector(Place::Primary, Slot::One),
        layout.array_sector(Place::Primary, Slot::Two),
        FIRST_USABLE,
        layout.array_sector(Place::Backup, Slot::One),
        layout.array_sector(Place::Backup, Slot::Two),
        layout.header_sector(Place::Backup),
    ];
    assert_eq!(first, expected);
    for (row, next) in rows.iter().zip(first.iter().skip(1).chain([&SECTORS])) {
        if let Ok(count) = row[1].parse::<u64>() {
            assert_eq!(place(&row[0]) + count, *next, "{row:?}");
        }
    }
}

#[test]
fn fields_of_headers_and_entries() {
    let header = layout(SECTORS).header(Place::Primary, Slot::Two);
    let sector = header.to_sector();
    let fields = BOOT_DISK.layout("Header");
    let value = |name: &str| {
        let (offset, size, _) = fields.iter().find(|field| field.2 == name).unwrap();
        let mut bytes = [0; 8];
        bytes[..*size].copy_from_slice(&sector[*offset..offset + size]);
        u64::from_le_bytes(bytes)
    };
    let named = [
        ("revision", u64::from(Header::REVISION)),
        ("length", 92),
        ("reserved", 0),
        ("own", header.own),
        ("other", header.other),
        ("first usable", header.first_usable),
        ("last usable", header.last_usable),
        ("array", header.array),
        ("count", 128),
        ("entry length", 128),
        ("array checksum", header.array_crc.into()),
    ];
    named.iter().for_each(|(name, expected)| assert_eq!(value(name), *expected, "{name}"));

    let entry = Entry {
        kind: kind::LINUX,
        id: Guid::from_bytes([1; 16]),
        first: 5,
        last: 6,
        attributes: 7,
        name: Name::new("ab").unwrap(),
    };
    let bytes = entry.to_bytes();
    let expected: [&[u8]; 6] = [
        entry.kind.as_bytes(),
        &[1; 16],
        &[5, 0, 0, 0, 0, 0, 0, 0],
        &[6, 0, 0, 0, 0, 0, 0, 0],
        &[7, 0, 0, 0, 0, 0, 0, 0],
        b"a\0b\0",
    ];
    for ((offset, size, name), expected) in BOOT_DISK.layout("Entry").iter().zip(expected) {
        assert_eq!(bytes[*offset..offset + size][..expected.len()], *expected, "{name}");
    }
}

#[test]
fn types_of_partitions() {
    let rows = BOOT_DISK.rows("Types");
    let types: Vec<Guid> = rows.iter().map(|row| row[1].parse().unwrap()).collect();
    assert_eq!(types, [kind::EFI_SYSTEM, kind::RESERVED, kind::LINUX]);
}

#[test]
fn the_header_of_the_example() {
    let sector = layout(SECTORS).header(Place::Primary, Slot::Two).to_sector();
    BOOT_DISK.check_example("Worked example of a header", &sector[..92]);
    assert_eq!(hex("45 46 49"), sector[..3]);
}

#[test]
fn states_after_a_power_cut() {
    let layout = layout(SECTORS);
    let slot = |word: &str| if word == "old" { Slot::One } else { Slot::Two };
    let rows = BOOT_DISK.rows("States");
    assert_eq!(rows.len(), 5);
    for row in rows {
        let disk = disk(Slot::One, &Image::new(1, 512)).copy();
        for (place, word) in [(Place::Primary, &row[0]), (Place::Backup, &row[1])] {
            let header = layout.header(place, slot(word));
            disk.corrupt(header.own, |sector| {
                sector.copy_from_slice(&header.to_sector());
                sector[40] ^= u8::from(word == "torn");
            });
        }
        assert_eq!(Found::on(&disk).unwrap().active, slot(&row[2]), "{row:?}");
    }
}
