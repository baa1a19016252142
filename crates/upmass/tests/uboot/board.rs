//! A board in a directory: U-Boot of Debian in QEMU on a disk image, and the command on a device whose kernel would have
//! been started so. The system partition is really mounted, so this needs root and loop devices.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use upmass_disk::gpt::{BOOT_ONCE, Slot};
use upmass_disk::{DiskRange, FileDisk, Found};

use crate::common::{Place, text};
use crate::payload::payload;

const UBOOT: &str = "/usr/lib/u-boot/qemu_arm64/u-boot.bin";
/// In seconds. U-Boot waits two for a key; what hangs must end.
const DEADLINE: &str = "100";

pub struct Board {
    pub place: Place,
    ids: Vec<(String, String)>,
}

/// What a start came to.
#[derive(Debug)]
pub struct Started {
    /// The kernel that ran, as it says; empty when none did.
    pub kernel: String,
    /// All that was on the console.
    pub console: String,
}

impl Board {
    /// A board that runs the first of some versions, after its first start.
    pub fn new(versions: &[&str]) -> Self {
        let mut this = Self { place: Place::new(), ids: Vec::new() };
        for version in versions {
            this.release(version);
        }
        for pair in versions.windows(2) {
            this.place.update("st", pair[0], pair[1], &format!("{}-{}.upm", pair[0], pair[1]));
        }
        let disk = "loader = \"u-boot\"\nslot = \"34MiB\"\nsystem = \"32MiB\"\ndata = \"16MiB\"\n";
        fs::write(this.place.path("disk.toml"), disk).unwrap();
        for directory in
            ["dev", "proc/sys/kernel/random", "sys/block/mmcblk0", "etc/upmass/keys", "sbin"]
        {
            fs::create_dir_all(this.path(directory)).unwrap();
        }
        let image = ["image", versions[0], "-o", "device/dev/mmcblk0", "--store", "st", "--disk"];
        this.place.succeed(&[&image[..], &["disk.toml"]].concat());
        let sectors = fs::metadata(this.disk()).unwrap().len() / 512;
        fs::write(this.path("sys/block/mmcblk0/size"), format!("{sectors}\n")).unwrap();
        fs::copy(this.place.path("keys/test.pub"), this.path("etc/upmass/keys/test.pub")).unwrap();
        fs::copy("/bin/true", this.path("sbin/reboot")).unwrap();
        this
    }

    /// A release of two systems, each with a kernel that says whose it is.
    fn release(&mut self, version: &str) {
        let number: u64 = version.parse().unwrap();
        let mut description = format!(
            "machine = \"test\"\nversion = \"{version}\"\ncounter = {number}\nfallback = \"main\"\n"
        );
        for system in ["main", "rescue"] {
            let root = self.place.path(&format!("{system}-{version}"));
            fs::create_dir_all(root.join("boot")).unwrap();
            fs::write(root.join("boot/Image"), payload(&format!("{system} {version}"))).unwrap();
            fs::write(root.join("boot/initrd"), text(number, 50_000)).unwrap();
            description += &format!(
                "[[system]]\nname = \"{system}\"\nsource = {{ dir = \"{system}-{version}\" }}\n\
                 kernel = \"/boot/Image\"\ninitrd = \"/boot/initrd\"\ncmdline = \"quiet\"\n"
            );
        }
        fs::write(self.place.path("release.toml"), description).unwrap();
        let said = self.place.succeed(&["release", "release.toml", "--store", "st"]);
        self.ids.push((version.to_owned(), said.split_whitespace().next().unwrap().to_owned()));
    }

    /// The id of a version.
    pub fn id(&self, version: &str) -> &str {
        &self.ids.iter().find(|(known, _)| known == version).unwrap().1
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path("device").join(name)
    }

    pub fn disk(&self) -> PathBuf {
        self.path("dev/mmcblk0")
    }

    /// A start by U-Boot. The device is then what its kernel was told.
    #[track_caller]
    pub fn start(&self) -> Started {
        self.start_with("")
    }

    /// A start from a disk that takes no writes.
    #[track_caller]
    pub fn start_read_only(&self) -> Started {
        self.start_with(",read-only=on")
    }

