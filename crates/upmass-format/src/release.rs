//! Releases: the set of systems that one device has installed (`spec/release.md`).
//!
//! The encoding is split in two: the *skeleton*, which says everything but the trees, and after
//! it the tree ids. An update carries the skeleton only; the device computes the ids.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use crate::name::MAX_PATH;
use crate::wire::{Reader, Writer};
use crate::{FormatError, ObjectHasher, ReleaseId, Result, TreeId, TreePath};

/// The first bytes of a release.
pub const MAGIC: [u8; 4] = *b"UPMR";
/// The version of the encoding of a release whose components have no labels.
pub const VERSION: u8 = 1;
/// The version of the encoding of a release in which some component has labels. Every release
/// has one encoding: that which has room for nothing that it does not say.
pub const VERSION_LABELLED: u8 = 2;
/// What a release in which some system says where changes go adds to its version.
pub const WITH_CHANGES: u8 = 4;
/// Longest encoding of a release; bounds what a device must hold of it.
pub const MAX_RELEASE: u64 = 4 << 20;
/// Longest machine type, name of a component or of a system, and label key.
pub const MAX_NAME: usize = 255;
/// Longest command line or label value.
pub const MAX_TEXT: usize = 4096;
/// The label that names a release for people.
pub const LABEL_VERSION: &str = "version";

/// Largest number of components, systems, boot files or labels.
pub const MAX_COUNT: u64 = 65_536;

/// What a device has, or should have: complete bootable systems for one machine type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The machine type it is made for: 1 to 255 bytes.
    pub machine: String,
    /// Grows with every release of a machine type that should replace earlier ones.
    pub counter: u64,
    /// Free-form words for people and for fleet software.
    pub labels: BTreeMap<String, String>,
    /// All that the systems are made of, ascending by name, each name once.
    pub components: Vec<Component>,
    /// The bootable configurations, ascending by name, each name once; at least one.
    pub systems: Vec<System>,
    /// Which of `systems` boots when nothing else was asked for.
    pub fallback: usize,
}

/// A named tree with an install path, and the components that its contents mention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// 1 to 255 bytes, unique in the release.
    pub name: String,
    /// Where its root is found in a running system.
    pub install: InstallPath,
    /// Indexes into [`Release::components`], ascending; a component may refer to itself.
    pub references: Vec<usize>,
    /// Free-form words, such as what a source says of it and nobody can compute from its tree.
    pub labels: BTreeMap<String, String>,
    /// Its content.
    pub tree: TreeId,
}

/// An absolute path; `/` for a whole root file system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InstallPath(TreePath);

/// One bootable configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// 1 to 255 bytes, unique in the release.
    pub name: String,
    /// Free-form words.
    pub labels: BTreeMap<String, String>,
    /// The components it is made of, as indexes into [`Release::components`], ascending; all
    /// that they refer to belongs to it too.
    pub roots: Vec<usize>,
    /// Kernel, initial RAM disks, device tree, in the order the loader takes them.
    pub boot: Vec<BootFile>,
    /// What the kernel is told.
    pub command_line: String,
    /// What becomes of changes that the running system makes.
    pub changes: Changes,
}

/// What becomes of changes to the directories that a running system changes; all others are
/// read-only. It is for the initial RAM disk of Upmass: another one does as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changes {
    /// Those to `/etc`.
    pub etc: Policy,
    /// Those to `/var`.
    pub var: Policy,
}

impl Default for Changes {
    fn default() -> Self {
        Self { etc: Policy::Fixed, var: Policy::Persistent }
    }
}

/// What becomes of changes to a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// Nobody can make any.
    Fixed,
    /// They are forgotten with the next start.
    Stateless,
    /// They are kept on the data partition.
    Persistent,
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fixed, Self::Stateless, Self::Persistent];

    /// The word for it in descriptions, reports and on the command line of the kernel.
    pub const fn word(self) -> &'static str {
        match self {
            Policy::Fixed => "fixed",
            Policy::Stateless => "stateless",
            Policy::Persistent => "persistent",
        }
    }

    /// The policy of a word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.word() == word)
    }

    const fn tag(self) -> u8 {
        match self {
            Policy::Fixed => 1,
            Policy::Stateless => 2,
            Policy::Persistent => 3,
        }
    }
}

/// A file that the boot loader needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootFile {
    /// What it is for.
    pub kind: BootKind,
    /// Index into [`Release::components`].
    pub component: usize,
    /// Where it is in that component's tree.
    pub path: TreePath,
}

