//! Lengths and address fields of x86-64 instructions (Intel SDM volume 2, appendix A).

/// Longest instruction.
pub(crate) const MAX_LEN: usize = 15;

/// An instruction as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) len: usize,
    /// Where a displacement of 4 bytes is.
    pub(crate) displacement: Option<usize>,
    /// Whether it counts from the end of the instruction.
    pub(crate) is_relative: bool,
    /// Where an immediate of 4 bytes is; of jumps and calls it counts from the end.
    pub(crate) immediate: Option<usize>,
    pub(crate) is_jump: bool,
    /// Bytes of prefixes and opcode.
    pub(crate) opcode_len: usize,
}

enum Immediate {
    None,
    Byte,
    Word,
    /// 2 or 4 bytes, by prefix.
    Full,
    /// 2, 4 or 8 bytes.
    Long,
    Offset,
    Enter,
    Jump,
}

/// Decodes the instruction at the start of `code`. Whatever the bytes, the length is 1 at least;
/// it may be more than there are.
pub(crate) fn decode(code: &[u8]) -> Instruction {
    use Immediate::*;
    let at = |index: usize| code.get(index).copied().unwrap_or(0);
    let mut i = 0;
    let (mut is_word, mut is_wide) = (false, false);
    while i < 8 {
        match at(i) {
            0x66 => is_word = true,
            0x67 | 0xf0 | 0xf2 | 0xf3 | 0x2e | 0x36 | 0x3e | 0x26 | 0x64 | 0x65 => {}
            _ => break,
        }
        i += 1;
    }
    if at(i) & 0xf0 == 0x40 {
        is_wide = at(i) & 8 != 0;
        i += 1;
    }
    let op = at(i);
    i += 1;
    let (has_modrm, immediate) = match op {
        0x0f => {
            let op = at(i);
            i += 1;
            match op {
                0x38 => {
                    i += 1;
                    (true, None)
                }
                0x3a => {
                    i += 1;
                    (true, Byte)
                }
                _ => two_byte(op),
            }
        }
        0xc4 | 0xc5 | 0x62 => {
            let (payload, map) = match op {
                0xc5 => (1, 1),
                0xc4 => (2, at(i) & 31),
                _ => (3, at(i) & 7),
            };
            i += payload;
            let op = at(i);
            i += 1;
            match map {
                1 if op == 0x77 => (false, None),
                1 => match op {
                    0x70..=0x73 | 0xc2 | 0xc4 | 0xc5 | 0xc6 => (true, Byte),
                    _ => (true, None),
                },
                3 => (true, Byte),
                _ => (true, None),
            }
        }
        0x00..=0x3f => match op & 7 {
            0..=3 => (true, None),
            4 => (false, Byte),
            5 => (false, Full),
            _ => (false, None),
        },
        0x63 | 0x84..=0x8f | 0xd0..=0xd3 | 0xd8..=0xdf | 0xfe | 0xff => (true, None),
        0x68 | 0xa9 => (false, Full),
        0x69 | 0x81 | 0xc7 => (true, Full),
        0x6a | 0x70..=0x7f | 0xa8 | 0xb0..=0xb7 | 0xcd | 0xe0..=0xe7 | 0xeb => (false, Byte),
        0x6b | 0x80 | 0x83 | 0xc0 | 0xc1 | 0xc6 => (true, Byte),
        0xa0..=0xa3 => (false, Offset),
        0xb8..=0xbf => (false, Long),
        0xc2 | 0xca => (false, Word),
        0xc8 => (false, Enter),
        0xe8 | 0xe9 => (false, Jump),
        0xf6 => (true, if at(i) >> 3 & 7 < 2 { Byte } else { None }),
        0xf7 => (true, if at(i) >> 3 & 7 < 2 { Full } else { None }),
        _ => (false, None),
    };
    let opcode_len = i;
    let (mut displacement, mut is_relative) = (Option::None, false);
    if has_modrm {
        let modrm = at(i);
        i += 1;
        let (mode, rm) = (modrm >> 6, modrm & 7);
        let mut base = rm;
        if mode != 3 && rm == 4 {
            base = at(i) & 7;
            i += 1;
        }
        match mode {
            0 if base == 5 => {
                displacement = Some(i);
                is_relative = rm == 5;
                i += 4;
            }
            1 => i += 1,
            2 => {
                displacement = Some(i);
                i += 4;
            }
            _ => {}
        }
    }
    let full = if is_word { 2 } else { 4 };
    let (size, is_jump) = match immediate {
        None => (0, false),
        Byte => (1, false),
        Word => (2, false),
        Full => (full, false),
        Long if is_wide => (8, false),
        Long => (full, false),
        Offset => (8, false),
        Enter => (3, false),
        Jump => (4, true),
    };
    let immediate = (size == 4).then_some(i);
    Instruction { len: i + size, displacement, is_relative, immediate, is_jump, opcode_len }
}

fn two_byte(op: u8) -> (bool, Immediate) {
    use Immediate::*;
    match op {
        0x05..=0x09 | 0x0b | 0x30..=0x37 | 0x77 | 0xa0..=0xa2 | 0xa8..=0xaa | 0xc8..=0xcf => {
            (false, None)
        }
        0x80..=0x8f => (false, Jump),
        0x70..=0x73 | 0xa4 | 0xac | 0xba | 0xc2 | 0xc4 | 0xc5 | 0xc6 => (true, Byte),
        _ => (true, None),
    }
}
