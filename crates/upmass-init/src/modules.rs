//! Kernel modules: which there are, and loading those that are needed (`spec/initrd.md`).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::error::{InitError, Result};
use crate::glob::matches;
use crate::options::Options;
use crate::say;

/// The modules of the RAM disk.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    index: Index,
    loaded: BTreeSet<String>,
    /// Devices that were looked at.
    seen: BTreeSet<PathBuf>,
}

/// What `modules/index` says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Index {
    /// What is loaded before each module.
    before: BTreeMap<String, Vec<String>>,
    always: Vec<String>,
    aliases: Vec<(String, String)>,
}

const DIRECTORY: &str = "/modules";
const INDEX: &str = "/modules/index";

impl Modules {
    /// Reads the index of the RAM disk; a kernel without modules needs none.
    pub(crate) fn read() -> Result<Self> {
        let text = match fs::read_to_string(INDEX) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(InitError::Modules(format!("read {INDEX}: {error}"))),
        };
        let index = Index::parse(&text).map_err(InitError::Modules)?;
        Ok(Self { index, ..Self::default() })
    }

    /// Loads those that are loaded at each start.
    pub(crate) fn load_always(&mut self, options: &Options) {
        for name in self.index.always.clone() {
            self.load(&name, options);
        }
    }

    /// Loads those for devices that have shown up since the last call.
    pub(crate) fn load_for_devices(&mut self, sys: &Path, options: &Options) {
        if self.index.aliases.is_empty() {
            return;
        }
        for device in devices(sys) {
            if !self.seen.insert(device.clone()) {
                continue;
            }
            let Ok(uevent) = fs::read(device.join("uevent")) else { continue };
            let alias = uevent
                .split(|byte| *byte == b'\n')
                .find_map(|line| line.strip_prefix(b"MODALIAS="));
            let Some(alias) = alias else { continue };
            let aliases = &self.index.aliases;
            let wanted = aliases.iter().filter(|(pattern, _)| matches(pattern.as_bytes(), alias));
            let wanted: Vec<String> = wanted.map(|(_, name)| name.clone()).collect();
            for name in wanted {
                self.load(&name, options);
            }
        }
    }

    /// Loads a module after those that it needs. What cannot be loaded is told and left out: if
    /// it was needed, the disk will not show up.
    fn load(&mut self, name: &str, options: &Options) {
        let before = self.index.before.get(name).cloned().unwrap_or_default();
        for name in before.iter().map(String::as_str).chain([name]) {
            if !self.loaded.insert(name.to_owned()) {
                continue;
            }
            match insert(name, &options.parameters(name)) {
                // The device may not be there, or be served by another module already.
                Ok(()) | Err(Errno::EXIST | Errno::NODEV | Errno::BUSY) => {}
                Err(errno) => say::warn(&format!("load module {name}: {errno}")),
            }
        }
    }
}

fn insert(name: &str, parameters: &str) -> rustix::io::Result<()> {
    let file = File::open(format!("{DIRECTORY}/{name}.ko"))
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let parameters = CString::new(parameters).map_err(|_| Errno::INVAL)?;
    rustix::system::finit_module(&file, &parameters, 0)
}

/// The devices of all buses.
fn devices(sys: &Path) -> Vec<PathBuf> {
    let list = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten();
    let buses = list(sys.join("bus"));
    buses.flat_map(|bus| list(bus.path().join("devices"))).map(|device| device.path()).collect()
}

impl Index {
    /// Reads the text of an index. An error is a sentence.
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut index = Self::default();
        for (number, line) in text.lines().enumerate() {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let own = |word: &str| word.to_owned();
            match words[..] {
                ["module", name, ref before @ ..] => {
                    let before = before.iter().map(|name| own(name)).collect();
                    index.before.insert(own(name), before);
                }
                ["always", name] => index.always.push(own(name)),
                ["alias", pattern, name] => index.aliases.push((own(pattern), own(name))),
                _ => return Err(format!("{INDEX}, line {}: {line:?} means nothing", number + 1)),
            }
        }
        Ok(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_says_what_is_loaded_when() {
        let text = "module jbd2 \nmodule ext4 crc16 jbd2\nalways ext4\nalias pci:v*bc01* nvme\n";
        let index = Index::parse(text).unwrap();
        assert_eq!(index.before["ext4"], ["crc16", "jbd2"]);
        assert_eq!(index.always, ["ext4"]);
        assert_eq!(index.aliases, [("pci:v*bc01*".to_owned(), "nvme".to_owned())]);
        assert_eq!(
            Index::parse("module a\nmodules b").unwrap_err(),
            "/modules/index, line 2: \"modules b\" means nothing"
        );
    }

    #[test]
    fn devices_of_all_buses_are_found() {
        let sys = tempfile::tempdir().unwrap();
        for device in ["pci/devices/0000:00:01.0", "virtio/devices/virtio0"] {
            fs::create_dir_all(sys.path().join("bus").join(device)).unwrap();
        }
        let mut names: Vec<_> =
            devices(sys.path()).iter().map(|d| d.file_name().unwrap().to_owned()).collect();
        names.sort();
        assert_eq!(names, ["0000:00:01.0", "virtio0"]);
        assert!(devices(Path::new("/nothing")).is_empty());
    }
}
