//! What is in an update: bytes by stream, and, where its base is at hand, by component and by
//! kind.

use upmass_format::payload::{Demux, STREAMS, Step, Stream};
use upmass_format::release::Release;
use upmass_store::Store;

use crate::engine::Nothing;
use crate::frames::{Failure, Frames};
use crate::members::{expanded, read_step};
use crate::objects::Discard;
use crate::plan::Remembered;
use crate::prelude::{Prelude, Segment, TreeBase, expect_end};
use crate::received::Received;
use crate::renaming::{Room, renamed};
use crate::trees::{FileObject, NewObjects, OldRelease, edit_tree, rename_tree};
use crate::{ApplyError, Result};
use upmass_disk::ReadAt;

/// All that an update file says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// Bytes before the payload: header, list of frames, signatures.
    pub front_bytes: u64,
    /// Bytes of the payload.
    pub payload_bytes: u64,
    /// Segments of the payload.
    pub segments: u64,
    /// Compressed bytes by stream. What the payload has beyond them is framing of chunks.
    pub streams: Vec<(Stream, u64)>,
    /// Components that change; `None` when the base is not at hand.
    pub components: Option<Vec<ComponentCost>>,
}

/// What one component costs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ComponentCost {
    /// Its name.
    pub name: String,
    /// Edits of its tree: bytes that they take in the file.
    pub metadata: f64,
    /// New objects that are sent whole.
    pub whole: ObjectKind,
    /// New objects that are made from old ones.
    pub patched: ObjectKind,
    /// New objects that are old ones with names replaced: they cost nothing of their own. Their
    /// bytes are those of the old ones.
    pub renamed: ObjectKind,
}

/// New objects of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ObjectKind {
    /// How many.
    pub count: u64,
    /// Bytes that they have on the device.
    pub bytes: u64,
    /// Bytes that they take in the file: of each stream the share of its content.
    pub cost: f64,
}

/// Reads a whole update and says what is in it. Every frame is checked against the header;
/// whether anyone signed the header is not looked at. `store` may have the base.
pub fn inspect(received: &Received<'_>, store: &Store) -> Result<Inspection> {
    let failure = Failure::default();
    let base = match &received.header().base {
        None => Some(None),
        Some(prefix) => match store.releases()?.into_iter().find(|id| prefix.matches(*id)) {
            Some(id) => Some(Some(store.release(id)?)),
            None => None,
        },
    };
    let inspected = match base {
        None => summary(received, &failure),
        Some(base) => details(received, store, base.as_ref(), &failure),
    };
    inspected.map_err(|error| failure.or(error))
}

/// As [`inspect`], without any store: for a full update as much, otherwise bytes by stream.
pub fn inspect_alone(received: &Received<'_>) -> Result<Inspection> {
    let failure = Failure::default();
    summary(received, &failure).map_err(|error| failure.or(error))
}

fn summary(received: &Received<'_>, failure: &Failure) -> Result<Inspection> {
    let (file, front) = received.parts();
    let mut position = 0;
    let mut segments = 0;
    let mut totals = [0; STREAMS];
    let mut frames = Frames::new(file, front, failure, 0);
    while let Some((demux, _)) = Demux::start(frames, position)? {
        let sizes;
        (frames, position, sizes) = demux.skip()?;
        add(&mut totals, sizes);
        segments += 1;
    }
    Ok(inspection(received, segments, totals, None))
}

fn inspection(
    received: &Received<'_>,
    segments: u64,
    totals: [u64; STREAMS],
    components: Option<Vec<ComponentCost>>,
) -> Inspection {
    let (_, front) = received.parts();
    Inspection {
        front_bytes: front.payload_offset(),
        payload_bytes: front.header.payload_len,
        segments,
        streams: Stream::ALL.into_iter().zip(totals).collect(),
        components,
    }
}

fn add(totals: &mut [u64; STREAMS], sizes: [u64; STREAMS]) {
    for (total, size) in totals.iter_mut().zip(sizes) {
        *total += size;
    }
}

/// A new object while its segment is read.
struct Made {
    component: usize,
    is_patch: bool,
    len: u64,
    /// Bytes of copy, residue and literal that it used.
    used: [u64; 3],
}

