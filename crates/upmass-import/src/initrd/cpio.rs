//! Archives of the kind that Linux unpacks into its first file system: cpio, format `newc`
//! (Documentation/driver-api/early-userspace/buffer-format.rst of the kernel).

use std::collections::BTreeSet;

/// An archive that grows. The same calls make the same bytes.
pub(super) struct Cpio {
    bytes: Vec<u8>,
    inode: u32,
    directories: BTreeSet<String>,
}

impl Cpio {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), inode: 0, directories: BTreeSet::new() }
    }

    /// A directory, and those above it.
    pub(super) fn directory(&mut self, path: &str) {
        if let Some((above, _)) = path.rsplit_once('/') {
            self.directory(above);
        }
        if self.directories.insert(path.to_owned()) {
            self.entry(path, 0o040_755, (0, 0), &[]);
        }
    }

    /// A regular file.
    pub(super) fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        if let Some((above, _)) = path.rsplit_once('/') {
            self.directory(above);
        }
        self.entry(path, 0o100_000 | mode, (0, 0), content);
    }

    /// A character device.
    pub(super) fn device(&mut self, path: &str, (major, minor): (u32, u32)) {
        self.entry(path, 0o020_600, (major, minor), &[]);
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.inode = u32::MAX; // The trailer has inode 0.
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, (major, minor): (u32, u32), content: &[u8]) {
        self.inode = self.inode.wrapping_add(1);
        let links = if mode & 0o170_000 == 0o040_000 { 2 } else { 1 };
        let len = u32::try_from(content.len()).expect("contents are checked to be shorter");
        let name_len = path.len() as u32 + 1;
        let fields = [self.inode, mode, 0, 0, links, 0, len, 0, 0, major, minor, name_len, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}