/// What the boot loader does with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BootKind {
    /// The kernel image.
    Kernel,
    /// An initial RAM disk; several are given to the kernel one after the other.
    Initrd,
    /// A flattened device tree.
    DeviceTree,
}

impl Release {
    /// The canonical encoding.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when the value breaks a rule of the format, which
    /// decoding would refuse; the message names it.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = self.skeleton()?;
        for component in &self.components {
            bytes.extend_from_slice(component.tree.as_bytes());
        }
        let decoded = Self::read(&bytes[..]).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("not a valid release: {error}"))
        })?;
        debug_assert_eq!(&decoded, self);
        Ok(bytes)
    }

    /// The encoding without the tree ids at its end.
    pub fn skeleton(&self) -> io::Result<Vec<u8>> {
        let mut output = Writer::new(Vec::new());
        output.raw(&MAGIC)?;
        let parts = self.parts();
        output.raw(&[parts.version()])?;
        output.bytes(self.machine.as_bytes())?;
        output.varint(self.counter)?;
        write_labels(&mut output, &self.labels)?;
        output.varint(self.components.len() as u64)?;
        for component in &self.components {
            output.bytes(component.name.as_bytes())?;
            output.bytes(component.install.0.as_bytes())?;
            write_indexes(&mut output, &component.references)?;
            if parts.labels {
                write_labels(&mut output, &component.labels)?;
            }
        }
        output.varint(self.systems.len() as u64)?;
        for system in &self.systems {
            output.bytes(system.name.as_bytes())?;
            write_labels(&mut output, &system.labels)?;
            write_indexes(&mut output, &system.roots)?;
            output.varint(system.boot.len() as u64)?;
            for file in &system.boot {
                output.raw(&[file.kind.tag()])?;
                output.varint(file.component as u64)?;
                output.bytes(file.path.as_bytes())?;
            }
            output.bytes(system.command_line.as_bytes())?;
            if parts.changes {
                output.raw(&[system.changes.etc.tag(), system.changes.var.tag()])?;
            }
        }
        output.varint(self.fallback as u64)?;
        Ok(output.into_inner())
    }

    fn parts(&self) -> Parts {
        Parts {
            labels: self.components.iter().any(|component| !component.labels.is_empty()),
            changes: self.systems.iter().any(|system| system.changes != Changes::default()),
        }
    }

    /// Decodes a release and checks every rule of the format.
    pub fn read<R: Read>(input: R) -> Result<Self> {
        read_within_limit(input, |input| {
            let mut release = read_skeleton(input)?;
            for component in &mut release.components {
                component.tree = TreeId::from_bytes(input.array("tree id")?);
            }
            input.expect_end("release")?;
            Ok(release)
        })
    }

    /// Decodes a skeleton; all tree ids are zero.
    pub fn read_skeleton<R: Read>(input: R) -> Result<Self> {
        read_within_limit(input, |input| {
            let release = read_skeleton(input)?;
            input.expect_end("release skeleton")?;
            Ok(release)
        })
    }

    /// The id of this release.
    pub fn id(&self) -> io::Result<ReleaseId> {
        Ok(ObjectHasher::hash(&self.to_bytes()?).into())
    }

    /// The version label, for people.
    pub fn version(&self) -> Option<&str> {
        self.labels.get(LABEL_VERSION).map(String::as_str)
    }

    /// The components of a system: its roots and all that they refer to, ascending.
    pub fn closure(&self, system: &System) -> Vec<usize> {
        let mut seen = vec![false; self.components.len()];
        let mut next = system.roots.clone();
        while let Some(index) = next.pop() {
            if !std::mem::replace(&mut seen[index], true) {
                next.extend(&self.components[index].references);
            }
        }
        (0..seen.len()).filter(|index| seen[*index]).collect()
    }

    /// The index of a component.
    pub fn component(&self, name: &str) -> Option<usize> {
        self.components.binary_search_by(|component| component.name.as_str().cmp(name)).ok()
    }
}

/// What an encoding has that not every release needs; its version says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parts {
    labels: bool,
    changes: bool,
}

impl Parts {
    fn version(self) -> u8 {
        let version = if self.labels { VERSION_LABELLED } else { VERSION };
        version + if self.changes { WITH_CHANGES } else { 0 }
    }

    fn of_version(version: u8) -> Option<Self> {
        let every = [false, true].map(|labels| [false, true].map(|changes| (labels, changes)));
        let mut every =
            every.into_iter().flatten().map(|(labels, changes)| Self { labels, changes });
        every.find(|parts| parts.version() == version)
    }
}

