//! One new object as the streams that make it from its base.

use upmass_delta::align::{align, align_quickly};
use upmass_delta::find::{MAX_OLD, find_copies, similarity};
use upmass_delta::patch::{Base, Buffered, Copied, Encoder, RawStreams};
use upmass_delta::stream::estimate;
use upmass_disk::ReadAt;
use upmass_format::ObjectId;
use upmass_store::Store;

use crate::members::{Allowed, MAX_FILE, Members, expand, may_have_members};
use crate::renamed::OldObjects;
use crate::{BuildError, Effort, Result};

/// Larger objects are cut into windows of this size, each matched against the same region of
/// the base and as much around it.
pub(crate) const WINDOW: u64 = 64 << 20;
/// A base may be this long to be searched as a whole.
pub(crate) const MAX_WHOLE_BASE: u64 = 128 << 20;
/// Windows with less in common are sent as they are.
const POOR: f64 = 0.01;
/// Equal starts and ends shorter than this are left to the search.
const MIN_END: usize = 64 << 10;
/// A changed part up to this size is searched for in so much of the base around its place.
const FEW: usize = 1 << 20;
const AROUND: usize = 8 << 20;
/// With so much covered by copies there is no question whether a patch is cheaper.
const MOST: f64 = 0.5;

/// Memory that encoding an object takes, in bytes.
pub(crate) fn memory_for(new: u64, base: Option<u64>) -> u64 {
    let new = new.min(WINDOW);
    let old = match base {
        None => 0,
        Some(old) if old <= MAX_WHOLE_BASE => old,
        Some(_) => 2 * WINDOW,
    };
    // Both as they are and without addresses, and what searching takes.
    4 * new + (2 + upmass_delta::find::MEMORY_PER_OLD_BYTE) * old
}

/// How a new object comes from its base.
#[derive(Default)]
pub(crate) struct Found {
    /// Ascending in the new object, without overlaps.
    pub(crate) copies: Vec<Copied>,
    /// What is unpacked; copies speak of contents with members unpacked.
    pub(crate) members: Members,
    /// Coder 1 only: the streams.
    pub(crate) streams: Option<RawStreams>,
    /// Length of the base as copies see it: renamed, with members unpacked.
    pub(crate) base_len: u64,
    /// What a device must write down to read the base, in bytes.
    pub(crate) scratch: u64,
    /// The new content with members unpacked, where parses are in it.
    pub(crate) made: Option<Vec<u8>>,
}

/// Finds what a new object copies from its base, and for coder 1 encodes it.
pub(crate) fn find(
    old: OldObjects<'_>,
    new: (ObjectId, u64),
    base: Option<ObjectId>,
    effort: Effort,
) -> Result<Found> {
    let (new_id, new_len) = new;
    let new_file = old.store.open_object(new_id)?;
    let scratch = base.map(|id| old.scratch(id)).transpose()?.unwrap_or(0);
    let base = base.map(|id| Ok::<_, BuildError>((id, old.open(id)?))).transpose()?;
    let mut encoder = (effort == Effort::Fast).then(Encoder::new);
    let mut copies = Vec::new();
    let mut start = 0;
    // Without base there is nothing to find, and coder 2 reads the content when it encodes.
    while start < new_len && (base.is_some() || encoder.is_some()) {
        let end = new_len.min(start + WINDOW);
        let window = read(&*new_file, new_id, start, end)?;
        let (old_start, old, found) = match &base {
            None => (0, Vec::new(), Vec::new()),
            Some((id, file)) => {
                let base = Part { file: &**file, id: *id, len: file.len() };
                base.copies(&window, start, effort)?
            }
        };
        if let Some(encoder) = &mut encoder {
            encoder.window(&window, &old, old_start, &found);
        }
        copies.extend(found.into_iter().map(|copy| Copied { new: copy.new + start, ..copy }));
        start = end;
    }
    let base_len = base.map_or(0, |(_, file)| file.len());
    let streams = encoder.map(Encoder::finish);
    Ok(Found { copies, streams, base_len, scratch, ..Found::default() })
}

