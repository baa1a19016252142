//! The golden vectors: each is read as the value it was made from, and written to the same bytes.

mod common;

use std::collections::BTreeSet;

use common::markdown::{Hex, Spec};
use common::{
    edits_again, front_again, later_and_parts_again, patch_again, put_edits, put_later_and_parts,
    put_steps, read_edits, read_steps, release_again, renames_again, samples, skeleton_again,
    sources_again, steps_again, tree_again, vectors,
};
use upmass_format::patch::Head;
use upmass_format::payload::{Demux, Later, Part, STREAMS, Stream, TreeSource, put_segment};
use upmass_format::release::Release;
use upmass_format::rename::Renames;
use upmass_format::tree::{Directory, MtimePolicy};
use upmass_format::tree_edit::{Edit, EditHead, OldNames};
use upmass_format::update::Front;
use upmass_format::wire::Reader;

fn check_tree(name: &str, tree: &Directory, policy: MtimePolicy) {
    let golden = vectors::golden(name, || tree.to_bytes(policy).unwrap());
    assert_eq!(Directory::read(&golden[..]), Ok((tree.clone(), policy)), "{name}");
    assert_eq!(Hex(&tree.to_bytes(policy).unwrap()), Hex(&golden), "{name}");
}

#[test]
fn trees() {
    let every = samples::every_node();
    check_tree("tree/empty.bin", &Directory::default(), MtimePolicy::Normalised);
    check_tree("tree/small.bin", &samples::small_tree(), MtimePolicy::Normalised);
    check_tree("tree/every-node.bin", &every, MtimePolicy::Normalised);
    check_tree("tree/every-node-times.bin", &samples::with_times(every), MtimePolicy::Kept);
}

#[test]
fn releases() {
    for (name, release) in [
        ("release/small.bin", samples::small_release()),
        ("release/store-like.bin", samples::store_like_release()),
        ("release/labelled.bin", samples::labelled_release()),
        ("release/changing.bin", samples::changing_release()),
    ] {
        let golden = vectors::golden(name, || release.to_bytes().unwrap());
        assert_eq!(Release::read(&golden[..]).as_ref(), Ok(&release), "{name}");
        assert_eq!(Hex(&release.to_bytes().unwrap()), Hex(&golden), "{name}");
    }
    let skeleton = samples::small_release().skeleton().unwrap();
    let golden = vectors::golden("release/skeleton.bin", || skeleton.clone());
    assert_eq!(Hex(&skeleton), Hex(&golden));
    assert_eq!(skeleton_again(&golden), Ok(skeleton));
}

#[test]
fn fronts() {
    for (name, front) in [
        ("front/update.bin", samples::small_front()),
        ("front/full.bin", samples::full_front()),
        ("front/extended.bin", samples::extended_front()),
        ("front/deriving.bin", samples::deriving_front()),
    ] {
        let golden = vectors::golden(name, || front.to_bytes());
        assert_eq!(Front::read(&golden[..]).as_ref(), Ok(&front), "{name}");
        assert_eq!(Hex(&front.to_bytes()), Hex(&golden), "{name}");
    }
}

#[test]
fn heads_of_patches() {
    let head = samples::small_patch();
    let golden = vectors::golden("patch/file.bin", || head.to_bytes().to_vec());
    assert_eq!(Head::read(&golden[..]), Ok(head));
    assert_eq!(Hex(&head.to_bytes()), Hex(&golden));
}

fn check_edits(name: &str, head: EditHead, edits: Vec<Edit>) {
    let golden = vectors::golden(name, || put_edits(&head, &edits));
    assert_eq!(Hex(&put_edits(&head, &edits)), Hex(&golden), "{name}");
    assert_eq!(read_edits(&golden), Ok((head, edits)), "{name}");
}

#[test]
fn tree_edits() {
    let names = OldNames::Renamed;
    let head = |policy| EditHead { policy, names, root: None };
    let normalised = head(MtimePolicy::Normalised);
    check_edits("tree_edit/small.bin", normalised.clone(), samples::small_edits());
    check_edits("tree_edit/every-edit.bin", normalised, samples::every_edit());
    let timed = samples::every_edit_with_times();
    check_edits("tree_edit/every-edit-times.bin", head(MtimePolicy::Kept), timed);
    let root = Some(samples::small_tree().meta);
    let head = EditHead { policy: MtimePolicy::Normalised, names, root };
    check_edits("tree_edit/new-tree.bin", head, vec![Edit::KeepRest]);
}

