//! The shape of the files, what is said of a wrong one, and what is never said.

mod common;

use common::{comment, key, message, vector};
use upmass_sign::{
    Comment, Error, Expected, FileDigest, FileHasher, FileKind, Found, KdfCost, KeyId,
    MAX_FILE_LEN, Minisig, PublicKey, SecretKeyFile,
};

const PUBLIC: &str = "RWTvzauJZ0UjAddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";

const COMMENT: Expected = Expected::Comment { prefix: "untrusted comment: ", max: 1022 };

fn shape<T>(file: FileKind, line: u32, expected: Expected, found: Found) -> Result<T, Error> {
    Err(Error::Shape { file, line, expected, found })
}

#[test]
fn a_public_key_file_has_two_lines() {
    let read = |file: String| PublicKey::from_file(file.as_bytes());
    let key = Ok(key().public_key());
    assert_eq!(read(format!("untrusted comment: \n{PUBLIC}\n")), key);
    assert_eq!(read(format!("untrusted comment: ours\r\n{PUBLIC}\r\n")), key);
    assert_eq!(read(format!("untrusted comment: ours\n{PUBLIC}")), key);

    let check = |file: String, line, expected, found| {
        let expected = shape(FileKind::PublicKey, line, expected, found);
        assert_eq!(read(file.clone()), expected, "{file}");
    };
    let base64 = Expected::Base64 { characters: 56 };
    check(String::new(), 1, COMMENT, Found::Nothing);
    check("\n".to_owned(), 1, COMMENT, Found::OtherWords);
    check(PUBLIC.to_owned(), 1, COMMENT, Found::OtherWords);
    check("untrusted comment: ours".to_owned(), 2, base64, Found::Nothing);
    check("untrusted comment: ours\n\n".to_owned(), 2, base64, Found::Bytes(0));
    check(format!("untrusted comment: ours\n {PUBLIC}\n"), 2, base64, Found::Bytes(57));
    check(
        format!("untrusted comment: ours\n{}\n", PUBLIC.replace('+', "-")),
        2,
        base64,
        Found::NotBase64,
    );
    let end = Expected::End;
    check(format!("untrusted comment: ours\n{PUBLIC}\n\n"), 3, end, Found::Bytes(0));
    check(
        format!("untrusted comment: {}\n{PUBLIC}\n", "x".repeat(1004)),
        1,
        COMMENT,
        Found::Bytes(1023),
    );
}

#[test]
fn the_text_of_a_public_key_is_one_line() {
    let key = key().public_key();
    assert_eq!(key.to_string(), PUBLIC);
    assert_eq!(PUBLIC.parse(), Ok(key.clone()));
    assert_eq!(format!("{PUBLIC}\n").parse(), Ok(key));
    assert_eq!(
        "RWT".parse::<PublicKey>(),
        shape(FileKind::PublicKey, 1, Expected::Base64 { characters: 56 }, Found::Bytes(3))
    );
}

#[test]
fn files_are_not_taken_for_each_other() {
    let public = vector("upmass/unlocked.pub");
    let secret = vector("upmass/unlocked.key");
    let signature = vector("upmass/prehashed.minisig");
    let base64 = |characters| Expected::Base64 { characters };
    let (in_public, in_secret, in_signature) =
        (Found::Bytes(56), Found::Bytes(212), Found::Bytes(100));

    let check = |file: &[u8], found| {
        let read = PublicKey::from_file(file);
        assert_eq!(read, shape(FileKind::PublicKey, 2, base64(56), found));
    };
    check(&secret, in_secret);
    check(&signature, in_signature);
    let check = |file: &[u8], found| {
        let read = SecretKeyFile::from_file(file).map(|_| ());
        assert_eq!(read, shape(FileKind::SecretKey, 2, base64(212), found));
    };
    check(&public, in_public);
    check(&signature, in_signature);
    let check = |file: &[u8], found| {
        let read = Minisig::from_file(file);
        assert_eq!(read, shape(FileKind::Signature, 2, base64(100), found));
    };
    check(&public, in_public);
    check(&secret, in_secret);
}

