//! UEFI firmware and systemd-boot.
//!
//! The trial of a slot: `Boot####` names its loader, and `BootNext` that variable, which firmware
//! removes before it starts it (UEFI 2.10, 3.1.3). It is never in `BootOrder`. The path names the
//! partition by number, start, length and GUID, of which the number changes with the active
//! slot; so the variable is written before every trial.
//!
//! Which system: `LoaderEntryOneShot` and `LoaderEntryDefault` of systemd's Boot Loader Interface.

mod option;

use upmass_disk::fat::FileSystem;
use upmass_disk::gpt::{Layout, Slot};

use crate::bootloader::{BootError, Bootloader, Target};
use crate::loader;
use crate::variables::{Variables, Vendor};
use option::{decode, encode, utf16};

/// Firmware with its variables.
pub struct Uefi<V> {
    variables: V,
    machine: &'static str,
}

/// What our variable is called in menus of firmware, and known by.
const DESCRIPTION: &str = "Upmass trial";

/// Machines, and the loaders that their firmware looks for (UEFI 2.10, 3.5.1.1).
const LOADERS: [(&str, &str); 5] = [
    ("x86_64", "BOOTX64.EFI"),
    ("aarch64", "BOOTAA64.EFI"),
    ("x86", "BOOTIA32.EFI"),
    ("arm", "BOOTARM.EFI"),
    ("riscv64", "BOOTRISCV64.EFI"),
];

/// Bits of `LoaderFeatures`.
const CAN_PREFER: u64 = 1 << 2;
const CAN_CHOOSE: u64 = 1 << 3;

impl<V: Variables> Uefi<V> {
    /// The firmware of this machine.
    pub fn new(variables: V) -> Self {
        Self::of(variables, std::env::consts::ARCH)
    }

    /// The firmware of a kind of machine, by its name in Rust (`x86_64`, `aarch64`).
    pub fn of(variables: V, machine: &'static str) -> Self {
        Self { variables, machine }
    }

    fn variables(&self) -> &dyn Variables {
        &self.variables
    }

    /// Our `Boot####`: the one with our description, or else the lowest number that is free.
    fn number(&self) -> Result<u16, BootError> {
        let mut taken = Vec::new();
        for name in self.variables().names(Vendor::Global)? {
            let Some(number) = boot_number(&name) else { continue };
            taken.push(number);
            let content = self.variables().read(Vendor::Global, &name)?.unwrap_or_default();
            if decode(&content).is_some_and(|option| option.description == DESCRIPTION) {
                return Ok(number);
            }
        }
        // What `BootOrder` names without a variable would get one by ours.
        taken.extend(self.order()?);
        Ok((0..u16::MAX).find(|number| !taken.contains(number)).unwrap_or(u16::MAX))
    }

    fn order(&self) -> Result<Vec<u16>, BootError> {
        let order = self.variables().read(Vendor::Global, "BootOrder")?.unwrap_or_default();
        Ok(order.as_chunks().0.iter().map(|number| u16::from_le_bytes(*number)).collect())
    }

    /// What `BootNext` names.
    fn next(&self) -> Result<Option<option::LoadOption>, BootError> {
        let next = self.variables().read(Vendor::Global, "BootNext")?;
        let Some(number) = next.as_deref().and_then(|next| next.try_into().ok()) else {
            return Ok(None);
        };
        let name = boot_name(u16::from_le_bytes(number));
        let content = self.variables().read(Vendor::Global, &name)?;
        Ok(content.as_deref().and_then(decode))
    }

    fn require(&self, feature: u64) -> Result<(), BootError> {
        let features = self.variables().read(Vendor::Loader, "LoaderFeatures")?;
        let features = features.as_deref().and_then(|features| features.first_chunk().copied());
        match features.is_some_and(|features| u64::from_le_bytes(features) & feature != 0) {
            true => Ok(()),
            false => Err(BootError::NoChoice),
        }
    }

    fn entry(&self, name: &str) -> Result<Option<String>, BootError> {
        let content = self.variables().read(Vendor::Loader, name)?;
        let entry = content.map(|content| loader::utf16(&content));
        Ok(entry.filter(|entry| !entry.is_empty()))
    }

    fn set_entry(&self, name: &str, entry: Option<&str>) -> Result<(), BootError> {
        match entry {
            Some(entry) => {
                Ok(self.variables().write_checked(Vendor::Loader, name, &utf16(entry))?)
            }
            None => Ok(self.variables().remove(Vendor::Loader, name)?),
        }
    }
}

