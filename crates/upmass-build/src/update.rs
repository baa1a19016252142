//! Puts the update together: prelude, objects, header, signatures.

use rayon::prelude::*;
use upmass_delta::Section;
use upmass_delta::find::find_copies;
use upmass_delta::modelled::Contexts;
use upmass_delta::patch::Encoder;
use upmass_delta::rename::Renamer;
use upmass_format::payload::{Later, Part, STREAMS, Step, TreeSource};
use upmass_format::release::Release;
use upmass_format::update::{
    BasePrefix, FRAME_DIGEST_LEN, FrameDigest, Front, Header, HeaderSignature, MAX_FRAME_LOG2,
    MAX_HEADER, MIN_FRAME_LOG2,
};
use upmass_format::wire::put_varint;
use upmass_format::{ObjectId, ReleaseId};
use upmass_member::Codecs;
use upmass_sign::SecretKey;
use upmass_store::Store;

use crate::bases::{BaseChooser, ChosenBase};
use crate::budget::Budget;
use crate::bundles::Bundles;
use crate::derived::{BothDerivations, Names};
use crate::diff::{NewObject, TreeDiff};
use crate::members::{Allowed, Members, expanded_len};
use crate::object::{self, Found, WINDOW};
use crate::old::OldTrees;
use crate::partners::Partners;
use crate::renamed::OldObjects;
use crate::room::{FIXED_KIB, Room};
use crate::segment::{EncodedSegment, Segment, Source};
use crate::{BuildError, Result};

/// Notes, directories and the release itself on a device, in KiB.
const FIXED_SPACE_KIB: u64 = 64;
/// What a note takes for each new object, in bytes.
const NOTE_BYTES: u64 = 80;

/// What is dearer: bytes, or time on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effort {
    /// As few bytes as can be: coder 2.
    #[default]
    Small,
    /// Somewhat more bytes in a fraction of the time, here and on the device: coder 2 with few
    /// contexts, and a simpler search.
    Balanced,
    /// Fastest to apply: coder 1. Coder 2 with few contexts where little is to be done, or where
    /// it makes much less of text.
    Fast,
}

/// How an update is built.
#[derive(Debug, Clone)]
pub struct Options {
    /// New content after which a segment ends, in bytes: what a device may have to do again
    /// after an interruption.
    pub segment: u64,
    /// Memory for matching objects in parallel, in bytes; a single object may need more.
    pub memory: u64,
    /// Which coder.
    pub effort: Effort,
    /// Memory of the device, in bytes: compressed members that need more to pack them again
    /// stay packed, and the decoder of coder 2 remembers less where it would not fit. An update may
    /// need more all the same; its header says how much.
    pub device_memory: u64,
    /// What the device has to unpack and pack members: those that need another stay packed.
    pub device_codecs: Codecs,
    /// Whether the device computes names of components from derivations.
    pub names: Names,
}

impl Options {
    fn room(&self) -> Room {
        let contexts = match self.effort {
            Effort::Small => Contexts::Many,
            Effort::Balanced | Effort::Fast => Contexts::Few,
        };
        Room { memory: self.device_memory, contexts }
    }

    /// What unpacking members may need beside a decoder of the usual size; `None` where they stay
    /// packed.
    fn unpacking(&self) -> Option<Allowed> {
        let allowed = Allowed { memory: self.room().ample(), codecs: self.device_codecs };
        (self.effort != Effort::Fast).then_some(allowed)
    }

    /// An empty segment.
    fn segment(&self) -> Segment {
        Segment::new(self.room(), self.effort == Effort::Fast)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment: 128 << 20,
            memory: 1 << 30,
            effort: Effort::Small,
            device_memory: 32 << 20,
            device_codecs: Codecs::ALL,
            names: Names::Auto,
        }
    }
}

/// How far building is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of new objects that were matched.
    pub done: u64,
    /// Bytes of all new objects.
    pub total: u64,
}

/// The payload of an update, complete.
pub struct Payload {
    /// All segments.
    pub bytes: Vec<u8>,
    /// What it is made of.
    pub summary: Summary,
    /// What the decoders of a segment take on a device at most, in bytes.
    pub memory: u64,
    /// What new objects, trees and notes take on a device, in bytes.
    pub space: u64,
    /// What the device must have to unpack and pack members.
    pub codecs: Codecs,
    /// Whether the device computes names from derivations.
    pub derives_names: bool,
}

