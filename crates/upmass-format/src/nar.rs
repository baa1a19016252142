//! The Nix archive of a tree, of which only the digest is of interest (`spec/nar.md`).
//!
//! Nix names what a store path holds by the SHA-256 digest of its archive. It follows from the
//! tree, so it never has to be told; whoever needs it computes it in a stream.

use std::fmt;

use sha2::{Digest, Sha256};

/// What an archive begins with, as a text.
pub const MAGIC: &[u8] = b"nix-archive-1";

/// The digest and the length of a Nix archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NarDigest {
    /// SHA-256 of the archive.
    pub sha256: [u8; 32],
    /// Its length in bytes.
    pub len: u64,
}

/// Computes the digest of an archive from the nodes of a tree, in the order of the tree.
///
/// The root is a node; so is what follows [`Self::entry`]. A directory is begun and ended, and
/// so is a file, whose content comes in pieces of any size between. Memory does not grow.
#[derive(Clone)]
pub struct NarHasher {
    hasher: Sha256,
    len: u64,
    /// What is missing of the content of the file that is open.
    missing: u64,
    /// Behind that content, up to a multiple of 8.
    padding: usize,
}

impl NarHasher {
    /// An archive whose root is still to come.
    pub fn new() -> Self {
        let mut nar = Self { hasher: Sha256::new(), len: 0, missing: 0, padding: 0 };
        nar.text(MAGIC);
        nar
    }

    /// Begins a directory; its entries follow, ascending by name.
    pub fn begin_directory(&mut self) {
        self.texts(&[b"(", b"type", b"directory"]);
    }

    /// Names the next node of the open directory.
    pub fn entry(&mut self, name: &[u8]) {
        self.texts(&[b"entry", b"(", b"name", name, b"node"]);
    }

    /// Ends the node that [`Self::entry`] has named.
    pub fn end_entry(&mut self) {
        self.text(b")");
    }

    /// Ends the open directory.
    pub fn end_directory(&mut self) {
        self.text(b")");
    }

    /// A symlink.
    pub fn symlink(&mut self, target: &[u8]) {
        self.texts(&[b"(", b"type", b"symlink", b"target", target, b")"]);
    }

    /// Begins a regular file of `size` bytes.
    pub fn begin_file(&mut self, is_executable: bool, size: u64) {
        self.texts(&[b"(", b"type", b"regular"]);
        if is_executable {
            self.texts(&[b"executable", b""]);
        }
        self.text(b"contents");
        self.raw(&size.to_le_bytes());
        self.missing = size;
        self.padding = padding(size);
    }

    /// The next piece of the open file.
    ///
    /// # Panics
    /// When it has more bytes than were announced.
    pub fn content(&mut self, piece: &[u8]) {
        let left = self.missing.checked_sub(piece.len() as u64);
        self.missing = left.expect("a file has no more bytes than its size");
        self.raw(piece);
    }

    /// Ends the open file.
    ///
    /// # Panics
    /// When bytes of it are missing.
    pub fn end_file(&mut self) {
        assert_eq!(self.missing, 0, "all of a file must be there");
        self.raw(&ZEROS[..self.padding]);
        self.text(b")");
    }

    /// The digest of the archive, once its root is complete.
    pub fn finish(self) -> NarDigest {
        NarDigest { sha256: self.hasher.finalize().into(), len: self.len }
    }

    fn texts(&mut self, texts: &[&[u8]]) {
        texts.iter().for_each(|text| self.text(text));
    }

    fn text(&mut self, text: &[u8]) {
        let size = text.len() as u64;
        self.raw(&size.to_le_bytes());
        self.raw(text);
        self.raw(&ZEROS[..padding(size)]);
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        self.hasher.update(bytes);
    }
}

impl Default for NarHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for NarDigest {
    /// The digest in hexadecimal, as Nix takes it where it says so itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sha256.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

const ZEROS: [u8; 8] = [0; 8];

fn padding(size: u64) -> usize {
    (size.wrapping_neg() % 8) as usize
}
