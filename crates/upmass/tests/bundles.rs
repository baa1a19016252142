//! New objects that have other new ones in them, as an initial RAM disk has the files it was made
//! of: they are made last, from what was made before.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use upmass_apply::{ApplyError, Limits, Received, Trust, inspect};
use upmass_build::{Effort, Options, build_update};
use upmass_delta::stream::{StreamDecoder, encode};
use upmass_disk::SimVolume;
use upmass_format::payload::{Demux, Later, Part, STREAMS, Step, Stream, TreeSource, put_segment};
use upmass_format::release::{Changes, Component, InstallPath, Release, System};
use upmass_format::rename::Renames;
use upmass_format::tree::{Child, Directory, Meta, MtimePolicy, Node};
use upmass_format::update::{FrameDigest, Front};
use upmass_format::wire::{Reader, put_varint};
use upmass_format::{Name, ReleaseId};
use upmass_store::Store;

fn store() -> Store {
    Store::create_on(Arc::new(SimVolume::new(1 << 30)), "a store").unwrap()
}

/// Content that has nothing in common with any other.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let byte = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(byte).collect()
}

type Files = Vec<(String, Vec<u8>)>;

/// Files with noise, and archives of some of them. Names say in which order they are met.
fn files(version: u64, archive: &str, pack: &dyn Fn(Vec<u8>) -> Vec<u8>) -> Files {
    let mut files: Files = (0..12u64)
        .map(|n| {
            let seed = if n % 3 == 0 { n } else { 100 * version + n };
            (format!("file{n:02}"), noise(seed, 6000 + 700 * n as usize))
        })
        .collect();
    let mut content = format!("an archive of version {version}").into_bytes();
    for (name, file) in &files[2..11] {
        content.extend_from_slice(name.as_bytes());
        content.extend_from_slice(file);
    }
    files.push((archive.to_owned(), pack(content)));
    files
}

fn release(store: &Store, files: &Files, version: u64) -> ReleaseId {
    let meta = Meta { mode: 0o644, ..Meta::default() };
    let leaf = |(name, content): &(String, Vec<u8>)| {
        let node = match content.len() > upmass_format::tree::MAX_INLINE {
            true => Node::Object { size: content.len() as u64, id: store.put(content).unwrap() },
            false => Node::Inline(content.clone()),
        };
        (Name::new(name.clone()).unwrap(), Child::Leaf(meta.clone(), node))
    };
    let children = files.iter().map(leaf).collect();
    let root = Directory { meta: Meta { mode: 0o755, ..Meta::default() }, children };
    let tree = store.put(&root.to_bytes(MtimePolicy::Normalised).unwrap()).unwrap();
    let component = Component {
        name: "all".to_owned(),
        install: InstallPath::new(b"/").unwrap(),
        references: Vec::new(),
        labels: BTreeMap::new(),
        tree: tree.into(),
    };
    let system = System {
        name: "main".to_owned(),
        labels: BTreeMap::new(),
        roots: vec![0],
        boot: Vec::new(),
        command_line: String::new(),
        changes: Changes::default(),
    };
    let release = Release {
        machine: "test".to_owned(),
        counter: version,
        labels: BTreeMap::new(),
        components: vec![component],
        systems: vec![system],
        fallback: 0,
    };
    store.record(&release).unwrap()
}

fn update(store: &Store, old: Option<ReleaseId>, new: ReleaseId, effort: Effort) -> Vec<u8> {
    let options = Options { segment: 40_000, effort, ..Options::default() };
    build_update(store, old, new, &[], &options, &|_| {}).unwrap().to_bytes()
}

fn apply(store: &Store, update: &Vec<u8>) -> upmass_apply::Result<()> {
    let received = Received::read(update)?.verify(&Trust::anything())?;
    received.fit(store, &Limits::default())?.apply(&mut |_| {})?;
    Ok(())
}

