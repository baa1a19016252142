//! What the Nix database says of store paths, asked through `nix-store`.
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

use upmass_format::nar::NarDigest;

use super::path::{Chroot, StorePath, USUAL_STORE, base_name};

/// A closure: the base names of store paths, each with what is known of it.
pub(super) type Closure = BTreeMap<String, Registration>;

/// What is known of a store path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Registration {
    /// The base names of what it refers to, ascending.
    pub(super) references: Vec<String>,
    /// What Nix has registered of its content.
    pub(super) nar: Option<NarDigest>,
    /// The base name of the derivation that built it.
    pub(super) deriver: Option<String>,
}

/// Why the database could not be asked.
#[derive(Debug)]
pub(super) enum Unavailable {
    /// There is no database or no program to read it: nothing to worry about.
    Absent,
    /// It was asked and gave no answer; the words say why.
    Failed(String),
}

/// The closure of some store paths of one store.
pub(super) fn closure(chroot: &Chroot, roots: &[StorePath]) -> Result<Closure, Unavailable> {
    let dir = &roots.first().ok_or(Unavailable::Absent)?.dir;
    // `nix-store` would make a database where there is none.
    let is_usual = chroot.dir().is_some() || dir == Path::new(USUAL_STORE);
    if is_usual && !chroot.on_host(Path::new(DATABASE)).exists() {
        return Err(Unavailable::Absent);
    }
    let paths: Vec<PathBuf> = roots.iter().map(|root| dir.join(&root.base)).collect();
    let listed = ask(chroot, "nix-store", &["--query", "--requisites"], &paths)?;
    let members: Vec<&Path> = listed.lines().map(Path::new).collect();
    let mut closure = Closure::new();
    // Far below the longest command line that Linux takes.
    for some in members.chunks(1000) {
        let text = ask(chroot, "nix-store", &["--dump-db"], some)?;
        read_registrations(dir, &text, &mut closure).ok_or_else(|| {
            Unavailable::Failed("`nix-store --dump-db` wrote what is not understood".to_owned())
        })?;
    }
    let known = |name: &String| closure.contains_key(name);
    let mut referred = closure.values().flat_map(|each| &each.references);
    if roots.iter().all(|root| known(&root.base)) && referred.all(known) {
        Ok(closure)
    } else {
        Err(Unavailable::Failed("the answer of `nix-store` is not a closure".to_owned()))
    }
}

/// Who vouches for store paths: the signatures of each that has some, with a space between.
pub(super) fn signatures(
    chroot: &Chroot,
    dir: &Path,
    closure: &Closure,
) -> Result<BTreeMap<String, String>, Unavailable> {
    let paths: Vec<PathBuf> = closure.keys().map(|base| dir.join(base)).collect();
    let operation = ["--extra-experimental-features", "nix-command", "path-info", "--sigs"];
    let mut signatures = BTreeMap::new();
    for some in paths.chunks(1000) {
        for line in ask(chroot, "nix", &operation, some)?.lines() {
            let mut words = line.split_whitespace();
            let base = words.next().and_then(|path| Path::new(path).file_name()?.to_str());
            // Whether it was built here, and whether its name says its content, is no signature.
            let found: Vec<&str> =
                words.filter(|word| *word != "ultimate" && !word.starts_with("ca:")).collect();
            if let Some(base) = base
                && !found.is_empty()
            {
                signatures.insert(base.to_owned(), found.join(" "));
            }
        }
    }
    Ok(signatures)
}

/// Reads lines of: path, digest, size, deriver, number of references, each reference.
fn read_registrations(dir: &Path, text: &str, closure: &mut Closure) -> Option<()> {
    let base = |line: &str| {
        base_name(Path::new(line).strip_prefix(dir).ok()?.as_os_str()).map(str::to_owned)
    };
    let mut lines = text.lines();
    while let Some(path) = lines.next() {
        let sha256 = read_digest(lines.next()?)?;
        let len = lines.next()?.parse().ok()?;
        let deriver = match lines.next()? {
            "" => None,
            deriver => Some(base(deriver)?),
        };
        let count: usize = lines.next()?.parse().ok()?;
        let mut names = Vec::new();
        for _ in 0..count {
            names.push(base(lines.next()?)?);
        }
        names.sort_unstable();
        let nar = Some(NarDigest { sha256, len });
        closure.insert(base(path)?, Registration { references: names, nar, deriver });
    }
    Some(())
}

/// A digest of 32 bytes in hexadecimal.
fn read_digest(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = [0; 32];
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(digest)
}

fn ask<P: AsRef<OsStr>>(
    chroot: &Chroot,
    program: &str,
    operation: &[&str],
    paths: &[P],
) -> Result<String, Unavailable> {
    let mut command = Command::new(program);
    command.args(operation);
    if let Some(dir) = chroot.dir() {
        command.arg("--store").arg(dir);
    }
    command.args(paths).stdin(Stdio::null());
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Unavailable::Absent);
        }
        Err(error) => return Err(Unavailable::Failed(format!("`{program}`: {error}"))),
    };
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let words = stderr.lines().find(|line| !line.trim().is_empty()).unwrap_or("no message");
        return Err(Unavailable::Failed(format!("`{program}` said: {}", words.trim())));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| Unavailable::Failed(format!("`{program}` wrote what is not text")))
}

const DATABASE: &str = "/nix/var/nix/db/db.sqlite";

#[cfg(test)]
mod tests {
    use super::*;

    const LIB: &str = "yivigy8m4pij3d3rxw4f019rgkz5i6ky-lib-1.0";
    const APP: &str = "g9iqcmsqnwxq7wbzhcdy484xxan39avg-app-2";

    fn read(text: &str) -> Option<Closure> {
        let mut closure = Closure::new();
        read_registrations(Path::new("/nix/store"), text, &mut closure)?;
        Some(closure)
    }

    #[test]
    fn registrations_are_read_with_and_without_a_deriver() {
        let text = format!(
            "/nix/store/{LIB}\n{zeros}\n456\n\n0\n\
             /nix/store/{APP}\n{zeros}\n760\n/nix/store/{APP}.drv\n2\n\
             /nix/store/{LIB}\n/nix/store/{APP}\n",
            zeros = "0".repeat(64),
        );
        let nar = |len| Some(NarDigest { sha256: [0; 32], len });
        let lib = Registration { nar: nar(456), ..Registration::default() };
        let references = vec![APP.to_owned(), LIB.to_owned()];
        let deriver = Some(format!("{APP}.drv"));
        let app = Registration { references, nar: nar(760), deriver };
        let expected = Closure::from([(LIB.to_owned(), lib), (APP.to_owned(), app)]);
        assert_eq!(read(&text), Some(expected));
        assert_eq!(read(""), Some(Closure::new()));
    }

    #[test]
    fn anything_else_is_not_understood() {
        let hash = "09".repeat(32);
        let whole = format!("/nix/store/{LIB}\n{hash}\n456\n\n1\n/nix/store/{LIB}\n");
        assert!(read(&whole).is_some());
        for wrong in [
            whole.replacen("0909", "09", 1),
            whole.replacen("0909", "xx09", 1),
            whole.replace("456", "-4"),
            whole.replace("456\n", "456\nderiver"),
            whole.replace("\n1\n", "\n2\n"),
            whole.replace("\n1\n", "\nmany\n"),
            whole.replace("/nix/store/", "/gnu/store/"),
            whole.replace("yivig", "EEEEE"),
            format!("/nix/store/{LIB}\n{hash}\n"),
        ] {
            assert_eq!(read(&wrong), None, "{wrong}");
        }
    }
}