impl InstallPath {
    /// Reads an absolute path. `None` when it is not one, or has `.` or `..` in it.
    pub fn new(path: &[u8]) -> Option<Self> {
        TreePath::new(path.strip_prefix(b"/")?).map(Self)
    }

    /// The path below `/`.
    pub fn tree_path(&self) -> &TreePath {
        &self.0
    }
}

impl std::fmt::Display for InstallPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "/{}", self.0)
    }
}

impl BootKind {
    /// The word for it in descriptions and reports.
    pub const fn word(self) -> &'static str {
        match self {
            BootKind::Kernel => "kernel",
            BootKind::Initrd => "initrd",
            BootKind::DeviceTree => "dtb",
        }
    }

    const fn tag(self) -> u8 {
        match self {
            BootKind::Kernel => 1,
            BootKind::Initrd => 2,
            BootKind::DeviceTree => 3,
        }
    }
}

/// One byte more than the limit tells a release that fills it from one that is too long.
fn read_within_limit<R: Read>(
    input: R,
    read: impl FnOnce(&mut Reader<io::Take<R>>) -> Result<Release>,
) -> Result<Release> {
    let mut input = Reader::new(input.take(MAX_RELEASE + 1));
    let release = read(&mut input);
    if input.get_mut().limit() > 0 {
        return release;
    }
    Err(FormatError::TooLarge {
        what: "length of the release",
        offset: input.offset(),
        found: MAX_RELEASE + 1,
        limit: MAX_RELEASE,
    })
}

fn read_skeleton<R: Read>(input: &mut Reader<R>) -> Result<Release> {
    let magic = input.array::<4>("release magic")?;
    if magic != MAGIC {
        return Err(FormatError::Invalid {
            what: "release magic",
            offset: 0,
            expected: "UPMR",
            found: magic.escape_ascii().to_string(),
        });
    }
    let version = input.byte("release version")?;
    let Some(parts) = Parts::of_version(version) else {
        let found = version.into();
        return Err(FormatError::Unknown { what: "release version", offset: 4, found });
    };
    let machine = read_name(input, "machine type")?;
    let counter = input.varint("version counter")?;
    let labels = read_labels(input)?;
    let count = input.number(MAX_COUNT, "number of components")? as usize;
    let mut components: Vec<Component> = Vec::new();
    for _ in 0..count {
        let offset = input.offset();
        let name = read_name(input, "component name")?;
        if components.last().is_some_and(|last| last.name >= name) {
            let why = "components must ascend by name";
            return Err(FormatError::NotCanonical { what: "component name", offset, why });
        }
        let install = InstallPath(read_path(input, "install path")?);
        let references = read_indexes(input, count, "references")?;
        let labels = if parts.labels { read_labels(input)? } else { BTreeMap::new() };
        components.push(Component {
            name,
            install,
            references,
            labels,
            tree: TreeId::from_bytes([0; TreeId::LEN]),
        });
    }
    if parts.labels && components.iter().all(|each| each.labels.is_empty()) {
        let why = "some component must have a label";
        return Err(FormatError::NotCanonical { what: "release version", offset: 4, why });
    }
    let system_count = input.number(MAX_COUNT, "number of systems")?;
    let mut systems: Vec<System> = Vec::new();
    for _ in 0..system_count {
        let offset = input.offset();
        let system = read_system(input, count, parts)?;
        if systems.last().is_some_and(|last| last.name >= system.name) {
            let why = "systems must ascend by name";
            return Err(FormatError::NotCanonical { what: "system name", offset, why });
        }
        systems.push(system);
    }
    if parts.changes && systems.iter().all(|each| each.changes == Changes::default()) {
        let why = "some system must say what becomes of changes";
        return Err(FormatError::NotCanonical { what: "release version", offset: 4, why });
    }
    let offset = input.offset();
    let fallback = input.varint("fallback system")?;
    if fallback >= systems.len() as u64 {
        return Err(FormatError::Invalid {
            what: "fallback system",
            offset,
            expected: "one of the systems",
            found: format!("{fallback} of {}", systems.len()),
        });
    }
    Ok(Release { machine, counter, labels, components, systems, fallback: fallback as usize })
}

