//! The last layer: what went wrong, as one sentence and an exit status.

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;

#[cfg(feature = "host")]
use upmass_apply::PatchError;
use upmass_apply::{ApplyError, Blame};
use upmass_boot::variables::VariableError;
use upmass_boot::{BootError, ControlError, DiscoverError};
#[cfg(feature = "host")]
use upmass_build::BuildError;
use upmass_disk::{DiskError, SlotError};
use upmass_image::ImageError;
#[cfg(feature = "host")]
use upmass_import::{DescriptionError, ImportError};
#[cfg(feature = "host")]
use upmass_minify::MinifyError;
#[cfg(feature = "host")]
use upmass_registry::PullError;
use upmass_store::StoreError;

/// Paths that mean something in this process alone, and what people call them.
static SAID: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());
const NO_PANIC: &str = "no panic while the lock is held";

/// Lets all sentences say `to` for a path.
pub fn say_instead(path: &Path, to: &str) {
    SAID.lock().expect(NO_PANIC).push((path.display().to_string(), to.to_owned()));
}

/// Why a command ended early.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    message: String,
}

/// What the caller can do about it: the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something failed.
    Failed = 1,
    /// The words of the command are wrong.
    Usage = 2,
    /// Refused; trying again is useless.
    Refused = 3,
    /// Trying again may help.
    Temporary = 4,
    /// There was nothing to do.
    NothingToDo = 5,
    /// Nobody reads what is printed; no failure.
    BrokenPipe = 0,
}

impl Failure {
    /// A failure of a kind with its sentence.
    pub fn new(kind: Kind, message: impl Display) -> Self {
        Self { kind, message: message.to_string() }
    }

    /// The input is wrong, so that trying again is useless.
    pub fn refused(message: impl Display) -> Self {
        Self::new(Kind::Refused, message)
    }

    /// Something could not be read or written.
    pub fn io(action: &str, path: &Path, error: std::io::Error) -> Self {
        use std::io::ErrorKind::{BrokenPipe, QuotaExceeded, StorageFull};
        let kind = match error.kind() {
            BrokenPipe => Kind::BrokenPipe,
            StorageFull | QuotaExceeded => Kind::Temporary,
            _ => Kind::Failed,
        };
        Self::new(kind, format_args!("{action} {}: {error}", path.display()))
    }

    /// A patch file was not applied to `old`.
    #[cfg(feature = "host")]
    pub fn of_patch(error: PatchError, patch: &Path, old: &Path) -> Self {
        let (path, old) = (patch.display(), old.display());
        match error {
            PatchError::Head(error) => Self::refused(format_args!(
                "{path}: the file is damaged or not a patch: {error}: give what `upmass delta` wrote"
            )),
            PatchError::WrongBase { expected, found } => Self::refused(format_args!(
                "{old} is not what {path} was made from: expected {expected}…, found {found}…: \
                 give it exactly as it was then"
            )),
            PatchError::Damaged(why) => Self::refused(format_args!(
                "{path} is damaged: {why}: fetch it again, or make it again"
            )),
            PatchError::Apply(error) => error.into(),
        }
    }

    /// The sentence.
    pub fn message(&self) -> String {
        let said = SAID.lock().expect(NO_PANIC);
        said.iter().fold(self.message.clone(), |message, (from, to)| message.replace(from, to))
    }

    /// Prints the sentence.
    pub fn report(&self) {
        if self.kind == Kind::NothingToDo {
            eprintln!("upmass: {}", self.message());
        } else if self.kind != Kind::BrokenPipe {
            eprintln!("upmass: error: {}", self.message());
        }
    }

    /// The exit status.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind as u8)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            error if error.is_temporary() => Kind::Temporary,
            StoreError::NotAStore { .. }
            | StoreError::OtherVersion { .. }
            | StoreError::MissingRelease { .. } => Kind::Refused,
            _ => Kind::Failed,
        };
        Self::new(kind, error)
    }
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Store(error) => error.into(),
            error => {
                let kind = match error.blame() {
                    Blame::Update | Blame::NotForThisDevice => Kind::Refused,
                    Blame::Temporary => Kind::Temporary,
                    Blame::Store => Kind::Failed,
                };
                Self::new(kind, error)
            }
        }
    }
}

