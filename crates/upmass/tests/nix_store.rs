//! What a device checks out is a store that Nix itself takes for its own, and finds no fault in.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::Place;

/// A library, a program, a file and a link, and a system that refers to them all and to itself.
const EXPRESSIONS: &str = r#"
{ version }:
let
  build = name: script: builtins.derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-e" "-c" script ];
    PATH = "/bin:/usr/bin";
  };
  lib = build "lib-1.0" ''
    mkdir -p $out/lib $out/empty
    seq 1 20000 > $out/lib/data
    echo ${version} >> $out/lib/data
    touch $out/lib/nothing
  '';
  app = build "app-2" ''
    mkdir -p $out/bin
    printf '#!/bin/sh\nexec cat ${lib}/lib/data\n' > $out/bin/app
    chmod +x $out/bin/app
    ln -s $out/bin/app $out/bin/alias
  '';
  file = build "file.conf" "echo include ${lib}/lib and enough that it is an object of its own: ${version} > $out";
  link = build "link" "ln -s ${app}/bin/app $out";
in build "system" ''
  mkdir -p $out
  ln -s ${app}/bin $out/sw
  ln -s ${link} $out/link
  ln -s ${file} $out/file
  echo $out > $out/self
''
"#;

#[test]
fn nix_takes_a_checkout_for_a_store_and_finds_no_fault_in_it() {
    let nix = Nix::below_a_directory();
    let [old, new] = ["1", "2"].map(|version| nix.build(version));
    let key = nix.place.path("key");
    fs::write(&key, nix.run("nix", &["key", "generate-secret", "--key-name", "test-1"])).unwrap();
    nix.run("nix", &["store", "sign", "--recursive", "-k", key.to_str().unwrap(), &new]);
    nix.release("1", &old, "");
    nix.release("2", &new, ", labels = [\"deriver\", \"signatures\"]");
    nix.place.full_update("host", "1", "full.upm");
    nix.place.update("host", "1", "2", "u.upm");
    for update in ["full.upm", "u.upm"] {
        let ran = nix.place.apply(update, "device");
        assert_eq!(ran.status, 0, "{}", ran.stderr);
    }
    nix.place.succeed(&["checkout", "2", "out", "--store", "device", "--nix"]);

    let device = nix.at("out");
    device.load(&nix.place.path("out/nix-path-registration"));
    assert_eq!(device.ask("--requisites", &new), nix.ask("--requisites", &new));
    for path in nix.ask("--requisites", &new) {
        for what in ["--hash", "--size", "--references", "--deriver"] {
            assert_eq!(device.ask(what, &path), nix.ask(what, &path), "{what} of {path}");
        }
    }
    let verified = device.output("nix-store", &["--verify", "--check-contents"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));

    // Nix trusts what was signed, once it has the signatures and the key.
    let public = nix.run_with("nix", &["key", "convert-secret-to-public"], &key);
    let trusting = ["--option", "trusted-public-keys", public.trim()];
    let words = [&["store", "verify", "--recursive", "--sigs-needed", "1", &new], &trusting[..]];
    assert!(!device.output("nix", &words.concat()).status.success(), "nobody has vouched yet");
    let signatures = format!("file://{}", nix.place.path("out/nix-path-signatures").display());
    let copy = ["store", "copy-sigs", "--recursive", "--substituter", &signatures, &new];
    text(device.output("nix", &copy));
    let verified = device.output("nix", &words.concat());
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));

    // Labels that were asked for are in the release that arrived.
    let shown: serde_json::Value =
        serde_json::from_str(&nix.place.succeed(&["show", "2", "--store", "device", "--json"]))
            .unwrap();
    for component in shown["components"].as_array().unwrap() {
        let path = format!("/nix/store/{}", component["name"].as_str().unwrap());
        let labels = &component["labels"];
        let deriver = format!("/nix/store/{}", labels["nix.deriver"].as_str().unwrap());
        assert_eq!(nix.ask("--deriver", &path), [deriver]);
        assert!(labels["nix.signatures"].as_str().unwrap().starts_with("test-1:"), "{labels}");
    }

    // What verifying means: Nix sees a byte that changed.
    let lib = nix.ask("--requisites", &new).into_iter().find(|path| path.ends_with("-lib-1.0"));
    let data = nix.place.path(&format!("out{}/lib/data", lib.unwrap()));
    let mut content = fs::read(&data).unwrap();
    content[1000] ^= 1;
    fs::write(&data, content).unwrap();
    assert!(!device.output("nix-store", &["--verify", "--check-contents"]).status.success());
}