/// Carries a device from files to others. Gives the bytes of the update.
fn carry(old: &Files, new: &Files, effort: Effort) -> usize {
    let host = store();
    let (old, new) = (release(&host, old, 1), release(&host, new, 2));
    let device = store();
    apply(&device, &update(&host, None, old, effort)).unwrap();
    let update = update(&host, Some(old), new, effort);
    let inspected = inspect(&Received::read(&update).unwrap(), &device).unwrap();
    let patched: u64 = inspected.components.unwrap().iter().map(|c| c.patched().count).sum();
    apply(&device, &update).unwrap();
    assert!(device.has_release(new).unwrap());
    assert!(device.check(&mut |_| {}).unwrap().damages.is_empty());
    assert!(device.scratch().is_ok());
    println!("{} bytes, {patched} objects patched", update.len());
    update.len()
}

#[test]
fn an_archive_costs_next_to_nothing_beside_its_files_wherever_it_is_met() {
    let without = {
        let [old, new] = [1, 2].map(|version| {
            let mut files = files(version, "none", &|content| content);
            files.pop();
            files
        });
        carry(&old, &new, Effort::Small)
    };
    for archive in ["aaaa", "file05a", "zzzz"] {
        let [old, new] = [1, 2].map(|version| files(version, archive, &|content| content));
        let with = carry(&old, &new, Effort::Small);
        assert!(with < without + 400, "{with} bytes with {archive}, {without} without");
        let [fast, fast_without] = [true, false].map(|with| {
            let [old, new] = [&old, &new].map(|files| {
                let keep = |(name, _): &&(String, Vec<u8>)| with || name != archive;
                files.iter().filter(keep).cloned().collect()
            });
            carry(&old, &new, Effort::Fast)
        });
        assert!(fast < fast_without + 800, "{fast} bytes, {fast_without} without");
    }
}

#[test]
fn an_archive_is_free_in_a_full_update_too() {
    let host = store();
    let files = files(1, "aaaa", &|content| content);
    let all: usize = files.iter().map(|(_, content)| content.len()).sum();
    let archive = files.last().unwrap().1.len();
    let release = release(&host, &files, 1);
    let update = update(&host, None, release, Effort::Small);
    assert!(update.len() < all - archive + 2000, "{} bytes of {all}", update.len());
    let device = store();
    apply(&device, &update).unwrap();
    assert!(device.has_release(release).unwrap());
}

#[test]
fn a_compressed_archive_is_unpacked_and_packed_again() {
    let pack = |content: Vec<u8>| common::packed(&["gzip", "-9n"], &content);
    let [old, new] = [1, 2].map(|version| files(version, "aaaa", &pack));
    let with = carry(&old, &new, Effort::Small);
    let [old, new] = [old, new].map(|mut files| {
        files.pop();
        files
    });
    let without = carry(&old, &new, Effort::Small);
    assert!(with < without + 500, "{with} bytes, {without} without");
}

/// An update that says something else of what is made later and from which parts.
fn tampered(update: &[u8], change: impl Fn(&mut Vec<u64>, &mut Vec<Part>)) -> Vec<u8> {
    let front = Front::read(update).unwrap();
    let payload = &update[front.payload_offset() as usize..];
    let (mut demux, coder) = Demux::start(payload, 0).unwrap().unwrap();
    let mut streams: [Vec<u8>; STREAMS] = Default::default();
    for stream in Stream::ALL {
        let mut buffer = [0; 4096];
        loop {
            let n = demux.read(stream, &mut buffer).unwrap();
            streams[usize::from(stream)].extend_from_slice(&buffer[..n]);
            if n == 0 {
                break;
            }
        }
    }
    let (_, end) = demux.finish(0).unwrap();
    assert_eq!(end, payload.len() as u64, "one segment");
    let mut program = Vec::new();
    let decoder = StreamDecoder::new(Stream::Program, &streams[0][..]);
    let mut reader = Reader::new(decoder);
    loop {
        let mut byte = [0];
        match reader.fill(&mut byte, "program") {
            Ok(()) => program.push(byte[0]),
            Err(_) => break,
        }
    }
    let mut input = Reader::new(&program[..]);
    Renames::read(&mut input, &mut Reader::new(&[][..]), 1).unwrap();
    input.varint("length").unwrap();
    TreeSource::read_all(&mut input, 1).unwrap();
    let start = input.offset() as usize;
    let mut later = Later::read(&mut input).unwrap().numbers().to_vec();
    let steps = input.offset() as usize;
    let before = loop {
        let at = input.offset() as usize;
        if Step::read(&mut input).unwrap() == Step::Parts {
            break at;
        }
    };
    let mut parts = Part::read_all(&mut input).unwrap();
    let after = input.offset() as usize;
    change(&mut later, &mut parts);
    let mut changed = program[..start].to_vec();
    put_varint(&mut changed, later.len() as u64);
    let mut next = 0;
    for number in later {
        put_varint(&mut changed, number - next);
        next = number + 1;
    }
    changed.extend_from_slice(&program[steps..before]);
    Step::Parts.put(&mut changed);
    Part::put_all(&parts, &mut changed);
    changed.extend_from_slice(&program[after..]);
    streams[0] = encode(Stream::Program, &changed).bytes;
    let mut payload = Vec::new();
    let all = streams.each_ref().map(|stream| stream.len() as u64);
    put_segment(coder, &streams, &[[all[0], all[1], 0, 0, 0, 0]], &mut payload);
    let mut header = front.header.clone();
    header.payload_len = payload.len() as u64;
    header.frames = payload.chunks(1 << header.frame_log2).map(FrameDigest::of).collect();
    [Front::new(header, Vec::new()).to_bytes(), payload].concat()
}

