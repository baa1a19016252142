//! What trees say of new objects: the two walks over all edits.
//!
//! The first walk numbers new objects and writes down how each is made. Between the walks they are
//! made. The second walk knows them, and writes the trees.

use std::collections::HashMap;

use upmass_format::ObjectId;
use upmass_format::payload::Later;

use crate::renaming::changes;
use crate::staging::{Plan, PlanList, Plans, Staging};
use crate::trees::{FileObject, NewObjects, OldRelease};
use crate::{ApplyError, Result};

/// So many old objects are remembered, so that one that several trees have is seldom read twice.
const MAX_REMEMBERED: usize = 1 << 13;

/// Whether old objects change when they are renamed.
#[derive(Default)]
pub(crate) struct Remembered(HashMap<ObjectId, bool>);

impl Remembered {
    pub(crate) fn changes(&mut self, old: &OldRelease<'_>, object: FileObject) -> Result<bool> {
        if let Some(known) = self.0.get(&object.id) {
            return Ok(*known);
        }
        let changes = changes(old.store, old.renamer, object.id)?;
        if self.0.len() >= MAX_REMEMBERED {
            self.0.clear();
        }
        self.0.insert(object.id, changes);
        Ok(changes)
    }
}

/// The first walk: nothing is there yet.
pub(crate) struct Planned<'a> {
    pub(crate) old: OldRelease<'a>,
    pub(crate) plans: PlanList,
    /// How many old objects were kept.
    kept: u64,
    remembered: Remembered,
}

impl<'a> Planned<'a> {
    pub(crate) fn new(old: OldRelease<'a>, plans: PlanList) -> Self {
        Self { old, plans, kept: 0, remembered: Remembered::default() }
    }
}

impl NewObjects for Planned<'_> {
    fn next(&mut self, here: Option<FileObject>) -> Result<FileObject> {
        self.plans.push(Plan::Step(here))?;
        Ok(FileObject::PLACEHOLDER)
    }

    fn kept(&mut self, old: FileObject) -> Result<FileObject> {
        let number = self.kept;
        self.kept += 1;
        if !self.remembered.changes(&self.old, old)? {
            return Ok(old);
        }
        self.plans.push(Plan::Rename(old, number))?;
        Ok(FileObject::PLACEHOLDER)
    }

    fn again(&mut self, distance: u64) -> Result<FileObject> {
        match distance < self.plans.count() {
            true => Ok(FileObject::PLACEHOLDER),
            false => Err(too_early()),
        }
    }
}

/// The second walk: all objects are there.
pub(crate) struct Finished<'a> {
    staging: &'a Staging,
    later: &'a Later,
    plans: Plans,
    next: u64,
    kept: u64,
    /// The number of the kept object that is the next new object, if it is one; and for which
    /// new object that was looked up.
    next_kept: Option<(u64, Option<u64>)>,
}

impl<'a> Finished<'a> {
    pub(crate) fn new(staging: &'a Staging, later: &'a Later) -> Result<Self> {
        Ok(Self { staging, later, plans: staging.plans()?, next: 0, kept: 0, next_kept: None })
    }

    fn object(&self, number: u64) -> Result<FileObject> {
        self.staging.object(self.later.position_of(number, self.plans.count()))
    }

    fn next_kept(&mut self) -> Result<Option<u64>> {
        if let Some((of, kept)) = self.next_kept
            && of == self.next
        {
            return Ok(kept);
        }
        let kept = match self.plans.get(self.next)? {
            Some(Plan::Rename(_, number)) => Some(number),
            _ => None,
        };
        self.next_kept = Some((self.next, kept));
        Ok(kept)
    }
}

impl NewObjects for Finished<'_> {
    fn next(&mut self, _: Option<FileObject>) -> Result<FileObject> {
        self.next += 1;
        self.object(self.next - 1)
    }

    fn kept(&mut self, old: FileObject) -> Result<FileObject> {
        let number = self.kept;
        self.kept += 1;
        match self.next_kept()? == Some(number) {
            true => self.next(None),
            false => Ok(old),
        }
    }

    fn again(&mut self, distance: u64) -> Result<FileObject> {
        let index = self.next.checked_sub(1).and_then(|last| last.checked_sub(distance));
        self.object(index.ok_or_else(too_early)?)
    }
}

fn too_early() -> ApplyError {
    ApplyError::Program("it uses a new object before the first".to_owned())
}
