//! What a device does not do: importing, building, signing.

use std::path::PathBuf;

use clap::Args;
use upmass_build::{Codec, Effort, Names, Options};
use upmass_import::Platform;
use upmass_minify::Level;

use super::{JsonArgument, StoreArgument};

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
    /// .xz that there is no memory for, or that something else packed
    Parse,
    /// Nothing: all stays as it is
    None,
}

impl CodecArgument {
    /// All but none.
    const ALL: [Self; 6] =
        [Self::Deflate, Self::Preflate, Self::Xz, Self::Zstd, Self::Lz4, Self::Parse];

    fn codec(self) -> Option<Codec> {
        Some(match self {
            Self::Deflate => Codec::Deflate,
            Self::Preflate => Codec::Preflate,
            Self::Xz => Codec::Xz,
            Self::Zstd => Codec::Zstd,
            Self::Lz4 => Codec::Lz4,
            Self::Parse => Codec::Parse,
            Self::None => return None,
        })
    }
}
