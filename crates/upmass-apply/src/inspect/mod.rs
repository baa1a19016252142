//! What is in an update: bytes by stream, and, where its base is at hand, by component and file.

mod head;
mod walk;

use upmass_delta::Section;
use upmass_delta::patch::Sink;
use upmass_format::TreePath;
use upmass_format::payload::{Demux, Later, Part, STREAMS, Step, Stream};
use upmass_format::release::Release;
use upmass_store::Store;

use self::head::Head;
use self::walk::{Met, OldPaths, Walked, walk};
use crate::derived::Before;
use crate::engine::Nothing;
use crate::frames::{Failure, Frames};
use crate::kept::{Kept, Parts, Tee};
use crate::members::{Instruction, Repacking, expanded, read_step};
use crate::parts::{joined, not_later};
use crate::prelude::{Segment, expect_end};
use crate::received::Received;
use crate::renaming::{Room, renamed};
use crate::trees::OldRelease;
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
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentCost {
    /// Its name.
    pub name: String,
    /// The component of the base that its tree comes from.
    pub old: Option<String>,
    /// Edits of its tree: bytes that they take in the file. Zero of a tree that is only renamed.
    pub metadata: f64,
    /// Its new files in order, each content once, at the path that mentions it first.
    pub files: Vec<FileCost>,
}

/// What one new file costs.
#[derive(Debug, Clone, PartialEq)]
pub struct FileCost {
    /// Where it is in its component.
    pub path: TreePath,
    /// What it is made from.
    pub origin: Origin,
    /// Bytes that it has on the device.
    pub bytes: u64,
    /// Bytes that it takes in the file: of each stream the share of its content.
    pub cost: f64,
    /// How `cost` divides, in bytes, where the coder knows; otherwise all zero. In the order of
    /// [`Section::ALL`].
    pub spent: [f64; Section::ALL.len()],
    /// How many of its compressed members were unpacked for comparison.
    pub members: usize,
    /// The format in which it is compressed as a whole, by its first bytes.
    pub packed: Option<&'static str>,
}

/// What a new file is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nothing: it is sent whole.
    New,
    /// The old file at the same place.
    Here,
    /// An old file somewhere else: the name of its component and its path there.
    Old(String, TreePath),
    /// The old file with names replaced: it costs nothing of its own.
    Renamed,
    /// So many old files, and so many new ones that were made before.
    Parts {
        /// What it had before, or files like it.
        old: usize,
        /// What is in it and new elsewhere too.
        new: usize,
    },
}

/// New files of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ObjectKind {
    /// How many.
    pub count: u64,
    /// Bytes that they have on the device.
    pub bytes: u64,
    /// Bytes that they take in the file.
    pub cost: f64,
}

impl ComponentCost {
    /// Files that are sent whole.
    pub fn whole(&self) -> ObjectKind {
        self.kind(|origin| *origin == Origin::New)
    }

    /// Files that are made from old ones.
    pub fn patched(&self) -> ObjectKind {
        self.kind(|origin| matches!(origin, Origin::Here | Origin::Old(..) | Origin::Parts { .. }))
    }

    /// Files that are old ones with names replaced. Their bytes are those of the old ones.
    pub fn renamed(&self) -> ObjectKind {
        self.kind(|origin| *origin == Origin::Renamed)
    }

    fn kind(&self, is_of_it: impl Fn(&Origin) -> bool) -> ObjectKind {
        let files = self.files.iter().filter(|file| is_of_it(&file.origin));
        files.fold(ObjectKind::default(), |sum, file| ObjectKind {
            count: sum.count + 1,
            bytes: sum.bytes + file.bytes,
            cost: sum.cost + file.cost,
        })
    }
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
    received.check_length()?;
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
    file: FileCost,
    /// Bytes of copy, residue and literal that it used.
    used: [u64; 3],
}

