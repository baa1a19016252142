//! Where everything is on a disk with two boot slots; pure.

use super::{Entry, Guid, Header, Name, Place, Table, kind};
use crate::{DiskRange, SECTOR_LEN};

/// One of the two partitions that firmware can boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// `boot-1`
    One,
    /// `boot-2`
    Two,
}

impl Slot {
    /// Both.
    pub const ALL: [Self; 2] = [Self::One, Self::Two];

    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::One => Self::Two,
            Self::Two => Self::One,
        }
    }

    /// The name of its partition.
    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "boot-1",
            Self::Two => "boot-2",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::One => 0,
            Self::Two => 1,
        }
    }
}

impl std::fmt::Display for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Sectors of an array: 128 entries of 128 bytes.
pub const ARRAY_SECTORS: u64 = 32;
/// First sectors of the arrays on the primary side. Sectors 2 to 33 belong to firmware, which
/// restores an array there.
pub const PRIMARY_ARRAYS: [u64; 2] = [34, 66];
/// First sector that a partition may have.
pub const FIRST_USABLE: u64 = 98;
/// Sectors at the end that no partition may have: two arrays and the backup header.
pub const RESERVED_AT_END: u64 = 65;
/// Where partitions begin: at multiples of so many sectors.
pub const ALIGNMENT: u64 = 2048;
/// The partition for what a loader is told once, where firmware keeps nothing by itself.
pub const BOOT_ONCE: &str = "boot-once";
/// The attribute by which loaders without EFI find partitions to boot (UEFI 2.10, table 5-8).
pub const LEGACY_BOOTABLE: u64 = 1 << 2;

const COUNT: u32 = 128;
/// What stands for the type of a slot where it is not known which one is active.
const SLOT_KIND: Guid = kind::EFI_SYSTEM;
/// Offset of the slots' arrays from the end of the disk, in sectors.
const BACKUP_ARRAYS: [u64; 2] = [65, 33];

/// A partition that a new disk shall have beside its slots; it gets its place by [`Layout::new`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPartition {
    /// Its name, up to 36 units of UTF-16.
    pub name: String,
    /// Its own GUID.
    pub id: Guid,
    /// What it is for.
    pub kind: Guid,
    /// Length in bytes, made a multiple of 1 MiB; `None` takes what is left, and only the last one
    /// may.
    pub len: Option<u64>,
}

/// A partition of a disk with slots. Its type is not part of it, since that of a slot follows
/// from which one is active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its name.
    pub name: Name,
    /// Its own GUID.
    pub id: Guid,
    /// First sector.
    pub first: u64,
    /// Last sector.
    pub last: u64,
    /// Where it is, in bytes.
    pub range: DiskRange,
    kind: Guid,
    attributes: u64,
}

/// What partitions a disk has. From it and the active slot all tables follow, to the last byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    sectors: u64,
    disk: Guid,
    slots: [Partition; 2],
    others: Vec<Partition>,
}

/// Why a disk cannot have, or does not have, two slots.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The partitions are longer than the disk.
    #[error("the disk has {available} bytes, and its partitions need {needed}")]
    TooSmall {
        /// Length of the disk in bytes.
        available: u64,
        /// What the smallest one must have.
        needed: u64,
    },
    /// A name is too long.
    #[error("the name of partition {0:?} has more than 36 characters")]
    NameTooLong(String),
    /// One that is not the last takes what is left.
    #[error("partition {0:?} must have a length, since it is not the last one")]
    NoLen(String),
    /// More than an array holds.
    #[error("there are {0} partitions, at most 128 can be")]
    TooMany(usize),
    /// The first two partitions are not the slots.
    #[error("its first two partitions are not boot-1 and boot-2")]
    NoSlots,
    /// A partition is where tables are, or behind the end.
    #[error("its partition {name} is at sectors {first} to {last}, outside of {usable:?}")]
    Outside {
        /// Its name.
        name: String,
        /// First sector.
        first: u64,
        /// Last sector.
        last: u64,
        /// What partitions may have.
        usable: std::ops::RangeInclusive<u64>,
    },
    /// Two partitions have a sector in common.
    #[error("its partitions {first} and {second} overlap")]
    Overlap {
        /// A name.
        first: String,
        /// Another name.
        second: String,
    },
    /// The backup header is not in the last sector: the image is from a smaller disk.
    #[error(
        "its backup table belongs into sector {found}, but the last one is {expected}: \
         the disk was written from an image of another length"
    )]
    OtherLength {
        /// The last sector.
        expected: u64,
        /// What the header says.
        found: u64,
    },
}

