//! File systems made by `mke2fs`, always to the same bytes: it copies a staged directory, and
//! `debugfs` gives every inode the owner, mode, times and attributes that it shall have.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use upmass_disk::gpt::Guid;
use upmass_format::tree::{Device, Mtime, NORMALISED_MTIME};

use crate::error::Context;
use crate::staging::{Kind, Staging, join};
use crate::{ImageError, Result};

/// The time of everything that has none: see [`NORMALISED_MTIME`].
const TIME: &str = "1";

/// What `/etc/mke2fs.conf` of this machine would decide otherwise. With fs-verity and blocks of
/// 4 KiB the kernel can check an object against its name; without `resize_inode` it could not grow
/// in place.
const CONFIG: &str = "\
[defaults]
base_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
default_mntopts = acl,user_xattr
enable_periodic_fsck = 0
blocksize = 4096
inode_size = 256
inode_ratio = 16384
[fs_types]
ext4 = {
    features = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize,verity
}
";

/// A file system that shall be made.
pub(crate) struct NewFileSystem<'f> {
    /// The directory that has the image; the tools work in it.
    pub(crate) directory: &'f Path,
    /// The name of the image in it.
    pub(crate) image: &'f str,
    /// First byte in the image.
    pub(crate) start: u64,
    /// Length in bytes.
    pub(crate) len: u64,
    pub(crate) label: &'f str,
    pub(crate) id: Guid,
    /// The directory beside the image whose content it shall have, and what that is.
    pub(crate) content: Option<(&'f str, &'f Staging)>,
}

/// Length of the journal of a file system, in bytes.
fn journal_len(len: u64) -> u64 {
    if len >= 512 << 20 { 16 << 20 } else { 4 << 20 }
}

/// Bytes that a file system of `len` bytes needs for a staged directory.
pub(crate) fn needed(staging: &Staging, len: u64) -> u64 {
    let inodes = inodes(Some(staging), len) * 256;
    let blocks = staging.blocks * 4096;
    // Maps of blocks, copies of the superblock, extents of large files.
    blocks + inodes + journal_len(len) + blocks / 64 + len / 1024 + (1 << 20)
}

fn inodes(staging: Option<&Staging>, len: u64) -> u64 {
    let used = staging.map_or(0, |staging| staging.inodes);
    // As many again for the next release, and as e2fsprogs has them by itself.
    (len / 16_384).max(2 * used + 1024)
}