/// An update, complete.
pub struct Built {
    /// Header and signatures.
    pub front: Front,
    /// All frames.
    pub payload: Vec<u8>,
    /// What it is made of.
    pub summary: Summary,
}

/// What an update is made of.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// New objects.
    pub objects: u64,
    /// Their bytes.
    pub object_bytes: u64,
    /// New objects that are made from old ones.
    pub patched: u64,
    /// Their bytes.
    pub patched_bytes: u64,
    /// Objects that are old ones with names replaced, and come without a step.
    pub renamed: u64,
    /// Their bytes.
    pub renamed_bytes: u64,
    /// Names of components that are replaced, and how many of them the device computes.
    pub names: usize,
    /// Of these, the names that the device computes.
    pub derived_names: usize,
    /// Compressed bytes of each stream.
    pub streams: [u64; STREAMS],
    /// Of coder 2: what the bytes of the copy stream are spent on.
    pub spent: Vec<(Section, f64)>,
}

impl Summary {
    fn add_spent(&mut self, spent: &[(Section, f64)]) {
        match self.spent.is_empty() {
            true => self.spent = spent.to_vec(),
            false => {
                for (total, part) in self.spent.iter_mut().zip(spent) {
                    total.1 += part.1;
                }
            }
        }
    }
}

impl Built {
    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.front.to_bytes();
        bytes.extend_from_slice(&self.payload);
        bytes
    }
}

