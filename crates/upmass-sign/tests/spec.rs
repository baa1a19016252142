//! The tables of `spec/minisign-files.md` against files that minisign wrote.

mod common;

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};
use common::{read_secret, vector};
use upmass_sign::{KdfCost, MAX_FILE_LEN, Minisig, PublicKey};

const SPEC: &str = include_str!("../spec/minisign-files.md");

/// Cuts the second line of a file into the fields that the spec's table of this section names.
fn fields(section: &str, file: &[u8]) -> BTreeMap<&'static str, Vec<u8>> {
    let table = SPEC.split("\n## ").find(|text| text.starts_with(section));
    let rows = table.unwrap().lines().filter_map(|line| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        let offset: usize = cells.next()?.parse().ok()?;
        let size = cells.next()?.parse().unwrap_or(0);
        Some((offset, size, cells.nth(1)?))
    });

    let line = file.split(|&byte| byte == b'\n').nth(1).unwrap();
    let mut buffer = [0; 212];
    let bytes = Base64::decode(line, &mut buffer).unwrap();
    let mut fields = BTreeMap::new();
    let mut at = 0;
    for (offset, size, name) in rows {
        assert_eq!(offset, at, "{section}: {name} follows the field before");
        fields.insert(name, bytes[offset..offset + size].to_vec());
        at += size;
    }
    assert_eq!(at, bytes.len(), "{section}: the table covers the layout");
    assert_eq!(fields.remove("end"), Some(vec![]));
    fields
}

#[test]
fn public_key() {
    let file = vector("minisign/unlocked.pub");
    let key = PublicKey::from_file(&file).unwrap();
    let fields = fields("Public key", &file);
    assert_eq!(fields["algorithm"], b"Ed");
    assert_eq!(fields["key id"], key.id().as_bytes());
    assert_eq!(fields["public key"], key.as_bytes());
}

#[test]
fn secret_key() {
    let file = vector("minisign/password-removed.key");
    let key = read_secret(&file).unwrap();
    let fields = fields("Secret key", &file);
    let cost = KdfCost::new(1 << 20, 1 << 25).unwrap();
    assert_eq!(fields["algorithm"], b"Ed");
    assert_eq!(fields["password hash"], [0, 0]);
    assert_eq!(fields["checksum algorithm"], b"B2");
    assert_eq!(fields["operations"], cost.operations().to_le_bytes());
    assert_eq!(fields["memory"], cost.memory().to_le_bytes());
    assert_eq!(fields["key id"], key.id().as_bytes());
    assert_eq!(fields["public key"], key.public_key().as_bytes());
    let seed = fields["seed"].as_slice().try_into().unwrap();
    assert_eq!(upmass_sign::SecretKey::from_seed(key.id(), seed), key);
}

#[test]
fn signature() {
    let file = vector("minisign/prehashed.minisig");
    let fields = fields("Signature", &file);
    assert_eq!(fields["algorithm"], b"ED");
    assert_eq!(fields["key id"], Minisig::from_file(&file).unwrap().by().as_bytes());
    assert_eq!(fields["signature"].len(), 64);
}

#[test]
fn limits() {
    let max = KdfCost::MINISIGN;
    for sentence in [
        format!("A file is at most {MAX_FILE_LEN} bytes long."),
        format!("| at most {} (2^25) |", max.operations()),
        format!("| at most {} (2^30) |", max.memory()),
        format!("comments of at most {} bytes", upmass_sign::Comment::MAX_LEN),
    ] {
        assert!(SPEC.contains(&sentence), "{sentence}");
    }
}

#[test]
fn worked_example() {
    let file = vector("upmass/unlocked.pub");
    let indented = String::from_utf8(file).unwrap().replace('\n', "\n    ");
    assert!(SPEC.contains(indented.trim_end()));
}
