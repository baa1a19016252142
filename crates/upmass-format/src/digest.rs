//! The fs-verity digest, computed in a stream (`spec/object-id.md`).

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use crate::ObjectId;

/// The block size of the Merkle tree, in bytes.
pub const BLOCK_SIZE: usize = 4096;

const DIGEST_SIZE: usize = 32;
const DIGESTS_PER_BLOCK: usize = BLOCK_SIZE / DIGEST_SIZE;
const DESCRIPTOR_SIZE: usize = 256;
const DESCRIPTOR_VERSION: u8 = 1;
const DESCRIPTOR_SHA256: u8 = 1;
const DESCRIPTOR_LOG_BLOCK_SIZE: u8 = 12;

/// Computes the object id of content that arrives in pieces of any size.
///
/// Memory: one block, and one block of digests per level of the tree (at most 8 levels).
#[derive(Clone, Default)]
pub struct ObjectHasher {
    block: Vec<u8>,
    levels: Vec<Vec<u8>>,
    len: u64,
}

impl ObjectHasher {
    /// Starts with empty content.
    pub fn new() -> Self {
        Self::default()
    }

    /// The id of `content`.
    pub fn hash(content: &[u8]) -> ObjectId {
        let mut hasher = Self::new();
        hasher.update(content);
        hasher.finish()
    }

    /// Appends `content`.
    pub fn update(&mut self, mut content: &[u8]) {
        self.len += content.len() as u64;
        if !self.block.is_empty() {
            let take = content.len().min(BLOCK_SIZE - self.block.len());
            self.block.extend_from_slice(&content[..take]);
            content = &content[take..];
            if self.block.len() < BLOCK_SIZE {
                return;
            }
            let digest = block_digest(&self.block);
            self.block.clear();
            self.push(0, digest);
        }
        let mut blocks = content.chunks_exact(BLOCK_SIZE);
        for block in &mut blocks {
            self.push(0, block_digest(block));
        }
        self.block.extend_from_slice(blocks.remainder());
    }

    /// Appends `count` blocks of zeros without reading them. Content so far must end at a
    /// block boundary.
    ///
    /// # Panics
    /// When the content so far ends inside a block.
    pub fn update_zero_blocks(&mut self, count: u64) {
        assert!(self.block.is_empty(), "zero blocks must start at a block boundary");
        self.len += count * BLOCK_SIZE as u64;
        for _ in 0..count {
            self.push(0, *ZERO_BLOCK_DIGEST);
        }
    }

    /// The number of bytes so far.
    pub fn content_len(&self) -> u64 {
        self.len
    }

    /// The id of all content so far.
    pub fn finish(mut self) -> ObjectId {
        let root = self.root();
        let mut descriptor = [0u8; DESCRIPTOR_SIZE];
        descriptor[0] = DESCRIPTOR_VERSION;
        descriptor[1] = DESCRIPTOR_SHA256;
        descriptor[2] = DESCRIPTOR_LOG_BLOCK_SIZE;
        descriptor[8..16].copy_from_slice(&self.len.to_le_bytes());
        descriptor[16..16 + DIGEST_SIZE].copy_from_slice(&root);
        ObjectId::from_bytes(Sha256::digest(descriptor).into())
    }

    fn root(&mut self) -> [u8; DIGEST_SIZE] {
        if self.len == 0 {
            return [0; DIGEST_SIZE];
        }
        if !self.block.is_empty() {
            self.block.resize(BLOCK_SIZE, 0);
            let digest = block_digest(&self.block);
            self.push(0, digest);
        }
        let mut level = 0;
        loop {
            let is_top = level + 1 == self.levels.len();
            let full = &mut self.levels[level];
            if is_top && full.len() == DIGEST_SIZE {
                return full[..].try_into().expect("a level of one digest");
            }
            if !full.is_empty() {
                full.resize(BLOCK_SIZE, 0);
                let digest = block_digest(full);
                full.clear();
                self.push(level + 1, digest);
            }
            level += 1;
        }
    }

    /// Adds a digest to a level. A level is emptied only when one more digest arrives, so that
    /// the topmost level always holds at least one.
    fn push(&mut self, level: usize, digest: [u8; DIGEST_SIZE]) {
        if level == self.levels.len() {
            self.levels.push(Vec::with_capacity(BLOCK_SIZE));
        }
        if self.levels[level].len() == DIGESTS_PER_BLOCK * DIGEST_SIZE {
            let parent = block_digest(&self.levels[level]);
            self.levels[level].clear();
            self.push(level + 1, parent);
        }
        self.levels[level].extend_from_slice(&digest);
    }
}

static ZERO_BLOCK_DIGEST: LazyLock<[u8; DIGEST_SIZE]> =
    LazyLock::new(|| block_digest(&[0; BLOCK_SIZE]));

fn block_digest(block: &[u8]) -> [u8; DIGEST_SIZE] {
    Sha256::digest(block).into()
}
