//! Replacing names in contents: against a search that has none of its ideas.

use std::cell::RefCell;
use std::io;

use proptest::prelude::*;
use upmass_delta::patch::Base;
use upmass_delta::rename::{Renamed, Renamer};
use upmass_format::rename::Token;

/// What renaming means: at each place the longest text, and then behind it.
fn plainly(tokens: &[Token], content: &[u8]) -> Vec<u8> {
    let is_elf = content.starts_with(b"\x7fELF");
    let (mut out, mut at) = (Vec::new(), 0);
    while at < content.len() {
        let fits = |(old, new): &&Token| {
            content[at..].starts_with(old) && (!is_elf || old.len() == new.len())
        };
        match tokens.iter().filter(fits).max_by_key(|(old, _)| old.len()) {
            Some((old, new)) => {
                out.extend_from_slice(new);
                at += old.len();
            }
            None => {
                out.push(content[at]);
                at += 1;
            }
        }
    }
    out
}

fn sorted(mut tokens: Vec<Token>) -> Vec<Token> {
    tokens.sort();
    tokens.dedup_by(|a, b| a.0 == b.0);
    tokens
}

/// All ways to rename a content give the same; all parts of it are read as they should be.
fn check(tokens: &[Token], content: &[u8], reads: &[(usize, usize)]) {
    let renamer = Renamer::new(tokens.to_vec());
    let expected = plainly(tokens, content);
    let is_changed = renamer.places(&content, usize::MAX).unwrap().is_some_and(|p| !p.is_empty());
    assert_eq!(renamer.rename(content), is_changed.then(|| expected.clone()));
    assert_eq!(renamer.occurs_in(&content).unwrap(), is_changed);
    let mut written = Vec::new();
    renamer.write(&content, &mut written).unwrap();
    assert_eq!(written, expected);
    let places = renamer.places(&content, usize::MAX).unwrap().unwrap();
    let renamed = Renamed::new(content, &renamer, places);
    assert_eq!(renamed.len(), expected.len() as u64);
    let whole = [(0, expected.len())];
    for (start, len) in reads.iter().chain(&whole) {
        let start = start % (expected.len() + 1);
        let end = expected.len().min(start + len);
        let mut buffer = vec![0; end - start];
        renamed.read_exact_at(&mut buffer, start as u64).unwrap();
        assert_eq!(buffer, expected[start..end], "{start}..{end}");
    }
}

/// Texts of few letters, so that they overlap and continue each other.
fn token() -> impl Strategy<Value = Token> {
    let letters = |len| prop::collection::vec(prop::sample::select(b"ab".to_vec()), len);
    (letters(8..14), letters(0..20))
}

/// Hashes, and hashes with names behind them.
fn store_token() -> impl Strategy<Value = Token> {
    ("[0-9a-d]{32}", "[0-9a-d]{32}", "(-[a-z]{1,6}-[0-9]\\.[0-9]{1,2})?", "(-[a-z]{1,6})?")
        .prop_map(|(old, new, rest, other)| ((old + &rest).into(), (new + &other).into()))
}

/// Texts whole and cut among other bytes.
fn content(tokens: Vec<Token>) -> impl Strategy<Value = Vec<u8>> {
    let texts: Vec<Vec<u8>> = tokens.into_iter().map(|(old, _)| old).collect();
    let whole = prop::sample::select(texts.clone());
    let cut = (prop::sample::select(texts), any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |(text, at, is_end)| {
            let at = at.index(text.len());
            if is_end { text[at..].to_vec() } else { text[..at].to_vec() }
        },
    );
    let other = prop::collection::vec(any::<u8>(), 0..40);
    let elf = Just(b"\x7fELF".to_vec());
    prop::collection::vec(prop_oneof![4 => whole, 2 => cut, 2 => other, 1 => elf], 0..30)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn texts_that_overlap_are_replaced_as_the_plain_search_does(
        (tokens, content) in prop::collection::vec(token(), 1..12).prop_map(sorted)
            .prop_flat_map(|tokens| (Just(tokens.clone()), content(tokens))),
        reads in prop::collection::vec((any::<usize>(), 0..60usize), 0..12),
    ) {
        check(&tokens, &content, &reads);
    }

    #[test]
    fn names_of_a_store_are_replaced_as_the_plain_search_does(
        (tokens, content) in prop::collection::vec(store_token(), 1..12).prop_map(sorted)
            .prop_flat_map(|tokens| (Just(tokens.clone()), content(tokens))),
        reads in prop::collection::vec((any::<usize>(), 0..300usize), 0..12),
    ) {
        check(&tokens, &content, &reads);
    }

    #[test]
    fn nothing_is_missed_where_buffers_end(
        tokens in prop::collection::vec(store_token(), 1..4).prop_map(sorted),
        offsets in prop::collection::vec(0..100usize, 1..5),
    ) {
        // Texts that cross 64 KiB, one after the other.
        let mut content = Vec::new();
        for (index, offset) in offsets.iter().enumerate() {
            content.resize((index + 1) * (1 << 16) - offset, b'.');
            content.extend_from_slice(&tokens[index % tokens.len()].0);
        }
        check(&tokens, &content, &[(1 << 16, 100), ((1 << 17) - 50, 100)]);
    }
}

