//! The record of the last release that was to be tried (`spec/attempt.md`). It explains, and
//! decides nothing.

use std::fmt::Write;

use upmass_disk::gpt::{Guid, Slot};
use upmass_disk::{Result, Volume};
use upmass_format::ReleaseId;

/// What names one run of the kernel: `/proc/sys/kernel/random/boot_id`.
pub type BootId = Guid;

/// What became of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Which one.
    pub release: ReleaseId,
    /// The slot that it is in.
    pub slot: Slot,
    /// How far it came.
    pub state: AttemptState,
    /// The start in which that was written.
    pub boot: BootId,
}

/// How far it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptState {
    /// The next start tries it.
    Armed,
    /// It runs, and is not confirmed.
    Begun,
    /// It was given up.
    Failed(Reason),
    /// The other slot was made active by hand.
    Left,
}

/// Why a release was given up: one line of 1 to 1024 bytes for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// Longest reason in bytes.
    pub const MAX: usize = 1024;

    /// Makes one line of any text: control characters become spaces, and what is too long ends
    /// early.
    pub fn new(text: &str) -> Self {
        let mut line = text.trim().replace(char::is_control, " ");
        line.truncate(line.floor_char_boundary(Self::MAX));
        match line.is_empty() {
            true => Self("no reason was given".to_owned()),
            false => Self(line),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where it is on the system partition.
const DIRECTORY: &str = "boot";
const FILE: &str = "boot/attempt";
const NEW: &str = "boot/attempt.new";
const HEAD: &str = "upmass-attempt 1";
/// Longest record that is read, in bytes.
const MAX_LEN: u64 = 4096;

impl Attempt {
    /// The text of the file.
    pub fn to_text(&self) -> String {
        let Self { release, slot, state, boot } = self;
        let (word, reason) = match state {
            AttemptState::Armed => ("armed", None),
            AttemptState::Begun => ("begun", None),
            AttemptState::Failed(reason) => ("failed", Some(reason)),
            AttemptState::Left => ("left", None),
        };
        let mut text =
            format!("{HEAD}\nrelease {release}\nslot {slot}\nstate {word}\nboot {boot}\n");
        if let Some(Reason(reason)) = reason {
            let _ = writeln!(text, "reason {reason}");
        }
        text
    }

    /// Reads the text of a file. `None` when it is damaged, or of another version.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        if lines.next()? != HEAD {
            return None;
        }
        let mut value = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(' ');
        let release = value("release")?.parse().ok()?;
        let name = value("slot")?;
        let slot = Slot::ALL.into_iter().find(|slot| slot.name() == name)?;
        let word = value("state")?;
        let boot = value("boot")?.parse().ok()?;
        let state = match word {
            "armed" => AttemptState::Armed,
            "begun" => AttemptState::Begun,
            "left" => AttemptState::Left,
            "failed" => {
                let reason = value("reason")?;
                let is_valid = (1..=Reason::MAX).contains(&reason.len())
                    && !reason.chars().any(char::is_control);
                AttemptState::Failed(Reason(is_valid.then(|| reason.to_owned())?))
            }
            _ => return None,
        };
        lines.next().is_none().then_some(Self { release, slot, state, boot })
    }

    /// Reads the record of a system partition. `None` when there is none that means something.
    pub fn read(volume: &dyn Volume) -> Result<Option<Self>> {
        let Some(file) = volume.open_if_exists(FILE)? else { return Ok(None) };
        if file.len() > MAX_LEN {
            return Ok(None);
        }
        let mut bytes = vec![0; file.len() as usize];
        // It explains only: what cannot be read explains nothing.
        Ok(match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => std::str::from_utf8(&bytes).ok().and_then(Self::from_text),
            Err(_) => None,
        })
    }

    /// Writes the record (POWER-LOSS.md, row "attempt"). On return it is durable.
    pub fn write(&self, volume: &dyn Volume) -> Result<()> {
        if volume.create_dir(DIRECTORY)? {
            volume.sync_dir("")?;
        }
        volume.remove(NEW)?;
        let mut file = volume.create(NEW)?;
        file.write(self.to_text().as_bytes())?;
        file.sync()?;
        volume.replace(NEW, FILE)?;
        volume.sync_dir(DIRECTORY)
    }

    /// Removes the record (POWER-LOSS.md, row "forget"). On return it is durable.
    pub fn remove(volume: &dyn Volume) -> Result<()> {
        if volume.file_len(FILE)?.is_none() {
            return Ok(());
        }
        volume.remove(FILE)?;
        volume.sync_dir(DIRECTORY)
    }
}
