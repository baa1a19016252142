//! A directory of the running system as a tree in memory. Independent of the importer.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags, Stat};
use upmass_format::tree::{Child, Device, Directory, MAX_INLINE, Meta, Mtime, Node, Xattr};
use upmass_format::{Name, ObjectHasher, TreePath};

/// Reads all that a tree can say of a directory. A name of an inode that was met before is a
/// hardlink.
pub fn snapshot(path: &Path) -> Directory {
    let root = fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    read_directory(&root, &TreePath::root(), &mut HashMap::new())
}

type Inodes = HashMap<u64, TreePath>;

fn read_directory(directory: &OwnedFd, here: &TreePath, inodes: &mut Inodes) -> Directory {
    let mut names: Vec<Name> = Dir::read_from(directory)
        .unwrap()
        .filter_map(|entry| Name::new(entry.unwrap().file_name().to_bytes()))
        .collect();
    names.sort();
    let meta = meta(&fs::fstat(directory).unwrap(), xattrs(directory, "."));
    let children = names.into_iter().map(|name| {
        let path = here.join(&name).unwrap();
        let child = read_child(directory, &name, path, inodes);
        (name, child)
    });
    Directory { meta, children: children.collect() }
}

fn read_child(directory: &OwnedFd, name: &Name, path: TreePath, inodes: &mut Inodes) -> Child {
    let os_name = OsStr::from_bytes(name.as_bytes());
    let stat = fs::statat(directory, os_name, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    let open = |flags| fs::openat(directory, os_name, flags, Mode::empty()).unwrap();
    let file_type = FileType::from_raw_mode(stat.st_mode);
    if file_type == FileType::Directory {
        let child = open(OFlags::RDONLY | OFlags::DIRECTORY);
        return Child::Directory(read_directory(&child, &path, inodes));
    }
    if let Some(first) = inodes.get(&stat.st_ino) {
        return Child::Leaf(Meta::default(), Node::Hardlink(first.clone()));
    }
    inodes.insert(stat.st_ino, path);
    let device = Device { major: fs::major(stat.st_rdev), minor: fs::minor(stat.st_rdev) };
    let node = match file_type {
        FileType::RegularFile => {
            let content = read_all(&open(OFlags::RDONLY), stat.st_size as usize);
            match content.len() <= MAX_INLINE {
                true => Node::Inline(content),
                false => {
                    Node::Object { size: content.len() as u64, id: ObjectHasher::hash(&content) }
                }
            }
        }
        FileType::Symlink => {
            let target = fs::readlinkat(directory, os_name, Vec::new()).unwrap();
            Node::Symlink(target.into_bytes())
        }
        FileType::Fifo => Node::Fifo,
        FileType::Socket => Node::Socket,
        FileType::CharacterDevice => Node::CharDevice(device),
        FileType::BlockDevice => Node::BlockDevice(device),
        other => panic!("{name:?} is {other:?}"),
    };
    Child::Leaf(meta(&stat, xattrs(directory, os_name)), node)
}

fn meta(stat: &Stat, xattrs: Vec<Xattr>) -> Meta {
    Meta {
        mode: (stat.st_mode & 0o7777) as u16,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: Some(Mtime { seconds: stat.st_mtime, nanoseconds: stat.st_mtime_nsec as u32 }),
        xattrs,
    }
}

fn xattrs(directory: &OwnedFd, name: impl AsRef<OsStr>) -> Vec<Xattr> {
    let mut path = format!("/proc/self/fd/{}/", directory.as_raw_fd()).into_bytes();
    path.extend_from_slice(name.as_ref().as_bytes());
    let path = OsStr::from_bytes(&path);
    let mut list = vec![0; 65536];
    let len = fs::llistxattr(path, &mut list[..]).unwrap();
    let names = list[..len].split(|byte| *byte == 0);
    let mut xattrs: Vec<_> = names
        // XFS shows access lists once more, in a form of its own.
        .filter(|name| !name.is_empty() && !name.starts_with(b"trusted.SGI_ACL_"))
        .map(|name| {
            let mut value = vec![0; 65536];
            let len = fs::lgetxattr(path, name, &mut value[..]).unwrap();
            value.truncate(len);
            let name = name.to_vec();
            Xattr { name, value }
        })
        .collect();
    xattrs.sort();
    xattrs
}

fn read_all(file: &OwnedFd, size: usize) -> Vec<u8> {
    let mut content = vec![0; size];
    let mut done = 0;
    while done < size {
        match rustix::io::pread(file.as_fd(), &mut content[done..], done as u64).unwrap() {
            0 => panic!("a file is shorter than it says"),
            n => done += n,
        }
    }
    content
}