#[test]
fn programs() {
    let steps = samples::steps();
    let golden = vectors::golden("program/steps.bin", || put_steps(&steps));
    assert_eq!(read_steps(&golden).as_ref(), Ok(&steps));
    assert_eq!(Hex(&put_steps(&steps)), Hex(&golden));

    let sources = samples::sources();
    let mut encoded = Vec::new();
    TreeSource::put_all(&sources, &mut encoded);
    let golden = vectors::golden("program/sources.bin", || encoded.clone());
    assert_eq!(Hex(&encoded), Hex(&golden));
    let read = TreeSource::read_all(&mut Reader::new(&golden[..]), samples::SOURCES);
    assert_eq!(read, Ok(sources));

    let (later, parts) = (samples::later(), samples::parts());
    let encoded = put_later_and_parts(&later, &parts);
    let golden = vectors::golden("program/later-and-parts.bin", || encoded.clone());
    assert_eq!(Hex(&encoded), Hex(&golden));
    let mut input = Reader::new(&golden[..]);
    assert_eq!(Later::read(&mut input), Ok(later));
    assert_eq!(Part::read_all(&mut input), Ok(parts));
}

#[test]
fn segments() {
    let streams: [Vec<u8>; STREAMS] =
        [&b"program"[..], b"tree   ", b"copy   ", b"residue", b"literal", b""].map(<[u8]>::to_vec);
    let demand = [[3, 0, 0, 0, 0, 0], [7, 7, 0, 0, 0, 0]];
    let mut encoded = Vec::new();
    put_segment(1, &streams, &demand, &mut encoded);
    let golden = vectors::golden("segment/five-streams.bin", || encoded.clone());
    assert_eq!(Hex(&encoded), Hex(&golden));
    let (mut demux, coder) = Demux::start(&golden[..], 0).unwrap().unwrap();
    assert_eq!(coder, 1);
    for (stream, expected) in Stream::ALL.into_iter().zip(&streams) {
        let mut read = [0; 7];
        assert_eq!(demux.read(stream, &mut read), Ok(expected.len()));
        assert_eq!(read[..expected.len()], expected[..]);
    }
    assert!(demux.finish(0).is_ok());
}

#[test]
fn tables_of_names() {
    let (table, components) = samples::renames();
    let (mut program, mut hashes) = (Vec::new(), Vec::new());
    table.put(&mut program, &mut hashes);
    let golden = vectors::golden("rename/every-form.bin", || program.clone());
    assert_eq!(Hex(&program), Hex(&golden));
    let golden_hashes = vectors::golden("rename/every-form.hashes", || hashes.clone());
    assert_eq!(Hex(&hashes), Hex(&golden_hashes));
    let (mut program, mut hashes) = (Reader::new(&golden[..]), Reader::new(&golden_hashes[..]));
    assert_eq!(Renames::read(&mut program, &mut hashes, components), Ok(table));
    assert_eq!(program.expect_end("table"), Ok(()));
    assert_eq!(hashes.expect_end("hashes"), Ok(()));
}

/// The rows of the README: name of the vector, what it is, where it is refused.
fn explained() -> Vec<(String, String, String)> {
    let readme = Spec(include_str!("vectors/README.md"));
    let mut explained = Vec::new();
    for section in readme.0.split("\n## ").skip(1) {
        let kind = section.lines().next().unwrap();
        for row in readme.rows(kind) {
            let [file, what, refused_where] = row.try_into().unwrap();
            explained.push((format!("{}{file}", kind.trim_matches('`')), what, refused_where));
        }
    }
    explained
}

#[test]
fn what_must_be_refused_is_refused_for_its_reason() {
    for (name, _, refused_where) in explained() {
        let (kind, file) = name.split_once('/').unwrap();
        assert_eq!(file.starts_with("refused-"), !refused_where.is_empty(), "{name}");
        if refused_where.is_empty() {
            continue;
        }
        let bytes = vectors::vector(&name);
        let again = match kind {
            "tree" => tree_again(&bytes),
            "release" => release_again(&bytes),
            "front" => front_again(&bytes),
            "patch" => patch_again(&bytes),
            "tree_edit" => edits_again(&bytes),
            "rename" => renames_again(&bytes, samples::renames().1),
            "program" => match file.starts_with("refused-sources") {
                true => sources_again(&bytes, samples::SOURCES),
                false if file.starts_with("refused-parts") => later_and_parts_again(&bytes),
                false => steps_again(&bytes),
            },
            other => panic!("no decoder for {other}"),
        };
        let error = again.expect_err(&name).to_string();
        let place = error.replace(" ends early at", " at");
        assert!(place.starts_with(&refused_where), "{name}: {error}");
    }
}

#[test]
fn each_vector_is_explained() {
    let explained: Vec<String> = explained()
        .into_iter()
        .map(|(name, what, _)| {
            assert!(what.len() > 10, "{name}: {what}");
            name
        })
        .collect();
    assert_eq!(explained.iter().collect::<BTreeSet<_>>().len(), explained.len());
    assert_eq!(BTreeSet::from_iter(explained), BTreeSet::from_iter(vectors::names()));
}
