//! Releases in which names of components have hashes: a change renames all that is made from what
//! changed, and the update says so in a few bytes for each name.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use upmass_apply::{ApplyError, Limits, Received, Trust};
use upmass_build::{Effort, Options, build_update};
use upmass_disk::SimVolume;
use upmass_format::release::{Changes, Component, InstallPath, Release, System};
use upmass_format::tree::{Child, Directory, MAX_INLINE, Meta, MtimePolicy, Node};
use upmass_format::{Name, ReleaseId, TreePath};
use upmass_store::Store;

/// A part of a content.
#[derive(Debug, Clone)]
enum Piece {
    Bytes(Vec<u8>),
    /// The whole name of a component, as in a store path.
    Name(usize),
    /// Its hash alone.
    Hash(usize),
    /// The first characters of its hash, which are no reference.
    Cut(usize),
}

/// What a component has: names of files and their contents.
#[derive(Debug, Clone)]
struct Part {
    name: String,
    files: Vec<Vec<Piece>>,
    /// It has an entry with its own name.
    is_single: bool,
}

const DIGITS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

fn hash(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let digit = |_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(DIGITS[(state >> 59) as usize])
    };
    (0..32).map(digit).collect()
}

fn store() -> Store {
    Store::create_on(Arc::new(SimVolume::new(1 << 30)), "a store").unwrap()
}

/// Records a release of these parts. `version` is in all hashes.
fn release(store: &Store, parts: &[Part], version: u64) -> ReleaseId {
    let hashes: Vec<String> =
        (0..parts.len() as u64).map(|index| hash(version * 1000 + index)).collect();
    let full: Vec<String> =
        hashes.iter().zip(parts).map(|(hash, part)| format!("{hash}-{}", part.name)).collect();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|index| &full[*index]);
    let mut places = vec![0; parts.len()];
    order.iter().enumerate().for_each(|(place, index)| places[*index] = place);
    let bytes = |pieces: &[Piece]| -> Vec<u8> {
        let piece = |piece: &Piece| match piece {
            Piece::Bytes(bytes) => bytes.clone(),
            Piece::Name(index) => format!("/store/{}/", full[*index]).into_bytes(),
            Piece::Hash(index) => hashes[*index].clone().into_bytes(),
            Piece::Cut(index) => hashes[*index].as_bytes()[..31].to_vec(),
        };
        pieces.iter().flat_map(piece).collect()
    };
    let meta = Meta { mode: 0o444, ..Meta::default() };
    let components = order.iter().map(|index| {
        let part = &parts[*index];
        let mut children = BTreeMap::new();
        let mut references = Vec::new();
        for (number, pieces) in part.files.iter().enumerate() {
            let content = bytes(pieces);
            for piece in pieces {
                if let Piece::Name(other) | Piece::Hash(other) = piece {
                    references.push(places[*other]);
                }
            }
            let name = match number == 0 && part.is_single {
                true => full[*index].clone(),
                // Behind every hash, so that entries stay in order.
                false => format!("~file{number}"),
            };
            let link = content.clone();
            let node = match content.len() > MAX_INLINE {
                true => {
                    Node::Object { size: content.len() as u64, id: store.put(&content).unwrap() }
                }
                false => Node::Inline(content),
            };
            if !link.is_empty() && !link.contains(&0) && link.len() < 4000 {
                let name = Name::new(format!("~link{number}")).unwrap();
                let meta = Meta { mode: 0o777, ..Meta::default() };
                children.insert(name, Child::Leaf(meta, Node::Symlink(link)));
            }
            let again = TreePath::new(name.clone()).unwrap();
            children.insert(Name::new(name).unwrap(), Child::Leaf(meta.clone(), node));
            let name = Name::new(format!("~zz{number}")).unwrap();
            children.insert(name, Child::Leaf(Meta::default(), Node::Hardlink(again)));
        }
        let root = Directory { meta: Meta { mode: 0o555, ..Meta::default() }, children };
        let tree = store.put(&root.to_bytes(MtimePolicy::Normalised).unwrap()).unwrap();
        references.sort_unstable();
        references.dedup();
        Component {
            name: full[*index].clone(),
            install: InstallPath::new(format!("/store/{}", full[*index]).as_bytes()).unwrap(),
            references,
            labels: BTreeMap::new(),
            tree: tree.into(),
        }
    });
    let system = System {
        name: "main".to_owned(),
        labels: BTreeMap::new(),
        roots: vec![places[parts.len() - 1]],
        boot: Vec::new(),
        command_line: format!("init=/store/{}/init", full[0]),
        changes: Changes::default(),
    };
    let release = Release {
        machine: "test".to_owned(),
        counter: version,
        labels: BTreeMap::new(),
        components: components.collect(),
        systems: vec![system],
        fallback: 0,
    };
    store.record(&release).unwrap()
}

