//! Every prefix and every flipped bit of every format: nothing panics, and what is accepted is
//! another value, in its one encoding.

mod common;

use common::damage::{Cut, check, each_flipped_bit, each_prefix};
use common::samples;
use common::{
    edit_head_again, edits_again, entries_again, front_again, later_and_parts_again, patch_again,
    place_again, put_edits, put_later_and_parts, put_steps, release_again, renames_again,
    skeleton_again, sources_again, steps_again, tree_again,
};
use upmass_format::payload::{Demux, MAX_QUEUED, STREAMS, Stream, TreeSource, put_segment};
use upmass_format::release::Release;
use upmass_format::tree::{Directory, MtimePolicy, TreeReader};
use upmass_format::tree_edit::{EditHead, OldNames};
use upmass_format::update::Front;
use upmass_format::wire::put_varint;
use upmass_format::{FormatError, Result};

fn encoded(tree: &Directory, policy: MtimePolicy) -> Vec<u8> {
    tree.to_bytes(policy).unwrap()
}

#[test]
fn a_damaged_tree_is_refused_or_another_tree() {
    let tree = samples::every_node();
    check(&encoded(&tree, MtimePolicy::Normalised), Cut::Refused, tree_again);
    let tree = samples::with_times(tree);
    check(&encoded(&tree, MtimePolicy::Kept), Cut::Refused, tree_again);
    let empty = encoded(&Directory::default(), MtimePolicy::Normalised);
    check(&empty, Cut::Refused, tree_again);
}

#[test]
fn a_damaged_tree_that_is_read_from_its_middle_is_refused_or_another_tree() {
    let tree = samples::every_node();
    let cases =
        [(tree.clone(), MtimePolicy::Normalised), (samples::with_times(tree), MtimePolicy::Kept)];
    for (tree, policy) in cases {
        let bytes = encoded(&tree, policy);
        let front = TreeReader::new(&bytes[..]).unwrap().offset() as usize;
        let (front, entries) = bytes.split_at(front);
        check(entries, Cut::Refused, |bytes| entries_again(front, bytes));
    }
}

#[test]
fn a_tree_may_be_read_on_at_any_byte() {
    let tree = samples::with_times(samples::every_node());
    let bytes = encoded(&tree, MtimePolicy::Kept);
    let read_on = |bytes: &[u8], policy, offset| {
        let mut reader = TreeReader::resume(bytes, policy, offset);
        let mut end = offset;
        while let Ok(Some(_)) = reader.next_event() {
            assert!(reader.offset() > end, "every event takes some bytes");
            end = reader.offset();
            let _ = reader.directory();
        }
    };
    for policy in common::policies() {
        for start in 0..bytes.len() {
            read_on(&bytes[start..], policy, start as u64);
        }
        each_flipped_bit(&bytes[7..], |damaged, _| read_on(damaged, policy, 7));
    }
}

#[test]
fn a_damaged_release_is_refused_or_another_release() {
    let (labelled, changing) = (samples::labelled_release(), samples::changing_release());
    for release in [samples::small_release(), labelled, changing] {
        let bytes = release.to_bytes().unwrap();
        check(&bytes, Cut::Refused, release_again);
    }
}

#[test]
fn a_damaged_skeleton_is_refused_or_another_skeleton() {
    let (labelled, changing) = (samples::labelled_release(), samples::changing_release());
    for release in [samples::small_release(), samples::store_like_release(), labelled, changing] {
        let bytes = release.skeleton().unwrap();
        check(&bytes, Cut::Refused, skeleton_again);
    }
}

#[test]
fn a_damaged_head_of_a_patch_is_refused_or_another_head() {
    check(&samples::small_patch().to_bytes(), Cut::Refused, patch_again);
}

#[test]
fn a_damaged_front_is_refused_or_another_front() {
    let (full, extended) = (samples::full_front(), samples::extended_front());
    for front in [samples::small_front(), samples::deriving_front(), full, extended] {
        check(&front.to_bytes(), Cut::Refused, front_again);
    }
}

