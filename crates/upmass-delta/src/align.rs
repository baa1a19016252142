//! How a new object comes from an old one: copies that are worth it, found in contents from which
//! all is taken that only says where something is.

use std::io;

use crate::find::{find_copies, similarity};
use crate::machine::{Field, Images, Place, Program, Relation, Scanned, Scanner};
use crate::map::Map;
use crate::modelled::{Contexts, Encoder, Kind, Operation, Sizes};
use crate::named::Names;
use crate::patch::{Base, Copied};
use crate::rough::find_roughly;

/// Regions are looked at in pieces of this length.
const PIECE: u64 = 1 << 16;

/// Finds copies of `old` in `new`: ascending, not overlapping in `new`, within `old`. What is
/// copied need not be equal: where both are programs, only what is not an address is.
pub fn align(old: &[u8], new: &[u8]) -> Vec<Copied> {
    let Some(sides) = Sides::of(&old, &new) else { return find_copies(old, new) };
    let first = sides.copies(&sides.rough());
    // What was found makes a better map, with which more is found, or less: it is tried.
    let mut ways = vec![sides.copies(&first)];
    if new.len() <= SHORT_CONTENT {
        // Little code that is all alike is not told apart roughly.
        let blank = sides.copies(&sides.blank());
        ways.push(sides.copies(&blank));
        ways.push(blank);
    }
    // Where little has moved, the contents themselves may tell more than what was made of them.
    if similarity(old, new) >= STILL {
        ways.push(find_copies(old, new));
    }
    let mut best = (cost(old, new, &first), first);
    for way in ways {
        let cost = cost(old, new, &way);
        if cost < best.0 {
            best = (cost, way);
        }
    }
    best.1
}

/// As [`align`], in a third of the time: nothing is tried.
pub fn align_quickly(old: &[u8], new: &[u8]) -> Vec<Copied> {
    match Sides::of(&old, &new) {
        Some(sides) => sides.copies(&sides.rough()),
        None => find_copies(old, new),
    }
}

/// Two contents with programs in them.
struct Sides<'a> {
    old: &'a [u8],
    new: &'a [u8],
    old_images: Images<'a>,
    new_images: Images<'a>,
}

impl<'a> Sides<'a> {
    /// `None` where one has no programs.
    fn of(old: &'a &[u8], new: &'a &[u8]) -> Option<Self> {
        let (old_images, new_images) = (Images::of(old, u64::MAX), Images::of(new, u64::MAX));
        let is_any_empty = old_images.is_empty() || new_images.is_empty();
        (!is_any_empty).then_some(Self { old, new, old_images, new_images })
    }

    /// Copies that are found in a fraction of the time, without addresses.
    fn rough(&self) -> Vec<Copied> {
        let old = blanked(&self.old_images, self.old);
        find_roughly(&old, &blanked(&self.new_images, self.new))
    }

    /// All copies without addresses.
    fn blank(&self) -> Vec<Copied> {
        let old = blanked(&self.old_images, self.old);
        find_copies(&old, &blanked(&self.new_images, self.new))
    }

    /// Copies of what is the same when everything has gone where other copies say.
    fn copies(&self, others: &[Copied]) -> Vec<Copied> {
        let moved = Map::new(others.iter().map(|copy| (copy.old, copy.new, copy.len)));
        let old = common(&self.old_images, self.old, &moved);
        find_copies(&old, &common(&self.new_images, self.new, &Map::default()))
    }
}

/// Contents up to this length are searched in one more way.
const SHORT_CONTENT: usize = 1 << 20;
/// With so much in common contents are searched as they are, too.
const STILL: f64 = 0.7;

/// Bytes that a patch with these copies takes.
fn cost(old: &[u8], new: &[u8], copies: &[Copied]) -> usize {
    let mut encoder = Encoder::with_sizes(TRIAL);
    let operations = operations(copies, &new).expect("the content is in memory");
    encoder.object(&old, &new, &operations).expect("the copies are within both");
    encoder.finish().len()
}

/// What is remembered in a trial.
const TRIAL: Sizes = Sizes { table_log2: 20, history_log2: 20, contexts: Contexts::Few };

/// The content without addresses in code.
fn blanked(images: &Images<'_>, content: &[u8]) -> Vec<u8> {
    let names = Names::of(images, content);
    edited(images, content, |program, field| names.value(program, field).unwrap_or(0))
}

/// The content with places where they are in the new one, all counted from its start.
fn common(images: &Images<'_>, content: &[u8], map: &Map) -> Vec<u8> {
    let names = Names::of(images, content);
    edited(images, content, |program, field| {
        if let Some(name) = names.value(program, field) {
            return name;
        }
        let layout = &program.layout;
        let address = |address| match layout.place(address) {
            Place::File(offset) => map.offset(offset),
            Place::Behind(segment, distance) => distance ^ (segment as u64 + 1) << 40,
            Place::Nowhere => address,
        };
        let target = match field.is_address() {
            true => address(field.target),
            false => map.offset(field.target),
        };
        // Lengths count from what they are of, all other distances from the same place in all: the
        // map may be wrong about where one table begins, and all in it would look new.
        let from = match field.relation {
            Relation::Offset(base) if field.is_length() => map.offset(base),
            Relation::Entry(base) => map.offset(base),
            Relation::From(base) if field.is_length() => address(base),
            _ => 0,
        };
        field.value(target, 0, from)
    })
}

