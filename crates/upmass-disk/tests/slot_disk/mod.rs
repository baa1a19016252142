//! Small disks with two slots.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{self, Write};
use std::sync::Arc;

use upmass_disk::gpt::{Guid, Layout, NewPartition, Slot, kind};
use upmass_disk::{Disk, SimDisk, SlotDisk, SlotImage};

/// Sectors of the disk: two slots, system and data of 1 MiB each.
pub const SECTORS: u64 = 5 * 2048 + 65;

pub fn guid(number: u8) -> Guid {
    Guid::from_digest([number; 16])
}

pub fn layout(sectors: u64) -> Layout {
    let new = |name: &str, number, len| NewPartition {
        name: name.to_owned(),
        id: guid(number),
        kind: kind::LINUX,
        len,
    };
    let others = vec![new("system", 3, Some(1 << 20)), new("data", 4, None)];
    Layout::new(sectors * 512, guid(0), [guid(1), guid(2)], 1 << 20, others).unwrap()
}

/// A disk whose slot is active and has an image.
pub fn disk(active: Slot, image: &Image) -> Arc<SimDisk> {
    let disk = Arc::new(SimDisk::new(SECTORS));
    // The only way to write a slot is while it is inactive.
    let slots = SlotDisk::install(disk.clone(), layout(SECTORS), active.other()).unwrap();
    slots.into_inactive().write(image, &mut |_| {}).unwrap().switch().unwrap();
    Arc::new(disk.copy())
}

/// Some bytes that differ from those of another number.
pub struct Image(pub Vec<u8>);

impl Image {
    pub fn new(number: u8, len: usize) -> Self {
        Self((0..len).map(|index| (index % 251) as u8 ^ number).collect())
    }

    /// Whether it is in a slot.
    pub fn is_in(&self, disk: &dyn Disk, slot: Slot) -> bool {
        let mut found = vec![0; self.0.len()];
        let range = layout(SECTORS).slot(slot).range;
        disk.read_at(&mut found, range.start()).is_ok() && found == self.0
    }
}

impl SlotImage for Image {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn write_to(&self, output: &mut dyn Write) -> io::Result<()> {
        output.write_all(&self.0)
    }
}
