//! Which disk and which slot a system was started from.

mod machine;

use std::fs;

use machine::{Machine, guid, release};
use upmass_boot::{DiscoverError, ToldBy, discover};
use upmass_disk::gpt::Slot;

/// The command line of release `number`.
fn line(number: u8) -> String {
    format!("quiet gpt upmass.release={} \"upmass.system=the mission\"\n", release(number))
}

fn both() -> [Option<upmass_format::ReleaseId>; 2] {
    [Some(release(1)), Some(release(2))]
}

#[test]
fn the_loader_tells_the_slot_and_the_slot_tells_the_disk() {
    for (booted, number) in [(Slot::One, 1), (Slot::Two, 2)] {
        for active in Slot::ALL {
            let machine = Machine::new(&line(number));
            machine.disk("nvme0n1", 5, active, both());
            machine.disk("sda", 6, active, both());
            // Loaders write capital letters.
            let id = guid(6, number).to_string().to_uppercase();
            machine.loader_says("LoaderDevicePartUUID", &id);
            let device = discover(&machine.roots).unwrap();
            assert_eq!(device.disk, machine.node("sda"));
            assert_eq!((device.booted, device.found.active), (booted, active));
            assert_eq!((device.told_by, device.booted_id()), (ToldBy::Loader, guid(6, number)));
            assert_eq!((device.release, &device.system[..]), (release(number), "the mission"));
        }
    }
}

#[test]
fn partitions_are_found_in_the_table_by_name_and_in_the_kernel_by_place() {
    let machine = Machine::new(&line(1));
    machine.disk("nvme0n1", 5, Slot::Two, both());
    // The kernel shows the numbers of the table at the start, and does not follow a switch.
    machine.loader_says("LoaderDevicePartUUID", &guid(5, 1).to_string());
    let device = discover(&machine.roots).unwrap();
    let layout = machine::layout(5);
    for (part, name, node) in [
        (&device.system_partition, "system", "nvme0n1p3"),
        (&device.data_partition, "data", "nvme0n1p4"),
    ] {
        let partition = layout.partition(name).unwrap();
        assert_eq!((part.range, part.id), (partition.range, partition.id));
        assert_eq!(part.node, Some(machine.node(node)));
    }
    // A kernel that shows no partitions, as of an image.
    for number in 1..=4 {
        let directory = machine.roots.sys.join(format!("block/nvme0n1/nvme0n1p{number}"));
        fs::remove_dir_all(directory).unwrap();
    }
    assert_eq!(discover(&machine.roots).unwrap().system_partition.node, None);
}

#[test]
fn the_command_line_tells_the_slot_where_there_are_no_efi_variables() {
    let machine = Machine::new(&format!("upmass.slot={} {}", guid(6, 2), line(2)));
    fs::remove_dir(&machine.roots.efi_variables).unwrap();
    machine.disk("mmcblk0", 5, Slot::One, both());
    machine.disk("mmcblk1", 6, Slot::One, both());
    let device = discover(&machine.roots).unwrap();
    assert_eq!((device.disk, device.booted), (machine.node("mmcblk1"), Slot::Two));
    assert_eq!(device.told_by, ToldBy::CommandLine);
}

#[test]
fn where_nobody_tells_it_is_the_slot_with_the_release_that_runs() {
    // U-Boot that was not told by our script puts nothing there.
    let machine = Machine::new(&format!("upmass.slot= {}", line(2)));
    machine.disk("mmcblk0", 5, Slot::One, both());
    let device = discover(&machine.roots).unwrap();
    assert_eq!((device.booted, device.told_by), (Slot::Two, ToldBy::Release));

    let check = |runs: u8, active: Slot, slots: [u8; 2], expected: Slot| {
        let machine = Machine::new(&line(runs));
        machine.disk("sda", 5, active, slots.map(|number| Some(release(number))));
        let device = discover(&machine.roots).unwrap();
        assert_eq!((device.booted, device.told_by), (expected, ToldBy::Release));
    };
    check(1, Slot::One, [1, 2], Slot::One);
    check(2, Slot::One, [1, 2], Slot::Two);
    check(2, Slot::Two, [1, 2], Slot::Two);
    // Both have it: there is nothing to tell apart.
    check(1, Slot::One, [1, 1], Slot::One);
    check(1, Slot::Two, [1, 1], Slot::Two);

    let machine = Machine::new(&line(3));
    machine.disk("sda", 5, Slot::One, both());
    let error = machine.plain(discover(&machine.roots).unwrap_err());
    assert_eq!(
        error,
        format!("release {} runs, which no boot slot of /dev/sda has", release(3).short())
    );
}

#[test]
fn other_disks_are_passed_over() {
    let machine = Machine::new(&line(1));
    machine.disk("sdb", 5, Slot::One, both());
    // A disk without a table, a drive without a medium, one without a node, and no disk at all.
    fs::write(machine.node("sda"), vec![0; 4096]).unwrap();
    machine.show("sda", 8);
    machine.show("sr0", 2_097_151);
    machine.show("loop0", 0);
    fs::write(machine.node("null"), "").unwrap();
    machine.show("null", 8);
    assert_eq!(discover(&machine.roots).unwrap().disk, machine.node("sdb"));
}