fn details(
    received: &Received<'_>,
    store: &Store,
    base: Option<&Release>,
    failure: &Failure,
) -> Result<Inspection> {
    let (file, front) = received.parts();
    let open = |position| Segment::open(Frames::new(file, front, failure, position), position);
    let no_payload = || ApplyError::Program("it has no payload".to_owned());
    let mut segment = open(0)?.ok_or_else(no_payload)?;
    let prelude = segment.prelude(base)?;
    let old = OldRelease { store, release: base, renamer: &prelude.renamer };
    let (mut components, edit_bytes, objects) = walk(&prelude, &mut segment, &old)?;
    let room = Room::new(front.header.space_kib);

    let mut totals = [0; STREAMS];
    let mut segments = 0;
    let mut next = objects.into_iter().peekable();
    loop {
        let mut made = Vec::new();
        let mut before = segment.patches.consumed();
        let start = before;
        loop {
            while let Some(met) = next.next_if(|met| met.is_renamed) {
                let renamed = &mut components[met.component].renamed;
                renamed.count += 1;
                renamed.bytes += met.here.map_or(0, |old| old.size);
            }
            let (step, members) = read_step(&mut segment)?;
            if step == Step::End {
                break;
            }
            let Met { component, here, .. } = next.next().ok_or_else(no_payload)?;
            let (from, change) = match (step, here) {
                (Step::Whole(len), _) => (None, (len, 0)),
                (Step::PatchHere(growth), Some(here)) => (Some(here), (0, growth)),
                (Step::Patch(place, growth), _) => {
                    let from = old.file(place)?;
                    (Some(from), (0, growth))
                }
                (Step::PatchHere(_) | Step::End | Step::Members, _) => {
                    return Err(ApplyError::Program("it patches an object without base".into()));
                }
            };
            let is_patch = from.is_some();
            let file: Box<dyn ReadAt> = match from {
                Some(from) => store.open_object(from.id)?,
                None => Box::new(Nothing),
            };
            let base = expanded(store, file, &members.old)?;
            let base = renamed(store, &prelude.renamer, base, &room)?;
            let (whole, growth) = change;
            let expanded_len = match is_patch {
                true => base.len().saturating_add_signed(growth),
                false => whole,
            };
            let len = members.new.iter().fold(expanded_len, |len, member| {
                len.wrapping_sub(member.lengths.plain).wrapping_add(member.lengths.packed)
            });
            segment.patches.patch(&*base, expanded_len, &mut Discard)?;
            let after = segment.patches.consumed();
            let used = std::array::from_fn(|i| after[i] - before[i]);
            made.push(Made { component, is_patch, len, used });
            before = after;
        }
        expect_end(&mut segment.program, "program stream")?;
        let all: [u64; 3] = std::array::from_fn(|i| before[i] - start[i]);
        let sizes = segment.sizes();
        let position = segment.close()?;
        add(&mut totals, sizes);
        segments += 1;
        for Made { component, is_patch, len, used } in made {
            let component = &mut components[component];
            let kind = if is_patch { &mut component.patched } else { &mut component.whole };
            kind.count += 1;
            kind.bytes += len;
            kind.cost += (0..3).map(|i| share(used[i], all[i], sizes[i + 2])).sum::<f64>();
        }
        match open(position)? {
            Some(opened) => segment = opened,
            None => break,
        }
    }
    let all_edits = edit_bytes.iter().sum();
    for (component, edits) in components.iter_mut().zip(edit_bytes) {
        component.metadata = share(edits, all_edits, totals[Stream::Tree as usize]);
    }
    Ok(inspection(received, segments, totals, Some(components)))
}

fn share(part: u64, all: u64, cost: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 * cost as f64 / all as f64 }
}

/// A new object as trees mention it.
#[derive(Debug, Clone, Copy)]
struct Met {
    component: usize,
    /// The object that was at its place, or that it is a renaming of.
    here: Option<FileObject>,
    is_renamed: bool,
}

/// Walks over all edits. Gives the components that change, bytes of their edits, and new objects.
fn walk(
    prelude: &Prelude,
    segment: &mut Segment<'_>,
    old: &OldRelease<'_>,
) -> Result<(Vec<ComponentCost>, Vec<u64>, Vec<Met>)> {
    let mut components = Vec::new();
    let mut edit_bytes = Vec::new();
    let mut walk =
        Walk { old, component: 0, objects: Vec::new(), remembered: Remembered::default() };
    for (index, component) in prelude.release.components.iter().enumerate() {
        let before = segment.edits.offset();
        walk.component = components.len();
        match prelude.base_tree(index, old.release)? {
            TreeBase::Same(_) => continue,
            TreeBase::Renamed(tree) => {
                rename_tree(old, tree, &mut walk, std::io::sink())?;
            }
            TreeBase::Edited(from) => {
                edit_tree(old, from, &mut segment.edits, &mut walk, std::io::sink())?;
            }
        }
        edit_bytes.push(segment.edits.offset() - before);
        let name = component.name.clone();
        components.push(ComponentCost { name, ..ComponentCost::default() });
    }
    expect_end(&mut segment.edits, "tree stream")?;
    Ok((components, edit_bytes, walk.objects))
}

struct Walk<'a> {
    old: &'a OldRelease<'a>,
    component: usize,
    objects: Vec<Met>,
    remembered: Remembered,
}

impl NewObjects for Walk<'_> {
    fn next(&mut self, here: Option<FileObject>) -> Result<FileObject> {
        self.objects.push(Met { component: self.component, here, is_renamed: false });
        Ok(FileObject::PLACEHOLDER)
    }

    fn kept(&mut self, old: FileObject) -> Result<FileObject> {
        if !self.remembered.changes(self.old, old)? {
            return Ok(old);
        }
        self.objects.push(Met { component: self.component, here: Some(old), is_renamed: true });
        Ok(FileObject::PLACEHOLDER)
    }

    fn again(&mut self, distance: u64) -> Result<FileObject> {
        match distance < self.objects.len() as u64 {
            true => Ok(FileObject::PLACEHOLDER),
            false => Err(ApplyError::Program("it uses a new object before the first".into())),
        }
    }
}
