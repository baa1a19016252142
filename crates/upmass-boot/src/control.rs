//! What boots next on one device: the steps of [`policy`], done on its disk,
//! its boot loader and its system partition.

use std::sync::Arc;

use upmass_disk::gpt::Slot;
use upmass_disk::{
    DiskError, Found, LockMode, SharedDisk, SlotDisk, SlotError, SlotImage, Volume, WrittenSlot,
};
use upmass_format::ReleaseId;

use crate::attempt::{Attempt, BootId, Reason};
use crate::bootloader::{BootError, Bootloader, Target};
use crate::content::{ContentError, check_slot, slot_release};
use crate::policy::{self, Answer, Refusal, Step, View};

/// What is known of this start, and does not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Here {
    /// The slot that was really booted.
    pub booted: Slot,
    /// The release that runs.
    pub running: ReleaseId,
    /// The id of this start.
    pub boot: BootId,
}

/// Whether something was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done, and is durable.
    Done,
    /// It was so already.
    Nothing,
}

/// Why it was not done. Where nothing else is said, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It may not be.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk or its slots; how far it came shows at the next start.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// The system partition.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The boot loader or its firmware.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// A slot is not whole, so it is not made active.
    #[error("slot {slot} is not made active, since it is not whole: {source}")]
    NotWhole {
        /// Which slot.
        slot: Slot,
        /// What is wrong.
        source: ContentError,
    },
    /// A slot has another release than it shall have.
    #[error("slot {slot} is not made active, since it has release {} now", found.short())]
    OtherRelease {
        /// Which slot.
        slot: Slot,
        /// What it has.
        found: ReleaseId,
    },
    /// Another command has it.
    #[error("another command is changing what boots next: try again when it is done")]
    Busy,
}

/// Stands for the right to change what boots next.
pub struct Control {
    disk: SharedDisk,
    loader: Box<dyn Bootloader>,
    state: Arc<dyn Volume>,
    here: Here,
    _lock: upmass_disk::Lock,
}

/// Held while what boots next is changed.
const LOCK: &str = "boot/lock";

/// Looks at a device without changing anything.
pub fn view(
    disk: &SharedDisk,
    loader: &dyn Bootloader,
    state: &dyn Volume,
    here: Here,
) -> Result<View, ControlError> {
    let found = Found::on(&**disk)?;
    let holds = Slot::ALL.map(|slot| {
        let content = found.content(disk.clone(), slot)?;
        slot_release(&content)
    });
    Ok(View {
        active: found.active,
        booted: here.booted,
        running: here.running,
        holds,
        armed: loader.armed(&found.layout)?,
        attempt: Attempt::read(state)?,
        boot: here.boot,
    })
}

impl Control {
    /// Takes the right, puts right what a power cut left (POWER-LOSS.md, row "reconcile"), and
    /// writes down what became of the last attempt. `state` is the system partition.
    ///
    /// # Errors
    /// [`ControlError::Busy`] while another has it.
    pub fn open(
        disk: SharedDisk,
        loader: Box<dyn Bootloader>,
        state: Arc<dyn Volume>,
        here: Here,
    ) -> Result<Self, ControlError> {
        if state.create_dir("boot")? {
            state.sync_dir("")?;
        }
        let lock = state.lock(LOCK, LockMode::Exclusive, false)?.ok_or(ControlError::Busy)?;
        SlotDisk::open(disk.clone())?;
        let this = Self { disk, loader, state, here, _lock: lock };
        this.run(policy::reconcile(&this.view()?), None, None)?;
        Ok(this)
    }

    /// What is known now.
    pub fn view(&self) -> Result<View, ControlError> {
        view(&self.disk, &*self.loader, &*self.state, self.here)
    }

    /// The boot loader.
    pub fn loader(&self) -> &dyn Bootloader {
        &*self.loader
    }

    /// Whether [`Self::arm`] would do it, as far as can be told without the release.
    pub fn check_arm(&self) -> Result<(), ControlError> {
        self.loader.check()?;
        match policy::busy(&self.view()?) {
            Some(refusal) => Err(refusal.into()),
            None => Ok(()),
        }
    }

