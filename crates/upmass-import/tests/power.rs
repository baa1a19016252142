//! Whenever power goes during an import, or the disk fails, the store holds whole objects, and
//! the next import does the rest.

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::{Place, import_archive, tar, write};
use upmass_disk::{Fault, FaultVolume, SimVolume, Survivors, Volume};
use upmass_format::tree::{Meta, Node};
use upmass_format::{TreeId, TreePath};
use upmass_import::{ImportError, ImportOptions, import_directory};
use upmass_store::Store;

#[test]
fn a_power_cut_at_any_step_costs_nothing_but_time() {
    let source = Source::new();
    for import in source.ways() {
        let volume = SimVolume::new(1 << 30);
        let first = new_store(volume.clone());
        let start = volume.steps();
        let tree = import(&first).unwrap();
        let end = volume.steps();
        assert!(end > start + 10);
        for step in start..end {
            let volume = SimVolume::new(1 << 30);
            let store = new_store(volume.clone());
            volume.cut_power_at(step);
            // The last steps only write the index, without which an import succeeds.
            let is_index_only = import(&store).is_ok();
            assert!(volume.is_off());
            let chances = (0..4).map(|chance| Survivors::Random(step * 4 + chance));
            for survivors in Survivors::CERTAIN.into_iter().chain(chances) {
                let after = volume.after_power_cut(survivors);
                let store = Store::on(Arc::new(after), "memory").unwrap();
                assert_whole(&store);
                assert!(!is_index_only || store.contains(tree.into()).unwrap());
                assert_eq!(import(&store).unwrap(), tree, "step {step}, {survivors:?}");
                assert_whole(&store);
            }
        }
    }
}

#[test]
fn a_full_disk_is_temporary_and_a_failing_one_is_not_the_fault_of_the_source() {
    let source = Source::new();
    for import in source.ways() {
        let counting = FaultVolume::new(SimVolume::new(1 << 30), Fault::Count);
        let counter = counting.counter();
        let store = new_store(counting);
        let start = counter.steps();
        let tree = import(&store).unwrap();
        for step in start..counter.steps() {
            for fault in [Fault::Full(step), Fault::Io(step)] {
                let volume = SimVolume::new(1 << 30);
                let store = new_store(FaultVolume::new(volume.clone(), fault));
                if let Err(error) = import(&store) {
                    assert!(matches!(error, ImportError::Store(_)), "{error}");
                    assert!(!error.is_bad_input());
                    assert_eq!(error.is_temporary(), matches!(fault, Fault::Full(_)), "{error}");
                }
                let store = Store::on(Arc::new(volume.clone()), "memory").unwrap();
                assert_whole(&store);
                assert_eq!(import(&store).unwrap(), tree, "{fault:?}");
                // What the failed import left and this one relies on is durable too.
                let after = volume.after_power_cut(Survivors::Nothing);
                let store = Store::on(Arc::new(after), "memory").unwrap();
                assert_complete(&store, tree, fault);
            }
        }
    }
}

/// A directory, and an archive of it.
struct Source {
    place: Place,
    archive: Vec<u8>,
}

type Import<'a> = Box<dyn Fn(&Store) -> Result<TreeId, ImportError> + 'a>;

impl Source {
    fn new() -> Self {
        let place = Place::new();
        for (name, len) in [("inline", 10), ("a", 5000), ("same-as-a", 5000), ("b", 4096)] {
            write(&place.source().join(name), &vec![7; len]);
        }
        let large: Vec<u8> = (0..3u32 << 18).flat_map(u32::to_le_bytes).collect();
        write(&place.source().join("large"), &large);
        // So that the files are entered in the index.
        std::thread::sleep(Duration::from_millis(2300));
        let archive = tar(&place.source(), &[]);
        Self { place, archive }
    }

    fn ways(&self) -> [Import<'_>; 2] {
        let options = ImportOptions::default();
        // One thread, so that the steps come in the same order each time.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let source = self.place.source();
        [
            Box::new(move |store| {
                let import = || import_directory(store, &source, &options, &|_| {});
                pool.install(import).map(|imported| imported.tree)
            }),
            Box::new(|store| import_archive(store, &self.archive).map(|imported| imported.tree)),
        ]
    }
}

fn new_store(volume: impl Volume + 'static) -> Store {
    Store::create_on(Arc::new(volume), "memory").unwrap()
}

/// The tree is there, with all that it needs.
fn assert_complete(store: &Store, id: TreeId, fault: Fault) {
    let (tree, _) = store.tree(id).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
    let check = |path: &TreePath, _: &Meta, node: &Node| match node {
        Node::Object { id, .. } if !store.contains(*id).unwrap() => {
            Err(format!("{fault:?}: {path} is not durable"))
        }
        _ => Ok(()),
    };
    tree.walk(&mut { check }).unwrap();
}

fn assert_whole(store: &Store) {
    assert_eq!(store.check(&mut |_| {}).unwrap().damages, []);
}
