//! How long everything is; follows from the length of the partition alone.

use super::PlanError;

pub(super) const SECTOR: u64 = 512;
/// Sectors before the first FAT: boot sector, information, their copies, and room.
pub(super) const RESERVED: u64 = 32;
/// Copies of the FAT.
pub(super) const FATS: u64 = 2;
/// Fewer clusters mean that it is FAT16: firmware tells them apart by nothing else.
pub(super) const MIN_CLUSTERS: u64 = 65_525;
/// More have no number.
pub(super) const MAX_CLUSTERS: u64 = 0x0fff_fff5;
/// The shortest partition: so many clusters of one sector, their FATs, and the reserved sectors.
pub const MIN_LEN: u64 = (RESERVED + FATS * FAT_OF_MIN + MIN_CLUSTERS) * SECTOR;
const FAT_OF_MIN: u64 = ((MIN_CLUSTERS + 2) * 4).div_ceil(SECTOR);
/// The longest one: as many clusters as have numbers.
const MAX_LEN: u64 = MAX_CLUSTERS * MAX_CLUSTER_SECTORS * SECTOR;
/// The longest clusters: a page, so that files begin at pages where partitions do.
const MAX_CLUSTER_SECTORS: u64 = 8;

/// Lengths of the parts of a file system, in sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    pub(super) sectors: u64,
    pub(super) cluster_sectors: u64,
    pub(super) fat_sectors: u64,
    pub(super) clusters: u64,
}

impl Geometry {
    /// That of a partition of `len` bytes: the longest clusters, up to 4 KiB, of which there are
    /// enough.
    pub fn of(len: u64) -> Result<Self, PlanError> {
        if len < MIN_LEN {
            return Err(PlanError::PartitionTooShort { needed: MIN_LEN, found: len });
        }
        if len > MAX_LEN {
            return Err(PlanError::PartitionTooLong { limit: MAX_LEN, found: len });
        }
        let mut cluster_sectors = MAX_CLUSTER_SECTORS;
        loop {
            let geometry = Self::with(len / SECTOR, cluster_sectors);
            if geometry.clusters >= MIN_CLUSTERS || cluster_sectors == 1 {
                return Ok(geometry);
            }
            cluster_sectors /= 2;
        }
    }

    fn with(sectors: u64, cluster_sectors: u64) -> Self {
        // Each cluster takes its sectors and 4 bytes in each FAT; the FAT has two more entries.
        let rest = sectors.saturating_sub(RESERVED);
        let entries = rest / cluster_sectors + 2;
        let mut fat_sectors = (entries * 4).div_ceil(SECTOR);
        // A longer FAT leaves fewer clusters: the shortest one that is enough for them.
        loop {
            let clusters = rest.saturating_sub(FATS * (fat_sectors - 1)) / cluster_sectors;
            if ((clusters + 2) * 4).div_ceil(SECTOR) > fat_sectors - 1 {
                break;
            }
            fat_sectors -= 1;
        }
        let clusters = rest.saturating_sub(FATS * fat_sectors) / cluster_sectors;
        Self { sectors, cluster_sectors, fat_sectors, clusters }
    }

    /// Length of a cluster in bytes.
    pub fn cluster_len(&self) -> u64 {
        self.cluster_sectors * SECTOR
    }

    /// Bytes for files and directories.
    pub fn capacity(&self) -> u64 {
        self.clusters * self.cluster_len()
    }

    /// The byte where the first cluster, which has number 2, begins.
    pub(super) fn data_start(&self) -> u64 {
        (RESERVED + FATS * self.fat_sectors) * SECTOR
    }

    /// How many clusters some bytes take.
    pub(super) fn clusters_of(&self, len: u64) -> u64 {
        len.div_ceil(self.cluster_len())
    }
}
