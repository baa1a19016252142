//! Applying: new objects, then new trees, then the one step that records the release.

use std::io::Write;

use upmass_delta::rename::Renamer;
use upmass_format::payload::{Later, OldPlace, Step};
use upmass_format::release::Release;
use upmass_format::{ObjectHasher, ObjectId, ReleaseId};
use upmass_store::{Batch, Incoming, Store, StoreError};

use crate::derived::{Before, Derived};
use crate::frames::{Failure, Frames};
use crate::members::{Instruction, Repacking, expanded, read_step};
use crate::objects::{Discard, ObjectSink};
use crate::parts::{PartContent, PartFinder, check_later, joined};
use crate::plan::{Finished, Planned};
use crate::prelude::{Prelude, Segment, TreeBase, decoded, expect_end};
use crate::received::{Fitting, Target};
use crate::renaming::{Limited, Room, content, renamed};
use crate::staging::{Checkpoint, MAX_NOTE, Plan, Plans, Staging};
use crate::trees::{FileObject, OldRelease, edit_tree, rename_tree};
use crate::{ApplyError, Result};

/// New content that may wait to become durable, in bytes; bounds what a cut costs.
const MAX_WAITING: u64 = 32 << 20;

/// What applying did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// The release that is in the store now.
    pub release: ReleaseId,
    /// Whether there was anything to do.
    pub outcome: Outcome,
}

/// Whether there was anything to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The release was made and recorded.
    Recorded,
    /// It was there before; nothing was written.
    AlreadyThere,
}

/// How far applying is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// New objects that were made.
    pub objects: u64,
    /// New objects that the update has.
    pub objects_total: u64,
    /// Bytes of new content.
    pub bytes: u64,
}

impl Fitting<'_> {
    /// Makes the new release and records it. On return it is durable.
    ///
    /// May be interrupted at any point and called again: what is durable is not made again.
    /// Until the release is recorded the store's releases are as before.
    ///
    /// Memory: what the header says, whatever the sizes of objects and trees.
    pub fn apply(self, progress: &mut dyn FnMut(Progress)) -> Result<Applied> {
        if let Target::Release(release) = self.target
            && self.store.settle_release(release)?
        {
            return Ok(Applied { release, outcome: Outcome::AlreadyThere });
        }
        self.store.lock_for_writing()?;
        let (staging, checkpoint) = Staging::open(&self.store, &self.front)?;
        let mut work = Work { fitting: &self, failure: Failure::default(), staging };
        let made = work.run(checkpoint, progress).and_then(|made| {
            // The commit point: before it the new release is garbage, after it a root.
            Ok(self.store.record(&made)?)
        });
        match made {
            Ok(release) => {
                work.staging.clear()?;
                Ok(Applied { release, outcome: Outcome::Recorded })
            }
            Err(error) => Err(work.explain(error)?),
        }
    }

    fn base_release(&self) -> Option<&Release> {
        self.base.as_ref().map(|(_, release)| release)
    }

    fn before(&self) -> Before<'_> {
        let header = &self.front.header;
        let space = header.space_kib.saturating_mul(1024);
        let (store, base) = (&self.store, self.base_release());
        Before { store, base, derives_names: header.derives_names, space }
    }

    fn old<'a>(&'a self, renamer: &'a Renamer) -> OldRelease<'a> {
        OldRelease { store: &self.store, release: self.base_release(), renamer }
    }
}

struct Work<'a> {
    fitting: &'a Fitting<'a>,
    failure: Failure,
    staging: Staging,
}

impl<'a> Work<'a> {
    fn run(
        &mut self,
        checkpoint: Checkpoint,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Release> {
        let mut first = self.open(0)?.ok_or_else(|| ended("its first segment"))?;
        let prelude = first.prelude(self.fitting.before()).map_err(|e| self.kept(e))?;
        let total = self.plan(&prelude, &mut first).map_err(|error| self.kept(error))?;
        self.check_space()?;
        let segment = match checkpoint.position {
            0 => Some(first),
            position => {
                drop(first);
                self.open(position)?
            }
        };
        match segment {
            Some(segment) => self
                .make_objects(segment, &prelude, checkpoint, progress)
                .map_err(|error| self.kept(error))?,
            None if self.staging.done() == total => {}
            None => return Err(ended("the last of its objects")),
        }
        self.make_trees().map_err(|error| self.kept(error))
    }

    fn open(&self, position: u64) -> Result<Option<Segment<'a>>> {
        let fitting = self.fitting;
        let frames = Frames::new(fitting.file, &fitting.front, &self.failure, position);
        Segment::open(frames, position).map_err(|error| self.kept(error))
    }

    fn kept(&self, error: ApplyError) -> ApplyError {
        self.failure.or(error)
    }

