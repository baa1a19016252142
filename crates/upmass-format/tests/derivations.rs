//! Derivations: the specification against the code, names that Nix gave, and damage.

mod common;

use common::damage::{Cut, check};
use common::markdown::{Hex, Spec};
use common::vectors;
use upmass_format::FormatError;
use upmass_format::derivations::{
    self, Derivations, DerivationsWriter, DerivedNames, Piece, Recipe, Run,
};
use upmass_format::wire::{Reader, put_varint};

const SPEC: Spec = Spec(include_str!("../spec/derivations.md"));
/// What Nix 2.8 calls the outputs of the worked example.
const NAMES: [&str; 3] = [
    "maq1q2963mr7ppn1bll9sb1ykcylhrma-buoy-1.2.tar.gz",
    "s9zbrss1xzc7bvmmhs66hwhr1ac6v3an-buoy-1.2-dev",
    "3fcgak7x33aaqlvp79biii314sp95dki-buoy-1.2",
];

fn text(text: &str) -> Piece {
    Piece::Text(text.as_bytes().to_vec())
}

/// A source and a library, as the worked example has them.
fn recipes() -> [(Recipe, Vec<String>); 2] {
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let hash = (0..32).map(|at| u8::from_str_radix(&hash[2 * at..2 * at + 2], 16).unwrap());
    let source = Recipe::Fixed("buoy-1.2.tar.gz".into(), "sha256".into(), hash.collect());
    let library = Recipe::Built {
        name: "buoy-1.2".into(),
        outputs: vec!["dev".into(), "out".into()],
        inputs: vec![(0, vec![0])],
        rest: vec![
            text(
                ",[],\"any\",\"/bin/sh\",[\"-c\",\"make\"],[(\"builder\",\"/bin/sh\"),(\"dev\",\"",
            ),
            Piece::Own(0),
            text("\"),(\"name\",\"buoy-1.2\"),(\"out\",\""),
            Piece::Own(1),
            text("\"),(\"outputs\",\"out dev\"),(\"src\",\"/nix/store/"),
            Piece::Mention(0, 0),
            text("\"),(\"system\",\"any\")])"),
        ],
    };
    let names = NAMES.map(str::to_owned);
    [(source, names[..1].to_vec()), (library, names[1..].to_vec())]
}

fn example() -> Vec<u8> {
    let mut writer = DerivationsWriter::new("/nix/store");
    for (index, (recipe, names)) in recipes().iter().enumerate() {
        assert_eq!(writer.add(recipe, names), Ok(Some(index)));
    }
    writer.finish()
}

#[test]
fn limits_and_example() {
    SPEC.check_numbers(
        "Limits",
        &[
            ("version", derivations::VERSION.into()),
            ("file, bytes", derivations::MAX_LEN),
            ("derivations", derivations::MAX_DERIVATIONS),
            ("names and outputs together, bytes", derivations::MAX_TEXTS),
            ("name or output, bytes", derivations::MAX_DERIVATION_NAME as u64),
            ("outputs of a derivation", derivations::MAX_OUTPUTS),
            ("text of all pieces of a derivation, mentions included, bytes", derivations::MAX_TEXT),
            ("pieces of a derivation", derivations::MAX_PIECES),
            ("hash, bytes", derivations::MAX_HASH as u64),
            ("store directory, bytes", derivations::MAX_STORE as u64),
        ],
    );
    let bytes = example();
    let golden = vectors::golden("derivations/small.bin", || bytes.clone());
    assert_eq!(Hex(&golden), Hex(&bytes));
    SPEC.check_example("Worked example", &bytes);
    let layout = SPEC.layout("Layout");
    assert_eq!(layout[0], (0, 4, "magic".to_owned()));
    assert_eq!(layout[1], (4, 1, "version".to_owned()));
    assert_eq!(bytes[..4], derivations::MAGIC);
    for name in NAMES {
        assert!(SPEC.section("Names of the worked example").contains(name), "{name}");
    }
    for word in [derivations::COMPONENT, derivations::FILE] {
        assert!(SPEC.0.contains(&format!("`{word}`")));
    }
    let read = Derivations::read(&golden[..]).unwrap();
    assert_eq!(read.names().collect::<Vec<_>>(), NAMES);
    assert_eq!(read.outputs(), 3);
}

#[test]
fn a_derivation_that_makes_other_names_is_not_added() {
    let [(source, names), library] = recipes();
    let mut writer = DerivationsWriter::new("/other/store");
    assert_eq!(writer.add(&source, &names), Ok(None), "the store directory is in the name");
    assert_eq!(writer.count(), 0);
    let mut writer = DerivationsWriter::new("/nix/store");
    assert_eq!(writer.add(&source, &library.1), Ok(None));
    assert_eq!(writer.add(&source, &names), Ok(Some(0)));
    assert_eq!(writer.add(&library.0, &library.1), Ok(Some(1)));
    assert_eq!(writer.finish(), example(), "what was not added leaves no trace");
}

