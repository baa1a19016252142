//! Derivations of a Nix store without the names that follow from them (`spec/derivations.md`).
//!
//! The name of a store path has a hash of the derivation that builds it, which mentions the store
//! paths that it needs. So when one of them changes, all that need it get other names. A release may have its
//! derivations with it, in a form in which such a mention is a place and no name. Then only what was
//! changed differs between two releases, and a device computes all names from it, as Nix does.

mod derived;
mod paths;
mod recipe;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;

use sha2::{Digest, Sha256};

pub use self::derived::{ComputedNames, DerivedNames, Run};
pub use self::recipe::{DerivationsWriter, Piece, Recipe};
use crate::wire::Reader;
use crate::{FormatError, Result};

/// The first bytes of the encoding.
pub const MAGIC: [u8; 4] = *b"UPMD";
/// The version of the encoding.
pub const VERSION: u8 = 1;
/// The component of a release that has derivations; it belongs to no system.
pub const COMPONENT: &str = "nix-derivations";
/// The file in the root of its tree.
pub const FILE: &str = "derivations";
/// Longest encoding in bytes.
pub const MAX_LEN: u64 = 1 << 27;
/// Most derivations.
pub const MAX_DERIVATIONS: u64 = 1 << 16;
/// Most bytes of the names of derivations and outputs together.
pub const MAX_TEXTS: u64 = 4 << 20;
/// Longest name of a derivation in bytes, and that of an output.
pub const MAX_DERIVATION_NAME: usize = 211;
/// Longest text behind the inputs of a derivation, in bytes.
pub const MAX_TEXT: u64 = 4 << 20;
/// Most pieces of the text of a derivation.
pub const MAX_PIECES: u64 = 1 << 16;
/// Most outputs of a derivation.
pub const MAX_OUTPUTS: u64 = 256;
/// Longest hash of a content in bytes.
pub const MAX_HASH: usize = 64;
/// Longest store directory in bytes.
pub const MAX_STORE: usize = 255;

/// The output that has no name of its own in store paths.
const OUT: &str = "out";

/// Derivations, and the store paths that they make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derivations {
    store: String,
    known: Vec<Known>,
    /// Derivations of each package, in their order.
    packages: HashMap<String, Vec<u32>>,
    /// Bytes of names so far.
    texts: u64,
    /// Bytes of the longest text behind inputs so far.
    longest: u64,
}

/// What others need of a derivation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    name: String,
    /// What stands for it in the derivations that need it.
    digest: [u8; 32],
    outputs: Vec<Output>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Output {
    name: String,
    hash: paths::StoreHash,
}

impl Derivations {
    fn new(store: String) -> Self {
        Self { store, known: Vec::new(), packages: HashMap::new(), texts: 0, longest: 0 }
    }

    /// Reads derivations and computes what they make. One after the other: of each only its names
    /// and hashes are kept.
    pub fn read<R: Read>(input: R) -> Result<Self> {
        let mut input = Reader::new(input);
        let (magic, version) = (input.array("magic of derivations")?, input.offset());
        if magic != MAGIC {
            return Err(FormatError::Invalid {
                what: "magic of derivations",
                offset: 0,
                expected: "UPMD",
                found: magic.escape_ascii().to_string(),
            });
        }
        let found = input.byte("version of derivations")?;
        if found != VERSION {
            let what = "version of derivations";
            return Err(FormatError::Unknown { what, offset: version, found: found.into() });
        }
        let offset = input.offset();
        let store = input.text(MAX_STORE, "store directory")?;
        if !store.starts_with('/') {
            let (what, expected) = ("store directory", "an absolute path");
            return Err(FormatError::Invalid { what, offset, expected, found: store });
        }
        let mut derivations = Self::new(store);
        for _ in 0..input.number(MAX_DERIVATIONS, "number of derivations")? {
            derivations.read_next(&mut input)?;
        }
        input.expect_end("derivations")?;
        Ok(derivations)
    }

