//! Files that were made once and have to stay readable for good; see `tests/vectors/README.md`.

mod common;

use common::{PASSWORD, comment, key, message, read_secret, vector};
use upmass_sign::{Error, FileDigest, KdfCost, Minisig, PublicKey, SecretKeyFile};

/// Reads both files of a key and checks that they are of one key with this id.
fn check_key(name: &str, id: &str) {
    let public = PublicKey::from_file(&vector(&format!("{name}.pub"))).unwrap();
    let secret = read_secret(&vector(&format!("{name}.key"))).unwrap();
    assert_eq!(public.id().to_string(), id);
    assert_eq!(secret.public_key(), public);
}

/// Verifies a signature of `message.txt`.
fn check_signature(public: &str, name: &str, is_legacy: bool, trusted_comment: &str) {
    let public = PublicKey::from_file(&vector(public)).unwrap();
    let signature = Minisig::from_file(&vector(name)).unwrap();
    assert_eq!(signature.is_legacy(), is_legacy);
    assert_eq!(signature.by(), public.id());

    let verified = signature.verify(&public, &message()).unwrap();
    assert_eq!(verified.trusted_comment(), trusted_comment);
    assert_eq!(verified.proof().by(), public.id());
    let expected = match is_legacy {
        true => Err(Error::NeedsWholeFile),
        false => Ok(verified),
    };
    let digest = FileDigest::of(&message());
    assert_eq!(signature.verify_digest(&public, &digest), expected);
}

#[test]
fn keys_of_minisign_are_read() {
    check_key("minisign/unlocked", "BF27FB03BB97452C");
    check_key("minisign/locked", "1608EEE0120A8AD2");
    check_key("minisign/locked-cheap", "E75D543C588B4BB0");
}

#[test]
fn a_key_of_minisign_is_read_after_its_password_was_removed() {
    let locked = read_secret(&vector("minisign/locked-cheap.key")).unwrap();
    let unlocked = SecretKeyFile::from_file(&vector("minisign/password-removed.key")).unwrap();
    assert!(matches!(unlocked, SecretKeyFile::Unlocked(key) if key == locked));
}

#[test]
fn keys_of_rust_minisign_are_read() {
    check_key("rust-minisign/unlocked", "885FD99B5567F7E3");
    check_key("rust-minisign/locked", "29177A50BFA32315");
}

#[test]
fn our_keys_are_read() {
    check_key("upmass/unlocked", "0123456789ABCDEF");
    check_key("upmass/locked", "0123456789ABCDEF");
}

#[test]
fn signatures_of_minisign_are_verified() {
    let public = "minisign/unlocked.pub";
    check_signature(public, "minisign/prehashed.minisig", false, "trusted, prehashed");
    check_signature(public, "minisign/legacy.minisig", true, "trusted, legacy");
    let comment = "timestamp:1795259452\tfile:message.txt\thashed";
    check_signature(public, "minisign/defaults.minisig", false, comment);
}

#[test]
fn signatures_of_rust_minisign_are_verified() {
    check_signature(
        "rust-minisign/unlocked.pub",
        "rust-minisign/prehashed.minisig",
        false,
        "trusted, prehashed",
    );
}

#[test]
fn our_signatures_are_verified() {
    let public = "upmass/unlocked.pub";
    check_signature(public, "upmass/prehashed.minisig", false, "trusted, prehashed");
    check_signature(public, "upmass/legacy.minisig", true, "trusted, legacy");
}

#[test]
fn what_we_write_never_changes() {
    let key = key();
    let check = |name: &str, written: &str| assert_eq!(written.as_bytes(), vector(name), "{name}");

    check("upmass/unlocked.pub", &key.public_key().to_file());
    check("upmass/locked.pub", &key.public_key().to_file());
    check("upmass/unlocked.key", &key.to_file(&comment("test key")));
    let salt = std::array::from_fn(|i| i as u8);
    let cost = KdfCost::new(1 << 20, 1 << 25).unwrap();
    let locked = key.to_locked_file(&comment("test key"), PASSWORD, &salt, cost);
    check("upmass/locked.key", &locked.unwrap());

    let digest = FileDigest::of(&message());
    let prehashed = Minisig::sign(&key, &digest, &comment("trusted, prehashed"));
    check("upmass/prehashed.minisig", &prehashed.to_file(&comment("not trusted")));
    let legacy = Minisig::sign_legacy(&key, &message(), &comment("trusted, legacy"));
    check("upmass/legacy.minisig", &legacy.to_file(&comment("not trusted")));
}

#[test]
fn unlocking_costs_what_minisign_chose() {
    for (name, cost) in [
        ("minisign/locked.key", KdfCost::MINISIGN),
        ("minisign/locked-cheap.key", KdfCost::new(1 << 20, 1 << 25).unwrap()),
        ("rust-minisign/locked.key", KdfCost::new(1 << 20, 1 << 25).unwrap()),
    ] {
        match SecretKeyFile::from_file(&vector(name)).unwrap() {
            SecretKeyFile::Locked(locked) => assert_eq!(locked.cost(), cost, "{name}"),
            SecretKeyFile::Unlocked(_) => panic!("{name} is locked"),
        }
    }
}

#[test]
fn a_wrong_password_opens_nothing() {
    let file = vector("upmass/locked.key");
    let Ok(SecretKeyFile::Locked(locked)) = SecretKeyFile::from_file(&file) else {
        panic!("the key is locked");
    };
    assert_eq!(locked.unlock(PASSWORD), Ok(key()));
    for password in ["", "correct horsf", "correct horse\n", "correct hors"] {
        assert_eq!(locked.unlock(password.as_bytes()), Err(Error::Password));
    }
}

#[test]
fn a_signature_is_of_one_file_by_one_key() {
    let public = key().public_key();
    let other = PublicKey::from_file(&vector("minisign/unlocked.pub")).unwrap();
    let same_id = PublicKey::new(public.id(), other.as_bytes()).unwrap();
    for name in ["upmass/prehashed.minisig", "upmass/legacy.minisig"] {
        let signature = Minisig::from_file(&vector(name)).unwrap();
        let check = |key, file: &[u8], expected| {
            assert_eq!(signature.verify(key, file), Err(expected), "{name}");
        };
        let bad = Error::BadSignature { by: public.id() };
        check(&public, b"another file", bad.clone());
        check(&same_id, &message(), bad);
        check(&other, &message(), Error::OtherKey { expected: other.id(), found: public.id() });
    }
}

#[test]
fn a_trusted_comment_belongs_to_its_signature() {
    // The comment with its signature, of another file or kind.
    let prehashed = String::from_utf8(vector("upmass/prehashed.minisig")).unwrap();
    let legacy = String::from_utf8(vector("upmass/legacy.minisig")).unwrap();
    let [prehashed, legacy] = [&prehashed, &legacy].map(|file| file.lines().collect::<Vec<_>>());
    let public = key().public_key();
    for lines in [
        [&prehashed[..2], &legacy[2..]].concat(),
        [&prehashed[..2], &legacy[2..3], &prehashed[3..]].concat(),
        [&legacy[..3], &prehashed[3..]].concat(),
    ] {
        let signature = Minisig::from_file(lines.join("\n").as_bytes()).unwrap();
        assert_eq!(
            signature.verify(&public, &message()),
            Err(Error::BadComment { by: public.id() })
        );
    }
}
