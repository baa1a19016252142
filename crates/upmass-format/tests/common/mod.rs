//! What the tests of this crate share.

#![allow(dead_code, reason = "each test uses a part of it")]

pub mod any;
pub mod damage;
pub mod markdown;
pub mod samples;
pub mod vectors;

use std::io::Read;

use upmass_format::patch;
use upmass_format::payload::{Later, OldPlace, Part, Step, TreeSource};
use upmass_format::release::Release;
use upmass_format::rename::Renames;
use upmass_format::tree::{Directory, Entry, Event, MtimePolicy, Node, TreeReader, TreeWriter};
use upmass_format::tree_edit::{Edit, EditHead};
use upmass_format::update::Front;
use upmass_format::wire::Reader;
use upmass_format::{FormatError, Result};

/// Reads a tree and writes it again.
pub fn tree_again(bytes: &[u8]) -> Result<Vec<u8>> {
    let (tree, policy) = Directory::read(bytes)?;
    Ok(tree.to_bytes(policy).expect("a tree that was read"))
}

/// Reads a tree from the first entry of its root on and writes it again, from there on.
/// `front` is everything before.
pub fn entries_again(front: &[u8], bytes: &[u8]) -> Result<Vec<u8>> {
    let front = [front, &[0]].concat();
    let whole = TreeReader::new(&front[..]).expect("the front of a tree");
    let (policy, start) = (whole.policy(), whole.offset());
    let mut reader = TreeReader::resume(bytes, policy, start);
    let mut writer = TreeWriter::new(Vec::new(), policy, whole.root()).unwrap();
    while let Some(event) = reader.next_event()? {
        match event {
            Event::Entry(entry) => write_entry(&mut writer, &entry)?,
            Event::Leave => writer.leave().unwrap(),
        }
    }
    assert_eq!(reader.offset(), writer.offset());
    reader.finish()?;
    Ok(writer.finish().unwrap().split_off(start as usize))
}

/// Only who reads a tree from its start can tell what comes before a hardlink.
fn write_entry(writer: &mut TreeWriter<Vec<u8>>, entry: &Entry) -> Result<()> {
    match (writer.entry(entry), &entry.node) {
        (Err(_), Node::Hardlink(target)) => Err(FormatError::Invalid {
            what: "hardlink target",
            offset: 0,
            expected: "an entry before it",
            found: target.to_string(),
        }),
        (written, _) => {
            written.expect("an entry that was read");
            Ok(())
        }
    }
}

/// Reads a release and writes it again.
pub fn release_again(bytes: &[u8]) -> Result<Vec<u8>> {
    Ok(Release::read(bytes)?.to_bytes().expect("a release that was read"))
}

/// Reads a skeleton and writes it again.
pub fn skeleton_again(bytes: &[u8]) -> Result<Vec<u8>> {
    Ok(Release::read_skeleton(bytes)?.skeleton().expect("a skeleton that was read"))
}

/// Reads the head of a patch and writes it again.
pub fn patch_again(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut rest = bytes;
    let head = patch::Head::read(&mut rest)?;
    Ok([&head.to_bytes()[..], rest].concat())
}

/// Reads a front and writes it again.
pub fn front_again(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut rest = bytes;
    let front = Front::read(&mut rest)?;
    assert_eq!(front.payload_offset(), (bytes.len() - rest.len()) as u64);
    let again = Front::new(front.header.clone(), front.signatures.clone());
    assert_eq!(front, again);
    Ok([&front.to_bytes(), rest].concat())
}

/// Reads the edits of one tree and writes them again.
pub fn edits_again(bytes: &[u8]) -> Result<Vec<u8>> {
    let (head, edits) = read_edits(bytes)?;
    Ok(put_edits(&head, &edits))
}

/// The edits of one tree, to the end of the bytes.
pub fn read_edits(bytes: &[u8]) -> Result<(EditHead, Vec<Edit>)> {
    let mut input = Reader::new(bytes);
    let head = EditHead::read(&mut input)?;
    let edits = to_end(&mut input, bytes.len(), |input| Edit::read(input, head.policy))?;
    Ok((head, edits))
}

