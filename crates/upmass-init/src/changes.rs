//! What becomes of changes to `/etc` and `/var`.
//!
//! On the data partition, `systems/<system>/var` is `/var` of a system, whichever release runs.
//! `systems/<system>/etc/<release>` has the changes to `/etc` that were made under one release: a
//! release on trial begins with a copy of those of the release that it shall replace. So whoever
//! falls back, or rolls back, finds `/etc` as it was.

use std::fs;
use std::path::{Path, PathBuf};

use upmass_boot::Device;
use upmass_format::ReleaseId;
use upmass_format::release::{Changes, Policy};

use crate::copy::{copy_tree, remove, replace};
use crate::error::{Context, InitError, Result};
use crate::{mounts, say};

/// Where the data partition is mounted while this works.
const DATA: &str = "/data";
/// Where layers are mounted while this works.
const LAYER: &str = "/layer";

/// What is known of the releases when a system starts.
pub(crate) struct Releases {
    /// The one that starts.
    pub(crate) running: ReleaseId,
    /// The one of the other slot, if that has one.
    pub(crate) other: Option<ReleaseId>,
    /// Whether `running` is on trial, and `other` the one to fall back to.
    pub(crate) is_trial: bool,
}

/// Gives the system that is mounted at `root` its `/etc` and `/var`.
///
/// On trial, all must be as the system wants it. Otherwise a device that can be reached is worth
/// more than its settings: without the data partition changes are forgotten with the next start.
pub(crate) fn apply(
    root: &str,
    changes: Changes,
    device: &Device,
    releases: &Releases,
) -> Result<()> {
    let mut data = Data { device, is_mounted: false };
    for (name, wanted) in [("etc", changes.etc), ("var", changes.var)] {
        let target = format!("{root}/{name}");
        if wanted == Policy::Fixed || !is_directory(&target) {
            continue;
        }
        let done = give(name, &target, wanted, &mut data, releases);
        match done {
            Err(why) if !releases.is_trial => {
                say::warn(&format!("changes to /{name} will be forgotten: {why}"));
                if let Err(why) = give(name, &target, Policy::Stateless, &mut data, releases) {
                    say::warn(&format!("/{name} is read-only: {why}"));
                }
            }
            done => done?,
        }
    }
    data.hide()
}

fn give(
    name: &str,
    target: &str,
    policy: Policy,
    data: &mut Data<'_>,
    releases: &Releases,
) -> Result<()> {
    match policy {
        Policy::Fixed => Ok(()),
        Policy::Stateless => {
            mounts::virtual_fs("tmpfs", LAYER, "mode=0755")?;
            let done = mounts::overlay(target, LAYER);
            mounts::hide(LAYER)?;
            done
        }
        Policy::Persistent => {
            let place = data.place()?;
            if name == "var" {
                return mounts::bind(&own_copy(&place, Path::new(target))?, target);
            }
            let layer = layer(&place.join(name), releases)?;
            // Under a name of ours, since options of a mount have no commas and colons in them.
            mounts::bind(&layer, LAYER)?;
            let done = mounts::overlay(target, LAYER);
            mounts::hide(LAYER)?;
            done
        }
    }
}

/// The data partition, mounted when it is needed.
struct Data<'d> {
    device: &'d Device,
    is_mounted: bool,
}

impl Data<'_> {
    /// The directory of the system.
    fn place(&mut self) -> Result<PathBuf> {
        if !self.is_mounted {
            let node = self.device.data_partition.node.as_deref();
            mounts::partition(node.ok_or(InitError::NoNode("data"))?, DATA)?;
            self.is_mounted = true;
        }
        let place = Path::new(DATA).join("systems").join(&self.device.system);
        fs::create_dir_all(&place).on("make", &place)?;
        Ok(place)
    }

    fn hide(&self) -> Result<()> {
        if self.is_mounted { mounts::hide(DATA) } else { Ok(()) }
    }
}

/// `/var` of a system: at its first start a copy of what the system has there.
fn own_copy(place: &Path, original: &Path) -> Result<PathBuf> {
    let own = place.join("var");
    if !own.exists() {
        replace(&own, |new| copy_tree(original, new))?;
    }
    Ok(own)
}

