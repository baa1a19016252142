//! Names of Nix store paths that a device computes from its derivations, compared with those that Nix
//! itself gives.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::Place;

/// A library that thirty programs need, some with a second output, and a system. What `touched` is
/// changes names, and no content but these. `more` programs are new.
const EXPRESSIONS: &str = r#"
{ touched, more ? 0 }:
let
  build = name: attributes: script: builtins.derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-e" "-c" script ];
    PATH = "/bin:/usr/bin";
  } // attributes);
  source = builtins.toFile "source" "what the library is made from";
  lib = build "lib-1.0" { inherit touched; } ''
    mkdir -p $out/lib
    cat ${source} > $out/lib/data
    seq 1 2000 >> $out/lib/data
    echo $out >> $out/lib/data
  '';
  app = number: build "app${toString number}-2.${toString number}" { outputs = [ "out" "data" ]; } ''
    mkdir -p $out/bin $data
    printf '#!/bin/sh\nexec cat ${lib}/lib/data %s ${toString number}\n' $data > $out/bin/app
    seq ${toString number} 300 > $data/table
  '';
  apps = builtins.genList app (30 + more);
in build "system" { } ''
  mkdir -p $out
  for app in ${toString apps}; do echo $app; done > $out/apps
''
"#;

/// Two releases with derivations, on a host.
struct Releases {
    place: Place,
    old: String,
    new: String,
}

impl Releases {
    fn new(derivations: [bool; 2], more: &str) -> Self {
        let place = Place::new();
        for made in ["home", "conf", "chroot"] {
            fs::create_dir(place.path(made)).unwrap();
        }
        let conf = "sandbox = false\nbuild-users-group =\nsubstituters =\n\
                    sandbox-paths = /bin /usr /lib? /lib64?\n";
        fs::write(place.path("conf/nix.conf"), conf).unwrap();
        fs::write(place.path("system.nix"), EXPRESSIONS).unwrap();
        let mut releases = Self { place, old: String::new(), new: String::new() };
        let build = |touched: &str, more: &str| {
            let mut words = vec!["system.nix", "--no-out-link", "--argstr", "touched", touched];
            words.extend(["--arg", "more", more]);
            text(releases.nix("chroot", "nix-build", &words)).trim().to_owned()
        };
        let [old, new] = [build("1", "0"), build("2", more)];
        for (version, root, derivations) in
            [("1", &old, derivations[0]), ("2", &new, derivations[1])]
        {
            let text = format!(
                "machine = \"test\"\nversion = \"{version}\"\ncounter = {version}\n\n[[system]]\nname = \
                 \"main\"\nsource = {{ nix = \"{root}\", store = \"chroot\", derivations = \
                 {derivations} }}\n"
            );
            fs::write(releases.place.path("release.toml"), text).unwrap();
            releases.place.succeed(&["release", "release.toml", "--store", "host"]);
        }
        (releases.old, releases.new) = (old, new);
        releases.place.full_update("host", "1", "full.upm");
        assert_eq!(releases.place.apply("full.upm", "device").status, 0);
        releases
    }

    fn nix(&self, store: &str, program: &str, words: &[&str]) -> Output {
        Command::new(program)
            .arg("--store")
            .arg(self.place.path(store))
            .args(words)
            .current_dir(self.place.directory.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.place.path("home"))
            .env("NIX_CONF_DIR", self.place.path("conf"))
            .output()
            .expect("nix runs: run ./setup, which installs nix-bin")
    }

    /// Builds an update; says how long it is, and how many names are computed.
    fn update(&self, old: &str, new: &str, names: &str) -> (usize, u64) {
        let file = format!("{names}.upm");
        let words = [
            "update",
            old,
            new,
            "-o",
            &file,
            "--store",
            "host",
            "--key",
            "keys/test.key",
            "--json",
        ];
        let said = self.place.succeed(&[&words[..], &["--names", names]].concat());
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        (said["bytes"].as_u64().unwrap() as usize, said["derived_names"].as_u64().unwrap())
    }

    /// Whether what the device has is what Nix has.
    fn check(&self, version: &str, root: &str) {
        self.place.succeed(&["checkout", version, version, "--store", "device", "--nix"]);
        let load = Command::new("nix-store")
            .args(["--load-db", "--store"])
            .arg(self.place.path(version))
            .env("NIX_CONF_DIR", self.place.path("conf"))
            .stdin(open(&self.place.path(&format!("{version}/nix-path-registration"))))
            .status();
        assert!(load.unwrap().success());
        let all = |store| text(self.nix(store, "nix-store", &["--query", "--requisites", root]));
        assert_eq!(all(version), all("chroot"));
        let verified = self.nix(version, "nix-store", &["--verify", "--check-contents"]);
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    }
}

impl Drop for Releases {
    fn drop(&mut self) {
        let directory = self.place.directory.path();
        let _ = Command::new("chmod").args(["-R", "u+w"]).arg(directory).status();
    }
}

fn open(path: &Path) -> Stdio {
    fs::File::open(path).unwrap().into()
}

