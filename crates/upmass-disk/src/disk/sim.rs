//! A disk in memory that loses power.
//!
//! [`SimDisk`] remembers every write since each flush. From this it makes all that may be found
//! after a power cut at any moment of its life ([`SimDisk::crash_states`]), as the rules of
//! [`Disk`] allow it.

mod survive;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::{Disk, SECTOR_LEN};
use crate::{DiskError, Result};

/// A disk in memory. It is stricter than a real one: only whole sectors are written.
///
/// What changes something is a step (`write_at`, `flush`), numbered from 0.
pub struct SimDisk {
    len: u64,
    flushes: Flushes,
    state: Mutex<State>,
}

/// Whether flushing has an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushes {
    /// A flush that returned is kept.
    Kept,
    /// Nothing that was asked for happens: a disk that lies, or a program without flushes. With
    /// this a test shows that it would find a missing flush.
    Dropped,
}

#[derive(Clone)]
struct State {
    now: Sectors,
    epochs: Vec<Epoch>,
    steps: u64,
    cut_at: u64,
    off: bool,
}

/// What is between two flushes.
#[derive(Clone)]
struct Epoch {
    durable: Sectors,
    writes: Vec<Write>,
}

#[derive(Clone)]
struct Write {
    first: u64,
    sectors: Vec<Sector>,
}

/// By number; those that are missing are zeros.
type Sectors = BTreeMap<u64, Sector>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Sector {
    Content(Arc<[u8; SECTOR_LEN as usize]>),
    Unreadable,
}

impl SimDisk {
    /// A disk of zeros; `sectors` of 512 bytes.
    pub fn new(sectors: u64) -> Self {
        Self::with(sectors * SECTOR_LEN, Sectors::new())
    }

    /// The same disk, whose flushes from now on are as given.
    pub fn with_flushes(self, flushes: Flushes) -> Self {
        Self { flushes, ..self }
    }

    /// Whether flushing has an effect.
    pub fn flushes(&self) -> Flushes {
        self.flushes
    }

    /// Another disk with the same content, all of it durable, with the power on and no past.
    pub fn copy(&self) -> Self {
        Self::with(self.len, self.state().now.clone())
    }

    /// How many steps were taken.
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// Lets the power fail at a step: of a write the first half of the sectors is done, of a
    /// flush nothing. It and all operations after it fail.
    pub fn cut_power_at(&self, step: u64) {
        self.state().cut_at = step;
    }

    /// Calls `look` with each disk that may be found after a power cut at any moment since this
    /// one was made; the same one may come twice. Where few sectors were written between two
    /// flushes, these are all; otherwise all subsets of one write and all but one, all prefixes,
    /// halves, and `random` ones by chance, always the same.
    pub fn crash_states(&self, random: u64, look: &mut dyn FnMut(SimDisk)) {
        let epochs = self.state().epochs.clone();
        for epoch in &epochs {
            epoch.survivors(random, &mut |sectors| look(Self::with(self.len, sectors)));
        }
    }

    /// As [`Self::crash_states`], for a power cut now: what was written since the last flush may
    /// be there or not. Works without power.
    pub fn crash_states_now(&self, random: u64, look: &mut dyn FnMut(SimDisk)) {
        let epoch = self.state().epochs.last().cloned();
        if let Some(epoch) = epoch {
            epoch.survivors(random, &mut |sectors| look(Self::with(self.len, sectors)));
        }
    }

    /// Damages a sector behind everyone's back: no step, and durable.
    pub fn corrupt(&self, sector: u64, damage: impl FnOnce(&mut [u8])) {
        let old = self.state().now.get(&sector).cloned();
        let mut content = match old {
            Some(Sector::Content(content)) => *content,
            Some(Sector::Unreadable) | None => [0; SECTOR_LEN as usize],
        };
        damage(&mut content);
        self.become_durable(sector, &Sector::Content(Arc::new(content)));
    }

    /// Makes a sector unreadable until it is written again.
    pub fn make_unreadable(&self, sector: u64) {
        self.become_durable(sector, &Sector::Unreadable);
    }

