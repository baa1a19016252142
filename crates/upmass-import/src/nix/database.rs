//! References as the Nix database has them, asked through `nix-store`.
//!
//! Why not the SQLite file itself: the database may belong to a daemon, lie on a read-only
//! medium or have another schema, all of which `nix-store` copes with. `nix path-info --json`
//! says the same, but is called experimental and changed its form between versions;
//! `--dump-db` did not since Nix 1.2.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::path::{Chroot, StorePath, USUAL_STORE, base_name};

/// What the database says: the base names of a closure, each with its references, ascending.
pub(super) type References = BTreeMap<String, Vec<String>>;

/// Why the database could not be asked.
#[derive(Debug)]
pub(super) enum Unavailable {
    /// There is no database or no program to read it: nothing to worry about.
    Absent,
    /// It was asked and gave no answer; the words say why.
    Failed(String),
}

/// The closure of some store paths of one store.
pub(super) fn closure(chroot: &Chroot, roots: &[StorePath]) -> Result<References, Unavailable> {
    let dir = &roots.first().ok_or(Unavailable::Absent)?.dir;
    // `nix-store` would make a database where there is none.
    let is_usual = chroot.dir().is_some() || dir == Path::new(USUAL_STORE);
    if is_usual && !chroot.on_host(Path::new(DATABASE)).exists() {
        return Err(Unavailable::Absent);
    }
    let paths: Vec<PathBuf> = roots.iter().map(|root| dir.join(&root.base)).collect();
    let listed = ask(chroot, &["--query", "--requisites"], &paths)?;
    let members: Vec<&Path> = listed.lines().map(Path::new).collect();
    let mut references = References::new();
    // Far below the longest command line that Linux takes.
    for some in members.chunks(1000) {
        let text = ask(chroot, &["--dump-db"], some)?;
        read_registrations(dir, &text, &mut references).ok_or_else(|| {
            Unavailable::Failed("`nix-store --dump-db` wrote what is not understood".to_owned())
        })?;
    }
    let known = |name: &String| references.contains_key(name);
    if roots.iter().all(|root| known(&root.base)) && references.values().flatten().all(known) {
        Ok(references)
    } else {
        Err(Unavailable::Failed("the answer of `nix-store` is not a closure".to_owned()))
    }
}

/// Reads lines of: path, digest, size, deriver, number of references, each reference.
fn read_registrations(dir: &Path, text: &str, references: &mut References) -> Option<()> {
    let base = |line: &str| {
        base_name(Path::new(line).strip_prefix(dir).ok()?.as_os_str()).map(str::to_owned)
    };
    let mut lines = text.lines();
    while let Some(path) = lines.next() {
        let count: usize = lines.nth(3)?.parse().ok()?;
        let mut names = Vec::new();
        for _ in 0..count {
            names.push(base(lines.next()?)?);
        }
        names.sort_unstable();
        references.insert(base(path)?, names);
    }
    Some(())
}

fn ask<P: AsRef<OsStr>>(
    chroot: &Chroot,
    operation: &[&str],
    paths: &[P],
) -> Result<String, Unavailable> {
    let mut command = Command::new("nix-store");
    if let Some(dir) = chroot.dir() {
        command.arg("--store").arg(dir);
    }
    command.args(operation).args(paths).stdin(Stdio::null());
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Unavailable::Absent);
        }
        Err(error) => return Err(Unavailable::Failed(format!("`nix-store`: {error}"))),
    };
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let words = stderr.lines().find(|line| !line.trim().is_empty()).unwrap_or("no message");
        return Err(Unavailable::Failed(format!("`nix-store` said: {}", words.trim())));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| Unavailable::Failed("`nix-store` wrote what is not text".to_owned()))
}

const DATABASE: &str = "/nix/var/nix/db/db.sqlite";

#[cfg(test)]
mod tests {
    use super::*;

    const LIB: &str = "yivigy8m4pij3d3rxw4f019rgkz5i6ky-lib-1.0";
    const APP: &str = "g9iqcmsqnwxq7wbzhcdy484xxan39avg-app-2";

    fn read(text: &str) -> Option<References> {
        let mut references = References::new();
        read_registrations(Path::new("/nix/store"), text, &mut references)?;
        Some(references)
    }

    #[test]
    fn registrations_are_read_with_and_without_a_deriver() {
        let text = format!(
            "/nix/store/{LIB}\n{zeros}\n456\n\n0\n\
             /nix/store/{APP}\n{zeros}\n760\n/nix/store/{APP}.drv\n2\n\
             /nix/store/{LIB}\n/nix/store/{APP}\n",
            zeros = "0".repeat(64),
        );
        let expected = References::from([
            (LIB.to_owned(), vec![]),
            (APP.to_owned(), vec![APP.to_owned(), LIB.to_owned()]),
        ]);
        assert_eq!(read(&text), Some(expected));
        assert_eq!(read(""), Some(References::new()));
    }

    #[test]
    fn anything_else_is_not_understood() {
        let whole = format!("/nix/store/{LIB}\nhash\n456\n\n1\n/nix/store/{LIB}\n");
        assert!(read(&whole).is_some());
        for wrong in [
            whole.replace("\n1\n", "\n2\n"),
            whole.replace("\n1\n", "\nmany\n"),
            whole.replace("/nix/store/", "/gnu/store/"),
            whole.replace("yivig", "EEEEE"),
            format!("/nix/store/{LIB}\nhash\n"),
        ] {
            assert_eq!(read(&wrong), None, "{wrong}");
        }
    }
}
