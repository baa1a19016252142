//! Which kernel modules an initial RAM disk needs, and in which order they are loaded: from the
//! indexes that `depmod` makes (modules.dep(5), modules.alias, modules.softdep). Pure.

use std::collections::{BTreeMap, BTreeSet};

/// The indexes of a directory of modules, as text.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    /// `modules.dep`
    pub(super) dependencies: String,
    /// `modules.builtin`
    pub(super) built_in: String,
    /// `modules.alias`
    pub(super) aliases: String,
    /// `modules.softdep`
    pub(super) soft_dependencies: String,
}

/// A module that is in the RAM disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Module {
    /// With `_` for `-`, as the kernel does.
    pub(super) name: String,
    /// Below the directory of modules, as `modules.dep` has it.
    pub(super) path: String,
    /// What is loaded before it, in this order.
    pub(super) before: Vec<String>,
}

/// What is chosen: modules with all that they need, each after what it needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) modules: Vec<Module>,
    /// Pattern of a device, and the module for it.
    pub(super) aliases: Vec<(String, String)>,
}

/// A module that was asked for and is not there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoSuchModule(pub(super) String);

/// Modules that are loaded at each start, where the kernel does not have them built in: file
/// systems, and the variables of the firmware.
pub(super) const ALWAYS: [&str; 3] = ["ext4", "overlay", "efivarfs"];

/// Modules that are loaded when a device asks for them: disks, and watchdogs.
pub(super) const ON_DEMAND: &[&str] = &[
    // Disks and what they hang on.
    "nvme",
    "ahci",
    "ata_piix",
    "sd_mod",
    "virtio_pci",
    "virtio_mmio",
    "virtio_blk",
    "virtio_scsi",
    "mmc_block",
    "sdhci_pci",
    "sdhci_acpi",
    "sdhci_iproc",
    "sdhci_of_arasan",
    "bcm2835",
    "dw_mmc_rockchip",
    "meson_gx_mmc",
    "sunxi_mmc",
    "xhci_pci",
    "ehci_pci",
    "usb_storage",
    "uas",
    // Watchdogs.
    "i6300esb",
    "iTCO_wdt",
    "sp5100_tco",
    "wdat_wdt",
    "imx2_wdt",
    "bcm2835_wdt",
];

impl Indexes {
    /// Chooses modules: those that are always loaded, those that devices ask for, and `more`,
    /// which must be there.
    pub(super) fn choose(&self, more: &[String]) -> Result<Chosen, NoSuchModule> {
        let known = Known::new(self);
        let mut chosen = BTreeMap::new();
        let mut order = Vec::new();
        for name in more {
            let name = underscored(name);
            if !known.paths.contains_key(&name) && !known.built_in.contains(&name) {
                return Err(NoSuchModule(name));
            }
        }
        let more = more.iter().map(String::as_str);
        for name in ALWAYS.iter().chain(ON_DEMAND).copied().chain(more) {
            known.visit(&underscored(name), &mut chosen, &mut order, &mut Vec::new());
        }
        let modules = order.iter().map(|name| chosen[name].clone()).collect();
        let on_demand: BTreeSet<String> = ON_DEMAND.iter().map(|name| underscored(name)).collect();
        let aliases = lines(&self.aliases).filter_map(|words| match words[..] {
            ["alias", pattern, module] => Some((pattern.to_owned(), underscored(module))),
            _ => None,
        });
        let aliases = aliases
            .filter(|(_, module)| on_demand.contains(module) && chosen.contains_key(module))
            .collect();
        Ok(Chosen { modules, aliases })
    }
}

/// The indexes, looked up by name.
struct Known<'t> {
    /// Path and dependencies' paths by name.
    paths: BTreeMap<String, (&'t str, Vec<&'t str>)>,
    built_in: BTreeSet<String>,
    /// Words that are no patterns, such as `crc32c`, and the modules for them.
    aliases: BTreeMap<String, Vec<String>>,
    soft: BTreeMap<String, Vec<String>>,
}