impl NewFileSystem<'_> {
    /// Makes it.
    pub(crate) fn make(&self) -> Result<()> {
        let config = self.directory.join("mke2fs.conf");
        std::fs::write(&config, CONFIG).on("write", &config)?;
        let uuid = self.id.to_string();
        let extended = format!(
            "offset={},hash_seed={uuid},root_owner=0:0,no_copy_xattrs,nodiscard,\
             lazy_itable_init=0,lazy_journal_init=0",
            self.start
        );
        let inodes = inodes(self.content.map(|(_, staging)| staging), self.len).to_string();
        let journal = format!("size={}", journal_len(self.len) >> 20);
        let mut command = self.tool("mke2fs");
        command.args(["-q", "-F", "-t", "ext4", "-m", "0", "-L", self.label, "-U", &uuid]);
        command.args(["-E", &extended, "-N", &inodes, "-J", &journal]);
        if let Some((directory, _)) = self.content {
            command.args(["-d", directory]);
        }
        command.args([self.image, &format!("{}k", self.len / 1024)]);
        let output = run("mke2fs", command, "")?;
        if !output.status.success() {
            return Err(failed("mke2fs", &String::from_utf8_lossy(&output.stderr)));
        }
        let mut inodes = self.inodes()?;
        if let Some((_, staging)) = self.content {
            self.make_devices(staging, &mut inodes)?;
        }
        self.fix(&inodes)
    }

    /// Makes the devices, which nobody but root could stage.
    fn make_devices(&self, staging: &Staging, inodes: &mut HashMap<Vec<u8>, u32>) -> Result<()> {
        let mut script = String::new();
        let mut devices: Vec<_> = (staging.fixes.iter())
            .filter_map(|(path, fix)| match fix.kind {
                Kind::CharDevice(device) => Some((path, 'c', device)),
                Kind::BlockDevice(device) => Some((path, 'b', device)),
                _ => None,
            })
            .collect();
        devices.sort_by_key(|(path, ..)| *path);
        if devices.is_empty() {
            return Ok(());
        }
        for (path, letter, Device { major, minor }) in devices {
            let slash = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            let (directory, name) = (&path[..slash], &path[slash + 1..]);
            let name = std::str::from_utf8(name).ok().filter(|name| is_plain(name));
            let (Some(inode), Some(name)) = (inodes.get(directory), name) else {
                let why = "is a device whose name has more than letters, digits and -_.,:+@";
                return Err(unmakeable(path, why.to_owned()));
            };
            let _ = writeln!(script, "cd <{inode}>\nmknod {name} {letter} {major} {minor}");
        }
        self.debugfs(&script)?;
        *inodes = self.inodes()?;
        Ok(())
    }

    /// Gives all inodes what they shall have.
    fn fix(&self, inodes: &HashMap<Vec<u8>, u32>) -> Result<()> {
        let values = self.directory.join("xattrs");
        std::fs::create_dir_all(&values).on("make the directory", &values)?;
        let mut by_inode: Vec<(u32, &[u8])> =
            inodes.iter().map(|(path, inode)| (*inode, &path[..])).collect();
        by_inode.sort_unstable();
        // Names of one inode say the same.
        by_inode.dedup_by_key(|(inode, _)| *inode);
        let mut script = String::new();
        let mut value_count = 0;
        for (inode, path) in by_inode {
            let fix = self.content.and_then(|(_, staging)| staging.fixes.get(path));
            let mut set = |field: &str, value: &dyn std::fmt::Display| {
                let _ = writeln!(script, "sif <{inode}> {field} {value}");
            };
            let mtime = fix.and_then(|fix| fix.meta.mtime).unwrap_or(NORMALISED_MTIME);
            for field in ["atime", "ctime", "crtime"] {
                set(field, &format_args!("@{TIME}"));
            }
            let (low, high) = time_fields(mtime);
            set("mtime", &format_args!("@{low}"));
            set("mtime_extra", &high);
            // lost+found, and whatever else mke2fs makes, is as it should be.
            let Some(fix) = fix else { continue };
            set("uid", &fix.meta.uid);
            set("gid", &fix.meta.gid);
            set("mode", &format_args!("0{:o}", type_bits(fix.kind) | fix.meta.mode));
            for xattr in &fix.meta.xattrs {
                let name = std::str::from_utf8(&xattr.name).ok().filter(|name| is_plain(name));
                let Some(name) = name else {
                    let name = xattr.name.escape_ascii();
                    let why = format!("has the extended attribute \"{name}\", an odd name");
                    return Err(unmakeable(path, why));
                };
                value_count += 1;
                let value = values.join(value_count.to_string());
                std::fs::write(&value, &xattr.value).on("write", &value)?;
                let _ = writeln!(script, "ea_set -f xattrs/{value_count} <{inode}> {name}");
            }
        }
        self.debugfs(&script)?;
        std::fs::remove_dir_all(&values).on("remove", &values)
    }

    /// The inode of each path.
    fn inodes(&self) -> Result<HashMap<Vec<u8>, u32>> {
        const ROOT: u32 = 2;
        let mut found = HashMap::from([(Vec::new(), ROOT)]);
        let mut level = vec![(Vec::new(), ROOT)];
        while !level.is_empty() {
            let mut script = String::new();
            for (_, inode) in &level {
                let _ = writeln!(script, "ls -p <{inode}>");
            }
            let said = self.debugfs(&script)?;
            let paths: HashMap<u32, Vec<u8>> =
                level.into_iter().map(|(path, inode)| (inode, path)).collect();
            level = Vec::new();
            for entry in Listing::new(&said) {
                let Some(path) = paths.get(&entry.directory) else {
                    return Err(failed("debugfs", "listed a directory that nobody asked for"));
                };
                let path = join(path, entry.name);
                if entry.is_directory {
                    level.push((path.clone(), entry.inode));
                }
                found.insert(path, entry.inode);
            }
        }
        Ok(found)
    }

    fn debugfs(&self, script: &str) -> Result<Vec<u8>> {
        // Otherwise it writes the time of day into the superblock.
        let script = format!("set_current_time @{TIME}\n{script}");
        let mut command = self.tool("debugfs");
        command.args(["-w", "-f", "-", &format!("{}?offset={}", self.image, self.start)]);
        let output = run("debugfs", command, &script)?;
        // It exits with 0 whatever happens.
        let said = String::from_utf8_lossy(&output.stderr);
        let mut complaints =
            said.lines().filter(|line| !line.starts_with("debugfs ") && !line.trim().is_empty());
        match complaints.next() {
            Some(complaint) => Err(failed("debugfs", complaint)),
            None => Ok(output.stdout),
        }
    }

    fn tool(&self, program: &'static str) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = [path.as_os_str(), "/usr/sbin:/sbin".as_ref()].join(":".as_ref());
        command
            .current_dir(self.directory)
            .env("PATH", path)
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("MKE2FS_CONFIG", "mke2fs.conf")
            .env("E2FSPROGS_FAKE_TIME", TIME)
            .env("DEBUGFS_PAGER", "cat")
            .env_remove("SOURCE_DATE_EPOCH");
        command
    }
}