/// The bytes of head and edits.
pub fn put_edits(head: &EditHead, edits: &[Edit]) -> Vec<u8> {
    let mut out = Vec::new();
    head.put(&mut out);
    edits.iter().for_each(|edit| edit.put(&mut out));
    out
}

/// Reads the head of edits and writes it again.
pub fn edit_head_again(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut input = Reader::new(bytes);
    let head = EditHead::read(&mut input)?;
    input.expect_end("edit head")?;
    let mut out = Vec::new();
    head.put(&mut out);
    Ok(out)
}

/// Reads steps to the end of the bytes.
pub fn read_steps(bytes: &[u8]) -> Result<Vec<Step>> {
    to_end(&mut Reader::new(bytes), bytes.len(), Step::read)
}

/// The bytes of steps.
pub fn put_steps(steps: &[Step]) -> Vec<u8> {
    let mut out = Vec::new();
    steps.iter().for_each(|step| step.put(&mut out));
    out
}

/// Reads steps and writes them again.
pub fn steps_again(bytes: &[u8]) -> Result<Vec<u8>> {
    Ok(put_steps(&read_steps(bytes)?))
}

/// Reads the sources of `count` trees and writes them again.
pub fn sources_again(bytes: &[u8], count: usize) -> Result<Vec<u8>> {
    let mut input = Reader::new(bytes);
    let sources = TreeSource::read_all(&mut input, count)?;
    input.expect_end("tree sources")?;
    let mut out = Vec::new();
    TreeSource::put_all(&sources, &mut out);
    Ok(out)
}

/// The bytes of a list of what is made later, and of one of parts.
pub fn put_later_and_parts(later: &Later, parts: &[Part]) -> Vec<u8> {
    let mut out = Vec::new();
    later.put(&mut out);
    Part::put_all(parts, &mut out);
    out
}

/// Reads such lists and writes them again.
pub fn later_and_parts_again(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut input = Reader::new(bytes);
    let later = Later::read(&mut input)?;
    let parts = Part::read_all(&mut input)?;
    input.expect_end("parts")?;
    Ok(put_later_and_parts(&later, &parts))
}

/// Reads a table of names for `count` old components, whose hashes are all zero, and writes it again.
pub fn renames_again(bytes: &[u8], count: usize) -> Result<Vec<u8>> {
    let mut input = Reader::new(bytes);
    let table = Renames::read(&mut input, &mut Reader::new(std::io::repeat(0)), count)?;
    input.expect_end("table of names")?;
    let mut out = Vec::new();
    table.put(&mut out, &mut Vec::new());
    Ok(out)
}

/// Reads a place and writes it again.
pub fn place_again(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut input = Reader::new(bytes);
    let place = OldPlace::read(&mut input)?;
    input.expect_end("old place")?;
    let mut out = Vec::new();
    place.put(&mut out);
    Ok(out)
}

fn to_end<'a, T>(
    input: &mut Reader<&'a [u8]>,
    len: usize,
    mut read: impl FnMut(&mut Reader<&'a [u8]>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut items = Vec::new();
    while input.offset() < len as u64 {
        items.push(read(input)?);
    }
    Ok(items)
}

/// A policy as the flag that it is in memory.
pub fn policies() -> [MtimePolicy; 2] {
    [MtimePolicy::Normalised, MtimePolicy::Kept]
}

/// Gives what it reads in pieces of the given lengths, over and over.
pub struct InPieces<'a> {
    bytes: &'a [u8],
    lengths: std::iter::Cycle<std::slice::Iter<'a, usize>>,
}

impl<'a> InPieces<'a> {
    /// `lengths` are not empty, and none is 0.
    pub fn new(bytes: &'a [u8], lengths: &'a [usize]) -> Self {
        let lengths = lengths.iter().cycle();
        Self { bytes, lengths }
    }
}

impl Read for InPieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = *self.lengths.next().expect("lengths go round");
        let len = len.min(buffer.len());
        self.bytes.read(&mut buffer[..len])
    }
}

/// A reader that fails, with an error of ours inside, where its bytes end.
pub struct Failing<'a>(pub &'a [u8], pub FormatError);

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.0.is_empty() {
            true => Err(self.1.clone().into()),
            false => self.0.read(buffer),
        }
    }
}
