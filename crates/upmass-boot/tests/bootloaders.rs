//! What every boot loader must do, for each of them, on a store that loses power.

mod machine;
mod uboot_disk;

use std::sync::Arc;

use machine::{SLOT_LEN, Slots, guid, layout};
use uboot_disk::UBootDisk;
use upmass_boot::bootloader::{BootError, Bootloader, Target};
use upmass_boot::uefi::Uefi;
use upmass_boot::variables::{SimVariables, Variables, Vendor};
use upmass_disk::gpt::{Layout, Slot};
use upmass_disk::{Flushes, ReadAt, SlotImage};

/// A boot loader on a store that can be looked at, cut, and started.
trait Bench {
    fn loader(&self) -> Box<dyn Bootloader>;
    /// How many durable steps were taken.
    fn steps(&self) -> usize;
    fn cut_power_at(&self, step: usize);
    /// All that may be found when power is lost after so many steps, or in the next one; first that
    /// nothing of it was done.
    fn crash_states(&self, steps: usize) -> Vec<Box<dyn Bench>>;
    /// A start, as firmware and loader do it: the slot of the disk that boots, and the entry in it.
    fn start(&self, layout: &Layout, active: Slot) -> (Slot, Option<String>);
}

struct UefiBench(Arc<SimVariables>);

fn text(content: Vec<u8>) -> String {
    let units: Vec<u16> =
        content.as_chunks().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    String::from_utf16(&units).unwrap().trim_end_matches('\0').to_owned()
}

impl Bench for UefiBench {
    fn loader(&self) -> Box<dyn Bootloader> {
        Box::new(Uefi::of(self.0.clone(), "x86_64"))
    }
    fn steps(&self) -> usize {
        self.0.steps()
    }
    fn cut_power_at(&self, step: usize) {
        self.0.cut_power_at(step);
    }
    fn crash_states(&self, steps: usize) -> Vec<Box<dyn Bench>> {
        let states = self.0.crash_states(steps).into_iter();
        states.map(|state| Box::new(UefiBench(Arc::new(state))) as Box<dyn Bench>).collect()
    }

    /// As strict as firmware may be: number, start, length and GUID must be those of the table.
    fn start(&self, layout: &Layout, active: Slot) -> (Slot, Option<String>) {
        let variables = &self.0;
        let mut booted = active;
        if let Some(next) = variables.read(Vendor::Global, "BootNext").unwrap() {
            variables.remove(Vendor::Global, "BootNext").unwrap();
            let name = format!("Boot{:04X}", u16::from_le_bytes(next[..].try_into().unwrap()));
            if let Some(option) = variables.read(Vendor::Global, &name).unwrap() {
                let slots = [(1u32, active), (2, active.other())];
                let slot = slots.into_iter().find(|(number, slot)| {
                    let partition = layout.slot(*slot);
                    let mut node = vec![4, 1, 42, 0];
                    node.extend(number.to_le_bytes());
                    node.extend(partition.first.to_le_bytes());
                    node.extend((partition.last - partition.first + 1).to_le_bytes());
                    node.extend(partition.id.as_bytes());
                    node.extend([2, 2]);
                    option.windows(node.len()).any(|window| window == node)
                });
                booted = slot.map_or(active, |(_, slot)| slot);
            }
        }
        let read = |name| variables.read(Vendor::Loader, name).unwrap().map(text);
        let once = read("LoaderEntryOneShot");
        variables.remove(Vendor::Loader, "LoaderEntryOneShot").unwrap();
        (booted, once.or_else(|| read("LoaderEntryDefault")))
    }
}

impl Bench for UBootDisk {
    fn loader(&self) -> Box<dyn Bootloader> {
        self.loader()
    }
    fn steps(&self) -> usize {
        self.steps()
    }
    fn cut_power_at(&self, step: usize) {
        self.cut_power_at(step);
    }
    fn crash_states(&self, steps: usize) -> Vec<Box<dyn Bench>> {
        let states = self.crash_states(steps).into_iter();
        states.map(|state| Box::new(state) as Box<dyn Bench>).collect()
    }
    fn start(&self, layout: &Layout, active: Slot) -> (Slot, Option<String>) {
        self.start(layout, active)
    }
}

