//! A directory with all that a tree can hold.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chmod, chownat,
    lsetxattr, makedev, mknodat, utimensat,
};

/// A directory that is being filled. Needs root.
pub struct Sample {
    root: PathBuf,
}

impl Sample {
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// What every archive format can hold.
    pub fn simple(&self) -> &Self {
        self.directory("etc", 0o755).directory("root", 0o700).directory("tmp", 0o1777);
        self.file("etc/empty", b"").file("etc/hostname", b"buoy\n");
        self.file("etc/inline", &[b'i'; 64]).file("etc/object", &[b'o'; 65]);
        self.file("etc/one-block", &[b'b'; 4096]).file("etc/more", &noise(4097));
        self.directory("usr", 0o755).directory("usr/bin", 0o2755).directory("usr/lib", 0o755);
        self.file("usr/bin/su", &noise(70_000)).owner("usr/bin/su", 12, 34);
        self.mode("usr/bin/su", 0o4755);
        self.link("usr/bin/su", "etc/first-name-of-su").link("usr/bin/su", "usr/lib/su");
        self.symlink("etc/hostname", "usr/lib/relative").symlink("/etc/hostname", "etc/absolute");
        self.symlink("nowhere", "dangling");
        self.mode("", 0o755)
    }

    /// All that GNU tar can hold without extended headers of its own.
    pub fn with_nodes(&self) -> &Self {
        self.directory("dev", 0o755);
        self.node("dev/null", FileType::CharacterDevice, 0o666, (1, 3));
        self.node("dev/sda", FileType::BlockDevice, 0o660, (8, 0)).owner("dev/sda", 0, 6);
        self.node("dev/initctl", FileType::Fifo, 0o600, (0, 0));
        // Of symlinks and files GNU tar keeps the links, of devices it does not.
        self.link("dangling", "dev/dangling-too")
    }

    /// What needs long names and large numbers.
    pub fn with_extremes(&self) -> &Self {
        self.file(OsStr::from_bytes(&[b'n'; 255]), b"long name");
        self.file("line\nbreak = 100 % \\ tab\t", b"odd name").file("-rf", b"dash");
        self.file(OsStr::from_bytes(b"latin-\xe9"), b"not UTF-8").file("...", b"dots");
        let mut deep = PathBuf::from("deep");
        self.directory(&deep, 0o755);
        for _ in 0..20 {
            deep.push("d".repeat(100));
            self.directory(&deep, 0o755);
        }
        let file = deep.join("file");
        self.file(&file, &noise(300)).link(&file, "link-to-the-deep");
        self.symlink(&"t".repeat(4000), "long-target").symlink("a\nb", "odd-target");
        self.file("large-owner", b"x").owner("large-owner", 3_000_000_000, 4_000_000_000);
        self.node("dev/large", FileType::BlockDevice, 0o600, (4095, 1_048_575));
        self.file("large", &noise(3 << 20)).file("zeros", &vec![0; 1 << 20])
    }

    /// What needs extended headers.
    pub fn with_attributes(&self) -> &Self {
        self.file("attributes", b"x").file("capable", &noise(100)).directory("labelled", 0o755);
        self.attribute("attributes", "user.plain", b"value");
        self.attribute("attributes", "user.a=b%3D", b"two\nlines\0and more\xff");
        self.attribute("attributes", "trusted.empty", b"");
        self.attribute("labelled", "user.of-a-directory", &noise(2000));
        self.attribute("labelled", "security.selinux", b"system_u:object_r:usr_t:s0\0");
        self.attribute("dangling", "trusted.of-a-symlink", b"1");
        self.attribute("dev/null", "trusted.of-a-device", b"2");
        self.attribute("capable", "security.capability", &CAPABILITY)
    }

    /// Files with holes of all shapes.
    pub fn with_holes(&self) -> &Self {
        self.sparse("sparse-all", 1 << 20, &[]).sparse("sparse-tail", 9_999_999, &[(0, 5000)]);
        self.sparse("sparse-head", 5 << 20, &[((5 << 20) - 4096, 4096)]);
        let many: Vec<(u64, usize)> = (0..40).map(|n| (n * 100_000, 4096)).collect();
        self.sparse("sparse-many", 4_000_000, &many);
        self.sparse("sparse-4g", (4 << 30) + 1, &[(1 << 31, 10)])
    }

    /// Modification times of all kinds.
    pub fn with_times(&self) -> &Self {
        let times = [("etc/hostname", 1_234_567_890, 123_456_789), ("etc/empty", -2, 500_000_000)];
        for (path, seconds, nanoseconds) in times {
            set_time(&self.root.join(path), seconds, nanoseconds);
        }
        self
    }

    pub fn directory(&self, path: impl AsRef<Path>, mode: u32) -> &Self {
        fs::create_dir(self.root.join(&path)).unwrap();
        self.mode(path, mode)
    }

    pub fn file(&self, path: impl AsRef<Path>, content: &[u8]) -> &Self {
        write(&self.root.join(&path), content);
        self.mode(path, 0o644)
    }

    pub fn sparse(&self, path: &str, len: u64, data: &[(u64, usize)]) -> &Self {
        let file = File::create(self.root.join(path)).unwrap();
        file.set_len(len).unwrap();
        for (offset, len) in data {
            file.write_all_at(&noise(*len), *offset).unwrap();
        }
        self.mode(path, 0o644)
    }

    pub fn symlink(&self, target: &str, path: &str) -> &Self {
        symlink(target, self.root.join(path)).unwrap();
        self
    }

    pub fn link(&self, target: impl AsRef<Path>, path: impl AsRef<Path>) -> &Self {
        let (target, path) = (self.root.join(target), self.root.join(path));
        rustix::fs::linkat(CWD, target, CWD, path, AtFlags::empty()).unwrap();
        self
    }

    pub fn node(&self, path: &str, kind: FileType, mode: u32, (major, minor): (u32, u32)) -> &Self {
        let mode_bits = Mode::from_raw_mode(mode);
        mknodat(CWD, self.root.join(path), kind, mode_bits, makedev(major, minor)).unwrap();
        self.mode(path, mode)
    }

    pub fn mode(&self, path: impl AsRef<Path>, mode: u32) -> &Self {
        chmod(self.root.join(path), Mode::from_raw_mode(mode)).unwrap();
        self
    }

    pub fn owner(&self, path: impl AsRef<Path>, uid: u32, gid: u32) -> &Self {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        let path = self.root.join(path);
        chownat(CWD, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).unwrap();
        self
    }

    pub fn attribute(&self, path: impl AsRef<Path>, name: &str, value: &[u8]) -> &Self {
        lsetxattr(self.root.join(path), name, value, XattrFlags::empty()).unwrap();
        self
    }
}

pub fn write(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
}

pub fn set_time(path: &Path, seconds: i64, nanoseconds: u32) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Bytes without a block of zeros or two blocks that are equal.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64 ^ len as u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// `cap_net_raw=ep` (`include/uapi/linux/capability.h`, version 2).
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
