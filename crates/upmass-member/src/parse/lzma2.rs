//! Chunks of LZMA2 (The .xz File Format, 1.2, section 5.3.1, and the headers that liblzma reads).

use std::io::{self, Read};

use crate::recipe::XzBits;

/// What a chunk of LZMA2 begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reset {
    Nothing,
    State,
    /// State, and the bits are said.
    Bits,
    /// The dictionary too.
    All,
}

const RESETS: [Reset; 4] = [Reset::Nothing, Reset::State, Reset::Bits, Reset::All];

/// How a chunk is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    End,
    /// As it is; with a new dictionary or without.
    Stored(bool),
    Lzma(Reset),
}

/// All but the end, in the order of their numbers in a parse, from 1 on.
const KINDS: [Kind; 6] = [
    Kind::Lzma(Reset::Nothing),
    Kind::Lzma(Reset::State),
    Kind::Lzma(Reset::Bits),
    Kind::Lzma(Reset::All),
    Kind::Stored(false),
    Kind::Stored(true),
];

impl Kind {
    /// Its number in a parse: 0 is the end.
    #[cfg(feature = "recognise")]
    pub(super) fn number(self) -> u64 {
        KINDS.iter().position(|kind| *kind == self).map_or(0, |index| index as u64 + 1)
    }

    pub(super) fn from_number(number: u64) -> Option<Self> {
        match number {
            0 => Some(Kind::End),
            _ => KINDS.get(usize::try_from(number - 1).ok()?).copied(),
        }
    }

    /// The most that such a chunk makes, in bytes.
    pub(super) fn most(self) -> u32 {
        match self {
            Kind::End => 0,
            Kind::Stored(_) => 1 << 16,
            Kind::Lzma(_) => 1 << 21,
        }
    }
}

/// A chunk as it is read.
pub(super) struct Chunk {
    pub(super) kind: Kind,
    /// How many bytes it makes.
    pub(super) plain: u32,
    /// What it holds.
    pub(super) data: Vec<u8>,
}

impl Chunk {
    /// Reads one. `None`: it is no chunk, or has other bits.
    pub(super) fn read(input: &mut dyn Read, bits: XzBits) -> io::Result<Option<Self>> {
        let [control] = array(input)?;
        let kind = match control {
            0 => return Ok(Some(Self { kind: Kind::End, plain: 0, data: Vec::new() })),
            1 | 2 => Kind::Stored(control == 1),
            3..0x80 => return Ok(None),
            _ => Kind::Lzma(RESETS[usize::from(control >> 5 & 3)]),
        };
        let low = u32::from(u16::from_be_bytes(array(input)?)) + 1;
        let (plain, packed) = match kind {
            Kind::Lzma(reset) => {
                let packed = u32::from(u16::from_be_bytes(array(input)?)) + 1;
                if reset >= Reset::Bits && array(input)? != [bits.byte()] {
                    return Ok(None);
                }
                (low + (u32::from(control & 0x1f) << 16), packed)
            }
            _ => (low, low),
        };
        let mut data = vec![0; packed as usize];
        input.read_exact(&mut data)?;
        Ok(Some(Self { kind, plain, data }))
    }

    /// Its header. `None`: it is too long for one.
    pub(super) fn header(&self, bits: XzBits) -> Option<Vec<u8>> {
        let last = self.plain.checked_sub(1).filter(|_| self.plain <= self.kind.most());
        let low = |last: u32| (last as u16).to_be_bytes();
        Some(match self.kind {
            Kind::End => vec![0],
            Kind::Stored(reset) => {
                let [high, low] = low(last?);
                vec![2 - u8::from(reset), high, low]
            }
            Kind::Lzma(reset) => {
                let packed = u16::try_from(self.data.len().checked_sub(1)?).ok()?;
                let mut out = vec![0x80 | (reset as u8) << 5 | (last? >> 16) as u8];
                out.extend(low(last?));
                out.extend(packed.to_be_bytes());
                out.extend((reset >= Reset::Bits).then_some(bits.byte()));
                out
            }
        })
    }
}

pub(super) fn array<const N: usize>(input: &mut dyn Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}
