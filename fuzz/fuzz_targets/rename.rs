//! Tables of names, and contents renamed with any table: whole, in parts, and in a stream.

#![no_main]

#[path = "fixture/mod.rs"]
mod fixture;

use fixture::Input;
use libfuzzer_sys::fuzz_target;
use upmass_delta::patch::Base;
use upmass_delta::rename::{Renamed, Renamer};
use upmass_format::rename::{MIN_TOKEN, Renames, Token};
use upmass_format::wire::Reader;

/// How many components the old release has.
const COMPONENTS: usize = 200;

fuzz_target!(|data: &[u8]| {
    let mut input = Reader::new(data);
    let hashes = &mut Reader::new(std::io::repeat(0));
    if let Ok(table) = Renames::read(&mut input, hashes, COMPONENTS) {
        let mut again = Vec::new();
        table.put(&mut again, &mut Vec::new());
        assert_eq!(again, data[..input.offset() as usize], "a table has one encoding");
    }

    let mut input = Input(data);
    let count = input.byte() % 8;
    let mut tokens: Vec<Token> = (0..count)
        .map(|_| (input.run().to_vec(), input.run().to_vec()))
        .filter(|(old, _)| (MIN_TOKEN..256).contains(&old.len()))
        .collect();
    tokens.sort();
    tokens.dedup_by(|a, b| a.0 == b.0);
    let content = input.0;
    let renamer = Renamer::new(tokens);
    let mut written = Vec::new();
    renamer.write(&content, &mut written).expect("content in memory");
    assert_eq!(renamer.rename(content).unwrap_or_else(|| content.to_vec()), written);
    let places = renamer.places(&content, usize::MAX).expect("in memory").expect("no limit");
    let renamed = Renamed::new(content, &renamer, places);
    assert_eq!(renamed.len(), written.len() as u64);
    for start in (0..written.len()).step_by(37) {
        let mut part = vec![0; (written.len() - start).min(50)];
        renamed.read_exact_at(&mut part, start as u64).expect("within the content");
        assert_eq!(part, written[start..][..part.len()]);
    }
});