/// One row for each boot loader.
fn benches() -> Vec<Box<dyn Bench>> {
    vec![Box::new(UefiBench(Arc::new(SimVariables::of_systemd_boot()))), Box::new(UBootDisk::new())]
}

struct Content(Vec<u8>);

impl ReadAt for Content {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let rest = self.0.get(offset as usize..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }
    fn len(&self) -> u64 {
        self.0.len() as u64
    }
}

fn content(files: &[&str]) -> Content {
    let mut image = Vec::new();
    Slots::with(files).write_to(&mut image).unwrap();
    image.resize(SLOT_LEN as usize, 0);
    Content(image)
}

fn bootable() -> Content {
    content(&["EFI/BOOT/BOOTX64.EFI", "loader/loader.conf", "boot.scr", "upmass/extlinux.conf"])
}

fn arm(loader: &dyn Bootloader, slot: Slot) -> Result<(), BootError> {
    loader.arm(&Target { layout: &layout(5), slot, content: &bootable() })
}

#[test]
fn what_is_armed_boots_once() {
    for bench in benches() {
        let (loader, layout) = (bench.loader(), layout(5));
        loader.check().unwrap();
        assert_eq!(loader.armed(&layout).unwrap(), None);
        assert_eq!(bench.start(&layout, Slot::One), (Slot::One, None));
        // After a switch the numbers are others, so this must be written anew.
        for active in [Slot::One, Slot::Two, Slot::One] {
            arm(&*loader, active.other()).unwrap();
            assert_eq!(loader.armed(&layout).unwrap(), Some(active.other()));
            assert_eq!(bench.start(&layout, active).0, active.other());
            assert_eq!(loader.armed(&layout).unwrap(), None);
            assert_eq!(bench.start(&layout, active).0, active);
        }
    }
}

#[test]
fn what_is_taken_back_does_not_boot() {
    for bench in benches() {
        let (loader, layout) = (bench.loader(), layout(5));
        arm(&*loader, Slot::Two).unwrap();
        loader.disarm(&layout).unwrap();
        assert_eq!(loader.armed(&layout).unwrap(), None);
        let steps = bench.steps();
        loader.disarm(&layout).unwrap();
        assert_eq!(bench.steps(), steps, "there is nothing to take back");
        assert_eq!(bench.start(&layout, Slot::One).0, Slot::One);
    }
}

#[test]
fn arming_again_changes_nothing() {
    for bench in benches() {
        let loader = bench.loader();
        arm(&*loader, Slot::Two).unwrap();
        let steps = bench.steps();
        arm(&*loader, Slot::Two).unwrap();
        assert_eq!(bench.steps(), steps);
    }
}

#[test]
fn a_cut_at_any_step_leaves_the_slot_armed_or_nothing() {
    for bench in benches() {
        let (loader, layout) = (bench.loader(), layout(5));
        // Trials of both slots before, so that there is something old to fall for.
        arm(&*loader, Slot::One).unwrap();
        bench.start(&layout, Slot::Two);
        let before = bench.steps();
        arm(&*loader, Slot::Two).unwrap();
        loader.disarm(&layout).unwrap();
        arm(&*loader, Slot::Two).unwrap();
        let mut outcomes = [0, 0];
        for steps in before..=bench.steps() {
            for state in bench.crash_states(steps) {
                let (booted, _) = state.start(&layout, Slot::One);
                outcomes[usize::from(booted == Slot::Two)] += 1;
                // And it can be done again.
                arm(&*state.loader(), Slot::Two).unwrap();
                assert_eq!(state.start(&layout, Slot::One).0, Slot::Two);
            }
        }
        assert!(outcomes[0] > 2 && outcomes[1] > 0, "{outcomes:?}");
    }
}