impl<V: Variables> Bootloader for Uefi<V> {
    fn check(&self) -> Result<(), BootError> {
        Ok(self.variables().check_writable()?)
    }

    fn armed(&self, layout: &Layout) -> Result<Option<Slot>, BootError> {
        let id = self.next()?.and_then(|option| option.partition);
        Ok(Slot::ALL.into_iter().find(|slot| Some(layout.slot(*slot).id) == id))
    }

    /// First `Boot####` (POWER-LOSS.md, row "entry"), which nothing starts by itself; then
    /// `BootNext` (row "arm"). Torn, that one is missing, and nothing is armed.
    fn arm(&self, target: &Target<'_>) -> Result<(), BootError> {
        let file = format!("\\EFI\\BOOT\\{}", self.loader_in(target)?);
        let number = self.number()?;
        let order = self.order()?;
        if order.contains(&number) {
            // Some firmware puts all that it finds there; a trial must not be an order.
            let others = order.into_iter().filter(|other| *other != number);
            let others: Vec<u8> = others.flat_map(u16::to_le_bytes).collect();
            self.variables().write_checked(Vendor::Global, "BootOrder", &others)?;
        }
        let partition = target.layout.slot(target.slot);
        let option = encode(DESCRIPTION, Target::NUMBER, partition, &file);
        self.variables().write_checked(Vendor::Global, &boot_name(number), &option)?;
        let next = number.to_le_bytes();
        Ok(self.variables().write_checked(Vendor::Global, "BootNext", &next)?)
    }

    /// (POWER-LOSS.md, row "disarm".)
    fn disarm(&self, layout: &Layout) -> Result<(), BootError> {
        let is_ours = self.next()?.is_some_and(|option| {
            let is_slot =
                Slot::ALL.iter().any(|slot| Some(layout.slot(*slot).id) == option.partition);
            is_slot || option.description == DESCRIPTION
        });
        match is_ours {
            true => Ok(self.variables().remove(Vendor::Global, "BootNext")?),
            false => Ok(()),
        }
    }

    fn chosen(&self) -> Result<Option<String>, BootError> {
        self.entry("LoaderEntryOneShot")
    }

    /// (POWER-LOSS.md, row "choose".)
    fn choose(&self, entry: Option<&str>) -> Result<(), BootError> {
        if entry.is_some() {
            self.require(CAN_CHOOSE)?;
        }
        self.set_entry("LoaderEntryOneShot", entry)
    }

    fn preferred(&self) -> Result<Option<String>, BootError> {
        self.entry("LoaderEntryDefault")
    }

    /// (POWER-LOSS.md, row "prefer".)
    fn prefer(&self, entry: Option<&str>) -> Result<(), BootError> {
        if entry.is_some() {
            self.require(CAN_PREFER)?;
        }
        self.set_entry("LoaderEntryDefault", entry)
    }
}

impl<V> Uefi<V> {
    /// The loader of a slot for this machine: the only one, or the one of its kind.
    fn loader_in(&self, target: &Target<'_>) -> Result<String, BootError> {
        let slot = target.slot;
        let fail = |source| BootError::Content { slot, source };
        let files = FileSystem::open(target.content).map_err(fail)?;
        let names = match files.node("EFI/BOOT").map_err(fail)? {
            Some(_) => files.list("EFI/BOOT").map_err(fail)?,
            None => Vec::new(),
        };
        let is_loader =
            |name: &&str| LOADERS.iter().any(|(_, known)| known.eq_ignore_ascii_case(name));
        let found: Vec<&str> = names.iter().map(|node| &node.name[..]).filter(is_loader).collect();
        let wanted = LOADERS.iter().find(|(machine, _)| *machine == self.machine);
        let wanted = wanted.map_or("BOOT*.EFI", |(_, wanted)| wanted);
        match found[..] {
            // A kernel may be started by firmware of a narrower kind.
            [only] => Ok(only.to_owned()),
            _ => match found.into_iter().find(|name| name.eq_ignore_ascii_case(wanted)) {
                Some(name) => Ok(name.to_owned()),
                None => Err(BootError::NoLoader { slot, wanted }),
            },
        }
    }
}

fn boot_name(number: u16) -> String {
    format!("Boot{number:04X}")
}

/// The number of a variable `Boot####`.
fn boot_number(name: &str) -> Option<u16> {
    let digits = name.strip_prefix("Boot").filter(|digits| digits.len() == 4)?;
    u16::from_str_radix(digits, 16).ok()
}
