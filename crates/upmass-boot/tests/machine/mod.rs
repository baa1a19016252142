//! A machine in a directory: what the kernel shows in `/sys`, `/dev` and `/proc`, and disks that are files.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use upmass_boot::Roots;
use upmass_disk::fat::{Image, NewFile};
use upmass_disk::gpt::{BOOT_ONCE, Guid, Layout, NewPartition, Slot, kind};
use upmass_disk::{FileDisk, SlotDisk, SlotImage};
use upmass_format::ReleaseId;
use upmass_format::slot::{RELEASE_FILE, release_file};

pub const MIB: u64 = 1 << 20;
/// The shortest slot that FAT32 allows, and a bit.
pub const SLOT_LEN: u64 = 34 * MIB;
const DISK_LEN: u64 = MIB + 2 * SLOT_LEN + 3 * MIB + 65 * 512;
pub const VENDOR: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

pub struct Machine {
    pub directory: tempfile::TempDir,
    pub roots: Roots,
}

pub fn release(number: u8) -> ReleaseId {
    ReleaseId::from_bytes([number; 32])
}

/// GUIDs of the partitions of a disk with a number.
pub fn guid(disk: u8, partition: u8) -> Guid {
    let mut digest = [disk; 16];
    digest[15] = partition;
    Guid::from_digest(digest)
}

pub fn layout(disk: u8) -> Layout {
    let new = |name: &str, number| NewPartition {
        name: name.to_owned(),
        id: guid(disk, number),
        kind: kind::LINUX,
        len: Some(MIB),
    };
    let others = vec![new("system", 3), new("data", 4)];
    let ids = [guid(disk, 1), guid(disk, 2)];
    Layout::new(DISK_LEN, guid(disk, 0), ids, SLOT_LEN, others).unwrap()
}

/// The same slots, on a disk for U-Boot.
pub fn uboot_layout(disk: u8) -> Layout {
    let once = NewPartition {
        name: BOOT_ONCE.to_owned(),
        id: guid(disk, 5),
        kind: kind::RESERVED,
        len: Some(MIB),
    };
    let ids = [guid(disk, 1), guid(disk, 2)];
    Layout::new(DISK_LEN, guid(disk, 0), ids, SLOT_LEN, vec![once]).unwrap().with_legacy_boot()
}

/// A slot with some small files.
pub struct Slots(Vec<(String, Vec<u8>)>);

impl Slots {
    pub fn of(id: ReleaseId) -> Self {
        Self(vec![(RELEASE_FILE.to_owned(), release_file(id))])
    }

    /// Files of 100 bytes.
    pub fn with(paths: &[&str]) -> Self {
        Self(paths.iter().map(|path| ((*path).to_owned(), vec![7; 100])).collect())
    }

    fn image(&self) -> Image {
        let new = |(path, content): &(String, Vec<u8>)| NewFile {
            path: path.clone(),
            len: content.len() as u64,
        };
        let files: Vec<NewFile> = self.0.iter().map(new).collect();
        Image::plan(SLOT_LEN, MIB, 7, "BOOT", &files).unwrap()
    }
}

impl SlotImage for Slots {
    fn len(&self) -> u64 {
        self.image().len()
    }

    fn write_to(&self, output: &mut dyn Write) -> io::Result<()> {
        self.image().write_to(output, &mut |index, output| output.write_all(&self.0[index].1))
    }
}

impl Machine {
    /// A machine without disks that was started with a command line.
    pub fn new(command_line: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let roots = Roots::below(directory.path());
        for path in [&roots.sys.join("block"), &roots.dev, &roots.proc, &roots.efi_variables] {
            fs::create_dir_all(path).unwrap();
        }
        fs::write(roots.proc.join("cmdline"), command_line).unwrap();
        Self { directory, roots }
    }

    /// A disk whose slots have releases; its partitions have nodes as the kernel names them.
    pub fn disk(&self, name: &str, number: u8, active: Slot, slots: [Option<ReleaseId>; 2]) {
        let path = self.roots.dev.join(name);
        let file: Arc<FileDisk> = Arc::new(FileDisk::create(&path, DISK_LEN).unwrap());
        let layout = layout(number);
        let mut disk = SlotDisk::install(file, layout.clone(), Slot::One).unwrap();
        for (slot, id) in [Slot::Two, Slot::One].into_iter().zip([slots[1], slots[0]]) {
            // Only the inactive slot can be written.
            let written = disk.into_inactive();
            assert_eq!(written.slot(), slot);
            let empty = Slots(Vec::new());
            let content = id.map_or(empty, Slots::of);
            disk = written.write(&content, &mut |_| {}).unwrap().switch().unwrap();
        }
        if disk.active() != active {
            let other = slots[if active == Slot::One { 0 } else { 1 }];
            let content = other.map_or(Slots(Vec::new()), Slots::of);
            let inactive = disk.into_inactive();
            inactive.compare(&content, &mut |_| {}).unwrap().switch().unwrap();
        }
        self.show(name, DISK_LEN / 512);
        for (index, partition) in layout.partitions().enumerate() {
            let node = format!("{name}p{}", index + 1);
            let directory = self.roots.sys.join("block").join(name).join(&node);
            fs::create_dir(&directory).unwrap();
            let sectors = partition.last - partition.first + 1;
            for (file, number) in
                [("partition", index as u64 + 1), ("start", partition.first), ("size", sectors)]
            {
                fs::write(directory.join(file), format!("{number}\n")).unwrap();
            }
        }
    }

    /// A disk that the kernel shows.
    pub fn show(&self, name: &str, sectors: u64) {
        let directory = self.roots.sys.join("block").join(name);
        fs::create_dir_all(directory.join("queue")).unwrap();
        fs::write(directory.join("size"), format!("{sectors}\n")).unwrap();
    }

    /// What the loader says: UTF-16 behind four bytes of attributes.
    pub fn loader_says(&self, variable: &str, text: &str) -> PathBuf {
        let path = self.roots.efi_variables.join(format!("{variable}-{VENDOR}"));
        let mut bytes = vec![6, 0, 0, 0];
        bytes.extend(text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
        fs::write(&path, bytes).unwrap();
        path
    }

    pub fn node(&self, name: &str) -> PathBuf {
        self.roots.dev.join(name)
    }

    /// An error without the directory of this machine.
    pub fn plain(&self, error: impl std::fmt::Display) -> String {
        error.to_string().replace(&format!("{}", Path::new(self.directory.path()).display()), "")
    }
}
