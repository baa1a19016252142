//! Which file systems an index may rely on, and how to tell one from another.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{self, AtFlags, StatxFlags};
use sha2::{Digest, Sha256};
use upmass_disk::Volume;

use crate::beneath::Beneath;

/// One mounted file system, told from every other one that may come in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Filesystem(pub(super) u64);

/// The file systems that a walk has met, by device number.
pub(crate) struct Filesystems {
    /// The device of the store, which holds the index.
    store: Option<u64>,
    met: HashMap<u64, Option<Filesystem>>,
}

impl Filesystems {
    /// Knows nothing but where the index is.
    pub(crate) fn new(volume: &dyn Volume) -> Self {
        let store = volume.real_path("").and_then(|path| {
            let inode = Beneath::open(&path).ok()?.inode().ok()?;
            Some(inode.key.device)
        });
        Self { store, met: HashMap::new() }
    }

    /// Looks at the file system of an open directory.
    pub(crate) fn meet(&mut self, device: u64, directory: impl AsFd) {
        let store = self.store;
        self.met.entry(device).or_insert_with(|| identify(device, store, directory));
    }

    /// The file system with a device number; `None` when the index cannot rely on it.
    pub(crate) fn get(&self, device: u64) -> Option<Filesystem> {
        self.met.get(&device).copied().flatten()
    }
}

fn identify(device: u64, store: Option<u64>, directory: impl AsFd) -> Option<Filesystem> {
    #[allow(clippy::unnecessary_cast, reason = "the type depends on the machine")]
    let kind = fs::fstatfs(&directory).ok()?.f_type as u64;
    if !RELIABLE.contains(&kind) {
        return None;
    }
    if Some(device) == store {
        // The index is a file of the same file system: whoever replaces one replaces both.
        return Some(Filesystem(0));
    }
    // Since Linux 6.8 a mount has a number that no other gets until the system starts again.
    let wanted = StatxFlags::from_bits_retain(STATX_MNT_ID_UNIQUE);
    let answer = fs::statx(directory, "", AtFlags::EMPTY_PATH, wanted).ok()?;
    if answer.stx_mask & STATX_MNT_ID_UNIQUE == 0 {
        return None;
    }
    let boot = std::fs::read(Path::new("/proc/sys/kernel/random/boot_id")).ok()?;
    let mut hasher = Sha256::new();
    hasher.update(&boot);
    hasher.update(answer.stx_mnt_id.to_le_bytes());
    hasher.update(device.to_le_bytes());
    let digest = <[u8; 32]>::from(hasher.finalize());
    let first = digest.first_chunk().expect("a digest is longer than a number");
    Some(Filesystem(u64::from_le_bytes(*first)))
}

/// `include/uapi/linux/stat.h`.
const STATX_MNT_ID_UNIQUE: u32 = 0x4000;

/// File systems whose ctime comes from the clock of this machine and cannot be set
/// (`include/uapi/linux/magic.h`). Not among them: those of other machines (NFS, SMB, 9p), whose
/// clock is not ours, and FUSE, where a program answers as it likes.
const RELIABLE: [u64; 8] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683e, // Btrfs
    0x0102_1994, // tmpfs
    0x794c_7630, // overlayfs
    0xf2f5_2010, // F2FS
    0xca45_1a4e, // bcachefs
    0x2fc1_2fc1, // ZFS
];
