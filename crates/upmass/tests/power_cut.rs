//! Applying and collecting on a simulated disk that loses power at every step, and then keeps
//! nothing, everything or a random part of what was not synced.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use upmass_apply::{Limits, Received, Trust};
use upmass_build::{Options, build_update};
use upmass_disk::{Fault, FaultVolume, SimVolume, Survivors};
use upmass_format::release::{Changes, Component, InstallPath, Release, System};
use upmass_format::tree::{Child, Directory, Meta, MtimePolicy, Node};
use upmass_format::{Name, ReleaseId};
use upmass_store::Store;

/// Random outcomes of each cut, besides those without chance.
const SEEDS: u64 = 6;
const CAPACITY: u64 = 64 << 20;

#[test]
fn a_power_cut_at_any_step_of_applying_leaves_the_old_or_the_new_release_whole() {
    let (host, old, new) = releases();
    let update = update(&host, Some(old), new);
    let device = SimVolume::new(CAPACITY);
    apply(&open(&device), &self::update(&host, None, old)).unwrap();
    let device = device.after_power_cut(Survivors::Everything);
    let trial = device.after_power_cut(Survivors::Everything);
    apply(&open(&trial), &update).unwrap();
    let steps = trial.steps();
    assert!(steps > 25, "{steps} steps");

    let mut states = 0;
    for step in 0..=steps {
        let cut = device.after_power_cut(Survivors::Everything);
        cut.cut_power_at(step);
        let applied = apply(&open(&cut), &update);
        assert_eq!(applied.is_ok(), step == steps, "step {step}");
        for survivors in Survivors::some(SEEDS) {
            let what = format!("cut at step {step}, {survivors:?} survived");
            let after = cut.after_power_cut(survivors);
            let store = open(&after);
            assert_whole(&store, &what);
            assert!(store.has_release(old).unwrap(), "{what}: the old release is gone");
            // A second cut on the way back costs nothing either.
            let second = after.after_power_cut(Survivors::Everything);
            second.cut_power_at(step / 2 + 3);
            let _ = apply(&open(&second), &update);
            let store = open(&second.after_power_cut(Survivors::Random(step)));
            assert_whole(&store, &what);
            apply(&store, &update).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_whole(&store, &what);
            assert!(store.has_release(new).unwrap(), "{what}");
            states += 1;
        }
    }
    println!("{states} states after a cut in {steps} steps, none broken");
}

#[test]
fn what_an_interrupted_run_left_unsynced_is_durable_after_the_next_run() {
    let (host, old, new) = releases();
    let update = update(&host, Some(old), new);
    let device = SimVolume::new(CAPACITY);
    apply(&open(&device), &self::update(&host, None, old)).unwrap();
    let trial = device.after_power_cut(Survivors::Everything);
    apply(&open(&trial), &update).unwrap();
    for step in 0..trial.steps() {
        // The process dies, the machine goes on; the next run completes; then power goes.
        let volume = device.after_power_cut(Survivors::Everything);
        let failing = FaultVolume::new(volume.clone(), Fault::Io(step));
        if let Ok(store) = Store::create_on(Arc::new(failing), "failing") {
            let _ = apply(&store, &update);
        }
        apply(&open(&volume), &update).unwrap();
        let store = open(&volume.after_power_cut(Survivors::Nothing));
        assert_whole(&store, &format!("failed at step {step}"));
        assert!(store.has_release(new).unwrap(), "failed at step {step}");
    }
}

#[test]
fn a_power_cut_at_any_step_of_collecting_leaves_every_release_whole() {
    let (host, old, new) = releases();
    let device = SimVolume::new(CAPACITY);
    let store = open(&device);
    apply(&store, &update(&host, None, old)).unwrap();
    apply(&store, &update(&host, Some(old), new)).unwrap();
    store.remove_release(old).unwrap();
    drop(store);
    let device = device.after_power_cut(Survivors::Everything);
    let trial = device.after_power_cut(Survivors::Everything);
    assert!(open(&trial).collect(false).unwrap().removed > 2);
    for step in 0..=trial.steps() {
        let cut = device.after_power_cut(Survivors::Everything);
        cut.cut_power_at(step);
        let _ = open(&cut).collect(false);
        for survivors in Survivors::some(SEEDS) {
            let what = format!("cut at step {step}, {survivors:?} survived");
            let store = open(&cut.after_power_cut(survivors));
            assert_whole(&store, &what);
            store.collect(false).unwrap();
            assert_whole(&store, &what);
            assert!(store.has_release(new).unwrap(), "{what}");
            assert_eq!(store.collect(true).unwrap().removed, 0, "{what}");
        }
    }
}

#[test]
fn a_power_cut_at_any_step_of_making_a_store_leaves_a_store_or_none() {
    let trial = SimVolume::new(CAPACITY);
    Store::create_on(Arc::new(trial.clone()), "trial").unwrap();
    for step in 0..=trial.steps() {
        let cut = SimVolume::new(CAPACITY);
        cut.cut_power_at(step);
        let _ = Store::create_on(Arc::new(cut.clone()), "cut");
        for survivors in Survivors::some(SEEDS) {
            let after = cut.after_power_cut(survivors);
            let store = Store::create_on(Arc::new(after), "again");
            let store = store.unwrap_or_else(|e| panic!("step {step}, {survivors:?}: {e}"));
            assert_whole(&store, "a new store");
        }
    }
}