fn edited(images: &Images<'_>, content: &[u8], value: impl Fn(&Program, &Field) -> i64) -> Vec<u8> {
    let mut result = content.to_vec();
    let base: &dyn Base = &content;
    let mut scanner = Scanner::new(base);
    let mut found = Scanned::default();
    for (program, region) in images.regions() {
        let mut at = region.start;
        while at < region.end {
            let end = region.chunk_end(at, PIECE);
            let scanned = scanner.scan(&program, &region, at, (end - at) as usize, &mut found);
            scanned.expect("the content is in memory");
            for field in &found.fields {
                let place = (at + u64::from(field.at)) as usize;
                let range = place..place + field.shape.width();
                crate::modelled::put(&mut result[range], field.shape, value(&program, field));
            }
            at = end;
        }
    }
    result
}

/// Zeros and content without any order are looked for in pieces of this length.
const BLOCK: usize = 4096;
/// So much is looked at together to see whether it has any order.
const SAMPLE: usize = 16 << 10;

/// Operations that make a new object with these copies, ascending in `new` and without overlaps.
pub fn operations(copies: &[Copied], new: &dyn Base) -> io::Result<Vec<Operation>> {
    let mut operations = Vec::new();
    let mut done = 0;
    for copy in copies {
        fill(new, done, copy.new, &mut operations)?;
        push(&mut operations, Kind::Copy(copy.old), copy.len);
        done = copy.new + copy.len;
    }
    fill(new, done, new.len(), &mut operations)?;
    Ok(operations)
}

/// Appends an operation, or makes the last one longer.
fn push(operations: &mut Vec<Operation>, kind: Kind, len: u64) {
    match operations.last_mut() {
        Some(last) if last.kind == kind && !matches!(kind, Kind::Copy(_) | Kind::Recall(_)) => {
            last.len += len
        }
        _ if len == 0 => {}
        _ => operations.push(Operation { kind, len }),
    }
}

/// What is in no copy: zeros, content that nothing predicts, and all other.
fn fill(new: &dyn Base, from: u64, to: u64, operations: &mut Vec<Operation>) -> io::Result<()> {
    let mut buffer = vec![0; SAMPLE.min((to - from) as usize)];
    let mut at = from;
    while at < to {
        let piece = &mut buffer[..(to - at).min(SAMPLE as u64) as usize];
        new.read_exact_at(piece, at)?;
        at += piece.len() as u64;
        let other = if is_noise(piece) { Kind::Raw } else { Kind::Literal };
        for block in piece.chunks(BLOCK) {
            let is_zero = block.len() == BLOCK && block.iter().all(|byte| *byte == 0);
            push(operations, if is_zero { Kind::Zeros } else { other }, block.len() as u64);
        }
    }
    Ok(())
}

/// Whether bytes are spread as evenly as those of compressed or encrypted content.
fn is_noise(content: &[u8]) -> bool {
    if content.len() < BLOCK {
        return false;
    }
    let mut counts = [0u64; 256];
    for byte in content {
        counts[usize::from(*byte)] += 1;
    }
    let len = content.len() as u64;
    let squares: u64 = counts.iter().map(|count| count * count).sum();
    // Of even noise the sum is len²/256 + len, give or take a little.
    squares * 256 <= len * len + 256 * len + len * len / 50
}

/// With copies shorter than this on average, content may be new text that its base is like.
const SHORT: u64 = 1000;
/// Such content is taken in pieces of this length.
const TEXT: u64 = 1 << 20;

/// Ways to make a new object with these copies, at least one: as they are; and where they are short
/// and many, by recalling what they copy from before the new content, which is then predicted.
pub fn ways(copies: &[Copied], base: &dyn Base, new: &dyn Base) -> io::Result<Vec<Vec<Operation>>> {
    let mut ways = vec![operations(copies, new)?];
    let is_text = copies.len() >= 8 && new.len() / copies.len() as u64 <= SHORT;
    if is_text && Images::of(base, u64::MAX).is_empty() {
        ways.push(recalled(copies, base, new)?);
    }
    Ok(ways)
}

fn recalled(copies: &[Copied], base: &dyn Base, new: &dyn Base) -> io::Result<Vec<Operation>> {
    let mut operations = Vec::new();
    let (mut done, mut recalled) = (0, 0);
    while done < new.len() {
        let end = (done + TEXT).min(new.len());
        let inside = &copies[copies.partition_point(|c| c.new < done)..];
        let inside = &inside[..inside.partition_point(|c| c.new < end)];
        // Where most of it comes from; a few copies come from anywhere.
        let mut ends: Vec<u64> = inside.iter().map(|c| c.old + c.len).collect();
        ends.sort_unstable();
        let most = ends.get(ends.len() * 9 / 10).copied().unwrap_or(0);
        // Some more may be wanted; what is far before will not be.
        let to = (most + TEXT).min(base.len());
        if to > recalled {
            let from = recalled.max(to.saturating_sub(2 * TEXT));
            push(&mut operations, Kind::Recall(from), to - from);
            recalled = to;
        }
        fill(new, done, end, &mut operations)?;
        done = end;
    }
    Ok(operations)
}
