//! Plain files and directories as releases of a store for the time of one command.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use upmass_disk::{DirVolume, Volume};
use upmass_format::ReleaseId;
use upmass_format::patch::{FILE_MODE, Kind, file_path, release};
use upmass_import::{
    ImportError, ImportOptions, IndexUse, Owners, XattrUse, import_directory, import_file,
};
use upmass_store::{Store, StoreError};

use crate::failure::Failure;
use crate::scratch::Scratch;
use crate::{output, progress};

/// What a path is; a symlink is what it leads to.
pub fn kind(path: &Path) -> Result<Kind, Failure> {
    let metadata = fs::metadata(path).map_err(|error| Failure::io("open", path, error))?;
    match metadata.file_type() {
        found if found.is_file() => Ok(Kind::File),
        found if found.is_dir() => Ok(Kind::Directory),
        _ => Err(Failure::refused(format_args!(
            "{} is neither a regular file nor a directory",
            path.display()
        ))),
    }
}

/// Refuses a path that something has.
pub fn expect_nothing_at(path: &Path) -> Result<(), Failure> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(taken(path)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::io("look at", path, error)),
    }
}

/// A path that something has.
pub fn taken(path: &Path) -> Failure {
    Failure::refused(format_args!(
        "{} exists and is never overwritten: remove it, or give another name",
        path.display()
    ))
}

/// Makes an empty store.
pub fn store(scratch: &Scratch) -> Result<Store, Failure> {
    let path = scratch.join("store");
    fs::create_dir(&path).map_err(|error| Failure::io("make the directory", &path, error))?;
    let volume = DirVolume::temporary(&path).map_err(StoreError::from)?;
    let volume: Arc<dyn Volume> = Arc::new(volume);
    Ok(Store::create_on(volume, &path.display().to_string())?)
}

/// Imports a file or directory and records it.
pub fn import(store: &Store, kind: Kind, path: &Path) -> Result<ReleaseId, Failure> {
    let bar = progress::bytes("reading", None);
    let advance = |bytes| bar.inc(bytes);
    let imported = match kind {
        Kind::File => import_file(store, path, file_path(), FILE_MODE, &advance),
        Kind::Directory => {
            let options = ImportOptions {
                owners: Owners::Root,
                xattrs: XattrUse::Drop,
                index: IndexUse::Rebuild,
                ..ImportOptions::default()
            };
            import_directory(store, path, &options, &advance)
        }
    };
    bar.finish_and_clear();
    let imported = imported.map_err(|error| match error {
        ImportError::StoreInside { .. } => Failure::refused(format_args!(
            "the output is inside {}, which is read: write it elsewhere",
            path.display()
        )),
        error => error.into(),
    })?;
    imported.warnings.iter().for_each(output::note);
    Ok(store.record(&release(kind, imported.tree))?)
}

/// Gives a complete file its name, which nobody may have; then makes the name durable.
pub fn publish(partial: &Path, output: &Path) -> Result<(), Failure> {
    let fail = |error: std::io::Error| Failure::io("write", output, error);
    let renamed = renameat_with(CWD, partial, CWD, output, RenameFlags::NOREPLACE);
    match renamed {
        Err(Errno::EXIST) => return Err(taken(output)),
        // A file system without that flag: a link fails on a taken name as well.
        Err(Errno::INVAL | Errno::NOSYS) => match fs::hard_link(partial, output) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(taken(output)),
            linked => linked.map_err(fail)?,
        },
        renamed => renamed.map_err(|errno| fail(errno.into()))?,
    }
    let parent = output.parent().filter(|parent| *parent != Path::new(""));
    File::open(parent.unwrap_or(Path::new("."))).and_then(|file| file.sync_all()).map_err(fail)
}
