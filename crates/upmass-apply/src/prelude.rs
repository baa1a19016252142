//! The front of the first segment: the new release without its trees, and how to get them.

use std::cell::RefCell;
use std::io::{BufReader, Read};
use std::rc::Rc;

use upmass_delta::DeltaError;
use upmass_delta::coder::Decoder;
use upmass_delta::stream::StreamDecoder;
use upmass_format::payload::{Demux, STREAMS, Stream, StreamInput, TreeSource};
use upmass_format::release::{MAX_RELEASE, Release};
use upmass_format::wire::Reader;
use upmass_format::{FormatError, TreeId};
use upmass_member::Recipe;

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
    /// Recipes of members that the program has named.
    pub(crate) recipes: Vec<Recipe>,
}

/// What the first segment says before its objects.
pub(crate) struct Prelude {
    /// The new release; tree ids are zero until its trees are there.
    pub(crate) release: Release,
    /// Where the tree of each component comes from.
    pub(crate) sources: Vec<TreeSource>,
}

impl<'a> Segment<'a> {
    /// Opens the segment at a position of the payload. `None` at its end.
    pub(crate) fn open(frames: Frames<'a>, position: u64) -> Result<Option<Self>> {
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
        let streams = [Stream::Copy, Stream::Residue, Stream::Literal];
        let Some(patches) = Decoder::new(coder, streams.map(input)) else {
            let (what, found) = ("segment coder", coder.into());
            return Err(FormatError::Unknown { what, offset: position, found }.into());
        };
        Ok(Some(Self { demux, program, edits, patches, recipes: Vec::new() }))
    }

    /// Compressed bytes of each stream that were read so far.
    pub(crate) fn sizes(&self) -> [u64; STREAMS] {
        self.demux.borrow().sizes()
    }

    /// Checks that the segment ends here. Gives the position of the next one.
    pub(crate) fn close(self) -> Result<u64> {
        drop((self.program, self.edits, self.patches));
        let demux = Rc::into_inner(self.demux).expect("all decoders of the segment are gone");
        let (_, position) = demux.into_inner().finish(upmass_delta::stream::SLACK)?;
        Ok(position)
    }

    /// Reads the prelude; only the first segment has one.
    pub(crate) fn prelude(&mut self, base: Option<&Release>) -> Result<Prelude> {
        let len = self.program.number(MAX_RELEASE, "length of the release")?;
        let old = match base {
            Some(base) => {
                base.skeleton().map_err(|error| ApplyError::Program(error.to_string()))?
            }
            None => Vec::new(),
        };
        let mut skeleton = Vec::new();
        self.patches.patch(&&old[..], len, &mut skeleton)?;
        let release = Release::read_skeleton(&skeleton[..])?;
        let sources = TreeSource::read_all(&mut self.program, release.components.len())?;
        Ok(Prelude { release, sources })
    }
}

impl Prelude {
    /// The old tree that a component starts from, and whether it is edited. `None`: new.
    pub(crate) fn base_tree(
        &self,
        component: usize,
        base: Option<&Release>,
    ) -> Result<Option<(TreeId, usize, bool)>> {
        let name = &self.release.components[component].name;
        let missing = |what: String| ApplyError::Program(format!("{what}, which the base has not"));
        let by_name = || {
            base.and_then(|base| base.component(name))
                .ok_or_else(|| missing(format!("component {name:?} has its tree from the old one")))
        };
        let by_index = |index: u64| {
            let count = base.map_or(0, |base| base.components.len());
            usize::try_from(index)
                .ok()
                .filter(|index| *index < count)
                .ok_or_else(|| missing(format!("component {name:?} uses component {index}")))
        };
        let (index, is_edited) = match self.sources[component] {
            TreeSource::New => return Ok(None),
            TreeSource::Same => (by_name()?, false),
            TreeSource::Edit => (by_name()?, true),
            TreeSource::SameAs(index) => (by_index(index)?, false),
            TreeSource::EditOf(index) => (by_index(index)?, true),
        };
        let base = base.expect("an index into its components was found");
        Ok(Some((base.components[index].tree, index, is_edited)))
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
