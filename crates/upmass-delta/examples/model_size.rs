//! `model_size OLD NEW [few]`: how many bytes a patch of coder 2 takes, and for what.

use std::time::Instant;

use upmass_delta::align::{align, ways};
use upmass_delta::modelled::{Contexts, Decoder, Encoder, Kind, Sizes};

fn main() {
    let mut paths = std::env::args_os().skip(1);
    let [old, new] = [(); 2].map(|()| {
        let path = paths.next().expect("usage: model_size OLD NEW");
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    });
    let start = Instant::now();
    let copies = align(&old, &new);
    let found = start.elapsed();
    let ways = ways(&copies, &&old[..], &&new[..]).expect("in memory");
    let operations = &ways[0];
    let literal: u64 = operations.iter().filter(|o| o.kind == Kind::Literal).map(|o| o.len).sum();
    let start = Instant::now();
    let mut sizes = Sizes::USUAL;
    if std::env::args_os().nth(3).is_some_and(|word| word == "few") {
        sizes.contexts = Contexts::Few;
    }
    let mut encoder = Encoder::with_sizes(sizes);
    encoder.cheapest(&&old[..], &&new[..], &ways).expect("encodes");
    let spent = encoder.spent();
    let coded = encoder.finish();
    let encoded = start.elapsed();
    for (section, bytes) in spent {
        println!("{:8} {:>10.0}", section.word(), bytes);
    }
    println!(
        "total {}; {} operations, {literal} literal; find {found:.2?}, encode {encoded:.2?}",
        coded.len(),
        operations.len()
    );
    let mut out = Vec::new();
    let start = Instant::now();
    Decoder::new(&coded[..]).patch(&&old[..], new.len() as u64, &mut out).expect("decodes");
    assert!(out == new, "decoded content differs");
    println!("decoded in {:.2?}", start.elapsed());
}
