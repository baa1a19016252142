//! `upmass image`: a release becomes a disk that others find nothing wrong with, and that holds
//! what was imported.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Place, noise, odd};

/// A release of two systems in the store `st`, and a loader.
fn place() -> Place {
    place_with(|_| {})
}

/// The same, one of the systems with more in it.
fn place_with(fill: impl FnOnce(&Path)) -> Place {
    let place = Place::new();
    boot_files(&place.path("main"), 1);
    fill(&place.path("main"));
    boot_files(&place.path("rescue"), 1);
    let text = "machine = \"test\"\nversion = \"1.0\"\nfallback = \"rescue\"\n\
        [[system]]\nname = \"main\"\nsource = { dir = \"main\" }\n\
        kernel = \"/boot/vmlinuz\"\ninitrd = \"/boot/initrd\"\ncmdline = \"quiet\"\n\
        [[system]]\nname = \"rescue\"\nsource = { dir = \"rescue\" }\n\
        kernel = \"/boot/vmlinuz\"\ninitrd = \"/boot/initrd\"\n";
    fs::write(place.path("release.toml"), text).unwrap();
    place.succeed(&["release", "release.toml", "--store", "st"]);
    fs::write(place.path("loader.efi"), loader()).unwrap();
    place
}

fn boot_files(root: &Path, version: u64) {
    fs::create_dir_all(root.join("boot")).unwrap();
    fs::write(root.join("boot/vmlinuz-6.1"), noise(version, 300_000)).unwrap();
    fs::write(root.join("boot/initrd"), noise(version + 50, 50_000)).unwrap();
    symlink("vmlinuz-6.1", root.join("boot/vmlinuz")).unwrap();
}

/// As much of an EFI program as tells for which machine it is.
fn loader() -> Vec<u8> {
    let mut loader = noise(70, 5000);
    loader[..2].copy_from_slice(b"MZ");
    loader[60..64].copy_from_slice(&128u32.to_le_bytes());
    loader[128..134].copy_from_slice(b"PE\0\0\x64\x86");
    loader
}

const IMAGE: [&str; 8] =
    ["image", "1.0", "-o", "disk.img", "--store", "st", "--loader", "loader.efi"];

fn image(place: &Place, more: &[&str]) -> String {
    place.succeed(&[&IMAGE[..], more].concat())
}

