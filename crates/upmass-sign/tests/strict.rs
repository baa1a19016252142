//! Keys and signatures which a lenient verifier accepts and which nobody honestly made.

mod common;

use common::key;
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Verifier, VerifyingKey};
use sha2::{Digest, Sha512};
use upmass_sign::{Error, KeyId, PublicKey, Signature};

const MESSAGE: &[u8] = b"not signed by anybody";
const ID: KeyId = KeyId::new([7; 8]);

fn is_refused(key: &[u8; 32]) -> bool {
    PublicKey::new(ID, key) == Err(Error::UnusableKey { id: ID })
}

/// Encodes p + y, with the sign bit on top: for y < 19 a second encoding of the coordinate y.
fn second_encoding(y: u8, sign: u8) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed + y;
    bytes[31] = 0x7f | sign << 7;
    bytes
}

#[test]
fn a_key_of_small_order_is_refused() {
    for point in EIGHT_TORSION {
        let key = point.compress().to_bytes();
        assert!(is_refused(&key), "{key:02x?}");
        // Why: with it, [S]B is a good R for one message in eight at least, for any S.
        let lenient = VerifyingKey::from_bytes(&key).unwrap();
        let forged = (1..100_u8).any(|s| {
            let s = Scalar::from(s);
            let r = curve25519_dalek::EdwardsPoint::mul_base(&s).compress();
            let signature = [r.to_bytes(), s.to_bytes()].concat().try_into().unwrap();
            let signature = ed25519_dalek::Signature::from_bytes(&signature);
            lenient.verify(MESSAGE, &signature).is_ok()
        });
        assert!(forged, "{key:02x?}");
    }
}

#[test]
fn a_key_in_a_second_encoding_is_refused() {
    let signs = [0, 1];
    let mut keys: Vec<_> =
        (0..19).flat_map(|y| signs.map(|sign| second_encoding(y, sign))).collect();
    // x = 0 has no negative, so the sign bit makes a second encoding of y = 1 and y = -1.
    for y in [0, 4] {
        let mut key = EIGHT_TORSION[y].compress().to_bytes();
        key[31] |= 0x80;
        keys.push(key);
    }
    for key in &keys {
        assert!(is_refused(key), "{key:02x?}");
    }
    // The reader of dalek takes 26 of them, and its `verify_strict` only finds those of small order.
    let points = keys.iter().filter_map(|key| VerifyingKey::from_bytes(key).ok());
    let weak: Vec<_> = points.map(|key| key.is_weak()).collect();
    assert_eq!((weak.len(), weak.iter().filter(|&&weak| weak).count()), (26, 6));
}

#[test]
fn bytes_that_are_no_point_are_no_key() {
    let no_point = (0..).map(|y| {
        let mut key = [0; 32];
        key[0] = y;
        key
    });
    let no_point = no_point.filter(|key| CompressedEdwardsY(*key).decompress().is_none()).take(10);
    for key in no_point {
        assert!(is_refused(&key), "{key:02x?}");
    }
}

#[test]
fn a_signature_with_r_of_small_order_is_refused() {
    let key = key();
    let public = key.public_key();
    let lenient = VerifyingKey::from_bytes(public.as_bytes()).unwrap();
    let secret = ed25519_dalek::SigningKey::from_bytes(&seed()).to_scalar();
    for (r, lenient_accepts) in [
        // The identity, and a second encoding of it.
        (EIGHT_TORSION[0].compress().to_bytes(), true),
        (second_encoding(1, 0), false),
    ] {
        // S = k * a solves [S]B = R + [k]A for R = 0.
        let k = Sha512::new()
            .chain_update(r)
            .chain_update(public.as_bytes())
            .chain_update(MESSAGE)
            .finalize();
        let s = Scalar::from_bytes_mod_order_wide(&k.into()) * secret;
        let bytes = [r, s.to_bytes()].concat().try_into().unwrap();
        let signature = ed25519_dalek::Signature::from_bytes(&bytes);
        assert_eq!(lenient.verify(MESSAGE, &signature).is_ok(), lenient_accepts);
        assert_eq!(
            public.verify(MESSAGE, &Signature::new(bytes)),
            Err(Error::BadSignature { by: public.id() })
        );
    }
}

#[test]
fn a_signature_has_no_second_form() {
    let key = key();
    let signature = *key.sign(MESSAGE).as_bytes();
    // S + L verifies where S is not compared with L.
    let mut other = signature;
    let mut carry = 0;
    for (byte, l) in other[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(l) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert_eq!(
        Scalar::from_bytes_mod_order(*other.last_chunk().unwrap()).as_bytes(),
        signature.last_chunk().unwrap()
    );
    let public = key.public_key();
    assert!(public.verify(MESSAGE, &Signature::new(signature)).is_ok());
    assert_eq!(
        public.verify(MESSAGE, &Signature::new(other)),
        Err(Error::BadSignature { by: public.id() })
    );
}

fn seed() -> [u8; 32] {
    common::hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
        .try_into()
        .unwrap()
}

/// The order of the group (RFC 8032, section 5.1), little-endian.
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];