#[test]
fn a_store_that_fails_is_an_error_and_arms_nothing() {
    for bench in benches() {
        let layout = layout(5);
        arm(&*bench.loader(), Slot::Two).unwrap();
        let steps = bench.steps();
        for step in 0..steps {
            let failing = bench.crash_states(0).remove(0);
            failing.cut_power_at(step);
            assert!(arm(&*failing.loader(), Slot::Two).is_err());
            let left = failing.crash_states(step).remove(0);
            assert_eq!(left.start(&layout, Slot::One).0, Slot::One);
        }
    }
}

#[test]
fn a_system_is_chosen_once_or_preferred_until_that_is_taken_back() {
    for bench in benches() {
        let (loader, layout) = (bench.loader(), layout(5));
        let started = || bench.start(&layout, Slot::One).1;
        assert_eq!((loader.chosen().unwrap(), loader.preferred().unwrap()), (None, None));
        loader.choose(Some("rescue.conf")).unwrap();
        assert_eq!(loader.chosen().unwrap().as_deref(), Some("rescue.conf"));
        assert_eq!(started().as_deref(), Some("rescue.conf"));
        assert_eq!(started(), None);
        loader.prefer(Some("mission.conf")).unwrap();
        assert_eq!(loader.preferred().unwrap().as_deref(), Some("mission.conf"));
        loader.choose(Some("rescue.conf")).unwrap();
        loader.choose(None).unwrap();
        assert_eq!(started().as_deref(), Some("mission.conf"));
        assert_eq!(started().as_deref(), Some("mission.conf"));
        loader.prefer(None).unwrap();
        assert_eq!((loader.preferred().unwrap(), started()), (None, None));
    }
}

#[test]
fn a_slot_that_this_machine_cannot_start_is_not_armed() {
    for bench in benches() {
        let loader = bench.loader();
        for files in [&["loader/loader.conf"][..], &[]] {
            let target = Target { layout: &layout(5), slot: Slot::Two, content: &content(files) };
            assert!(loader.arm(&target).is_err());
        }
        let target =
            Target { layout: &layout(5), slot: Slot::Two, content: &Content(vec![0; 4096]) };
        assert!(loader.arm(&target).is_err());
        assert_eq!(bench.steps(), 0);
    }
}

#[test]
fn what_returned_is_durable() {
    for bench in benches() {
        let (loader, layout) = (bench.loader(), layout(5));
        let now = || bench.crash_states(bench.steps());
        arm(&*loader, Slot::Two).unwrap();
        assert!(now().iter().all(|state| state.start(&layout, Slot::One).0 == Slot::Two));
        loader.disarm(&layout).unwrap();
        assert!(now().iter().all(|state| state.start(&layout, Slot::One).0 == Slot::One));
        loader.choose(Some("rescue.conf")).unwrap();
        loader.prefer(Some("mission.conf")).unwrap();
        for state in now() {
            let started = || state.start(&layout, Slot::One).1;
            assert_eq!(started().as_deref(), Some("rescue.conf"));
            assert_eq!(started().as_deref(), Some("mission.conf"));
        }
    }
}

#[test]
fn a_cut_while_a_system_is_chosen_or_preferred_leaves_the_slot_that_is_armed_or_nothing() {
    for bench in benches() {
        let (loader, layout) = (bench.loader(), layout(5));
        loader.prefer(Some("old.conf")).unwrap();
        arm(&*loader, Slot::Two).unwrap();
        let before = bench.steps();
        loader.choose(Some("rescue.conf")).unwrap();
        loader.prefer(Some("new.conf")).unwrap();
        loader.choose(None).unwrap();
        for steps in before..=bench.steps() {
            for state in bench.crash_states(steps) {
                let (_, entry) = state.start(&layout, Slot::One);
                let known = [None, Some("old.conf"), Some("new.conf"), Some("rescue.conf")];
                assert!(known.contains(&entry.as_deref()), "{entry:?}");
                // All later starts: the old one or the new one.
                let (slot, entry) = state.start(&layout, Slot::One);
                assert_eq!(slot, Slot::One);
                assert!(known[..3].contains(&entry.as_deref()), "{entry:?}");
            }
        }
    }
}

// What follows is of U-Boot alone.

