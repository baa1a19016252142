//! Compressed members: which of them an update unpacks.

use std::collections::HashSet;

use upmass_member::expanded::{Member, Source, Total, pieces};
use upmass_member::recognise::{Limits, find_members};
use upmass_member::{memory, unpack, unpack_memory};

/// Longer files are not looked into.
pub(crate) const MAX_FILE: u64 = 256 << 20;
/// The longest plain content of a member.
const MAX_PLAIN: u64 = 256 << 20;

/// Members of an object and of its base that are unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Members {
    pub(crate) old: Vec<Member>,
    pub(crate) new: Vec<Member>,
}

impl Members {
    /// Members that have changed, and those of the base that they may come from. What the device
    /// needs for each is at most `max_memory` bytes.
    pub(crate) fn find(old: &[u8], new: &[u8], max_memory: u64) -> Self {
        let limits = Limits { max_plain: MAX_PLAIN, max_memory, ..Limits::default() };
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
        if found.is_empty() {
            return Self::default();
        }
        Self { old: base, new: found }
    }

    /// Memory that a device needs to unpack and pack them, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let unpacking = self.old.iter().map(|member| unpack_memory(&member.recipe, member.lengths));
        let packing = self.new.iter().map(|member| memory(&member.recipe, member.lengths));
        unpacking.chain(packing).max().unwrap_or(0)
    }

    /// Space that a device needs for plain content, in bytes.
    pub(crate) fn space(&self) -> u64 {
        let old: u64 = self.old.iter().map(|member| member.lengths.plain).sum();
        old + self.new.iter().map(|member| member.lengths.plain).max().unwrap_or(0)
    }
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
                unpack(&member.recipe, member.lengths, &mut packed, &mut expanded)
                    .expect("it was unpacked when it was recognised");
            }
        }
    }
    expanded
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
