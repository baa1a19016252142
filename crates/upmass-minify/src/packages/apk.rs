//! The database of apk: paragraphs of lines that begin with a letter and a colon, where `P:` is
//! the package, `F:` a directory and `R:` a file in it (apk-installed(5)).

use super::Listed;
use crate::Result;
use crate::tree::Tree;

pub(super) fn read(tree: &Tree<'_>) -> Result<Vec<Listed>> {
    let content = match tree.text(b"/lib/apk/db/installed")? {
        Some(content) => content,
        None => tree.text(b"/usr/lib/apk/db/installed")?.unwrap_or_default(),
    };
    let mut packages: Vec<Listed> = Vec::new();
    let mut directory: Vec<u8> = Vec::new();
    for line in content.split(|byte| *byte == b'\n') {
        let Some((key, value)) = line.split_at_checked(2) else { continue };
        match key {
            b"P:" => {
                let name = String::from_utf8_lossy(value).into_owned();
                let is_essential = ESSENTIAL.contains(&name.as_str());
                packages.push(Listed { name, is_essential, paths: Vec::new() });
            }
            b"F:" => directory = [b"/", value].concat(),
            b"R:" => {
                if let Some(package) = packages.last_mut() {
                    package.paths.push([&directory[..], b"/", value].concat());
                }
            }
            _ => {}
        }
    }
    Ok(packages)
}

/// apk has no such mark; these are what `alpine-base` is made of.
const ESSENTIAL: &[&str] = &["busybox", "busybox-binsh", "alpine-baselayout", "musl"];