fn assert_whole(store: &Store, what: &str) {
    let report = store.check(&mut |_| {}).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(report.damages.is_empty(), "{what}: {:?}", report.damages);
}

fn open(volume: &SimVolume) -> Store {
    Store::create_on(Arc::new(volume.clone()), "the device").unwrap()
}

fn apply(store: &Store, update: &Vec<u8>) -> upmass_apply::Result<()> {
    let received = Received::read(update)?.verify(&Trust::anything())?;
    received.fit(store, &Limits::default())?.apply(&mut |_| {})?;
    Ok(())
}

fn update(store: &Store, old: Option<ReleaseId>, new: ReleaseId) -> Vec<u8> {
    // Small segments, so that there is something between them.
    let options = Options { segment: 20_000, ..Options::default() };
    build_update(store, old, new, &[], &options, &|_| {}).unwrap().to_bytes()
}

fn releases() -> (Store, ReleaseId, ReleaseId) {
    let store = open(&SimVolume::new(CAPACITY));
    let [old, new] = [1, 2].map(|version| release(&store, version));
    (store, old, new)
}

fn release(store: &Store, version: u8) -> ReleaseId {
    let meta = Meta { mode: 0o644, ..Meta::default() };
    let mut children = BTreeMap::new();
    for file in 0..6u8 {
        let mut content: Vec<u8> = (0..12_000u32).map(|i| ((i * i) >> 7) as u8 ^ file).collect();
        if file % 2 == 0 {
            content[5000] = version;
        }
        let id = store.put(&content).unwrap();
        let node = Node::Object { size: content.len() as u64, id };
        let name = Name::new(format!("file{file}")).unwrap();
        children.insert(name, Child::Leaf(meta.clone(), node));
    }
    // Two that nothing old is like, and an archive of them, which is met first.
    let new: Vec<Vec<u8>> = (0..2u32).map(|n| noise(n + 9 * u32::from(version))).collect();
    let archive = [&b"an archive of "[..], &new[0], b" and ", &new[1]].concat();
    for (name, content) in [("archive", &archive), ("new0", &new[0]), ("new1", &new[1])] {
        let node = Node::Object { size: content.len() as u64, id: store.put(content).unwrap() };
        let name = Name::new(name.to_owned()).unwrap();
        children.insert(name, Child::Leaf(meta.clone(), node));
    }
    // Unpacked it is too long to stay in memory.
    let packed = common::packed(&["gzip", "-9n"], &common::text(version.into(), 300_000));
    let id = store.put(&packed).unwrap();
    let node = Node::Object { size: packed.len() as u64, id };
    children.insert(Name::new("log.gz".to_owned()).unwrap(), Child::Leaf(meta, node));
    let root = Directory { meta: Meta { mode: 0o755, ..Meta::default() }, children };
    let tree = store.put(&root.to_bytes(MtimePolicy::Normalised).unwrap()).unwrap();
    let component = Component {
        name: "all".to_owned(),
        install: InstallPath::new(b"/").unwrap(),
        references: Vec::new(),
        labels: BTreeMap::new(),
        tree: tree.into(),
    };
    let named = named_component(store, version);
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
        counter: version.into(),
        labels: BTreeMap::new(),
        components: vec![named, component],
        systems: vec![system],
        fallback: 0,
    };
    store.record(&release).unwrap()
}

fn noise(seed: u32) -> Vec<u8> {
    let step = |state: &mut u32| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some((*state >> 24) as u8)
    };
    std::iter::repeat_n((), 9_000).scan(seed * 7919 + 1, |state, ()| step(state)).collect()
}

/// A component with a hash in its name, which its files mention: they are renamed on the way.
fn named_component(store: &Store, version: u8) -> Component {
    let name = format!("{}-lib-1.0", version.to_string().repeat(32));
    let meta = Meta { mode: 0o444, ..Meta::default() };
    let mut children = BTreeMap::new();
    for file in 0..4u8 {
        let mut content: Vec<u8> = (0..9_000u32).map(|i| ((i * i) >> 6) as u8 ^ file).collect();
        content.extend_from_slice(name.as_bytes());
        if file == 3 {
            content.push(version);
        }
        let id = store.put(&content).unwrap();
        let node = Node::Object { size: content.len() as u64, id };
        children.insert(Name::new(format!("lib{file}")).unwrap(), Child::Leaf(meta.clone(), node));
    }
    let root = Directory { meta: Meta { mode: 0o555, ..Meta::default() }, children };
    let tree = store.put(&root.to_bytes(MtimePolicy::Normalised).unwrap()).unwrap();
    Component {
        install: InstallPath::new(format!("/store/{name}").as_bytes()).unwrap(),
        name,
        references: vec![0],
        labels: BTreeMap::new(),
        tree: tree.into(),
    }
}
