//! Compressed members: which of them an update unpacks.

use std::collections::HashSet;

use upmass_delta::find::MAX_OLD;
use upmass_member::expanded::{Member, Source, Total, pieces};
use upmass_member::parse::read_parse;
use upmass_member::recognise::{Limits, find_members};
use upmass_member::{Codec, Codecs, Recipe, memory, parse_index, unpack, unpack_memory};

/// Longer files are not looked into.
pub(crate) const MAX_FILE: u64 = 256 << 20;
/// What would be longer with its members unpacked stays packed: it could not be searched whole.
const MAX_EXPANDED: u64 = MAX_OLD as u64;

/// What unpacking and packing a member may need.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed {
    /// In bytes.
    pub(crate) memory: u64,
    pub(crate) codecs: Codecs,
}

impl Allowed {
    /// No parses, which take more than their member.
    pub(crate) fn without_parses(self) -> Self {
        let parse = [Codec::Parse].into_iter().collect();
        Self { codecs: self.codecs.without(parse), ..self }
    }

    fn limits(self) -> Limits {
        let Self { memory: max_memory, codecs } = self;
        Limits { max_plain: MAX_EXPANDED, max_memory, codecs, ..Limits::default() }
    }
}

/// Members of an object and of its base that are unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Members {
    pub(crate) old: Vec<Member>,
    pub(crate) new: Vec<Member>,
}

impl Members {
    /// Members that have changed, and those of the base that they may come from. What the device
    /// needs for them is allowed. Parses are to be written yet.
    pub(crate) fn find(old: &[u8], new: &[u8], allowed: Allowed) -> Self {
        let limits = allowed.limits();
        let mut found = find_members(new, &limits);
        if found.is_empty() {
            return Self::default();
        }
        let mut base = find_members(old, &limits);
        let packed = |content: &'_ [u8], member: &Member| {
            content[member.offset as usize..][..member.lengths.packed as usize].to_vec()
        };
        let before: HashSet<Vec<u8>> = base.iter().map(|member| packed(old, member)).collect();
        let after: HashSet<Vec<u8>> = found.iter().map(|member| packed(new, member)).collect();
        found.retain(|member| !before.contains(&packed(new, member)));
        base.retain(|member| !after.contains(&packed(old, member)));
        let Self { old: base, new: found } = Self { old: base, new: found }.with_few_parses();
        let fits = |content: &[u8], members: &[Member]| {
            expanded_len(content.len() as u64, members) <= MAX_EXPANDED
        };
        if found.is_empty() || !fits(old, &base) || !fits(new, &found) {
            return Self::default();
        }
        Self { old: base, new: found }
    }

    /// Those that need no more than so much memory each; `None` if no new ones are left.
    pub(crate) fn within(mut self, max_memory: u64) -> Option<Self> {
        self.new.retain(|member| need(member) <= max_memory);
        self.old.retain(|member| need(member) <= max_memory);
        self = self.with_few_parses();
        self.fill_places(max_memory);
        if self.new.is_empty() { None } else { Some(self) }
    }

    /// Packed bytes of new ones that need more memory than this.
    pub(crate) fn greedy(&self, memory: u64) -> u64 {
        let greedy = self.new.iter().filter(|member| need(member) > memory);
        greedy.map(|member| member.lengths.packed).sum()
    }

    /// What a device must have to unpack and pack them.
    pub(crate) fn codecs(&self) -> Codecs {
        self.old.iter().chain(&self.new).map(|member| member.recipe.codec()).collect()
    }

    /// Memory that a device needs to unpack and pack them, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let unpacking = self.old.iter().map(|member| unpack_memory(&member.recipe, member.lengths));
        let packing = self.new.iter().map(|member| memory(&member.recipe, member.lengths));
        // The index of a parse is there until all is made.
        let parses = self.old.iter().filter(|member| matches!(member.recipe, Recipe::Parse(_)));
        let parses: u64 = parses.map(|member| parse_index(member.lengths.plain)).sum();
        unpacking.chain(packing).max().unwrap_or(0) + parses
    }

    /// Space that a device needs for plain content, in bytes.
    pub(crate) fn space(&self) -> u64 {
        let old: u64 = self.old.iter().map(|member| member.lengths.plain).sum();
        old + self.new.iter().map(|member| member.lengths.plain).max().unwrap_or(0)
    }
}

