//! The device that this command runs on: its disk, its system partition, what boots next.

mod drift;
mod entries;
mod mount;
mod reboot;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use upmass_boot::bootloader::Unknown;
use upmass_boot::uboot::UBoot;
use upmass_boot::uefi::Uefi;
use upmass_boot::variables::EfivarFs;
use upmass_boot::{Bootloader, Control, Device, Here, Roots, discover, policy};
use upmass_disk::gpt::Slot;
use upmass_disk::{DirVolume, FileDisk, SharedDisk, Volume};
use upmass_image::{STORE, SYSTEMS};
use upmass_store::Store;

use crate::failure::{Failure, Kind};
pub use drift::{Difference, compare};
pub use entries::Entry;
pub use mount::{Access, Mounted};
pub use reboot::restart;

/// What a command needs of a device.
pub struct Session {
    root: PathBuf,
    roots: Roots,
    /// What runs, and where from.
    pub device: Device,
    /// The disk.
    pub disk: SharedDisk,
    here: Here,
    system: Mounted,
}

impl Session {
    /// Finds the disk that this system was started from, and mounts its system partition where
    /// nobody else sees it. `root` is `/` but for tests.
    pub fn open(root: &Path, access: Access) -> Result<Self, Failure> {
        let roots = Roots::below(root);
        let device = discover(&roots)?;
        let boot = boot_id(&roots)?;
        let here = Here { booted: device.booted, running: device.release, boot };
        let disk: SharedDisk = match access {
            Access::Read => Arc::new(FileDisk::open_to_read(&device.disk)?),
            Access::Write => Arc::new(FileDisk::open(&device.disk)?),
        };
        let part = &device.system_partition;
        let system = Mounted::new("system", &device.disk, part, access)?;
        Ok(Self { root: root.to_owned(), roots, device, disk, here, system })
    }

    /// A path of the running system.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The store of the device.
    pub fn store(&self) -> Result<Store, Failure> {
        Ok(Store::open(&self.system.path().join(STORE))?)
    }

    /// Where the store is, for opening it otherwise.
    pub fn store_path(&self) -> PathBuf {
        self.system.path().join(STORE)
    }

    /// Where the systems are, by release.
    pub fn systems(&self) -> PathBuf {
        self.system.path().join(SYSTEMS)
    }

    /// The system partition.
    pub fn state(&self) -> Result<DirVolume, Failure> {
        Ok(DirVolume::open(self.system.path())?)
    }

    /// Free bytes of the system partition.
    pub fn system_free(&self) -> Result<u64, Failure> {
        Ok(self.state()?.free_space()?)
    }

    /// Free bytes of the system partition, and all.
    pub fn system_space(&self) -> Result<(u64, u64), Failure> {
        self.system.space()
    }

    /// The systems that a slot can start.
    pub fn entries(&self, slot: Slot) -> Result<Vec<Entry>, Failure> {
        let content = self.device.found.content(self.disk.clone(), slot);
        let content = content.ok_or_else(|| Failure::refused("the disk became shorter"))?;
        entries::entries(&content)
            .map_err(|error| Failure::new(Kind::Failed, format_args!("slot {slot}: {error}")))
    }

    /// The data partition, to look at.
    pub fn data(&self) -> Result<Mounted, Failure> {
        Mounted::new("data", &self.device.disk, &self.device.data_partition, Access::Read)
    }

    /// How this machine is told what to start.
    pub fn loader(&self) -> Result<Box<dyn Bootloader>, Failure> {
        match self.uboot() {
            Some(loader) => Ok(Box::new(loader)),
            None => Ok(Box::new(Uefi::new(EfivarFs::open(&self.roots.efi_variables)?))),
        }
    }

    /// Whether the slots of the disk are for U-Boot.
    pub fn is_for_uboot(&self) -> bool {
        self.uboot().is_some()
    }

    fn uboot(&self) -> Option<UBoot> {
        UBoot::of(self.disk.clone(), &self.device.found.layout)
    }

    /// Looks at what boots next, without changing anything. Without a boot loader that can be
    /// asked, nothing is armed.
    pub fn view(&self) -> Result<policy::View, Failure> {
        let state = self.state()?;
        let loader = self.loader().unwrap_or_else(|_| Box::new(Unknown));
        Ok(upmass_boot::view(&self.disk, &*loader, &state, self.here)?)
    }

    /// The right to change what boots next.
    pub fn control(&self) -> Result<Control, Failure> {
        let state = Arc::new(self.state()?);
        Ok(Control::open(self.disk.clone(), self.loader()?, state, self.here)?)
    }
}

fn boot_id(roots: &Roots) -> Result<upmass_boot::attempt::BootId, Failure> {
    let path = roots.proc.join("sys/kernel/random/boot_id");
    let text = std::fs::read_to_string(&path).map_err(|error| Failure::io("read", &path, error))?;
    text.trim().parse().map_err(|error| {
        Failure::new(Kind::Failed, format_args!("read {}: {error}", path.display()))
    })
}
