//! How Nix names store paths.

use sha2::{Digest, Sha256};

use super::OUT;
use crate::nix::{ALPHABET, HASH_LEN};

/// The hash in the name of a store path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StoreHash([u8; 20]);

impl StoreHash {
    /// As it is in the name: five bits for each digit, the last bits first.
    pub(super) fn digits(&self) -> String {
        let digit = |index: usize| {
            let bit = index * 5;
            let next = self.0.get(bit / 8 + 1).copied().unwrap_or(0);
            let wide = u16::from(next) << 8 | u16::from(self.0[bit / 8]);
            char::from(ALPHABET[usize::from(wide >> (bit % 8) & 31)])
        };
        (0..HASH_LEN).rev().map(digit).collect()
    }
}

/// The path of an output that is named after its derivation.
pub(super) fn built(store: &str, digest: &[u8; 32], derivation: &str, output: &str) -> StoreHash {
    let name = output_name(derivation, output);
    store_path(store, &format!("output:{output}"), &hex(digest), &name)
}

/// The path of an output that is named after its content.
pub(super) fn fixed(store: &str, method: &str, hash: &str, name: &str) -> StoreHash {
    if method == "r:sha256" {
        return store_path(store, "source", hash, name);
    }
    let inner = Sha256::digest(format!("fixed:out:{method}:{hash}:"));
    store_path(store, "output:out", &hex(&inner), name)
}

fn store_path(store: &str, kind: &str, hash: &str, name: &str) -> StoreHash {
    let digest = Sha256::digest(format!("{kind}:sha256:{hash}:{store}:{name}"));
    let mut folded = [0; 20];
    digest.iter().enumerate().for_each(|(index, byte)| folded[index % 20] ^= byte);
    StoreHash(folded)
}

/// The name of a store path behind its hash.
pub(super) fn output_name(derivation: &str, output: &str) -> String {
    match output == OUT {
        true => derivation.to_owned(),
        false => format!("{derivation}-{output}"),
    }
}

/// The name up to its version: up to the first `-` that no letter follows.
pub(super) fn package(name: &str) -> &str {
    let bytes = name.as_bytes();
    let dash = (0..bytes.len()).find(|at| {
        bytes[*at] == b'-' && bytes.get(at + 1).is_some_and(|byte| !byte.is_ascii_alphabetic())
    });
    &name[..dash.unwrap_or(name.len())]
}

/// Whether this is of the characters that Nix allows in names.
pub(super) fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte);
    !name.is_empty() && name.bytes().all(allowed)
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_what_comes_before_the_version() {
        for (name, expected) in [
            ("glibc-2.36", "glibc"),
            ("gcc-wrapper-12.3.0", "gcc-wrapper"),
            ("x", "x"),
            ("perl5.38-URI-5.21", "perl5.38-URI"),
            ("unit-a.service", "unit-a.service"),
            ("a--b", "a"),
            ("-1", ""),
            ("a-", "a-"),
        ] {
            assert_eq!(package(name), expected, "{name}");
        }
    }
}
