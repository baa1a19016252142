//! Fields: places in old content whose value follows from where something is.

/// How the value is written in its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// 4 bytes.
    Word,
    /// 8 bytes.
    Long,
    /// AArch64 `b`, `bl`: 26 bits, in units of 4.
    Branch26,
    /// AArch64 conditional branches and literals: 19 bits from bit 5 on, in units of 4.
    Branch19,
    /// AArch64 `tbz`: 14 bits from bit 5 on, in units of 4.
    Branch14,
    /// AArch64 `adr`, `adrp`: 19 bits from bit 5 on and 2 below them from bit 29 on.
    Adr,
    /// AArch64 `add`, `ldr` and others: 12 bits from bit 10 on, in units of 2 to this power.
    Low12(u8),
    /// ARM `b`, `bl`: 24 bits, in units of 4.
    Branch24,
    /// ARM `R_ARM_PREL31`: 31 bits.
    Place31,
}

impl Shape {
    /// Bytes that hold the value and what is beside it.
    pub(crate) fn width(self) -> usize {
        match self {
            Shape::Long => 8,
            _ => 4,
        }
    }

    /// Bits of the value.
    pub(crate) fn bits(self) -> u32 {
        match self {
            Shape::Word => 32,
            Shape::Long => 64,
            Shape::Branch26 => 26,
            Shape::Branch19 => 19,
            Shape::Branch14 => 14,
            Shape::Adr => 21,
            Shape::Low12(_) => 12,
            Shape::Branch24 => 24,
            Shape::Place31 => 31,
        }
    }

    /// Which bits of the bytes, as a little-endian number, are the value's.
    pub(crate) fn mask(self) -> u64 {
        match self {
            Shape::Word => 0xffff_ffff,
            Shape::Long => u64::MAX,
            Shape::Branch26 => 0x03ff_ffff,
            Shape::Branch19 => 0x00ff_ffe0,
            Shape::Branch14 => 0x0007_ffe0,
            Shape::Adr => 0x60ff_ffe0,
            Shape::Low12(_) => 0x003f_fc00,
            Shape::Branch24 => 0x00ff_ffff,
            Shape::Place31 => 0x7fff_ffff,
        }
    }

    /// The value in the bytes, with its sign if it has one.
    pub(crate) fn get(self, raw: u64) -> i64 {
        let value = match self {
            Shape::Word | Shape::Long | Shape::Branch26 | Shape::Branch24 | Shape::Place31 => raw,
            Shape::Branch19 | Shape::Branch14 => raw >> 5,
            Shape::Adr => raw >> 3 & 0x1f_fffc | raw >> 29 & 3,
            Shape::Low12(_) => raw >> 10,
        };
        self.cut(value as i64)
    }

    /// The bytes with another value.
    pub(crate) fn put(self, raw: u64, value: i64) -> u64 {
        let value = value as u64;
        let bits = match self {
            Shape::Word | Shape::Long | Shape::Branch26 | Shape::Branch24 | Shape::Place31 => value,
            Shape::Branch19 | Shape::Branch14 => value << 5,
            Shape::Adr => (value & 0x1f_fffc) << 3 | (value & 3) << 29,
            Shape::Low12(_) => value << 10,
        };
        raw & !self.mask() | bits & self.mask()
    }

    /// A value cut to what there is room for.
    pub(crate) fn cut(self, value: i64) -> i64 {
        match self {
            Shape::Low12(_) => value & 0xfff,
            _ => self.signed(value),
        }
    }

    /// The lower bits of a difference of values, with a sign.
    pub(crate) fn signed(self, value: i64) -> i64 {
        let unused = 64 - self.bits();
        value << unused >> unused
    }

    fn scale(self) -> u32 {
        match self {
            Shape::Branch26 | Shape::Branch19 | Shape::Branch14 | Shape::Branch24 => 2,
            Shape::Low12(scale) => u32::from(scale),
            _ => 0,
        }
    }
}

/// What the value says about its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    /// The address of the target.
    Absolute,
    /// The distance from the field's own address, and so many bytes more, to the target.
    Relative(i32),
    /// The distance between 4 KiB pages.
    Page,
    /// What is below the page.
    BelowPage,
    /// The distance from this old address to the target.
    From(u64),
    /// The distance between offsets in the content, the first of which is given.
    Offset(u64),
    /// The same, less so many bytes.
    Addend(u64, u8),
    /// The number of an entry of 24 bytes in the table at this offset.
    Entry(u64),
    /// A number that stands for something, of one of some sorts.
    Token(Token),
    /// How far before the field's own offset the target is, in the file.
    Back,
}

