//! Small systems, made of a few files each.

#![allow(dead_code, reason = "each test uses its part")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use tempfile::TempDir;
use upmass_minify::{DirectoryFiles, Drop, Minified, Options, Verdict, minify};

/// A system in a directory that goes with it.
pub struct System(TempDir);

impl System {
    pub fn new() -> Self {
        let system = Self(TempDir::new().unwrap());
        // As every merged system has them.
        for (link, target) in [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib")] {
            system.link(&format!("/{link}"), target);
        }
        system
    }

    pub fn root(&self) -> &Path {
        self.0.path()
    }

    /// A file; one below a directory `bin` or `sbin` can be executed.
    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let full = self.make_parent(path);
        fs::write(&full, content).unwrap();
        if path.contains("bin/") || path.contains("init.d/") {
            fs::set_permissions(&full, fs::Permissions::from_mode(0o755)).unwrap();
        }
        self
    }

    /// A shell script.
    pub fn script(&self, path: &str, code: &str) -> &Self {
        self.file(path, format!("#!/bin/sh\n{code}\n"))
    }

    pub fn link(&self, path: &str, target: &str) -> &Self {
        symlink(target, self.make_parent(path)).unwrap();
        self
    }

    /// A file of this machine.
    pub fn copy(&self, path: &str) -> &Self {
        self.file(path, fs::read(path).unwrap());
        let mode = fs::metadata(path).unwrap().permissions();
        fs::set_permissions(self.root().join(&path[1..]), mode).unwrap();
        self
    }

    pub fn minify(&self, options: &Options) -> Minified {
        let files = DirectoryFiles::open(self.root()).unwrap();
        minify(&files, options, &|_| {}).unwrap()
    }

    /// At level lean, with these roots.
    pub fn lean(&self, roots: &[&str]) -> Minified {
        self.minify(&rooted(roots))
    }

    fn make_parent(&self, path: &str) -> std::path::PathBuf {
        let full = self.root().join(&path[1..]);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        full
    }
}

pub fn rooted(roots: &[&str]) -> Options {
    Options { roots: roots.iter().map(|root| (*root).to_owned()).collect(), ..Options::default() }
}

/// Fails with the reason where something else stays or goes.
#[track_caller]
pub fn check(minified: &Minified, stay: &[&str], go: &[&str]) {
    for path in stay {
        assert!(
            minified.keeps(path.as_bytes()),
            "{path} goes: {:?}",
            minified.verdict(path.as_bytes())
        );
    }
    for path in go {
        let verdict = minified.verdict(path.as_bytes());
        assert!(matches!(verdict, Some(Verdict::Dropped(_))), "{path} stays: {verdict:?}");
    }
}

/// The word of the rule by which a path goes.
pub fn rule(minified: &Minified, path: &str) -> String {
    match minified.verdict(path.as_bytes()) {
        Some(Verdict::Dropped(drop)) => Drop::word(drop).to_owned(),
        other => panic!("{path}: {other:?}"),
    }
}

/// The chain of reasons, as `path evidence`, from the path to its root.
pub fn chain(minified: &Minified, path: &str) -> Vec<String> {
    let steps = minified.chain(path.as_bytes()).unwrap();
    let step = |step: &upmass_minify::Step<'_>| {
        format!("{} {}", String::from_utf8_lossy(&step.entry.path), step.reason.evidence.word())
    };
    steps.iter().map(step).collect()
}