fn details(
    received: &Received<'_>,
    store: &Store,
    base: Option<&Release>,
    failure: &Failure,
) -> Result<Inspection> {
    received.check_length()?;
    let (file, front) = received.parts();
    let open = |position| -> Result<Option<Segment<'_>>> {
        let segment = Segment::open(Frames::new(file, front, failure, position), position)?;
        Ok(segment.map(Segment::measuring))
    };
    let no_payload = || ApplyError::Program("it has no payload".to_owned());
    let mut segment = open(0)?.ok_or_else(no_payload)?;
    let header = &front.header;
    let space = header.space_kib.saturating_mul(1024);
    let derives_names = header.derives_names;
    let prelude = segment.prelude(Before { store, base, derives_names, space })?;
    let old = OldRelease { store, release: base, renamer: &prelude.renamer };
    let Walked { mut components, edit_bytes, objects } = walk(&prelude, &mut segment, &old)?;
    let mut old_paths = OldPaths::new(&old);
    let room = Room::new(front.header.space_kib);

    let mut totals = [0; STREAMS];
    let mut segments = 0;
    let mut kept = Kept::new(store, &prelude.later)?;
    let mut next = in_order(objects, &prelude.later)?.into_iter().peekable();
    loop {
        let mut made = Vec::new();
        let mut before = segment.patches.consumed();
        let mut spent_before = segment.patches.spent();
        let mut start = before;
        if segments == 0
            && let Some(derived) = &prelude.derived
        {
            (0..3).for_each(|at| start[at] -= derived.used[at]);
        }
        loop {
            while let Some((_, met)) = next.next_if(|(_, met)| met.is_renamed) {
                let bytes = met.here.map_or(0, |old| old.size);
                components[met.component].files.push(FileCost::new(
                    met.path,
                    Origin::Renamed,
                    bytes,
                ));
            }
            let Instruction { step, parts, members } = read_step(&mut segment)?;
            if step == Step::End {
                break;
            }
            let (number, met) = next.next().ok_or_else(no_payload)?;
            let Met { component, path, here, .. } = met;
            if prelude.later.has(number) {
                kept.finish()?;
            }
            if step == Step::Derivations {
                let missing = || ApplyError::Program("it has no derivations".into());
                let derived = prelude.derived.as_ref().ok_or_else(missing)?;
                if kept.is_open() {
                    let written = derived.write(&mut kept.sink(failure));
                    written.map_err(ApplyError::Read)?;
                    kept.end_object(number);
                }
                let mut file = FileCost::new(path, Origin::Here, derived.content.len());
                (file.spent, file.cost) = (derived.spent, 0.0);
                made.push(Made { component, file, used: derived.used });
                continue;
            }
            let (from, origin, change) = match (step, here) {
                (Step::Whole(len), _) => (None, Origin::New, (len, 0)),
                (Step::PatchHere(growth), _) if !parts.is_empty() => {
                    let new = parts.iter().filter(|part| matches!(part, Part::New(_))).count();
                    (None, Origin::Parts { old: parts.len() - new, new }, (0, growth))
                }
                (Step::PatchHere(growth), Some(here)) => (Some(here), Origin::Here, (0, growth)),
                (Step::Patch(place, growth), _) => {
                    let from = old.file(place)?;
                    let (component, path) = old_paths.at(place)?;
                    (Some(from), Origin::Old(component, path), (0, growth))
                }
                (
                    Step::PatchHere(_)
                    | Step::End
                    | Step::Members
                    | Step::Parts
                    | Step::Derivations,
                    _,
                ) => {
                    return Err(ApplyError::Program("it patches an object without base".into()));
                }
            };
            let is_patch = from.is_some() || !parts.is_empty();
            let file: Box<dyn ReadAt> = match from {
                Some(from) => store.open_object(from.id)?,
                None if parts.is_empty() => Box::new(Nothing),
                None => {
                    let finder = Parts { kept: &kept, old: &old, here };
                    Box::new(joined(store, number, &prelude.later, &parts, &finder)?)
                }
            };
            let (base, parses) = expanded(store, file, &members.old)?;
            let base = renamed(store, &prelude.renamer, base, &room)?;
            let (whole, growth) = change;
            let expanded_len = match is_patch {
                true => base.len().saturating_add_signed(growth),
                false => whole,
            };
            let len = members.new.iter().fold(expanded_len, |len, member| {
                len.wrapping_sub(member.lengths.plain).wrapping_add(member.lengths.packed)
            });
            let mut head = Head::default();
            if kept.is_open() {
                let mut sink = kept.sink(failure);
                let mut sink: &mut dyn Sink = &mut sink;
                let mut packing;
                if !members.new.is_empty() {
                    let new = &members.new;
                    packing = Repacking::new(store, new, &parses, expanded_len, sink, failure)?;
                    sink = &mut packing;
                }
                segment.patches.patch(&*base, expanded_len, &mut Tee(&mut head, sink))?;
                kept.end_object(number);
            } else {
                segment.patches.patch(&*base, expanded_len, &mut head)?;
            }
            let (after, spent) = (segment.patches.consumed(), segment.patches.spent());
            let used = std::array::from_fn(|i| after[i] - before[i]);
            let mut file = FileCost::new(path, origin, len);
            file.spent = std::array::from_fn(|i| spent[i] - spent_before[i]);
            file.members = members.new.len();
            file.packed = head.packing();
            made.push(Made { component, file, used });
            (before, spent_before) = (after, spent);
        }
        expect_end(&mut segment.program, "program stream")?;
        let all: [u64; 3] = std::array::from_fn(|i| before[i] - start[i]);
        let sizes = segment.sizes();
        let position = segment.close()?;
        add(&mut totals, sizes);
        segments += 1;
        // What is known of bits divides more finely than bytes that a decoder has read ahead, and
        // is an estimate: as a whole it comes to what was read.
        let bits: f64 = spent_before.iter().sum();
        let read = sizes[Stream::Copy as usize] as f64;
        for Made { component, mut file, used } in made {
            if bits > 0.0 {
                file.spent.iter_mut().for_each(|spent| *spent *= read / bits);
                file.cost = file.spent.iter().sum();
            } else {
                file.cost = (0..3).map(|i| share(used[i], all[i], sizes[i + 2])).sum();
            }
            components[component].files.push(file);
        }
        match open(position)? {
            Some(opened) => segment = opened,
            None => break,
        }
    }
    let all_edits = edit_bytes.iter().sum();
    for (component, edits) in components.iter_mut().zip(edit_bytes) {
        component.metadata = share(edits, all_edits, totals[Stream::Tree as usize]);
        component.files.sort_by(|a, b| a.path.cmp(&b.path));
    }
    Ok(inspection(received, segments, totals, Some(components)))
}

/// New objects with their numbers, in the order in which they are made.
fn in_order(objects: Vec<Met>, later: &Later) -> Result<Vec<(u64, Met)>> {
    for number in later.numbers() {
        let met = usize::try_from(*number).ok().and_then(|number| objects.get(number));
        if met.is_none_or(|met| met.is_renamed) {
            return Err(not_later(*number));
        }
    }
    let (made_later, others): (Vec<_>, Vec<_>) =
        (0..).zip(objects).partition(|(number, _)| later.has(*number));
    Ok(others.into_iter().chain(made_later).collect())
}

fn share(part: u64, all: u64, cost: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 * cost as f64 / all as f64 }
}

impl FileCost {
    fn new(path: TreePath, origin: Origin, bytes: u64) -> Self {
        let spent = Default::default();
        Self { path, origin, bytes, cost: 0.0, spent, members: 0, packed: None }
    }
}