fn apply(store: &Store, update: &Vec<u8>) -> upmass_apply::Result<()> {
    let received = Received::read(update)?.verify(&Trust::anything())?;
    received.fit(store, &Limits::default())?.apply(&mut |_| {})?;
    Ok(())
}

/// Carries a device that has nothing but the old release to the new one. Gives the bytes of the
/// update.
fn carry(old: &[Part], new: &[Part], effort: Effort) -> usize {
    let host = store();
    let old = release(&host, old, 1);
    let new = release(&host, new, 2);
    let options = Options { effort, segment: 10_000, ..Options::default() };
    let build = |base| {
        build_update(&host, base, if base.is_some() { new } else { old }, &[], &options, &|_| {})
            .unwrap()
            .to_bytes()
    };
    let device = store();
    apply(&device, &build(None)).unwrap();
    let update = build(Some(old));
    apply(&device, &update).unwrap();
    assert!(device.has_release(new).unwrap());
    let report = device.check(&mut |_| {}).unwrap();
    assert!(report.damages.is_empty(), "{:?}", report.damages);
    update.len()
}

fn text(seed: usize, len: usize) -> Piece {
    Piece::Bytes((0..len).map(|i| ((i * i * (seed + 3)) >> 5) as u8).collect())
}

/// A chain of components, each of which mentions the one before and itself.
fn chain(count: usize) -> Vec<Part> {
    let part = |index: usize| Part {
        name: format!("part{index}-1.0"),
        files: vec![
            vec![
                text(index, 3000),
                Piece::Name(index),
                text(index, 500),
                Piece::Name(index.max(1) - 1),
            ],
            vec![text(index, 900), Piece::Hash(index.max(1) - 1), Piece::Cut(index)],
            vec![Piece::Name(index.max(1) - 1)],
            vec![text(index + 99, 2000)],
        ],
        is_single: index.is_multiple_of(3),
    };
    (0..count).map(part).collect()
}

#[test]
fn what_is_no_whole_mention_costs_a_patch() {
    let (few, many) = (chain(20), chain(120));
    let [few, many] = [few, many].map(|parts| carry(&parts, &parts, Effort::Small));
    // A part of a hash is not replaced: that file has really changed.
    let each = (many - few) as f64 / 100.0;
    println!("{few} bytes for 20 components, {many} for 120: {each} for each");
    assert!(each < 20.0 + 36.0, "{each} bytes for each component");
}

#[test]
fn where_nothing_but_names_changed_each_costs_twenty_bytes() {
    let plain = |count| {
        let mut parts = chain(count);
        // What is no mention stays the same on both sides.
        parts.iter_mut().for_each(|part| part.files[1].truncate(2));
        parts
    };
    let [few, many] = [20, 120].map(|count| carry(&plain(count), &plain(count), Effort::Small));
    let each = (many - few) as f64 / 100.0;
    println!("{few} bytes for 20 components, {many} for 120: {each} for each");
    assert!(each < 20.2, "{each} bytes for each component");
    assert!(few < 20 * 20 + 260, "{few} bytes");
}

#[test]
fn names_that_grow_are_replaced_too() {
    let old = chain(30);
    let mut new = old.clone();
    new.iter_mut().for_each(|part| part.name = part.name.replace("-1.0", "-10.0.1"));
    for effort in [Effort::Small, Effort::Balanced, Effort::Fast] {
        let grown = carry(&old, &new, effort);
        assert!(grown < 30 * 90 + 600, "{grown} bytes");
    }
}

