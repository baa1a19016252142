//! Images of OCI and Docker: what becomes of good ones, as umoci sees it, and how bad ones are refused.

#[path = "../support/layout.rs"]
mod layout;
#[path = "../support/mod.rs"]
mod support;

mod choice;
mod hostile;
mod layers;
mod random;
mod sources;

use std::path::Path;
use std::process::Command;

use layout::Layout;
use support::{Place, import_with};
use upmass_format::TreeId;
use upmass_format::tree::MtimePolicy;
use upmass_import::{ImportOptions, ImportedImage, OciSource, import_oci};
use upmass_store::Store;

fn options(mtimes: MtimePolicy) -> ImportOptions {
    ImportOptions { mtimes, ..ImportOptions::default() }
}

fn import_image(store: &Store, path: &Path) -> Result<ImportedImage, String> {
    import_source(store, &OciSource::at(path))
}

fn import_source(store: &Store, source: &OciSource) -> Result<ImportedImage, String> {
    import_oci(store, source, &ImportOptions::default(), &|_| {}).map_err(|error| error.to_string())
}

/// What umoci makes of the image "test" of a layout; `None` where it refuses.
fn umoci(place: &Place, layout: &Layout, store: &Store, mtimes: MtimePolicy) -> Option<TreeId> {
    let bundle = place.home().join("bundle");
    let _ = std::fs::remove_dir_all(&bundle);
    let image = format!("{}:test", layout.dir.display());
    let output = Command::new("umoci")
        .args(["unpack", "--image", &image])
        .arg(&bundle)
        .output()
        .expect("umoci is installed by ./setup test");
    if !output.status.success() {
        return None;
    }
    Some(import_with(store, &bundle.join("rootfs"), &options(mtimes)).tree)
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
}
