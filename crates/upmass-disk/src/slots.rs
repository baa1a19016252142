//! A disk with two boot slots: which one is active, writing the other one, and switching.
//!
//! The order of writes is that of `spec/boot-disk.md`; what a power cut leaves of each is in
//! POWER-LOSS.md, rows "install", "slot", "switch" and "reconcile".

mod error;
mod inactive;

use crate::disk::{Disk, DiskRange, Region, SECTOR_LEN, SharedDisk};
use crate::gpt::{
    ARRAY_SECTORS, Layout, Partition, Place, Slot, Tables, protective_mbr, read_tables,
};
use crate::volume::ReadAt;

pub use error::SlotError;
pub use inactive::{InactiveSlot, SlotImage, WrittenSlot};

/// A disk whose two tables agree on the active slot.
pub struct SlotDisk {
    disk: SharedDisk,
    layout: Layout,
    active: Slot,
}

/// What the tables of a disk say, without changing anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its partitions.
    pub layout: Layout,
    /// The slot that firmware boots.
    pub active: Slot,
    /// Both tables.
    pub tables: Tables,
    /// Headers that are not as they should be, and that [`SlotDisk::open`] writes again.
    pub to_write: Vec<Place>,
}

impl Found {
    /// Looks at a disk.
    ///
    /// # Errors
    /// [`SlotError::NoTable`] when firmware would find none either, [`SlotError::Layout`] when
    /// it is no disk with two slots.
    pub fn on(disk: &dyn Disk) -> Result<Self, SlotError> {
        let tables = read_tables(disk);
        let used = match (&tables.primary, &tables.backup) {
            (Ok(used), _) | (Err(_), Ok(used)) => used,
            (Err(primary), Err(backup)) => {
                let (primary, backup) = (primary.clone(), backup.clone());
                return Err(SlotError::NoTable { primary, backup });
            }
        };
        let (layout, active) = Layout::of_table(used, disk.len())?;
        // The backup first: while it is written the primary one is good, or the other way round.
        let places = match tables.primary.is_ok() {
            true => [Place::Backup, Place::Primary],
            false => [Place::Primary, Place::Backup],
        };
        let is_as_expected = |place: &Place| {
            let table = match place {
                Place::Primary => &tables.primary,
                Place::Backup => &tables.backup,
            };
            table.as_ref().is_ok_and(|table| table.header == layout.header(*place, active))
        };
        let to_write = places.into_iter().filter(|place| !is_as_expected(place)).collect();
        Ok(Self { layout, active, tables, to_write })
    }

    /// The content of a slot of the disk that this was found on. `None` on a shorter one.
    pub fn content(&self, disk: SharedDisk, slot: Slot) -> Option<SlotContent> {
        Region::new(disk, self.layout.slot(slot).range).map(SlotContent)
    }
}

impl SlotDisk {
    /// Opens a disk, and makes its tables agree where they do not, or where one is damaged: as
    /// firmware does, it follows the primary table if that is good, and the backup otherwise.
    /// On return it is durable and was read back.
    ///
    /// Only the table that nobody follows is written first (POWER-LOSS.md, row "reconcile"):
    /// before, during and after that write the other one decides, with the same result; the
    /// next start finds what is still to be done in the same way. Without this a backup that an
    /// abandoned switch left would take effect when the primary header is damaged later.
    pub fn open(disk: SharedDisk) -> Result<Self, SlotError> {
        let found = Found::on(&*disk)?;
        let this = Self { disk, layout: found.layout, active: found.active };
        for place in found.to_write {
            this.write_array(place, this.active)?;
            this.write_header(place, this.active)?;
        }
        Ok(this)
    }

    /// Removes all tables, so that a disk that is half installed never boots. What follows is to
    /// write the partitions and to call [`Self::install`].
    pub fn wipe(disk: &dyn Disk, layout: &Layout) -> Result<(), SlotError> {
        let front = vec![0; (crate::gpt::FIRST_USABLE * SECTOR_LEN) as usize];
        let back = vec![0; (crate::gpt::RESERVED_AT_END * SECTOR_LEN) as usize];
        let start_of_back = layout.disk_sectors() - crate::gpt::RESERVED_AT_END;
        disk.write_at(&front, 0)?;
        disk.write_at(&back, start_of_back * SECTOR_LEN)?;
        Ok(disk.flush()?)
    }