/// The layer with changes to `/etc` for the release that starts.
fn layer(directory: &Path, releases: &Releases) -> Result<PathBuf> {
    fs::create_dir_all(directory).on("make", directory)?;
    let of = |release: ReleaseId| directory.join(release.to_string());
    let own = of(releases.running);
    let begin_with = releases.other.filter(|_| releases.is_trial).map(of).filter(|l| l.exists());
    match begin_with {
        Some(old) => replace(&own, |new| copy_layer(&old, new))?,
        None if !own.exists() => replace(&own, |new| fs::create_dir(new).on("make", new))?,
        None => {}
    }
    // No trial is in sight: layers of releases that are gone go too.
    if !releases.is_trial {
        let kept = [Some(own.clone()), releases.other.map(of)];
        for entry in fs::read_dir(directory).on("list", directory)? {
            let path = entry.on("list", directory)?.path();
            if !kept.iter().flatten().any(|kept| *kept == path) {
                remove(&path)?;
            }
        }
    }
    Ok(own)
}

/// Copies what was changed, and not the directory in which the kernel works.
fn copy_layer(old: &Path, new: &Path) -> Result<()> {
    fs::create_dir(new).on("make", new)?;
    let upper = old.join("upper");
    if upper.exists() { copy_tree(&upper, &new.join("upper")) } else { Ok(()) }
}

fn is_directory(path: &str) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> ReleaseId {
        ReleaseId::from_bytes([byte; 32])
    }

    #[test]
    fn a_trial_begins_with_a_copy_and_falling_back_finds_the_old_changes() {
        let place = tempfile::tempdir().unwrap();
        let etc = place.path().join("etc");
        let start = |running, other: Option<u8>, is_trial| {
            let releases = Releases { running: id(running), other: other.map(id), is_trial };
            let layer = layer(&etc, &releases).unwrap();
            fs::create_dir_all(layer.join("upper")).unwrap();
            layer.join("upper/hostname")
        };
        let old = start(1, None, false);
        fs::write(&old, "buoy").unwrap();

        let new = start(2, Some(1), true);
        assert_eq!(fs::read_to_string(&new).unwrap(), "buoy");
        fs::write(&new, "changed on trial").unwrap();
        // The trial failed.
        assert_eq!(start(1, Some(2), false), old);
        assert_eq!(fs::read_to_string(&old).unwrap(), "buoy");
        fs::write(&old, "buoy 7").unwrap();
        // Another trial begins anew, is confirmed, and starts again.
        assert_eq!(fs::read_to_string(start(2, Some(1), true)).unwrap(), "buoy 7");
        fs::write(&new, "new").unwrap();
        assert_eq!(fs::read_to_string(start(2, Some(1), false)).unwrap(), "new");
        // Back by hand.
        assert_eq!(fs::read_to_string(start(1, Some(2), false)).unwrap(), "buoy 7");
    }

    #[test]
    fn layers_of_releases_that_are_gone_are_removed_unless_a_trial_runs() {
        let place = tempfile::tempdir().unwrap();
        let start = |running, other, is_trial| {
            let other = Some(id(other));
            layer(place.path(), &Releases { running: id(running), other, is_trial }).unwrap();
            let names = fs::read_dir(place.path()).unwrap().map(|e| e.unwrap().file_name());
            let mut names: Vec<_> = names.map(|n| n.to_string_lossy()[..2].to_owned()).collect();
            names.sort();
            names
        };
        assert_eq!(start(1, 2, false), ["01"]);
        assert_eq!(start(2, 1, true), ["01", "02"]);
        assert_eq!(start(3, 2, true), ["01", "02", "03"]);
        assert_eq!(start(3, 2, false), ["02", "03"]);
    }

    #[test]
    fn var_is_copied_once() {
        let place = tempfile::tempdir().unwrap();
        let original = place.path().join("original");
        fs::create_dir_all(original.join("lib")).unwrap();
        let own = own_copy(place.path(), &original).unwrap();
        assert!(own.join("lib").is_dir());
        fs::write(own.join("lib/state"), "kept").unwrap();
        fs::write(original.join("new"), "not taken over").unwrap();
        let own = own_copy(place.path(), &original).unwrap();
        assert_eq!(fs::read_to_string(own.join("lib/state")).unwrap(), "kept");
        assert!(!own.join("new").exists());
    }
}