fn read_system<R: Read>(input: &mut Reader<R>, components: usize, parts: Parts) -> Result<System> {
    let name = read_name(input, "system name")?;
    let labels = read_labels(input)?;
    let roots = read_indexes(input, components, "roots")?;
    let mut boot: Vec<BootFile> = Vec::new();
    for _ in 0..input.number(MAX_COUNT, "number of boot files")? {
        let offset = input.offset();
        let kind = match input.byte("boot file kind")? {
            1 => BootKind::Kernel,
            2 => BootKind::Initrd,
            3 => BootKind::DeviceTree,
            other => {
                let found = other.into();
                return Err(FormatError::Unknown { what: "boot file kind", offset, found });
            }
        };
        let component = read_index(input, components, "boot file component")?;
        let offset = input.offset();
        let path = read_path(input, "boot file path")?;
        if path.is_root() {
            return Err(FormatError::Invalid {
                what: "boot file path",
                offset,
                expected: "a path inside the tree",
                found: "its root".into(),
            });
        }
        boot.push(BootFile { kind, component, path });
    }
    let command_line = input.text(MAX_TEXT, "command line")?;
    let changes = match parts.changes {
        true => Changes { etc: read_policy(input)?, var: read_policy(input)? },
        false => Changes::default(),
    };
    Ok(System { name, labels, roots, boot, command_line, changes })
}

fn read_policy<R: Read>(input: &mut Reader<R>) -> Result<Policy> {
    let offset = input.offset();
    let tag = input.byte("policy")?;
    let known = Policy::ALL.into_iter().find(|policy| policy.tag() == tag);
    known.ok_or(FormatError::Unknown { what: "policy", offset, found: tag.into() })
}

pub(crate) fn read_name<R: Read>(input: &mut Reader<R>, what: &'static str) -> Result<String> {
    let offset = input.offset();
    let name = input.text(MAX_NAME, what)?;
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(FormatError::Invalid {
            what,
            offset,
            expected: "1 to 255 bytes without control characters",
            found: format!("{name:?}"),
        });
    }
    Ok(name)
}

fn read_path<R: Read>(input: &mut Reader<R>, what: &'static str) -> Result<TreePath> {
    let offset = input.offset();
    let bytes = input.bytes(MAX_PATH, what)?;
    TreePath::new(bytes.clone()).ok_or_else(|| FormatError::Invalid {
        what,
        offset,
        expected: "names joined by /",
        found: format!("\"{}\"", bytes.escape_ascii()),
    })
}

fn read_labels<R: Read>(input: &mut Reader<R>) -> Result<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    for _ in 0..input.number(MAX_COUNT, "number of labels")? {
        let offset = input.offset();
        let key = read_name(input, "label")?;
        let value = input.text(MAX_TEXT, "label value")?;
        if labels.last_key_value().is_some_and(|(last, _)| *last >= key) {
            let why = "labels must ascend";
            return Err(FormatError::NotCanonical { what: "label", offset, why });
        }
        labels.insert(key, value);
    }
    Ok(labels)
}

fn write_labels(output: &mut Writer<Vec<u8>>, labels: &BTreeMap<String, String>) -> io::Result<()> {
    output.varint(labels.len() as u64)?;
    for (key, value) in labels {
        output.bytes(key.as_bytes())?;
        output.bytes(value.as_bytes())?;
    }
    Ok(())
}

/// Ascending indexes: each is written as its distance from the one before, minus one.
fn read_indexes<R: Read>(
    input: &mut Reader<R>,
    limit: usize,
    what: &'static str,
) -> Result<Vec<usize>> {
    let mut indexes = Vec::new();
    let mut next = 0u64;
    for _ in 0..input.number(limit as u64, what)? {
        let offset = input.offset();
        let index = next.saturating_add(input.varint(what)?);
        if index >= limit as u64 {
            let expected = "one of the components";
            let found = format!("{index} of {limit}");
            return Err(FormatError::Invalid { what, offset, expected, found });
        }
        indexes.push(index as usize);
        next = index + 1;
    }
    Ok(indexes)
}

fn read_index<R: Read>(input: &mut Reader<R>, limit: usize, what: &'static str) -> Result<usize> {
    let offset = input.offset();
    let index = input.varint(what)?;
    if index >= limit as u64 {
        let expected = "one of the components";
        let found = format!("{index} of {limit}");
        return Err(FormatError::Invalid { what, offset, expected, found });
    }
    Ok(index as usize)
}

fn write_indexes<W: Write>(output: &mut Writer<W>, indexes: &[usize]) -> io::Result<()> {
    output.varint(indexes.len() as u64)?;
    let mut next = 0;
    for index in indexes {
        let gap = index.checked_sub(next).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "indexes of components must ascend")
        })?;
        output.varint(gap as u64)?;
        next = index + 1;
    }
    Ok(())
}
