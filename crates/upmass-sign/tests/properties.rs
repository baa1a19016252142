//! Arbitrary bytes never panic, and what is written is read back.

mod common;

use common::{PASSWORD, message, read_secret};
use proptest::prelude::*;
use upmass_sign::{
    Comment, FileDigest, KdfCost, KeyId, Minisig, PublicKey, SecretKey, SecretKeyFile,
};

prop_compose! {
    fn any_key()(seed: [u8; 32], id: [u8; 8]) -> SecretKey {
        SecretKey::from_seed(KeyId::new(id), &seed)
    }
}

fn any_comment() -> impl Strategy<Value = Comment> {
    "[^\\p{Cc}]{0,250}".prop_map(|text| Comment::new(&text).unwrap())
}

/// Files that have the right words, lengths and characters more often than by chance.
fn any_file() -> impl Strategy<Value = Vec<u8>> {
    let base64 = prop_oneof![Just(56), Just(88), Just(100), Just(212), 0..300_usize]
        .prop_flat_map(|len| prop::collection::vec(prop::sample::select(BASE64), len));
    let line = prop_oneof![
        Just(b"untrusted comment: x".to_vec()),
        Just(b"trusted comment: x".to_vec()),
        prop::collection::vec(any::<u8>(), 0..40),
        base64.clone(),
        base64.prop_map(|tail| [b"RWQ".as_slice(), &tail].concat()),
    ];
    let end = prop::sample::select(vec!["\n", "\r\n", "\r", ""]);
    prop::collection::vec((line, end), 0..6).prop_map(|lines| {
        let lines = lines.iter().map(|(line, end)| [line, end.as_bytes()].concat());
        lines.collect::<Vec<_>>().concat()
    })
}

const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

proptest! {
    #[test]
    fn no_file_makes_a_reader_panic(file in any_file()) {
        let _ = PublicKey::from_file(&file);
        let _ = String::from_utf8_lossy(&file).parse::<PublicKey>();
        let _ = SecretKeyFile::from_file(&file);
        let _ = Minisig::from_file(&file);
    }

    #[test]
    fn keys_are_read_as_written(key in any_key(), comment in any_comment()) {
        let public = key.public_key();
        prop_assert_eq!(PublicKey::from_file(public.to_file().as_bytes()), Ok(public.clone()));
        prop_assert_eq!(public.to_string().parse(), Ok(public.clone()));
        prop_assert_eq!(public.id().to_string().parse(), Ok(public.id()));
        prop_assert_eq!(read_secret(key.to_file(&comment).as_bytes()), Ok(key));
    }

    #[test]
    fn a_locked_key_is_opened_by_its_password(
        key in any_key(),
        comment in any_comment(),
        salt: [u8; 32],
        operations in 0..1_u64 << 16,
        memory in 0..1_u64 << 21,
    ) {
        let cost = KdfCost::new(operations, memory).unwrap();
        let file = key.to_locked_file(&comment, PASSWORD, &salt, cost).unwrap();
        prop_assert_eq!(read_secret(file.as_bytes()), Ok(key));
    }

    #[test]
    fn signatures_are_read_as_written(
        key in any_key(),
        trusted in any_comment(),
        untrusted in any_comment(),
    ) {
        let message = message();
        for signature in [
            Minisig::sign(&key, &FileDigest::of(&message), &trusted),
            Minisig::sign_legacy(&key, &message, &trusted),
        ] {
            let read = Minisig::from_file(signature.to_file(&untrusted).as_bytes());
            prop_assert_eq!(read.as_ref(), Ok(&signature));
            let verified = signature.verify(&key.public_key(), &message).unwrap();
            prop_assert_eq!(verified.trusted_comment(), trusted.as_str());
        }
    }
}