#[test]
fn a_damaged_edit_is_refused_or_another_edit() {
    for (policy, edits) in [
        (MtimePolicy::Normalised, samples::every_edit()),
        (MtimePolicy::Kept, samples::every_edit_with_times()),
    ] {
        let head = EditHead { policy, names: OldNames::Renamed, root: None };
        check(&put_edits(&head, &edits), Cut::BetweenItems, |bytes| {
            match bytes {
                // The head is no item of the sequence.
                [] => edit_head_again(bytes),
                _ => edits_again(bytes),
            }
        });
    }
}

#[test]
fn a_damaged_head_of_edits_is_refused_or_another_head() {
    let mut root = samples::meta(0o755, 0, 300);
    root.xattrs = vec![samples::xattr("user.a", b"1")];
    for (policy, root) in [
        (MtimePolicy::Normalised, None),
        (MtimePolicy::Kept, None),
        (MtimePolicy::Normalised, Some(root)),
        (MtimePolicy::Kept, Some(samples::with_times(Directory::default()).meta)),
    ] {
        let head = EditHead { policy, names: OldNames::Stay, root };
        check(&put_edits(&head, &[]), Cut::Refused, edit_head_again);
    }
}

#[test]
fn a_damaged_program_is_refused_or_another_program() {
    check(&put_steps(&samples::steps()), Cut::BetweenItems, steps_again);
    let mut sources = Vec::new();
    TreeSource::put_all(&samples::sources(), &mut sources);
    check(&sources, Cut::Refused, |bytes| sources_again(bytes, samples::SOURCES));
    check(&[0x83, 0x01, 0xff, 0x7f], Cut::Refused, place_again);
    let bytes = put_later_and_parts(&samples::later(), &samples::parts());
    check(&bytes, Cut::Refused, later_and_parts_again);
}

#[test]
fn a_damaged_table_of_names_is_refused_or_another_table() {
    let (table, components) = samples::renames();
    let mut program = Vec::new();
    table.put(&mut program, &mut Vec::new());
    check(&program, Cut::Refused, |bytes| renames_again(bytes, components));
}

/// A segment with some bytes in each stream, in many chunks.
fn segment() -> Vec<u8> {
    let streams: [Vec<u8>; STREAMS] =
        std::array::from_fn(|index| (0..20 + 10 * index as u8).collect());
    let demand: Vec<[u64; STREAMS]> = (0..30).map(|n| [n, n / 2, n, 2 * n, 0, n]).collect();
    let mut out = Vec::new();
    put_segment(1, &streams, &demand, &mut out);
    out
}

/// The coder, each stream, and how many bytes the segment takes.
type Split = (u8, [Vec<u8>; STREAMS], u64);

fn split(bytes: &[u8]) -> Result<Option<Split>> {
    let Some((mut demux, coder)) = Demux::start(bytes, 0)? else {
        return Ok(None);
    };
    let mut streams: [Vec<u8>; STREAMS] = Default::default();
    for stream in Stream::ALL {
        let mut buffer = [0; 7];
        loop {
            let n = demux.read(stream, &mut buffer)?;
            streams[usize::from(stream)].extend_from_slice(&buffer[..n]);
            if n == 0 {
                break;
            }
        }
    }
    let (_, end) = demux.finish(0)?;
    Ok(Some((coder, streams, end)))
}

#[test]
fn a_damaged_segment_is_refused_or_another_segment() {
    let valid = segment();
    let whole = split(&valid).unwrap().unwrap();
    assert_eq!(whole.2, valid.len() as u64);
    each_prefix(&valid, |prefix| match split(prefix) {
        Ok(None) => assert!(prefix.is_empty()),
        Ok(Some(_)) => panic!("cut at {}, and accepted", prefix.len()),
        Err(error) => assert!(matches!(error, FormatError::Truncated { .. }), "{error:?}"),
    });
    each_flipped_bit(&valid, |damaged, at| {
        if let Ok(Some(other)) = split(damaged) {
            assert_ne!(other, whole, "a flipped bit at {at}");
            assert!(other.2 <= damaged.len() as u64);
        }
    });
}

