//! What the specifications say is what the code does.

#[path = "../../upmass-format/tests/common/markdown.rs"]
mod markdown;
mod slot_disk;

use markdown::{Spec, hex};

use slot_disk::{Image, SECTORS, disk, layout};
use upmass_disk::fat::{Geometry, Image as Image32, MIN_LEN, NewFile, PlanError};
use upmass_disk::gpt::{
    ALIGNMENT, ARRAY_SECTORS, Entry, FIRST_USABLE, Guid, Header, LEGACY_BOOTABLE, Name,
    PRIMARY_ARRAYS, Place, RESERVED_AT_END, Slot, kind,
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
            ("legacy BIOS bootable, attribute", LEGACY_BOOTABLE),
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

const SLOT_IMAGE: Spec = Spec(include_str!("../spec/slot-image.md"));

/// The head of an image of one file.
fn slot_image(len: u64) -> (Image32, Vec<u8>) {
    let file = NewFile { path: "f".into(), len: 1 };
    let image = Image32::plan(len, 1 << 20, 0x1234_abcd, "BOOT-1", &[file]).unwrap();
    let mut bytes = Vec::new();
    image.write_to(&mut bytes, &mut |_, output| output.write_all(b"x")).unwrap();
    (image, bytes)
}

#[test]
fn limits_of_a_slot_image() {
    let (image, _) = slot_image(1 << 30);
    let cluster_sectors = image.geometry().cluster_len() / 512;
    let too_long = |len| {
        let file = NewFile { path: "f".into(), len };
        let error = Image32::plan(8 << 30, 0, 0, "X", &[file]).err();
        matches!(error, Some(PlanError::FileTooLong { .. }))
    };
    assert!(too_long(u64::from(u32::MAX) + 1) && !too_long(u32::MAX.into()));
    SLOT_IMAGE.check_numbers(
        "Limits",
        &[
            ("partition at least, bytes", MIN_LEN),
            ("clusters at least", Geometry::of(MIN_LEN).unwrap().capacity() / 512),
            ("sectors of a cluster at most", cluster_sectors),
            ("entries of a directory, with those of long names", 65_536),
            ("file at most, bytes", u32::MAX.into()),
            ("name at most, units of UTF-16", 255),
        ],
    );
}

#[test]
fn the_boot_sector_of_a_slot_image() {
    let len = 70 << 20;
    let (image, bytes) = slot_image(len);
    let fields = SLOT_IMAGE.layout("Boot sector");
    assert_eq!(fields.last().map(|(offset, size, _)| offset + size), Some(512));
    let fat_len = (image.len() - 2 * 1024) / 512 / 2 - 16;
    for (row, (offset, size, name)) in SLOT_IMAGE.rows("Boot sector").iter().zip(&fields) {
        let found = &bytes[*offset..offset + size];
        let number = found.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        let value = row[4].split(':').next().unwrap_or_default();
        match (&name[..], &row[2][..]) {
            ("sectors of a cluster", _) => assert_eq!(number, 2),
            ("hidden sectors", _) => assert_eq!(number, 2048),
            ("sectors", _) => assert_eq!(number, len / 512),
            ("FAT length", _) => assert_eq!(number, fat_len),
            ("serial number", _) => assert_eq!(number, 0x1234_abcd),
            ("label", _) => assert_eq!(found, b"BOOT-1     "),
            ("maker" | "kind", _) => assert_eq!(found, format!("{value:8}").as_bytes()),
            ("medium", _) => assert_eq!(found, hex(value)),
            (_, "bytes") if value == "0" || value.is_empty() => assert_eq!(number, 0, "{name}"),
            (_, "bytes") => assert_eq!(found, hex(value), "{name}"),
            _ => assert_eq!(number, value.parse().unwrap(), "{name}"),
        }
    }
}

#[test]
fn parts_of_a_slot_image() {
    let (image, bytes) = slot_image(70 << 20);
    let fat_len = u64::from(u32::from_le_bytes(*bytes[36..].first_chunk().unwrap()));
    let part = |name: &str| {
        let rows = SLOT_IMAGE.rows("Parts");
        let row = rows.iter().find(|row| row[2] == name).unwrap();
        let first = row[0].split(" + ").map(|term| match term {
            "f" => fat_len,
            "2 * f" => 2 * fat_len,
            number => number.parse().unwrap(),
        });
        first.sum::<u64>() as usize * 512
    };
    assert_eq!(bytes[part("information")..][..4], *b"RRaA");
    assert_eq!(bytes[part("third sector") + 510..][..2], [0x55, 0xaa]);
    assert!(bytes[part("copies")..][..1536] == bytes[..1536]);
    let fat = &bytes[part("FAT")..part("second FAT")];
    assert_eq!(fat[..4], [0xf8, 0xff, 0xff, 0x0f]);
    assert!(*fat == bytes[part("second FAT")..part("clusters")]);
    assert_eq!(bytes[part("clusters")..][..11], *b"BOOT-1     ");
    let clusters = image.geometry().capacity() / image.geometry().cluster_len();
    let entries = fat.len() as u64 / 4;
    assert!(clusters >= 65_525 && clusters + 2 <= entries && entries - 128 < clusters + 2);
}