/// The length in bytes of the smallest disk for partitions of these lengths.
pub fn smallest_disk(lens: impl IntoIterator<Item = u64>) -> u64 {
    let unit = ALIGNMENT * SECTOR_LEN;
    let partitions = lens.into_iter().fold(unit, |sum, len| {
        sum.saturating_add(len.max(1).checked_next_multiple_of(unit).unwrap_or(u64::MAX))
    });
    partitions.saturating_add(RESERVED_AT_END * SECTOR_LEN)
}

impl Layout {
    /// Places partitions one after the other on a disk of `disk_len` bytes: two slots of
    /// `slot_len` bytes each, then the others.
    pub fn new(
        disk_len: u64,
        disk: Guid,
        slot_ids: [Guid; 2],
        slot_len: u64,
        others: Vec<NewPartition>,
    ) -> Result<Self, LayoutError> {
        let sectors = disk_len / SECTOR_LEN;
        let lens = others.iter().map(|new| new.len.unwrap_or(1));
        let needed = smallest_disk([slot_len; 2].into_iter().chain(lens));
        if disk_len < needed {
            return Err(LayoutError::TooSmall { available: disk_len, needed });
        }
        let mut next = ALIGNMENT;
        let end = sectors - RESERVED_AT_END;
        let count = 2 + others.len();
        let mut place = |(index, new): (usize, NewPartition)| {
            let name = Name::new(&new.name);
            let name = name.ok_or_else(|| LayoutError::NameTooLong(new.name.clone()))?;
            let first = next;
            next = match new.len {
                Some(len) => first + len.max(1).div_ceil(ALIGNMENT * SECTOR_LEN) * ALIGNMENT,
                None if index + 1 == count => end / ALIGNMENT * ALIGNMENT,
                None => return Err(LayoutError::NoLen(new.name)),
            };
            let outside = || LayoutError::TooSmall { available: disk_len, needed };
            let range = DiskRange::sectors(first, next - 1).ok_or_else(outside)?;
            let (id, kind, last) = (new.id, new.kind, next - 1);
            Ok(Partition { name, id, first, last, range, kind, attributes: 0 })
        };
        let slot = |slot: Slot, id| NewPartition {
            name: slot.name().to_owned(),
            id,
            kind: SLOT_KIND,
            len: Some(slot_len),
        };
        let [one, two] = slot_ids;
        let slots = [place((0, slot(Slot::One, one)))?, place((1, slot(Slot::Two, two)))?];
        let others = (2..).zip(others).map(place).collect::<Result<Vec<_>, _>>()?;
        let layout = Self { sectors, disk, slots, others };
        layout.check()?;
        Ok(layout)
    }

    /// The layout of a disk of `disk_len` bytes that has this table, and the slot that the
    /// table makes active: the one that comes first.
    pub fn of_table(table: &Table, disk_len: u64) -> Result<(Self, Slot), LayoutError> {
        let sectors = disk_len / SECTOR_LEN;
        let own = [table.header.own, table.header.other];
        let found = own.into_iter().find(|own| *own != 1).unwrap_or(1);
        if found + 1 != sectors {
            return Err(LayoutError::OtherLength { expected: sectors.saturating_sub(1), found });
        }
        let mut partitions = Vec::new();
        for entry in table.entries.values() {
            let outside = || LayoutError::outside(&entry.name, entry.first, entry.last, sectors);
            partitions.push(Partition {
                name: entry.name,
                id: entry.id,
                first: entry.first,
                last: entry.last,
                range: entry.range().ok_or_else(outside)?,
                kind: entry.kind,
                attributes: entry.attributes,
            });
        }
        let mut partitions = partitions.into_iter();
        let (Some(mut first), Some(mut second)) = (partitions.next(), partitions.next()) else {
            return Err(LayoutError::NoSlots);
        };
        (first.kind, second.kind) = (SLOT_KIND, SLOT_KIND);
        let active = Slot::ALL.into_iter().find(|slot| first.name.to_string() == slot.name());
        let active = active.filter(|slot| second.name.to_string() == slot.other().name());
        let active = active.ok_or(LayoutError::NoSlots)?;
        let slots = match active {
            Slot::One => [first, second],
            Slot::Two => [second, first],
        };
        let layout = Self { sectors, disk: table.header.disk, slots, others: partitions.collect() };
        layout.check()?;
        Ok((layout, active))
    }

