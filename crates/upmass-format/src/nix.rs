//! The names of Nix store paths, and what a release says of them.

/// How many characters the hash in front of a name has.
pub const HASH_LEN: usize = 32;
/// The digits of Nix's base 32, ascending.
pub const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";
/// The label of a component that names what built it: the base name of a derivation.
pub const LABEL_DERIVER: &str = "nix.deriver";
/// The label of a component that holds who vouches for it: `KEY:SIGNATURE`, several with a
/// space between.
pub const LABEL_SIGNATURES: &str = "nix.signatures";

/// Whether this is the base name of a store path: `<hash>-<name>`, of the characters that Nix
/// allows, at most 255 of them.
pub fn is_base_name(name: &[u8]) -> bool {
    let Some((hash, [b'-', rest @ ..])) = name.split_at_checked(HASH_LEN) else {
        return false;
    };
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(byte);
    is_hash(hash) && !rest.is_empty() && rest.iter().all(allowed) && name.len() <= 255
}

/// Whether these are the 32 characters of a hash.
pub fn is_hash(text: &[u8]) -> bool {
    text.len() == HASH_LEN && text.iter().all(|byte| IS_DIGIT[usize::from(*byte)])
}

/// For each byte whether it is a digit of Nix's base 32.
pub const IS_DIGIT: [bool; 256] = {
    let mut table = [false; 256];
    let mut index = 0;
    while index < ALPHABET.len() {
        table[ALPHABET[index] as usize] = true;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_leaves_out_e_o_t_u() {
        assert!(is_hash(b"zcb1cv49clrwmb9ajvihpwzdj58xdg75"));
        assert!(!is_hash(b"zcb1cv49clrwmb9ajvihpwzdj58xdg7"));
        assert!(!is_hash(b"zcb1cv49clrwmb9ajvihpwzdj58xdg7e"));
        assert!(!is_hash(b"ZCB1cv49clrwmb9ajvihpwzdj58xdg75"));
    }

    #[test]
    fn a_base_name_is_a_hash_and_a_name_of_allowed_characters() {
        let named = |rest: &str| format!("zcb1cv49clrwmb9ajvihpwzdj58xdg75{rest}");
        assert!(is_base_name(named("-openssl-3.0.20+b1_x?y=z").as_bytes()));
        for rest in ["", "-", "openssl", "-a b", "-a/b", "-a\nb", "-\u{fc}"] {
            assert!(!is_base_name(named(rest).as_bytes()), "{rest:?}");
        }
        assert!(is_base_name(named(&format!("-{}", "x".repeat(222))).as_bytes()));
        assert!(!is_base_name(named(&format!("-{}", "x".repeat(223))).as_bytes()));
    }
}
