//! Several components in one directory: where they go, how they merge, what they may not do.

mod support;

use std::fs;

use support::snapshot::snapshot;
use support::{
    Fixture, Part, component, dir, file, hardlink, mode, normalised, release, sub, symlink, system,
    with_mtimes, xattr,
};
use upmass_checkout::{CheckoutError, Options, checkout_component, checkout_system};
use upmass_format::tree::{Child, Directory, Meta, MtimePolicy};

#[test]
fn each_component_is_at_its_install_path_and_parents_are_made() {
    let fixture = Fixture::new();
    let one = read_only(dir([("bin", sub([("one", file("1"))]))]));
    let two = read_only(dir([("lib", sub([]))]));
    let release = fixture.release(vec![
        fixture.part("one", "/nix/store/one", &one),
        fixture.part("two", "/nix/store/two", &two),
    ]);
    let report = fixture.checkout(release).unwrap();
    assert_eq!(report.entries, 7);
    let store = sub([("one", Child::Directory(one)), ("two", Child::Directory(two))]);
    check_found(&fixture, dir([("nix", sub([("store", store)]))]));
}

#[test]
fn a_component_may_be_one_file_beside_others() {
    let fixture = Fixture::new();
    let release = fixture.release(vec![
        fixture.part("abc-config", "/nix/store", &dir([("abc-config", file("c"))])),
        fixture.part("def-link", "/nix/store", &dir([("def-link", symlink("abc-config"))])),
        fixture.part("ghi-dir", "/nix/store/ghi-dir", &dir([("x", file("x"))])),
    ]);
    fixture.checkout(release).unwrap();
    let store = sub([
        ("abc-config", file("c")),
        ("def-link", symlink("abc-config")),
        ("ghi-dir", sub([("x", file("x"))])),
    ]);
    check_found(&fixture, dir([("nix", sub([("store", store)]))]));
}

#[test]
fn the_root_of_a_component_wins_over_the_directory_it_is_installed_in() {
    let fixture = Fixture::new();
    let base =
        with_attributes(0o1777, 5, &["trusted.base", "user.both"], sub([("old", file("o"))]));
    let base = dir([("opt", base), ("other", file("x"))]);
    let added = sub([("new", file("n"))]);
    let Child::Directory(added) = with_attributes(0o2750, 6, &["user.added", "user.both"], added)
    else {
        unreachable!("it is a directory")
    };
    // Names in the other order: the install path decides.
    let release =
        fixture.release(vec![fixture.part("a", "/opt", &added), fixture.part("b", "/", &base)]);
    let report = fixture.checkout(release).unwrap();
    assert_eq!(report.entries, 4);
    let merged = sub([("new", file("n")), ("old", file("o"))]);
    let merged = with_attributes(0o2750, 6, &["user.added", "user.both"], merged);
    check_found(&fixture, dir([("opt", merged), ("other", file("x"))]));
}

#[test]
fn directories_that_several_components_have_are_merged_at_any_depth() {
    let fixture = Fixture::new();
    let shared = |bits, child: (&'static str, Child)| {
        let inner = with_attributes(bits, 0, &[], sub([child]));
        dir([("usr", sub([("share", inner)]))])
    };
    let release = fixture.release(vec![
        fixture.part("a", "/", &shared(0o700, ("a", file("a")))),
        fixture.part("b", "/", &shared(0o711, ("b", file("b")))),
    ]);
    fixture.checkout(release).unwrap();
    let merged = sub([("a", file("a")), ("b", file("b"))]);
    let merged = with_attributes(0o711, 0, &[], merged);
    check_found(&fixture, dir([("usr", sub([("share", merged)]))]));
}

#[test]
fn what_is_installed_below_does_not_change_the_times_above() {
    let fixture = Fixture::new();
    let above = with_mtimes(dir([("a", sub([("b", sub([]))]))]));
    let below = with_mtimes(with_mtimes(dir([("x", file("x"))])));
    let put = |name, install, tree| Part {
        name,
        install,
        tree: fixture.put_tree(tree, MtimePolicy::Kept),
    };
    let release = fixture.release(vec![put("above", "/", &above), put("below", "/a/b/c", &below)]);
    fixture.checkout(release).unwrap();
    let mut expected = above;
    let Some(Child::Directory(a)) = expected.children.get_mut(&support::name(b"a")) else {
        unreachable!("it was made above")
    };
    let Some(Child::Directory(b)) = a.children.get_mut(&support::name(b"b")) else {
        unreachable!("it was made above")
    };
    b.children.insert(support::name(b"c"), Child::Directory(below));
    assert_eq!(snapshot(&fixture.target()), expected);
}

