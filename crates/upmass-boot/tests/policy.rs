//! The policy, in every state that can be reached and with a cut before each step: a device always
//! has a whole release to boot, never writes to what runs, and changes for good only when told to.

use std::collections::{BTreeMap, VecDeque};

use upmass_boot::attempt::{Attempt, AttemptState, BootId, Reason};
use upmass_boot::policy::{self, Answer, Phase, Refusal, Step, View};
use upmass_disk::gpt::{Guid, Slot};
use upmass_format::ReleaseId;

/// A device, as the steps and the firmware see it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Model {
    view: View,
    /// Whether the content of each slot is whole.
    whole: [bool; 2],
    /// The release that is written by the next `WriteSlot`.
    writes: ReleaseId,
}

const RELEASES: [u8; 3] = [1, 2, 3];
/// Ids of starts: only whether two are the same means something.
const BOOTS: u8 = 3;

fn release(number: u8) -> ReleaseId {
    ReleaseId::from_bytes([number; 32])
}

fn boot_id(number: u8) -> BootId {
    Guid::from_digest([number; 16])
}

fn index(slot: Slot) -> usize {
    usize::from(slot == Slot::Two)
}

impl Model {
    fn new() -> Self {
        let view = View {
            active: Slot::One,
            booted: Slot::One,
            running: release(1),
            holds: [Some(release(1)), None],
            armed: None,
            attempt: None,
            boot: boot_id(0),
        };
        Self { view, whole: [true, false], writes: release(1) }
    }

    fn operations(&self) -> Vec<(String, Answer)> {
        let view = &self.view;
        let mut all = vec![
            ("confirm".to_owned(), policy::confirm(view)),
            ("roll back".to_owned(), policy::roll_back(view)),
            ("give up".to_owned(), policy::give_up(view, Reason::new("a check failed"))),
            ("reconcile".to_owned(), Answer::Do(policy::reconcile(view))),
        ];
        for number in RELEASES {
            all.push((format!("arm {number}"), policy::arm(view, release(number))));
        }
        all
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Disarm => self.view.armed = None,
            Step::Forget => self.view.attempt = None,
            Step::Note(attempt) => self.view.attempt = Some(attempt.clone()),
            Step::Arm(slot) => {
                assert!(self.whole[index(*slot)], "a slot that is not whole is armed");
                self.view.armed = Some(*slot);
            }
            Step::WriteSlot => {
                let slot = self.written();
                self.whole[index(slot)] = true;
                self.view.holds[index(slot)] = Some(self.writes);
            }
            Step::Switch(slot) => {
                assert!(self.whole[index(*slot)], "a slot that is not whole becomes active");
                self.view.active = *slot;
            }
        }
    }

    /// A step that the power cut short: a slot is half written then, all else is as before.
    fn half(&mut self, step: &Step) {
        if *step == Step::WriteSlot {
            let slot = self.written();
            self.whole[index(slot)] = false;
            self.view.holds[index(slot)] = None;
        }
    }

    /// The slot that is written, of which nothing may be in use.
    fn written(&self) -> Slot {
        let slot = self.view.active.other();
        assert_ne!(slot, self.view.booted, "the slot that runs is written");
        assert_eq!(self.view.armed, None, "an armed slot is written");
        slot
    }

    /// What firmware does: the one-shot is used up; what cannot be booted is passed over.
    fn start(&mut self) {
        let one_shot = self.view.armed.take().filter(|slot| self.whole[index(*slot)]);
        self.view.booted = one_shot.unwrap_or(self.view.active);
        self.view.running = self.view.holds[index(self.view.booted)].expect("a whole slot");
        let number = (0..BOOTS).find(|number| boot_id(*number) == self.view.boot).unwrap();
        self.view.boot = boot_id((number + 1) % BOOTS);
    }

    fn check(&self) {
        assert!(self.whole[index(self.view.active)], "nothing boots: {self:?}");
    }
}

/// All states, by what leads to each.
fn reachable() -> BTreeMap<String, (Model, String)> {
    let mut known = BTreeMap::new();
    let mut next = VecDeque::from([(Model::new(), "the start".to_owned())]);
    while let Some((model, how)) = next.pop_front() {
        model.check();
        let key = format!("{model:?}");
        if known.contains_key(&key) {
            continue;
        }
        known.insert(key, (model.clone(), how));
        let mut add = |model: Model, how: String| next.push_back((model, how));
        let mut started = model.clone();
        started.start();
        add(started, "a start".to_owned());
        // A variable that was torn, or lost by the firmware.
        let mut lost = model.clone();
        lost.view.armed = None;
        add(lost, "a lost one-shot".to_owned());
        for (name, answer) in model.operations() {
            let Answer::Do(steps) = answer else { continue };
            let mut done = model.clone();
            if let Some(number) = name.strip_prefix("arm ") {
                done.writes = release(number.parse().unwrap());
            }
            for (count, step) in steps.iter().enumerate() {
                let mut cut = done.clone();
                cut.half(step);
                cut.start();
                add(cut, format!("{name}, cut in step {count}"));
                done.step(step);
                done.check();
                let mut cut = done.clone();
                cut.start();
                add(cut, format!("{name}, cut after step {count}"));
            }
            done.writes = release(1);
            add(done, name);
        }
    }
    known
}

