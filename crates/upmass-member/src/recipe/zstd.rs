//! Recipes of zstd frames.

use super::*;

/// How a zstd frame was made by libzstd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Zstd {
    /// How hard it tries.
    pub level: ZstdLevel,
    /// Cut into jobs, as the command does unless told `--single-thread`.
    pub has_workers: bool,
    /// The length of the content was known before: a file, not a pipe.
    pub is_sized: bool,
    /// The frame ends in a checksum.
    pub has_checksum: bool,
    /// `--long`: the window as a power of two.
    pub long: Option<ZstdWindow>,
}

/// A level of zstd, -7 to 22 without 0. Negative levels are `--fast`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZstdLevel(i8);

impl ZstdLevel {
    /// Refuses other levels.
    pub const fn new(level: i8) -> Option<Self> {
        if level >= -7 && level <= 22 && level != 0 { Some(Self(level)) } else { None }
    }

    /// The level.
    pub const fn get(self) -> i8 {
        self.0
    }
}

/// A window of zstd as a power of two, 10 to 27.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZstdWindow(u8);

impl ZstdWindow {
    /// Refuses others.
    pub const fn new(log: u8) -> Option<Self> {
        if log >= 10 && log <= MAX_ZSTD_WINDOW { Some(Self(log)) } else { None }
    }

    /// The power.
    pub const fn log(self) -> u8 {
        self.0
    }
}

impl Zstd {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let flags = u8::from(self.has_workers)
            | u8::from(self.is_sized) << 1
            | u8::from(self.has_checksum) << 2;
        let long = self.long.map_or(0, ZstdWindow::log);
        let level = zigzag(i64::from(self.level.0)) as u8;
        out.extend([codes::ZSTD, versions::LIBZSTD, flags, level, long]);
    }

    pub(super) fn read<R: Read>(input: &mut Reader<R>) -> upmass_format::Result<Self> {
        Byte::read(input, "version of libzstd")?.expect(versions::LIBZSTD)?;
        let flags = Byte::read(input, "flags")?;
        if flags.value > 7 {
            return Err(flags.refuse("0 to 7"));
        }
        let level = Byte::read(input, "level")?.parse("a level from -7 to 22, not 0", |byte| {
            let level = upmass_format::wire::unzigzag(u64::from(byte));
            i8::try_from(level).ok().and_then(ZstdLevel::new)
        })?;
        let long = Byte::read(input, "long window")?;
        let long = match long.value {
            0 => None,
            _ => Some(long.parse("10 to 27, or 0", ZstdWindow::new)?),
        };
        let is_set = |bit: u8| flags.value & (1 << bit) != 0;
        Ok(Self {
            level,
            has_workers: is_set(0),
            is_sized: is_set(1),
            has_checksum: is_set(2),
            long,
        })
    }
}

/// The largest window of zstd as a power of two.
pub const MAX_ZSTD_WINDOW: u8 = 27;
