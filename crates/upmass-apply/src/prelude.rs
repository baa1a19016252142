//! The front of the first segment: the new release without its trees, and how to get them.

use std::cell::RefCell;
use std::io::{BufReader, Read};
use std::rc::Rc;

use upmass_delta::DeltaError;
use upmass_delta::coder::Decoder;
use upmass_delta::rename::Renamer;
use upmass_delta::stream::StreamDecoder;
use upmass_format::payload::{Demux, Later, STREAMS, Stream, StreamInput, TreeSource};
use upmass_format::release::{MAX_RELEASE, Release};
use upmass_format::rename::Renames;
use upmass_format::wire::Reader;
use upmass_format::{FormatError, TreeId};
use upmass_member::{Codecs, Recipe};

use crate::derived::{Before, Derived};
use crate::frames::{Failure, Frames};
use crate::{ApplyError, Result};

/// A program stream.
pub(crate) type Program<'a> = Reader<BufReader<StreamDecoder<StreamInput<Frames<'a>>>>>;
/// A tree stream.
pub(crate) type Edits<'a> = Program<'a>;

/// An open segment with its decoders.
pub(crate) struct Segment<'a> {
    demux: Rc<RefCell<Demux<Frames<'a>>>>,
    pub(crate) program: Program<'a>,
    pub(crate) edits: Edits<'a>,
    pub(crate) patches: Decoder<StreamInput<Frames<'a>>>,
    hashes: Program<'a>,
    /// Recipes of members that the program has named.
    pub(crate) recipes: Vec<Recipe>,
    /// The codecs that they may need.
    pub(crate) codecs: Codecs,
}

/// What the first segment says before its objects.
pub(crate) struct Prelude {
    /// The new release; tree ids are zero until its trees are there.
    pub(crate) release: Release,
    /// New derivations, where names were computed from them.
    pub(crate) derived: Option<Derived>,
    /// Replaces old names in old contents.
    pub(crate) renamer: Renamer,
    /// New objects that are made when all others are there.
    pub(crate) later: Later,
    /// Where the tree of each component comes from.
    sources: Vec<TreeSource>,
    /// Names of the old components when they are renamed, ascending, with their indexes.
    old_names: Vec<(String, usize)>,
}

/// Where the tree of a component comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TreeBase {
    /// It is this old tree.
    Same(TreeId),
    /// It is this old tree renamed.
    Renamed(TreeId),
    /// It is made by edits, of this old tree or of nothing.
    Edited(Option<TreeId>),
}

impl<'a> Segment<'a> {
    /// Opens the segment at a position of the payload. `None` at its end.
    pub(crate) fn open(frames: Frames<'a>, position: u64) -> Result<Option<Self>> {
        let codecs = frames.codecs();
        let Some((demux, coder)) = Demux::start(frames, position)? else {
            return Ok(None);
        };
        let demux = Rc::new(RefCell::new(demux));
        let input = |stream| StreamInput::new(&demux, stream);
        let text = |stream, buffer| {
            let decoder = StreamDecoder::new(stream, input(stream));
            Reader::new(BufReader::with_capacity(buffer, decoder))
        };
        let program = text(Stream::Program, 4096);
        let edits = text(Stream::Tree, 4096);
        let hashes = text(Stream::Hash, 512);
        let streams = [Stream::Copy, Stream::Residue, Stream::Literal];
        let Some(patches) = Decoder::new(coder, streams.map(input)) else {
            let (what, found) = ("segment coder", coder.into());
            return Err(FormatError::Unknown { what, offset: position, found }.into());
        };
        Ok(Some(Self { demux, program, edits, patches, hashes, recipes: Vec::new(), codecs }))
    }

    /// Counts what patches spend on each section.
    pub(crate) fn measuring(self) -> Self {
        Self { patches: self.patches.measuring(), ..self }
    }

    /// Compressed bytes of each stream that were read so far.
    pub(crate) fn sizes(&self) -> [u64; STREAMS] {
        self.demux.borrow().sizes()
    }

