//! Patterns for absolute paths: `*`, `?` and `[…]`, each within one name.
//!
//! Names are bytes here, not text, as in a tree; this is why no crate is used.

use std::fmt;

use upmass_format::Name;

/// An absolute path in which names may be patterns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    text: String,
    parts: Vec<Part>,
}

/// One name of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Exactly this name.
    Literal(Name),
    /// Any name that matches.
    Wild(Vec<Token>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Byte(u8),
    /// `?`
    Any,
    /// `*`
    Many,
    /// `[a-z_]` or `[!a-z_]`
    Class {
        negated: bool,
        ranges: Vec<(u8, u8)>,
    },
}

impl PathPattern {
    /// Reads a pattern, or says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let below = text
            .strip_prefix('/')
            .ok_or("an absolute path, since it is looked up in the running system")?;
        let parts = below.split('/').map(part).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), parts })
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Part {
    /// Whether a name matches. As in a shell, a leading dot must be written.
    pub(super) fn matches(&self, name: &Name) -> bool {
        match self {
            Part::Literal(literal) => literal == name,
            Part::Wild(tokens) => {
                let name = name.as_bytes();
                let hidden = name[0] == b'.' && tokens.first() != Some(&Token::Byte(b'.'));
                !hidden && matches(tokens, name)
            }
        }
    }
}

fn part(text: &str) -> Result<Part, &'static str> {
    let tokens = tokens(text.as_bytes())?;
    let literal: Option<Vec<u8>> = tokens
        .iter()
        .map(|token| match token {
            Token::Byte(byte) => Some(*byte),
            _ => None,
        })
        .collect();
    match literal {
        Some(bytes) => Name::new(bytes)
            .map(Part::Literal)
            .ok_or("a path of names of 1 to 255 bytes, without . and .."),
        None => Ok(Part::Wild(tokens)),
    }
}

fn tokens(text: &[u8]) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        tokens.push(match first {
            b'?' => Token::Any,
            b'*' if rest.first() == Some(&b'*') => {
                return Err("a pattern without **: each * stays within one name");
            }
            b'*' => Token::Many,
            b'[' => {
                let (class, after) = class(rest)?;
                rest = after;
                class
            }
            b'\\' => {
                let (escaped, after) =
                    rest.split_first().ok_or("a pattern with a character after each \\")?;
                rest = after;
                Token::Byte(*escaped)
            }
            byte => Token::Byte(*byte),
        });
    }
    Ok(tokens)
}

/// Reads `a-z_]…` after its `[`. A `]` that comes first belongs to the class.
fn class(text: &[u8]) -> Result<(Token, &[u8]), &'static str> {
    const OPEN: &str = "a pattern with a ] after each [; \\[ stands for [ itself";
    let negated = matches!(text.first(), Some(b'!' | b'^'));
    let body = &text[usize::from(negated)..];
    let len = 1 + body.iter().skip(1).position(|byte| *byte == b']').ok_or(OPEN)?;
    let (mut members, after) = (&body[..len], &body[len + 1..]);
    let mut ranges = Vec::new();
    while let [from, rest @ ..] = members {
        let (to, rest) = match rest {
            [b'-', to, rest @ ..] => (to, rest),
            _ => (from, rest),
        };
        if from > to {
            return Err("a pattern in which each range of [ ] ascends, as in [a-z]");
        }
        ranges.push((*from, *to));
        members = rest;
    }
    Ok((Token::Class { negated, ranges }, after))
}

/// Goes back to the last `*` only: what an earlier one took need never be given back.
fn matches(tokens: &[Token], name: &[u8]) -> bool {
    let (mut token, mut byte) = (0, 0);
    let mut last_many = None;
    loop {
        match tokens.get(token) {
            Some(Token::Many) => {
                token += 1;
                last_many = Some((token, byte));
                continue;
            }
            Some(one) if byte < name.len() && one.takes(name[byte]) => {
                token += 1;
                byte += 1;
                continue;
            }
            None if byte == name.len() => return true,
            _ => {}
        }
        match &mut last_many {
            Some((after, taken)) if *taken < name.len() => {
                *taken += 1;
                (token, byte) = (*after, *taken);
            }
            _ => return false,
        }
    }
}

