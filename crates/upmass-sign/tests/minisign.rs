//! Both ways with the `minisign` command: what we write it uses, and what it writes we use.

mod common;

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use common::{PASSWORD, comment, hex, message, read_secret};
use tempfile::TempDir;
use upmass_sign::{
    Comment, Error, FileDigest, KdfCost, KeyId, Minisig, PublicKey, SecretKey, SecretKeyFile,
};

/// A directory in which minisign works, with the message in `message`.
struct Minisign {
    dir: TempDir,
}

impl Minisign {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("message"), message()).unwrap();
        Minisign { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Runs minisign, with `typed` where it asks for passwords.
    fn try_run(&self, arguments: &[&str], typed: &[u8]) -> Output {
        let child = Command::new("minisign")
            .args(arguments)
            .current_dir(self.dir.path())
            .env("HOME", self.dir.path())
            .env_remove("MINISIGN_CONFIG_DIR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = match child {
            Err(error) if error.kind() == ErrorKind::NotFound => panic!(
                "minisign is not installed, and this test is about it; run ./setup, which installs it"
            ),
            child => child.unwrap(),
        };
        // minisign may end without having read what was typed; its status tells then.
        let _ = child.stdin.take().unwrap().write_all(typed);
        child.wait_with_output().unwrap()
    }

    /// Runs minisign, which has to succeed, and returns what it printed.
    fn run(&self, arguments: &[&str], typed: &[u8]) -> String {
        let output = self.try_run(arguments, typed);
        assert!(output.status.success(), "minisign {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Has minisign sign `message`, prehashed and legacy, and verifies what it wrote.
    fn sign_and_check(&self, public: &PublicKey, typed: &[u8]) {
        for kind in [[].as_slice(), &["-l"]] {
            let arguments = ["-S", "-s", "key", "-m", "message", "-t", "so be it"];
            self.run(&[&arguments, kind].concat(), typed);
            let signature = Minisig::from_file(&self.read("message.minisig")).unwrap();
            assert_eq!(signature.is_legacy(), !kind.is_empty());
            let verified = signature.verify(public, &message()).unwrap();
            assert_eq!(verified.trusted_comment(), "so be it");
        }
    }

    /// Signs `message`, prehashed and legacy, and has minisign verify it.
    fn check_signatures_of(&self, key: &SecretKey, trusted: &Comment, untrusted: &Comment) {
        let digest = FileDigest::of(&message());
        for (signature, is_new) in [
            (Minisig::sign(key, &digest, trusted), true),
            (Minisig::sign_legacy(key, &message(), trusted), false),
        ] {
            self.write("message.minisig", &signature.to_file(untrusted));
            let printed = self.run(&["-V", "-Q", "-p", "pub", "-m", "message"], b"");
            assert_eq!(printed, format!("{trusted}\n"));
            let strict = self.try_run(&["-V", "-H", "-p", "pub", "-m", "message"], b"");
            assert_eq!(strict.status.success(), is_new);

            let text = key.public_key().to_string();
            self.run(&["-V", "-P", &text, "-m", "message"], b"");
            self.write("changed", "The mass that must be carried down.\n");
            let changed = ["-V", "-p", "pub", "-m", "changed", "-x", "message.minisig"];
            assert!(!self.try_run(&changed, b"").status.success());
        }
    }
}

/// A key that minisign did not make, and whose id has no leading zero.
fn key() -> SecretKey {
    let seed = hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    SecretKey::from_seed(KeyId::new([0xa5; 8]), &seed.try_into().unwrap())
}

fn cheap() -> KdfCost {
    KdfCost::new(1 << 15, 1 << 20).unwrap()
}

/// What someone types: the password, as often as minisign asks.
fn typed(times: usize) -> Vec<u8> {
    [PASSWORD, b"\n"].concat().repeat(times)
}

#[test]
fn minisign_signs_with_our_unlocked_key() {
    let minisign = Minisign::new();
    minisign.write("key", &key().to_file(&comment("made by Upmass")));
    minisign.sign_and_check(&key().public_key(), b"");
}

#[test]
fn minisign_signs_with_our_locked_key() {
    let minisign = Minisign::new();
    let file = key().to_locked_file(&comment("made by Upmass"), PASSWORD, &[9; 32], cheap());
    minisign.write("key", &file.unwrap());
    minisign.sign_and_check(&key().public_key(), &typed(1));

    let wrong = minisign.try_run(&["-S", "-s", "key", "-m", "message"], b"battery staple\n");
    assert!(!wrong.status.success());
}

#[test]
fn minisign_opens_our_key_with_the_longest_password() {
    let minisign = Minisign::new();
    let password = [b'x'; 1022];
    let file = key().to_locked_file(&comment(""), &password, &[9; 32], cheap());
    minisign.write("key", &file.unwrap());
    minisign.sign_and_check(&key().public_key(), &[&password[..], b"\n"].concat());
}

#[test]
fn minisign_makes_the_public_key_file_that_we_make() {
    let minisign = Minisign::new();
    minisign.write("key", &key().to_file(&comment("made by Upmass")));
    minisign.run(&["-R", "-s", "key", "-p", "pub"], b"");
    assert_eq!(minisign.read("pub"), key().public_key().to_file().as_bytes());
}

#[test]
fn a_key_is_the_same_after_minisign_removed_our_password() {
    let minisign = Minisign::new();
    let file = key().to_locked_file(&comment("made by Upmass"), PASSWORD, &[9; 32], cheap());
    minisign.write("key", &file.unwrap());
    minisign.run(&["-C", "-W", "-s", "key"], &typed(1));
    let read = SecretKeyFile::from_file(&minisign.read("key")).unwrap();
    assert!(matches!(read, SecretKeyFile::Unlocked(read) if read == key()));
}

#[test]
fn minisign_verifies_what_we_sign() {
    let minisign = Minisign::new();
    minisign.write("pub", &key().public_key().to_file());
    minisign.check_signatures_of(&key(), &comment("trusted"), &comment("untrusted"));
    minisign.check_signatures_of(&key(), &comment(""), &comment(""));
    minisign.check_signatures_of(&key(), &comment("衛星\tÜ"), &comment("衛星\tÜ"));
    let longest = comment(&"x".repeat(Comment::MAX_LEN));
    minisign.check_signatures_of(&key(), &longest, &longest);
}

#[test]
fn minisign_verifies_what_we_sign_with_its_unlocked_key() {
    let minisign = Minisign::new();
    minisign.run(&["-G", "-W", "-p", "pub", "-s", "key"], b"");
    let key = read_secret(&minisign.read("key")).unwrap();
    assert_eq!(PublicKey::from_file(&minisign.read("pub")), Ok(key.public_key()));
    minisign.check_signatures_of(&key, &comment("trusted"), &comment("untrusted"));
    minisign.sign_and_check(&key.public_key(), b"");
}

/// The one test here at minisign's own cost: 1 GiB and some seconds, for it and then for us.
#[test]
fn we_open_a_key_that_minisign_locked() {
    let minisign = Minisign::new();
    minisign.write("key", &key().to_file(&comment("made by Upmass")));
    minisign.run(&["-C", "-s", "key"], &typed(2));
    let SecretKeyFile::Locked(locked) = SecretKeyFile::from_file(&minisign.read("key")).unwrap()
    else {
        panic!("the key is locked");
    };
    assert_eq!(locked.unlock(PASSWORD), Ok(key()));
}

#[test]
fn we_refuse_a_trusted_comment_that_was_changed_and_so_does_minisign() {
    let minisign = Minisign::new();
    minisign.write("key", &key().to_file(&comment("made by Upmass")));
    minisign.write("pub", &key().public_key().to_file());
    minisign.sign_and_check(&key().public_key(), b"");
    let file = String::from_utf8(minisign.read("message.minisig")).unwrap();
    let file = file.replace("so be it", "so be us");
    let signature = Minisig::from_file(file.as_bytes()).unwrap();
    assert_eq!(
        signature.verify(&key().public_key(), &message()),
        Err(Error::BadComment { by: key().id() })
    );
    minisign.write("message.minisig", &file);
    let output = minisign.try_run(&["-V", "-p", "pub", "-m", "message"], b"");
    assert!(!output.status.success());
}
