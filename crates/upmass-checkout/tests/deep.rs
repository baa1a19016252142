//! Trees as deep as the format allows, which is deeper than one path can say.

mod support;

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, AtFlags, Mode, OFlags};
use support::{Fixture, dir, file, mode, name, sub};
use upmass_format::MAX_PATH;
use upmass_format::tree::{Child, Directory};

/// Directories in a path of names of one byte.
const DEEPEST: usize = MAX_PATH / 2;

#[test]
fn a_deep_tree_below_a_deep_install_path_comes_back() {
    // Recursive code of the encoding needs a stack for this; the checkout does not.
    on_a_large_stack(|| {
        let fixture = Fixture::new();
        let install: &'static str = String::leak("/d".repeat(DEEPEST));
        let tree = deep_tree(DEEPEST);
        let release = fixture.release(vec![fixture.part("deep", install, &tree)]);
        let report = fixture.checkout(release).unwrap();
        assert_eq!(report.entries, 3 * DEEPEST as u64);

        let mut here = open(rustix::fs::CWD, fixture.target().as_os_str());
        for _ in 0..DEEPEST {
            here = open(&here, "d".as_ref());
        }
        for depth in (0..DEEPEST).rev() {
            let stat = fs::fstat(&here).unwrap();
            assert_eq!(stat.st_mode & 0o7777, mode_at(depth).into());
            assert_eq!((stat.st_mtime, stat.st_mtime_nsec), (1, 0));
            let leaf = fs::statat(&here, "~", AtFlags::SYMLINK_NOFOLLOW).unwrap();
            assert_eq!(leaf.st_size, depth.to_string().len() as i64);
            here = open(&here, "d".as_ref());
        }
        remove(&fixture);
    });
}

#[test]
fn a_deep_tree_that_fails_at_its_end_is_removed() {
    on_a_large_stack(|| {
        let fixture = Fixture::new();
        let tree = deep_tree(DEEPEST);
        let release = fixture.release(vec![
            fixture.part("a", "/", &tree),
            fixture.part("b", "/", &dir([("~", file("conflict"))])),
        ]);
        fixture.check_refused(release, "the components a and b both have /~");
    });
}

#[test]
fn a_hardlink_leads_from_one_deep_end_to_another() {
    on_a_large_stack(|| {
        let fixture = Fixture::new();
        let mut other = sub([]);
        let target = format!("{}~", "d/".repeat(DEEPEST - 2));
        let Child::Directory(bottom) = &mut other else { unreachable!("it is a directory") };
        bottom.children.insert(name(b"link"), support::hardlink(&target));
        for _ in 0..1000 {
            other = sub([("e", other)]);
        }
        let mut tree = deep_tree(DEEPEST - 1);
        tree.children.insert(name(b"e"), other);
        let release = fixture.release_of(&tree);
        fixture.checkout(release).unwrap();
        let mut here = open(rustix::fs::CWD, fixture.target().as_os_str());
        for _ in 0..1001 {
            here = open(&here, "e".as_ref());
        }
        let stat = fs::statat(&here, "link", AtFlags::SYMLINK_NOFOLLOW).unwrap();
        assert_eq!(stat.st_nlink, 2);
        remove(&fixture);
    });
}

#[test]
fn a_tree_that_goes_down_and_up_many_times_comes_back() {
    let fixture = Fixture::new();
    let mut tree = dir([]);
    for branch in 0..10 {
        let mut child = sub([("end", file("x"))]);
        for depth in (0..200).rev() {
            let side = format!("side-{depth}");
            child = sub([("a", child), (side.as_str(), sub([("z", file("z"))]))]);
        }
        tree.children.insert(name(format!("{branch}").as_bytes()), child);
    }
    let release = fixture.release_of(&tree);
    fixture.checkout(release).unwrap();
    let found = support::snapshot::snapshot(&fixture.target());
    assert!(found == support::normalised(tree));
}

/// Directories named `d`, each but the innermost with a file `~`.
fn deep_tree(depth: usize) -> Directory {
    let mut tree = Directory { meta: mode(mode_at(0)), ..Directory::default() };
    for depth in 0..depth {
        let outer = Directory { meta: mode(mode_at(depth)), ..Directory::default() };
        let inner = std::mem::replace(&mut tree, outer);
        tree.children.insert(name(b"d"), Child::Directory(inner));
        tree.children.insert(name(b"~"), file(&depth.to_string()));
    }
    tree
}

fn mode_at(depth: usize) -> u16 {
    0o700 | (depth % 0o100) as u16
}

fn open(parent: impl AsFd, name: &std::ffi::OsStr) -> OwnedFd {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    fs::openat(parent, name, flags, Mode::empty()).unwrap()
}

/// A directory this deep is too much for the removal of `TempDir`.
fn remove(fixture: &Fixture) {
    let status = std::process::Command::new("rm").arg("-rf").arg(fixture.target()).status();
    assert!(status.unwrap().success());
}

fn on_a_large_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(64 << 20).spawn(test).unwrap();
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}