#[cfg(feature = "host")]
impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Store(error) => error.into(),
            BuildError::SameRelease(_) => Self::new(Kind::NothingToDo, error),
            BuildError::OtherMachine { .. }
            | BuildError::TooLong { .. }
            | BuildError::NotDerived { .. } => Self::refused(error),
            error => Self::new(Kind::Failed, error),
        }
    }
}

#[cfg(feature = "host")]
impl From<DescriptionError> for Failure {
    fn from(error: DescriptionError) -> Self {
        let kind = match &error {
            error if error.is_bad_input() => Kind::Refused,
            error if error.is_temporary() => Kind::Temporary,
            _ => Kind::Failed,
        };
        Self::new(kind, error)
    }
}

#[cfg(feature = "host")]
impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        let kind = match &error {
            error if error.is_bad_input() => Kind::Refused,
            error if error.is_temporary() => Kind::Temporary,
            _ => Kind::Failed,
        };
        Self::new(kind, error)
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        let kind = match error {
            ImageError::Store(error) => return error.into(),
            ref error if error.is_bad_input() => Kind::Refused,
            ref error if error.is_temporary() => Kind::Temporary,
            _ => Kind::Failed,
        };
        Self::new(kind, error)
    }
}

impl From<upmass_checkout::CheckoutError> for Failure {
    fn from(error: upmass_checkout::CheckoutError) -> Self {
        Self::new(Kind::Failed, error)
    }
}

impl From<DiskError> for Failure {
    fn from(error: DiskError) -> Self {
        let kind = if error.is_full() { Kind::Temporary } else { Kind::Failed };
        Self::new(kind, error)
    }
}

impl From<DiscoverError> for Failure {
    fn from(error: DiscoverError) -> Self {
        let kind = match &error {
            DiscoverError::Io { .. } | DiscoverError::Disk(_) => Kind::Failed,
            _ => Kind::Refused,
        };
        Self::new(kind, error)
    }
}

impl From<BootError> for Failure {
    fn from(error: BootError) -> Self {
        let kind = match &error {
            BootError::Variable(VariableError::Io { .. } | VariableError::ReadBack { .. })
            | BootError::Disk(_)
            | BootError::ReadBack { .. } => Kind::Failed,
            _ => Kind::Refused,
        };
        Self::new(kind, error)
    }
}

impl From<VariableError> for Failure {
    fn from(error: VariableError) -> Self {
        BootError::from(error).into()
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        let kind = match error {
            ControlError::Boot(error) => return error.into(),
            ControlError::Disk(error) => return error.into(),
            ControlError::Refused(_)
            | ControlError::NotWhole { .. }
            | ControlError::OtherRelease { .. }
            | ControlError::Slot(SlotError::TooLong { .. }) => Kind::Refused,
            ControlError::Busy => Kind::Temporary,
            ControlError::Slot(_) => Kind::Failed,
        };
        Self::new(kind, error)
    }
}

#[cfg(feature = "host")]
impl From<PullError> for Failure {
    fn from(error: PullError) -> Self {
        let kind = match &error {
            PullError::Reference { .. } => Kind::Usage,
            error if error.is_temporary() => Kind::Temporary,
            error if error.is_bad_input() => Kind::Refused,
            _ => Kind::Failed,
        };
        Self::new(kind, error)
    }
}

#[cfg(feature = "host")]
impl From<MinifyError> for Failure {
    fn from(error: MinifyError) -> Self {
        let kind = match error {
            MinifyError::Store(error) => return error.into(),
            ref error if error.is_bad_input() => Kind::Refused,
            _ => Kind::Failed,
        };
        Self::new(kind, error)
    }
}
