//! The models of coder 2 that last for a segment.

use super::control::Control;
use super::{Contexts, Sizes};
use crate::history::History;
use crate::machine::{KINDS, Meaning};
use crate::model::bits::{Counter, Numbers};
use crate::model::bytes::{Bytes, CONTEXTS, Expected, Use};
use crate::model::light::LightBytes;
use crate::model::logistic::{STRETCH, squash};
use crate::model::mixer::Mixer;
use crate::model::range::Coding;

/// What is known of each sort of field.
#[derive(Clone, Copy)]
pub(super) struct Experience {
    /// The last outcomes of each candidate, the last one lowest.
    pub(super) outcomes: [u8; 4],
    /// By how much the last field that was not as predicted differed from its old value.
    pub(super) growth: i64,
}
/// The models, for a whole segment.
#[derive(Clone)]
pub(super) struct Models {
    /// Operations of an object that are sent together.
    pub(super) operations: usize,
    pub(super) control: Control,
    exact: Vec<Counter>,
    flags: [Vec<Counter>; 3],
    flag_mixer: Mixer<4>,
    following: [Vec<Counter>; 3],
    following_mixer: Mixer<4>,
    outcome: u8,
    pub(super) hits: Vec<Counter>,
    pub(super) beside: Vec<Counter>,
    pub(super) growths: Vec<Numbers>,
    pub(super) experience: Vec<Experience>,
    bytes: ByteModel,
    pub(super) history: History,
}
/// How bytes are predicted that nothing else predicts.
#[derive(Clone)]
enum ByteModel {
    Many(Bytes),
    Few(LightBytes),
}
/// After so many bytes that agreed, whether the next one does is asked first.
const FOLLOWED: u32 = 16;