#[test]
fn hardlinks_count_from_the_root_of_their_own_tree() {
    let fixture = Fixture::new();
    let tree = dir([("a", file("x")), ("b", hardlink("a"))]);
    let release = fixture
        .release(vec![fixture.part("one", "/one", &tree), fixture.part("two", "/two", &tree)]);
    fixture.checkout(release).unwrap();
    let linked = |target| sub([("a", file("x")), ("b", hardlink(target))]);
    check_found(&fixture, dir([("one", linked("one/a")), ("two", linked("two/a"))]));
}

#[test]
fn the_root_is_as_in_the_component_that_is_installed_there() {
    let fixture = Fixture::new();
    let mut root = dir([("a", sub([]))]);
    root.meta = Meta { uid: 3, gid: 4, xattrs: vec![xattr("user.x", b"y")], ..mode(0o3711) };
    let release = fixture.release(vec![
        fixture.part("below", "/a", &dir([("x", file("x"))])),
        fixture.part("root", "/", &root),
    ]);
    fixture.checkout(release).unwrap();
    let a = sub([("x", file("x"))]);
    root.children.insert(support::name(b"a"), a);
    check_found(&fixture, root);
}

#[test]
fn a_system_has_what_its_roots_refer_to_and_no_more() {
    let fixture = Fixture::new();
    let part = |name: &'static str| component(fixture.part(name, "/", &dir([(name, file(name))])));
    let mut components = vec![part("a"), part("b"), part("c"), part("d")];
    components[0].references = vec![1];
    components[1].references = vec![0, 1];
    let mut release = release(
        components,
        vec![system("first", vec![0]), system("second", vec![2]), system("third", vec![])],
    );
    release.fallback = 1;
    let id = fixture.store.record(&release).unwrap();
    let target = fixture.target();
    for (system, expected) in [
        (None, vec!["c"]),
        (Some("first"), vec!["a", "b"]),
        (Some("second"), vec!["c"]),
        (Some("third"), vec![]),
    ] {
        let options = Options::default();
        checkout_system(&fixture.store, id, system, &target, &options, &mut |_| {}).unwrap();
        let found = snapshot(&target);
        let names: Vec<_> = found.children.keys().map(ToString::to_string).collect();
        assert_eq!(names, expected);
        assert_eq!(found.meta.mode, 0o755);
        fs::remove_dir_all(&target).unwrap();
    }
    let error = checkout_system(
        &fixture.store,
        id,
        Some("fourth"),
        &target,
        &Options::default(),
        &mut |_| {},
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        format!("release {id} has no system \"fourth\"; it has first, second, third")
    );
    assert_eq!(fixture.names(), ["store"]);
}

#[test]
fn one_component_can_be_looked_at_alone() {
    let fixture = Fixture::new();
    let one = read_only(dir([("bin", sub([("one", file("1"))]))]));
    let release = fixture.release(vec![
        fixture.part("one", "/nix/store/one", &one),
        fixture.part("two", "/nix/store/two", &dir([])),
    ]);
    let (target, options) = (fixture.target(), Options::default());
    let checkout =
        |name| checkout_component(&fixture.store, release, name, &target, &options, &mut |_| {});
    assert_eq!(
        checkout("three").unwrap_err().to_string(),
        format!("release {release} has no component \"three\"")
    );
    checkout("one").unwrap();
    check_found(&fixture, one);
}

#[test]
fn what_is_no_release_of_the_store_is_refused() {
    let fixture = Fixture::new();
    let id = fixture.store.put(b"no release, but an object").unwrap().into();
    fixture.check_refused(id, &format!("the store has no release {id}"));
}