#[test]
fn a_trusted_comment_is_printable() {
    let read = |comment: &[u8]| {
        let file = vector("upmass/prehashed.minisig");
        let mut lines: Vec<_> = file.split(|&byte| byte == b'\n').collect();
        let line = [b"trusted comment: ", comment].concat();
        lines[2] = &line;
        Minisig::from_file(&lines.join(&b'\n')).map(|_| ())
    };
    let refused = |found| {
        let (prefix, max) = ("trusted comment: ", 8190);
        shape(FileKind::Signature, 3, Expected::Comment { prefix, max }, found)
    };
    assert_eq!(read(b""), Ok(()));
    assert_eq!(read("tab\tand Überraschung 衛星".as_bytes()), Ok(()));
    assert_eq!(read(&[b'x'; 8173]), Ok(()));
    assert_eq!(read(&[b'x'; 8174]), refused(Found::Bytes(8191)));
    for unprintable in
        [b"\x1b[2J".as_slice(), b"\0", b"a\rb", b"\x7f", b"\xc2\x9b", b"\xff", b"\xc3"]
    {
        assert_eq!(read(unprintable), refused(Found::NotText), "{unprintable:?}");
    }
}

#[test]
fn no_valid_file_is_longer_than_promised() {
    let file = String::from_utf8(vector("upmass/prehashed.minisig")).unwrap();
    let mut lines: Vec<_> = file.lines().map(str::to_owned).collect();
    lines[0] = format!("{:x<1022}", lines[0]);
    lines[2] = format!("{:x<8190}", lines[2]);
    let longest = lines.join("\r\n") + "\r\n";
    assert_eq!(longest.len(), MAX_FILE_LEN);
    assert!(Minisig::from_file(longest.as_bytes()).is_ok());
}

#[test]
fn an_unknown_algorithm_is_named() {
    // "Ee", as the first two bytes of the second line.
    let unknown = |name: &str| {
        let file = String::from_utf8(vector(name)).unwrap();
        file.replacen("\nRW", "\nRX", 1).into_bytes()
    };
    let expected =
        |file, expected, found| Error::Unsupported { file, what: "the algorithm", expected, found };
    assert_eq!(
        PublicKey::from_file(&unknown("upmass/unlocked.pub")),
        Err(expected(FileKind::PublicKey, "\"Ed\" (Ed25519)", *b"Et"))
    );
    assert_eq!(
        SecretKeyFile::from_file(&unknown("upmass/unlocked.key")).unwrap_err(),
        expected(FileKind::SecretKey, "\"Ed\" (Ed25519)", *b"Et")
    );
    let known = "\"ED\" (prehashed Ed25519) or \"Ed\" (legacy)";
    assert_eq!(
        Minisig::from_file(&unknown("upmass/legacy.minisig")),
        Err(expected(FileKind::Signature, known, *b"Et"))
    );
}

#[test]
fn errors_are_sentences_that_tell_what_to_do() {
    let check = |error: Error, expected: &str| assert_eq!(error.to_string(), expected);
    let read = |file: &[u8]| PublicKey::from_file(file).unwrap_err();
    check(
        read(b"untrusted comment: ours\n"),
        "line 2 of the public key should be 56 characters of base64, but the file ends before it",
    );
    check(
        read(PUBLIC.as_bytes()),
        "line 1 of the public key should be \"untrusted comment: …\" of at most 1022 bytes, \
         but begins with other words",
    );
    check(
        read(format!("untrusted comment: ours\n{PUBLIC}\nmore").as_bytes()),
        "line 3 of the public key should be absent, but has 4 bytes",
    );
    check(
        Error::Unsupported {
            file: FileKind::SecretKey,
            what: "the password hash",
            expected: "\"Sc\" (scrypt) or none",
            found: *b"A\n",
        },
        "the secret key uses the password hash \"A\\n\", but only \"Sc\" (scrypt) or none is supported",
    );
    check(
        Error::OtherKey { expected: KeyId::new([1; 8]), found: KeyId::new([2; 8]) },
        "the signature is by key 0202020202020202, but was checked with key 0101010101010101",
    );
}