/// What numbers stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// A description of a type.
    Type,
    /// The name of one, in the names of more than one program.
    TypeName,
    /// A checksum.
    Checksum,
}

/// A place whose value follows from an old target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    /// Where in the chunk.
    pub(crate) at: u32,
    pub(crate) shape: Shape,
    pub(crate) relation: Relation,
    /// Address, or offset in the file, in the old content.
    pub(crate) target: u64,
    /// What sort it is, for the statistics: below [`KINDS`].
    pub(crate) kind: u8,
}

/// How many sorts of fields there are.
pub(crate) const KINDS: usize = 48;

/// The kind of names of symbols, and of those of types.
pub(crate) const NAME: u8 = 15;
pub(crate) const TYPE_NAME: u8 = 33;

impl Field {
    /// Whether the target is an address.
    pub(crate) fn is_address(&self) -> bool {
        matches!(
            self.relation,
            Relation::Absolute
                | Relation::Relative(_)
                | Relation::Page
                | Relation::BelowPage
                | Relation::From(_)
        )
    }

    /// Whether it says how long something is, and not where.
    #[cfg(feature = "encoder")]
    pub(crate) fn is_length(&self) -> bool {
        matches!(self.kind, 17 | 20 | 32)
    }

    /// Under which name others may know what the target has become; `start` is that of the
    /// program.
    pub(crate) fn key(&self, start: u64) -> Option<u64> {
        match self.relation {
            Relation::Offset(_) | Relation::Back => None,
            Relation::Addend(..) => Some(self.target ^ 1 << 62),
            Relation::Entry(_) => Some(self.target ^ 1 << 63),
            Relation::Token(token) => Some(key_of_token(token, self.target)),
            _ => Some(key_of_address(self.target, start)),
        }
    }

    /// The value for a target; `own` is the field's own address or offset, `from` where the
    /// distance starts, both in the new content.
    pub(crate) fn value(&self, target: u64, own: u64, from: u64) -> i64 {
        let value = match self.relation {
            Relation::Absolute | Relation::Token(_) => target,
            Relation::Relative(more) => {
                target.wrapping_sub(own).wrapping_sub(i64::from(more) as u64)
            }
            Relation::Page => {
                return self.shape.signed((target >> 12).wrapping_sub(own >> 12) as i64);
            }
            Relation::BelowPage => return ((target & 0xfff) >> self.shape.scale()) as i64,
            Relation::From(_) | Relation::Offset(_) => target.wrapping_sub(from),
            Relation::Addend(_, less) => target.wrapping_sub(from).wrapping_sub(less.into()),
            Relation::Entry(_) => (target.wrapping_sub(from) as i64 / ENTRY) as u64,
            Relation::Back => own.wrapping_sub(target),
        };
        self.shape.signed(value as i64 >> self.shape.scale())
    }

    /// The target that a value means; `page` is what is above a page's offset.
    pub(crate) fn target_of(&self, value: i64, own: u64, from: u64, page: u64) -> u64 {
        let scaled = (value as u64) << self.shape.scale();
        match self.relation {
            Relation::Relative(more) => {
                own.wrapping_add(i64::from(more) as u64).wrapping_add(scaled)
            }
            Relation::Page => (own >> 12).wrapping_add(value as u64) << 12,
            Relation::BelowPage => page & !0xfff | scaled & 0xfff,
            Relation::From(_) | Relation::Offset(_) => from.wrapping_add(scaled),
            Relation::Addend(_, less) => from.wrapping_add(scaled).wrapping_add(less.into()),
            Relation::Entry(_) => from.wrapping_add(scaled.wrapping_mul(ENTRY as u64)),
            Relation::Absolute | Relation::Token(_) | Relation::Back => scaled,
        }
    }
}

/// Size of an entry of [`Relation::Entry`].
const ENTRY: i64 = 24;

/// Under which name it is learned what an address has become.
pub(crate) fn key_of_address(address: u64, start: u64) -> u64 {
    address.wrapping_add(start.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// What keys of tokens begin with.
const TOKENS: u64 = 0x546f_6b65;

/// Under which name it is learned what a token has become.
fn key_of_token(token: Token, value: u64) -> u64 {
    TOKENS << 32 ^ (token as u64) << 32 ^ (value ^ value >> 32) & 0xffff_ffff
}

/// Whether something is learned for all objects of a segment.
pub(crate) fn is_key_of_token(key: u64) -> bool {
    key >> 34 == TOKENS >> 2
}
