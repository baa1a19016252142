//! The parse of an old member, step by step, in a space: found by what a step makes.

use std::io;

use super::space::Space;
use super::{MATCH_MAX, Spaces};

/// A step of a parse, as predictions need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// Where what it makes begins.
    pub(super) start: u64,
    /// How many bytes.
    pub(super) len: u32,
    /// How far before they are; 0 if these are literals, one by one.
    pub(super) distance: u32,
    /// Whether what follows differs, so that it could not be longer.
    pub(super) is_longest: bool,
}

impl Step {
    pub(super) fn end(&self) -> u64 {
        self.start + u64::from(self.len)
    }
}

const RECORD: usize = 6;
/// Steps that are read at once.
pub(crate) const GROUP: usize = 1024;
const LONGEST: u32 = 0x7fff;
const IS_LONGEST: u16 = 0x8000;

/// All steps of a parse.
pub(super) struct Steps {
    space: Box<dyn Space>,
    count: u64,
    /// Where each group of steps begins.
    starts: Vec<u32>,
}

impl Steps {
    pub(super) fn space(&self) -> u64 {
        self.count * RECORD as u64
    }
}

/// Writes steps.
pub(super) struct StepWriter {
    steps: Steps,
    pending: Option<Step>,
    records: Vec<u8>,
}

impl StepWriter {
    pub(super) fn new(spaces: &mut Spaces<'_>) -> io::Result<Self> {
        let steps = Steps { space: spaces()?, count: 0, starts: Vec::new() };
        Ok(Self { steps, pending: None, records: Vec::new() })
    }

    /// Appends what follows the last; literals that follow each other become one step.
    pub(super) fn push(&mut self, step: Step) -> io::Result<()> {
        match &mut self.pending {
            Some(last)
                if last.distance == 0 && step.distance == 0 && last.len + step.len <= LONGEST =>
            {
                last.len += step.len;
                Ok(())
            }
            _ => {
                let last = self.pending.replace(step);
                last.map_or(Ok(()), |last| self.write(last))
            }
        }
    }

    /// Says that the last step could not have been longer.
    pub(super) fn was_longest(&mut self) {
        if let Some(last) = &mut self.pending {
            last.is_longest = true;
        }
    }

    fn write(&mut self, step: Step) -> io::Result<()> {
        let Steps { space, count, starts } = &mut self.steps;
        if count.is_multiple_of(GROUP as u64) {
            starts.push(step.start as u32);
            space.append(&std::mem::take(&mut self.records))?;
        }
        *count += 1;
        let flag = if step.is_longest { IS_LONGEST } else { 0 };
        self.records.extend(step.distance.to_le_bytes());
        self.records.extend((step.len as u16 | flag).to_le_bytes());
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<Steps> {
        if let Some(last) = self.pending.take() {
            self.write(last)?;
        }
        self.steps.space.append(&self.records)?;
        Ok(self.steps)
    }
}

const _: () = assert!(MATCH_MAX <= LONGEST);

/// Finds steps.
pub(super) struct StepReader<'a> {
    steps: &'a Steps,
    group: Vec<Step>,
    number: Option<usize>,
    next: Vec<Step>,
    failure: Option<io::Error>,
}

impl<'a> StepReader<'a> {
    pub(super) fn new(steps: &'a Steps) -> Self {
        Self { steps, group: Vec::new(), number: None, next: Vec::new(), failure: None }
    }

    /// The step that makes this byte, and those that follow it: up to two.
    pub(super) fn at(&mut self, position: u64) -> Option<(Step, [Option<Step>; 2])> {
        let number = self
            .steps
            .starts
            .partition_point(|start| u64::from(*start) <= position)
            .checked_sub(1)?;
        if Some(number) != self.number {
            if self.number.is_some_and(|last| last + 1 == number) {
                std::mem::swap(&mut self.group, &mut self.next);
            } else {
                self.group = self.read(number);
            }
            self.next = self.read(number + 1);
            self.number = Some(number);
        }
        let index = self.group.partition_point(|step| step.start <= position).checked_sub(1)?;
        let step = self.group[index];
        let after = |ahead: usize| {
            let index = index + ahead;
            self.group.get(index).or_else(|| self.next.get(index - self.group.len())).copied()
        };
        (position < step.end()).then(|| (step, [after(1), after(2)]))
    }

    fn read(&mut self, number: usize) -> Vec<Step> {
        let Some(start) = self.steps.starts.get(number) else { return Vec::new() };
        let first = (number * GROUP) as u64;
        let count = (self.steps.count - first).min(GROUP as u64) as usize;
        let mut bytes = vec![0; count * RECORD];
        if let Err(error) = self.steps.space.read_exact_at(&mut bytes, first * RECORD as u64) {
            self.failure.get_or_insert(error);
            return Vec::new();
        }
        let mut start = u64::from(*start);
        let (records, _) = bytes.as_chunks::<RECORD>();
        records
            .iter()
            .map(|[a, b, c, d, e, f]| {
                let word = u16::from_le_bytes([*e, *f]);
                let len = u32::from(word & !IS_LONGEST);
                let distance = u32::from_le_bytes([*a, *b, *c, *d]);
                let is_longest = word & IS_LONGEST != 0;
                let step = Step { start, len, distance, is_longest };
                start += u64::from(len);
                step
            })
            .collect()
    }

    pub(super) fn check(&mut self) -> io::Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_found_by_what_they_make() {
        let mut writer =
            StepWriter::new(&mut || Ok(Box::new(Vec::new()) as Box<dyn Space>)).unwrap();
        let mut all = Vec::new();
        let mut start = 0;
        for index in 0..7000u32 {
            let distance = if index % 3 == 0 { 0 } else { index };
            let len = if distance == 0 { 1 } else { 2 + index % 272 };
            let step = Step { start, len, distance, is_longest: false };
            writer.push(step).unwrap();
            if index % 3 == 1 {
                writer.was_longest();
            }
            all.push(Step { is_longest: index % 3 == 1, ..step });
            start += u64::from(len);
        }
        let steps = writer.finish().unwrap();
        let mut reader = StepReader::new(&steps);
        for order in [1usize, 701] {
            for index in (0..all.len()).map(|index| index * order % all.len()) {
                let step = all[index];
                let next = [1, 2].map(|ahead| all.get(index + ahead).copied());
                assert_eq!(reader.at(step.start), Some((step, next)));
                assert_eq!(reader.at(step.end() - 1), Some((step, next)));
            }
        }
        assert_eq!(reader.at(start), None);
        reader.check().unwrap();
    }
}