#[test]
fn entries_that_would_be_in_another_order_keep_their_names() {
    // Two entries named by hashes, which ascend in one release and descend in the other.
    let host = store();
    let make = |version: u64, a: u64, b: u64| {
        let meta = Meta { mode: 0o444, ..Meta::default() };
        let leaf = |name: String| {
            let node = Node::Inline(name.clone().into_bytes());
            (Name::new(name).unwrap(), Child::Leaf(meta.clone(), node))
        };
        let names = [format!("{}-a", hash(a)), format!("{}-b", hash(b))];
        let children = names.iter().cloned().map(leaf).collect();
        let root = Directory { meta: Meta { mode: 0o555, ..Meta::default() }, children };
        let tree = host.put(&root.to_bytes(MtimePolicy::Normalised).unwrap()).unwrap();
        let mut components: Vec<Component> = names
            .iter()
            .map(|name| Component {
                name: name.clone(),
                install: InstallPath::new(b"/store").unwrap(),
                references: Vec::new(),
                labels: BTreeMap::new(),
                tree: tree.into(),
            })
            .collect();
        components.sort_by(|a, b| a.name.cmp(&b.name));
        let system = System {
            name: "main".to_owned(),
            labels: BTreeMap::new(),
            roots: vec![0, 1],
            boot: Vec::new(),
            command_line: String::new(),
            changes: Changes::default(),
        };
        let release = Release {
            machine: "test".to_owned(),
            counter: version,
            labels: BTreeMap::new(),
            components,
            systems: vec![system],
            fallback: 0,
        };
        host.record(&release).unwrap()
    };
    let mut seeds: Vec<u64> = (0..4).collect();
    seeds.sort_by_key(|seed| hash(*seed));
    let old = make(1, seeds[0], seeds[1]);
    let new = make(2, seeds[3], seeds[2]);
    let options = Options::default();
    let full = build_update(&host, None, old, &[], &options, &|_| {}).unwrap().to_bytes();
    let update = build_update(&host, Some(old), new, &[], &options, &|_| {}).unwrap().to_bytes();
    let device = store();
    apply(&device, &full).unwrap();
    apply(&device, &update).unwrap();
    assert!(device.has_release(new).unwrap());
}

#[test]
fn a_table_that_makes_more_than_the_header_says_is_refused() {
    let host = store();
    let mut parts = chain(3);
    parts[2].files[0] = (0..3000).flat_map(|_| [Piece::Name(2)]).collect();
    let old = release(&host, &parts, 1);
    let mut grown = parts.clone();
    grown[2].name = format!("part2-{}", "9".repeat(200));
    let new = release(&host, &grown, 2);
    let options = Options::default();
    let full = build_update(&host, None, old, &[], &options, &|_| {}).unwrap().to_bytes();
    let mut built = build_update(&host, Some(old), new, &[], &options, &|_| {}).unwrap();
    let device = store();
    apply(&device, &full).unwrap();
    let space = built.front.header.space_kib;
    built.front.header.space_kib = 64;
    let header = built.front.header.clone();
    built.front = upmass_format::update::Front::new(header, Vec::new());
    let error = apply(&device, &built.to_bytes()).unwrap_err();
    assert!(matches!(error, ApplyError::Program(_)), "{error}");
    assert!(error.to_string().contains("longer than its header says"), "{error}");
    assert!(!device.has_release(new).unwrap());
    built.front.header.space_kib = space;
    let header = built.front.header.clone();
    built.front = upmass_format::update::Front::new(header, Vec::new());
    apply(&device, &built.to_bytes()).unwrap();
    assert!(device.has_release(new).unwrap());
}

fn pieces(count: usize) -> impl Strategy<Value = Vec<Piece>> {
    let index = 0..count;
    let piece = prop_oneof![
        4 => (0..50usize, 0..700usize).prop_map(|(seed, len)| text(seed, len)),
        3 => index.clone().prop_map(Piece::Name),
        2 => index.clone().prop_map(Piece::Hash),
        1 => index.prop_map(Piece::Cut),
        1 => Just(Piece::Bytes(b"\x7fELF".to_vec())),
    ];
    prop::collection::vec(piece, 0..7)
}

fn parts(count: usize) -> impl Strategy<Value = Vec<Part>> {
    let part = (
        "[a-c]{1,2}-[0-9]{1,2}(\\.[0-9]{1,3})?",
        any::<bool>(),
        prop::collection::vec(pieces(count), 0..4),
    )
        .prop_map(|(name, is_single, files)| Part { name, files, is_single });
    prop::collection::vec(part, count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_graph_becomes_any_other(
        (old, new) in (1..12usize).prop_flat_map(parts).prop_flat_map(|old| {
            let count = old.len();
            // Some components are as they were but for names and mentions, others are new.
            let changes = prop::collection::vec(prop::option::of(parts(1)), count);
            (Just(old), changes).prop_map(|(old, changes)| {
                let new = old.iter().zip(changes).map(|(part, change)| match change {
                    Some(mut other) => other.remove(0),
                    None => part.clone(),
                });
                let new = new.collect::<Vec<_>>();
                (old, new)
            })
        }),
        is_fast in any::<bool>(),
    ) {
        carry(&old, &new, if is_fast { Effort::Fast } else { Effort::Small });
    }
}