impl<'t> Known<'t> {
    fn new(indexes: &'t Indexes) -> Self {
        let dependency = |line: &'t str| {
            let (path, needs) = line.split_once(':')?;
            Some((name_of(path), (path, needs.split_whitespace().collect())))
        };
        let mut aliases: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for words in lines(&indexes.aliases) {
            if let ["alias", word, module] = words[..]
                && !word.contains([':', '*'])
            {
                aliases.entry(underscored(word)).or_default().push(underscored(module));
            }
        }
        let soft = lines(&indexes.soft_dependencies).filter_map(|words| match &words[..] {
            ["softdep", module, rest @ ..] => {
                let names = rest.iter().filter(|word| !word.ends_with(':'));
                Some((underscored(module), names.map(|name| underscored(name)).collect()))
            }
            _ => None,
        });
        Self {
            paths: indexes.dependencies.lines().filter_map(dependency).collect(),
            built_in: indexes.built_in.lines().map(name_of).collect(),
            aliases,
            soft: soft.collect(),
        }
    }

    /// Adds a module after all that it needs. What is not there is built in, or not needed by
    /// this kernel.
    fn visit(
        &self,
        name: &str,
        chosen: &mut BTreeMap<String, Module>,
        order: &mut Vec<String>,
        open: &mut Vec<String>,
    ) {
        if chosen.contains_key(name) || open.iter().any(|other| other == name) {
            return;
        }
        let Some((path, needs)) = self.paths.get(name) else {
            if !self.built_in.contains(name) {
                for module in self.aliases.get(name).into_iter().flatten() {
                    self.visit(module, chosen, order, open);
                }
            }
            return;
        };
        open.push(name.to_owned());
        let soft = self.soft.get(name).into_iter().flatten().flat_map(|word| {
            match (self.paths.contains_key(word), self.aliases.get(word)) {
                (true, _) => vec![word.clone()],
                (false, Some(modules)) => modules.clone(),
                (false, None) => Vec::new(),
            }
        });
        // `modules.dep` lists first what is loaded last.
        let hard = needs.iter().rev().map(|path| name_of(path));
        let mut before: Vec<String> = Vec::new();
        for needed in soft.chain(hard) {
            self.visit(&needed, chosen, order, open);
            for name in chosen.get(&needed).iter().flat_map(|module| &module.before) {
                if !before.contains(name) {
                    before.push(name.clone());
                }
            }
            if chosen.contains_key(&needed) && !before.contains(&needed) {
                before.push(needed);
            }
        }
        open.pop();
        let module = Module { name: name.to_owned(), path: (*path).to_owned(), before };
        chosen.insert(name.to_owned(), module);
        order.push(name.to_owned());
    }
}

/// Words of each line.
fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_whitespace().collect())
}

/// `kernel/fs/ext4/ext4.ko.xz` is `ext4`.
fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    underscored(file.split(".ko").next().unwrap_or(file))
}

pub(super) fn underscored(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indexes() -> Indexes {
        Indexes {
            dependencies: "\
kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/lib/crc16.ko.xz
kernel/fs/jbd2/jbd2.ko.xz:
kernel/lib/crc16.ko.xz:
kernel/crypto/crc32c_generic.ko.xz:
kernel/drivers/nvme/host/nvme.ko.xz: kernel/drivers/nvme/host/nvme-core.ko.xz kernel/t10.ko.xz
kernel/drivers/nvme/host/nvme-core.ko.xz: kernel/t10.ko.xz
kernel/t10.ko.xz:
kernel/drivers/i2c/i2c-odd.ko.xz:
kernel/drivers/gpu/large.ko.xz:
"
            .to_owned(),
            built_in: "kernel/fs/overlayfs/overlay.ko\n".to_owned(),
            aliases: "\
# Aliases extracted from modules themselves.
alias pci:v*d*sv*sd*bc01sc08i02* nvme
alias pci:v*d*sv*sd*bc03* large
alias crc32c crc32c_generic
"
            .to_owned(),
            soft_dependencies: "softdep ext4 pre: crc32c\n".to_owned(),
        }
    }

    #[test]
    fn modules_come_after_what_they_need_and_only_if_wanted() {
        let chosen = indexes().choose(&["i2c-odd".to_owned()]).unwrap();
        let found: Vec<_> = (chosen.modules.iter())
            .map(|module| (&module.name[..], module.before.iter().map(|b| &b[..]).collect()))
            .collect();
        let expected: [(&str, Vec<&str>); 8] = [
            ("crc32c_generic", vec![]),
            ("crc16", vec![]),
            ("jbd2", vec![]),
            ("ext4", vec!["crc32c_generic", "crc16", "jbd2"]),
            ("t10", vec![]),
            ("nvme_core", vec!["t10"]),
            ("nvme", vec!["t10", "nvme_core"]),
            ("i2c_odd", vec![]),
        ];
        assert_eq!(found, expected);
        assert_eq!(chosen.aliases, [("pci:v*d*sv*sd*bc01sc08i02*".into(), "nvme".into())]);
    }

    #[test]
    fn a_module_that_was_asked_for_must_be_there_or_built_in() {
        assert_eq!(indexes().choose(&["ovrlay".to_owned()]), Err(NoSuchModule("ovrlay".into())));
        assert!(indexes().choose(&["overlay".to_owned()]).is_ok());
    }

    #[test]
    fn modules_that_need_each_other_end() {
        let dependencies = "ext4.ko: a.ko\na.ko: ext4.ko\n".to_owned();
        let chosen = Indexes { dependencies, ..Indexes::default() }.choose(&[]).unwrap();
        assert_eq!(chosen.modules.len(), 2);
    }
}
