//! What several of these tests need. Each test is a crate of its own and uses a part of it.
#![allow(dead_code, missing_docs)]

use upmass_sign::{Comment, Error, KeyId, SecretKey, SecretKeyFile};

/// Returns a file of `tests/vectors`, which a README there explains.
pub fn vector(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The file that the signatures in `tests/vectors` are of.
pub fn message() -> Vec<u8> {
    vector("message.txt")
}

/// The password of the locked keys in `tests/vectors`.
pub const PASSWORD: &[u8] = b"correct horse";

/// The key of `tests/vectors/upmass`: the seed of RFC 8032 TEST 1, and a memorable id.
pub fn key() -> SecretKey {
    let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let id = KeyId::new(0x0123_4567_89AB_CDEF_u64.to_le_bytes());
    SecretKey::from_seed(id, &seed.try_into().unwrap())
}

pub fn comment(text: &str) -> Comment {
    Comment::new(text).unwrap()
}

/// Reads a secret key file, unlocking it if it is locked.
pub fn read_secret(file: &[u8]) -> Result<SecretKey, Error> {
    match SecretKeyFile::from_file(file)? {
        SecretKeyFile::Unlocked(key) => Ok(key),
        SecretKeyFile::Locked(locked) => locked.unlock(PASSWORD),
    }
}

pub fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
