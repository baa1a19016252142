//! Partition tables (GPT) with one array of entries for each boot slot.
//!
//! What is where, and why, is in `spec/boot-disk.md`. Reading ([`read_tables`]) and laying out
//! ([`Layout`]) are pure but for the reads; [`SlotDisk`](crate::SlotDisk) does the writing.

mod entry;
mod guid;
mod header;
mod layout;
mod table;

pub use entry::{Entry, Name, kind};
pub use guid::Guid;
pub use header::{Header, Place};
pub use layout::{
    ALIGNMENT, ARRAY_SECTORS, BOOT_ONCE, FIRST_USABLE, LEGACY_BOOTABLE, Layout, LayoutError,
    NewPartition, PRIMARY_ARRAYS, Partition, RESERVED_AT_END, Slot, smallest_disk,
};
pub use table::{Fault, Table, Tables, read_tables};

/// The protective MBR: one partition of type `EE` over all of the disk (UEFI 2.10, 5.2.3).
pub fn protective_mbr(disk_sectors: u64) -> [u8; 512] {
    let mut sector = [0; 512];
    let count = u32::try_from(disk_sectors - 1).unwrap_or(u32::MAX);
    let record = &mut sector[446..462];
    // From cylinder 0, head 0, sector 2 to where such addresses end.
    record[1..4].copy_from_slice(&[0x00, 0x02, 0x00]);
    record[4] = 0xee;
    record[5..8].copy_from_slice(&[0xff, 0xff, 0xff]);
    record[8..12].copy_from_slice(&1u32.to_le_bytes());
    record[12..16].copy_from_slice(&count.to_le_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}
