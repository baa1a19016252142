//! Object ids are what the kernel and `fsverity digest` compute (`spec/object-id.md`).

mod common;

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::vectors;
use proptest::prelude::*;
use upmass_format::{BLOCK_SIZE, ObjectHasher, ObjectId};

const BLOCK: u64 = BLOCK_SIZE as u64;

/// A file for `fsverity` to look at; gone when dropped.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id())))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Best effort: a file that stays in the target directory does no harm.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What `fsverity digest` says of these files.
fn fsverity(files: &[&Path]) -> Vec<ObjectId> {
    let output = Command::new("fsverity").args(["digest", "--compact"]).args(files).output();
    let output = output.unwrap_or_else(|error| match error.kind() {
        ErrorKind::NotFound => {
            panic!("fsverity is not installed, and this test is about it: run ./setup")
        }
        _ => panic!("fsverity cannot be run: {error}"),
    });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.parse().expect("a digest")).collect()
}

/// Content without a period that a block or a level of the tree has.
fn patterned(len: u64) -> Vec<u8> {
    let mut state = 1_u64;
    let mut content = Vec::with_capacity(len as usize + 8);
    while content.len() < len as usize {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        content.extend_from_slice(&(state >> 16).to_le_bytes());
    }
    content.truncate(len as usize);
    content
}

/// Lengths around every size at which the tree of digests changes its shape, up to two levels.
fn lengths() -> Vec<u64> {
    let mut lengths = vec![0, 1, 31, 32, 33, 64, 65];
    for blocks in [1, 2, 127, 128, 129, 130, 256, 1000] {
        let end = blocks * BLOCK;
        lengths.extend([end - 1, end, end + 1]);
    }
    lengths
}

#[test]
fn ids_are_what_fsverity_says() {
    let contents: Vec<Vec<u8>> = lengths().into_iter().map(patterned).collect();
    let files: Vec<Temporary> = contents
        .iter()
        .map(|content| {
            let file = Temporary::new(&format!("patterned-{}", content.len()));
            std::fs::write(&file.0, content).unwrap();
            file
        })
        .collect();
    let paths: Vec<&Path> = files.iter().map(|file| file.0.as_path()).collect();
    for (content, expected) in contents.iter().zip(fsverity(&paths)) {
        assert_eq!(ObjectHasher::hash(content), expected, "{} bytes", content.len());
    }
}

#[test]
fn ids_of_large_contents_are_what_fsverity_says() {
    // Three levels of digests begin behind 128 * 128 blocks of 4 KiB: 64 MiB.
    let start = patterned(3 * BLOCK);
    for len in [128 * 128 * BLOCK - 1, 128 * 128 * BLOCK, 128 * 128 * BLOCK + 1, 129 * 128 * BLOCK]
    {
        let temporary = Temporary::new(&format!("sparse-{len}"));
        let mut file = File::create(&temporary.0).unwrap();
        file.write_all(&start).unwrap();
        file.set_len(len).unwrap();
        drop(file);
        let mut hasher = ObjectHasher::new();
        hasher.update(&start);
        let zeros = len - start.len() as u64;
        hasher.update_zero_blocks(zeros / BLOCK);
        hasher.update(&vec![0; (zeros % BLOCK) as usize]);
        assert_eq!(hasher.content_len(), len);
        assert_eq!(vec![hasher.finish()], fsverity(&[&temporary.0]), "{len} bytes");
    }
}

#[test]
fn ids_never_change() {
    let list = || {
        let lines = lengths()
            .into_iter()
            .map(|len| format!("{len} {}\n", ObjectHasher::hash(&patterned(len))));
        lines.collect::<String>().into_bytes()
    };
    let golden = vectors::golden("object_id/patterned.txt", list);
    assert_eq!(String::from_utf8(golden), String::from_utf8(list()));
}

#[test]
fn the_pieces_in_which_content_arrives_do_not_matter() {
    let content = patterned(130 * BLOCK + 77);
    let expected = ObjectHasher::hash(&content);
    for piece in [1, 31, 4095, 4096, 4097, 5000, 128 * BLOCK_SIZE + 1] {
        let mut hasher = ObjectHasher::new();
        content.chunks(piece).for_each(|piece| hasher.update(piece));
        assert_eq!(hasher.finish(), expected, "pieces of {piece}");
    }
}

#[test]
#[should_panic(expected = "zero blocks must start at a block boundary")]
fn zero_blocks_inside_a_block_are_a_mistake() {
    let mut hasher = ObjectHasher::new();
    hasher.update(b"x");
    hasher.update_zero_blocks(1);
}

/// What a store does with the runs of an object.
#[derive(Debug, Clone)]
enum Run {
    Bytes(usize),
    ZeroBlocks(u64),
}

fn any_run() -> impl Strategy<Value = Run> {
    prop_oneof![
        (0..3 * BLOCK_SIZE).prop_map(Run::Bytes),
        (0..3_usize).prop_map(|blocks| Run::Bytes(blocks * BLOCK_SIZE)),
        (0..200_u64).prop_map(Run::ZeroBlocks),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn zero_blocks_need_not_be_read(runs in prop::collection::vec(any_run(), 1..6)) {
        let mut content = Vec::new();
        let mut hasher = ObjectHasher::new();
        for run in runs {
            match run {
                Run::Bytes(len) => {
                    let bytes = patterned(len as u64);
                    hasher.update(&bytes);
                    content.extend_from_slice(&bytes);
                }
                Run::ZeroBlocks(count) => {
                    let end = content.len().next_multiple_of(BLOCK_SIZE);
                    hasher.update(&vec![0; end - content.len()]);
                    hasher.update_zero_blocks(count);
                    content.resize(end + count as usize * BLOCK_SIZE, 0);
                }
            }
            prop_assert_eq!(hasher.content_len(), content.len() as u64);
        }
        prop_assert_eq!(hasher.finish(), ObjectHasher::hash(&content));
    }
}