/// Builds the update from `base` (or from nothing) to `target`; both are in the store.
/// `progress` is told about matching, from several threads.
pub fn build_update(
    store: &Store,
    base: Option<ReleaseId>,
    target: ReleaseId,
    keys: &[SecretKey],
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Built> {
    let new = store.release(target)?;
    let Payload { bytes: payload, summary, memory, space, codecs, derives_names } =
        build_payload(store, base, target, options, progress)?;
    let frame_log2 = frame_size(payload.len() as u64);
    let frames: Vec<FrameDigest> = payload.chunks(1 << frame_log2).map(FrameDigest::of).collect();
    if (frames.len() * FRAME_DIGEST_LEN) as u64 > MAX_HEADER / 2 {
        let limit = MAX_HEADER / 2 / FRAME_DIGEST_LEN as u64 * (1 << MAX_FRAME_LOG2);
        return Err(BuildError::TooLong { bytes: payload.len() as u64, limit });
    }
    let header = Header {
        base: base.map(BasePrefix::of),
        derives_names,
        target,
        machine: new.machine,
        counter: new.counter,
        memory_kib: memory.div_ceil(1024) + (1 << frame_log2 >> 10) + FIXED_KIB,
        space_kib: space.div_ceil(1024) + FIXED_SPACE_KIB,
        codecs: codecs.bits(),
        payload_len: payload.len() as u64,
        frame_log2,
        frames,
        extensions: Vec::new(),
    };
    Ok(Built { front: sign(header, keys), payload, summary })
}

/// Builds only the payload of [`build_update`], for a caller who has another front for it.
pub fn build_payload(
    store: &Store,
    base: Option<ReleaseId>,
    target: ReleaseId,
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Payload> {
    if base == Some(target) {
        return Err(BuildError::SameRelease(target));
    }
    let new = store.release(target)?;
    let old = base.map(|id| store.release(id)).transpose()?;
    if let Some(old) = old.as_ref().filter(|old| old.machine != new.machine) {
        let (old, new) = (old.machine.clone(), new.machine);
        return Err(BuildError::OtherMachine { old, new });
    }
    let partners = match &old {
        Some(old) => Partners::find(store, old, &new)?,
        None => Partners::default(),
    };
    let renamer = match &old {
        Some(old) => Renamer::new(partners.renames.tokens(old)?),
        None => Renamer::default(),
    };
    let old_objects = OldObjects { store, renamer: &renamer };
    let old_trees = match &old {
        Some(old) => OldTrees::read(old_objects, old)?,
        None => OldTrees::default(),
    };

    let mut first = options.segment();
    let mut skeleton = partners.skeleton.clone();
    let mut summary = Summary { names: partners.renames.len(), ..Summary::default() };
    let derivations = BothDerivations::find(store, options.names, old.as_ref(), &new)?;
    match (&derivations, &old) {
        (Some(derivations), Some(old)) => {
            let computed = derivations.compute(&partners.renames, old)?;
            let (before, after) = (&derivations.old_bytes, &derivations.new_bytes);
            put_content(&mut first, options.effort, before.clone(), after.clone());
            computed.runs.put(&mut first.program);
            computed.rest.put(&mut first.program, &mut first.hashes);
            skeleton.extend_from_slice(&computed.others);
            summary.derived_names = computed.count;
        }
        _ => partners.renames.put(&mut first.program, &mut first.hashes),
    }
    put_skeleton(&mut first, options.effort, skeleton, target, &new)?;
    let mut diff = TreeDiff::new(&old_trees);
    let mut tree_bytes = 0;
    let mut sources = Vec::new();
    for index in 0..new.components.len() {
        let source = partners.tree(store, &old_trees, &new, index, &mut diff)?;
        if source.makes_tree {
            tree_bytes += on_disk(store.object_len(new.components[index].tree.into())?);
        }
        sources.push(source.source);
    }
    TreeSource::put_all(&sources, &mut first.program);
    let bundles = Bundles::find(store, &diff.objects, options.unpacking())?;
    let later = (0..diff.objects.len()).filter(|index| bundles.has(*index));
    Later::new(later.map(|index| diff.objects[index].number).collect()).put(&mut first.program);
    let (objects, parts) = bundles.arrange(std::mem::take(&mut diff.objects));
    first.tree = std::mem::take(&mut diff.edits);
    first.use_trees();

    let mut payload = Vec::new();
    let (mut memory, mut scratch, mut codecs) = (0, 0, Codecs::NONE);
    let chooser = BaseChooser::new(old_objects, &old_trees);
    let (objects, parts) = (&objects[..], &parts[..]);
    let given = derivations.as_ref().map(|derivations| derivations.id);
    let work = Work { old: old_objects, chooser, options, progress, objects, parts, given };
    let mut first = Some(first);
    // As many segments as there are threads at once: each holds its streams before compression.
    for groups in work.groups().chunks(rayon::current_num_threads()) {
        let mut segments = Vec::new();
        for group in groups {
            let mut segment = first.take().unwrap_or_else(|| options.segment());
            work.encode_group(group.clone(), &old_trees, &mut segment, &mut summary)?;
            segments.push(segment);
        }
        let encoded: Vec<EncodedSegment> = segments
            .into_par_iter()
            .map(|segment| segment.finish(old_objects))
            .collect::<Result<_>>()?;
        for segment in encoded {
            payload.extend_from_slice(&segment.bytes);
            memory = segment.memory.max(memory);
            scratch = segment.scratch.max(scratch);
            codecs = codecs.union(segment.codecs);
            for (total, len) in summary.streams.iter_mut().zip(segment.streams) {
                *total += len;
            }
            summary.add_spent(&segment.spent);
        }
    }

    summary.renamed = diff.renamed.len() as u64;
    summary.renamed_bytes = diff.renamed.iter().sum();
    memory += if renamer.is_empty() { 0 } else { renamer.memory() };
    let sizes = objects.iter().map(|object| object.size).chain(diff.renamed);
    let space: u64 = sizes.map(|size| on_disk(size) + NOTE_BYTES).sum();
    let mut space = space + tree_bytes + on_disk(scratch);
    if let Some(derivations) = &derivations {
        memory += derivations.memory();
        // While trees are made, they are there twice.
        space += 2 * on_disk(derivations.new_bytes.len() as u64);
    }
    let derives_names = derivations.is_some();
    Ok(Payload { bytes: payload, summary, memory, space, codecs, derives_names })
}

/// Writes how the new skeleton comes from the old one.
fn put_skeleton(
    segment: &mut Segment,
    effort: Effort,
    old: Vec<u8>,
    target: ReleaseId,
    new: &Release,
) -> Result<()> {
    let new = new.skeleton().map_err(|source| BuildError::Release { id: target, source })?;
    put_content(segment, effort, old, new);
    Ok(())
}

/// Writes how a content that is in memory comes from another, and how long it is.
fn put_content(segment: &mut Segment, effort: Effort, old: Vec<u8>, new: Vec<u8>) {
    put_varint(&mut segment.program, new.len() as u64);
    let copies = find_copies(&old, &new);
    let streams = (effort == Effort::Fast).then(|| {
        let mut encoder = Encoder::new();
        encoder.window(&new, &old, 0, &copies);
        encoder.finish()
    });
    segment.object(
        Source::Bytes(old),
        Source::Bytes(new),
        Found { copies, streams, ..Found::default() },
    );
}

struct Work<'a> {
    old: OldObjects<'a>,
    chooser: BaseChooser<'a>,
    options: &'a Options,
    progress: &'a (dyn Fn(Progress) + Sync),
    /// In the order in which they are made.
    objects: &'a [NewObject],
    /// For each object the new ones that it is made from, if it is made later.
    parts: &'a [Vec<usize>],
    /// The object that is there already when objects are made.
    given: Option<ObjectId>,
}

/// What a new object is made from.
enum Origin {
    Nothing,
    /// It is there already.
    Given,
    Old(ChosenBase),
    Joined(Vec<(Part, ObjectId)>),
}

impl Work<'_> {
    /// Cuts the objects into runs that make a segment each.
    fn groups(&self) -> Vec<std::ops::Range<usize>> {
        let mut groups = Vec::new();
        let (mut start, mut bytes) = (0, 0);
        for (index, object) in self.objects.iter().enumerate() {
            if bytes > 0 && bytes + object.size > self.options.segment {
                groups.push(start..index);
                (start, bytes) = (index, 0);
            }
            bytes += object.size;
        }
        groups.push(start..self.objects.len());
        groups
    }

    fn encode_group(
        &self,
        group: std::ops::Range<usize>,
        old: &OldTrees,
        segment: &mut Segment,
        summary: &mut Summary,
    ) -> Result<()> {
        let budget = Budget::new(self.options.memory);
        let total = self.objects.iter().map(|object| object.size).sum();
        let before = self.objects[..group.start].iter().map(|object| object.size).sum();
        let done = std::sync::atomic::AtomicU64::new(before);
        let planned = self.plan(group.clone(), &budget)?;
        let encoded: Vec<(Origin, Found)> = group
            .clone()
            .into_par_iter()
            .zip(planned)
            .map(|(index, planned)| {
                let new = &self.objects[index];
                let encoded = self.encode_object(index, planned, old, &budget)?;
                let done = done.fetch_add(new.size, std::sync::atomic::Ordering::Relaxed);
                (self.progress)(Progress { done: done + new.size, total });
                Ok(encoded)
            })
            .collect::<Result<_>>()?;
        for (new, (origin, found)) in self.objects[group].iter().zip(encoded) {
            summary.objects += 1;
            summary.object_bytes += new.size;
            if matches!(origin, Origin::Given) {
                summary.patched += 1;
                summary.patched_bytes += new.size;
                Step::Derivations.put(&mut segment.program);
                continue;
            }
            if let Origin::Joined(parts) = &origin {
                let parts: Vec<Part> = parts.iter().map(|(part, _)| *part).collect();
                Step::Parts.put(&mut segment.program);
                Part::put_all(&parts, &mut segment.program);
            }
            segment.members(&found.members);
            let new_len = expanded_len(new.size, &found.members.new);
            let growth = new_len.wrapping_sub(found.base_len) as i64;
            let step = match &origin {
                Origin::Nothing => Step::Whole(new_len),
                Origin::Given => unreachable!("it needs nothing but its step"),
                Origin::Joined(_) => Step::PatchHere(growth),
                Origin::Old(base) => match old.place(base.id).filter(|_| !base.is_here) {
                    None => Step::PatchHere(growth),
                    Some((place, _)) => Step::Patch(place, growth),
                },
            };
            if !matches!(origin, Origin::Nothing) {
                summary.patched += 1;
                summary.patched_bytes += new.size;
            }
            step.put(&mut segment.program);
            let members = found.members.old.clone();
            let from = match origin {
                Origin::Old(base) => Source::Old(base.id, members),
                Origin::Joined(parts) => {
                    Source::Joined(parts.into_iter().map(|(_, id)| id).collect(), members)
                }
                Origin::Nothing | Origin::Given => Source::Bytes(Vec::new()),
            };
            let mut found = found;
            let to = match found.made.take() {
                Some(made) => Source::Made(new.id, made),
                None => Source::of(new.id, &found.members.new),
            };
            segment.object(from, to, found);
        }
        Ok(())
    }

    /// Chooses bases, and which members are unpacked: not those that need so much memory that the
    /// decoder had to be smaller, unless they are a part of the whole that counts.
    fn plan(&self, group: std::ops::Range<usize>, budget: &Budget) -> Result<Vec<Planned>> {
        let room = self.options.room();
        let content = self.objects[group.clone()].iter().map(|object| object.size).sum();
        let mut planned: Vec<Planned> = group
            .into_par_iter()
            .map(|index| {
                let new = &self.objects[index];
                let base = self.chooser.choose(new)?;
                let from = base.map(|base| (base.id, base.size));
                // Those of bundles are found when they are encoded.
                let unpacking = self.options.unpacking().filter(|_| self.parts[index].is_empty());
                let members = match unpacking {
                    None => None,
                    Some(allowed) => {
                        let (to, store) = ((new.id, new.size), self.old.store);
                        let allowed = Allowed { memory: room.most(), ..allowed };
                        let _share = budget.take(new.size + from.map_or(0, |(_, size)| size));
                        object::members(store, to, from, allowed)?
                    }
                };
                Ok(Planned { base, members })
            })
            .collect::<Result<_>>()?;
        let members = planned.iter().filter_map(|planned| planned.members.as_ref());
        let greedy = members.map(|members| members.greedy(room.ample())).sum();
        let packer = room.packer(greedy, content);
        for Planned { members, .. } in &mut planned {
            *members = members.take().and_then(|members| members.within(packer));
        }
        Ok(planned)
    }

    fn encode_object(
        &self,
        index: usize,
        Planned { base, members }: Planned,
        old: &OldTrees,
        budget: &Budget,
    ) -> Result<(Origin, Found)> {
        let new = &self.objects[index];
        if self.given == Some(new.id) {
            return Ok((Origin::Given, Found::default()));
        }
        if !self.parts[index].is_empty() {
            return self.encode_bundle(index, base, old, budget);
        }
        let from = base.map(|base| base.id);
        let found = match members {
            None => {
                let needed = object::memory_for(new.size, base.map(|base| base.size));
                let _share = budget.take(needed);
                object::find(self.old, (new.id, new.size), from, self.options.effort)?
            }
            Some(members) => {
                let old = base.map(|base| expanded_len(base.size, &members.old));
                let new_len = expanded_len(new.size, &members.new);
                let _share = budget.take(object::memory_for(new_len, old));
                object::find_unpacked(self.old, new.id, from, members, self.options.effort)?
            }
        };
        let base = base.filter(|_| !found.copies.is_empty());
        Ok((base.map_or(Origin::Nothing, Origin::Old), found))
    }

    /// Encodes an object that has new ones in it: from what it had before, and from these.
    fn encode_bundle(
        &self,
        index: usize,
        base: Option<ChosenBase>,
        old: &OldTrees,
        budget: &Budget,
    ) -> Result<(Origin, Found)> {
        let new = &self.objects[index];
        let mut len = 0;
        let mut parts = Vec::new();
        if let Some(base) = base.filter(|base| base.size <= WINDOW) {
            let part = match old.place(base.id).filter(|_| !base.is_here) {
                None => Part::Here,
                Some((place, _)) => Part::Old(place),
            };
            parts.push((part, base.id));
            len += base.size;
        }
        for part in &self.parts[index] {
            let part = &self.objects[*part];
            parts.push((Part::New(part.number), part.id));
            len += part.size;
        }
        let _share = budget.take(object::memory_for(new.size, Some(len)));
        let ids: Vec<ObjectId> = parts.iter().map(|(_, id)| *id).collect();
        let (unpacking, effort) = (self.options.unpacking(), self.options.effort);
        let found = object::find_joined(self.old, new.id, &ids, unpacking, effort)?;
        match found.copies.is_empty() {
            true => Ok((Origin::Nothing, found)),
            false => Ok((Origin::Joined(parts), found)),
        }
    }
}

/// What a new object is made from.
struct Planned {
    base: Option<ChosenBase>,
    members: Option<Members>,
}

fn sign(header: Header, keys: &[SecretKey]) -> Front {
    let message = Front::new(header.clone(), Vec::new()).signed_message();
    let signatures = keys
        .iter()
        .map(|key| HeaderSignature {
            key: *key.id().as_bytes(),
            signature: *key.sign(&message).as_bytes(),
        })
        .collect();
    Front::new(header, signatures)
}

/// Small frames resume well, large ones keep the list of their digests short.
fn frame_size(payload: u64) -> u8 {
    match payload {
        0..=0x10_0000 => MIN_FRAME_LOG2,
        0x10_0001..=0x1000_0000 => MIN_FRAME_LOG2 + 2,
        _ => MAX_FRAME_LOG2,
    }
}

/// What a file of this length takes on a device.
fn on_disk(len: u64) -> u64 {
    len.next_multiple_of(4096)
}