    /// Writes all tables of a new disk. Before the headers it has no partitions at all
    /// (POWER-LOSS.md, row "install"); on return it is durable and was read back.
    pub fn install(disk: SharedDisk, layout: Layout, active: Slot) -> Result<Self, SlotError> {
        let this = Self { disk, layout, active };
        for place in [Place::Backup, Place::Primary] {
            for slot in Slot::ALL {
                this.write_array(place, slot)?;
            }
        }
        this.write_checked(&protective_mbr(this.layout.disk_sectors()), 0, "the protective MBR")?;
        this.write_header(Place::Backup, active)?;
        this.write_header(Place::Primary, active)?;
        Ok(this)
    }

    /// Its partitions.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The slot that firmware boots.
    pub fn active(&self) -> Slot {
        self.active
    }

    /// The content of a slot, for reading.
    pub fn content(&self, slot: Slot) -> SlotContent {
        SlotContent(self.region(self.layout.slot(slot)))
    }

    /// The slot that may be written. Whatever fails from here on, the disk is to be opened again,
    /// which finds out how far it came.
    pub fn into_inactive(self) -> InactiveSlot {
        InactiveSlot::new(self)
    }

    fn region(&self, partition: &Partition) -> Region {
        // The layout was checked against the length of this disk.
        Region::new(self.disk.clone(), partition.range).expect("partitions are on the disk")
    }

    /// Makes the other slot active. On return it is durable and was read back.
    ///
    /// (POWER-LOSS.md, row "switch".) Before the backup header is written nothing has changed but
    /// arrays that no header names. Between the headers the primary one still names the old
    /// slot. Torn by the cut, the primary header has no checksum any more, and the backup names
    /// the new slot. [`Self::open`] makes both agree at the next start.
    fn switch(self) -> Result<Self, SlotError> {
        let new = self.active.other();
        for place in [Place::Backup, Place::Primary] {
            self.write_array(place, new)?;
        }
        self.write_header(Place::Backup, new)?;
        self.write_header(Place::Primary, new)?;
        Ok(Self { active: new, ..self })
    }

    /// Writes a slot's array, unless it is there: since no header in use may name an array that is
    /// written, those of installation stay for good while the medium keeps them.
    fn write_array(&self, place: Place, slot: Slot) -> Result<(), SlotError> {
        let sector = self.layout.array_sector(place, slot);
        let array = self.layout.array(slot);
        let mut found = vec![0; (ARRAY_SECTORS * SECTOR_LEN) as usize];
        match self.disk.read_at(&mut found, sector * SECTOR_LEN) {
            Ok(()) if found == array => Ok(()),
            _ => self.write_checked(&array, sector, "an array of the partition table"),
        }
    }

    fn write_header(&self, place: Place, active: Slot) -> Result<(), SlotError> {
        let header = self.layout.header(place, active);
        let what = match place {
            Place::Primary => "the primary header of the partition table",
            Place::Backup => "the backup header of the partition table",
        };
        self.write_checked(&header.to_sector(), header.own, what)
    }

    fn write_checked(
        &self,
        bytes: &[u8],
        sector: u64,
        what: &'static str,
    ) -> Result<(), SlotError> {
        let offset = sector * SECTOR_LEN;
        self.disk.write_at(bytes, offset)?;
        self.disk.flush()?;
        if let Some(range) = DiskRange::new(offset, bytes.len() as u64) {
            self.disk.forget(range);
        }
        let mut found = vec![0; bytes.len()];
        self.disk.read_at(&mut found, offset)?;
        match found == bytes {
            true => Ok(()),
            false => Err(SlotError::ReadBack { what: what.to_owned(), offset }),
        }
    }
}

/// A slot that can only be read.
#[derive(Clone)]
pub struct SlotContent(Region);

impl ReadAt for SlotContent {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let rest = self.0.len().saturating_sub(offset);
        let len = (buffer.len() as u64).min(rest) as usize;
        self.0.read_at(&mut buffer[..len], offset)?;
        Ok(len)
    }

    fn len(&self) -> u64 {
        self.0.len()
    }
}
