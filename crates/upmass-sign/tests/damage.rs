//! Every prefix and every flipped bit of the files: nothing panics, and nothing passes for what it
//! is not. Where a damaged file is still accepted, the test says which bytes may be damaged, and why.

mod common;

use std::ops::Range;

use base64ct::{Base64, Encoding};
use common::{comment, key, message, read_secret, vector};
use upmass_sign::{
    Error, FileDigest, KdfCost, KeyId, Minisig, PublicKey, SecretKey, SecretKeyFile,
};

const COMMENT_PREFIX: &[u8] = b"untrusted comment: ";

/// Calls `check` with each copy of `file` that has one bit flipped, and the place of the bit's byte.
fn each_flipped_bit(file: &[u8], mut check: impl FnMut(&[u8], usize)) {
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut damaged = file.to_vec();
            damaged[at] ^= 1 << bit;
            check(&damaged, at);
        }
    }
}

/// Calls `check` with each prefix of `file` but the one that lacks only the last line's end.
fn each_prefix(file: &[u8], check: impl Fn(&[u8])) {
    assert_eq!(file.last(), Some(&b'\n'));
    (0..file.len() - 1).for_each(|end| check(&file[..end]));
}

/// Whether a byte belongs to the untrusted comment, and was not made to end its line.
fn is_in_comment(damaged: &[u8], original: &[u8], at: usize) -> bool {
    let end = original.iter().position(|&byte| byte == b'\n').unwrap();
    (COMMENT_PREFIX.len()..end).contains(&at) && damaged[at] != b'\n'
}

/// Returns the places where the decoded second lines of two key files differ, or `None` if the
/// second is not well formed.
fn decoded_difference<const N: usize>(original: &[u8], damaged: &[u8]) -> Option<Vec<usize>> {
    let decode = |file: &[u8]| {
        let line = file.strip_suffix(b"\n")?.split(|&byte| byte == b'\n').nth(1)?;
        let mut bytes = [0; N];
        Base64::decode(line, &mut bytes).ok()?;
        Some(bytes)
    };
    let (original, damaged) = (decode(original)?, decode(damaged)?);
    Some((0..N).filter(|&at| original[at] != damaged[at]).collect())
}

/// Whether there are places, and all of them in this range.
fn all_within(places: &[usize], range: Range<usize>) -> bool {
    !places.is_empty() && places.iter().all(|place| range.contains(place))
}

/// The key of these tests, locked so cheaply that it can be tried some thousand times.
fn locked_file() -> Vec<u8> {
    let cost = KdfCost::new(0, 1 << 20).unwrap();
    let file = key().to_locked_file(&comment("test key"), common::PASSWORD, &[5; 32], cost);
    file.unwrap().as_bytes().to_vec()
}

#[test]
fn a_public_key_file_that_was_cut_is_refused() {
    let file = key().public_key().to_file();
    each_prefix(file.as_bytes(), |prefix| {
        assert!(matches!(PublicKey::from_file(prefix), Err(Error::Shape { .. })));
    });
    // The end of the last line is often lost, and nothing else is missing then.
    assert_eq!(PublicKey::from_file(file.trim_end().as_bytes()), Ok(key().public_key()));
}

#[test]
fn a_public_key_file_with_a_flipped_bit_is_of_no_use() {
    let file = key().public_key().to_file();
    let digest = FileDigest::of(&message());
    let signature = Minisig::sign(&key(), &digest, &comment("trusted"));
    let mut accepted = 0;
    each_flipped_bit(file.as_bytes(), |damaged, at| {
        let read = PublicKey::from_file(damaged);
        if is_in_comment(damaged, file.as_bytes(), at) {
            assert_eq!(read, Ok(key().public_key()));
        } else if let Ok(read) = read {
            // The file has no checksum. It is the key of someone else now, or has another id.
            accepted += 1;
            assert_ne!(read, key().public_key());
            assert!(signature.verify_digest(&read, &digest).is_err());
        }
    });
    assert!(accepted > 0);
}

#[test]
fn an_unlocked_secret_key_file_that_was_cut_is_refused() {
    let file = key().to_file(&comment("test key"));
    each_prefix(file.as_bytes(), |prefix| {
        assert!(matches!(read_secret(prefix), Err(Error::Shape { .. })));
    });
    assert_eq!(read_secret(file.trim_end().as_bytes()), Ok(key()));
}

/// Flips each bit of an unlocked secret key file. `unchecked` are the places in the decoded second
/// line that nothing vouches for, where damage gives a key that is `like` the original.
fn check_unlocked(file: &[u8], unchecked: Range<usize>, like: fn(&SecretKey, &SecretKey) -> bool) {
    let original = read_secret(file).unwrap();
    each_flipped_bit(file, |damaged, at| {
        let read = read_secret(damaged);
        if is_in_comment(damaged, file, at) {
            assert_eq!(read.as_ref(), Ok(&original));
            return;
        }
        match decoded_difference::<158>(file, damaged) {
            // Salt and cost of a password that is not there.
            Some(places) if all_within(&places, 6..54) => {
                assert_eq!(read.as_ref(), Ok(&original));
            }
            Some(places) if all_within(&places, unchecked.clone()) => {
                assert!(like(&original, &read.unwrap()));
            }
            _ => assert!(read.is_err(), "byte {at}"),
        }
    });
}