/// The compressed members of a new object and its base that are worth unpacking. `None`: there
/// are none.
pub(crate) fn members(
    store: &Store,
    (id, len): (ObjectId, u64),
    base: Option<(ObjectId, u64)>,
    allowed: Allowed,
) -> Result<Option<Members>> {
    if len > MAX_FILE || !may_have_members(&read_start(store, id, 8)?) {
        return Ok(None);
    }
    let new = read_start(store, id, len as usize)?;
    let old = match base.filter(|(_, len)| *len <= MAX_FILE) {
        Some((id, len)) => read_start(store, id, len as usize)?,
        None => Vec::new(),
    };
    Ok(Some(Members::find(&old, &new, allowed)).filter(|members| !members.new.is_empty()))
}

/// Finds what a new object copies from its base, with these members unpacked.
pub(crate) fn find_unpacked(
    old: OldObjects<'_>,
    new_id: ObjectId,
    base_id: Option<ObjectId>,
    mut members: Members,
    effort: Effort,
) -> Result<Found> {
    let packed = read_start(old.store, new_id, MAX_FILE as usize)?;
    if base_id.is_none() {
        members = members.without_parses();
    }
    let members_before = members.clone();
    let new = expand(&packed, &members.new);
    let base = base_id.map(|base| old.expanded(base, &members.old)).transpose()?;
    let mut base_len = base.as_ref().map_or(0, |base| base.len() as u64);
    let copies =
        base.as_ref().map_or(Vec::new(), |base| worthwhile_copies(base, &new, search(effort)));
    if copies.is_empty() {
        members.old.clear();
        base_len = 0;
    }
    let mut found = Found { copies, members, base_len, ..Found::default() };
    if found.members.have_parses() {
        drop((new, base));
        let base_packed = base_id.map(|id| read_start(old.store, id, MAX_FILE as usize));
        let base_packed = base_packed.transpose()?.unwrap_or_default();
        let parsed = match found.copies.is_empty() {
            true => None,
            false => found.members.write_parses(&base_packed, &packed, &found.copies),
        };
        let Some(parsed) = parsed else {
            let members = members_before.without_parses();
            return find_unpacked(old, new_id, base_id, members, effort);
        };
        found.copies = parsed.copies;
        found.scratch = found.members.space() + parsed.scratch;
        found.made = Some(parsed.new);
    }
    Ok(found)
}

/// Finds what a new object copies from several contents, one after the other; what is compressed is
/// unpacked if so much memory may be used for that.
pub(crate) fn find_joined(
    old: OldObjects<'_>,
    new: ObjectId,
    parts: &[ObjectId],
    unpacking: Option<Allowed>,
    effort: Effort,
) -> Result<Found> {
    let packed = read_start(old.store, new, WINDOW as usize)?;
    let joined = old.joined(parts)?;
    let members = match unpacking.filter(|_| may_have_members(&packed)) {
        Some(allowed) => Members::find(&joined, &packed, allowed.without_parses()),
        None => Members::default(),
    };
    let new = expand(&packed, &members.new);
    let base = old.renamed(expand(&joined, &members.old));
    let copies = worthwhile_copies(&base, &new, search(effort));
    let streams = (effort == Effort::Fast).then(|| {
        let mut encoder = Encoder::new();
        encoder.window(&new, &base, 0, &copies);
        encoder.finish()
    });
    let mut found = Found { copies, members, streams, ..Found::default() };
    match found.copies.is_empty() {
        true => found.members.old.clear(),
        false => {
            found.base_len = base.len() as u64;
            found.scratch = old.scratch_of(&expand(&joined, &found.members.old))?;
        }
    }
    Ok(found)
}

/// An object of the store as the encoder reads it.
pub(crate) fn content<'a>(file: Box<dyn ReadAt + 'a>) -> impl Base + 'a {
    let len = file.len();
    Buffered::new(len, move |buffer: &mut [u8], offset| file.read_exact_at(buffer, offset))
}

/// A base while windows of a new object are matched against it.
struct Part<'a> {
    file: &'a dyn ReadAt,
    id: ObjectId,
    len: u64,
}

