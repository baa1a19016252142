//! What follows from what is known: which steps an operation takes, and which it refuses. Pure.
//!
//! Three things decide what boots, and nothing else: the active slot (the partition table), what is
//! in the slots, and the one-shot of the firmware. That a release is on trial is nothing that is
//! written anywhere: it is so when the slot that booted is not the active one.

use upmass_disk::gpt::Slot;
use upmass_format::ReleaseId;

use crate::attempt::{Attempt, AttemptState, BootId, Reason};

/// What is known of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The slot that the partition table names.
    pub active: Slot,
    /// The slot that this start really booted.
    pub booted: Slot,
    /// The release that runs.
    pub running: ReleaseId,
    /// What the slots say they boot: of slot 1 and of slot 2.
    pub holds: [Option<ReleaseId>; 2],
    /// The slot that the next start alone boots.
    pub armed: Option<Slot>,
    /// What is written of the last attempt.
    pub attempt: Option<Attempt>,
    /// This start.
    pub boot: BootId,
}

/// What a device is in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing.
    Settled,
    /// The next start tries a release.
    Armed(ReleaseId),
    /// A release is on trial: the next start boots the other one unless it is confirmed.
    Trial,
    /// The other slot was made active by hand, and the next start boots it.
    Leaving,
}

/// One durable step. What a power cut leaves of each is in POWER-LOSS.md, in the row of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The one-shot is taken back.
    Disarm,
    /// The record of the last attempt is removed.
    Forget,
    /// The inactive slot gets its content, unless it has it.
    WriteSlot,
    /// The record is written.
    Note(Attempt),
    /// The next start alone boots this slot.
    Arm(Slot),
    /// This slot becomes active.
    Switch(Slot),
}

impl Step {
    /// The rows of POWER-LOSS.md.
    pub fn rows(&self) -> &'static [&'static str] {
        match self {
            Self::Disarm => &["disarm"],
            Self::Forget => &["forget"],
            Self::WriteSlot => &["slot"],
            Self::Note(_) => &["attempt"],
            Self::Arm(_) => &["entry", "arm"],
            Self::Switch(_) => &["switch"],
        }
    }
}

/// What an operation comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// These steps, in this order.
    Do(Vec<Step>),
    /// It is so already.
    Nothing,
    /// It may not be.
    Refused(Refusal),
}

/// Why an operation may not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The inactive slot is the one that runs.
    #[error(
        "release {} is on trial and not confirmed: `upmass confirm` keeps it, a restart leaves it; \
         until then its slot is not written", .0.short()
    )]
    OnTrial(ReleaseId),
    /// The inactive slot is the one that runs, after a roll-back.
    #[error("the other slot was made active: restart first")]
    Leaving,
    /// The slot that booted does not have the release that runs.
    #[error(
        "release {} runs, and its slot {slot} does not have it any more, so it is not confirmed",
        running.short()
    )]
    Changed {
        /// Which release.
        running: ReleaseId,
        /// Which slot.
        slot: Slot,
    },
    /// There is nothing to go back to.
    #[error("slot {0} has no release to go back to")]
    NothingThere(Slot),
}

impl View {
    /// What the slot says it boots.
    pub fn holds(&self, slot: Slot) -> Option<ReleaseId> {
        match slot {
            Slot::One => self.holds[0],
            Slot::Two => self.holds[1],
        }
    }

    /// The slot that the next start boots.
    pub fn next(&self) -> Slot {
        self.armed.unwrap_or(self.active)
    }

    /// What the device is in the middle of.
    pub fn phase(&self) -> Phase {
        if self.booted != self.active {
            let is_left = |attempt: &Attempt| attempt.state == AttemptState::Left;
            return match self.attempt.as_ref().is_some_and(is_left) {
                true => Phase::Leaving,
                false => Phase::Trial,
            };
        }
        match self.armed.filter(|slot| *slot != self.active).and_then(|slot| self.holds(slot)) {
            Some(release) => Phase::Armed(release),
            None => Phase::Settled,
        }
    }

    /// What will be known when [`reconcile`] was executed: for whoever looks and changes nothing.
    pub fn reconciled(mut self) -> Self {
        for step in reconcile(&self) {
            match step {
                Step::Disarm => self.armed = None,
                Step::Forget => self.attempt = None,
                Step::Note(attempt) => self.attempt = Some(attempt),
                Step::WriteSlot | Step::Arm(_) | Step::Switch(_) => {}
            }
        }
        self
    }

    fn note(&self, release: ReleaseId, slot: Slot, state: AttemptState) -> Step {
        Step::Note(Attempt { release, slot, state, boot: self.boot })
    }
}