#[test]
fn a_name_with_a_slash_is_found() {
    let machine = Machine::new(&line(1));
    machine.disk("sda", 5, Slot::One, both());
    fs::create_dir(machine.node("cciss")).unwrap();
    fs::rename(machine.node("sda"), machine.node("cciss/c0d0")).unwrap();
    let block = machine.roots.sys.join("block");
    fs::rename(block.join("sda"), block.join("cciss!c0d0")).unwrap();
    assert_eq!(discover(&machine.roots).unwrap().disk, machine.node("cciss/c0d0"));
}

#[test]
fn two_disks_that_could_be_it_are_named() {
    // The copy of a disk has its GUIDs as well.
    for told in [false, true] {
        let machine = Machine::new(&line(1));
        machine.disk("sda", 5, Slot::One, both());
        machine.disk("sdb", 5, Slot::One, both());
        if told {
            machine.loader_says("LoaderDevicePartUUID", &guid(5, 1).to_string());
        }
        let error = discover(&machine.roots).unwrap_err();
        assert!(!error.is_too_early());
        assert_eq!(
            machine.plain(error),
            "/dev/sda and /dev/sdb all have boot slots that this system may have been started \
             from: remove all but one"
        );
    }
}

#[test]
fn what_is_no_disk_of_ours_is_refused_in_one_sentence() {
    let check = |machine: &Machine, is_too_early: bool, expected: &str| {
        let error = discover(&machine.roots).unwrap_err();
        assert_eq!(error.is_too_early(), is_too_early, "{error}");
        assert_eq!(machine.plain(error), expected);
    };
    let machine = Machine::new("root=/dev/sda1 quiet\n");
    machine.disk("sda", 5, Slot::One, both());
    check(
        &machine,
        false,
        "this system was not started from a boot slot of Upmass: the kernel's command line has no \
         upmass.release=…; write a disk with `upmass image` and start from it",
    );
    let machine = Machine::new("upmass.release=12 upmass.system=main\n");
    check(
        &machine,
        false,
        "the kernel's command line says upmass.release=12, expected an id of 64 hexadecimal digits",
    );
    let machine = Machine::new(&format!("upmass.slot=boot-1 {}", line(1)));
    check(
        &machine,
        false,
        "the kernel's command line says upmass.slot=boot-1, expected the GUID of a partition",
    );
    let machine = Machine::new(&line(1));
    check(
        &machine,
        true,
        "there is no disk with two boot slots; looked at nothing, since the kernel shows no disk",
    );
    fs::write(machine.node("sda"), vec![0; 4096]).unwrap();
    machine.show("sda", 8);
    fs::create_dir(machine.node("sdb")).unwrap();
    machine.show("sdb", 8);
    check(
        &machine,
        true,
        "there is no disk with two boot slots; looked at sda, sdb; open /dev/sdb: it is \
         neither a block device nor a regular file",
    );
    let machine = Machine::new(&line(1));
    machine.disk("sda", 5, Slot::One, both());
    machine.loader_says("LoaderDevicePartUUID", &guid(9, 1).to_string());
    let error = format!(
        "this system was started from partition {}, which is no boot slot of a disk with two; \
         looked at sda",
        guid(9, 1)
    );
    check(&machine, true, &error);
    // A partition of the right disk that is no slot.
    machine.loader_says("LoaderDevicePartUUID", &guid(5, 3).to_string());
    check(&machine, true, &error.replace(&guid(9, 1).to_string(), &guid(5, 3).to_string()));
    machine.loader_says("LoaderDevicePartUUID", "what");
    check(
        &machine,
        false,
        &format!(
            "read /sys/firmware/efi/efivars/LoaderDevicePartUUID-{}: \"what\" is no GUID of a partition",
            machine::VENDOR
        ),
    );
}

#[test]
fn a_disk_that_was_copied_to_a_longer_one_is_named_with_the_reason() {
    let machine = Machine::new(&line(1));
    machine.disk("sda", 5, Slot::One, both());
    let file = fs::File::options().write(true).open(machine.node("sda")).unwrap();
    let len = file.metadata().unwrap().len();
    file.set_len(len + 512).unwrap();
    let error = discover(&machine.roots).unwrap_err();
    assert!(matches!(error, DiscoverError::NoDisk { .. }));
    let error = machine.plain(error);
    assert!(
        error.contains("sda: the disk is not one with two boot slots: its backup table"),
        "{error}"
    );
}

#[test]
fn hostile_variables_and_command_lines_are_errors_and_no_panics() {
    let machine = Machine::new(&line(1));
    machine.disk("sda", 5, Slot::One, both());
    let variable = machine.loader_says("LoaderDevicePartUUID", "");
    for bytes in [vec![], vec![7, 0], vec![0; 5], vec![0xff; 1 << 13], vec![0xd8; 37 * 2 + 4]] {
        fs::write(&variable, bytes).unwrap();
        assert!(discover(&machine.roots).is_err());
    }
    fs::remove_file(&variable).unwrap();
    for line in [vec![0xff; 1 << 17], b"upmass.release=\xff upmass.system=".to_vec()] {
        fs::write(machine.roots.proc.join("cmdline"), line).unwrap();
        assert!(discover(&machine.roots).is_err());
    }
}
