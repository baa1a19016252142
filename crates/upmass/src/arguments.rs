//! All commands and options in one definition: help, man pages and completions come from it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use upmass_build::{Codec, Effort, Names, Options};
use upmass_import::Platform;
use upmass_minify::Level;

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
    /// Make a key pair for signing updates: NAME.key (secret) and NAME.pub
    ///
    /// Both files are in minisign's format.
    Keygen(Keygen),
    /// Import what a description names and record it as a release
    ///
    /// Prints the id of the release. The description is a TOML file; see docs/release-toml.md.
    Release(ReleaseArguments),
    /// Build the update that leads from one release to another
    ///
    /// Both releases must be in the store. The device needs only the old one.
    Update(Update),
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
    /// Copy an image from a registry into an OCI image layout, for release.toml
    ///
    /// All of it is compared with its digests. A copy that broke off goes on where it was.
    Pull(Pull),
    /// Write a system of a release into a directory, exactly
    Checkout(Checkout),
    /// Say which files of a system are needed and why, and which are not
    ///
    /// The system is a root directory, which is only read. With -o what stays is written to a new
    /// directory. See docs/minify.md.
    Minify(Minify),
    /// Say what is in an update file, and what takes its bytes
    Inspect(Inspect),
    /// Show what takes the bytes of an update or of a release, and why
    ///
    /// Prints causes and the costliest files; with -o writes a page to look at: a map, and a list
    /// to search in. It is one file, needs no network, and opens in any browser.
    Report(Report),
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
    /// Make the patch file that leads from one plain file or directory to another
    ///
    /// No store and no keys: for a look at how small it gets, and for whoever has other means to
    /// carry and to trust it. Of directories it covers names, contents, symlinks, hardlinks and
    /// mode bits; of files the content alone. Owners, times and extended attributes are left out.
    Delta(Delta),
    /// Make the new file or directory from the old one and a patch file
    ///
    /// What comes out is compared with what the patch was made for, digest by digest, before it
    /// gets its name. A patch is not signed: take it from whom you trust.
    Patch(Patch),
    /// Print completions for a shell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
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
pub struct Keygen {
    /// Name of the two files, without ending
    #[arg(short, long, value_name = "NAME")]
    pub output: PathBuf,
    /// Lock the secret key with the password in this file (one line)
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ReleaseArguments {
    /// The description, usually release.toml
    pub description: PathBuf,
    /// Write what [minify] keeps and drops of each system, and why, to this file (JSON)
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Only say why [minify] keeps or drops this path, with the whole chain; nothing is recorded
    #[arg(long, value_name = "PATH", conflicts_with = "report")]
    pub explain: Option<String>,
    #[command(flatten)]
    pub store: StoreArgument,
    #[command(flatten)]
    pub json: JsonArgument,
}

#[derive(Debug, Args)]
pub struct Update {
    /// OLD and NEW; only NEW with --full. A release is its id, the first digits of it, or its
    /// version
    #[arg(value_name = "RELEASE", num_args = 1..=2, required = true)]
    pub releases: Vec<String>,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Start from nothing: for devices that have no release of this line
    #[arg(long)]
    pub full: bool,
    /// Sign with this secret key; may be given several times
    #[arg(long, value_name = "FILE")]
    pub key: Vec<PathBuf>,
    /// Unlock the secret keys with the password in this file (one line)
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Do not sign
    #[arg(long, conflicts_with = "key")]
    pub unsigned: bool,
    #[command(flatten)]
    pub build: BuildArguments,
    /// Whether names of components that change are computed by the device, from the derivations of
    /// both releases (`derivations = true` in release.toml), or sent
    #[arg(long, value_enum, default_value_t)]
    pub names: NamesArgument,
    /// New content after which a device can go on when it is interrupted, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub segment: u64,
    #[command(flatten)]
    pub store: StoreArgument,
    #[command(flatten)]
    pub json: JsonArgument,
}

/// Where new names come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum NamesArgument {
    /// Computed where both releases have derivations
    #[default]
    Auto,
    /// Computed, or no update is made
    Derived,
    /// Sent
    Sent,
}