    /// Checks that the segment ends here. Gives the position of the next one.
    pub(crate) fn close(self) -> Result<u64> {
        drop((self.program, self.edits, self.patches, self.hashes));
        let demux = Rc::into_inner(self.demux).expect("all decoders of the segment are gone");
        let (_, position) = demux.into_inner().finish(upmass_delta::stream::SLACK)?;
        Ok(position)
    }

    /// Reads the prelude; only the first segment has one.
    pub(crate) fn prelude(&mut self, before: Before<'_>) -> Result<Prelude> {
        let base = before.base;
        let components = base.map_or(0, |base| base.components.len());
        let mut derived = match before.derives_names {
            true => Some(Derived::read(self, before)?),
            false => None,
        };
        let mut renames = Renames::read(&mut self.program, &mut self.hashes, components)?;
        if renames.has_hashes() {
            // Where there are none there is no stream, and looking for it would read all others.
            expect_end(&mut self.hashes, "hash stream")?;
        }
        if let Some(derived) = &mut derived {
            renames = renames.with(std::mem::take(&mut derived.names.renames))?;
        }
        let (mut renamer, mut old, mut old_names) = (Renamer::default(), Vec::new(), Vec::new());
        if let Some(base) = base {
            renamer = Renamer::new(renames.tokens(base)?);
            let (renamed, order) = renames.release(base, &|text| renamer.rename(text))?;
            old = renamed.skeleton().map_err(|error| ApplyError::Program(error.to_string()))?;
            let names = renamed.components.into_iter().map(|component| component.name);
            old_names = names.zip(order).collect();
        }
        if let Some(derived) = &mut derived {
            old.append(&mut derived.names.others);
        }
        let len = self.program.number(MAX_RELEASE, "length of the release")?;
        let mut skeleton = Vec::new();
        self.patches.patch(&&old[..], len, &mut skeleton)?;
        let release = Release::read_skeleton(&skeleton[..])?;
        let sources = TreeSource::read_all(&mut self.program, release.components.len())?;
        let later = Later::read(&mut self.program)?;
        Ok(Prelude { release, derived, renamer, later, sources, old_names })
    }
}

impl Prelude {
    /// Where the tree of a component comes from.
    pub(crate) fn base_tree(&self, component: usize, base: Option<&Release>) -> Result<TreeBase> {
        let name = &self.release.components[component].name;
        let missing = |what: String| ApplyError::Program(format!("{what}, which the base has not"));
        let by_name = || {
            let found = self.old_names.binary_search_by(|(old, _)| old.cmp(name));
            found
                .map(|at| self.old_names[at].1)
                .map_err(|_| missing(format!("component {name:?} has its tree from the old one")))
        };
        let by_index = |index: u64| {
            let count = base.map_or(0, |base| base.components.len());
            usize::try_from(index)
                .ok()
                .filter(|index| *index < count)
                .ok_or_else(|| missing(format!("component {name:?} uses component {index}")))
        };
        let old = |index: usize| &base.expect("an old component was found").components[index];
        Ok(match self.sources[component] {
            TreeSource::New => TreeBase::Edited(None),
            TreeSource::Same => {
                let old = old(by_name()?);
                match old.name == *name {
                    true => TreeBase::Same(old.tree),
                    false => TreeBase::Renamed(old.tree),
                }
            }
            TreeSource::Edit => TreeBase::Edited(Some(old(by_name()?).tree)),
            TreeSource::SameAs(index) => TreeBase::Same(old(by_index(index)?).tree),
            TreeSource::EditOf(index) => TreeBase::Edited(Some(old(by_index(index)?).tree)),
        })
    }
}

/// Turns the error of a decoder into the reason that was kept, if any.
pub(crate) fn decoded<T>(
    failure: &Failure,
    result: std::result::Result<T, DeltaError>,
) -> Result<T> {
    result.map_err(|error| failure.or(error))
}

/// Reads to its end what must be empty.
pub(crate) fn expect_end<R: Read>(reader: &mut Reader<R>, what: &'static str) -> Result<()> {
    Ok(reader.expect_end(what)?)
}