/// A release is to be tried: its content comes into the inactive slot, and the next start boots
/// that once.
///
/// The one-shot goes first, since a slot that is half written is nothing to try, and comes last.
pub fn arm(view: &View, release: ReleaseId) -> Answer {
    if let Some(refusal) = busy(view) {
        return Answer::Refused(refusal);
    }
    let slot = view.active.other();
    let is_noted = |attempt: &Attempt| {
        (attempt.release, attempt.slot, &attempt.state) == (release, slot, &AttemptState::Armed)
    };
    if view.phase() == Phase::Armed(release) && view.attempt.as_ref().is_some_and(is_noted) {
        return Answer::Nothing;
    }
    let mut steps = Vec::new();
    if view.armed.is_some() {
        steps.push(Step::Disarm);
    }
    if view.attempt.is_some() {
        steps.push(Step::Forget);
    }
    steps.push(Step::WriteSlot);
    steps.push(view.note(release, slot, AttemptState::Armed));
    steps.push(Step::Arm(slot));
    Answer::Do(steps)
}

/// Why the inactive slot may not be written now.
pub fn busy(view: &View) -> Option<Refusal> {
    match view.phase() {
        Phase::Trial => Some(Refusal::OnTrial(view.running)),
        Phase::Leaving => Some(Refusal::Leaving),
        Phase::Settled | Phase::Armed(_) => None,
    }
}

/// The release that runs proved healthy: its slot becomes active.
pub fn confirm(view: &View) -> Answer {
    if view.booted == view.active {
        return Answer::Nothing;
    }
    if view.holds(view.booted) != Some(view.running) {
        let (running, slot) = (view.running, view.booted);
        return Answer::Refused(Refusal::Changed { running, slot });
    }
    let mut steps = vec![Step::Switch(view.booted)];
    if view.armed.is_some() {
        steps.push(Step::Disarm);
    }
    if view.attempt.is_some() {
        steps.push(Step::Forget);
    }
    Answer::Do(steps)
}

/// The release on trial is given up; the next start boots the other one by itself.
pub fn give_up(view: &View, reason: Reason) -> Answer {
    if view.phase() != Phase::Trial {
        return Answer::Nothing;
    }
    let mut steps = Vec::new();
    if view.armed.is_some() {
        steps.push(Step::Disarm);
    }
    steps.push(view.note(view.running, view.booted, AttemptState::Failed(reason)));
    Answer::Do(steps)
}

/// Back to the other release: what is armed is taken back, what is on trial is given up, and what
/// is active gives way to what the other slot has.
pub fn roll_back(view: &View) -> Answer {
    match view.phase() {
        Phase::Armed(_) => {
            let mut steps = vec![Step::Disarm];
            if view.attempt.is_some() {
                steps.push(Step::Forget);
            }
            Answer::Do(steps)
        }
        Phase::Trial => give_up(view, Reason::new("it was rolled back by hand")),
        Phase::Leaving => Answer::Nothing,
        Phase::Settled => {
            let other = view.active.other();
            if view.holds(other).is_none() {
                return Answer::Refused(Refusal::NothingThere(other));
            }
            Answer::Do(vec![
                view.note(view.running, view.active, AttemptState::Left),
                Step::Switch(other),
            ])
        }
    }
}

/// What is to be put right or written down after a start. It changes nothing of what boots, but
/// for a one-shot that nobody can want any more.
pub fn reconcile(view: &View) -> Vec<Step> {
    let mut steps = Vec::new();
    // What runs, or is active, needs no trial.
    if let Some(slot) = view.armed
        && (slot == view.active || slot == view.booted || view.holds(slot).is_none())
    {
        steps.push(Step::Disarm);
    }
    let Some(attempt) = &view.attempt else { return steps };
    let Attempt { release, slot, state, boot } = attempt;
    let is_active = *slot == view.active && view.holds(*slot) == Some(*release);
    let failed = |why: &str| view.note(*release, *slot, AttemptState::Failed(Reason::new(why)));
    let is_on_trial =
        view.booted != view.active && *slot == view.booted && *release == view.running;
    match state {
        // It was confirmed, or never left, and the cut came before the record went.
        _ if is_active => steps.push(Step::Forget),
        AttemptState::Armed if is_on_trial => {
            steps.push(view.note(*release, *slot, AttemptState::Begun));
        }
        AttemptState::Armed if view.armed.is_none() && view.boot != *boot => {
            steps.push(failed("it did not start, or was reset before it could say so"));
        }
        AttemptState::Begun if !is_on_trial => {
            steps.push(failed("it was restarted before it was confirmed"));
        }
        AttemptState::Armed
        | AttemptState::Begun
        | AttemptState::Failed(_)
        | AttemptState::Left => {}
    }
    steps
}
