//! Measures the search for store hashes: `cargo run --release --example scan_speed [FILE...]`.

#[allow(dead_code, reason = "the search alone is measured")]
#[path = "../src/nix/scan.rs"]
mod scan;

use std::time::Instant;

use scan::{Hash, KnownHashes};
use upmass_format::nix::HASH_LEN;

fn main() -> std::io::Result<()> {
    let mut random = random_bytes();
    let alphabet = b"0123456789abcdfghijklmnpqrsvwxyz";
    let hashes: Vec<Hash> = (0..20_000)
        .map(|_| std::array::from_fn(|_| alphabet[usize::from(random() % HASH_LEN as u8)]))
        .collect();
    let known = KnownHashes::new(&hashes);

    let files: Vec<String> = std::env::args().skip(1).collect();
    let mut content = Vec::new();
    for file in &files {
        content.extend(std::fs::read(file)?);
    }
    measure(&known, "the files", &content);
    measure(&known, "zeros", &vec![0; SIZE]);
    measure(&known, "random bytes", &(0..SIZE).map(|_| random()).collect::<Vec<u8>>());
    let words = b"The quick brown fox jumps over the lazy dog. ";
    measure(&known, "words", &words.iter().cycle().take(SIZE).copied().collect::<Vec<u8>>());
    let run = (0..SIZE).map(|_| alphabet[usize::from(random() % HASH_LEN as u8)]);
    measure(&known, "only letters of the alphabet", &run.collect::<Vec<u8>>());
    Ok(())
}

fn measure(known: &KnownHashes, what: &str, content: &[u8]) {
    if content.is_empty() {
        return;
    }
    // The best of some runs, in the pieces that files are read in.
    let best = (0..5).map(|_| {
        let start = Instant::now();
        let mut scan = known.scan();
        content.chunks(1 << 18).for_each(|piece| scan.feed(piece));
        assert_eq!(scan.found().count(), 0);
        start.elapsed()
    });
    let seconds = best.min().unwrap_or_default().as_secs_f64();
    let megabytes = content.len() as f64 / 1e6;
    println!("{what}: {megabytes:.0} MB at {:.0} MB/s", megabytes / seconds);
}

/// Bytes without order (xorshift64*).
fn random_bytes() -> impl FnMut() -> u8 {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
    }
}

const SIZE: usize = 64 << 20;