impl Token {
    fn takes(&self, byte: u8) -> bool {
        match self {
            Token::Byte(expected) => *expected == byte,
            Token::Any => true,
            Token::Many => false,
            Token::Class { negated, ranges } => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&byte)) != *negated
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(pattern: &str, matching: &[&str], other: &[&str]) {
        let pattern = PathPattern::new(&format!("/{pattern}")).unwrap();
        let [part] = pattern.parts() else { panic!("{pattern} is one name") };
        for (names, expected) in [(matching, true), (other, false)] {
            for name in names {
                assert_eq!(part.matches(&Name::new(*name).unwrap()), expected, "{pattern} {name}");
            }
        }
    }

    #[test]
    fn names_match_as_in_a_shell() {
        check("vmlinuz", &["vmlinuz"], &["vmlinuz-6", "vmlinu"]);
        check("vmlinuz-*", &["vmlinuz-6.1", "vmlinuz-"], &["vmlinuz", "xvmlinuz-1"]);
        check("*", &["a", "a.b", "ü"], &[".a"]);
        check(".*", &[".a", ".."].map(|n| if n == ".." { ".b" } else { n }), &["a"]);
        check("?mg", &["img"], &["mg", "iimg", ".mg"]);
        check("*-system-*", &["x-system-1", "-system-"], &["x-system", "system-1"]);
        check("a*b*c", &["abc", "aXbYc", "abcbc"], &["ab", "abcb", "ac"]);
        check("[a-cx]1", &["a1", "b1", "x1"], &["d1", "-1", "1"]);
        check("[!a-c]1", &["d1", "]1"], &["a1", ".1"]);
        check("[]x]", &["]", "x"], &["["]);
        check("[a-]", &["a", "-"], &["b"]);
        check(r"\*\[", &["*["], &["a["]);
        check("[*]", &["*"], &["a"]);
    }

    #[test]
    fn a_bad_pattern_is_told() {
        let bad = |text: &str| PathPattern::new(text).unwrap_err();
        assert!(bad("boot/x").starts_with("an absolute path"));
        assert!(bad("/boot/").starts_with("a path of names"));
        assert!(bad("/").starts_with("a path of names"));
        assert!(bad("/a/../b").starts_with("a path of names"));
        assert!(bad("/a//b").starts_with("a path of names"));
        assert!(bad("/**/b").starts_with("a pattern without **"));
        assert!(bad("/[ab").starts_with("a pattern with a ]"));
        assert!(bad("/[]").starts_with("a pattern with a ]"));
        assert!(bad("/[").starts_with("a pattern with a ]"));
        assert!(bad("/[!").starts_with("a pattern with a ]"));
        assert!(bad("/[z-a]").starts_with("a pattern in which each range"));
        assert!(bad("/a\\").starts_with("a pattern with a character"));
    }

    /// What matching means, without any cleverness.
    fn plainly(tokens: &[Token], name: &[u8]) -> bool {
        match tokens.split_first() {
            None => name.is_empty(),
            Some((Token::Many, rest)) => {
                (0..=name.len()).any(|taken| plainly(rest, &name[taken..]))
            }
            Some((token, rest)) => name
                .split_first()
                .is_some_and(|(byte, name)| token.takes(*byte) && plainly(rest, name)),
        }
    }

    proptest! {
        #[test]
        fn matching_gives_what_the_plain_recursion_gives(
            pattern in "[ab*?]{1,8}",
            name in "[ab]{1,10}",
        ) {
            prop_assume!(!pattern.contains("**"));
            let tokens = tokens(pattern.as_bytes()).unwrap();
            prop_assert_eq!(matches(&tokens, name.as_bytes()), plainly(&tokens, name.as_bytes()));
        }

        #[test]
        fn no_pattern_panics(pattern in "\\PC{0,20}") {
            let _ = PathPattern::new(&pattern);
            let _ = PathPattern::new(&format!("/{pattern}"));
        }
    }
}