fn hash(parts: u64, which: u64) -> u32 {
    let mixed =
        (parts ^ which.wrapping_mul(0xd6e8_feb8_6659_fd93)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as u32
}
impl Models {
    pub(super) fn new(sizes: Sizes) -> Self {
        Self {
            operations: 1 << sizes.beside_log2(),
            control: Control::new(),
            exact: vec![Counter::NEW; 3 * 16 * 256],
            flags: [
                vec![Counter::NEW; 1 << 16],
                vec![Counter::NEW; 1 << 16],
                vec![Counter::NEW; 1 << 16],
            ],
            flag_mixer: Mixer::new(16 * 16, 65536 / 3, 6),
            following: [
                vec![Counter::NEW; 1 << 12],
                vec![Counter::NEW; 1 << 16],
                vec![Counter::NEW; 3 << 12],
            ],
            following_mixer: Mixer::new(16, 65536 / 3, 6),
            outcome: 0,
            hits: vec![Counter::NEW; KINDS * 4 * 64],
            beside: vec![Counter::NEW; KINDS],
            growths: vec![Numbers::new(); KINDS],
            experience: vec![Experience { outcomes: [0; 4], growth: 0 }; KINDS],
            bytes: match sizes.contexts {
                Contexts::Many => ByteModel::Many(Bytes::new(sizes.table_log2.into())),
                Contexts::Few => ByteModel::Few(LightBytes::new(sizes.table_log2.into())),
            },
            history: History::new(sizes.history_log2.into()),
        }
    }

    /// Codes a byte of new content without base.
    pub(super) fn literal<C: Coding>(
        &mut self,
        coding: &mut C,
        meaning: Meaning,
        position: u64,
        byte: u8,
    ) -> u8 {
        let first = self.history.expected();
        if let Some((predicted, length)) = first
            && length >= FOLLOWED
            && self.follows(coding, length, predicted, byte)
        {
            self.history.push(predicted);
            return predicted;
        }
        let recent = self.history.recent();
        let kind = meaning as u64;
        let (a, b) = match meaning {
            Meaning::A64 | Meaning::Arm => {
                let column = position & 3;
                let partial = recent & ((1 << (8 * column)) - 1);
                let word = recent >> (8 * column);
                (
                    column << 60 | partial << 8 | word >> 24 & 0xff,
                    column << 60 | partial << 32 | word & 0xffff_ffff,
                )
            }
            Meaning::Rela64 | Meaning::Symbols64 => {
                let above = u64::from(self.history.back(24));
                (
                    (above << 8) | (position % 24) | 1 << 40,
                    u64::from(self.history.back(8)) << 16 | above << 8 | recent & 0xff | 1 << 41,
                )
            }
            Meaning::X86 => (recent & 0xff_ff00, recent & 0xff00_ffff),
            Meaning::Unwind => {
                (recent & 0xffff_0000, u64::from(self.history.back(4)) << 8 | recent & 0xff)
            }
            _ => {
                let mut word = 0u64;
                for distance in 1..=8 {
                    let byte = self.history.back(distance).to_ascii_lowercase();
                    if !byte.is_ascii_alphanumeric() && byte < 0x80 {
                        break;
                    }
                    word = (word + u64::from(byte) + 1).wrapping_mul(0x2f0b_4c47);
                }
                (word, recent & 0xff_ff00)
            }
        };
        let model = match &mut self.bytes {
            ByteModel::Few(model) => {
                let hashes = [
                    hash(recent & 0xffff, 2),
                    hash(a ^ kind << 56, 6),
                    hash(recent & 0xffff_ffff, 4),
                ];
                let byte = model.code(coding, 0, &hashes, recent as u8, byte);
                self.history.push(byte);
                return byte;
            }
            ByteModel::Many(model) => model,
        };
        let hashes: [u32; CONTEXTS] = [
            hash(kind, 0),
            hash(recent & 0xff, 1),
            hash(recent & 0xffff, 2),
            hash(recent & 0xff_ffff, 3),
            hash(recent & 0xffff_ffff, 4),
            hash(recent & 0xffff_ffff_ffff, 5),
            hash(a ^ kind << 56, 6),
            hash(b ^ kind << 56, 7),
        ];
        let mut expected = [Expected::default(); 2];
        if let Some((byte, length)) = first.filter(|(_, length)| *length < FOLLOWED) {
            expected[0] = Expected { byte, trust: (length / 2).max(1) as u8 };
        }
        if let Some((byte, length, faults)) = self.history.expected_again()
            && first.is_none_or(|(other, _)| other != byte)
        {
            let trust = 1 + length.min(3) * 4 + 3 - (faults / 64).min(3);
            expected[1] = Expected { byte, trust: trust.min(15) as u8 };
        }
        let byte = model.code(
            coding,
            Use::Literal,
            &hashes,
            expected,
            [kind as u8, (recent & 0xff) as u8],
            byte,
        );
        self.history.push(byte);
        byte
    }

    /// Codes whether a byte is the one that followed the last time, when that was so for long.
    fn follows<C: Coding>(&mut self, coding: &mut C, length: u32, predicted: u8, byte: u8) -> bool {
        let long = length.ilog2().min(15) as usize;
        let second = match self.history.expected_again() {
            None => 0,
            Some((byte, ..)) => 1 + usize::from(byte == predicted),
        };
        let places = [
            long << 8 | usize::from(self.outcome),
            usize::from(predicted) << 8 | usize::from(self.history.back(1)),
            second << 12 | long << 8 | usize::from(predicted),
        ];
        let stretch = &*STRETCH;
        let mut inputs = [0, 0, 0, 256];
        for (input, (counters, place)) in inputs.iter_mut().zip(self.following.iter().zip(places)) {
            *input = stretch.of(counters[place].probability());
        }
        let logit = self.following_mixer.mix(long, &inputs);
        let one = squash(logit).clamp(16, 65520);
        let is_same = coding.bit(one, byte == predicted);
        self.following_mixer.update(long, &inputs, logit, is_same);
        for (counters, place) in self.following.iter_mut().zip(places) {
            counters[place].update(is_same);
        }
        self.outcome = self.outcome << 1 | u8::from(!is_same);
        is_same
    }

    /// Codes a byte of a copy where `predicted` is expected.
    pub(super) fn corrected<C: Coding>(
        &mut self,
        coding: &mut C,
        meaning: Meaning,
        class: u8,
        predicted: u8,
        following: u8,
        byte: u8,
    ) -> u8 {
        let kind = meaning as usize;
        let last = self.history.back(1);
        let places = [
            (kind << 12 | usize::from(class) << 8 | usize::from(self.outcome)) & 0xffff,
            (usize::from(predicted) << 8 | usize::from(last)) & 0xffff,
            (usize::from(self.outcome & 7) << 12
                | usize::from(class) << 8
                | usize::from(predicted))
                & 0xffff,
        ];
        let is_same = match self.bytes {
            ByteModel::Few(_) => {
                let [first, second, _] = &mut self.flags;
                let (first, second) = (&mut first[places[0]], &mut second[places[1]]);
                let one = (first.probability() + second.probability()) >> 1;
                let is_same = coding.bit(one, byte == predicted);
                first.update(is_same);
                second.update(is_same);
                is_same
            }
            ByteModel::Many(_) => {
                let stretch = &*STRETCH;
                let mut inputs = [0, 0, 0, 256];
                for (input, (counters, place)) in
                    inputs.iter_mut().zip(self.flags.iter().zip(places))
                {
                    *input = stretch.of(counters[place].probability());
                }
                let set = kind << 4 | usize::from(class);
                let logit = self.flag_mixer.mix(set, &inputs);
                let one = squash(logit).clamp(32, 65504);
                let is_same = coding.bit(one, byte == predicted);
                self.flag_mixer.update(set, &inputs, logit, is_same);
                for (counters, place) in self.flags.iter_mut().zip(places) {
                    counters[place].update(is_same);
                }
                is_same
            }
        };
        self.outcome = self.outcome << 1 | u8::from(!is_same);
        if is_same {
            self.history.copied(predicted);
            return predicted;
        }
        let recent = self.history.recent();
        let expected = u64::from(predicted);
        let kind = (kind as u64) << 8 | u64::from(class);
        let model = match &mut self.bytes {
            ByteModel::Few(model) => {
                let hashes = [
                    hash(kind << 8 | expected, 11),
                    hash(expected << 8 | recent & 0xff, 12),
                    hash(kind << 32 | expected << 16 | recent & 0xffff, 17),
                ];
                let byte = model.code(coding, 1, &hashes, predicted, byte);
                self.history.copied(byte);
                return byte;
            }
            ByteModel::Many(model) => model,
        };
        let hashes: [u32; CONTEXTS] = [
            hash(kind, 10),
            hash(kind << 8 | expected, 11),
            hash(expected << 8 | recent & 0xff, 12),
            hash(kind << 16 | recent & 0xffff, 13),
            hash(recent & 0xff_ffff, 14),
            hash(recent & 0xffff_ffff, 15),
            hash(u64::from(following) << 16 | expected << 8 | u64::from(self.outcome & 15), 16),
            hash(kind << 32 | expected << 16 | recent & 0xffff, 17),
        ];
        let guesses = [Expected::default(); 2];
        let byte = model.code(coding, Use::Correction, &hashes, guesses, [class, predicted], byte);
        self.history.copied(byte);
        byte
    }

    /// Codes whether something is exactly as predicted.
    pub(super) fn exact<C: Coding>(
        &mut self,
        coding: &mut C,
        level: usize,
        meaning: Meaning,
        before: u8,
        is_exact: bool,
    ) -> bool {
        let index = (level << 4 | meaning as usize) << 8 | usize::from(before);
        self.exact[index].code(coding, is_exact)
    }
}