#[test]
fn an_unlocked_secret_key_file_with_a_flipped_bit_is_refused() {
    let file = key().to_file(&comment("test key"));
    check_unlocked(file.as_bytes(), 0..0, |_, _| false);
    check_unlocked(&vector("rust-minisign/unlocked.key"), 0..0, |_, _| false);
    check_unlocked(&vector("minisign/password-removed.key"), 0..0, |_, _| false);
}

#[test]
fn only_the_id_is_unchecked_where_minisign_leaves_the_checksum_out() {
    check_unlocked(&vector("minisign/unlocked.key"), 54..62, |original, read| {
        read.id() != original.id()
            && read.public_key().as_bytes() == original.public_key().as_bytes()
    });
}

#[test]
fn a_locked_secret_key_file_that_was_cut_is_refused() {
    let file = locked_file();
    each_prefix(&file, |prefix| {
        let read = SecretKeyFile::from_file(prefix);
        assert!(matches!(read, Err(Error::Shape { .. })));
    });
    assert_eq!(read_secret(file.trim_ascii_end()), Ok(key()));
}

#[test]
fn a_locked_secret_key_file_with_a_flipped_bit_does_not_open() {
    let file = locked_file();
    let mut too_costly = 0;
    each_flipped_bit(&file, |damaged, at| {
        let read = SecretKeyFile::from_file(damaged);
        if is_in_comment(damaged, &file, at) {
            assert!(matches!(read, Ok(SecretKeyFile::Locked(_))));
            return;
        }
        let Ok(SecretKeyFile::Locked(locked)) = read else {
            // Read as unlocked it would not agree with its checksum.
            let error = read.unwrap_err();
            too_costly += usize::from(matches!(error, Error::KdfCost { .. }));
            return;
        };
        let places = decoded_difference::<158>(&file, damaged).unwrap();
        if all_within(&places, 38..54) {
            // Limits that give the same parameters of scrypt open the key. Raised ones take long,
            // so only some are tried.
            let cost = locked.cost();
            if cost.operations() < 1 << 18 {
                let read = locked.unlock(common::PASSWORD);
                assert!(read == Ok(key()) || read == Err(Error::Password));
            }
            return;
        }
        assert_eq!(locked.unlock(common::PASSWORD), Err(Error::Password), "byte {at}");
    });
    assert!(too_costly > 0);
}

#[test]
fn a_signature_file_that_was_cut_is_refused() {
    for name in ["upmass/prehashed.minisig", "upmass/legacy.minisig"] {
        let file = vector(name);
        each_prefix(&file, |prefix| {
            assert!(matches!(Minisig::from_file(prefix), Err(Error::Shape { .. })));
        });
        let signature = Minisig::from_file(file.trim_ascii_end()).unwrap();
        assert!(signature.verify(&key().public_key(), &message()).is_ok());
    }
}

#[test]
fn a_signature_file_with_a_flipped_bit_does_not_verify() {
    for name in ["upmass/prehashed.minisig", "upmass/legacy.minisig"] {
        let file = vector(name);
        let original = Minisig::from_file(&file).unwrap();
        let mut accepted = 0;
        each_flipped_bit(&file, |damaged, at| {
            let read = Minisig::from_file(damaged);
            if is_in_comment(damaged, &file, at) {
                assert_eq!(read.as_ref(), Ok(&original));
            } else if let Ok(read) = read {
                accepted += 1;
                assert!(read.verify(&key().public_key(), &message()).is_err(), "byte {at}");
            }
        });
        assert!(accepted > 0);
    }
}

#[test]
fn a_signature_with_a_flipped_bit_does_not_verify() {
    let signature = key().sign(&message());
    each_flipped_bit(signature.as_bytes(), |damaged, at| {
        let damaged = upmass_sign::Signature::new(damaged.try_into().unwrap());
        let verified = key().public_key().verify(&message(), &damaged);
        let by = key().id();
        assert_eq!(verified, Err(Error::BadSignature { by }), "byte {at}");
    });
    each_flipped_bit(&message(), |damaged, at| {
        assert!(key().public_key().verify(damaged, &signature).is_err(), "byte {at}");
    });
}

#[test]
fn a_key_id_says_nothing_about_the_key() {
    // Whoever needs the right id compares it, as `Minisig::verify` does.
    let renamed = PublicKey::new(KeyId::new([0; 8]), key().public_key().as_bytes()).unwrap();
    let proof = renamed.verify(&message(), &key().sign(&message())).unwrap();
    assert_eq!(proof.by(), KeyId::new([0; 8]));
}
