//! What Nix is told of store paths, and what is refused before Nix is told anything wrong.

mod support;

use std::collections::BTreeMap;
use std::fs;

use support::{Fixture, Part, component, dir, file, release, sub, symlink, system};
use upmass_checkout::{CheckoutError, NIX_REGISTRATION, NIX_SIGNATURES, Options, Registration};
use upmass_format::release::Component;

const LIB: &str = "yivigy8m4pij3d3rxw4f019rgkz5i6ky-lib-1.0";
const APP: &str = "g9iqcmsqnwxq7wbzhcdy484xxan39avg-app-2";
const LIB_PATH: &str = "/nix/store/yivigy8m4pij3d3rxw4f019rgkz5i6ky-lib-1.0";
const NIX: Registration = Registration::Nix;

#[test]
fn a_registration_has_paths_hashes_derivers_and_references_in_the_lines_that_nix_reads() {
    let fixture = Fixture::new();
    let tree = dir([("a", symlink("b")), ("b", file("hi\n")), ("c", sub([]))]);
    let lib = fixture.part(LIB, LIB_PATH, &tree);
    let app = fixture.part(APP, "/nix/store", &dir([(APP, symlink("x"))]));
    let plain = fixture.part("settings", "/etc", &dir([("x", file("x"))]));
    let [mut app, lib, plain] = [app, lib, plain].map(component);
    app.references = vec![0, 1, 2];
    app.labels = labels("nix.deriver", &format!("{APP}.drv"));
    let report = check_out(&fixture, vec![app, plain, lib]).unwrap();
    assert_eq!(report.registered, 2);
    let text = fs::read_to_string(fixture.target().join(NIX_REGISTRATION)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let app = format!("/nix/store/{APP}");
    assert_eq!(lines[0], app);
    assert_eq!(lines[3..7], [&format!("{app}.drv"), "2", &app, LIB_PATH]);
    // As `nix-store --dump` and sha256sum say.
    let digest = "9a398e742cb613be03961aeac98a8180e788455613e1abc8cb8ff2b83e3e5061";
    assert_eq!(lines[7..], [LIB_PATH, digest, "648", "", "0"]);
    assert!(!fixture.target().join(NIX_SIGNATURES).exists());
}

#[test]
fn what_nix_would_misunderstand_is_refused() {
    let fixture = Fixture::new();
    let tree = dir([("x", file("x"))]);
    let lib = || component(fixture.part(LIB, LIB_PATH, &tree));

    let deriver = labels("nix.deriver", &format!("{LIB}.drv\n0\n/nix/store/{APP}"));
    let error = check_out(&fixture, vec![Component { labels: deriver, ..lib() }]).unwrap_err();
    assert!(matches!(error, CheckoutError::BadDeriver { .. }), "{error}");

    let other = Part { name: APP, install: "/gnu/store", ..fixture.part(APP, "/", &tree) };
    let other = Component {
        tree: fixture.part(APP, "/", &dir([(APP, file("y"))])).tree,
        ..component(other)
    };
    let error = check_out(&fixture, vec![other, lib()]).unwrap_err().to_string();
    let expected =
        "the system has Nix store paths in /gnu/store and in /nix/store: Nix has one of them";
    assert_eq!(error, expected);

    let not_single = component(fixture.part(APP, "/nix/store", &dir([("x", file("y"))])));
    let error = check_out(&fixture, vec![not_single]).unwrap_err().to_string();
    let expected = format!(
        "component {APP} is no Nix store path: its tree is not the single file or symlink {APP}"
    );
    assert_eq!(error, expected);

    let mut mine = component(fixture.part("zzz", "/", &dir([(NIX_REGISTRATION, file("mine"))])));
    mine.references = vec![0];
    let error = check_out(&fixture, vec![lib(), mine]).unwrap_err().to_string();
    assert_eq!(error, "a component has /nix-path-registration itself: leave out --nix");
    assert_eq!(fixture.names(), ["store"], "nothing is left behind");
}

fn labels(key: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), value.to_owned())])
}

/// Checks out a release of these components, which ascend by name, and has them registered.
fn check_out(
    fixture: &Fixture,
    components: Vec<Component>,
) -> Result<upmass_checkout::Report, CheckoutError> {
    let roots = (0..components.len()).collect();
    let id = fixture.store.record(&release(components, vec![system("main", roots)])).unwrap();
    fixture.checkout_with(id, &Options { registration: NIX, ..Options::default() })
}
