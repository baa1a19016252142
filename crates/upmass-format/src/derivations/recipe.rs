//! Writes derivations, and knows what a device will make of them.

use super::{Derivations, MAGIC, VERSION, paths};
use crate::Result;
use crate::wire::{Reader, put_varint};

/// A derivation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipe {
    /// Its content is known: its name, the algorithm of the hash (with `r:` before where the NAR is
    /// hashed), and the hash.
    Fixed(String, String, Vec<u8>),
    /// It is built from others.
    Built {
        /// Its name.
        name: String,
        /// What its outputs are called, ascending.
        outputs: Vec<String>,
        /// The derivations that it needs, by the order in which they were added, and which of their
        /// outputs.
        inputs: Vec<(usize, Vec<usize>)>,
        /// The text behind the list of inputs.
        rest: Vec<Piece>,
    },
}

/// A piece of the text of a derivation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text as it is.
    Text(Vec<u8>),
    /// The store path of an output of the derivation itself: the value of a variable that is called
    /// so.
    Own(usize),
    /// The base name of a store path: of this derivation, this output. It must be an input.
    Mention(usize, usize),
}

/// Derivations while they are collected.
pub struct DerivationsWriter {
    derivations: Derivations,
    bytes: Vec<u8>,
}

impl DerivationsWriter {
    /// Starts with none, for a store directory.
    pub fn new(store: &str) -> Self {
        Self { derivations: Derivations::new(store.to_owned()), bytes: Vec::new() }
    }

    /// Adds a derivation. Gives the names of the store paths that it makes. One that makes others
    /// than these is not added, and `None` is given.
    ///
    /// # Errors
    /// Where a limit is passed or a name is none.
    pub fn add(&mut self, recipe: &Recipe, expected: &[String]) -> Result<Option<usize>> {
        let bytes = self.encoded(recipe);
        let (texts, index) = (self.derivations.texts, self.derivations.known.len());
        let read = self.derivations.read_next(&mut Reader::new(&bytes[..]));
        if let Err(error) = read {
            self.derivations.texts = texts;
            return Err(error);
        }
        let known = &self.derivations.known[index];
        let made = known.outputs.iter().map(|output| output.base_name(&known.name));
        if !made.eq(expected.iter().cloned()) {
            let package = paths::package(&known.name).to_owned();
            self.derivations.packages.get_mut(&package).expect("it was added").pop();
            self.derivations.known.pop();
            self.derivations.texts = texts;
            return Ok(None);
        }
        self.bytes.extend_from_slice(&bytes);
        Ok(Some(index))
    }

    /// How many were added.
    pub fn count(&self) -> usize {
        self.derivations.known.len()
    }

    /// The encoding of all.
    pub fn finish(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        put_text(&mut bytes, &self.derivations.store);
        put_varint(&mut bytes, self.derivations.known.len() as u64);
        bytes.extend_from_slice(&self.bytes);
        bytes
    }

    fn encoded(&self, recipe: &Recipe) -> Vec<u8> {
        let mut out = Vec::new();
        match recipe {
            Recipe::Fixed(name, method, hash) => {
                put_text(&mut out, name);
                put_varint(&mut out, 0);
                put_text(&mut out, method);
                put_varint(&mut out, hash.len() as u64);
                out.extend_from_slice(hash);
            }
            Recipe::Built { name, outputs, inputs, rest } => {
                put_text(&mut out, name);
                put_varint(&mut out, outputs.len() as u64);
                outputs.iter().for_each(|output| put_text(&mut out, output));
                let mentions = self.put_inputs(inputs, &mut out);
                put_varint(&mut out, rest.len() as u64);
                for piece in rest {
                    match piece {
                        Piece::Text(text) => {
                            put_varint(&mut out, 2 * text.len() as u64);
                            out.extend_from_slice(text);
                        }
                        Piece::Own(output) => put_varint(&mut out, 2 * *output as u64 + 1),
                        Piece::Mention(derivation, output) => {
                            let at = mentions.iter().position(|m| *m == (*derivation, *output));
                            let at = outputs.len() + at.expect("only inputs are mentioned");
                            put_varint(&mut out, 2 * at as u64 + 1);
                        }
                    }
                }
            }
        }
        out
    }

    /// Writes inputs, ascending. Gives each output in the order in which mentions count them.
    fn put_inputs(&self, inputs: &[(usize, Vec<usize>)], out: &mut Vec<u8>) -> Vec<(usize, usize)> {
        let mut sorted: Vec<(&str, usize, usize, &Vec<usize>)> = inputs
            .iter()
            .map(|(index, outputs)| {
                let package = paths::package(&self.derivations.known[*index].name);
                let all = &self.derivations.packages[package];
                let number = all.partition_point(|other| (*other as usize) < *index);
                (package, number, *index, outputs)
            })
            .collect();
        sorted.sort_unstable();
        put_varint(out, sorted.len() as u64);
        let mut mentions = Vec::new();
        for (package, number, index, outputs) in sorted {
            put_text(out, package);
            put_varint(out, number as u64);
            put_varint(out, outputs.len() as u64);
            let mut next = 0;
            for output in outputs {
                put_varint(out, (output - next) as u64);
                next = output + 1;
                mentions.push((index, *output));
            }
        }
        mentions
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}