    /// Walks all edits once, writing nothing but the list of plans. Gives the number of new
    /// objects.
    fn plan(&self, prelude: &Prelude, segment: &mut Segment<'_>) -> Result<u64> {
        let old = self.fitting.old(&prelude.renamer);
        let mut planned = Planned::new(old, self.staging.new_plans()?);
        let base = self.fitting.base_release();
        for index in 0..prelude.release.components.len() {
            let old = self.fitting.old(&prelude.renamer);
            match prelude.base_tree(index, base)? {
                TreeBase::Same(_) => {}
                TreeBase::Renamed(tree) => {
                    rename_tree(&old, tree, &mut planned, std::io::sink())?;
                }
                TreeBase::Edited(tree) => {
                    edit_tree(&old, tree, &mut segment.edits, &mut planned, std::io::sink())?;
                }
            }
        }
        expect_end(&mut segment.edits, "tree stream")?;
        planned.plans.flush()?;
        check_later(&prelude.later, &self.staging.plans()?)?;
        Ok(planned.plans.count())
    }

    fn check_space(&self) -> Result<()> {
        let needed = self.fitting.front.header.space_kib;
        let needed_kib = needed.saturating_sub(self.staging.done_bytes()? >> 10);
        let free_kib = self.fitting.store.volume().free_space()? >> 10;
        match needed_kib > free_kib {
            true => Err(ApplyError::NotEnoughSpace { needed_kib, free_kib }),
            false => Ok(()),
        }
    }

    fn make_objects(
        &mut self,
        mut segment: Segment<'a>,
        prelude: &Prelude,
        checkpoint: Checkpoint,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        let plans = self.staging.plans()?;
        let room = Room::new(self.fitting.front.header.space_kib);
        let Prelude { renamer, later, derived, .. } = prelude;
        let total = plans.count();
        let derived = derived.as_ref();
        let making = Making { renamer, plans: &plans, room: &room, later, derived };
        let mut waiting = Waiting { batch: self.fitting.store.batch()?, objects: Vec::new() };
        let mut here = checkpoint;
        let mut next = checkpoint.first;
        let mut bytes = 0;
        loop {
            if next < total
                && let Some(Plan::Rename(old, _)) = plans.get(later.number_at(next, total))?
            {
                let made = self.rename_object(&making, old, next)?;
                bytes += self.made(&mut waiting, made, here)?;
                next += 1;
                progress(Progress { objects: next, objects_total: total, bytes });
                continue;
            }
            let instruction = read_step(&mut segment)?;
            if instruction.step == Step::End {
                expect_end(&mut segment.program, "program stream")?;
                let position = segment.close()?;
                here = Checkpoint { position, first: next };
                waiting.commit(&mut self.staging, here)?;
                match (self.open(position)?, next == total) {
                    (None, true) => return Ok(()),
                    (Some(opened), false) => segment = opened,
                    (None, false) => return Err(ended("the last of its objects")),
                    (Some(_), true) => {
                        return Err(ApplyError::Program("segments follow its last object".into()));
                    }
                }
                continue;
            }
            if next == total {
                return Err(ApplyError::Program("it makes objects that no tree uses".into()));
            }
            if !instruction.parts.is_empty()
                && self.staging.done() < total - later.numbers().len() as u64
            {
                // The parts are read under their names.
                waiting.commit(&mut self.staging, here)?;
            }
            let made = self.make_object(&mut segment, &instruction, &making, next)?;
            bytes += self.made(&mut waiting, made, here)?;
            next += 1;
            progress(Progress { objects: next, objects_total: total, bytes });
        }
    }

    /// Takes an object that was made, if it was. Gives its length.
    fn made(
        &mut self,
        waiting: &mut Waiting,
        made: Option<Incoming>,
        here: Checkpoint,
    ) -> Result<u64> {
        let Some(incoming) = made else {
            return Ok(0);
        };
        let len = incoming.len();
        waiting.push(incoming)?;
        if waiting.is_full() {
            waiting.commit(&mut self.staging, here)?;
        }
        Ok(len)
    }

    /// Makes an object that is an old one renamed; `None` when an earlier run has made it.
    fn rename_object(
        &self,
        making: &Making<'_>,
        old: FileObject,
        index: u64,
    ) -> Result<Option<Incoming>> {
        if index < self.staging.done() {
            return Ok(None);
        }
        let store = &self.fitting.store;
        let base = content(store.open_object(old.id)?);
        let mut incoming = store.incoming()?;
        let mut sink = ObjectSink { incoming: &mut incoming, failure: &self.failure };
        let mut sink = Limited { inner: &mut sink, room: making.room, failure: &self.failure };
        decoded(&self.failure, making.renamer.write(&base, &mut sink))?;
        Ok(Some(incoming))
    }

