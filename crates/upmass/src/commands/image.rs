//! `upmass image`

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use upmass_disk::Disk;
use upmass_image::{DiskDescription, Loader, Plan, Sizes, claim, extlinux, uefi};

use crate::arguments::Image;
use crate::failure::{Failure, Kind};
use crate::scratch::Scratch;
use crate::{Outcome, output, progress, releases};

pub fn run(arguments: &Image) -> Outcome {
    let store = super::open(&arguments.store)?;
    let (id, release) = releases::find(&store, &arguments.release)?;
    let description = match &arguments.disk {
        Some(path) => DiskDescription::read(path)?,
        None => DiskDescription::default(),
    };
    let to = &arguments.output;
    let is_device = std::fs::metadata(to).is_ok_and(|found| found.file_type().is_block_device());
    if arguments.bmap && is_device {
        let message = "--bmap is for an image that will be copied, and not for a device";
        return Err(Failure::new(Kind::Usage, message));
    }
    if to.is_dir() {
        let message =
            format_args!("{} is a directory, and no image can have its name", to.display());
        return Err(Failure::refused(message));
    }
    let files = match (description.loader, arguments.loader.as_deref()) {
        (Loader::SystemdBoot, loader) => uefi::slot_files(&store, id, &release, loader)?,
        (Loader::UBoot, None) => extlinux::slot_files(&store, id, &release)?,
        (Loader::UBoot, Some(_)) => {
            let message =
                "--loader is for systemd-boot; U-Boot belongs to the board, not to the disk";
            return Err(Failure::new(Kind::Usage, message));
        }
    };
    let _lock = store.lock_release(id)?;
    let plan = Plan::new(&store, id, release, files, description);
    let sizes = match is_device {
        true => to_device(&plan, to)?,
        false => to_file(&plan, to, arguments.bmap)?,
    };
    if arguments.json.json {
        return output::json(json!({
            "release": id.to_string(),
            "output": to.display().to_string(),
            "disk_bytes": sizes.disk,
            "slot_bytes": sizes.slot,
            "slot_used_bytes": sizes.slot_used,
            "system_bytes": sizes.system,
            "system_used_bytes": sizes.system_used,
            "data_bytes": sizes.data,
        }));
    }
    let row = |name: &str, len, note: String| vec![output::bytes(len), name.to_owned(), note];
    let used = |used| format!("{} used", output::bytes(used));
    output::table(&[
        row("boot-1", sizes.slot, used(sizes.slot_used)),
        row("boot-2", sizes.slot, "empty".to_owned()),
        row("system", sizes.system, used(sizes.system_used)),
        row("data", sizes.data, "empty".to_owned()),
        row("disk", sizes.disk, to.display().to_string()),
    ])
}

fn to_file(plan: &Plan<'_>, to: &Path, with_bmap: bool) -> Result<Sizes, Failure> {
    let scratch = Scratch::beside(to)?;
    let bar = progress::bytes("staging", None);
    let built = plan.build(scratch.path(), None, &mut |bytes| bar.set_position(bytes))?;
    bar.finish_and_clear();
    if with_bmap {
        // An old map beside a new image would be worse than none: the new one comes first, and
        // does not fit the old image.
        let map = scratch.join("bmap");
        std::fs::write(&map, built.bmap()?).map_err(|error| Failure::io("write", &map, error))?;
        let mut name = OsString::from(to.as_os_str());
        name.push(".bmap");
        rename(&map, &PathBuf::from(name))?;
    }
    rename(built.path(), to)?;
    Ok(built.sizes())
}

fn to_device(plan: &Plan<'_>, to: &Path) -> Result<Sizes, Failure> {
    let device = claim(to)?;
    // Not beside it, where there is no space.
    let scratch = Scratch::beside(&std::env::temp_dir().join("image"))?;
    let bar = progress::bytes("staging", None);
    let len = device.len();
    let built = plan.build(scratch.path(), Some(len), &mut |bytes| bar.set_position(bytes))?;
    bar.finish_and_clear();
    let bar = progress::bytes("writing", None);
    built.copy_to(device, &mut |bytes| bar.set_position(bytes))?;
    bar.finish_and_clear();
    Ok(built.sizes())
}

fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    let sync = |path: &Path| File::open(path)?.sync_all();
    sync(from)
        .and_then(|()| std::fs::rename(from, to))
        .map_err(|error| Failure::io("write", to, error))
}
