//! All commands and options in one definition: help, man pages and completions come from it.

#[cfg(feature = "host")]
mod host;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

#[cfg(feature = "host")]
pub use host::*;

/// Updates for devices that are expensive to reach.
///
/// Describe what a device has (`release`), make the smallest file that leads from one release
/// to another (`update`), and execute it on the device (`apply`).
///
/// Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused (trying again is useless),
/// 4 temporary (trying again may help), 5 nothing to do.
#[derive(Debug, Parser)]
#[command(name = "upmass", version, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    #[cfg(feature = "host")]
    /// Make a key pair for signing updates: NAME.key (secret) and NAME.pub
    ///
    /// Both files are in minisign's format.
    Keygen(Keygen),
    #[cfg(feature = "host")]
    /// Import what a description names and record it as a release
    ///
    /// Prints the id of the release. The description is a TOML file; see docs/release-toml.md.
    Release(ReleaseArguments),
    #[cfg(feature = "host")]
    /// Build the update that leads from one release to another
    ///
    /// Both releases must be in the store. The device needs only the old one.
    Update(Update),
    #[cfg(feature = "host")]
    /// Write a release to a disk image that boots, or to a disk
    ///
    /// Two boot slots, of which the first is active, a system partition with the store and the
    /// systems, and an empty data partition. Needs no root for an image; the same release makes
    /// the same image.
    Image(Image),
    /// Apply an update to this device, or to a store alone (--store)
    ///
    /// On a device: rebuilds the release in the device's store, writes its systems and the boot
    /// slot that is not in use, and arms it: the next start tries it once. Trusts the keys in
    /// /etc/upmass/keys.
    ///
    /// Refuses, before anything is written, what no trusted key signed, what starts from a
    /// release that is not there, and what is for another machine or too large. May be
    /// interrupted at any point and run again.
    Apply(Apply),
    /// Say what runs on this device, what boots next, and what became of the last update
    Status(Status),
    /// Restart this device, into another of its systems if one is named
    Reboot(Reboot),
    /// Keep the release that is on trial
    ///
    /// What `upmass health` does when all is well. Reads all of the boot slot before.
    Confirm(Confirm),
    /// Go back to the release in the other boot slot
    ///
    /// Takes back an update that is armed, gives up one that is on trial, or makes the other boot
    /// slot active, if it is whole; the next start boots it.
    Rollback(Rollback),
    /// Run the health checks of this device; on trial, confirm or fall back
    ///
    /// Runs every executable file in /etc/upmass/health.d in the order of names; each must end
    /// with status 0, all within the deadline. On trial the release is then confirmed; when one
    /// fails, the reason is stored and the device restarts into the old release.
    Health(Health),
    /// List the services of this device and their states, or those of a release
    Services(Services),
    /// Run a command in a service that runs
    ///
    /// Output and exit status are those of the command, which has the user, the environment and
    /// the directory of the service.
    Exec(Exec),
    #[cfg(feature = "host")]
    /// Copy an image from a registry into an OCI image layout, for release.toml
    ///
    /// All of it is compared with its digests. A copy that broke off goes on where it was.
    Pull(Pull),
    /// Write a system of a release into a directory, exactly
    Checkout(Checkout),
    #[cfg(feature = "host")]
    /// Say which files of a system are needed and why, and which are not
    ///
    /// The system is a root directory, which is only read. With -o what stays is written to a new
    /// directory. See docs/minify.md.
    Minify(Minify),
    /// Say what is in an update file, and what takes its bytes
    Inspect(Inspect),
    #[cfg(feature = "host")]
    /// Show what takes the bytes of an update or of a release, and why
    ///
    /// Prints causes and the costliest files; with -o writes a page to look at: a map, and a list
    /// to search in. It is one file, needs no network, and opens in any browser.
    Report(Report),
    #[cfg(feature = "host")]
    /// Say what differs between two releases, file by file
    Diff(Diff),
    /// List the files of a release
    Ls(Ls),
    /// Say what a release is made of
    Show(Show),
    /// List the releases in the store
    Log(Log),
    /// Hash everything in the store again, and say what is damaged and who needs it
    Check(Check),
    /// Remove what no release needs; on a device, what neither boot slot needs
    #[command(alias = "gc")]
    Collect(Collect),
    /// Stop keeping a release; its files go with the next `collect`
    Remove(Remove),
    #[cfg(feature = "host")]
    /// Make the patch file that leads from one plain file or directory to another
    ///
    /// No store and no keys: for a look at how small it gets, and for whoever has other means to
    /// carry and to trust it. Of directories it covers names, contents, symlinks, hardlinks and
    /// mode bits; of files the content alone. Owners, times and extended attributes are left out.
    Delta(Delta),
    #[cfg(feature = "host")]
    /// Make the new file or directory from the old one and a patch file
    ///
    /// What comes out is compared with what the patch was made for, digest by digest, before it
    /// gets its name. A patch is not signed: take it from whom you trust.
    Patch(Patch),
    #[cfg(feature = "host")]
    /// Print completions for a shell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    #[cfg(feature = "host")]
    /// Write man pages into a directory
    #[command(hide = true)]
    Man {
        /// Where to
        directory: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct StoreArgument {
    /// The store: a directory
    #[arg(long, value_name = "DIR", env = "UPMASS_STORE")]
    pub store: PathBuf,
}

/// A store, or the device that this runs on.
#[derive(Debug, Args)]
pub struct WhereArgument {
    /// A store (a directory) instead of the device that this runs on
    #[arg(long, value_name = "DIR", env = "UPMASS_STORE")]
    pub store: Option<PathBuf>,
    #[command(flatten)]
    pub device: DeviceArgument,
}

/// The device that this runs on.
#[derive(Debug, Args)]
pub struct DeviceArgument {
    /// Where the root directory of the device is: for tests
    #[arg(long, hide = true, value_name = "DIR", env = "UPMASS_ROOT", default_value = "/")]
    pub root: PathBuf,
}

#[derive(Debug, Args)]
pub struct JsonArgument {
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Apply {
    /// The update file
    pub update: PathBuf,
    #[command(flatten)]
    pub place: WhereArgument,
    /// A directory with the public keys (*.pub) that are trusted; on a device
    /// /etc/upmass/keys when it is not given
    #[arg(long, value_name = "DIR", env = "UPMASS_TRUST")]
    pub trust: Option<PathBuf>,
    /// Apply whatever comes, signed or not: for trials on a desk
    #[arg(long, conflicts_with = "trust")]
    pub allow_unsigned: bool,
    /// Refuse updates for another machine type than this; else that of the releases in the
    /// store
    #[arg(long, value_name = "TYPE")]
    pub machine: Option<String>,
    /// Refuse updates that need more memory than this, in MiB
    #[arg(long, value_name = "MIB")]
    pub memory_limit: Option<u64>,
    #[command(flatten)]
    pub json: JsonArgument,
}

#[derive(Debug, Args)]
pub struct Checkout {
    /// RELEASE or RELEASE/SYSTEM; without a system the fallback
    #[arg(value_name = "RELEASE[/SYSTEM]")]
    pub system: String,
    /// Where to: missing or an empty directory
    pub directory: PathBuf,
    #[command(flatten)]
    pub store: StoreArgument,
    /// Give all files to the current user, as needed without root
    #[arg(long)]
    pub as_current_user: bool,
    /// Also write /nix-path-registration, from which `nix-store --load-db` learns of the store paths
    #[arg(long)]
    pub nix: bool,
    /// Return only when all of it is durable
    #[arg(long)]
    pub durable: bool,
    #[command(flatten)]
    pub json: JsonArgument,
}

#[derive(Debug, Args)]
pub struct Inspect {
    /// The update file
    pub update: PathBuf,
    /// A store that has the base, so that costs can be told by component
    #[arg(long, value_name = "DIR", env = "UPMASS_STORE")]
    pub store: Option<PathBuf>,
    #[command(flatten)]
    pub json: JsonArgument,
}

#[derive(Debug, Args)]
pub struct Services {
    /// RELEASE or RELEASE/SYSTEM of a store, instead of the system that runs; without a system
    /// the fallback
    #[arg(value_name = "RELEASE[/SYSTEM]")]
    pub system: Option<String>,
    #[command(flatten)]
    pub place: WhereArgument,
    #[command(flatten)]
    pub json: JsonArgument,
}

#[derive(Debug, Args)]
pub struct Exec {
    /// The service
    pub service: String,
    /// The command and its words
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
    #[command(flatten)]
    pub device: DeviceArgument,
}

#[derive(Debug, Args)]
pub struct Ls {
    /// RELEASE or RELEASE/SYSTEM; without a system the fallback
    #[arg(value_name = "RELEASE[/SYSTEM]")]
    pub system: String,
    /// Only what is at or below this path in the system
    #[arg(default_value = "/")]
    pub path: String,
    #[command(flatten)]
    pub store: StoreArgument,
    #[command(flatten)]
    pub json: JsonArgument,
}

#[derive(Debug, Args)]
pub struct Show {
    /// The release
    pub release: String,
    #[command(flatten)]
    pub store: StoreArgument,
    #[command(flatten)]
    pub json: JsonArgument,
}

#[derive(Debug, Args)]
pub struct Log {
    #[command(flatten)]
    pub store: StoreArgument,
    #[command(flatten)]
    pub json: JsonArgument,
}

#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    pub place: WhereArgument,
    #[command(flatten)]
    pub json: JsonArgument,
}

#[derive(Debug, Args)]
pub struct Collect {
    #[command(flatten)]
    pub place: WhereArgument,
    /// Only say what would be removed
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub json: JsonArgument,
}

#[derive(Debug, Args)]
pub struct Remove {
    /// The release
    pub release: String,
    #[command(flatten)]
    pub store: StoreArgument,
    #[command(flatten)]
    pub json: JsonArgument,
}

#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    pub device: DeviceArgument,
    #[command(flatten)]
    pub json: JsonArgument,
}

#[derive(Debug, Args)]
pub struct Reboot {
    /// The system of the release that boots next to start, once
    #[arg(long, value_name = "SYSTEM")]
    pub into: Option<String>,
    /// Start it from now on, also with later releases that have it
    #[arg(long, requires = "into")]
    pub keep: bool,
    #[command(flatten)]
    pub device: DeviceArgument,
}

#[derive(Debug, Args)]
pub struct Confirm {
    #[command(flatten)]
    pub device: DeviceArgument,
    #[command(flatten)]
    pub json: JsonArgument,
}

#[derive(Debug, Args)]
pub struct Rollback {
    #[command(flatten)]
    pub device: DeviceArgument,
    #[command(flatten)]
    pub json: JsonArgument,
}

#[derive(Debug, Args)]
pub struct Health {
    /// Seconds that all checks together may take
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub deadline: u64,
    #[command(flatten)]
    pub device: DeviceArgument,
    #[command(flatten)]
    pub json: JsonArgument,
}