/// What a device needs to find it and to make it again, in bytes.
fn need(member: &Member) -> u64 {
    memory(&member.recipe, member.lengths).max(unpack_memory(&member.recipe, member.lengths))
}

/// The length of a content with these members unpacked.
pub(crate) fn expanded_len(len: u64, members: &[Member]) -> u64 {
    members.iter().fold(len, |len, member| len - member.lengths.packed + member.lengths.plain)
}

/// The content with these members unpacked.
///
/// # Panics
/// When they are not its members.
pub(crate) fn expand(content: &[u8], members: &[Member]) -> Vec<u8> {
    let all = pieces(members, Total::File(content.len() as u64)).expect("members of this content");
    let mut expanded = Vec::new();
    for piece in all {
        match piece.from {
            Source::File(at) => {
                expanded.extend_from_slice(&content[at as usize..][..piece.len as usize]);
            }
            Source::Plain(index) => {
                let member = &members[index];
                let mut packed = &content[member.offset as usize..];
                let unpacked = match &member.recipe {
                    Recipe::Parse(parse) => {
                        let packed = &packed[..member.lengths.packed as usize];
                        let read = read_parse(parse, member.lengths, packed);
                        read.map(|(mut plain, _)| expanded.append(&mut plain))
                    }
                    recipe => unpack(recipe, member.lengths, &mut packed, &mut expanded),
                };
                unpacked.expect("it was unpacked when it was recognised");
            }
        }
    }
    expanded
}

/// The content with all members unpacked that a device can pack again with what is allowed.
pub(crate) fn expand_all(content: &[u8], allowed: Allowed) -> Vec<u8> {
    let members = find_members(content, &allowed.without_parses().limits());
    match expanded_len(content.len() as u64, &members) <= MAX_EXPANDED {
        true => expand(content, &members),
        false => content.to_vec(),
    }
}

/// Whether a file begins like an archive of files, or one that is compressed.
pub(crate) fn is_archive(content: &[u8]) -> bool {
    may_have_members(content) && !content.starts_with(b"MZ")
}

/// Whether a file begins like those that have members.
pub(crate) fn may_have_members(content: &[u8]) -> bool {
    const STARTS: [&[u8]; 8] = [
        b"\x1f\x8b",
        b"PK\x03\x04",
        b"\xfd7zXZ\0",
        b"\x28\xb5\x2f\xfd",
        b"\x02\x21\x4c\x18",
        b"070701",
        b"070702",
        b"MZ",
    ];
    STARTS.iter().any(|start| content.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use upmass_member::{Lengths, Recipe};

    const EVERYTHING: Allowed = Allowed { memory: 1 << 30, codecs: Codecs::ALL };

    #[test]
    fn lengths_are_those_of_the_expanded_content() {
        let recipe = Recipe::from_bytes(&[5, 1, 9]).unwrap();
        let member = |offset, packed, plain| Member {
            offset,
            lengths: Lengths { packed, plain },
            recipe: recipe.clone(),
        };
        assert_eq!(expanded_len(100, &[]), 100);
        assert_eq!(expanded_len(100, &[member(0, 60, 1000), member(60, 40, 7)]), 1007);
    }

    #[test]
    fn what_would_be_too_long_to_search_stays_packed() {
        // An archive of one entry that is mostly zeros: small when packed.
        let pack = |first: u8, len: usize| {
            let mut plain = vec![0; len];
            plain[0] = first;
            let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3];
            // gzip -9, with its trailer.
            let recipe = Recipe::from_bytes(&[1, 0x19]).unwrap();
            let mut sized = Counted(0);
            let longest = Lengths { packed: u64::MAX, plain: len as u64 };
            let _ = upmass_member::repack(&recipe, longest, &mut &plain[..], &mut sized);
            let lengths = Lengths { packed: sized.0, plain: len as u64 };
            upmass_member::repack(&recipe, lengths, &mut &plain[..], &mut out).unwrap();
            out
        };
        let [old, new] = [1, 2].map(|first| pack(first, 1 << 20));
        assert_eq!(Members::find(&old, &new, EVERYTHING).new.len(), 1);
        // Members that fit one by one, but not together.
        let many = |one: &[u8]| one.repeat((MAX_EXPANDED >> 20) as usize + 1);
        let found = Members::find(&many(&old), &many(&new), EVERYTHING);
        assert_eq!(found, Members::default());
    }

    struct Counted(u64);

    impl std::io::Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
}
