//! Whenever power goes during an import, or the disk fails, the store holds whole objects, and
//! the next import does the rest.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use support::{Place, import_archive, tar, write};
use upmass_disk::{Fault, FaultVolume, SimVolume, Survivors, Volume};
use upmass_format::tree::{Meta, Node};
use upmass_format::{TreeId, TreePath};
use upmass_import::{ImportError, ImportOptions, NixSource, import_directory, import_nix};
use upmass_store::Store;

#[test]
fn a_power_cut_at_any_step_costs_nothing_but_time() {
    let source = Source::new();
    for import in source.ways() {
        let volume = SimVolume::new(1 << 30);
        let first = new_store(volume.clone());
        let start = volume.steps();
        let trees = import(&first).unwrap();
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
                let what = format!("step {step}, {survivors:?}");
                let after = volume.after_power_cut(survivors);
                let store = Store::on(Arc::new(after), "memory").unwrap();
                assert_whole(&store);
                if is_index_only {
                    assert_complete(&store, &trees, &what);
                }
                assert_eq!(import(&store).unwrap(), trees, "{what}");
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
        let trees = import(&store).unwrap();
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
                assert_eq!(import(&store).unwrap(), trees, "{fault:?}");
                // What the failed import left and this one relies on is durable too.
                let after = volume.after_power_cut(Survivors::Nothing);
                let store = Store::on(Arc::new(after), "memory").unwrap();
                assert_complete(&store, &trees, &format!("{fault:?}"));
            }
        }
    }
}

/// A directory, an archive of it, and a Nix store of a few paths without a database.
struct Source {
    place: Place,
    archive: Vec<u8>,
    nix: NixSource,
}

type Import<'a> = Box<dyn Fn(&Store) -> Result<Vec<TreeId>, ImportError> + 'a>;

impl Source {
    fn new() -> Self {
        let place = Place::new();
        for (name, len) in [("inline", 10), ("a", 5000), ("same-as-a", 5000), ("b", 4096)] {
            write(&place.source().join(name), &vec![7; len]);
        }
        let large: Vec<u8> = (0..3u32 << 18).flat_map(u32::to_le_bytes).collect();
        write(&place.source().join("large"), &large);
        let nix = nix_store(&place.home().join("nix"));
        // So that the files are entered in the index.
        std::thread::sleep(Duration::from_millis(2300));
        let archive = tar(&place.source(), &[]);
        Self { place, archive, nix }
    }

    fn ways(&self) -> [Import<'_>; 3] {
        let (options, nix_options) = (ImportOptions::default(), ImportOptions::default());
        // One thread, so that the steps come in the same order each time.
        let one_thread = || rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let (pool, nix_pool) = (one_thread(), one_thread());
        let source = self.place.source();
        [
            Box::new(move |store| {
                let import = || import_directory(store, &source, &options, &|_| {});
                pool.install(import).map(|imported| vec![imported.tree])
            }),
            Box::new(|store| {
                import_archive(store, &self.archive).map(|imported| vec![imported.tree])
            }),
            Box::new(move |store| {
                let import = || import_nix(store, &self.nix, &nix_options, &|_| {});
                let closure = nix_pool.install(import)?;
                assert_eq!(closure.components.len(), 4);
                Ok(closure.components.iter().map(|component| component.imported.tree).collect())
            }),
        ]
    }
}

fn new_store(volume: impl Volume + 'static) -> Store {
    Store::create_on(Arc::new(volume), "memory").unwrap()
}

/// Two directories, one of which is not as Nix would leave it, a file and a link.
fn nix_store(root: &Path) -> NixSource {
    let [app, lib, file, link] = [("a", "app"), ("b", "lib"), ("c", "file"), ("d", "link")]
        .map(|(hash, name)| format!("{}-{name}", hash.repeat(32)));
    let path = |name: &str| root.join("nix/store").join(name);
    for directory in [&app, &lib] {
        fs::create_dir_all(path(directory)).unwrap();
    }
    write(&path(&app).join("run"), format!("{lib} {link} {file}").repeat(100).as_bytes());
    write(&path(&lib).join("data"), &[8; 6000]);
    write(&path(&lib).join("same"), &[9; 7000]);
    fs::hard_link(path(&lib).join("same"), path(&lib).join("twin")).unwrap();
    write(&path(&file), &[9; 7000]);
    symlink(format!("/nix/store/{lib}"), path(&link)).unwrap();
    NixSource { roots: vec![path(&app)], store_root: Some(root.to_owned()), ..NixSource::default() }
}

/// The trees are there, with all that they need.
fn assert_complete(store: &Store, trees: &[TreeId], what: &str) {
    for id in trees {
        let (tree, _) = store.tree(*id).unwrap_or_else(|error| panic!("{what}: {error}"));
        let check = |path: &TreePath, _: &Meta, node: &Node| match node {
            Node::Object { id, .. } if !store.contains(*id).unwrap() => {
                Err(format!("{what}: {path} is not durable"))
            }
            _ => Ok(()),
        };
        tree.walk(&mut { check }).unwrap();
    }
}

fn assert_whole(store: &Store) {
    assert_eq!(store.check(&mut |_| {}).unwrap().damages, []);
}