    /// The base names of all outputs, in the order of the derivations.
    pub fn names(&self) -> impl Iterator<Item = String> + '_ {
        let of = |known: &'_ Known| -> Vec<String> {
            known.outputs.iter().map(|output| output.base_name(&known.name)).collect()
        };
        self.known.iter().flat_map(of)
    }

    /// How many outputs there are.
    pub fn outputs(&self) -> usize {
        self.known.iter().map(|known| known.outputs.len()).sum()
    }

    /// What this takes in memory, in bytes.
    pub fn memory(&self) -> u64 {
        // A name is held for the derivation, and perhaps for its package.
        let names = 2 * self.texts + 256 * self.known.len() as u64 + 64 * self.outputs() as u64;
        // While names are compared, they are there as texts.
        names + 2 * self.longest + self.texts + 96 * self.outputs() as u64
    }

    fn read_next<R: Read>(&mut self, input: &mut Reader<R>) -> Result<()> {
        let name = self.name(input, "name of a derivation")?;
        let known = match input.number(MAX_OUTPUTS, "number of outputs")? {
            0 => self.read_fixed(input, name)?,
            count => self.read_built(input, name, count)?,
        };
        let package = paths::package(&known.name).to_owned();
        self.packages.entry(package).or_default().push(self.known.len() as u32);
        self.known.push(known);
        Ok(())
    }

    /// A name of the characters that Nix allows.
    fn name<R: Read>(&mut self, input: &mut Reader<R>, what: &'static str) -> Result<String> {
        let offset = input.offset();
        let name = input.text(MAX_DERIVATION_NAME, what)?;
        if !paths::is_name(&name) {
            let expected = "letters, digits and +-._?=, at least one";
            return Err(FormatError::Invalid { what, offset, expected, found: name });
        }
        self.texts += name.len() as u64;
        if self.texts > MAX_TEXTS {
            let (what, found) = ("names of derivations", self.texts);
            return Err(FormatError::TooLarge { what, offset, found, limit: MAX_TEXTS });
        }
        Ok(name)
    }

    /// A derivation whose content was known before it was built.
    fn read_fixed<R: Read>(&mut self, input: &mut Reader<R>, name: String) -> Result<Known> {
        let offset = input.offset();
        let method = input.text(16, "method of a hash")?;
        let algorithm = method.strip_prefix("r:").unwrap_or(&method);
        if algorithm.is_empty() || !algorithm.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let (what, expected) = ("method of a hash", "an algorithm, with or without r: before");
            return Err(FormatError::Invalid { what, offset, expected, found: method });
        }
        let hash = paths::hex(&input.bytes(MAX_HASH, "hash of a content")?);
        let of_path = paths::fixed(&self.store, &method, &hash, &name);
        let output = Output { name: OUT.to_owned(), hash: of_path };
        let path = format!("{}/{}", self.store, output.base_name(&name));
        let digest = Sha256::digest(format!("fixed:out:{method}:{hash}:{path}")).into();
        Ok(Known { name, digest, outputs: vec![output] })
    }

    /// A derivation whose store paths are named after itself.
    fn read_built<R: Read>(
        &mut self,
        input: &mut Reader<R>,
        name: String,
        count: u64,
    ) -> Result<Known> {
        let mut outputs: Vec<String> = Vec::new();
        for _ in 0..count {
            let offset = input.offset();
            let output = self.name(input, "name of an output")?;
            let is_long = name.len() + 1 + output.len() > MAX_DERIVATION_NAME;
            if is_long || outputs.last().is_some_and(|last| *last >= output) {
                let expected = "outputs that ascend, short enough for a store path";
                let what = "name of an output";
                return Err(FormatError::Invalid { what, offset, expected, found: output });
            }
            outputs.push(output);
        }
        let needed = self.read_inputs(input)?;

        let rest = self.read_rest(input, outputs.len(), &needed)?;
        self.longest = self.longest.max(rest.text.len() as u64);
        let front = self.inputs_text(&needed);
        // Its own paths follow from a text that has none of them. What stands for it elsewhere does have them.
        let digest = text_digest(&outputs, &[], &front, &rest);
        let hash = |output: &String| paths::built(&self.store, &digest, &name, output);
        let made: Vec<Output> = outputs
            .iter()
            .map(|output| Output { hash: hash(output), name: output.clone() })
            .collect();
        let own: Vec<String> = made
            .iter()
            .map(|output| format!("{}/{}", self.store, output.base_name(&name)))
            .collect();
        let digest = text_digest(&outputs, &own, &front, &rest);
        Ok(Known { name, digest, outputs: made })
    }

    /// The inputs as Nix writes them where names do not count.
    fn inputs_text(&self, needed: &[(usize, usize)]) -> String {
        let mut by_digest: BTreeMap<[u8; 32], BTreeSet<&str>> = BTreeMap::new();
        for (derivation, output) in needed {
            let known = &self.known[*derivation];
            by_digest.entry(known.digest).or_default().insert(&known.outputs[*output].name);
        }
        let text = by_digest.into_iter().map(|(digest, outputs)| {
            let outputs = outputs.into_iter().collect::<Vec<_>>().join("\",\"");
            format!("(\"{}\",[\"{outputs}\"])", paths::hex(&digest))
        });
        text.collect::<Vec<_>>().join(",")
    }

    /// The outputs that a derivation needs, each with its derivation.
    fn read_inputs<R: Read>(&self, input: &mut Reader<R>) -> Result<Vec<(usize, usize)>> {
        let mut needed = Vec::new();
        let mut last: Option<(String, u64)> = None;
        for _ in 0..input.number(self.known.len() as u64, "number of inputs")? {
            let offset = input.offset();
            let package = input.text(MAX_DERIVATION_NAME, "package of an input")?;
            let number = input.varint("number of an input")?;
            let which = self.packages.get(&package).and_then(|all| {
                all.get(usize::try_from(number).ok()?).map(|index| *index as usize)
            });
            let input_of = (package, number);
            let (Some(which), false) = (which, last.as_ref().is_some_and(|l| *l >= input_of))
            else {
                return Err(FormatError::Invalid {
                    what: "input of a derivation",
                    offset,
                    expected: "derivations that came before, ascending",
                    found: format!("{} {number}", input_of.0),
                });
            };
            last = Some(input_of);
            let outputs = self.known[which].outputs.len() as u64;
            let offset = input.offset();
            let count = input.number(outputs, "number of outputs of an input")?;
            let mut next = 0u64;
            for _ in 0..count {
                let index = next.saturating_add(input.varint("output of an input")?);
                if index >= outputs {
                    break;
                }
                needed.push((which, index as usize));
                next = index + 1;
            }
            let taken = needed.iter().rev().take_while(|(of, _)| *of == which).count();
            if count == 0 || taken as u64 != count {
                return Err(FormatError::Invalid {
                    what: "outputs of an input",
                    offset,
                    expected: "one output or more, of those that it has",
                    found: format!("{count} of {outputs}"),
                });
            }
        }
        Ok(needed)
    }

    /// What follows the inputs in a derivation: text, and mentions of itself and of inputs.
    fn read_rest<R: Read>(
        &self,
        input: &mut Reader<R>,
        own: usize,
        needed: &[(usize, usize)],
    ) -> Result<Rest> {
        let mut rest = Rest::default();
        let mut after_text = false;
        for _ in 0..input.number(MAX_PIECES, "number of pieces")? {
            let offset = input.offset();
            let word = input.varint("piece of a derivation")?;
            let invalid = |found: String| FormatError::Invalid {
                what: "piece of a derivation",
                offset,
                expected: "a mention of an output or input, or text that does not follow text",
                found,
            };
            if word % 2 == 0 && (word == 0 || after_text) {
                return Err(invalid(format!("{} bytes of text", word / 2)));
            }
            after_text = word % 2 == 0;
            let mut left = 0;
            if after_text {
                left = word / 2;
            } else if let Some(output) = usize::try_from(word / 2).ok().filter(|at| *at < own) {
                rest.own.push((rest.text.len(), output));
            } else {
                let at = usize::try_from(word / 2).unwrap_or(usize::MAX) - own;
                let (derivation, output) =
                    *needed.get(at).ok_or_else(|| invalid(format!("a mention of input {at}")))?;
                let known = &self.known[derivation];
                rest.text.extend(known.outputs[output].base_name(&known.name).bytes());
            }
            let found = left.saturating_add(rest.text.len() as u64);
            if found > MAX_TEXT {
                let (what, limit) = ("text of a derivation", MAX_TEXT);
                return Err(FormatError::TooLarge { what, offset, found, limit });
            }
            // Not more at once than there is.
            while left > 0 {
                let start = rest.text.len();
                rest.text.resize(start + left.min(1 << 16) as usize, 0);
                input.fill(&mut rest.text[start..], "text of a derivation")?;
                left -= (rest.text.len() - start) as u64;
            }
        }
        Ok(rest)
    }
}

/// What follows the inputs, with their names.
#[derive(Default)]
struct Rest {
    text: Vec<u8>,
    /// Where the paths of its own outputs are, ascending, and of which.
    own: Vec<(usize, usize)>,
}

/// The digest of the text of a derivation. Without `own` paths it has none of its own.
fn text_digest(outputs: &[String], own: &[String], inputs: &str, rest: &Rest) -> [u8; 32] {
    let path = |output: usize| own.get(output).map_or("", |path| path);
    let mut text = Sha256::new();
    text.update("Derive([");
    for (index, output) in outputs.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        text.update(format!("{comma}(\"{output}\",\"{}\",\"\",\"\")", path(index)));
    }
    text.update(format!("],[{inputs}]"));
    let mut from = 0;
    for (at, output) in &rest.own {
        text.update(&rest.text[from..*at]);
        text.update(path(*output));
        from = *at;
    }
    text.update(&rest.text[from..]);
    text.finalize().into()
}

impl Output {
    /// The name of the store path without the store directory.
    fn base_name(&self, derivation: &str) -> String {
        format!("{}-{}", self.hash.digits(), paths::output_name(derivation, &self.name))
    }
}