    /// Writes a release into the inactive slot, unless it is there, and lets the next start try it.
    /// All else that the release needs must be durable. On return so is this. `progress` is told
    /// the bytes so far, up to twice the length.
    pub fn arm(
        &self,
        release: ReleaseId,
        image: &dyn SlotImage,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Outcome, ControlError> {
        self.check_arm()?;
        let found = Found::on(&*self.disk)?;
        let slot = found.active.other();
        let (needed, available) = (image.len(), found.layout.slot(slot).range.len());
        if needed > available {
            return Err(SlotError::TooLong { slot, needed, available }.into());
        }
        let answer = policy::arm(&self.view()?, release);
        self.answer(answer, None, Some((image, progress)))
    }

    /// Takes back what is armed, and clears the inactive slot: what its release needs may go then. It
    /// is no file system any more, so that nothing starts it.
    pub fn clear_inactive(&self) -> Result<(), ControlError> {
        if let Some(refusal) = policy::busy(&self.view()?) {
            return Err(refusal.into());
        }
        self.run(vec![Step::Disarm, Step::Forget], None, None)?;
        Ok(SlotDisk::open(self.disk.clone())?.into_inactive().clear()?)
    }

    /// Keeps the release that runs. All of its slot is read before.
    pub fn confirm(&self, progress: &mut dyn FnMut(u64)) -> Result<Outcome, ControlError> {
        let view = self.view()?;
        let answer = policy::confirm(&view);
        let proof = self.proof(&answer, view.running, progress)?;
        self.answer(answer, proof, None)
    }

    /// Gives up the release on trial. What remains is to restart.
    pub fn give_up(&self, reason: Reason) -> Result<Outcome, ControlError> {
        self.answer(policy::give_up(&self.view()?, reason), None, None)
    }

    /// Goes back to the other release. All of its slot is read before. What remains is to restart,
    /// unless a release was only armed.
    pub fn roll_back(&self, progress: &mut dyn FnMut(u64)) -> Result<Outcome, ControlError> {
        let view = self.view()?;
        let answer = policy::roll_back(&view);
        let release = view.holds(view.active.other()).unwrap_or(view.running);
        let proof = self.proof(&answer, release, progress)?;
        self.answer(answer, proof, None)
    }

    /// The proof that a switch needs: that the slot is whole.
    fn proof(
        &self,
        answer: &Answer,
        expected: ReleaseId,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Option<WrittenSlot>, ControlError> {
        let Answer::Do(steps) = answer else { return Ok(None) };
        if !steps.iter().any(|step| matches!(step, Step::Switch(_))) {
            return Ok(None);
        }
        let inactive = SlotDisk::open(self.disk.clone())?.into_inactive();
        let slot = inactive.slot();
        let proof = inactive.check(|content| match check_slot(content, progress) {
            Ok(found) if found == expected => Ok(()),
            Ok(found) => Err(ControlError::OtherRelease { slot, found }),
            Err(source) => Err(ControlError::NotWhole { slot, source }),
        })?;
        Ok(Some(proof))
    }

    fn answer(
        &self,
        answer: Answer,
        proof: Option<WrittenSlot>,
        image: Option<Image<'_>>,
    ) -> Result<Outcome, ControlError> {
        match answer {
            Answer::Do(steps) => self.run(steps, proof, image).map(|()| Outcome::Done),
            Answer::Nothing => Ok(Outcome::Nothing),
            Answer::Refused(refusal) => Err(refusal.into()),
        }
    }

    fn run(
        &self,
        steps: Vec<Step>,
        mut proof: Option<WrittenSlot>,
        mut image: Option<Image<'_>>,
    ) -> Result<(), ControlError> {
        for step in steps {
            match step {
                Step::Disarm => self.loader.disarm(&Found::on(&*self.disk)?.layout)?,
                Step::Forget => Attempt::remove(&*self.state)?,
                Step::Note(attempt) => attempt.write(&*self.state)?,
                Step::WriteSlot => {
                    if let Some((image, progress)) = &mut image {
                        self.write_slot(*image, progress)?;
                    }
                }
                Step::Arm(slot) => {
                    let slots = SlotDisk::open(self.disk.clone())?;
                    let content = slots.content(slot);
                    let target = Target { layout: slots.layout(), slot, content: &content };
                    self.loader.arm(&target)?;
                }
                Step::Switch(_) => {
                    if let Some(proof) = proof.take() {
                        proof.switch()?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes the inactive slot, unless it has the image: an update that is applied again finds
    /// it there.
    fn write_slot(
        &self,
        image: &dyn SlotImage,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), ControlError> {
        let inactive = SlotDisk::open(self.disk.clone())?.into_inactive();
        match inactive.compare(image, progress) {
            Ok(_) => return Ok(()),
            Err(SlotError::Differs { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        SlotDisk::open(self.disk.clone())?.into_inactive().write(image, progress)?;
        Ok(())
    }
}

type Image<'a> = (&'a dyn SlotImage, &'a mut dyn FnMut(u64));
