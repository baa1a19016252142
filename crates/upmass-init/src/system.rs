//! From the start of the kernel to the system's own init.

use std::convert::Infallible;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::system::RebootCommand;
use upmass_boot::{Device, Roots, discover};

use crate::changes::{self, Releases};
use crate::error::{Context, InitError, Result};
use crate::modules::Modules;
use crate::options::{Options, When};
use crate::stage::Stage;
use crate::watchdog::Watchdog;
use crate::{mounts, say, trial};

/// Where the system partition is mounted; out of sight once the system runs.
pub(crate) const SYSTEM: &str = "/system";
/// Where the system is put together.
const ROOT: &str = "/root";
/// Between two looks for the disk.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// What the kernel itself tries without `init=`; a shell is no system.
const INITS: [&str; 3] = ["/sbin/init", "/etc/init", "/bin/init"];

/// Starts the system. Returns only if that is impossible.
pub(crate) fn start(stage: &mut Stage) -> Result<Infallible> {
    let begun = Instant::now();
    let roots = Roots::default();
    for (kind, at) in [("devtmpfs", "/dev"), ("proc", "/proc"), ("sysfs", "/sys")] {
        mounts::virtual_fs(kind, at, "")?;
    }
    let line = fs::read_to_string("/proc/cmdline").on("read", "/proc/cmdline")?;
    let options = Options::parse(&line)?;
    let mut modules = Modules::read()?;
    modules.load_always(&options);
    show_efi_variables(&roots);
    let mut watchdog = match options.watchdog {
        When::Always => {
            modules.load_for_devices(&roots.sys, &options);
            Watchdog::start()
        }
        _ => None,
    };
    let device = find(&roots, &options, &mut modules)?;
    let releases = trial::releases(&device);
    if releases.is_trial {
        stage.on_trial(&device);
    }
    if releases.is_trial && options.watchdog != When::Never && watchdog.is_none() {
        watchdog = Watchdog::start();
    }
    tell(&device, &releases);
    mount_system(&device)?;
    changes::apply(ROOT, options.changes, &device, &releases)?;
    let init = init_of(options.init.as_deref())?;
    if let Some(watchdog) = &mut watchdog {
        watchdog.sign_of_life();
    }
    say::note(&format!("starts {init} after {} ms", begun.elapsed().as_millis()));
    switch_to(&init)
}

/// The loader tells there which slot it was started from. Not every machine has them.
fn show_efi_variables(roots: &Roots) {
    let Some(directory) = roots.efi_variables.to_str().filter(|path| Path::new(path).exists())
    else {
        return;
    };
    if let Err(why) = mounts::virtual_fs("efivarfs", directory, "") {
        say::warn(&why.to_string());
    }
}

/// Finds the disk and its partitions, as soon as the kernel shows them.
fn find(roots: &Roots, options: &Options, modules: &mut Modules) -> Result<Device> {
    let until = Instant::now() + options.wait;
    loop {
        modules.load_for_devices(&roots.sys, options);
        let why = match discover(roots) {
            Ok(device) => match device.system_partition.node {
                Some(_) => return Ok(device),
                None => InitError::NoNode("system"),
            },
            Err(error) if error.is_too_early() => error.into(),
            Err(error) => return Err(error.into()),
        };
        if Instant::now() >= until {
            let seconds = options.wait.as_secs();
            return Err(InitError::TooLate { why: why.to_string(), seconds });
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn tell(device: &Device, releases: &Releases) {
    let trial = if releases.is_trial { ", on trial" } else { "" };
    let (system, slot, disk) = (&device.system, device.booted, device.disk.display());
    say::note(&format!("{system} of {} from {slot} of {disk}{trial}", device.release.short()));
}

/// Mounts the system partition read-write, out of sight of the system, and the system itself
/// read-only. Of the same file system there may be mounts of both kinds.
fn mount_system(device: &Device) -> Result<()> {
    let node = device.system_partition.node.as_deref().ok_or(InitError::NoNode("system"))?;
    mounts::partition(node, SYSTEM)?;
    let release = device.release.to_string();
    let system = Path::new(SYSTEM).join("systems").join(&release).join(&device.system);
    if !system.is_dir() {
        return Err(InitError::NoSystem { name: device.system.clone(), release });
    }
    if ["dev", "proc", "sys"].iter().any(|name| system.join(name).is_dir()) {
        return mounts::bind_read_only(&system, ROOT);
    }
    // A store without a root file system around it, as Nix has it: the root is in memory.
    mounts::virtual_fs("tmpfs", ROOT, "mode=0755")?;
    for name in ["dev", "etc", "proc", "run", "sys", "tmp", "var"] {
        let path = Path::new(ROOT).join(name);
        fs::create_dir(&path).on("make", &path)?;
    }
    for entry in fs::read_dir(&system).on("list", &system)? {
        let entry = entry.on("list", &system)?;
        let (from, to) = (entry.path(), Path::new(ROOT).join(entry.file_name()));
        if from.is_dir() && !from.is_symlink() {
            fs::create_dir_all(&to).on("make", &to)?;
            mounts::bind_read_only(&from, &to)?;
        }
    }
    Ok(())
}

/// The system's init: what was asked for, or the first one that is there.
fn init_of(asked: Option<&str>) -> Result<String> {
    let root = rustix::fs::open(ROOT, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let root = root.on("open", ROOT)?;
    let is_there = |path: &&str| {
        let (flags, resolve) = (OFlags::PATH | OFlags::CLOEXEC, ResolveFlags::IN_ROOT);
        rustix::fs::openat2(&root, *path, flags, Mode::empty(), resolve).is_ok()
    };
    let tried: Vec<&str> = asked.map_or(INITS.to_vec(), |path| vec![path]);
    let found = tried.iter().copied().find(is_there);
    found.map(str::to_owned).ok_or_else(|| InitError::NoInit(tried.join(", ")))
}

/// Makes the system the root, and becomes its init.
fn switch_to(init: &str) -> Result<Infallible> {
    // What the RAM disk has is memory that nobody else needs.
    for path in ["/modules", "/init"] {
        let path = PathBuf::from(path);
        let removed =
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                say::warn(&format!("remove {}: {error}", path.display()));
            }
            _ => {}
        }
    }
    for at in ["/dev", "/proc", "/sys"] {
        let to = format!("{ROOT}{at}");
        if Path::new(&to).is_dir() { mounts::move_to(at, &to)? } else { mounts::hide(at)? }
    }
    mounts::hide(SYSTEM)?;
    std::env::set_current_dir(ROOT).on("enter", ROOT)?;
    mounts::move_to(".", "/")?;
    rustix::process::chroot(".").on("make the root", ROOT)?;
    std::env::set_current_dir("/").on("enter", "/")?;
    // Words that the kernel does not know are for init.
    let error = Command::new(init).args(std::env::args_os().skip(1)).exec();
    Err(error).on("start", init)
}

/// Starts the machine again.
pub(crate) fn start_again() {
    rustix::fs::sync();
    // Time for the console to show why.
    std::thread::sleep(Duration::from_secs(3));
    if let Err(errno) = rustix::system::reboot(RebootCommand::Restart) {
        say::error(&format!("start again: {errno}"));
    }
}
