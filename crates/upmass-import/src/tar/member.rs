//! One entry of an archive, made from its header and the extended headers before it.

use upmass_format::MAX_PATH;
use upmass_format::tree::{Device, Meta, Mtime};

use super::compression::Compression;
use super::fault::ArchiveFault;
use super::header::{BLOCK, Header};
use super::pax::Extensions;
use super::sparse::{self, Map};
use super::stream::Stream;

/// An entry. Its content comes next in the stream.
pub(super) struct Member {
    /// As written.
    pub(super) path: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) meta: Meta,
    /// Bytes of content that follow.
    pub(super) stored: u64,
    /// Where they belong in a sparse file.
    pub(super) map: Option<Map>,
    /// Whether it has access lists in words.
    pub(super) has_access_lists: bool,
    /// Whether it has attributes that only libarchive reads.
    pub(super) has_foreign_xattrs: bool,
}

/// What an entry is. Targets are as written.
pub(super) enum Kind {
    File,
    Hardlink(Vec<u8>),
    Symlink(Vec<u8>),
    Directory,
    CharDevice(Device),
    BlockDevice(Device),
    Fifo,
}

impl Member {
    /// Length of a file with its holes.
    pub(super) fn size(&self) -> u64 {
        self.map.as_ref().map_or(self.stored, |map| map.size)
    }
}

/// Reads members one after the other.
pub(super) struct Members<'a> {
    pub(super) stream: Stream<'a>,
    compression: Compression,
    /// What holds for all entries that follow.
    global: Extensions,
    /// Where the member begins that is being read, and its path as far as it is known.
    pub(super) at: (u64, Vec<u8>),
    /// What the user should know at the end.
    pub(super) remarks: Vec<&'static str>,
}

