//! Two Nix closures, built by Nix, make the round trip: every path of the new one arrives.

mod common;

use std::fs;
use std::process::Command;

use common::Place;

const EXPRESSIONS: &str = r#"
{ version }:
let
  build = name: script: builtins.derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" script ];
    PATH = "/bin:/usr/bin";
  };
  lib = build "lib-1.0" ''
    mkdir -p $out/lib
    seq 1 20000 > $out/lib/data
    echo ${version} >> $out/lib/data
    echo $out > $out/lib/self
  '';
  app = build "app-2" ''
    mkdir -p $out/bin $out/share
    printf '#!/bin/sh\nexec cat ${lib}/lib/data\n' > $out/bin/app
    chmod +x $out/bin/app
    ln -s $out/bin/app $out/bin/alias
    seq 1 30000 > $out/share/table
  '';
in build "system" ''
  mkdir -p $out
  ln -s ${app}/bin $out/sw
  echo ${app} ${lib} > $out/parts
''
"#;

#[test]
fn a_nix_closure_arrives_with_every_path_as_nix_has_it() {
    let place = Place::new();
    for made in ["home", "conf", "chroot"] {
        fs::create_dir(place.path(made)).unwrap();
    }
    let conf = "sandbox = false\nbuild-users-group =\nsubstituters =\n\
                sandbox-paths = /bin /usr /lib? /lib64?\n";
    fs::write(place.path("conf/nix.conf"), conf).unwrap();
    fs::write(place.path("system.nix"), EXPRESSIONS).unwrap();
    let [old, new] = ["1", "2"].map(|version| {
        let root = nix(
            &place,
            &["nix-build", "system.nix", "--no-out-link", "--argstr", "version", version],
        );
        let root = root.trim().to_owned();
        let text = format!(
            "machine = \"test\"\nversion = \"{version}\"\ncounter = {version}\n\n[[system]]\n\
             name = \"main\"\nsource = {{ nix = \"{root}\", store = \"chroot\" }}\n"
        );
        fs::write(place.path("release.toml"), text).unwrap();
        place.succeed(&["release", "release.toml", "--store", "host"]);
        root
    });
    assert_ne!(old, new);
    let pairs = place.succeed(&["diff", "1", "2", "--pairs", "--store", "host"]);
    let (lib, app) = ("-lib-1.0: the same name without hash", "-app-2: the same name without hash");
    assert!(pairs.contains(lib) && pairs.contains(app), "{pairs}");
    let full = place.full_update("host", "1", "full.upm").len();
    let update = place.update("host", "1", "2", "u.upm").len();
    // What changed is in the library. The program, which mentions it, and the system, which mentions
    // both, have other names and other mentions, and nothing of that is sent.
    let again = ["update", "1", "2", "-o", "again.upm", "--unsigned", "--store", "host", "--json"];
    let said = place.succeed(&again);
    assert!(said.contains("\"renamed\":2,"), "the script and the list of parts: {said}");
    let inspected = place.succeed(&["inspect", "u.upm", "--store", "host"]);
    assert!(inspected.contains("renamed"), "{inspected}");
    assert!(update < 700, "{update} bytes");
    assert!(update * 10 < full, "the update has {update} bytes, all of it {full}");
    assert_eq!(place.apply("full.upm", "device").status, 0);
    let ran = place.apply("u.upm", "device");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    place.succeed(&["checkout", "2", "out", "--store", "device"]);

    let closure = nix(&place, &["nix-store", "--query", "--requisites", &new]);
    let mut expected: Vec<&str> = closure.lines().collect();
    expected.sort_unstable();
    let compare = concat!(env!("CARGO_MANIFEST_DIR"), "/../../demo/compare_trees");
    for path in &expected {
        let [there, here] = ["chroot", "out"].map(|root| place.path(&format!("{root}{path}")));
        let output = Command::new(compare).args([there, here]).output().unwrap();
        assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stdout));
    }
    let mut arrived: Vec<String> = fs::read_dir(place.path("out/nix/store"))
        .unwrap()
        .map(|entry| format!("/nix/store/{}", entry.unwrap().file_name().display()))
        .collect();
    arrived.sort_unstable();
    assert_eq!(arrived, expected);
    let status = Command::new("chmod").args(["-R", "u+w"]).arg(place.directory.path()).status();
    assert!(status.unwrap().success());
}

/// Runs Nix in a store of its own.
fn nix(place: &Place, words: &[&str]) -> String {
    let output = Command::new(words[0])
        .arg("--store")
        .arg(place.path("chroot"))
        .args(&words[1..])
        .current_dir(place.directory.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", place.path("home"))
        .env("NIX_CONF_DIR", place.path("conf"))
        .output()
        .expect("nix runs: run ./setup, which installs nix-bin");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