impl From<NamesArgument> for Names {
    fn from(names: NamesArgument) -> Self {
        match names {
            NamesArgument::Auto => Names::Auto,
            NamesArgument::Derived => Names::Derived,
            NamesArgument::Sent => Names::Sent,
        }
    }
}

/// How an update or a patch is built.
#[derive(Debug, Args)]
pub struct BuildArguments {
    /// What is dearer: bytes (small), or time (fast)
    #[arg(long, value_enum, default_value_t)]
    pub effort: EffortArgument,
    /// Show what the bytes are spent on
    #[arg(long)]
    pub explain: bool,
    /// Memory of the device, in MiB: compressed parts of files are unpacked, patched and packed
    /// again where that needs no more
    #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=1048576))]
    pub device_memory: u64,
    /// What the device has to unpack and pack compressed parts of files; those that need another
    /// stay as they are
    #[arg(long, value_name = "CODECS", value_enum, value_delimiter = ',', default_values_t = CodecArgument::ALL)]
    pub device_codecs: Vec<CodecArgument>,
    /// Memory for matching, in MiB; a single large file may need more
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..=1048576))]
    pub memory: u64,
}

impl BuildArguments {
    /// The options of the build, but for segments.
    pub fn options(&self) -> Options {
        Options {
            memory: self.memory << 20,
            effort: self.effort.into(),
            device_memory: self.device_memory << 20,
            device_codecs: self.device_codecs.iter().filter_map(|codec| codec.codec()).collect(),
            ..Options::default()
        }
    }
}