/// What stands before a header.
#[derive(Default)]
struct Before {
    extensions: Option<Extensions>,
    long_path: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl<'a> Members<'a> {
    pub(super) fn new(stream: Stream<'a>, compression: Compression) -> Self {
        let global = Extensions::default();
        Self { stream, compression, global, at: (0, Vec::new()), remarks: Vec::new() }
    }

    /// The next entry, once the content of the last one was read. At the end, the archive was
    /// read and checked to its last byte.
    pub(super) fn next(&mut self) -> Result<Option<Member>, ArchiveFault> {
        self.at = (self.stream.offset(), Vec::new());
        let mut before = Before::default();
        loop {
            let Some(header) = self.header(before.is_empty())? else { return Ok(None) };
            match header.tag() {
                b'x' | b'X' => {
                    let content = self.extension(&header)?;
                    let mut extensions = self.global.clone();
                    extensions.read(&content)?;
                    set_once(&mut before.extensions, extensions)?;
                }
                b'g' => {
                    let content = self.extension(&header)?;
                    self.global.read(&content)?;
                    if self.global.names_one_entry() {
                        let why = "it gives one path or size to all entries";
                        return Err(ArchiveFault::Extension { why });
                    }
                }
                b'L' => set_once(&mut before.long_path, self.long_name(&header, "path")?)?,
                b'K' => set_once(&mut before.long_link, self.long_name(&header, "link target")?)?,
                b'V' => {
                    self.extension(&header)?;
                    self.remarks.push("the name of the volume in the archive was ignored");
                }
                _ => return self.member(&header, before).map(Some),
            }
        }
    }

    /// The next header; `None` at the end, which must not come within an entry.
    fn header(&mut self, is_between_entries: bool) -> Result<Option<Header>, ArchiveFault> {
        let offset = self.stream.offset();
        match self.stream.block("a header")? {
            Some(block) if block != [0; BLOCK] => {
                return match Header::new(block) {
                    Err(ArchiveFault::Checksum { .. }) if offset == 0 => Err(ArchiveFault::NotTar),
                    other => other.map(Some),
                };
            }
            _ if !is_between_entries => {
                return Err(ArchiveFault::Truncated { part: "an extended header" });
            }
            Some(_) => {}
            // Whoever cuts a compressed archive short destroys its compression, so this one was
            // written without an end. A plain one may have been cut between two entries.
            None if self.compression == Compression::None => return Err(ArchiveFault::NoEnd),
            None => {
                self.remarks.push("the archive has no mark of its end, two blocks of zeros");
                return Ok(None);
            }
        }
        match self.stream.block("the mark of its end")? {
            None => self.remarks.push("the archive ends with one block of zeros instead of two"),
            Some(block) if block != [0; BLOCK] => return Err(ArchiveFault::LoneZeroBlock),
            Some(_) => {
                if self.stream.drain()? {
                    self.remarks
                        .push("data behind the end of the archive was ignored, as tar does");
                }
            }
        }
        Ok(None)
    }

    fn extension(&mut self, header: &Header) -> Result<Vec<u8>, ArchiveFault> {
        let size = header.size()?;
        if size > MAX_EXTENSION {
            let what = "extended header";
            return Err(ArchiveFault::TooLong { what, found: size, limit: MAX_EXTENSION });
        }
        self.stream.content(size, "an extended header")
    }

    /// A path that is too long for a header, as GNU tar writes it: with a NUL at the end.
    fn long_name(&mut self, header: &Header, what: &'static str) -> Result<Vec<u8>, ArchiveFault> {
        let size = header.size()?;
        if size > MAX_LONG_NAME {
            return Err(ArchiveFault::TooLong { what, found: size, limit: MAX_PATH as u64 });
        }
        let mut name = self.stream.content(size, "a long name")?;
        name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
        Ok(name)
    }

    fn member(&mut self, header: &Header, before: Before) -> Result<Member, ArchiveFault> {
        let mut extensions = before.extensions.unwrap_or_else(|| self.global.clone());
        let path = (extensions.sparse.name.take())
            .or(extensions.path.take())
            .or(before.long_path)
            .unwrap_or_else(|| header.path());
        self.at.1.clone_from(&path);
        let link =
            (extensions.link.take()).or(before.long_link).unwrap_or_else(|| header.link().to_vec());
        let kind = kind(header, &path, link)?;
        let mut stored = extensions.size.map_or_else(|| header.size(), Ok)?;
        if !matches!(kind, Kind::File) && stored > 0 {
            let kind = kind.describe();
            return Err(ArchiveFault::Content { kind, size: stored });
        }
        let map = self.map(header, &mut stored, &extensions)?;
        let mtime = match extensions.mtime {
            Some(mtime) => mtime,
            None => Mtime { seconds: header.mtime()?, nanoseconds: 0 },
        };
        let has_access_lists = extensions.has_access_lists;
        let (xattrs, has_foreign_xattrs) = extensions.take_xattrs();
        let meta = Meta {
            mode: header.mode()?,
            uid: extensions.uid.map_or_else(|| header.uid(), Ok)?,
            gid: extensions.gid.map_or_else(|| header.gid(), Ok)?,
            mtime: Some(mtime),
            xattrs,
        };
        Ok(Member { path, kind, meta, stored, map, has_access_lists, has_foreign_xattrs })
    }

    /// The map of a sparse file in any of its four formats. Takes what it reads from `stored`.
    fn map(
        &mut self,
        header: &Header,
        stored: &mut u64,
        extensions: &Extensions,
    ) -> Result<Option<Map>, ArchiveFault> {
        let keys = &extensions.sparse;
        if header.tag() == b'S' {
            let (segments, size) = sparse::read_old(header, &mut self.stream)?;
            return Map::new(segments, size, *stored).map(Some);
        }
        let damaged = |why| ArchiveFault::Sparse { why };
        match (keys.major, keys.minor.unwrap_or(0)) {
            (None, _) | (Some(0), 0 | 1) => {
                let Some(size) = keys.real_size else {
                    return match keys.numbers {
                        Some(_) => Err(damaged("the length of the file is missing")),
                        None => Ok(None),
                    };
                };
                let segments = sparse::pairs(keys.numbers.as_deref().unwrap_or_default())?;
                Map::new(segments, size, *stored).map(Some)
            }
            (Some(1), 0) => {
                let size = keys.real_size;
                let size = size.ok_or_else(|| damaged("the length of the file is missing"))?;
                let (segments, read) = sparse::read_new(&mut self.stream, *stored)?;
                let rest = stored.checked_sub(read);
                *stored = rest.ok_or_else(|| damaged("it is longer than the entry"))?;
                Map::new(segments, size, *stored).map(Some)
            }
            _ => Err(damaged("its version is not known")),
        }
    }
}

impl Before {
    fn is_empty(&self) -> bool {
        self.extensions.is_none() && self.long_path.is_none() && self.long_link.is_none()
    }
}

impl Kind {
    /// What an entry is, with its article, for messages.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Kind::File => "a file",
            Kind::Hardlink(_) => "a hardlink",
            Kind::Symlink(_) => "a symlink",
            Kind::Directory => "a directory",
            Kind::CharDevice(_) => "a character device",
            Kind::BlockDevice(_) => "a block device",
            Kind::Fifo => "a named pipe",
        }
    }
}

fn kind(header: &Header, path: &[u8], link: Vec<u8>) -> Result<Kind, ArchiveFault> {
    let unknown = |meaning| {
        let tag = char::from(header.tag());
        Err(ArchiveFault::Type { tag, meaning })
    };
    let device = || header.device().map(|(major, minor)| Device { major, minor });
    Ok(match header.tag() {
        // Before POSIX, a directory was a file whose name ends so.
        b'0' | 0 if path.ends_with(b"/") => Kind::Directory,
        b'0' | 0 | b'7' | b'S' => Kind::File,
        b'1' => Kind::Hardlink(link),
        b'2' => Kind::Symlink(link),
        b'3' => Kind::CharDevice(device()?),
        b'4' => Kind::BlockDevice(device()?),
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        b'M' => return unknown("the rest of a file from another volume"),
        b'D' => return unknown("a directory of an incremental backup"),
        b'A' => return unknown("an access list of Solaris"),
        _ => return unknown("which upmass does not know"),
    })
}

fn set_once<T>(place: &mut Option<T>, value: T) -> Result<(), ArchiveFault> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(ArchiveFault::Extension { why: "an entry has two of them" }),
    }
}

/// Attributes of 64 KiB each, as many as an entry may have, take 16 MiB.
const MAX_EXTENSION: u64 = 32 << 20;
/// A path and what may fill it up; longer ones are not read.
const MAX_LONG_NAME: u64 = 2 * MAX_PATH as u64;