/// The blocks of an ext4 file system that mean something, as ranges in blocks of 4 KiB: all that
/// are allocated.
pub(crate) fn used_blocks(
    directory: &Path,
    image: &str,
    start: u64,
    len: u64,
) -> Result<Vec<(u64, u64)>> {
    let it =
        NewFileSystem { directory, image, start, len, label: "", id: Guid::ZERO, content: None };
    let mut command = it.tool("dumpe2fs");
    command.arg(format!("{image}?offset={start}"));
    let output = run("dumpe2fs", command, "")?;
    if !output.status.success() {
        return Err(failed("dumpe2fs", &String::from_utf8_lossy(&output.stderr)));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let mut used = Vec::new();
    let mut next = 0;
    for line in said.lines() {
        let Some(free) = line.strip_prefix("  Free blocks: ") else { continue };
        for range in free.split(", ").filter(|range| !range.is_empty()) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (Ok(first), Ok(last)) = (first.parse::<u64>(), last.parse::<u64>()) else {
                return Err(failed("dumpe2fs", &format!("says {line:?}")));
            };
            if first > next {
                used.push((next, first));
            }
            next = last + 1;
        }
    }
    if next < len / 4096 {
        used.push((next, len / 4096));
    }
    Ok(used)
}

/// Entries in what `ls -p` prints: `/inode/mode/uid/gid/name/size/`, a line each. Names may have
/// anything but `/`, line feeds too.
struct Listing<'t> {
    text: &'t [u8],
    directory: u32,
}

struct Listed<'t> {
    directory: u32,
    inode: u32,
    is_directory: bool,
    name: &'t [u8],
}

impl<'t> Listing<'t> {
    fn new(text: &'t [u8]) -> Self {
        Self { text, directory: 0 }
    }

    fn field(&mut self) -> Option<&'t [u8]> {
        let end = self.text.iter().position(|byte| *byte == b'/')?;
        let field = &self.text[..end];
        self.text = &self.text[end + 1..];
        Some(field)
    }
}

impl<'t> Iterator for Listing<'t> {
    type Item = Listed<'t>;