    fn become_durable(&self, number: u64, sector: &Sector) {
        let mut state = self.state();
        state.now.insert(number, sector.clone());
        for epoch in &mut state.epochs {
            epoch.durable.insert(number, sector.clone());
        }
    }

    /// All content, as an image; sectors that cannot be read are zeros. Works without power.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut image = vec![0; self.len as usize];
        for (number, sector) in &self.state().now {
            if let Sector::Content(content) = sector {
                let start = (number * SECTOR_LEN) as usize;
                image[start..start + SECTOR_LEN as usize].copy_from_slice(&content[..]);
            }
        }
        image
    }

    fn with(len: u64, now: Sectors) -> Self {
        let epochs = vec![Epoch { durable: now.clone(), writes: Vec::new() }];
        let state = State { now, epochs, steps: 0, cut_at: u64::MAX, off: false };
        Self { len, flushes: Flushes::Kept, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked elsewhere leaves a state that is still good to look at.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts a step; whether the power is on for it, or fails in it.
    fn step(&mut self) -> Power {
        if self.off {
            return Power::Off;
        }
        if self.steps >= self.cut_at {
            self.off = true;
            return Power::FailsNow;
        }
        self.steps += 1;
        Power::On
    }

    fn write(&mut self, write: Write) {
        for (number, sector) in (write.first..).zip(&write.sectors) {
            self.now.insert(number, sector.clone());
        }
        if let Some(epoch) = self.epochs.last_mut() {
            epoch.writes.push(write);
        }
    }
}

enum Power {
    On,
    FailsNow,
    Off,
}

impl Disk for SimDisk {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let fail = |source| Err(error("read", buffer.len(), offset, source));
        let state = self.state();
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.len) {
            return fail(io::ErrorKind::UnexpectedEof.into());
        }
        if state.off {
            return fail(Errno::IO.into());
        }
        let mut done = 0;
        while done < buffer.len() {
            let position = offset + done as u64;
            let within = (position % SECTOR_LEN) as usize;
            let take = (SECTOR_LEN as usize - within).min(buffer.len() - done);
            match state.now.get(&(position / SECTOR_LEN)) {
                None => buffer[done..done + take].fill(0),
                Some(Sector::Content(content)) => {
                    buffer[done..done + take].copy_from_slice(&content[within..within + take]);
                }
                Some(Sector::Unreadable) => {
                    return Err(error("read", buffer.len(), offset, Errno::IO.into()));
                }
            }
            done += take;
        }
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let fail = |source| Err(error("write", bytes.len(), offset, source));
        let end = offset.checked_add(bytes.len() as u64);
        if end.is_none_or(|end| end > self.len) {
            return fail(io::ErrorKind::UnexpectedEof.into());
        }
        let (sectors, rest) = bytes.as_chunks();
        if !offset.is_multiple_of(SECTOR_LEN) || !rest.is_empty() {
            return fail(Errno::INVAL.into());
        }
        let sectors: Vec<Sector> =
            sectors.iter().map(|sector| Sector::Content(Arc::new(*sector))).collect();
        let first = offset / SECTOR_LEN;
        let mut state = self.state();
        match state.step() {
            Power::On => {
                state.write(Write { first, sectors });
                Ok(())
            }
            Power::FailsNow => {
                let half = sectors[..sectors.len() / 2].to_vec();
                state.write(Write { first, sectors: half });
                fail(Errno::IO.into())
            }
            Power::Off => fail(Errno::IO.into()),
        }
    }

    fn flush(&self) -> Result<()> {
        let mut state = self.state();
        match state.step() {
            Power::On => {
                if self.flushes == Flushes::Kept {
                    let durable = state.now.clone();
                    state.epochs.push(Epoch { durable, writes: Vec::new() });
                }
                Ok(())
            }
            Power::FailsNow | Power::Off => Err(error("flush", 0, 0, Errno::IO.into())),
        }
    }
}

fn error(action: &'static str, len: usize, offset: u64, source: io::Error) -> DiskError {
    DiskError { action, path: format!("{len} bytes at {offset} of the disk"), source }
}
