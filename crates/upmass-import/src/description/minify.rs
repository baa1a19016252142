//! `[minify]`: the systems of a release keep what they need.
//!
//! Each system is looked at as it will run, with all its components in their places. A file of a
//! component stays as soon as one system that has the component needs it. Components from images
//! and from Nix are not looked at: the first have a root of their own, the second list all that
//! they need.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use upmass_format::TreePath;
use upmass_format::release::{BootFile, Release};
use upmass_format::tree::{Directory, Node};
use upmass_minify::{Level, Minified, Options, StoredFiles, minify, prune_tree};
use upmass_store::Store;

use super::error::{Fault, Problem};
use super::table::{Table, Value};
use super::values::text;
use super::view::Trees;

/// How the systems of a release are made smaller.
#[derive(Debug, Clone)]
pub(super) struct MinifyDescription {
    pub(super) line: usize,
    /// Without hardware, which is read when the sources are, and without what depends on the
    /// system.
    options: Options,
    /// The file that lists the hardware, on this machine.
    hardware: Option<(usize, PathBuf)>,
}

/// What one system of a release keeps, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct MinifiedSystem {
    /// Its name.
    pub system: String,
    /// A decision for every path of its components that were looked at.
    pub minified: Minified,
    /// Indexes into the components of the release.
    members: Vec<usize>,
}

/// Reads the table. Paths of this machine are relative to `dir`.
pub(super) fn read_minify(value: &Value<'_>, dir: &Path) -> Result<MinifyDescription, Fault> {
    let table = value.table("\"minify\"".to_owned(), "a table [minify]")?;
    table.only(&[
        "level",
        "roots",
        "keep",
        "drop",
        "locales",
        "time_zones",
        "terminals",
        "hardware",
    ])?;
    let level = match table.get("level") {
        Some(value) => {
            let expected = "\"safe\", \"lean\" or \"bare\"";
            let word = value.string(expected)?;
            word.parse().map_err(|_| value.wrong(expected, format!("{word:?}")))?
        }
        None => Level::default(),
    };
    let globs = |key| {
        let Some(list) = table.get(key) else { return Ok(Vec::new()) };
        let pattern = |value: &Value<'_>| {
            let text = text(value, "a pattern")?;
            let globs = Options::globs(std::slice::from_ref(&text));
            let glob = globs.map_err(|error| value.wrong("a pattern", error.to_string()))?.pop();
            Ok(glob.expect("one pattern makes one"))
        };
        list.list("a list of patterns")?.iter().map(pattern).collect::<Result<Vec<_>, Fault>>()
    };
    let (keep, drop) = (globs("keep")?, globs("drop")?);
    let options = Options {
        level,
        keep,
        drop,
        roots: texts(&table, "roots")?.unwrap_or_default(),
        locales: texts(&table, "locales")?,
        time_zones: texts(&table, "time_zones")?,
        terminals: texts(&table, "terminals")?,
        ..Options::default()
    };
    let hardware = match table.get("hardware") {
        Some(value) => {
            let path = text(&value, "the path of a list of modules, as lsmod prints it")?;
            Some((value.line, dir.join(path)))
        }
        None => None,
    };
    Ok(MinifyDescription { line: value.line, options, hardware })
}

fn texts(table: &Table<'_>, key: &str) -> Result<Option<Vec<String>>, Fault> {
    let Some(list) = table.get(key) else { return Ok(None) };
    let values = list.list("a list of texts")?;
    values.iter().map(|value| text(value, "a text")).collect::<Result<_, _>>().map(Some)
}

impl MinifyDescription {
    /// The options for all systems.
    pub(super) fn options(&self) -> Result<Options, Fault> {
        let hardware = match &self.hardware {
            Some((line, path)) => {
                let read = std::fs::read(path).map_err(|source| {
                    let path = path.display().to_string();
                    Fault::at(*line, Problem::Hardware { path, source })
                })?;
                Some(Options::hardware_of(&String::from_utf8_lossy(&read)))
            }
            None => None,
        };
        Ok(Options { hardware, ..self.options.clone() })
    }