    /// Makes one object; `None` when an earlier run has made it, and only the streams had to
    /// be read on.
    fn make_object(
        &self,
        segment: &mut Segment<'a>,
        instruction: &Instruction,
        making: &Making<'_>,
        index: u64,
    ) -> Result<Option<Incoming>> {
        let store = &self.fitting.store;
        let Instruction { step, parts, members } = instruction;
        let number = making.later.number_at(index, making.plans.count());
        let parts_of = Parts { work: self, making, number };
        let (base, change) = match *step {
            Step::End | Step::Members | Step::Parts => unreachable!("handled by the caller"),
            Step::Derivations => return self.derivations(making, index),
            Step::Whole(len) => (None, Change::Whole(len)),
            Step::PatchHere(growth) if !parts.is_empty() => (None, Change::Growth(growth)),
            Step::PatchHere(growth) => {
                let base = parts_of.here()?.ok_or_else(|| {
                    let why = format!("it patches new object {number}, which has no base");
                    ApplyError::Program(why)
                })?;
                (Some(base), Change::Growth(growth))
            }
            Step::Patch(place, growth) => {
                let base = self.fitting.old(making.renamer).file(place)?;
                (Some(base), Change::Growth(growth))
            }
        };
        let file = match base {
            Some(base) => store.open_object(base.id)?,
            None if parts.is_empty() => Box::new(Nothing),
            None => Box::new(joined(store, number, making.later, parts, &parts_of)?),
        };
        let (base, parses) = expanded(store, file, &members.old)?;
        let base = renamed(store, making.renamer, base, making.room)?;
        let len = match change {
            Change::Whole(len) => len,
            Change::Growth(growth) => grown(base.len(), growth)?,
        };
        if index < self.staging.done() {
            decoded(&self.failure, segment.patches.patch(&*base, len, &mut Discard))?;
            return Ok(None);
        }
        let mut incoming = store.incoming()?;
        let mut sink = ObjectSink { incoming: &mut incoming, failure: &self.failure };
        if members.new.is_empty() {
            decoded(&self.failure, segment.patches.patch(&*base, len, &mut sink))?;
        } else {
            let (new, failure) = (&members.new, &self.failure);
            let mut sink = Repacking::new(store, new, &parses, len, &mut sink, failure)?;
            decoded(&self.failure, segment.patches.patch(&*base, len, &mut sink))?;
        }
        Ok(Some(incoming))
    }

    /// The derivations, which are there, as an object.
    fn derivations(&self, making: &Making<'_>, index: u64) -> Result<Option<Incoming>> {
        let derived = making.derived.ok_or_else(|| {
            ApplyError::Program("it makes an object of derivations that it has not".to_owned())
        })?;
        if index < self.staging.done() {
            return Ok(None);
        }
        let mut incoming = self.fitting.store.incoming()?;
        let mut sink = ObjectSink { incoming: &mut incoming, failure: &self.failure };
        let written = derived.write(&mut sink);
        written.map_err(|error| self.kept(ApplyError::Read(error)))?;
        Ok(Some(incoming))
    }

    /// Walks the edits again, now with all objects there, and writes the trees. Gives the
    /// release, which is checked against the header.
    fn make_trees(&self) -> Result<Release> {
        let mut segment = self.open(0)?.ok_or_else(|| ended("its first segment"))?;
        let base = self.fitting.base_release();
        let prelude = segment.prelude(self.fitting.before())?;
        let mut release = prelude.release.clone();
        let store = &self.fitting.store;
        let old = self.fitting.old(&prelude.renamer);
        let mut batch = store.batch()?;
        let mut finished = Finished::new(&self.staging, &prelude.later)?;
        for index in 0..release.components.len() {
            let from = prelude.base_tree(index, base)?;
            let output = || Ok::<_, ApplyError>(TreeOutput::new(store.incoming()?, &self.failure));
            let tree = match from {
                TreeBase::Same(tree) => tree,
                TreeBase::Renamed(tree) => {
                    let renamed = rename_tree(&old, tree, &mut finished, output()?)?;
                    batch.add(renamed.finish()?)?.into()
                }
                TreeBase::Edited(from) => {
                    let edits = &mut segment.edits;
                    let edited = edit_tree(&old, from, edits, &mut finished, output()?)?;
                    batch.add(edited.finish()?)?.into()
                }
            };
            release.components[index].tree = tree;
        }
        batch.commit()?;
        let bytes = release.to_bytes().map_err(|e| ApplyError::Program(e.to_string()))?;
        let found = ReleaseId::from(ObjectHasher::hash(&bytes));
        if self.fitting.target.matches(found) {
            return Ok(release);
        }
        let expected = self.fitting.front.header.target;
        Err(ApplyError::OtherResult { expected, found })
    }