#[test]
fn a_stream_that_was_cut_is_not_taken_for_one_that_ended() {
    // Only the end mark is missing.
    let mut cut = segment();
    assert_eq!(cut.pop(), Some(0));
    let (mut demux, _) = Demux::start(&cut[..], 0).unwrap().unwrap();
    for stream in Stream::ALL {
        let mut buffer = [0; 100];
        let read = std::iter::from_fn(|| Some(demux.read(stream, &mut buffer)));
        let ended = read.take(50).find(|read| !matches!(read, Ok(1..)));
        let is_cut = matches!(ended, Some(Err(FormatError::Truncated { .. })));
        assert!(is_cut, "{}: {ended:?}", stream.word());
    }
}

#[test]
fn an_input_that_fails_is_not_taken_for_one_that_ended() {
    let error = FormatError::Truncated { what: "something below", offset: 5 };
    let mut input = upmass_format::wire::Reader::new(common::Failing(b"", error.clone()));
    assert_eq!(input.byte_or_end("byte"), Err(error.clone()));
    assert_eq!(input.varint_or_end("number"), Err(error.clone()));
    assert_eq!(input.expect_end("format"), Err(error.clone()));
    assert_eq!(input.byte("byte"), Err(error));
}

#[test]
fn a_length_that_is_out_of_all_measure_is_refused_before_anything_is_allocated() {
    let long = |before: &[u8], len: u64| {
        let mut bytes = before.to_vec();
        put_varint(&mut bytes, len);
        bytes
    };
    let tree = encoded(&Directory::default(), MtimePolicy::Normalised);
    let entry = &tree[..tree.len() - 1];
    let is_refused = |error: Option<FormatError>| {
        matches!(error, Some(FormatError::TooLarge { .. } | FormatError::Truncated { .. }))
    };
    for len in [1 << 20, 1 << 40, u64::MAX] {
        for tag in [1_u8, 2, 4] {
            // A name, and for a file or symlink its length.
            let name = long(&[entry, &[tag]].concat(), len);
            assert!(is_refused(Directory::read(&name[..]).err()));
            let file = long(&[entry, &[tag, 1, b'a', 0, 0, 0]].concat(), len);
            assert!(Directory::read(&file[..]).is_err());
        }
        let xattrs = long(&[&tree[..6], &[0x13, 0, 0, 0]].concat(), len);
        assert!(is_refused(Directory::read(&xattrs[..]).err()));
        let machine = long(b"UPMR\x01", len);
        assert!(is_refused(Release::read(&machine[..]).err()));
        let components = long(b"UPMR\x01\x01m\x00\x00", len);
        assert!(is_refused(Release::read(&components[..]).err()));
        let header = long(b"\x8fUPM\x01", len);
        assert!(is_refused(Front::read(&header[..]).err()));
        let chunk = long(&[1], len << 3 | 4);
        assert!(is_refused(split(&chunk).err()));
        assert!(sources_again(&long(&[], len), 100).is_err());
    }
}

#[test]
fn a_segment_cannot_make_a_decoder_keep_more_than_the_limit() {
    let mut streams: [Vec<u8>; STREAMS] = Default::default();
    streams[usize::from(Stream::Residue)] = vec![1; MAX_QUEUED];
    streams[usize::from(Stream::Literal)] = vec![2];
    let mut bytes = Vec::new();
    put_segment(1, &streams, &[], &mut bytes);
    let read_literal = |bytes: &[u8]| {
        let (mut demux, _) = Demux::start(bytes, 0).unwrap().unwrap();
        let read = demux.read(Stream::Literal, &mut [0]);
        assert!(demux.waiting() <= MAX_QUEUED);
        read
    };
    let error = read_literal(&bytes).unwrap_err();
    assert!(matches!(error, FormatError::TooLarge { .. }), "{error:?}");
    streams[usize::from(Stream::Residue)].pop();
    bytes.clear();
    put_segment(1, &streams, &[], &mut bytes);
    assert_eq!(read_literal(&bytes), Ok(1));
}
