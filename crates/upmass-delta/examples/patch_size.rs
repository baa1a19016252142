//! `patch_size OLD NEW`: how many bytes a patch takes, by stream, and how long finding took.

use std::time::Instant;

use upmass_delta::find::find_copies;
use upmass_delta::patch::{Decoder, Encoder};
use upmass_delta::stream::encode;
use upmass_format::payload::Stream;

fn main() {
    let mut paths = std::env::args_os().skip(1);
    let [old, new] = [(); 2].map(|()| {
        let path = paths.next().expect("usage: patch_size OLD NEW");
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    });
    let start = Instant::now();
    let copies = find_copies(&old, &new);
    let found = start.elapsed();
    let mut encoder = Encoder::new();
    encoder.window(&new, &old, 0, &copies);
    let raw = encoder.finish();
    let start = Instant::now();
    let parts = [
        (Stream::Copy, &raw.copy),
        (Stream::Residue, &raw.residue),
        (Stream::Literal, &raw.literal),
    ]
    .map(|(stream, content)| (stream, content.len(), encode(stream, content)));
    let encoded = start.elapsed();
    for (stream, len, part) in &parts {
        println!("{:8} {len:>10} -> {:>10}", stream.word(), part.bytes.len());
    }
    let total: usize = parts.iter().map(|(_, _, part)| part.bytes.len()).sum();
    println!("total {total}; {} copies; find {found:.2?}, encode {encoded:.2?}", copies.len());
    let [copy, residue, literal] = parts.each_ref().map(|(_, _, part)| &part.bytes[..]);
    let mut out = Vec::new();
    let start = Instant::now();
    let mut decoder = Decoder::new(copy, residue, literal);
    decoder.patch(&&old[..], new.len() as u64, &mut out).expect("decodes");
    assert!(out == new, "decoded content differs");
    println!("decoded in {:.2?}", start.elapsed());
}