#[test]
fn what_is_made_from_what_is_not_there_yet_is_refused_in_one_sentence() {
    let host = store();
    let old = release(&host, &files(1, "aaaa", &|content| content), 1);
    let new = release(&host, &files(2, "aaaa", &|content| content), 2);
    let build = |base, to| {
        let options = Options { segment: 1 << 30, ..Options::default() };
        build_update(&host, base, to, &[], &options, &|_| {}).unwrap().to_bytes()
    };
    let update = build(Some(old), new);
    let untouched = tampered(&update, |later, parts| {
        assert_eq!(later[..], [0], "the archive is met first");
        assert_eq!(parts[0], Part::Here);
        assert!(parts.len() > 5, "{parts:?}");
    });
    type Change = fn(&mut Vec<u64>, &mut Vec<Part>);
    let cases: [(Change, Option<&str>); 6] = [
        (|_, parts| parts[1] = Part::New(0), Some("makes new object 0 from new object 0")),
        (|_, parts| parts[1] = Part::New(99), Some("makes new object 0 from new object 99")),
        (|later, _| later[0] = 77, Some("makes new object 77 later, which no step makes")),
        (|later, _| later.push(1 << 40), Some("later, which no step makes")),
        // In another order each step makes another object.
        (|later, _| later.push(2), None),
        (|later, _| later.clear(), None),
    ];
    let device = store();
    apply(&device, &build(None, old)).unwrap();
    for (change, why) in cases {
        let update = tampered(&update, change);
        let error = apply(&device, &update).unwrap_err();
        if let Some(why) = why {
            assert!(matches!(error, ApplyError::Program(_)), "{error}");
            assert!(error.to_string().contains(why), "{error}, not {why}");
            let inspected = inspect(&Received::read(&update).unwrap(), &device).unwrap_err();
            assert!(inspected.to_string().contains("new object"), "{inspected}");
        }
        assert!(!device.has_release(new).unwrap());
        assert!(device.check(&mut |_| {}).unwrap().damages.is_empty());
    }
    apply(&device, &untouched).unwrap();
    assert!(device.has_release(new).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_files_become_any_others_that_are_made_of_each_other(
        pieces in prop::collection::vec((0..9u64, 0..9000usize), 1..12),
        old in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..6), 0..14),
        new in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..6), 0..14),
        is_fast in any::<bool>(),
    ) {
        let make = |files: &Vec<Vec<prop::sample::Index>>| -> Files {
            let content = |parts: &Vec<prop::sample::Index>| {
                parts.iter().flat_map(|part| {
                    let (seed, len) = pieces[part.index(pieces.len())];
                    noise(seed, len)
                }).collect()
            };
            files.iter().enumerate().map(|(n, parts)| (format!("f{n}"), content(parts))).collect()
        };
        let (mut old, mut new) = (make(&old), make(&new));
        old.push(("version".to_owned(), b"1".to_vec()));
        new.push(("version".to_owned(), b"2".to_vec()));
        carry(&old, &new, if is_fast { Effort::Fast } else { Effort::Small });
    }
}