#[derive(Debug, Args)]
pub struct Image {
    /// The release
    pub release: String,
    /// The image to write, or a block device on which nothing is mounted
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// How long disk and partitions are, and for which boot loader (disk.toml); see docs/disk-toml.md
    #[arg(long, value_name = "FILE")]
    pub disk: Option<PathBuf>,
    /// The boot loader: an EFI program of systemd-boot; else that of the systems
    #[arg(long, value_name = "FILE")]
    pub loader: Option<PathBuf>,
    /// Write FILE.bmap too, so that bmaptool copies only what the image has
    #[arg(long)]
    pub bmap: bool,
    #[command(flatten)]
    pub store: StoreArgument,
    #[command(flatten)]
    pub json: JsonArgument,
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
pub struct Minify {
    /// The root directory of the system; give it as root, so that all of it can be read
    pub directory: PathBuf,
    /// Write what stays to this directory, with owners, modes, attributes and times as they are;
    /// nothing may be there
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// How much goes: safe (nothing that can matter at run time), lean (what nothing needs), or
    /// bare (comfort too)
    #[arg(long, value_name = "LEVEL", default_value_t, value_parser = clap::value_parser!(Level))]
    pub level: Level,
    /// What must work, with all that it needs: a command, a unit or an absolute path; may be
    /// given several times
    #[arg(long, value_name = "NAME")]
    pub root: Vec<String>,
    /// Keep what matches this pattern (/usr/share/vim, /etc/**/*.conf), with all that it needs;
    /// may be given several times
    #[arg(long, value_name = "GLOB")]
    pub keep: Vec<String>,
    /// Drop what matches this pattern, also where something needs it; --keep is stronger
    #[arg(long, value_name = "GLOB")]
    pub drop: Vec<String>,
    /// Keep translations into this language only (de, pt_BR); may be given several times
    #[arg(long, value_name = "LANGUAGE")]
    pub locale: Vec<String>,
    /// Keep this time zone beside UTC only; may be given several times
    #[arg(long, value_name = "ZONE")]
    pub time_zone: Vec<String>,
    /// Keep the description of this terminal only; may be given several times
    #[arg(long, value_name = "NAME")]
    pub terminal: Vec<String>,
    /// Keep kernel modules for this hardware only: what `lsmod` says on the device, or a list of
    /// modules or modaliases
    #[arg(long, value_name = "FILE")]
    pub hardware: Option<PathBuf>,
    /// Keep these files of /boot only (/boot/vmlinuz-*); may be given several times. A system that
    /// gets its initial RAM disk from Upmass has no use for another
    #[arg(long, value_name = "GLOB")]
    pub boot: Vec<String>,
    /// Only say why this path stays or goes, with the whole chain
    #[arg(long, value_name = "PATH", conflicts_with_all = ["output", "report"])]
    pub explain: Option<String>,
    /// Write what becomes of every path, and why, to this file (JSON)
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
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
pub struct Report {
    /// An update file, whose base is in the store, or a release
    #[arg(value_name = "UPDATE|RELEASE")]
    pub what: String,
    /// The page to write (HTML)
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub store: StoreArgument,
    #[command(flatten)]
    pub json: JsonArgument,
}

#[derive(Debug, Args)]
pub struct Diff {
    /// The old release
    pub old: String,
    /// The new release
    pub new: String,
    /// Say instead which old component each new one is made from, and why
    #[arg(long)]
    pub pairs: bool,
    #[command(flatten)]
    pub store: StoreArgument,
    #[command(flatten)]
    pub json: JsonArgument,
}

#[derive(Debug, Args)]
pub struct Pull {
    /// docker://HOST/NAME:TAG or docker://HOST/NAME@sha256:…
    pub image: String,
    /// The layout to write: a new or empty directory, or a layout that gets the image too
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// For which platform: linux/amd64, linux/arm/v7; needed where there are several
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    pub platform: Option<Platform>,
    /// Refuse images of more bytes, as they travel
    #[arg(long, value_name = "BYTES", default_value_t = 8 << 30)]
    pub max_size: u64,
    /// A file with logins, as `docker login` and `skopeo login` write it
    #[arg(long, value_name = "FILE", env = "REGISTRY_AUTH_FILE")]
    pub auth_file: Option<PathBuf>,
    /// Believe the authorities in this file (PEM) instead of those of this machine
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Use HTTP without TLS: for a registry on this machine
    #[arg(long)]
    pub plain_http: bool,
    #[command(flatten)]
    pub json: JsonArgument,
}

fn platform(text: &str) -> Result<Platform, &'static str> {
    text.parse().map_err(|()| "expected a platform such as linux/arm64 or linux/arm/v7")
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

#[derive(Debug, Args)]
pub struct Delta {
    /// The old file or directory
    pub old: PathBuf,
    /// The new one, of the same kind
    pub new: PathBuf,
    /// The patch file to write; nothing may be there
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    #[command(flatten)]
    pub build: BuildArguments,
    #[command(flatten)]
    pub json: JsonArgument,
}

#[derive(Debug, Args)]
pub struct Patch {
    /// The old file or directory, as it was when the patch was made
    pub old: PathBuf,
    /// The patch file
    pub patch: PathBuf,
    /// The new file or directory to write; nothing may be there
    #[arg(short, long, value_name = "PATH")]
    pub output: PathBuf,
    #[command(flatten)]
    pub json: JsonArgument,
}

/// What is dearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum EffortArgument {
    /// As few bytes as can be
    #[default]
    Small,
    /// Some 5 to 20 % more bytes of programs, in less time on both sides
    Balanced,
    /// Fastest to apply, two to four times the bytes of programs
    Fast,
}

impl From<EffortArgument> for Effort {
    fn from(argument: EffortArgument) -> Self {
        match argument {
            EffortArgument::Small => Self::Small,
            EffortArgument::Balanced => Self::Balanced,
            EffortArgument::Fast => Self::Fast,
        }
    }
}

/// What a device may have to unpack and pack compressed parts of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CodecArgument {
    /// gzip, zlib and zip, as zlib and GNU gzip pack them
    Deflate,
    /// The same, as anything else packs them: with corrections
    Preflate,
    /// .xz
    Xz,
    /// .zst
    Zstd,
    /// lz4 as the Linux kernel packs itself
    Lz4,
    /// Nothing: all stays as it is
    None,
}

impl CodecArgument {
    /// All but none.
    const ALL: [Self; 5] = [Self::Deflate, Self::Preflate, Self::Xz, Self::Zstd, Self::Lz4];

    fn codec(self) -> Option<Codec> {
        Some(match self {
            Self::Deflate => Codec::Deflate,
            Self::Preflate => Codec::Preflate,
            Self::Xz => Codec::Xz,
            Self::Zstd => Codec::Zstd,
            Self::Lz4 => Codec::Lz4,
            Self::None => return None,
        })
    }
}
