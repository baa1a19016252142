//! A device in a directory: a disk image, what the kernel would show, EFI variables as files, and a start as firmware
//! and loader do it. The system partition is really mounted, so this needs root and loop devices.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use upmass_disk::fat::FileSystem;
use upmass_disk::gpt::Slot;
use upmass_disk::{FileDisk, Found, SharedDisk};

use crate::common::{Place, Ran, noise, text};

pub const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
pub const LOADER: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

pub struct Machine {
    pub place: Place,
    /// Ids of releases by version.
    pub ids: Vec<(String, String)>,
}

impl Machine {
    /// A device that runs the first of some versions, and updates from each version to the next
    /// (`1-2.upm`).
    pub fn new(versions: &[&str]) -> Self {
        Self::with(versions, "slot = \"40MiB\"\nsystem = \"96MiB\"\n")
    }

    pub fn with(versions: &[&str], disk: &str) -> Self {
        let place = Place::new();
        let mut this = Self { place, ids: Vec::new() };
        fs::write(this.place.path("loader.efi"), loader()).unwrap();
        fs::write(this.place.path("disk.toml"), disk).unwrap();
        for version in versions {
            this.release(version);
        }
        for pair in versions.windows(2) {
            this.update(pair[0], pair[1]);
        }
        let first = versions[0];
        for directory in
            ["dev", "proc/sys/kernel/random", "sys/block/sda", "sbin", "etc/upmass/keys", EFI]
        {
            fs::create_dir_all(this.path(directory)).unwrap();
        }
        this.place.succeed(&[
            "image",
            first,
            "-o",
            "device/dev/sda",
            "--store",
            "st",
            "--loader",
            "loader.efi",
            "--disk",
            "disk.toml",
        ]);
        let sectors = fs::metadata(this.path("dev/sda")).unwrap().len() / 512;
        fs::write(this.path("sys/block/sda/size"), format!("{sectors}\n")).unwrap();
        fs::copy(this.place.path("keys/test.pub"), this.path("etc/upmass/keys/test.pub")).unwrap();
        this.script("sbin/reboot", "echo restart >> \"${0%/sbin/reboot}/restarts\"");
        this.variable(LOADER, "LoaderFeatures", Some(&0x1fu64.to_le_bytes()));
        this.start();
        this
    }

    /// Imports a release: two systems that share a kernel.
    fn release(&mut self, version: &str) {
        let place = &self.place;
        let number: u64 = version.parse().unwrap();
        for system in ["main", "rescue"] {
            let root = place.path(&format!("{system}-{version}"));
            fs::create_dir_all(root.join("boot")).unwrap();
            fs::create_dir_all(root.join("etc")).unwrap();
            fs::write(root.join("boot/vmlinuz"), noise(number, 300_000)).unwrap();
            fs::write(root.join("boot/initrd"), text(number, 50_000)).unwrap();
            fs::write(root.join("etc/version"), format!("{version}\n")).unwrap();
            fs::write(root.join("program"), noise(7, 2_000_000)).unwrap();
            fs::write(root.join(system), noise(number + 100, 100_000)).unwrap();
            symlink("program", root.join("link")).unwrap();
        }
        let system = |name: &str| {
            format!(
                "[[system]]\nname = \"{name}\"\nsource = {{ dir = \"{name}-{version}\" }}\n\
                 kernel = \"/boot/vmlinuz\"\ninitrd = \"/boot/initrd\"\ncmdline = \"quiet\"\n"
            )
        };
        let text = format!(
            "machine = \"test\"\nversion = \"{version}\"\ncounter = {number}\nfallback = \"main\"\n{}{}",
            system("main"),
            system("rescue")
        );
        fs::write(place.path("release.toml"), text).unwrap();
        let said = place.succeed(&["release", "release.toml", "--store", "st"]);
        let id = said.split_whitespace().next().unwrap().to_owned();
        self.ids.push((version.to_owned(), id));
    }

    pub fn update(&self, old: &str, new: &str) {
        self.place.update("st", old, new, &format!("{old}-{new}.upm"));
    }