    /// Finds out whether the base is to blame, and forgets what was made from it.
    fn explain(self, error: ApplyError) -> Result<ApplyError> {
        let is_wrong = matches!(
            error,
            ApplyError::OtherResult { .. }
                | ApplyError::Program(_)
                | ApplyError::Member(_)
                | ApplyError::Store(StoreError::Damaged { .. })
        );
        if !is_wrong {
            return Ok(error);
        }
        self.staging.clear()?;
        let damaged = match &self.fitting.base {
            Some((id, _)) => damaged_object(&self.fitting.store, *id)?,
            None => None,
        };
        Ok(match damaged {
            Some(object) => ApplyError::BaseDamaged { object },
            None => error,
        })
    }
}

/// What making any object takes.
struct Making<'a> {
    renamer: &'a Renamer,
    plans: &'a Plans,
    room: &'a Room,
    later: &'a Later,
    derived: Option<&'a Derived>,
}

/// Finds the parts of a new object.
struct Parts<'a> {
    work: &'a Work<'a>,
    making: &'a Making<'a>,
    number: u64,
}

impl PartFinder for Parts<'_> {
    fn here(&self) -> Result<Option<FileObject>> {
        Ok(match self.making.plans.get(self.number)? {
            Some(Plan::Step(here)) => here,
            _ => None,
        })
    }

    fn old_object(&self, place: OldPlace) -> Result<FileObject> {
        self.work.fitting.old(self.making.renamer).file(place)
    }

    fn new_object(&self, number: u64) -> Result<Option<PartContent>> {
        let Making { plans, later, .. } = self.making;
        if later.has(number) || !matches!(plans.get(number)?, Some(Plan::Step(_))) {
            return Ok(None);
        }
        let position = later.position_of(number, plans.count());
        self.work.staging.object(position).map(PartContent::Object).map(Some)
    }
}

/// How long a new object is, members unpacked.
enum Change {
    Whole(u64),
    /// So much longer than its base.
    Growth(i64),
}

fn damaged_object(store: &Store, release: ReleaseId) -> Result<Option<ObjectId>> {
    let mut damaged = None;
    let visited = store.visit_objects(release, &mut |id| {
        if damaged.is_none() && !matches!(store.hash_stored(id), Ok(found) if found == id) {
            damaged = Some(id);
        }
    });
    match (visited, damaged) {
        (_, Some(id)) | (Err(StoreError::Damaged { id, .. }), None) => Ok(Some(id)),
        (visited, None) => visited.map(|()| None).map_err(ApplyError::from),
    }
}

fn grown(size: u64, growth: i64) -> Result<u64> {
    size.checked_add_signed(growth)
        .ok_or_else(|| ApplyError::Program(format!("a patch makes {size} bytes grow by {growth}")))
}

fn ended(before: &str) -> ApplyError {
    ApplyError::Program(format!("the payload ends before {before}"))
}

/// Objects that are complete but not yet durable.
struct Waiting {
    batch: Batch,
    objects: Vec<FileObject>,
}

impl Waiting {
    fn push(&mut self, incoming: Incoming) -> Result<()> {
        let size = incoming.len();
        let id = self.batch.add(incoming)?;
        self.objects.push(FileObject { id, size });
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.objects.len() as u64 >= MAX_NOTE || self.batch.bytes() >= MAX_WAITING
    }

    fn commit(&mut self, staging: &mut Staging, next: Checkpoint) -> Result<()> {
        self.batch.commit()?;
        if !self.objects.is_empty() {
            staging.note(&self.objects, next)?;
            self.objects.clear();
        }
        Ok(())
    }
}

/// A new tree on its way into the store.
struct TreeOutput<'a> {
    incoming: Incoming,
    buffer: Vec<u8>,
    failure: &'a Failure,
}

impl<'a> TreeOutput<'a> {
    fn new(incoming: Incoming, failure: &'a Failure) -> Self {
        Self { incoming, buffer: Vec::with_capacity(1 << 15), failure }
    }

    fn finish(mut self) -> Result<Incoming> {
        self.incoming.write(&self.buffer)?;
        Ok(self.incoming)
    }
}

impl Write for TreeOutput<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= 1 << 15 {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.incoming.write(&self.buffer).map_err(|error| self.failure.keep(error))?;
        self.buffer.clear();
        Ok(())
    }
}

/// The base of an object that has none.
pub(crate) struct Nothing;

impl upmass_disk::ReadAt for Nothing {
    fn read_at(&self, _: &mut [u8], _: u64) -> std::io::Result<usize> {
        Ok(0)
    }

    fn len(&self) -> u64 {
        0
    }
}
