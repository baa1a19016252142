//! Where the bytes of a program are at run time.

/// A part of the file that is mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) offset: u64,
    pub(crate) address: u64,
    pub(crate) in_file: u64,
    pub(crate) in_memory: u64,
    pub(crate) is_code: bool,
}

/// Where an address is in a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// At this offset.
    File(u64),
    /// Behind the end of this segment's part of the file, by so many bytes.
    Behind(usize, u64),
    /// In no segment.
    Nowhere,
}

/// A program in a content: where it begins, and what of it is mapped where. What is never mapped,
/// as an object file, has the places of its bytes for addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Layout {
    /// Offset of the first byte in the content; offsets of segments count from it.
    pub(crate) start: u64,
    pub(crate) segments: Vec<Segment>,
}

impl Layout {
    /// The address of a byte of the content; outside of all segments, its place in the program.
    pub(crate) fn address(&self, offset: u64) -> u64 {
        let offset = offset.wrapping_sub(self.start);
        let holder = self.segments.iter().find(|s| offset.wrapping_sub(s.offset) < s.in_file);
        match holder {
            Some(s) => s.address.wrapping_add(offset.wrapping_sub(s.offset)),
            None => offset,
        }
    }

    /// The place in the content of an address, if there is one, or its segment and the distance
    /// from the end of what is in the file.
    pub(crate) fn place(&self, address: u64) -> Place {
        if self.segments.is_empty() {
            return Place::File(self.start.wrapping_add(address));
        }
        let mut end = None;
        for (index, s) in self.segments.iter().enumerate() {
            let distance = address.wrapping_sub(s.address);
            if distance < s.in_file {
                return Place::File(self.start.wrapping_add(s.offset).wrapping_add(distance));
            }
            if distance < s.in_memory {
                return Place::Behind(index, distance - s.in_file);
            }
            // The end of a segment may be the start of another.
            if distance == s.in_memory && end.is_none() {
                end = Some(Place::Behind(index, distance - s.in_file));
            }
        }
        end.unwrap_or(Place::Nowhere)
    }

    /// The address behind what a segment has in the file.
    pub(crate) fn end(&self, index: usize) -> Option<u64> {
        self.segments.get(index).map(|s| s.address.wrapping_add(s.in_file))
    }

    /// Whether an address is in any segment.
    pub(crate) fn contains(&self, address: u64) -> bool {
        self.segments.iter().any(|s| address.wrapping_sub(s.address) < s.in_memory)
    }

    /// Whether an address is in instructions.
    pub(crate) fn is_code(&self, address: u64) -> bool {
        self.segments.iter().any(|s| s.is_code && address.wrapping_sub(s.address) < s.in_file)
    }
}