#[test]
fn an_entry_that_two_components_have_is_refused() {
    let same = || dir([("d", sub([("x", file("1"))]))]);
    check_conflict(("/", same()), ("/", same()), "/d/x");
    check_conflict(("/", same()), ("/d", dir([("x", symlink("y"))])), "/d/x");
    check_conflict(("/", same()), ("/d", dir([("x", sub([]))])), "/d/x");
    check_conflict(("/", same()), ("/", dir([("d", file("no directory"))])), "/d");
    check_conflict(("/d", dir([("x", file("1"))])), ("/d", dir([("x", sub([]))])), "/d/x");
    check_conflict(("/", same()), ("/d/x", dir([])), "/d/x");
    let linked = dir([("d", sub([("a", file("2")), ("x", hardlink("d/a"))]))]);
    check_conflict(("/", same()), ("/", linked), "/d/x");
    check_conflict(("/", dir([("d", sub([]))])), ("/", dir([("d", symlink("e"))])), "/d");
}

#[test]
fn the_component_that_is_in_the_way_is_found_among_many() {
    let fixture = Fixture::new();
    let other = dir([("a", sub([("b", file("x"))])), ("b", sub([("c", sub([]))]))]);
    let release = fixture.release(vec![
        fixture.part("c1", "/", &dir([("a", sub([("c", file("x"))]))])),
        fixture.part("c2", "/b", &dir([("c", sub([("z", file("z"))]))])),
        fixture.part("c3", "/", &other),
        fixture.part("c4", "/b/c", &dir([("y", file("y")), ("z", file("z"))])),
    ]);
    fixture.check_refused(release, "the components c2 and c4 both have /b/c/z");
}

#[test]
fn nothing_is_written_behind_a_symlink() {
    let outside = tempfile::tempdir().unwrap();
    let outside = outside.path().to_str().unwrap();
    for link in [outside, "b", "."] {
        let base = || dir([("a", symlink(link)), ("b", sub([]))]);
        let evil = dir([("passwd", file("evil"))]);
        check_refused(
            [("first", "/", base()), ("second", "/a/deeper", evil.clone())],
            "component second is installed at /a/deeper, but /a is not a directory in component \
             first",
        );
        check_refused(
            [("first", "/", base()), ("second", "/a", evil.clone())],
            "the components first and second both have /a",
        );
        check_refused(
            [("first", "/", base()), ("second", "/", dir([("a", Child::Directory(evil))]))],
            "the components first and second both have /a",
        );
    }
    assert_eq!(fs::read_dir(outside).unwrap().count(), 0);
}

#[test]
fn a_component_below_a_file_is_refused() {
    check_refused(
        [("first", "/", dir([("a", file("x"))])), ("second", "/a/b/c", dir([]))],
        "component second is installed at /a/b/c, but /a is not a directory in component first",
    );
}

#[test]
fn names_in_errors_are_one_line() {
    let (first, second) = (dir([("a\nb", file("x"))]), dir([("a\nb", file("x"))]));
    check_refused(
        [("first", "/odd\\dir", first), ("second", "/odd\\dir", second)],
        "the components first and second both have /odd\\\\dir/a\\nb",
    );
}

fn check_conflict(first: (&'static str, Directory), second: (&'static str, Directory), path: &str) {
    check_refused(
        [("first", first.0, first.1), ("second", second.0, second.1)],
        &format!("the components first and second both have {path}"),
    );
}

fn check_refused<const N: usize>(
    parts: [(&'static str, &'static str, Directory); N],
    expected: &str,
) {
    let fixture = Fixture::new();
    let parts = parts.map(|(name, install, tree)| fixture.part(name, install, &tree));
    let release = fixture.release(parts.into());
    let error = fixture.checkout(release).unwrap_err();
    assert!(!error.is_temporary());
    assert!(matches!(error, CheckoutError::Conflict { .. } | CheckoutError::NotADirectory { .. }));
    assert_eq!(error.to_string(), expected);
    assert_eq!(fixture.names(), ["store"], "nothing is left behind");
}

fn check_found(fixture: &Fixture, expected: Directory) {
    assert_eq!(snapshot(&fixture.target()), normalised(expected));
}

fn read_only(mut tree: Directory) -> Directory {
    tree.meta.mode = 0o555;
    tree
}

fn with_attributes(bits: u16, uid: u32, xattrs: &[&str], child: Child) -> Child {
    let Child::Directory(mut directory) = child else { unreachable!("only for directories") };
    directory.meta = Meta {
        uid,
        xattrs: xattrs.iter().map(|name| xattr(name, name.as_bytes())).collect(),
        ..mode(bits)
    };
    Child::Directory(directory)
}