fn tokens(pairs: &[(&str, &str)]) -> Vec<Token> {
    sorted(pairs.iter().map(|(old, new)| (old.as_bytes().into(), new.as_bytes().into())).collect())
}

#[test]
fn the_longest_text_wins_and_what_was_replaced_is_not_looked_at_again() {
    let table = tokens(&[
        ("hash1234", "HASH5678"),
        ("hash1234-lib-1", "HASH5678-lib-22"),
        ("HASH5678", "x"),
    ]);
    let renamer = Renamer::new(table);
    let renamed =
        |text: &str| renamer.rename(text.as_bytes()).map(|b| String::from_utf8(b).unwrap());
    assert_eq!(renamed("/hash1234-lib-1/lib").as_deref(), Some("/HASH5678-lib-22/lib"));
    assert_eq!(renamed("/hash1234-lib-/lib").as_deref(), Some("/HASH5678-lib-/lib"));
    assert_eq!(renamed("hash1234hash1234").as_deref(), Some("HASH5678HASH5678"));
    assert_eq!(renamed("HASH5678").as_deref(), Some("x"));
    assert_eq!(renamed("hash123"), None);
    assert_eq!(renamed(""), None);
}

#[test]
fn in_an_elf_file_nothing_moves() {
    let table = tokens(&[("hash1234", "HASH5678"), ("hash1234-lib-1", "HASH5678-lib-22")]);
    let renamer = Renamer::new(table);
    assert_eq!(renamer.rename(b"\x7fELF hash1234-lib-1").unwrap(), b"\x7fELF HASH5678-lib-1");
    assert_eq!(renamer.rename(b"ELF hash1234-lib-1").unwrap(), b"ELF HASH5678-lib-22");
}

#[test]
fn too_many_places_are_not_remembered() {
    let renamer = Renamer::new(tokens(&[("12345678", "8")]));
    let content = b"12345678".repeat(100);
    assert!(renamer.places(&&content[..], 99).unwrap().is_none());
    let places = renamer.places(&&content[..], 100).unwrap().unwrap();
    assert_eq!(places.len(), 100);
}

#[test]
fn an_object_that_would_be_too_short_to_be_one_stays() {
    let renamer = Renamer::new(tokens(&[("12345678", "8")]));
    let changes = |count: usize| renamer.changes_object(&&b"12345678".repeat(count)[..]).unwrap();
    assert!(!changes(64));
    assert!(changes(65));
    assert!(changes(100_000));
    assert!(!renamer.changes_object(&&[b'.'; 100_000][..]).unwrap());
}

#[test]
fn hostile_tables_take_bounded_time() {
    // Texts that all begin alike and continue each other, in a content that nearly is them.
    let texts: Vec<Token> = (8..=255).map(|len| (vec![b'a'; len], vec![b'b'; 255])).collect();
    let table = sorted(
        texts
            .iter()
            .cloned()
            .chain((0..2000).map(|number: u32| {
                ([&b"aaaaaaaa"[..], &number.to_be_bytes()].concat(), Vec::new())
            }))
            .collect(),
    );
    let renamer = Renamer::new(table.clone());
    let content = b"aaaaaaac".repeat(20_000);
    assert_eq!(renamer.rename(&content), None);
    let content = vec![b'a'; 100_000];
    assert_eq!(renamer.rename(&content).unwrap(), plainly(&table, &content));
}

#[test]
fn a_base_that_cannot_be_read_says_so() {
    struct Failing(RefCell<u32>);
    impl Base for Failing {
        fn len(&self) -> u64 {
            1 << 20
        }
        fn read_exact_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
            *self.0.borrow_mut() += 1;
            Err(io::Error::other("gone"))
        }
    }
    let renamer = Renamer::new(tokens(&[("12345678", "8")]));
    let base = Failing(RefCell::new(0));
    assert!(renamer.places(&base, 10).is_err());
    let error = renamer.write(&base, &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "reading the base failed: gone");
    assert_eq!(*base.0.borrow(), 2, "once for each");
}
