//! What others say of our partition tables: sgdisk and sfdisk.

mod slot_disk;

use std::process::Command;
use std::sync::Arc;

use slot_disk::{Image, SECTORS, disk, guid, layout};
use upmass_disk::gpt::{Slot, protective_mbr};
use upmass_disk::{Disk, Found, SimDisk, SlotDisk};

fn run(program: &str, arguments: &[&str], image: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk.img");
    std::fs::write(&path, image).unwrap();
    let output = Command::new(program).args(arguments).arg(&path).output();
    let output = output.unwrap_or_else(|_| panic!("{program} is missing: run ./setup"));
    assert!(std::fs::read(&path).unwrap() == image, "{program} changed the image");
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{stdout}{stderr}")
}

/// sgdisk exits with 0 also for what is broken: its words count.
fn sgdisk_finds_problems(image: &[u8]) -> bool {
    let said = run("sgdisk", &["-v"], image);
    // The arrays of both slots lie between header and partitions, which it calls unusual.
    let gap = |text: &&str| text.starts_with("Warning: There is a gap between the main");
    let words: String = said.split("\n\n").filter(|text| !gap(&text.trim_start())).collect();
    let is_bad = ["Problem:", "problems!", "aution", "arning", "ERROR", "nvalid"]
        .iter()
        .any(|word| words.contains(word));
    assert!(is_bad || words.contains("No problems found"), "{said}");
    is_bad
}

#[test]
fn sgdisk_finds_no_problem_with_either_slot() {
    for slot in Slot::ALL {
        let image = disk(slot, &Image::new(1, 600)).snapshot();
        assert!(!sgdisk_finds_problems(&image), "{slot}");
    }
}

#[test]
fn sgdisk_finds_what_we_find() {
    let intact = disk(Slot::Two, &Image::new(1, 600));
    let layout = layout(SECTORS);
    for sector in [
        1,
        SECTORS - 1,
        layout.array_sector(upmass_disk::gpt::Place::Primary, Slot::Two),
        layout.array_sector(upmass_disk::gpt::Place::Backup, Slot::Two),
    ] {
        let disk = intact.copy();
        disk.corrupt(sector, |content| content[16] ^= 1);
        assert!(sgdisk_finds_problems(&disk.snapshot()), "{sector}");
        assert!(!Found::on(&disk).unwrap().to_write.is_empty());
    }
}

#[test]
fn sgdisk_shows_the_active_slot_first_and_as_what_firmware_boots() {
    for slot in Slot::ALL {
        let said = run("sgdisk", &["-p"], &disk(slot, &Image::new(1, 600)).snapshot());
        let rows: Vec<Vec<&str>> = said
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|row| row.first().is_some_and(|word| word.parse::<u32>().is_ok()))
            .collect();
        // Number, start, end, size, unit, code, name.
        let shown: Vec<[&str; 3]> = rows.iter().map(|row| [row[0], row[5], row[6]]).collect();
        let other = slot.other();
        assert_eq!(
            shown,
            [
                ["1", "EF00", slot.name()],
                ["2", "8301", other.name()],
                ["3", "8300", "system"],
                ["4", "8300", "data"]
            ],
            "{said}"
        );
    }
}

#[test]
fn sfdisk_verifies_and_dumps_what_we_laid_out() {
    for slot in Slot::ALL {
        let image = disk(slot, &Image::new(1, 600)).snapshot();
        let said = run("sfdisk", &["--verify"], &image);
        assert!(said.contains("No errors detected"), "{said}");
        let said = run("sfdisk", &["--dump"], &image).to_lowercase();
        assert!(said.contains(&format!("label-id: {}", guid(0))), "{said}");
        assert!(said.contains("first-lba: 98"), "{said}");
        let layout = layout(SECTORS);
        for partition in layout.partitions() {
            let line = said.lines().find(|line| line.contains(&partition.id.to_string())).unwrap();
            let words: Vec<String> =
                line.split([',', ':']).map(|word| word.replace(' ', "")).collect();
            let size = partition.last - partition.first + 1;
            assert!(words.contains(&format!("start={}", partition.first)), "{line}");
            assert!(words.contains(&format!("size={size}")), "{line}");
            assert!(words.contains(&format!("name=\"{}\"", partition.name)), "{line}");
        }
    }
}

#[test]
fn a_table_that_sgdisk_restored_is_followed_and_put_right() {
    for slot in Slot::ALL {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk.img");
        let damaged = disk(slot, &Image::new(1, 600)).copy();
        damaged.corrupt(1, |sector| sector.fill(0));
        std::fs::write(&path, damaged.snapshot()).unwrap();
        // Writing any change makes it write both tables anew, at places of its own.
        let output = Command::new("sgdisk").args(["-c", "4:bulk"]).arg(&path).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let disk = SimDisk::new(SECTORS);
        disk.write_at(&std::fs::read(&path).unwrap(), 0).unwrap();
        let disk = std::sync::Arc::new(disk.copy());
        let opened = SlotDisk::open(disk.clone()).unwrap();
        assert_eq!(opened.active(), slot);
        assert!(opened.layout().partition("bulk").is_some());
        assert!(!sgdisk_finds_problems(&disk.snapshot()));
    }
}

#[test]
fn the_protective_mbr_covers_the_disk_as_sgdisk_writes_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk.img");
    std::fs::write(&path, vec![0; (SECTORS * 512) as usize]).unwrap();
    let output = Command::new("sgdisk").arg("-o").arg(&path).output().unwrap();
    assert!(output.status.success());
    let mut theirs = std::fs::read(&path).unwrap();
    // The end in cylinders, which it tells of a disk as small as this one.
    theirs[451..454].fill(0xff);
    assert!(theirs[..512] == protective_mbr(SECTORS));
    assert_eq!(protective_mbr(1 << 33)[458..462], [0xff; 4], "longer than it can say");
}

#[test]
fn slots_for_loaders_without_efi_are_marked_whichever_is_active() {
    let layout = layout(SECTORS).with_legacy_boot();
    for active in Slot::ALL {
        let disk = Arc::new(SimDisk::new(SECTORS));
        SlotDisk::install(disk.clone(), layout.clone(), active).unwrap();
        let found = Found::on(&*disk).unwrap();
        assert_eq!((&found.layout, found.active, found.to_write), (&layout, active, vec![]));
        let image = disk.snapshot();
        assert!(!sgdisk_finds_problems(&image));
        for (number, flags) in [("1", 4), ("2", 4), ("3", 0)] {
            let said = run("sgdisk", &["-i", number], &image);
            assert!(said.contains(&format!("Attribute flags: {flags:016X}")), "{said}");
        }
    }
}