#[test]
fn without_flushes_the_same_cuts_lose_what_returned() {
    let layout = layout(5);
    let bench = UBootDisk::with_flushes(Flushes::Dropped);
    arm(&*bench.loader(), Slot::Two).unwrap();
    let found = bench.crash_states(bench.steps());
    let booted: Vec<Slot> = found.iter().map(|state| state.start(&layout, Slot::One).0).collect();
    assert!(booted.contains(&Slot::One) && booted.contains(&Slot::Two), "{booted:?}");
}

#[test]
fn a_preference_survives_a_cut_while_it_is_written() {
    let (bench, layout) = (UBootDisk::new(), layout(5));
    let loader = bench.loader();
    loader.prefer(Some("old.conf")).unwrap();
    let before = bench.steps();
    loader.prefer(Some("new.conf")).unwrap();
    let mut found = std::collections::BTreeSet::new();
    for steps in before..=bench.steps() {
        for state in bench.crash_states(steps) {
            found.insert(state.start(&layout, Slot::One).1.unwrap());
            assert_eq!(state.loader().preferred().unwrap(), state.start(&layout, Slot::One).1);
        }
    }
    assert_eq!(found, ["new.conf", "old.conf"].map(str::to_owned).into());
}

#[test]
fn a_cut_while_the_script_clears_the_one_shot_leaves_it_or_none() {
    let (bench, layout) = (UBootDisk::new(), layout(5));
    arm(&*bench.loader(), Slot::Two).unwrap();
    let before = bench.steps();
    assert_eq!(bench.start(&layout, Slot::One).0, Slot::Two);
    let mut found = Vec::new();
    for steps in before..=bench.steps() {
        for state in bench.crash_states(steps) {
            found.push(state.start(&layout, Slot::One).0);
            assert_eq!(state.start(&layout, Slot::One).0, Slot::One);
        }
    }
    assert!(found.contains(&Slot::One) && found.contains(&Slot::Two), "{found:?}");
}

#[test]
fn a_slot_of_another_disk_is_not_tried_and_not_taken_back() {
    let bench = UBootDisk::new();
    let loader = bench.loader();
    arm(&*loader, Slot::Two).unwrap();
    assert_eq!(loader.armed(&layout(6)).unwrap(), None);
    let steps = bench.steps();
    loader.disarm(&layout(6)).unwrap();
    assert_eq!(bench.steps(), steps);
    assert_eq!(bench.start(&layout(6), Slot::One).0, Slot::One);
}

#[test]
fn arming_keeps_the_system_that_is_chosen_and_so_does_disarming() {
    let (bench, layout) = (UBootDisk::new(), layout(5));
    let loader = bench.loader();
    loader.choose(Some("rescue.conf")).unwrap();
    arm(&*loader, Slot::Two).unwrap();
    loader.disarm(&layout).unwrap();
    arm(&*loader, Slot::Two).unwrap();
    let started = bench.start(&layout, Slot::One);
    assert_eq!(started, (Slot::Two, Some("rescue.conf".to_owned())));
    assert_eq!(bench.start(&layout, Slot::One), (Slot::One, None));
}

#[test]
fn names_that_the_script_does_not_take_are_refused() {
    let bench = UBootDisk::new();
    let loader = bench.loader();
    for name in ["", "../x.conf", "A.conf", "a b.conf", "a;b", "a$b", &"x".repeat(81)] {
        assert!(matches!(loader.choose(Some(name)), Err(BootError::Entry { .. })), "{name}");
        assert!(matches!(loader.prefer(Some(name)), Err(BootError::Entry { .. })), "{name}");
    }
    assert_eq!(bench.steps(), 0);
    // The longest ones fit into the sector, beside the slot.
    loader.choose(Some(&"x".repeat(80))).unwrap();
    arm(&*loader, Slot::Two).unwrap();
}