    /// Decides for one system. `members` are its components that run in its root, and `whole`
    /// says which of these stay as they are.
    pub(super) fn system(
        &self,
        options: &Options,
        (name, boot): (&str, &[BootFile]),
        (trees, release): (&Trees<'_>, &Release),
        (members, whole): (Vec<usize>, &BTreeSet<usize>),
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<MinifiedSystem, Fault> {
        let at = |index: usize| release.components[index].install.tree_path();
        let mut options = options.clone();
        // What boots stays, and of all else that is made to boot nothing does.
        for file in boot.iter().filter(|file| members.contains(&file.component)) {
            let path = absolute_text(at(file.component), &file.path);
            let escaped: String = path.chars().flat_map(escape).collect();
            let glob = Options::globs(&[escaped]).map_err(|error| self.failed(name, error))?;
            options.boot.get_or_insert_default().extend(glob);
            options.roots.push(path);
        }
        if !boot.is_empty() {
            options.boot.get_or_insert_default();
        }
        let mut files = StoredFiles::empty(trees.store());
        let mut order = members.clone();
        order.sort_by_key(|index| std::cmp::Reverse(at(*index).names().count()));
        for index in order {
            let tree = trees.get(release.components[index].tree)?;
            let install = at(index);
            let slash = if install.is_root() { &b""[..] } else { b"/" };
            files.add(&tree, &[slash, install.as_bytes()].concat());
            if whole.contains(&index) {
                options
                    .roots
                    .extend(leaves(&tree).iter().map(|path| absolute_text(at(index), path)));
            }
        }
        let minified = minify(&files, &options, progress);
        let minified = minified.map_err(|error| self.failed(name, error))?;
        Ok(MinifiedSystem { system: name.to_owned(), minified, members })
    }

    fn failed(&self, system: &str, error: upmass_minify::MinifyError) -> Fault {
        let place = format!("system \"{system}\"");
        Fault::at(self.line, Problem::Minify { place, source: Box::new(error) })
    }

    /// The smaller tree of a component, which some of the systems have.
    pub(super) fn prune(
        &self,
        store: &Store,
        release: &Release,
        index: usize,
        systems: &[MinifiedSystem],
    ) -> Result<upmass_format::TreeId, Fault> {
        let component = &release.components[index];
        let install = component.install.tree_path();
        let having: Vec<&MinifiedSystem> =
            systems.iter().filter(|system| system.members.contains(&index)).collect();
        let keeps = |path: &TreePath| {
            let path = absolute(install, path);
            having.iter().any(|system| system.minified.keeps(&path))
        };
        prune_tree(store, component.tree, &keeps)
            .map_err(|error| self.failed(&having[0].system, error))
    }
}

/// Regular files of a tree, and their length in bytes; names of one inode count once.
pub(super) fn size(tree: &Directory) -> (u64, u64) {
    let (mut files, mut bytes) = (0, 0);
    let infallible = tree.walk(&mut |_, _, node| {
        let size = match node {
            Node::Object { size, .. } => *size,
            Node::Inline(content) => content.len() as u64,
            _ => return Ok::<(), std::convert::Infallible>(()),
        };
        files += 1;
        bytes += size;
        Ok(())
    });
    let Ok(()) = infallible;
    (files, bytes)
}

fn leaves(tree: &Directory) -> Vec<TreePath> {
    let mut leaves = Vec::new();
    let infallible = tree.walk(&mut |path, _, node| {
        if !matches!(node, Node::Directory) {
            leaves.push(path.clone());
        }
        Ok::<(), std::convert::Infallible>(())
    });
    let Ok(()) = infallible;
    leaves
}

/// A path of a component in the running system.
fn absolute(install: &TreePath, path: &TreePath) -> Vec<u8> {
    let slash = if install.is_root() { &b""[..] } else { b"/" };
    [b"/", install.as_bytes(), slash, path.as_bytes()].concat()
}

/// The same as text. What is none is refused later, as a root that is not there.
fn absolute_text(install: &TreePath, path: &TreePath) -> String {
    String::from_utf8_lossy(&absolute(install, path)).into_owned()
}

/// A character of a path in a pattern.
fn escape(character: char) -> impl Iterator<Item = char> {
    let escape = matches!(character, '*' | '?' | '[' | '\\').then_some('\\');
    escape.into_iter().chain([character])
}