impl Part<'_> {
    /// Copies for the window of the new object at `start`, and the region of the base that they
    /// are in.
    fn copies(
        &self,
        window: &[u8],
        start: u64,
        effort: Effort,
    ) -> Result<(u64, Vec<u8>, Vec<Copied>)> {
        let (old_start, old) = match self.len <= MAX_WHOLE_BASE {
            true => (0, self.read(0, self.len)?),
            false => {
                let end = start + window.len() as u64;
                let from = start.saturating_sub(WINDOW / 2).min(self.len);
                (from, self.read(from, self.len.min(end + WINDOW / 2))?)
            }
        };
        // What is equal at the same place needs no search; of images it is nearly all.
        let here = &old[((start - old_start) as usize).min(old.len())..];
        let (prefix, suffix) = common_ends(here, window);
        let middle = &window[prefix..window.len() - suffix];
        let at = |new: usize, len: usize| Copied {
            new: new as u64,
            old: start + new as u64,
            len: len as u64,
        };
        let mut copies = Vec::new();
        if prefix > 0 {
            copies.push(at(0, prefix));
        }
        let around = match middle.len() <= FEW {
            true => {
                let from = (start - old_start) as usize + prefix;
                from.saturating_sub(AROUND)..old.len().min(from + middle.len() + AROUND)
            }
            false => 0..old.len(),
        };
        let shift = old_start + around.start as u64;
        let is_part = middle.len() <= FEW || old.len() as u64 > MAX_WHOLE_BASE;
        // Where only a part is searched, its place in a program is not known.
        let is_whole = !is_part && prefix == 0 && suffix == 0;
        let search = if is_whole { search(effort) } else { find_copies };
        let inner = worthwhile_copies(&old[around], middle, search);
        copies.extend(inner.into_iter().map(|copy| Copied {
            new: copy.new + prefix as u64,
            old: copy.old + shift,
            len: copy.len,
        }));
        if suffix > 0 {
            copies.push(at(window.len() - suffix, suffix));
        }
        Ok((old_start, old, copies))
    }

    fn read(&self, start: u64, end: u64) -> Result<Vec<u8>> {
        read(self.file, self.id, start, end)
    }
}

/// Lengths of the equal starts and ends, as far as they are long enough to be worth a copy and
/// do not overlap. The ends are compared at the same place, not at the ends of both.
fn common_ends(old: &[u8], new: &[u8]) -> (usize, usize) {
    let prefix = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    if prefix == new.len() {
        return (prefix, 0);
    }
    let suffix = match old.len() >= new.len() {
        true => {
            let rest = old[prefix..new.len()].iter().rev().zip(new[prefix..].iter().rev());
            rest.take_while(|(a, b)| a == b).count()
        }
        false => 0,
    };
    let worth = |len: usize| if len >= MIN_END { len } else { 0 };
    (worth(prefix), worth(suffix))
}

/// How copies are looked for.
fn search(effort: Effort) -> fn(&[u8], &[u8]) -> Vec<Copied> {
    match effort {
        Effort::Small => align,
        Effort::Balanced => align_quickly,
        Effort::Fast => find_copies,
    }
}

/// The first bytes of an object.
pub(crate) fn read_start(store: &Store, id: ObjectId, limit: usize) -> Result<Vec<u8>> {
    let file = store.open_object(id)?;
    read(&*file, id, 0, file.len().min(limit as u64))
}

/// Copies, or none when sending the window whole is cheaper.
fn worthwhile_copies(
    old: &[u8],
    new: &[u8],
    find: impl Fn(&[u8], &[u8]) -> Vec<Copied>,
) -> Vec<Copied> {
    debug_assert!(old.len() <= MAX_OLD);
    if old.is_empty() || new.iter().all(|byte| *byte == 0) {
        return Vec::new();
    }
    if new.len() >= 4096 && old.len() >= 4096 && similarity(old, new) < POOR {
        return Vec::new();
    }
    let copies = find(old, new);
    let covered: u64 = copies.iter().map(|copy| copy.len).sum();
    if covered as f64 >= MOST * new.len() as f64 || copies.is_empty() {
        return copies;
    }
    let mut encoder = Encoder::new();
    encoder.window(new, old, 0, &copies);
    let patch = encoder.finish();
    let patched = estimate(&patch.copy) + estimate(&patch.residue) + estimate(&patch.literal);
    match patched < estimate(new) {
        true => copies,
        false => Vec::new(),
    }
}

fn read(file: &dyn ReadAt, id: ObjectId, start: u64, end: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; (end - start) as usize];
    file.read_exact_at(&mut bytes, start).map_err(|source| BuildError::Read { id, source })?;
    Ok(bytes)
}
