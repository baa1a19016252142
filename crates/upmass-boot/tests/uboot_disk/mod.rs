//! A disk for U-Boot that loses power, and a start as the boot script does it. That the script does it
//! so is held by `crates/upmass/tests/uboot.rs`, with U-Boot itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use upmass_boot::bootloader::Bootloader;
use upmass_boot::uboot::UBoot;
use upmass_disk::gpt::{BOOT_ONCE, Guid, Layout, NewPartition, Slot, kind};
use upmass_disk::{Disk, DiskRange, Flushes, Result, SimDisk};

use crate::machine::{SLOT_LEN, uboot_layout};

/// Remembers before each step what a cut in it may leave.
struct Recorded {
    disk: SimDisk,
    past: Mutex<Vec<Vec<SimDisk>>>,
}

#[derive(Clone)]
pub struct UBootDisk(Arc<Recorded>);

/// States by chance: a sector at a time has none.
const RANDOM: u64 = 0;

impl UBootDisk {
    pub fn new() -> Self {
        Self::with_flushes(Flushes::Kept)
    }

    pub fn with_flushes(flushes: Flushes) -> Self {
        Self::on(SimDisk::new(uboot_layout(5).disk_sectors()).with_flushes(flushes))
    }

    fn on(disk: SimDisk) -> Self {
        Self(Arc::new(Recorded { disk, past: Mutex::default() }))
    }

    pub fn loader(&self) -> Box<dyn Bootloader> {
        Box::new(UBoot::of(self.0.clone(), &uboot_layout(5)).unwrap())
    }

    pub fn steps(&self) -> usize {
        self.0.disk.steps() as usize
    }

    pub fn cut_power_at(&self, step: usize) {
        self.0.disk.cut_power_at(step as u64);
    }

    pub fn crash_states(&self, steps: usize) -> Vec<Self> {
        let past = self.0.past.lock().unwrap();
        match past.get(steps) {
            Some(states) => states.iter().map(|state| Self::on(state.copy())).collect(),
            None => survivors(&self.0.disk).into_iter().map(Self::on).collect(),
        }
    }

    /// The content of a sector of the partition.
    pub fn sector(&self, sector: u64) -> Vec<u8> {
        let mut content = vec![0; 512];
        self.0.disk.read_at(&mut content, start() + sector * 512).unwrap();
        content
    }

    /// Steps 1 to 3 of `spec/uboot.md`; slots have all entries.
    pub fn start(&self, layout: &Layout, active: Slot) -> (Slot, Option<String>) {
        let read = |sector: u64| {
            let mut content = [0; 512];
            self.0.disk.read_at(&mut content, start() + sector * 512).ok()?;
            Some(content)
        };
        let mut once = BTreeMap::new();
        if let Some(content) = read(0)
            && content[..4] != [0; 4]
            && let Some(said) = import(&content)
        {
            // U-Boot writes, and asks for no flush.
            self.0.write_at(&[0; 512], start()).unwrap();
            once = said;
        }
        let preferred = [1, 2].into_iter().find_map(|sector| {
            let content = read(sector)?;
            if content[..4] == [0; 4] { Some(BTreeMap::new()) } else { import(&content) }
        });
        let other = active.other();
        let is_trial = once.remove("upmass_once_slot") == Some(layout.slot(other).id.to_string());
        let entry = once.remove("upmass_once_entry");
        let entry = entry.or_else(|| preferred.unwrap_or_default().remove("upmass_entry"));
        (if is_trial { other } else { active }, entry)
    }
}

/// `env import -c`, of sectors that are shorter than any limit of it.
fn import(content: &[u8; 512]) -> Option<BTreeMap<String, String>> {
    let checksum = u32::from_le_bytes(content[..4].try_into().unwrap());
    if crc32fast::hash(&content[4..]) != checksum {
        return None;
    }
    let text = std::str::from_utf8(&content[4..]).unwrap();
    let variables = text.split('\0').take_while(|variable| !variable.is_empty());
    let pairs = variables.map(|variable| variable.split_once('=').unwrap());
    Some(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn start() -> u64 {
    uboot_layout(5).partition(BOOT_ONCE).unwrap().range.start()
}

/// Slots whose GUIDs are those of the worked example.
pub fn example_layout() -> Layout {
    let new = |name: &str, number| NewPartition {
        name: name.to_owned(),
        id: Guid::from_digest([number; 16]),
        kind: kind::LINUX,
        len: Some(1 << 20),
    };
    let ids = [Guid::from_digest([2; 16]), Guid::from_digest([1; 16])];
    let others = vec![new(BOOT_ONCE, 3)];
    Layout::new(4 * SLOT_LEN, Guid::from_digest([0; 16]), ids, SLOT_LEN, others).unwrap()
}

/// What a cut may leave, first that nothing since the last flush was done.
fn survivors(disk: &SimDisk) -> Vec<SimDisk> {
    let mut states = Vec::new();
    disk.crash_states_now(RANDOM, &mut |state| states.push(state));
    states
}

impl Recorded {
    /// A step with all that a cut in it may leave.
    fn step(&self, done: impl FnOnce(&SimDisk) -> Result<()>) -> Result<()> {
        let before = self.disk.steps();
        let mut states = survivors(&self.disk);
        done(&self.disk)?;
        if self.disk.steps() > before {
            states.extend(survivors(&self.disk));
            self.past.lock().unwrap().push(states);
        }
        Ok(())
    }
}

impl Disk for Recorded {
    fn len(&self) -> u64 {
        self.disk.len()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        self.disk.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.step(|disk| disk.write_at(bytes, offset))
    }
    fn flush(&self) -> Result<()> {
        self.step(|disk| disk.flush())
    }
    fn forget(&self, range: DiskRange) {
        self.disk.forget(range);
    }
}
