//! The derivations of a closure, as a release has them (`spec/derivations.md` of upmass-format).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use upmass_format::derivations::{DerivationsWriter, Piece, Recipe};

use super::aterm::{Parsed, parse};
use super::database::Closure;
use super::path::Chroot;
use super::{NixError, base_name};

/// What was found.
pub(super) struct Collected {
    /// The encoding.
    pub(super) bytes: Vec<u8>,
    /// What the user should know.
    pub(super) warning: Option<String>,
}

/// Collects the derivations of all store paths of a closure, and all that these need.
///
/// # Errors
/// When there is none at all, or reading fails.
pub(super) fn collect(
    chroot: &Chroot,
    dir: &Path,
    closure: &Closure,
) -> Result<Collected, NixError> {
    let store = dir.to_str().ok_or(NixError::NoDerivations { paths: closure.len() })?;
    let mut found = Collector::new(chroot, dir, store);
    let mut derivers: Vec<&String> =
        closure.values().filter_map(|registration| registration.deriver.as_ref()).collect();
    sort(&mut derivers);
    derivers.dedup();
    for deriver in derivers {
        found.add(deriver)?;
    }
    let made = found.made.values().flatten().flat_map(|made| made.outputs.values());
    let made: HashSet<&String> = made.collect();
    let without: Vec<&String> = closure.keys().filter(|name| !made.contains(name)).collect();
    let warning = match without.first() {
        None => None,
        Some(_) if without.len() == closure.len() => {
            return Err(NixError::NoDerivations { paths: closure.len() });
        }
        Some(first) => Some(format!(
            "of {} of {} store paths the names are sent, since no derivation here makes them: the \
             first is {}",
            without.len(),
            closure.len(),
            dir.join(first).display()
        )),
    };
    Ok(Collected { bytes: found.writer.finish(), warning })
}

struct Collector<'a> {
    chroot: &'a Chroot,
    dir: &'a Path,
    /// By base name of the `.drv` file; `None` where names do not follow from it.
    made: HashMap<String, Option<Made>>,
    writer: DerivationsWriter,
}

/// A derivation that was added.
#[derive(Debug, Clone)]
struct Made {
    index: usize,
    /// The base name of each output.
    outputs: BTreeMap<String, String>,
}

/// A derivation of which inputs are still to be added.
struct Open {
    name: String,
    parsed: Parsed,
    /// What is to be added before, the next one last.
    waiting: Vec<String>,
}

impl<'a> Collector<'a> {
    fn new(chroot: &'a Chroot, dir: &'a Path, store: &str) -> Self {
        Self { chroot, dir, made: HashMap::new(), writer: DerivationsWriter::new(store) }
    }

    /// Adds a derivation behind all that it needs. A chain of them may be long, so this holds what is
    /// open itself.
    fn add(&mut self, name: &str) -> Result<(), NixError> {
        let mut open = Vec::new();
        self.open(name, &mut open)?;
        while let Some(top) = open.last_mut() {
            if let Some(next) = top.waiting.pop() {
                self.open(&next, &mut open)?;
                continue;
            }
            let Open { name, parsed, .. } = open.pop().expect("it was there just now");
            let made = self.write(&name, &parsed);
            self.made.insert(name, made);
        }
        Ok(())
    }