#[test]
fn every_state_has_a_whole_release_and_a_restart_ends_every_trial() {
    let states = reachable();
    assert!(states.len() > 500, "{}", states.len());
    let mut phases = BTreeMap::new();
    for (model, how) in states.values() {
        *phases
            .entry(format!("{:?}", model.view.phase()).replace(char::is_numeric, ""))
            .or_insert(0) += 1;
        let active = model.view.active;
        let mut later = model.clone();
        later.start();
        // What the table names is not changed by starting, and what was tried is left by starting.
        assert_eq!(later.view.active, active, "{how}");
        later.start();
        assert_eq!((later.view.booted, later.view.armed), (active, None), "{how}");
        let told = later.view.clone().reconciled();
        for step in policy::reconcile(&later.view) {
            later.step(&step);
        }
        assert_eq!(told, later.view, "{how}");
        assert_eq!(later.view.phase(), Phase::Settled, "{how}");
        // And then nothing stands in the way of the next update.
        let Answer::Do(steps) = policy::arm(&later.view, release(3)) else { panic!("{how}") };
        later.writes = release(3);
        steps.iter().for_each(|step| later.step(step));
        later.start();
        assert_eq!((later.view.running, later.view.phase()), (release(3), Phase::Trial), "{how}");
    }
    assert!(phases.len() > 3, "{phases:?}");
}

#[test]
fn what_the_table_names_changes_by_confirming_and_rolling_back_alone() {
    for (model, how) in reachable().values() {
        for (name, answer) in model.operations() {
            let Answer::Do(steps) = answer else { continue };
            let switches = steps.iter().filter(|step| matches!(step, Step::Switch(_))).count();
            let may_switch = name == "confirm" || name == "roll back";
            assert!(switches == 0 || (may_switch && switches == 1), "{name} after {how}");
        }
    }
}

#[test]
fn operations_done_twice_are_done_once() {
    for (model, how) in reachable().values() {
        for (name, answer) in model.operations() {
            let Answer::Do(steps) = answer else { continue };
            if name == "roll back" || name == "give up" {
                continue;
            }
            let mut done = model.clone();
            done.writes =
                name.strip_prefix("arm ").map_or(release(1), |n| release(n.parse().unwrap()));
            steps.iter().for_each(|step| done.step(step));
            let again = done.operations().into_iter().find(|(other, _)| *other == name).unwrap().1;
            let is_nothing = matches!(&again, Answer::Nothing) || again == Answer::Do(Vec::new());
            assert!(is_nothing, "{name} after {how}: {again:?}");
        }
    }
}

#[test]
fn a_second_cut_while_things_are_put_right_changes_nothing_of_what_boots() {
    for (model, how) in reachable().values() {
        let steps = policy::reconcile(&model.view);
        for count in 0..=steps.len() {
            let mut cut = model.clone();
            let armed = cut.view.armed;
            steps[..count].iter().for_each(|step| cut.step(step));
            assert_eq!(cut.view.active, model.view.active);
            cut.start();
            let mut expected = model.clone();
            // A one-shot that boots what is active anyway may go.
            expected.view.armed = armed.filter(|slot| *slot != model.view.active);
            expected.start();
            // While a release is on trial, nothing is armed that could be started again.
            if model.view.booted == model.view.active {
                assert_eq!(cut.view.booted, expected.view.booted, "{how}");
            }
        }
    }
}