#[test]
fn the_worked_example_is_what_arming_writes_and_what_mkenvimage_makes() {
    let bench = UBootDisk::new();
    let layout = uboot_disk::example_layout();
    let target = Target { layout: &layout, slot: Slot::Two, content: &bootable() };
    bench.loader().arm(&target).unwrap();
    let sector = bench.sector(0);
    let spec = include_str!("../spec/uboot.md");
    let example = spec.split("## Worked example").nth(1).unwrap();
    let lines = example.lines().filter_map(|line| line.strip_prefix("    "));
    let mut expected: Vec<u8> = lines
        .flat_map(|line| line.split("  ").next().unwrap().split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    expected.resize(512, 0);
    assert_eq!(sector, expected);

    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let text = format!("upmass_once_slot={}\n", layout.slot(Slot::Two).id);
    std::fs::write(path("text"), text).unwrap();
    let made = std::process::Command::new("mkenvimage")
        .args(["-s", "512", "-p", "0", "-o"])
        .args([path("sector"), path("text")])
        .status()
        .expect("mkenvimage is missing: run ./setup");
    assert!(made.success());
    assert_eq!(std::fs::read(path("sector")).unwrap(), sector);
}

// What follows is of UEFI alone.

#[test]
fn a_load_option_is_as_the_specification_has_it() {
    let variables = Arc::new(SimVariables::default());
    let loader = Uefi::of(variables.clone(), "x86_64");
    arm(&loader, Slot::Two).unwrap();
    let option = variables.read(Vendor::Global, "Boot0000").unwrap().unwrap();
    let wide =
        |text: &str| -> Vec<u8> { text.bytes().chain([0]).flat_map(|byte| [byte, 0]).collect() };
    let file = wide("\\EFI\\BOOT\\BOOTX64.EFI");
    let mut expected = vec![1, 0, 0, 0];
    expected.extend((42 + 4 + file.len() as u16 + 4).to_le_bytes());
    expected.extend(wide("Upmass trial"));
    // HD(2,GPT,…): number, start, length, GUID, of a GPT, named by GUID.
    expected.extend([4, 1, 42, 0, 2, 0, 0, 0]);
    expected.extend([0, 0x18, 1, 0, 0, 0, 0, 0]); // 2048 + 34 MiB in sectors
    expected.extend([0, 0x10, 1, 0, 0, 0, 0, 0]);
    expected.extend(guid(5, 2).as_bytes());
    expected.extend([2, 2]);
    expected.extend([4, 4]);
    expected.extend((4 + file.len() as u16).to_le_bytes());
    expected.extend(file);
    expected.extend([0x7f, 0xff, 4, 0]);
    assert_eq!(option, expected);
    assert_eq!(variables.read(Vendor::Global, "BootNext").unwrap(), Some(vec![0, 0]));
    assert_eq!(variables.read(Vendor::Global, "BootOrder").unwrap(), None);
}

#[test]
fn our_option_takes_a_free_number_and_stays_out_of_the_order() {
    let variables = Arc::new(SimVariables::default());
    let write = |name: &str, content: &[u8]| {
        variables.write(Vendor::Global, name, content).unwrap();
    };
    write("Boot0000", &[1, 0, 0, 0, 4, 0, b'x', 0, 0, 0, 0x7f, 0xff, 4, 0]);
    write("Boot0001", b"damaged");
    write("BootOrder", &[0, 0, 2, 0]);
    let loader = Uefi::of(variables.clone(), "x86_64");
    arm(&loader, Slot::Two).unwrap();
    let names = variables.names(Vendor::Global).unwrap();
    assert_eq!(names, ["Boot0000", "Boot0001", "Boot0003", "BootNext", "BootOrder"]);
    // Firmware that puts what it finds into the order.
    write("BootOrder", &[3, 0, 0, 0, 2, 0]);
    arm(&loader, Slot::Two).unwrap();
    assert_eq!(variables.read(Vendor::Global, "BootOrder").unwrap(), Some(vec![0, 0, 2, 0]));
    // And the same number the next time.
    arm(&loader, Slot::One).unwrap();
    assert_eq!(variables.names(Vendor::Global).unwrap(), names);
}

#[test]
fn a_one_shot_of_others_is_not_taken_for_ours_and_not_taken_back() {
    let variables = Arc::new(SimVariables::default());
    let option = [1, 0, 0, 0, 4, 0, b'x', 0, 0, 0, 0x7f, 0xff, 4, 0];
    variables.write(Vendor::Global, "Boot0007", &option).unwrap();
    variables.write(Vendor::Global, "BootNext", &[7, 0]).unwrap();
    let loader = Uefi::of(variables.clone(), "x86_64");
    assert_eq!(loader.armed(&layout(5)).unwrap(), None);
    loader.disarm(&layout(5)).unwrap();
    assert_eq!(variables.read(Vendor::Global, "BootNext").unwrap(), Some(vec![7, 0]));
    // A slot of another disk is none of this one.
    arm(&loader, Slot::Two).unwrap();
    assert_eq!(loader.armed(&layout(6)).unwrap(), None);
}

#[test]
fn the_loader_is_the_one_for_the_machine_or_the_only_one() {
    let check = |machine: &'static str, files: &[&str], expected: Result<&str, &str>| {
        let variables = Arc::new(SimVariables::default());
        let loader = Uefi::of(variables.clone(), machine);
        let content = content(files);
        let armed = loader.arm(&Target { layout: &layout(5), slot: Slot::Two, content: &content });
        match expected {
            Ok(name) => {
                armed.unwrap();
                let option = variables.read(Vendor::Global, "Boot0000").unwrap().unwrap();
                let option = option.into_iter().filter(|byte| *byte != 0).collect::<Vec<u8>>();
                assert!(option.windows(name.len()).any(|found| found == name.as_bytes()), "{name}");
            }
            Err(why) => assert_eq!(armed.unwrap_err().to_string(), why),
        }
    };
    let both = ["EFI/BOOT/BOOTX64.EFI", "EFI/BOOT/BOOTAA64.EFI", "EFI/BOOT/other.efi"];
    check("x86_64", &both, Ok("BOOTX64.EFI"));
    check("aarch64", &both, Ok("BOOTAA64.EFI"));
    check("x86_64", &["EFI/BOOT/BOOTIA32.EFI"], Ok("BOOTIA32.EFI"));
    let why = "slot boot-2 has no EFI/BOOT/BOOTRISCV64.EFI, so that firmware of this machine cannot \
               start it";
    check("riscv64", &both, Err(why));
}

