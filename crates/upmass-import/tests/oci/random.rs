//! Random stacks of layers give what umoci unpacks, and are refused where umoci refuses them.

use proptest::prelude::*;

use super::*;
use crate::support::{Archive, Header, assert_same_tree, is_root, memory_store, record};

#[derive(Debug, Clone)]
enum Step {
    File(String, u8),
    Directory(String, u8),
    Symlink(String, String),
    Hardlink(String, String),
    Fifo(String),
    Delete(String),
    Opaque(String),
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4).prop_map(|p| p.join("/"))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (path(), any::<u8>()).prop_map(|(path, seed)| Step::File(path, seed)),
        4 => (path(), any::<u8>()).prop_map(|(path, seed)| Step::Directory(path, seed)),
        1 => (path(), prop_oneof![path(), path().prop_map(|p| format!("/{p}")), path().prop_map(|p| format!("../{p}"))])
            .prop_map(|(path, target)| Step::Symlink(path, target)),
        1 => (path(), path()).prop_map(|(path, target)| Step::Hardlink(path, target)),
        1 => path().prop_map(Step::Fifo),
        2 => path().prop_map(Step::Delete),
        1 => path().prop_map(Step::Opaque),
    ]
}

fn archive(steps: &[Step]) -> Vec<u8> {
    let mut archive = Archive::new().directory("./");
    for step in steps {
        archive = match step {
            Step::File(path, seed) => {
                let archive = match seed % 4 {
                    0 => archive.extended(b'x', &record("SCHILY.xattr.user.a", [*seed, 0, 10])),
                    _ => archive,
                };
                archive.file(path, vec![*seed; usize::from(*seed)])
            }
            Step::Directory(path, seed) => {
                let mode = format!("{:07o}", 0o700 | u32::from(*seed)).into_bytes();
                archive.entry(&Header { mode, ..Header::new(b'5', path, 0) }, b"")
            }
            Step::Symlink(path, target) => archive.entry(&Header::link(b'2', path, target), b""),
            Step::Hardlink(path, target) => archive.entry(&Header::link(b'1', path, target), b""),
            Step::Fifo(path) => archive.entry(&Header::new(b'6', path, 0), b""),
            Step::Delete(path) => {
                let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
                archive.file(format!("{parent}/.wh.{name}"), "")
            }
            Step::Opaque(path) => archive.file(format!("{path}/.wh..wh..opq"), ""),
        };
    }
    archive.end()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn stacks_of_layers_are_what_umoci_makes_of_them(
        stack in prop::collection::vec(prop::collection::vec(step(), 0..12), 1..4),
    ) {
        if !is_root() {
            return Ok(());
        }
        let archives: Vec<Vec<u8>> = stack.iter().map(|steps| archive(steps)).collect();
        let archives: Vec<&[u8]> = archives.iter().map(Vec::as_slice).collect();
        let place = Place::new();
        let layout = Layout::new(&place.home().join("image")).image(&archives);
        let store = memory_store();
        let ours = import_image(&store, &layout.dir);
        match (ours, umoci(&place, &layout, &store, MtimePolicy::Normalised)) {
            (Ok(image), Some(expected)) => {
                assert_same_tree(&store, image.imported.tree, expected, "umoci");
            }
            (Err(_), None) => {}
            (Ok(_), None) => panic!("umoci refuses it"),
            (Err(error), Some(_)) => panic!("umoci takes it: {error}"),
        }
    }
}