    fn next(&mut self) -> Option<Listed<'t>> {
        loop {
            // What is before the first slash of a line: nothing, or an echoed command.
            self.field()?;
            let number = |field: &[u8]| std::str::from_utf8(field).ok()?.parse::<u32>().ok();
            let inode = number(self.field()?)?;
            let mode = u32::from_str_radix(std::str::from_utf8(self.field()?).ok()?, 8).ok()?;
            let _owner = (self.field()?, self.field()?);
            let name = self.field()?;
            let _size = self.field()?;
            // Each listing begins with the directory itself.
            match name {
                b"." => self.directory = inode,
                b".." => {}
                _ if inode == 0 => {}
                name => {
                    let is_directory = mode & 0o170_000 == 0o040_000;
                    return Some(Listed { directory: self.directory, inode, is_directory, name });
                }
            }
        }
    }
}

fn unmakeable(path: &[u8], why: String) -> ImageError {
    ImageError::Entry { path: path.escape_ascii().to_string(), why }
}

fn type_bits(kind: Kind) -> u16 {
    match kind {
        Kind::Fifo => 0o010_000,
        Kind::CharDevice(_) => 0o020_000,
        Kind::Directory => 0o040_000,
        Kind::BlockDevice(_) => 0o060_000,
        Kind::File => 0o100_000,
        Kind::Symlink => 0o120_000,
        Kind::Socket => 0o140_000,
    }
}

/// A time as the inode has it: the low 32 bits of the seconds, and the field with nanoseconds and
/// two more bits of seconds.
fn time_fields(time: Mtime) -> (u32, u32) {
    let low = time.seconds as u32;
    let epoch = (time.seconds.wrapping_sub(i64::from(low as i32)) >> 32) as u32 & 3;
    (low, time.nanoseconds << 2 | epoch)
}

/// Whether a word needs no quoting in a script of debugfs.
fn is_plain(word: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:+@".contains(c);
    !word.is_empty() && !word.starts_with('-') && word.chars().all(is_plain)
}

fn run(program: &'static str, mut command: Command, input: &str) -> Result<std::process::Output> {
    use std::io::Write as _;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            ImageError::Tool { program, what: "is not there: install e2fsprogs".to_owned() }
        }
        _ => ImageError::Tool { program, what: format!("does not start: {error}") },
    })?;
    let stdin = child.stdin.take();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // Should the program end early, its exit says why.
            let _ = stdin.map(|mut stdin| stdin.write_all(input.as_bytes()));
        });
        child.wait_with_output()
    })
    .map_err(|error| ImageError::Tool { program, what: format!("gives no answer: {error}") })
}

fn failed(program: &'static str, said: &str) -> ImageError {
    let said = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>();
    ImageError::Tool { program, what: format!("failed: {}", said.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings_have_names_of_any_bytes() {
        let text = b"debugfs: ls -p <2>\n/2/040755/0/0/.//\n/2/040755/0/0/..//\n\
            /12/100644/0/0/a\nb/3/\n/13/040700/5/6/ c\xff//\n\ndebugfs: ls -p <13>\n\
            /13/040700/5/6/.//\n/2/040755/0/0/..//\n/14/120777/0/0/d/1/\n\n";
        let found: Vec<_> = Listing::new(text)
            .map(|entry| (entry.directory, entry.inode, entry.is_directory, entry.name.to_vec()))
            .collect();
        let expected = [
            (2, 12, false, b"a\nb".to_vec()),
            (2, 13, true, b" c\xff".to_vec()),
            (13, 14, false, b"d".to_vec()),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn times_before_and_after_the_32_bits() {
        let fields = |seconds, nanoseconds| time_fields(Mtime { seconds, nanoseconds });
        assert_eq!(fields(1, 5), (1, 20));
        assert_eq!(fields(-1, 0), (u32::MAX, 0));
        assert_eq!(fields(1 << 31, 0), (1 << 31, 1));
        assert_eq!(fields((1 << 32) + 7, 999_999_999), (7, 999_999_999 << 2 | 1));
    }
}
