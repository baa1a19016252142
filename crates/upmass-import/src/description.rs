//! `release.toml`: what a release is made from, in words that people write.
//!
//! [`read_description`] reads the file and refuses whatever it does not understand, with the
//! line and what would be right. [`import_release`] then imports all sources, finds the boot
//! files of each system and makes the [`Release`](upmass_format::release::Release). What may
//! be in the file is told in `docs/release-toml.md`.

mod error;
mod glob;
mod import;
mod minify;
mod ram_disk;
mod read;
mod resolve;
mod service;
mod suggest;
mod table;
mod values;
mod view;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use upmass_format::release::{Changes, InstallPath};

pub use self::error::{DescriptionError, Problem};
pub use self::glob::PathPattern;
pub use self::import::{ComponentReport, ImportedRelease, import_release};
pub use self::minify::MinifiedSystem;
use self::minify::MinifyDescription;
use self::service::ServiceDescription;
use crate::{ImportOptions, NixSource, OciSource, TarSource};

/// A description whose every name, pattern and value is valid; whether its sources exist is
/// seen when they are imported.
#[derive(Debug, Clone)]
pub struct Description {
    path: PathBuf,
    machine: String,
    version: String,
    counter: u64,
    labels: BTreeMap<String, String>,
    components: Vec<ComponentDescription>,
    services: Vec<ServiceDescription>,
    systems: Vec<SystemDescription>,
    /// Index into `systems`.
    fallback: usize,
    /// How systems are made smaller, if they are.
    minify: Option<MinifyDescription>,
    /// The program for initial RAM disks that name none.
    init_program: Option<PathBuf>,
}

/// A source, and what becomes of it.
#[derive(Debug, Clone)]
struct ComponentDescription {
    name: String,
    line: usize,
    source: Source,
    /// `/` for a Nix closure, where every store path has its own.
    install: InstallPath,
    options: ImportOptions,
    /// Indexes into [`Description::components`].
    references: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Directory(PathBuf),
    Tar(TarSource),
    Nix(NixSource),
    Oci(OciSource, OciLabels),
}

/// What a component keeps of the image that it is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OciLabels {
    /// Which layers it had.
    Layers,
    /// The digest of its manifest too, by which registries know it.
    Manifest,
}

#[derive(Debug, Clone)]
struct SystemDescription {
    name: String,
    labels: BTreeMap<String, String>,
    /// Indexes into [`Description::components`].
    components: Vec<usize>,
    /// In the order in which the loader takes the files.
    boot: Vec<BootDescription>,
    command_line: String,
    /// Indexes into [`Description::services`].
    services: Vec<usize>,
    changes: Changes,
}

/// Where a boot file comes from.
#[derive(Debug, Clone)]
struct BootDescription {
    kind: upmass_format::release::BootKind,
    source: BootSource,
    line: usize,
}

#[derive(Debug, Clone)]
enum BootSource {
    /// The system has it.
    File(PathPattern),
    /// It is made.
    RamDisk(RamDisk),
}

/// An initial RAM disk of Upmass.
#[derive(Debug, Clone, Default)]
struct RamDisk {
    /// The init program on this machine; that of [`Description::set_init_program`] otherwise.
    init: Option<PathBuf>,
    /// Modules that are loaded at each start, beside the usual ones.
    modules: Vec<String>,
    /// The directory of the kernel's modules in the system.
    from: Option<PathPattern>,
}

impl Description {
    /// The file it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The machine type.
    pub fn machine(&self) -> &str {
        &self.machine
    }

    /// Says where the init program is that initial RAM disks get whose description names none.
    pub fn set_init_program(&mut self, path: PathBuf) {
        self.init_program = Some(path);
    }

    /// The name of the release for people.
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// Reads a description and checks all that can be checked without its sources. Paths in it are
/// relative to the directory of the file.
pub fn read_description(path: &Path) -> Result<Description, DescriptionError> {
    read::read(path).map_err(|fault| fault.in_file(path))
}
