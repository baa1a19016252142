//! Which old component a new one is made from.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use upmass_build::{Pairing, Why, pair};
use upmass_disk::SimVolume;
use upmass_format::release::{Changes, Component, InstallPath, Release, System};
use upmass_format::tree::{Child, Directory, Meta, MtimePolicy, Node};
use upmass_format::{Name, ReleaseId};
use upmass_store::Store;

/// A component: name without hash, files, and indexes of what it refers to.
#[derive(Debug, Clone)]
struct Part {
    name: String,
    files: Vec<(String, String)>,
    references: Vec<usize>,
}

fn part(name: &str, files: &[(&str, &str)], references: &[usize]) -> Part {
    let files = files.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
    Part { name: name.into(), files, references: references.into() }
}

fn store() -> Store {
    Store::create_on(Arc::new(SimVolume::new(1 << 30)), "the host").unwrap()
}

/// A hash as Nix writes it, of all that a component is made from.
fn hash(seed: u64) -> String {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let digit = |_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b"0123456789abcdfghijklmnpqrsvwxyz"[(state >> 59) as usize])
    };
    (0..32).map(digit).collect()
}

/// Records a release of parts, the last of which is the root. Gives its id and the index of each
/// part among its components.
fn release(
    store: &Store,
    parts: &[Part],
    hashes: &dyn Fn(usize) -> u64,
) -> (ReleaseId, Vec<usize>) {
    let full = |index: usize| format!("{}-{}", hash(hashes(index)), parts[index].name);
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|index| full(*index));
    let mut places = vec![0; parts.len()];
    order.iter().enumerate().for_each(|(place, index)| places[*index] = place);
    let components = order.iter().map(|index| {
        let part = &parts[*index];
        let meta = Meta { mode: 0o444, ..Meta::default() };
        let leaf = |(name, text): &(String, String)| {
            let node = Node::Inline(text.clone().into_bytes());
            (Name::new(name.clone()).unwrap(), Child::Leaf(meta.clone(), node))
        };
        let children = part.files.iter().map(leaf).collect();
        let tree = Directory { meta: Meta { mode: 0o555, ..Meta::default() }, children };
        let tree = store.put(&tree.to_bytes(MtimePolicy::Normalised).unwrap()).unwrap();
        let mut references: Vec<usize> = part.references.iter().map(|part| places[*part]).collect();
        references.sort_unstable();
        Component {
            name: full(*index),
            install: InstallPath::new(format!("/nix/store/{}", full(*index)).as_bytes()).unwrap(),
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
        command_line: String::new(),
        changes: Changes::default(),
    };
    let release = Release {
        machine: "test".to_owned(),
        counter: 1,
        labels: BTreeMap::new(),
        components: components.collect(),
        systems: vec![system],
        fallback: 0,
    };
    (store.record(&release).unwrap(), places)
}

/// The old part and the reason for each new part.
fn pairs(old: &[Part], new: &[Part]) -> Vec<Option<(usize, Why)>> {
    let store = store();
    let (old_id, old_places) = release(&store, old, &|index| index as u64);
    let (new_id, new_places) = release(&store, new, &|index| 1000 + index as u64);
    let Pairing { pairs, .. } = pair(&store, old_id, new_id).unwrap();
    let old_part = |place| old_places.iter().position(|other| *other == place).unwrap();
    let of = |place: &usize| pairs.iter().find(|pair| pair.new == *place);
    new_places.iter().map(|place| of(place).map(|pair| (old_part(pair.old), pair.why))).collect()
}

#[test]
fn a_component_is_known_by_its_name_without_hash() {
    let parts = [part("lib-1.0", &[], &[]), part("app-2", &[], &[0]), part("system", &[], &[1])];
    let same = Some(Why::SameNameWithoutHash);
    let found = pairs(&parts, &parts);
    assert_eq!(found, [0, 1, 2].map(|index| same.map(|why| (index, why))));
}

#[test]
fn a_new_version_is_known_by_its_package() {
    let old = [
        part("libc6-2.36-9+deb12u7", &[], &[]),
        part("tzdata-2026b", &[], &[]),
        part("system", &[], &[0, 1]),
    ];
    let new = [
        part("libc6-2.37-1", &[], &[]),
        part("tzdata-2026c", &[], &[]),
        part("system", &[], &[0, 1]),
    ];
    let found = pairs(&old, &new);
    assert_eq!(found[0], Some((0, Why::SamePackage)));
    assert_eq!(found[1], Some((1, Why::SamePackage)));
    let new = [part("libc6-2.36-9+deb12u14", &[], &[]), part("system", &[], &[0])];
    assert_eq!(pairs(&old, &new)[0], Some((0, Why::SameStem)));
}

#[test]
fn those_around_it_decide_between_components_of_one_name() {
    // Two systems, each with its own etc, which only their other references tell apart.
    let parts = |swap: bool| {
        let (a, b) = if swap { (3, 2) } else { (2, 3) };
        vec![
            part("nginx", &[], &[]),
            part("mosquitto", &[], &[]),
            part("etc", &[], &[if swap { 1 } else { 0 }]),
            part("etc", &[], &[if swap { 0 } else { 1 }]),
            part("system-web", &[], &[a]),
            part("system-mqtt", &[], &[b]),
            part("machine", &[], &[4, 5]),
        ]
    };
    let found = pairs(&parts(false), &parts(true));
    assert!(matches!(found[2], Some((3, Why::Votes(_)))), "{:?}", found[2]);
    assert!(matches!(found[3], Some((2, Why::Votes(_)))), "{:?}", found[3]);
}

#[test]
fn contents_decide_where_votes_do_not() {
    let script = |name: &str, text: &str| part(name, &[("run", text), (text, "x")], &[]);
    let old = [script("script", "a"), script("script", "b"), part("system", &[], &[0, 1])];
    let new = [script("script", "b"), script("script", "a"), part("system", &[], &[0, 1])];
    let found = pairs(&old, &new);
    assert!(matches!(found[0], Some((1, Why::Content(_)))), "{:?}", found[0]);
    assert!(matches!(found[1], Some((0, Why::Content(_)))), "{:?}", found[1]);
}

#[test]
fn a_package_with_another_name_is_known_by_its_contents() {
    let files = [("one", "1"), ("two", "2"), ("three", "3")];
    let old = [part("mosquitto", &files, &[]), part("system", &[("of", "old")], &[0])];
    let new = [part("broker", &files, &[]), part("system", &[("of", "old")], &[0])];
    assert!(matches!(pairs(&old, &new)[0], Some((0, Why::VotesAlone(1, _)))));
    let new = [part("broker", &[("else", "4")], &[]), part("system", &[("of", "old")], &[0])];
    assert_eq!(pairs(&old, &new)[0], None);
}

#[test]
fn a_component_without_partner_takes_another_as_base() {
    let store = store();
    let files = [("one", "1"), ("two", "2"), ("three", "3")];
    let old = [part("lib", &files, &[]), part("system", &[], &[0])];
    let new = [part("lib", &files, &[]), part("copy", &files, &[]), part("system", &[], &[0, 1])];
    let (old_id, old_places) = release(&store, &old, &|index| index as u64);
    let (new_id, new_places) = release(&store, &new, &|index| 9 - index as u64);
    let Pairing { pairs, bases } = pair(&store, old_id, new_id).unwrap();
    assert_eq!(pairs.len(), 2);
    assert_eq!(bases, [(new_places[1], old_places[0], 1.0)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_graph_whose_hashes_all_changed_is_paired_whole(
        graph in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..5), 1..40),
        names in prop::collection::vec(0..60u8, 40),
    ) {
        // Names may occur twice: what is left open then has contents of its own.
        let parts: Vec<Part> = graph.iter().enumerate().map(|(index, references)| Part {
            name: format!("part{}", names[index]),
            files: vec![("of".to_owned(), index.to_string()), (index.to_string(), String::new())],
            references: references.iter().filter(|_| index > 0).map(|other| other.index(index.max(1)))
                .collect::<std::collections::BTreeSet<_>>().into_iter().collect(),
        }).collect();
        let found = pairs(&parts, &parts);
        prop_assert_eq!(&found, &pairs(&parts, &parts));
        let mut taken = vec![false; parts.len()];
        for (index, pair) in found.iter().enumerate() {
            let (old, _) = pair.expect("each has a partner");
            prop_assert_eq!(&parts[old].name, &parts[index].name);
            prop_assert!(!std::mem::replace(&mut taken[old], true), "no component is in two pairs");
        }
    }
}