    fn check(&self) -> Result<(), LayoutError> {
        let mut all: Vec<&Partition> = self.partitions().collect();
        if all.len() > COUNT as usize {
            return Err(LayoutError::TooMany(all.len()));
        }
        let usable = usable(self.sectors);
        for partition in &all {
            if partition.first < *usable.start() || partition.last > *usable.end() {
                let Partition { name, first, last, .. } = partition;
                return Err(LayoutError::outside(name, *first, *last, self.sectors));
            }
        }
        all.sort_by_key(|partition| partition.first);
        for pair in all.windows(2) {
            if pair[0].range.overlaps(pair[1].range) {
                let [first, second] = [0, 1].map(|index: usize| pair[index].name.to_string());
                return Err(LayoutError::Overlap { first, second });
            }
        }
        Ok(())
    }

    /// The same, with both slots marked for loaders that look for [`LEGACY_BOOTABLE`]: they come
    /// to the second one when the first one has nothing that they could start.
    pub fn with_legacy_boot(mut self) -> Self {
        for slot in &mut self.slots {
            slot.attributes |= LEGACY_BOOTABLE;
        }
        self
    }

    /// Sectors of the disk.
    pub fn disk_sectors(&self) -> u64 {
        self.sectors
    }

    /// The name of the disk.
    pub fn disk(&self) -> Guid {
        self.disk
    }

    /// The partition of a slot.
    pub fn slot(&self, slot: Slot) -> &Partition {
        &self.slots[slot.index()]
    }

    /// All partitions, the slots first.
    pub fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.slots.iter().chain(&self.others)
    }

    /// The partition with a name.
    pub fn partition(&self, name: &str) -> Option<&Partition> {
        self.partitions().find(|partition| partition.name.to_string() == name)
    }

    /// The array that makes a slot active: it comes first, and it alone has the type that
    /// firmware boots from.
    pub fn array(&self, active: Slot) -> Vec<u8> {
        let slots = [(active, kind::EFI_SYSTEM), (active.other(), kind::RESERVED)];
        let slots = slots.map(|(slot, kind)| self.slot(slot).entry(kind));
        let others = self.others.iter().map(|partition| partition.entry(partition.kind));
        let mut array = Vec::with_capacity((ARRAY_SECTORS * SECTOR_LEN) as usize);
        for entry in slots.into_iter().chain(others) {
            array.extend_from_slice(&entry.to_bytes());
        }
        array.resize((ARRAY_SECTORS * SECTOR_LEN) as usize, 0);
        array
    }

    /// The first sector of a slot's array.
    pub fn array_sector(&self, place: Place, slot: Slot) -> u64 {
        match place {
            Place::Primary => PRIMARY_ARRAYS[slot.index()],
            Place::Backup => self.sectors - BACKUP_ARRAYS[slot.index()],
        }
    }

    /// The sector of a header.
    pub fn header_sector(&self, place: Place) -> u64 {
        match place {
            Place::Primary => 1,
            Place::Backup => self.sectors - 1,
        }
    }

    /// The header that makes a slot active.
    pub fn header(&self, place: Place, active: Slot) -> Header {
        let other = match place {
            Place::Primary => Place::Backup,
            Place::Backup => Place::Primary,
        };
        Header {
            own: self.header_sector(place),
            other: self.header_sector(other),
            first_usable: FIRST_USABLE,
            // Firmware that restores the backup table puts the array behind the last usable
            // sector. So that is the array of the same slot, never that of the other one.
            last_usable: self.array_sector(Place::Backup, active) - 1,
            disk: self.disk,
            array: self.array_sector(place, active),
            count: COUNT,
            entry_len: Entry::LEN as u32,
            array_crc: Header::checksum(&self.array(active)),
        }
    }
}

impl Partition {
    fn entry(&self, kind: Guid) -> Entry {
        let Self { id, first, last, attributes, name, .. } = *self;
        Entry { kind, id, first, last, attributes, name }
    }
}

impl LayoutError {
    fn outside(name: &Name, first: u64, last: u64, sectors: u64) -> Self {
        Self::Outside { name: name.to_string(), first, last, usable: usable(sectors) }
    }
}

fn usable(sectors: u64) -> std::ops::RangeInclusive<u64> {
    FIRST_USABLE..=sectors.saturating_sub(RESERVED_AT_END + 1)
}