#[test]
fn a_loader_that_cannot_choose_is_not_asked_to() {
    let variables = Arc::new(SimVariables::default());
    let loader = Uefi::of(variables.clone(), "x86_64");
    for features in [None, Some(vec![]), Some(vec![0; 8]), Some(vec![3, 0, 0, 0, 0, 0, 0, 0])] {
        if let Some(features) = features {
            variables.write(Vendor::Loader, "LoaderFeatures", &features).unwrap();
        }
        let steps = variables.steps();
        assert!(matches!(loader.choose(Some("a.conf")), Err(BootError::NoChoice)));
        assert!(matches!(loader.prefer(Some("a.conf")), Err(BootError::NoChoice)));
        loader.choose(None).unwrap();
        assert_eq!(variables.steps(), steps);
    }
}

#[test]
fn damaged_variables_arm_nothing_and_are_no_panic() {
    let variables = Arc::new(SimVariables::default());
    let loader = Uefi::of(variables.clone(), "x86_64");
    arm(&loader, Slot::Two).unwrap();
    let option = variables.read(Vendor::Global, "Boot0000").unwrap().unwrap();
    let armed = || loader.armed(&layout(5)).unwrap();
    for len in 0..option.len() {
        variables.write(Vendor::Global, "Boot0000", &option[..len]).unwrap();
        armed();
    }
    for index in 0..option.len() {
        for bit in 0..8 {
            let mut option = option.clone();
            option[index] ^= 1 << bit;
            variables.write(Vendor::Global, "Boot0000", &option).unwrap();
            armed();
        }
    }
    variables.write(Vendor::Global, "Boot0000", &option).unwrap();
    for next in [&[][..], &[0], &[0, 0, 0], &[9, 0]] {
        variables.write(Vendor::Global, "BootNext", next).unwrap();
        assert_eq!(armed(), None);
    }
    variables.remove(Vendor::Global, "Boot0000").unwrap();
    variables.write(Vendor::Global, "BootNext", &[0, 0]).unwrap();
    assert_eq!(armed(), None);
}