/// Whoever reads a file computes; so it is read, and given back as it was.
fn again(bytes: &[u8]) -> upmass_format::Result<Vec<u8>> {
    Derivations::read(bytes).map(|_| bytes.to_vec())
}

#[test]
fn damaged_derivations_are_refused_or_are_others() {
    check(&example(), Cut::Refused, again);
    let whole = Derivations::read(&example()[..]).unwrap();
    let mut others = 0;
    common::damage::each_flipped_bit(&example(), |damaged, at| {
        if let Ok(read) = Derivations::read(damaged) {
            others += 1;
            assert_ne!(read, whole, "byte {at}: {}", damaged[at]);
        }
    });
    assert!(others > 500, "most of it is text: {others}");
}

#[test]
fn what_passes_a_limit_is_refused_before_it_is_held() {
    let front = |count: u64| {
        let mut bytes = [&derivations::MAGIC[..], &[derivations::VERSION, 1, b'/']].concat();
        put_varint(&mut bytes, count);
        bytes
    };
    let limit = |bytes: &[u8]| match Derivations::read(bytes) {
        Err(FormatError::TooLarge { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(limit(&front(derivations::MAX_DERIVATIONS + 1)), "number of derivations");
    let named = |more: &[u8]| [&front(1)[..], &[1, b'a'], more].concat();
    let built = |text: u64| {
        let mut bytes = named(&[1, 3, b'o', b'u', b't', 0, 1]);
        put_varint(&mut bytes, 2 * text);
        bytes
    };
    assert_eq!(limit(&built(derivations::MAX_TEXT + 1)), "text of a derivation");
    assert_eq!(limit(&built(1 << 60)), "text of a derivation");
    let cut = Derivations::read(&built(derivations::MAX_TEXT)[..]);
    assert!(matches!(cut, Err(FormatError::Truncated { .. })), "{cut:?}");
    // Mentions are short in the file and long in the text.
    let mut many = named(&[1, 3, b'o', b'u', b't', 0]);
    put_varint(&mut many, derivations::MAX_PIECES + 1);
    assert_eq!(limit(&many), "number of pieces");
    let mut names = front(derivations::MAX_DERIVATIONS);
    for _ in 0..derivations::MAX_TEXTS / derivations::MAX_DERIVATION_NAME as u64 + 1 {
        put_varint(&mut names, derivations::MAX_DERIVATION_NAME as u64);
        names.extend([b'a'; derivations::MAX_DERIVATION_NAME]);
        names.extend([0, 3, b'm', b'd', b'5', 0]);
    }
    assert_eq!(limit(&names), "names of derivations");
}

#[test]
fn what_is_no_derivation_is_refused() {
    let cases: [(&str, &[u8]); 9] = [
        ("a name with a slash", &[3, b'a', b'/', b'b', 0]),
        ("no name", &[0, 0]),
        ("no algorithm", &[1, b'a', 0, 2, b'r', b':', 1, 0]),
        ("another method", &[1, b'a', 0, 4, b't', b'e', b':', b'x', 1, 0]),
        ("outputs that descend", &[1, b'a', 2, 1, b'o', 1, b'd', 0, 0]),
        ("an input that is not there", &[1, b'a', 1, 1, b'o', 1, 1, b'a', 0, 1, 0, 0]),
        ("a mention of what is no output", &[1, b'a', 1, 1, b'o', 0, 1, 3]),
        ("text behind text", &[1, b'a', 1, 1, b'o', 0, 2, 2, b'x', 2, b'y']),
        ("empty text", &[1, b'a', 1, 1, b'o', 0, 1, 0]),
    ];
    for (what, derivation) in cases {
        let bytes = [&derivations::MAGIC[..], &[1, 1, b'/', 1], derivation].concat();
        let read = Derivations::read(&bytes[..]);
        let is_refused =
            matches!(read, Err(FormatError::Invalid { .. } | FormatError::TooLarge { .. }));
        assert!(is_refused, "{what}: {read:?}");
    }
}

#[test]
fn damaged_runs_are_refused_or_other_runs() {
    let runs = [Run { old: 0, new: 3, len: 2 }, Run { old: 7, new: 1, len: 1 }];
    let mut bytes = Vec::new();
    DerivedNames::new(runs.to_vec()).put(&mut bytes);
    assert_eq!(bytes, [2, 0, 6, 2, 5, 7, 1]);
    check(&bytes, Cut::Refused, |bytes| {
        let mut input = Reader::new(bytes);
        let runs = DerivedNames::read(&mut input, 8, 5)?;
        input.expect_end("runs")?;
        let mut out = Vec::new();
        runs.put(&mut out);
        Ok(out)
    });
}