#[test]
fn a_store_in_another_place_is_registered_where_it_is() {
    let nix = Nix::elsewhere();
    let dir = nix.place.path("elsewhere/store").canonicalize().unwrap();
    let [old, root] = ["1", "2"].map(|version| nix.build(version));
    nix.release("1", &old, "");
    nix.release("2", &root, "");
    nix.place.full_update("host", "1", "full.upm");
    nix.place.update("host", "1", "2", "u.upm");
    for update in ["full.upm", "u.upm"] {
        let ran = nix.place.apply(update, "device");
        assert_eq!(ran.status, 0, "{}", ran.stderr);
    }
    // All of it is renamed: each file that mentions another path, and names in symlinks.
    let renamed: serde_json::Value = serde_json::from_str(
        &nix.place.succeed(&["inspect", "u.upm", "--store", "host", "--json"]),
    )
    .unwrap();
    let count = |component: &serde_json::Value| component["renamed"]["files"].as_u64().unwrap();
    assert!(renamed["components"].as_array().unwrap().iter().map(count).sum::<u64>() > 0);
    nix.place.succeed(&["checkout", "2", "out", "--store", "device", "--nix"]);
    let registered = nix.ask("--requisites", &root);
    let hashes: Vec<_> = registered.iter().map(|path| nix.ask("--hash", path)).collect();

    // The store that was built goes away, and what was checked out takes its place.
    make_removable(&dir);
    fs::remove_dir_all(&dir).unwrap();
    fs::rename(nix.place.path(&format!("out{}", dir.display())), &dir).unwrap();
    let device = nix.with_state("device-state");
    device.load(&nix.place.path("out/nix-path-registration"));
    let verified = device.output("nix-store", &["--verify", "--check-contents"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    assert_eq!(device.ask("--requisites", &root), registered);
    let arrived: Vec<_> = registered.iter().map(|path| device.ask("--hash", path)).collect();
    assert_eq!(arrived, hashes);
}

#[test]
fn without_store_paths_there_is_nothing_to_register() {
    let place = Place::new();
    fs::create_dir(place.path("root")).unwrap();
    place.release("host", "1", 1, "root");
    let said = place.fail(1, &["checkout", "1", "out", "--store", "host", "--nix"]);
    assert_eq!(said, "no component of this system is a Nix store path: leave out --nix");
    assert!(!place.path("out").exists());
}

/// Nix with a store of its own.
struct Nix {
    place: Place,
    /// Where its store is, or what `--store` is given.
    location: Location,
}

enum Location {
    /// `/nix/store` below a directory.
    Below(PathBuf),
    /// A store directory, and where its database is.
    At { dir: String, state: PathBuf },
}

/// The same Nix with another store.
struct Other<'a> {
    nix: &'a Nix,
    location: Location,
}

impl Nix {
    fn below_a_directory() -> Self {
        Self::new(|place| Location::Below(place.path("chroot")))
    }

    fn elsewhere() -> Self {
        Self::new(|place| {
            let dir = place.path("elsewhere/store");
            fs::create_dir_all(&dir).unwrap();
            let dir = dir.canonicalize().unwrap().to_str().unwrap().to_owned();
            Location::At { dir, state: place.path("state") }
        })
    }

    fn new(location: impl FnOnce(&Place) -> Location) -> Self {
        let place = Place::new();
        for made in ["home", "conf", "chroot"] {
            fs::create_dir(place.path(made)).unwrap();
        }
        let conf = "sandbox = false\nbuild-users-group =\nsubstituters =\n\
                    experimental-features = nix-command\nsandbox-paths = /bin /usr /lib? /lib64?\n";
        fs::write(place.path("conf/nix.conf"), conf).unwrap();
        fs::write(place.path("system.nix"), EXPRESSIONS).unwrap();
        let location = location(&place);
        Self { place, location }
    }

    fn build(&self, version: &str) -> String {
        let file = self.place.path("system.nix");
        let file = file.to_str().unwrap();
        let root = self.run("nix-build", &[file, "--no-out-link", "--argstr", "version", version]);
        root.trim().to_owned()
    }

    /// Imports a store path as a release; `more` goes into its source.
    fn release(&self, version: &str, root: &str, more: &str) {
        let store = match &self.location {
            Location::Below(_) => ", store = \"chroot\"",
            Location::At { .. } => "",
        };
        let text = format!(
            "machine = \"test\"\nversion = \"{version}\"\ncounter = {version}\n\n[[system]]\n\
             name = \"main\"\nsource = {{ nix = \"{root}\"{store}{more} }}\n"
        );
        fs::write(self.place.path("release.toml"), text).unwrap();
        let mut command = self.place.command(&["release", "release.toml", "--store", "host"]);
        self.surround(&mut command, &self.location);
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        assert!(!stderr.contains("database was not used"), "{stderr}");
    }

    fn at(&self, directory: &str) -> Other<'_> {
        Other { nix: self, location: Location::Below(self.place.path(directory)) }
    }

    fn with_state(&self, state: &str) -> Other<'_> {
        let Location::At { dir, .. } = &self.location else {
            unreachable!("only a store at a place has a state of its own");
        };
        Other {
            nix: self,
            location: Location::At { dir: dir.clone(), state: self.place.path(state) },
        }
    }

    fn run(&self, program: &str, words: &[&str]) -> String {
        text(self.output(program, words, &self.location, Stdio::null()))
    }

    fn run_with(&self, program: &str, words: &[&str], input: &Path) -> String {
        let input = fs::File::open(input).unwrap();
        text(self.output(program, words, &self.location, input.into()))
    }

    fn ask(&self, what: &str, path: &str) -> Vec<String> {
        sorted(&self.run("nix-store", &["--query", what, path]))
    }

    fn surround(&self, command: &mut Command, location: &Location) {
        command.env("HOME", self.place.path("home")).env("NIX_CONF_DIR", self.place.path("conf"));
        if let Location::At { dir, state } = location {
            command
                .env("NIX_STORE_DIR", dir)
                .env("NIX_STATE_DIR", state)
                .env("NIX_LOCALSTATE_DIR", state)
                .env("NIX_LOG_DIR", state.join("log"));
        }
    }

    fn output(&self, program: &str, words: &[&str], location: &Location, stdin: Stdio) -> Output {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        self.surround(&mut command, location);
        command.args(words).stdin(stdin).current_dir(self.place.directory.path());
        // Generating a key takes no store.
        if let (Location::Below(directory), false) = (location, words[0] == "key") {
            command.arg("--store").arg(directory);
        }
        command.output().expect("nix runs: run ./setup, which installs nix-bin")
    }
}

impl Drop for Nix {
    /// Store paths are not writable, which keeps all but root from removing them.
    fn drop(&mut self) {
        make_removable(self.place.directory.path());
    }
}

impl Other<'_> {
    fn load(&self, registration: &Path) {
        let input = fs::File::open(registration).unwrap();
        text(self.nix.output("nix-store", &["--load-db"], &self.location, input.into()));
    }

    fn ask(&self, what: &str, path: &str) -> Vec<String> {
        let words = ["--query", what, path];
        sorted(&text(self.nix.output("nix-store", &words, &self.location, Stdio::null())))
    }

    fn output(&self, program: &str, words: &[&str]) -> Output {
        self.nix.output(program, words, &self.location, Stdio::null())
    }
}

fn text(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

fn make_removable(directory: &Path) {
    let _ = Command::new("chmod").args(["-R", "u+w"]).arg(directory).status();
}