    /// The id of a version.
    pub fn id(&self, version: &str) -> &str {
        &self.ids.iter().find(|(known, _)| known == version).unwrap().1
    }

    /// The first digits of it, as people are told.
    pub fn short(&self, version: &str) -> &str {
        &self.id(version)[..12]
    }

    /// A path of the running system.
    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path("device").join(name)
    }

    /// A script of the running system.
    pub fn script(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.place.run(&self.words(arguments))
    }

    pub fn succeed(&self, arguments: &[&str]) -> String {
        self.place.succeed(&self.words(arguments))
    }

    pub fn fail(&self, status: i32, arguments: &[&str]) -> String {
        self.place.fail(status, &self.words(arguments))
    }

    fn words<'a>(&self, arguments: &[&'a str]) -> Vec<&'a str> {
        [arguments, &["--root", "device"]].concat()
    }

    pub fn status(&self) -> serde_json::Value {
        serde_json::from_str(&self.succeed(&["status", "--json"])).unwrap()
    }

    /// What runs, what the device is in the middle of, and the slots that booted and are active.
    pub fn state(&self) -> (String, String, String, String) {
        let status = self.status();
        let text = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
        (text("release_version"), text("phase"), text("booted_slot"), text("active_slot"))
    }

    #[track_caller]
    pub fn assert_state(&self, version: &str, phase: &str, booted: &str, active: &str) {
        let expected = [version, phase, booted, active].map(str::to_owned);
        assert_eq!(<[String; 4]>::from(self.state()), expected);
    }

    /// How often the machine was told to restart.
    pub fn restarts(&self) -> usize {
        fs::read_to_string(self.path("restarts")).unwrap_or_default().lines().count()
    }

    pub fn variable_path(&self, vendor: &str, name: &str) -> PathBuf {
        self.path(EFI).join(format!("{name}-{vendor}"))
    }

    /// Writes or removes an EFI variable.
    pub fn variable(&self, vendor: &str, name: &str, content: Option<&[u8]>) {
        let path = self.variable_path(vendor, name);
        match content {
            Some(content) => fs::write(path, [&[7, 0, 0, 0], content].concat()).unwrap(),
            None => drop(fs::remove_file(path)),
        }
    }

    pub fn read_variable(&self, vendor: &str, name: &str) -> Option<Vec<u8>> {
        Some(fs::read(self.variable_path(vendor, name)).ok()?[4..].to_vec())
    }

    pub fn disk(&self) -> (SharedDisk, Found) {
        let disk: SharedDisk = Arc::new(FileDisk::open_to_read(&self.path("dev/sda")).unwrap());
        let found = Found::on(&*disk).unwrap();
        (disk, found)
    }

    /// A start as firmware and systemd-boot do it.
    pub fn start(&self) {
        let (disk, found) = self.disk();
        let mut booted = found.active;
        if let Some(next) = self.read_variable(GLOBAL, "BootNext") {
            self.variable(GLOBAL, "BootNext", None);
            let name = format!("Boot{:04X}", u16::from_le_bytes(next[..].try_into().unwrap()));
            let option = self.read_variable(GLOBAL, &name).unwrap_or_default();
            for (number, slot) in [(1u32, found.active), (2, found.active.other())] {
                let id = found.layout.slot(slot).id;
                let first = found.layout.slot(slot).first;
                let node =
                    [&[4, 1, 42, 0], &number.to_le_bytes()[..], &first.to_le_bytes()].concat();
                let has = |part: &[u8]| option.windows(part.len()).any(|window| window == part);
                if has(&node) && has(id.as_bytes()) {
                    booted = slot;
                }
            }
        }
        let content = |slot| found.content(disk.clone(), slot).unwrap();
        let slot = content(booted);
        let files = match FileSystem::open(&slot) {
            Ok(files) => files,
            // Firmware passes over what it cannot boot.
            Err(_) => {
                self.variable(LOADER, "LoaderDevicePartUUID", None);
                return self.start();
            }
        };
        let text = |path: &str| String::from_utf8(files.read(path, 65536).unwrap()).unwrap();
        let once = self.read_variable(LOADER, "LoaderEntryOneShot");
        self.variable(LOADER, "LoaderEntryOneShot", None);
        let chosen = [once, self.read_variable(LOADER, "LoaderEntryDefault")];
        let decode = |content: Vec<u8>| {
            let units = content.as_chunks().0.iter().map(|unit| u16::from_le_bytes(*unit));
            let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
            String::from_utf16(&units).unwrap()
        };
        let is_there = |id: &String| files.node(&format!("loader/entries/{id}")).unwrap().is_some();
        let entry = chosen.into_iter().flatten().map(decode).find(is_there);
        let entry = entry.unwrap_or_else(|| {
            text("loader/loader.conf").lines().next().unwrap()["default ".len()..].to_owned()
        });
        let entry = text(&format!("loader/entries/{entry}"));
        let line = entry.lines().find_map(|line| line.strip_prefix("options ")).unwrap();
        fs::write(self.path("proc/cmdline"), format!("{line}\n")).unwrap();
        let id: String = found.layout.slot(booted).id.to_string().to_uppercase();
        let id: Vec<u8> = id.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        self.variable(LOADER, "LoaderDevicePartUUID", Some(&id));
        let number = fs::read_to_string(self.place.path("starts")).unwrap_or_default().len();
        fs::write(self.place.path("starts"), "x".repeat(number + 1)).unwrap();
        let boot = format!("00000000-0000-4000-8000-{number:012}\n");
        fs::write(self.path("proc/sys/kernel/random/boot_id"), boot).unwrap();
    }

    /// The system partition, for a look.
    pub fn mounted(&self) -> Mounted {
        let (_, found) = self.disk();
        let range = found.layout.partition("system").unwrap().range;
        let target = self.place.path("mounted");
        fs::create_dir_all(&target).unwrap();
        let options = format!("ro,noload,loop,offset={},sizelimit={}", range.start(), range.len());
        let from = self.path("dev/sda");
        run(&["mount", "-o", &options, from.to_str().unwrap(), target.to_str().unwrap()]);
        Mounted(target)
    }

    /// Each system of a version on the system partition is as it was imported.
    pub fn assert_systems(&self, version: &str) {
        let mounted = self.mounted();
        for system in ["main", "rescue"] {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/compare_trees");
            let found = mounted.0.join("systems").join(self.id(version)).join(system);
            let source = self.place.path(&format!("{system}-{version}"));
            let compared = Command::new(script).args([&source, &found]).output().unwrap();
            let said = String::from_utf8_lossy(&compared.stdout);
            assert!(compared.status.success(), "{said}");
        }
        let store = mounted.0.join("upmass");
        self.place.succeed(&["check", "--store", store.to_str().unwrap()]);
    }

    /// All that decides what boots: the tables, both slots and the EFI variables.
    pub fn decisive(&self) -> Vec<u8> {
        let (_, found) = self.disk();
        let disk = fs::read(self.path("dev/sda")).unwrap();
        let end = found.layout.slot(Slot::Two).range.end() as usize;
        let mut bytes = disk[..end].to_vec();
        bytes.extend_from_slice(&disk[disk.len() - 65 * 512..]);
        let mut names: Vec<PathBuf> =
            fs::read_dir(self.path(EFI)).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        for name in names {
            bytes.extend_from_slice(name.as_os_str().as_encoded_bytes());
            bytes.extend(fs::read(name).unwrap());
        }
        bytes
    }
}

const EFI: &str = "sys/firmware/efi/efivars";

/// A mounted partition.
pub struct Mounted(pub PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// Runs a program, which must succeed.
#[track_caller]
pub fn run(words: &[&str]) {
    let done = Command::new(words[0]).args(&words[1..]).status();
    let done = done.unwrap_or_else(|_| panic!("{} is missing: run ./setup", words[0]));
    assert!(done.success(), "{words:?} (this test needs root and loop devices)");
}

/// As much of an EFI program as tells for which machine it is.
fn loader() -> Vec<u8> {
    let mut loader = noise(70, 5000);
    loader[..2].copy_from_slice(b"MZ");
    loader[60..64].copy_from_slice(&128u32.to_le_bytes());
    loader[128..134].copy_from_slice(b"PE\0\0\x64\x86");
    loader
}