    /// Reads a derivation, unless it is known.
    fn open(&mut self, name: &str, open: &mut Vec<Open>) -> Result<(), NixError> {
        if self.made.contains_key(name) {
            return Ok(());
        }
        // Until it was added; a circle, which Nix never makes, ends here.
        self.made.insert(name.to_owned(), None);
        let path = self.chroot.on_host(&self.dir.join(name));
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(NixError::Io { path, source }),
        };
        let Some(parsed) = parse(&text) else {
            return Ok(());
        };
        // What is known by its content does not depend on how it is fetched.
        let mut waiting: Vec<String> = match is_fixed(&parsed) {
            true => Vec::new(),
            false => parsed.inputs.iter().filter_map(|(path, _)| self.base(path)).collect(),
        };
        sort(&mut waiting);
        waiting.reverse();
        open.push(Open { name: name.to_owned(), parsed, waiting });
        Ok(())
    }

    /// The base name of a store path.
    fn base(&self, path: &str) -> Option<String> {
        base_name(Path::new(path).strip_prefix(self.dir).ok()?.as_os_str()).map(str::to_owned)
    }

    /// Adds a derivation all of whose inputs were added. `None` when Nix names its outputs
    /// otherwise, or names of inputs are not known.
    fn write(&mut self, name: &str, parsed: &Parsed) -> Option<Made> {
        let recipe = self.recipe(name, parsed)?;
        let paths = parsed.outputs.iter().map(|output| self.base(&output.path));
        let paths: Vec<String> = paths.collect::<Option<_>>()?;
        let index = self.writer.add(&recipe, &paths).ok()??;
        let names = parsed.outputs.iter().map(|output| output.name.clone());
        Some(Made { index, outputs: names.zip(paths).collect() })
    }

    fn recipe(&self, drv: &str, parsed: &Parsed) -> Option<Recipe> {
        let name = drv.get(33..)?.strip_suffix(".drv")?.to_owned();
        if is_fixed(parsed) {
            let output = &parsed.outputs[0];
            return Some(Recipe::Fixed(name, output.method.clone(), from_hex(&output.hash)?));
        }
        if parsed.outputs.iter().any(|output| !output.method.is_empty()) {
            return None;
        }
        let mut inputs = Vec::new();
        // The base names of what it needs, each with its place.
        let mut mentions = HashMap::new();
        for (path, outputs) in &parsed.inputs {
            let made = self.made.get(&self.base(path)?)?.as_ref()?;
            let mut indexes = Vec::new();
            for output in outputs {
                let index = made.outputs.keys().position(|name| name == output)?;
                mentions.insert(made.outputs[output].as_bytes(), (made.index, index));
                indexes.push(index);
            }
            indexes.sort_unstable();
            inputs.push((made.index, indexes));
        }
        let outputs = parsed.outputs.iter().map(|output| output.name.clone()).collect();
        Some(Recipe::Built { name, outputs, inputs, rest: pieces(parsed, &mentions)? })
    }
}

/// Cuts the text behind the inputs at the names that it mentions. `None` when a variable that is called
/// as an output is not its path.
fn pieces(parsed: &Parsed, mentions: &HashMap<&[u8], (usize, usize)>) -> Option<Vec<Piece>> {
    let text = &parsed.rest[..];
    let by_hash: HashMap<&[u8], &[u8]> =
        mentions.keys().filter_map(|name| Some((name.get(..32)?, *name))).collect();
    let mut own = parsed.own.iter().peekable();
    let mut pieces = Vec::new();
    let (mut from, mut at) = (0, 0);
    while at < text.len() {
        if let Some((output, range)) = own.next_if(|(_, range)| range.start == at) {
            if text[range.clone()] != *parsed.outputs[*output].path.as_bytes() {
                return None;
            }
            pieces.push(Piece::Text(text[from..at].to_vec()));
            pieces.push(Piece::Own(*output));
            (from, at) = (range.end, range.end);
            continue;
        }
        let name = match text[at] {
            b'/' => text.get(at + 1..at + 33).and_then(|hash| by_hash.get(hash)),
            _ => None,
        };
        match name.filter(|name| text[at + 1..].starts_with(name)) {
            None => at += 1,
            Some(name) => {
                pieces.push(Piece::Text(text[from..=at].to_vec()));
                let (derivation, output) = mentions[name];
                pieces.push(Piece::Mention(derivation, output));
                at += 1 + name.len();
                from = at;
            }
        }
    }
    if from < text.len() {
        pieces.push(Piece::Text(text[from..].to_vec()));
    }
    Some(pieces)
}

/// Whether its content is known before it is built.
fn is_fixed(parsed: &Parsed) -> bool {
    matches!(&parsed.outputs[..], [output] if !output.hash.is_empty())
}

/// By names without hash, so that the order stays when hashes change.
fn sort<S: AsRef<str>>(names: &mut [S]) {
    let key = |name: &S| {
        let name = name.as_ref();
        (name.get(33..).unwrap_or_default().to_owned(), name.to_owned())
    };
    names.sort_by_cached_key(key);
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    (0..digits.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()).collect()
}

/// Where the file of derivations is said to be installed: in no system.
pub(super) fn install_path(dir: &Path) -> PathBuf {
    dir.with_file_name("derivations")
}

#[cfg(test)]
#[path = "derivations_tests.rs"]
mod tests;
