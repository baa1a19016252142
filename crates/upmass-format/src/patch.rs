//! The head of a patch file, which leads from one plain file or directory to another
//! (`spec/patch.md`). Behind it is a payload as an update has it ([`crate::payload`]).

use std::collections::BTreeMap;
use std::io::Read;

use crate::release::{Changes, Component, InstallPath, Release, System};
use crate::update::BasePrefix;
use crate::wire::Reader;
use crate::{FormatError, ReleaseId, Result, TreeId, TreePath};

/// The first bytes of a patch file; the first is no text, as in an update.
pub const MAGIC: [u8; 3] = [0x8f, b'U', b'D'];
/// Length of the head; the payload follows.
pub const HEAD_LEN: usize = 29;
/// How many bytes of the old id the head holds. They only tell a wrong base before any work is
/// done; whether the result is right is decided by what the head holds of the new id.
pub const OLD_PREFIX_LEN: usize = 8;
/// The name of the only component of a [`release`], and of its only system.
pub const COMPONENT: &str = "-";
/// The name that a plain file has in its tree.
pub const FILE_NAME: &str = "content";
/// The mode that a plain file has in its tree, whatever it is outside.
pub const FILE_MODE: u16 = 0o644;

/// What a patch file leads from and to. The number is the version too: a later version of the
/// format takes others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// From one regular file to another.
    File = 1,
    /// From one directory to another.
    Directory = 2,
}

/// What stands before the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// What it leads from and to.
    pub kind: Kind,
    /// The start of the id of the old [`release`].
    pub base: OldPrefix,
    /// The first half of the id of the new one.
    pub target: BasePrefix,
    /// The codecs that applying needs, as in the header of an update.
    pub codecs: u8,
}

/// The first bytes of the id of a release that a patch starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldPrefix([u8; OLD_PREFIX_LEN]);

impl OldPrefix {
    /// The prefix of a release's id.
    pub fn of(release: ReleaseId) -> Self {
        let (prefix, _) = release.as_bytes().split_first_chunk().expect("ids are longer");
        Self(*prefix)
    }
}

impl std::fmt::Display for OldPrefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Kind {
    /// The word for it, which is the machine type of its releases too.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::File => "file",
            Kind::Directory => "directory",
        }
    }
}

impl Head {
    /// The encoding.
    pub fn to_bytes(&self) -> [u8; HEAD_LEN] {
        let mut bytes = [0; HEAD_LEN];
        bytes[..3].copy_from_slice(&MAGIC);
        bytes[3] = self.kind as u8;
        bytes[4..12].copy_from_slice(&self.base.0);
        bytes[12..28].copy_from_slice(self.target.as_bytes());
        bytes[28] = self.codecs;
        bytes
    }

    /// Reads the head, and nothing behind it.
    pub fn read<R: Read>(input: R) -> Result<Self> {
        let mut input = Reader::new(input);
        let magic = input.array::<3>("patch magic")?;
        if magic != MAGIC {
            return Err(FormatError::Invalid {
                what: "patch magic",
                offset: 0,
                expected: "a patch file of upmass (8f 55 44)",
                found: magic.map(|byte| format!("{byte:02x}")).join(" "),
            });
        }
        let kind = match input.byte("patch kind")? {
            1 => Kind::File,
            2 => Kind::Directory,
            other => {
                let found = other.into();
                return Err(FormatError::Unknown { what: "patch kind", offset: 3, found });
            }
        };
        let base = OldPrefix(input.array("base of the patch")?);
        let target = BasePrefix::from_bytes(input.array("target of the patch")?);
        let codecs = input.byte("codecs of the patch")?;
        Ok(Self { kind, base, target, codecs })
    }
}

/// The release that stands for a plain file or directory: one system of one component, which is
/// the tree.
pub fn release(kind: Kind, tree: TreeId) -> Release {
    let install = InstallPath::new(b"/").expect("an absolute path");
    let component = Component {
        name: COMPONENT.into(),
        install,
        references: Vec::new(),
        labels: BTreeMap::new(),
        tree,
    };
    let system = System {
        name: COMPONENT.into(),
        labels: BTreeMap::new(),
        roots: vec![0],
        boot: Vec::new(),
        command_line: String::new(),
        changes: Changes::default(),
    };
    Release {
        machine: kind.word().into(),
        counter: 0,
        labels: BTreeMap::new(),
        components: vec![component],
        systems: vec![system],
        fallback: 0,
    }
}

/// Where a plain file is in its tree.
pub fn file_path() -> TreePath {
    TreePath::new(FILE_NAME.as_bytes()).expect("a name")
}
