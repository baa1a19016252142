//! A hermetic place to run the command in, and trees to run it on.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A temporary directory with a key pair, and the command ready to run in it.
pub struct Place {
    pub directory: tempfile::TempDir,
}

/// What a command gave.
pub struct Ran {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub fn new() -> Self {
        let place = Self { directory: temporary() };
        fs::create_dir(place.path("keys")).unwrap();
        place.succeed(&["keygen", "-o", "keys/test"]);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upmass"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command(arguments).output().unwrap())
    }

    /// Runs with `UPMASS_FAULT`.
    pub fn run_with_fault(&self, fault: &str, arguments: &[&str]) -> Ran {
        ran(self.command(arguments).env("UPMASS_FAULT", fault).output().unwrap())
    }

    /// How many steps the store takes for a command.
    pub fn count_steps(&self, arguments: &[&str]) -> u64 {
        let ran = self.run_with_fault("count", arguments);
        let line = ran.stderr.lines().find_map(|line| line.strip_suffix(" steps"));
        let count = line.and_then(|line| line.strip_prefix("upmass: "));
        count.unwrap_or_else(|| panic!("no step count: {}", ran.stderr)).parse().unwrap()
    }

    pub fn succeed(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.stderr);
        ran.stdout
    }

    /// Runs what must fail, with one sentence, and gives it.
    pub fn fail(&self, status: i32, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.status, status, "{arguments:?}: {}", ran.stderr);
        let lines: Vec<&str> = ran.stderr.lines().collect();
        let errors = lines.iter().filter(|line| line.starts_with("upmass: error: ")).count();
        assert!(errors == 1 || status == 5, "one sentence, not: {}", ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
        lines.last().unwrap().trim_start_matches("upmass: error: ").to_owned()
    }

    /// Describes a directory as a release of one system.
    pub fn describe(&self, version: &str, counter: u64, directory: &str) -> String {
        let file = format!("{version}.toml");
        let text = format!(
            "machine = \"test\"\nversion = \"{version}\"\ncounter = {counter}\n\n\
             [[system]]\nname = \"main\"\nsource = {{ dir = \"{directory}\" }}\n"
        );
        fs::write(self.path(&file), text).unwrap();
        file
    }

    /// Imports a directory as a release into a store; gives its id.
    pub fn release(&self, store: &str, version: &str, counter: u64, directory: &str) -> String {
        let file = self.describe(version, counter, directory);
        let line = self.succeed(&["release", &file, "--store", store]);
        line.split_whitespace().next().unwrap().to_owned()
    }

    /// Builds a signed update between two versions.
    pub fn update(&self, store: &str, old: &str, new: &str, output: &str) -> Vec<u8> {
        let key = "keys/test.key";
        self.succeed(&["update", old, new, "-o", output, "--key", key, "--store", store]);
        fs::read(self.path(output)).unwrap()
    }

    pub fn full_update(&self, store: &str, new: &str, output: &str) -> Vec<u8> {
        let key = "keys/test.key";
        self.succeed(&["update", "--full", new, "-o", output, "--key", key, "--store", store]);
        fs::read(self.path(output)).unwrap()
    }

    pub fn apply(&self, update: &str, store: &str) -> Ran {
        self.run(&["apply", update, "--store", store, "--trust", "keys"])
    }

    /// Checks a release out and compares it with the tree that it was imported from.
    pub fn assert_checkout_equals(&self, store: &str, release: &str, source: &str) {
        let target = format!("checkout-{store}-{release}");
        let _ = fs::remove_dir_all(self.path(&target));
        self.succeed(&["checkout", release, &target, "--store", store]);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/compare_trees");
        let compared = Command::new(script)
            .args([self.path(source), self.path(&target)])
            .output()
            .expect("demo/compare_trees runs (it needs python3: run ./setup)");
        let said = String::from_utf8_lossy(&compared.stdout);
        assert!(compared.status.success(), "{said}{}", String::from_utf8_lossy(&compared.stderr));
        fs::remove_dir_all(self.path(&target)).unwrap();
    }
}

/// In memory where possible: syncing a disk thousands of times would take the time of the tests,
/// and what a disk loses is tested on a simulated one.
fn temporary() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

fn ran(output: Output) -> Ran {
    Ran {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Bytes without any pattern, the same for the same seed.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    })
    .take(len)
    .collect()
}

/// Some text, long enough that what is unpacked does not stay in memory; versions differ in a few
/// places.
pub fn text(version: u64, len: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(len + 80);
    let mut line = 0u64;
    while text.len() < len {
        let word = line * line % 9973;
        let version = if line % 2000 == 1000 { version } else { 0 };
        text.extend(
            format!("{line}: the buoy at {word} has seen {} waves {version}\n", word * 7).bytes(),
        );
        line += 1;
    }
    text.truncate(len);
    text
}