#[test]
fn a_comment_is_one_printable_line() {
    assert_eq!(comment("Überraschung\t衛星").as_str(), "Überraschung\t衛星");
    assert!(Comment::new(&"x".repeat(Comment::MAX_LEN)).is_ok());
    let too_long = "x".repeat(Comment::MAX_LEN + 1);
    for text in ["two\nlines", "\r", "\0", "\x1b[2J", "\u{9b}2J", &too_long] {
        let expected = Error::CommentText { max: 1003, len: text.len() };
        assert_eq!(Comment::new(text), Err(expected));
    }
}

#[test]
fn a_password_can_be_typed() {
    let lock = |password: &[u8]| {
        let cost = KdfCost::new(0, 0).unwrap();
        let file = key().to_locked_file(&comment(""), password, &[0; 32], cost);
        file.map(|_| ())
    };
    let refused = |len| Err(Error::PasswordText { max: 1022, len });
    assert_eq!(lock(&[b'x'; 1022]), Ok(()));
    assert_eq!(lock(&[b'x'; 1023]), refused(1023));
    assert_eq!(lock(b""), refused(0));
    assert_eq!(lock(b"secret\n"), refused(7));
    assert_eq!(lock(b"sec\0ret"), refused(7));
}

#[test]
fn a_key_id_is_the_number_that_minisign_prints() {
    let id = KeyId::new([0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01]);
    assert_eq!(id.to_string(), "0123456789ABCDEF");
    for text in ["0123456789ABCDEF", "123456789ABCDEF", "0123456789abcdef"] {
        assert_eq!(text.parse(), Ok(id));
    }
    for text in ["", "+1", "-1", "0x1", "1 ", "00123456789ABCDEF", "é"] {
        assert_eq!(text.parse::<KeyId>(), Err(Error::KeyIdText), "{text}");
    }
}

#[test]
fn the_digest_of_a_file_is_computed_piece_by_piece() {
    let file: Vec<u8> = (0..1000_u32).map(|i| i as u8).collect();
    for size in [1, 127, 128, 129, 1000] {
        let mut hasher = FileHasher::new();
        file.chunks(size).for_each(|piece| hasher.update(piece));
        assert_eq!(hasher.finish(), FileDigest::of(&file));
    }
}

#[test]
fn a_secret_key_is_never_printed() {
    assert_eq!(format!("{:?}", key()), "SecretKey(0123456789ABCDEF …)");
    assert_eq!(format!("{:#?}", key()), "SecretKey(0123456789ABCDEF …)");
    let locked = SecretKeyFile::from_file(&vector("upmass/locked.key")).unwrap();
    assert_eq!(
        format!("{locked:?}"),
        "Locked(LockedSecretKey { cost: KdfCost { operations: 1048576, memory: 33554432 }, .. })"
    );
    // Nor by an error, though the key stands where a comment should.
    let file = vector("upmass/unlocked.key");
    let line = file.split(|&byte| byte == b'\n').nth(1).unwrap();
    let error = SecretKeyFile::from_file(line).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("RWQ"));
}

#[test]
fn a_secret_key_is_cleared_when_it_is_dropped() {
    fn clears<T: zeroize::ZeroizeOnDrop>() {}
    clears::<upmass_sign::SecretKey>();
}

#[test]
fn a_proof_names_the_key() {
    let proof = key().public_key().verify(&message(), &key().sign(&message()));
    assert_eq!(proof.unwrap().by(), key().id());
}