fn text(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn names_that_follow_from_derivations_are_not_sent() {
    let releases = Releases::new([true, true], "0");
    // The library, thirty programs with two outputs each, and the system.
    let (sent, none) = releases.update("1", "2", "sent");
    let (derived, names) = releases.update("1", "2", "auto");
    assert_eq!((none, names), (0, 62));
    assert!(derived + 62 * 20 < sent + 60, "{derived} bytes, and {sent} with all names");
    assert!(derived < 600, "{derived} bytes");
    let ran = releases.place.apply("auto.upm", "device");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    releases.check("2", &releases.new);
    // The device has the derivations of both, so the way back is as short.
    let (back, names) = releases.update("2", "1", "derived");
    assert!(back < 600 && names == 62, "{back} bytes, {names} names");
    releases.place.succeed(&["remove", "1", "--store", "device"]);
    releases.place.succeed(&["collect", "--store", "device"]);
    let ran = releases.place.apply("derived.upm", "device");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    releases.check("1", &releases.old);
}

#[test]
fn names_of_new_components_are_computed_too() {
    let releases = Releases::new([true, true], "8");
    let (sent, _) = releases.update("1", "2", "sent");
    let (derived, names) = releases.update("1", "2", "auto");
    assert_eq!(names, 62);
    // Sixteen names are of new components.
    assert!(derived + 70 * 20 < sent, "{derived} bytes, and {sent} with all names");
    let inspected = releases.place.succeed(&["inspect", "auto.upm", "--store", "host"]);
    assert!(inspected.contains("nix-derivations"), "{inspected}");
    for update in ["sent.upm", "auto.upm"] {
        fs::rename(releases.place.path("device"), releases.place.path("kept")).unwrap();
        let status = Command::new("cp")
            .args(["-a", "kept", "device"])
            .current_dir(releases.place.directory.path())
            .status();
        assert!(status.unwrap().success());
        let ran = releases.place.apply(update, "device");
        assert_eq!(ran.status, 0, "{update}: {}", ran.stderr);
        releases.check("2", &releases.new);
        for made in ["device", "2"] {
            let path: PathBuf = releases.place.path(made);
            let status = Command::new("chmod").args(["-R", "u+w"]).arg(&path).status();
            assert!(status.unwrap().success());
            fs::remove_dir_all(path).unwrap();
        }
        fs::rename(releases.place.path("kept"), releases.place.path("device")).unwrap();
    }
}

#[test]
fn without_derivations_in_both_releases_names_are_sent() {
    for (has, missing) in [([false, true], "old"), ([true, false], "new")] {
        let releases = Releases::new(has, "0");
        assert_eq!(releases.update("1", "2", "auto").1, 0);
        let words = ["update", "1", "2", "-o", "x.upm", "--store", "host", "--unsigned"];
        let told = releases.place.fail(3, &[&words[..], &["--names", "derived"]].concat());
        let expected = format!(
            "names cannot be derived: the {missing} release has no derivations: import it with \
             `derivations = true`, or take --names sent"
        );
        assert_eq!(told, expected);
        assert!(!releases.place.path("x.upm").exists());
        assert_eq!(releases.place.apply("auto.upm", "device").status, 0);
        releases.check("2", &releases.new);
    }
}

#[test]
fn derivations_that_make_other_names_than_were_signed_make_no_release() {
    let releases = Releases::new([true, true], "0");
    releases.update("1", "2", "derived");
    // The device's own derivations are damaged: another letter in a script changes the name of a program.
    let object = derivations_object(&releases.place.path("device"));
    let mut content = fs::read(&object).unwrap();
    let at = content.windows(9).position(|window| window == b"exec cat ").unwrap();
    content[at] = b'E';
    fs::write(&object, content).unwrap();
    let ran = releases.place.apply("derived.upm", "device");
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("damaged"), "{}", ran.stderr);
    let log = releases.place.succeed(&["log", "--store", "device"]);
    assert_eq!(log.lines().count(), 1, "{log}");
}

#[test]
fn computing_names_may_be_interrupted_at_every_step() {
    let releases = Releases::new([true, true], "1");
    releases.update("1", "2", "derived");
    let apply = |store| ["apply", "derived.upm", "--store", store, "--trust", "keys"];
    let copy = |to: &str| {
        let _ = fs::remove_dir_all(releases.place.path(to));
        let status = Command::new("cp")
            .args(["-a", "device", to])
            .current_dir(releases.place.directory.path())
            .status();
        assert!(status.unwrap().success());
    };
    copy("counted");
    let steps = releases.place.count_steps(&apply("counted"));
    let new: Vec<_> = fs::read_dir(releases.place.path("counted/releases")).unwrap().collect();
    assert_eq!(new.len(), 2);
    for step in (0..steps).step_by(3) {
        copy("broken");
        releases.place.run_with_fault(&format!("kill:{step}"), &apply("broken"));
        let is_done = fs::read_dir(releases.place.path("broken/releases")).unwrap().count() == 2;
        let again = releases.place.run(&apply("broken"));
        assert_eq!(again.status, if is_done { 5 } else { 0 }, "{step}: {}", again.stderr);
        releases.place.succeed(&["check", "--store", "broken"]);
    }
}

/// The file of the object with the derivations.
fn derivations_object(store: &Path) -> PathBuf {
    let mut found = Vec::new();
    for directory in fs::read_dir(store.join("objects")).unwrap() {
        for file in fs::read_dir(directory.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if fs::read(&path).unwrap().starts_with(b"UPMD") {
                found.push(path);
            }
        }
    }
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}