/// What a packer makes of content.
pub fn packed(command: &[&str], content: &[u8]) -> Vec<u8> {
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut input = child.stdin.take().unwrap();
    let content = content.to_vec();
    let feed = std::thread::spawn(move || std::io::Write::write_all(&mut input, &content));
    let output = child.wait_with_output().unwrap();
    feed.join().unwrap().unwrap();
    assert!(output.status.success(), "{command:?}");
    output.stdout
}

/// A small tree of ordinary files, as version 1 or 2 of something.
pub fn ordinary(root: &Path, version: u64) {
    let write = |path: &str, content: &[u8]| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    write("etc/hostname", b"buoy\n");
    write("etc/config", format!("version={version}\n{}", "option=value\n".repeat(40)).as_bytes());
    let mut program = noise(1, 200_000);
    if version == 2 {
        program.splice(70_000..70_000, noise(2, 100));
        program[150_000] ^= 0x55;
    }
    write("usr/bin/program", &program);
    write(&format!("usr/lib/modules/6.1.{version}/kernel/driver.ko"), &noise(3, 50_000));
    write(&format!("usr/lib/modules/6.1.{version}/kernel/other.ko"), &noise(4, 3_000));
    write("usr/share/unchanged", &noise(5, 30_000));
    write("usr/share/doc/log.gz", &packed(&["gzip", "-9n"], &text(version, 400_000)));
    write(if version == 1 { "usr/share/old-name" } else { "usr/share/new-name" }, &noise(6, 9_000));
    if version == 2 {
        write("usr/share/added", &noise(7, 5_000));
        write("usr/share/added-copy", &noise(7, 5_000));
    } else {
        write("usr/share/removed", &noise(8, 5_000));
    }
    symlink("program", root.join("usr/bin/link")).unwrap();
    fs::set_permissions(root.join("usr/bin/program"), fs::Permissions::from_mode(0o755)).unwrap();
}

/// A tree of everything that is odd. Needs root.
pub fn odd(root: &Path, version: u64) {
    let name = |bytes: &[u8]| root.join(OsStr::from_bytes(bytes));
    fs::create_dir_all(root.join("a/b/c")).unwrap();
    fs::create_dir_all(root.join("empty")).unwrap();
    fs::write(name(b"new\nline"), b"x").unwrap();
    fs::write(name(b"invalid \xff\xfe utf-8"), noise(version, 100)).unwrap();
    fs::write(name(&[b'n'; 255]), noise(9, 65)).unwrap();
    fs::write(name(b" leading and trailing "), b"").unwrap();
    fs::write(name(b"back\\slash"), noise(10, 64)).unwrap();
    fs::write(root.join("a/setuid"), noise(11, 5000)).unwrap();
    fs::set_permissions(root.join("a/setuid"), fs::Permissions::from_mode(0o6755)).unwrap();
    fs::write(root.join("a/capable"), noise(12, 5000 + version as usize)).unwrap();
    fs::hard_link(root.join("a/setuid"), root.join("a/b/c/linked")).unwrap();
    fs::hard_link(root.join("a/setuid"), root.join("0-linked-before")).unwrap();
    std::os::unix::fs::chown(root.join("empty"), Some(1000 + version as u32), Some(100)).unwrap();
    fs::set_permissions(root.join("empty"), fs::Permissions::from_mode(0o1777)).unwrap();
    symlink("does/not/exist", root.join("dangling")).unwrap();
    symlink(OsStr::from_bytes(b"\xff"), root.join("a/odd-target")).unwrap();
    run("mkfifo", &[&root.join("fifo")], &[]);
    run("mknod", &[&root.join("null")], &["c", "1", "3"]);
    run("mknod", &[&root.join("disk")], &["b", "8", "1"]);
    run("setcap", &[], &["cap_net_raw+ep", root.join("a/capable").to_str().unwrap()]);
    run("setfattr", &[], &["-n", "user.note", "-v", "hello", root.join("a").to_str().unwrap()]);
    // Last, since it changes the owner's attributes.
    let sparse = fs::File::create(root.join("sparse")).unwrap();
    sparse.set_len(4 << 30).unwrap();
    let at = 3 << 30 | version << 20;
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"in the middle", at).unwrap();
    assert!(fs::metadata(root.join("sparse")).unwrap().blocks() < 1000);
}

fn run(program: &str, paths: &[&Path], arguments: &[&str]) {
    let status = Command::new(program).args(paths).args(arguments).status();
    let status = status.unwrap_or_else(|_| panic!("{program} is missing: run ./setup"));
    assert!(status.success(), "{program} failed; these tests run as root");
}