#[track_caller]
fn run(place: &Place, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(place.directory.path())
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap_or_else(|_| panic!("{program} is missing: run ./setup"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}{stderr}");
    said
}

/// Cuts a partition out of the image, by its name.
fn cut(place: &Place, name: &str) -> PathBuf {
    let said = run(place, "sfdisk", &["--dump", "disk.img"]);
    let line = said.lines().find(|line| line.contains(&format!("name=\"{name}\""))).unwrap();
    let number = |word: &str| -> u64 {
        let rest = &line[line.find(word).unwrap() + word.len()..];
        rest.trim().split([',', ' ']).next().unwrap().parse().unwrap()
    };
    let (start, size) = (number("start="), number("size="));
    let (skip, count) = (start / 2048, size / 2048);
    let to = place.path(&format!("{name}.img"));
    let [of, skip, count] =
        [format!("of={}", to.display()), format!("skip={skip}"), format!("count={count}")];
    run(place, "dd", &["if=disk.img", &of, "bs=1M", &skip, &count, "conv=sparse", "status=none"]);
    to
}

/// A mounted file system, read-only. Needs root.
struct Mounted(PathBuf);

impl Mounted {
    fn new(place: &Place, image: &Path) -> Self {
        let target = image.with_extension("mnt");
        fs::create_dir_all(&target).unwrap();
        let (from, to) = (image.to_str().unwrap(), target.to_str().unwrap());
        run(place, "mount", &["-o", "loop,ro", from, to]);
        Self(target)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn all_tools_find_nothing_wrong_and_the_systems_are_as_they_were_imported() {
    let place = place_with(|root| odd(root, 1));
    image(&place, &[]);
    assert!(run(&place, "sgdisk", &["-v", "disk.img"]).contains("No problems found"));
    let boot = cut(&place, "boot-1");
    run(&place, "fsck.fat", &["-n", boot.to_str().unwrap()]);
    assert!(fs::read(cut(&place, "boot-2")).unwrap().iter().all(|byte| *byte == 0));
    for name in ["system", "data"] {
        let partition = cut(&place, name);
        run(&place, "e2fsck", &["-f", "-n", partition.to_str().unwrap()]);
    }
    let said = run(&place, "dumpe2fs", &["-h", "system.img"]);
    assert!(said.contains("verity") && said.contains("has_journal"), "{said}");

    let mounted = Mounted::new(&place, &place.path("system.img"));
    let systems = fs::read_dir(mounted.0.join("systems")).unwrap().next().unwrap().unwrap();
    let compare = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/compare_trees");
    for system in ["main", "rescue"] {
        let found = systems.path().join(system);
        let compared = Command::new(&compare).args([place.path(system), found]).output().unwrap();
        assert!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stdout));
    }
    let store = mounted.0.join("upmass");
    assert_eq!(fs::metadata(&store).unwrap().mode() & 0o7777, 0o700);
    place.succeed(&["check", "--store", store.to_str().unwrap()]);
    assert!(place.succeed(&["log", "--store", store.to_str().unwrap()]).contains("1.0"));
    // Both systems and the store have one copy.
    let kernel = |system: &str| systems.path().join(system).join("boot/vmlinuz-6.1");
    let [main, rescue] = ["main", "rescue"].map(|system| fs::metadata(kernel(system)).unwrap());
    assert_eq!((main.ino(), main.nlink()), (rescue.ino(), 3));
}

#[test]
fn files_share_an_inode_where_owner_and_mode_are_the_same_and_nowhere_else() {
    let place = place_with(|root| {
        for (name, mode) in [("plain", 0o644), ("tool", 0o755), ("again", 0o755), ("root", 0o4755)]
        {
            fs::write(root.join(name), noise(5, 9000)).unwrap();
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
    });
    image(&place, &[]);
    let mounted = Mounted::new(&place, &cut(&place, "system"));
    let systems = fs::read_dir(mounted.0.join("systems")).unwrap().next().unwrap().unwrap();
    let found = |name: &str| {
        let found = fs::metadata(systems.path().join("main").join(name)).unwrap();
        assert_eq!(fs::read(systems.path().join("main").join(name)).unwrap(), noise(5, 9000));
        (found.ino(), found.mode() & 0o7777)
    };
    let [plain, tool, again, root] = ["plain", "tool", "again", "root"].map(found);
    assert_eq!([plain.1, tool.1, root.1], [0o644, 0o755, 0o4755]);
    assert_eq!(tool, again);
    assert!(plain.0 != tool.0 && tool.0 != root.0 && plain.0 != root.0);
    assert_eq!(fs::metadata(systems.path().join("main/tool")).unwrap().size(), 9000);
}

#[test]
fn what_the_file_system_cannot_have_is_refused_with_its_path() {
    let place = place_with(|root| {
        let device = root.join("odd device");
        run_plain("mknod", &[device.to_str().unwrap(), "c", "1", "3"]);
    });
    let error = place.fail(3, &IMAGE);
    assert!(error.starts_with("/systems/"), "{error}");
    assert!(
        error.contains("/main/odd device of the system partition is a device whose name"),
        "{error}"
    );
    assert!(!place.path("disk.img").exists());
}

fn run_plain(program: &str, arguments: &[&str]) {
    assert!(Command::new(program).args(arguments).status().unwrap().success());
}

#[test]
fn the_boot_slot_has_the_loader_an_entry_for_each_system_and_one_kernel_for_both() {
    let place = place();
    let id = place.succeed(&["log", "--store", "st", "--json"]);
    image(&place, &[]);
    cut(&place, "boot-1");
    let said = run(&place, "mdir", &["-/", "-b", "-i", "boot-1.img", "::"]);
    let files: Vec<&str> = said.lines().filter(|line| !line.ends_with('/')).collect();
    let kernel = files.iter().filter(|path| path.starts_with("::/upmass/kernel-")).count();
    assert_eq!((files.len(), kernel), (8, 1), "{said}");
    let read = |path: &str| run(&place, "mtype", &["-i", "boot-1.img", &format!("::/{path}")]);
    let release = read("upmass-release");
    assert!(release.len() == 65 && id.contains(release.trim()), "{release}");
    let contents = read("upmass-contents");
    let mut named: Vec<&str> = contents
        .lines()
        .map(|line| line.split_once(' ').unwrap().1)
        .chain(["upmass-contents"])
        .collect();
    named.sort_unstable();
    let mut files: Vec<&str> = files.iter().map(|path| &path[3..]).collect();
    files.sort_unstable();
    assert_eq!(named, files, "every file is named");
    assert_eq!(read("loader/loader.conf"), "default rescue.conf\ntimeout 0\neditor no\n");
    let entry = read("loader/entries/main.conf");
    let lines: Vec<&str> = entry.lines().collect();
    assert_eq!(lines[..2], ["title main", "version 1.0"]);
    let release = release.trim();
    let options = format!("options quiet gpt panic=10 upmass.release={release} upmass.system=main");
    assert_eq!(lines[4], options);
    for (line, word, original) in
        [(lines[2], "linux /", "main/boot/vmlinuz-6.1"), (lines[3], "initrd /", "main/boot/initrd")]
    {
        let path = line.strip_prefix(word).unwrap();
        run(&place, "mcopy", &["-n", "-i", "boot-1.img", &format!("::/{path}"), "copy"]);
        assert!(fs::read(place.path("copy")).unwrap() == fs::read(place.path(original)).unwrap());
        fs::remove_file(place.path("copy")).unwrap();
    }
    run(&place, "mcopy", &["-n", "-i", "boot-1.img", "::/EFI/BOOT/BOOTX64.EFI", "copy"]);
    assert!(fs::read(place.path("copy")).unwrap() == loader());
}

#[test]
fn the_same_release_makes_the_same_image_whoever_makes_it() {
    let place = place_with(|root| odd(root, 1));
    image(&place, &["--bmap"]);
    let name = |name: &str| place.path(name);
    fs::rename(name("disk.img"), name("first.img")).unwrap();
    fs::rename(name("disk.img.bmap"), name("first.bmap")).unwrap();
    // Another time and day, another place of the store, and nobody who may give files away.
    run(&place, "cp", &["-r", "st", "other"]);
    run(&place, "chown", &["-R", "65534:65534", "."]);
    let shared = ["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"];
    let program = place.path("upmass");
    fs::copy(env!("CARGO_BIN_EXE_upmass"), &program).unwrap();
    let mut command = vec![program.to_str().unwrap()];
    command.extend(IMAGE);
    command[6] = "other";
    command.push("--bmap");
    run(&place, "chmod", &["755", "."]);
    run(&place, "setpriv", &[&shared[..], &command].concat());
    run(&place, "cmp", &["first.img", "disk.img"]);
    run(&place, "cmp", &["first.bmap", "disk.img.bmap"]);
}

#[test]
fn bmaptool_accepts_the_map_and_copies_an_image_that_is_whole() {
    let place = place();
    image(&place, &["--bmap"]);
    // A medium that had something else.
    let len = fs::metadata(place.path("disk.img")).unwrap().len();
    fs::write(place.path("medium"), vec![0xa5; len as usize]).unwrap();
    run(&place, "losetup", &["-f", "--show", "medium"]);
    let device = run(&place, "losetup", &["-n", "-O", "NAME", "-j", "medium"]).trim().to_owned();
    let copied = Command::new("bmaptool")
        .args(["copy", "--bmap", "disk.img.bmap", "disk.img", &device])
        .current_dir(place.directory.path())
        .output();
    run(&place, "losetup", &["-d", &device]);
    let copied = copied.expect("bmaptool runs (run ./setup)");
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    fs::rename(place.path("medium"), place.path("disk.img")).unwrap();
    assert!(run(&place, "sgdisk", &["-v", "disk.img"]).contains("No problems found"));
    run(&place, "fsck.fat", &["-n", cut(&place, "boot-1").to_str().unwrap()]);
    for name in ["system", "data"] {
        run(&place, "e2fsck", &["-f", "-n", cut(&place, name).to_str().unwrap()]);
    }
}

#[test]
fn lengths_are_as_described_or_fitted() {
    let place = place();
    let said: serde_json::Value = serde_json::from_str(&image(&place, &["--json"])).unwrap();
    assert_eq!(said["slot_bytes"], 64 << 20);
    assert_eq!(said["disk_bytes"], fs::metadata(place.path("disk.img")).unwrap().len());
    let text = "disk = \"1GiB\"\nslot = \"40MiB\"\nsystem = \"200MiB\"\n";
    fs::write(place.path("disk.toml"), text).unwrap();
    let said = image(&place, &["--json", "--disk", "disk.toml"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["disk_bytes"], 1 << 30);
    assert_eq!(
        (&said["slot_bytes"], &said["system_bytes"]),
        (&(40 << 20).into(), &(200 << 20).into())
    );
    assert_eq!(said["data_bytes"], (1024 - 1 - 80 - 200 - 1) << 20, "what is left");
    assert!(fs::metadata(place.path("disk.img")).unwrap().blocks() * 512 < 100 << 20, "sparse");
}

#[test]
fn what_cannot_be_is_refused_in_one_sentence_and_changes_nothing() {
    let place = place();
    fs::write(place.path("disk.img"), "what was there").unwrap();
    let names = || {
        let list = fs::read_dir(place.directory.path()).unwrap();
        let mut names: Vec<_> = list.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let check = |description: &str, more: &[&str], expected: &str| {
        fs::write(place.path("disk.toml"), description).unwrap();
        let before = names();
        let error = place.fail(3, &[&IMAGE[..], &["--disk", "disk.toml"], more].concat());
        assert!(error.contains(expected), "{error}");
        assert_eq!(fs::read_to_string(place.path("disk.img")).unwrap(), "what was there");
        assert_eq!(names(), before, "nothing is left behind");
    };
    check(
        "disk = \"150MiB\"\nslot = \"64MiB\"",
        &[],
        "the disk has 157286400 bytes, and its partitions need ",
    );
    check(
        "slot = \"16MiB\"",
        &[],
        "a boot slot needs at least 34089472 bytes for FAT32, and this one has 16777216",
    );
    check(
        "system = \"5MiB\"",
        &[],
        "the system partition has 5242880 bytes, and the release needs ",
    );
    check("data = \"1MiB\"", &[], "expected at least 16777216");
    check("sytem = \"5MiB\"", &[], "disk.toml:1: unknown field `sytem`");

    let fail = |arguments: &[&str]| place.fail(3, &[&["image"], arguments].concat());
    let to = ["-o", "disk.img", "--store", "st"];
    let error = fail(&[&["2.0"], &to[..]].concat());
    assert!(error.contains("no release \"2.0\" in the store; it has"), "{error}");
    let error = fail(&[&["1.0"], &to[..]].concat());
    assert!(error.starts_with("no boot loader: no system has /usr/lib/systemd/boot"), "{error}");
    let error = fail(&[&["1.0"], &to[..], &["--loader", "main/boot/vmlinuz"]].concat());
    assert_eq!(error, "main/boot/vmlinuz is no boot loader: it is no PE file");
    let error = fail(&["1.0", "-o", "main", "--store", "st", "--loader", "loader.efi"]);
    assert!(error.contains("main is a directory"), "{error}");
    place.fail(1, &[&["image", "1.0"], &to[..], &["--loader", "none"]].concat());
    assert_eq!(fs::read_to_string(place.path("disk.img")).unwrap(), "what was there");
}

#[test]
fn a_system_without_a_kernel_is_refused() {
    let place = place();
    place.release("st", "2.0", 2, "rescue");
    let error =
        place.fail(3, &["image", "2.0", "-o", "x.img", "--store", "st", "--loader", "loader.efi"]);
    assert_eq!(error, "system \"main\": it has no kernel, so it cannot be booted");
}

#[test]
fn the_loader_of_a_system_is_taken_where_none_is_given() {
    let place = place();
    let directory = place.path("rescue/usr/lib/systemd/boot/efi");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("systemd-bootaa64.efi"), loader()).unwrap();
    let text = fs::read_to_string(place.path("release.toml")).unwrap();
    fs::write(place.path("two.toml"), text.replace("1.0", "2.0")).unwrap();
    place.succeed(&["release", "two.toml", "--store", "st"]);
    place.succeed(&["image", "2.0", "-o", "disk.img", "--store", "st"]);
    cut(&place, "boot-1");
    run(&place, "mcopy", &["-n", "-i", "boot-1.img", "::/EFI/BOOT/BOOTAA64.EFI", "copy"]);
    assert!(fs::read(place.path("copy")).unwrap() == loader());
}

/// A block device over a file.
struct Loop(String);

impl Loop {
    fn new(place: &Place, name: &str, mib: u64) -> Self {
        let path = place.path(name);
        fs::write(&path, vec![0xa5; (mib << 20) as usize]).unwrap();
        Self(run(place, "losetup", &["-f", "--show", path.to_str().unwrap()]).trim().to_owned())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.0]).status();
    }
}

#[test]
fn a_device_gets_the_image_in_its_whole_length() {
    let place = place();
    let device = Loop::new(&place, "disk.img", 400);
    let to = ["image", "1.0", "-o", &device.0, "--store", "st", "--loader", "loader.efi"];
    let said: serde_json::Value =
        serde_json::from_str(&place.succeed(&[&to[..], &["--json"]].concat())).unwrap();
    assert_eq!(said["disk_bytes"], 400 << 20);
    place.fail(2, &[&to[..], &["--bmap"]].concat());
    drop(device);
    assert!(run(&place, "sgdisk", &["-v", "disk.img"]).contains("No problems found"));
    run(&place, "fsck.fat", &["-n", cut(&place, "boot-1").to_str().unwrap()]);
    for name in ["system", "data"] {
        run(&place, "e2fsck", &["-f", "-n", cut(&place, name).to_str().unwrap()]);
    }
    let mounted = Mounted::new(&place, &place.path("system.img"));
    place.succeed(&["check", "--store", mounted.0.join("upmass").to_str().unwrap()]);
}

#[test]
fn a_device_that_is_too_short_or_mounted_is_left_as_it_is() {
    let place = place();
    let device = Loop::new(&place, "short", 100);
    let to = |device: &Loop| {
        place.fail(3, &["image", "1.0", "-o", &device.0, "--store", "st", "--loader", "loader.efi"])
    };
    let error = to(&device);
    assert!(error.contains("the disk has 104857600 bytes, and its partitions need "), "{error}");
    drop(device);
    assert!(fs::read(place.path("short")).unwrap().iter().all(|byte| *byte == 0xa5));

    let device = Loop::new(&place, "mounted", 400);
    run(&place, "mke2fs", &["-q", "-t", "ext4", &device.0]);
    fs::create_dir(place.path("target")).unwrap();
    run(&place, "mount", &["-o", "ro,noload", &device.0, "target"]);
    let before = fs::read(place.path("mounted")).unwrap();
    let error = to(&device);
    run(&place, "umount", &["target"]);
    assert!(error.contains("is in use: something on it is mounted"), "{error}");
    drop(device);
    assert!(fs::read(place.path("mounted")).unwrap() == before);
}