#[test]
fn the_record_says_what_became_of_a_release() {
    let mut model = Model::new();
    let run = |model: &mut Model, answer: Answer| {
        let Answer::Do(steps) = answer else { panic!("{answer:?}") };
        model.writes = release(2);
        steps.iter().for_each(|step| model.step(step));
    };
    let reconcile = |model: &mut Model| {
        let steps = policy::reconcile(&model.view);
        steps.iter().for_each(|step| model.step(step));
    };
    let state = |model: &Model| model.view.attempt.as_ref().map(|attempt| attempt.state.clone());
    let failed = |why: &str| Some(AttemptState::Failed(Reason::new(why)));

    let answer = policy::arm(&model.view, release(2));
    run(&mut model, answer);
    assert_eq!(state(&model), Some(AttemptState::Armed));
    reconcile(&mut model);
    assert_eq!(state(&model), Some(AttemptState::Armed), "nothing has happened yet");
    let armed = model.clone();

    model.start();
    reconcile(&mut model);
    assert_eq!(state(&model), Some(AttemptState::Begun));
    let begun = model.clone();
    model.start();
    reconcile(&mut model);
    assert_eq!(state(&model), failed("it was restarted before it was confirmed"));

    let mut model = armed;
    model.whole[1] = false;
    model.start();
    reconcile(&mut model);
    assert_eq!(state(&model), failed("it did not start, or was reset before it could say so"));

    let mut model = begun.clone();
    let answer = policy::give_up(&model.view, Reason::new("check 10 failed"));
    run(&mut model, answer);
    model.start();
    reconcile(&mut model);
    assert_eq!(state(&model), failed("check 10 failed"));

    let mut model = begun;
    let answer = policy::confirm(&model.view);
    let Answer::Do(steps) = &answer else { panic!("{answer:?}") };
    let mut cut = model.clone();
    cut.step(&steps[0]);
    cut.start();
    reconcile(&mut cut);
    assert_eq!((cut.view.running, state(&cut)), (release(2), None), "confirmed is confirmed");
    run(&mut model, answer);
    assert_eq!((model.view.active, state(&model)), (Slot::Two, None));

    let answer = policy::roll_back(&model.view);
    run(&mut model, answer);
    assert_eq!((model.view.phase(), state(&model)), (Phase::Leaving, Some(AttemptState::Left)));
    model.start();
    assert_eq!((model.view.running, model.view.phase()), (release(1), Phase::Settled));
}

#[test]
fn what_runs_on_trial_is_not_overwritten() {
    let mut model = Model::new();
    model.writes = release(2);
    let Answer::Do(steps) = policy::arm(&model.view, release(2)) else { panic!() };
    steps.iter().for_each(|step| model.step(step));
    model.start();
    let refused = Answer::Refused(Refusal::OnTrial(release(2)));
    assert_eq!(policy::arm(&model.view, release(3)), refused);
    assert_eq!(policy::arm(&model.view, release(2)), refused);
    // A slot that says something else now is not confirmed.
    model.view.holds[1] = Some(release(3));
    let changed = Refusal::Changed { running: release(2), slot: Slot::Two };
    assert_eq!(policy::confirm(&model.view), Answer::Refused(changed));
}

#[test]
fn records_are_read_as_they_were_written_and_nothing_else_is_one() {
    let states = [
        AttemptState::Armed,
        AttemptState::Begun,
        AttemptState::Left,
        AttemptState::Failed(Reason::new("check 10-network ended with status 1")),
        AttemptState::Failed(Reason::new(&"ä\n".repeat(2000))),
        AttemptState::Failed(Reason::new("\n")),
    ];
    for state in states {
        let attempt = Attempt { release: release(7), slot: Slot::Two, state, boot: boot_id(9) };
        let text = attempt.to_text();
        assert_eq!(Attempt::from_text(&text), Some(attempt));
        for len in (0..text.len()).filter(|len| text.is_char_boundary(*len)) {
            assert_eq!(Attempt::from_text(&text[..len]), None);
        }
        let unknown = text.replace("attempt 1", "attempt 2");
        assert_eq!(Attempt::from_text(&unknown), None);
        assert_eq!(Attempt::from_text(&format!("{text}more\n")), None);
    }
}

#[test]
fn the_worked_example_of_the_spec_is_a_record() {
    let spec = include_str!("../spec/attempt.md");
    let lines = spec.split("## Worked example\n").nth(1).unwrap().lines();
    let text: String = lines
        .filter_map(|line| line.strip_prefix("    "))
        .map(|line| format!("{line}\n"))
        .collect();
    let attempt = Attempt::from_text(&text).unwrap();
    assert_eq!((attempt.to_text(), attempt.slot), (text, Slot::Two));
    let reason = Reason::new("check 10-network ended with status 1");
    assert_eq!(attempt.state, AttemptState::Failed(reason));
}

#[test]
fn every_step_has_its_row_in_the_table_of_power_cuts() {
    let document = include_str!("../../../POWER-LOSS.md");
    let mut rows: std::collections::BTreeSet<&str> = Default::default();
    for (model, _) in reachable().values() {
        for (_, answer) in model.operations() {
            let Answer::Do(steps) = answer else { continue };
            rows.extend(steps.iter().flat_map(|step| step.rows().iter().copied()));
        }
    }
    assert_eq!(rows.len(), 7, "{rows:?}");
    for row in rows {
        assert!(document.contains(&format!("\n| {row} | ")), "{row} has no row");
    }
}