    #[track_caller]
    fn start_with(&self, option: &str) -> Started {
        let path = self.disk();
        let drive = format!("if=none,id=disk,format=raw,file={}{option}", path.display());
        let qemu = Command::new("timeout")
            .args([
                DEADLINE,
                "qemu-system-aarch64",
                "-M",
                "virt",
                "-cpu",
                "cortex-a57",
                "-m",
                "128",
            ])
            .args([
                "-accel",
                "tcg",
                "-nodefaults",
                "-display",
                "none",
                "-no-reboot",
                "-serial",
                "stdio",
            ])
            .args(["-bios", UBOOT, "-drive", &drive, "-device", "virtio-blk-pci,drive=disk"])
            .stdin(std::process::Stdio::null())
            .output()
            .expect("timeout is missing");
        let console = String::from_utf8_lossy(&qemu.stdout).into_owned();
        let said = String::from_utf8_lossy(&qemu.stderr);
        assert!(!console.is_empty(), "no U-Boot in QEMU: run ./setup: {said}");
        let Some((_, said)) = console.rsplit_once("\nkernel ") else {
            return Started { kernel: String::new(), console };
        };
        let (kernel, line) = said.split_once(": ").unwrap();
        let kernel = kernel.to_owned();
        fs::write(self.path("proc/cmdline"), line).unwrap();
        let number = fs::read_to_string(self.place.path("starts")).unwrap_or_default().len();
        fs::write(self.place.path("starts"), "x".repeat(number + 1)).unwrap();
        let boot = format!("00000000-0000-4000-8000-{number:012}\n");
        fs::write(self.path("proc/sys/kernel/random/boot_id"), boot).unwrap();
        Started { kernel, console }
    }

    #[track_caller]
    pub fn starts(&self, kernel: &str) -> Started {
        let started = self.start();
        assert_eq!(started.kernel, kernel, "{}", started.console);
        started
    }

    #[track_caller]
    pub fn succeed(&self, arguments: &[&str]) -> String {
        self.place.succeed(&[arguments, &["--root", "device"]].concat())
    }

    pub fn status(&self) -> serde_json::Value {
        serde_json::from_str(&self.succeed(&["status", "--json"])).unwrap()
    }

    /// What runs, what the device is in the middle of, the slots that booted and are active.
    #[track_caller]
    pub fn assert_state(&self, system: &str, phase: &str, booted: &str, active: &str) {
        let status = self.status();
        let said =
            ["system", "release_version", "phase", "booted_slot", "active_slot", "booted_told_by"]
                .map(|key| status[key].as_str().unwrap_or_default().to_owned());
        let (name, version) = system.split_once(' ').unwrap();
        assert_eq!(said, [name, version, phase, booted, active, "command line"]);
        assert_eq!(status["can_try"], true);
    }

    pub fn found(&self) -> (Arc<FileDisk>, Found) {
        let disk = Arc::new(FileDisk::open(&self.disk()).unwrap());
        let found = Found::on(&*disk).unwrap();
        (disk, found)
    }

    pub fn slot(&self, slot: Slot) -> DiskRange {
        self.found().1.layout.slot(slot).range
    }

    pub fn once(&self) -> DiskRange {
        self.found().1.layout.partition(BOOT_ONCE).unwrap().range
    }

    /// Changes bytes of the disk behind everyone's back.
    pub fn damage(&self, at: u64, len: usize, damage: impl FnOnce(&mut [u8])) {
        use std::os::unix::fs::FileExt;
        let file = fs::File::options().read(true).write(true).open(self.disk()).unwrap();
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, at).unwrap();
        damage(&mut bytes);
        file.write_all_at(&bytes, at).unwrap();
    }

    /// Files of a slot, by mtools.
    #[track_caller]
    pub fn mtools(&self, tool: &str, slot: Slot, words: &[&str]) -> String {
        let image = format!("{}@@{}", self.disk().display(), self.slot(slot).start());
        let done = Command::new(tool).args(["-i", &image]).args(words).output();
        let done = done.unwrap_or_else(|_| panic!("{tool} is missing: run ./setup"));
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }
}
