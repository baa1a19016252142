//! What a caller may choose, and what a checkout tells.

/// How a directory is made. `Default` keeps owners and is not durable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Whose the files are.
    pub owners: Owners,
    /// The times of what has none in its tree.
    pub times: Times,
    /// Who is to be told of what is there.
    pub registration: Registration,
    /// Whether files may be links to the objects of the store.
    pub sharing: Sharing,
    /// Whether the directory survives a power cut from the return on. Without it, and if power
    /// is lost soon after, files may be empty although the directory has its name.
    pub durable: bool,
}

/// Whose the files are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Owners {
    /// As the trees say. Only root can do that.
    #[default]
    Keep,
    /// The user who runs this, for a look at a system without being root.
    ///
    /// What means nothing without its owner, or is root's to make, is left out and counted in
    /// [`Report::left_out`] rather than refused: hardly a root file system is without it.
    Current,
    /// The user who runs this, for trees that were made without owners: modes are exact, and
    /// what only root can make is an error.
    Maker,
}

/// Whether files may be links to the objects of the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sharing {
    /// No: each file is a file of its own.
    #[default]
    None,
    /// Yes, on the file system of the store, with [`Owners::Keep`]: a file is a link to its object
    /// where no other link says that owner, mode, times or attributes are others, and a copy
    /// otherwise. It costs a name then, and no space.
    ///
    /// So nobody may ever write to the directory: it is for systems that are mounted read-only. Files
    /// of one content and the same attributes become links to each other. Only one checkout of a store
    /// may run at a time.
    Links,
}

/// Who is to be told of what is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Registration {
    /// Nobody.
    #[default]
    None,
    /// Nix: of each component that is a store path, in the file
    /// [`NIX_REGISTRATION`](crate::NIX_REGISTRATION) in the root of the directory, for
    /// `nix-store --load-db`, and of their signatures, where they have some, in the directory
    /// [`NIX_SIGNATURES`](crate::NIX_SIGNATURES), for `nix store copy-sigs`. The system must have such components, all of one store.
    Nix,
}

/// The modification times of what has none in its tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Times {
    /// [`NORMALISED_MTIME`](upmass_format::tree::NORMALISED_MTIME), the same in each checkout.
    #[default]
    Normalised,
    /// When it was made.
    Made,
}

/// What a checkout made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Names in the directory, at any depth; a file with two names counts twice.
    pub entries: u64,
    /// Length of all regular files in bytes, holes included; a file with two names counts once.
    pub bytes: u64,
    /// How many of these bytes share their place on the disk with the store.
    pub cloned_bytes: u64,
    /// How many of these bytes are links to objects of the store.
    pub linked_bytes: u64,
    /// How many store paths were registered, with [`Registration::Nix`] only.
    pub registered: u64,
    /// What is missing, with [`Owners::Current`] only.
    pub left_out: LeftOut,
}

/// What was left out because owners are not kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Names of device nodes.
    pub devices: u64,
    /// Extended attributes of other namespaces than `user`: capabilities, labels, and access
    /// lists, which name owners.
    pub attributes: u64,
    /// Files and directories whose mode has the setuid or the setgid bit. Both would lend the
    /// rights of whoever runs the checkout, where the tree means another.
    pub set_ids: u64,
}

impl LeftOut {
    /// Whether anything was left out.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}
