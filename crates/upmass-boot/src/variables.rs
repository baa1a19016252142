//! EFI variables: what firmware keeps by itself, and keeps when the power fails.

mod efivarfs;
mod sim;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

pub use efivarfs::EfivarFs;
pub use sim::SimVariables;

/// Whose variable it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Vendor {
    /// The firmware's own (UEFI 2.10, 3.3).
    Global,
    /// Those of systemd's Boot Loader Interface.
    Loader,
}

impl Vendor {
    /// The GUID in the names of files.
    pub const fn guid(self) -> &'static str {
        match self {
            Self::Global => "8be4df61-93ca-11d2-aa0d-00e098032b8c",
            Self::Loader => "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f",
        }
    }
}

/// The variables of a machine.
///
/// What a power cut leaves, for every implementation: a variable that was written or removed is as
/// before or as after; while it is written it may also be missing. What was written before a call
/// that returned is kept.
pub trait Variables: Send + Sync {
    /// The content of a variable, without its attributes. `None` when there is none.
    fn read(&self, vendor: Vendor, name: &str) -> Result<Option<Vec<u8>>, VariableError>;

    /// Writes a variable in place of what it was. On return it is durable.
    fn write(&self, vendor: Vendor, name: &str, content: &[u8]) -> Result<(), VariableError>;

    /// Removes a variable; no error when there is none. On return it is durable.
    fn remove(&self, vendor: Vendor, name: &str) -> Result<(), VariableError>;

    /// Names of all variables of a vendor, ascending.
    fn names(&self, vendor: Vendor) -> Result<Vec<String>, VariableError>;

    /// Whether variables could be written, without writing one.
    fn check_writable(&self) -> Result<(), VariableError>;
}

impl<V: Variables + ?Sized> Variables for Arc<V> {
    fn read(&self, vendor: Vendor, name: &str) -> Result<Option<Vec<u8>>, VariableError> {
        (**self).read(vendor, name)
    }

    fn write(&self, vendor: Vendor, name: &str, content: &[u8]) -> Result<(), VariableError> {
        (**self).write(vendor, name, content)
    }

    fn remove(&self, vendor: Vendor, name: &str) -> Result<(), VariableError> {
        (**self).remove(vendor, name)
    }

    fn names(&self, vendor: Vendor) -> Result<Vec<String>, VariableError> {
        (**self).names(vendor)
    }

    fn check_writable(&self) -> Result<(), VariableError> {
        (**self).check_writable()
    }
}

/// Longest variable that is read, in bytes.
pub const MAX_VARIABLE: u64 = 1 << 16;

/// What every variable of ours is: kept without power, and there for firmware and for the running
/// system (UEFI 2.10, 8.2.1).
pub const ATTRIBUTES: u32 = 0x0000_0007;

/// Why a variable was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum VariableError {
    /// The machine was not started by UEFI firmware, or its variables are not shown.
    #[error(
        "there are no EFI variables at {}, so it is not known what the next start boots: the machine was \
         not started by UEFI firmware, or efivarfs is not mounted there", path.display()
    )]
    Missing {
        /// Where they should be.
        path: PathBuf,
    },
    /// They can be read and not written.
    #[error(
        "the EFI variables at {} cannot be written, so no release can be tried: {why}", path.display()
    )]
    ReadOnly {
        /// Where they are.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// One of them failed.
    #[error("{action} the EFI variable {name}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Name and vendor.
        name: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A variable reads back differently.
    #[error("the EFI variable {name} reads back differently: the firmware did not keep it")]
    ReadBack {
        /// Its name.
        name: String,
    },
}

impl fmt::Display for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.guid())
    }
}

impl dyn Variables + '_ {
    /// Writes a variable and reads it back.
    pub(crate) fn write_checked(
        &self,
        vendor: Vendor,
        name: &str,
        content: &[u8],
    ) -> Result<(), VariableError> {
        if self.read(vendor, name)?.as_deref() == Some(content) {
            return Ok(());
        }
        self.write(vendor, name, content)?;
        match self.read(vendor, name)?.as_deref() == Some(content) {
            true => Ok(()),
            false => Err(VariableError::ReadBack { name: name.to_owned() }),
        }
    }
}
