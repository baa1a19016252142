//! Patterns for paths: `*` and `?` within one name, `**` over any number, `[a-z]`, `{…}` not.

use std::fmt;

use crate::{MinifyError, Result};

/// A pattern of absolute paths. What matches a directory matches all that is below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    text: String,
    /// What every match begins with.
    prefix: Vec<u8>,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// `?`
    Any,
    /// `*`
    Many,
    /// `**`
    All,
    /// The next token, or what is after it.
    Maybe,
    /// Any characters up to and with a slash: after [`Token::Maybe`], `**/` after a slash.
    Directories,
    /// `[a-z_]` or `[!a-z_]`
    Class {
        negated: bool,
        ranges: Vec<(u8, u8)>,
    },
}

impl Glob {
    /// Reads a pattern: an absolute path, in which `*` stands for any characters of a name, `?`
    /// for one, `**` for any characters and slashes, `/**/` for any number of directories, `[a-z]` and `[!a-z]` for one byte, and `\*`
    /// for the character itself.
    pub fn new(text: &str) -> Result<Self> {
        let wrong = |expected| MinifyError::Pattern { pattern: text.to_owned(), expected };
        if !text.starts_with('/') {
            return Err(wrong("an absolute path such as /usr/share/doc or /**/*.a"));
        }
        if text.len() > MAX_PATTERN {
            return Err(wrong("at most 4096 bytes"));
        }
        let trimmed = text.trim_end_matches('/');
        let tokens = tokens(trimmed.as_bytes()).map_err(wrong)?;
        let literal = |token: &Token| match token {
            Token::Byte(byte) => Some(*byte),
            _ => None,
        };
        let prefix = tokens.iter().map_while(literal).collect();
        Ok(Self { text: text.to_owned(), prefix, tokens })
    }

    /// Whether it matches the path, or a directory above it.
    pub fn matches(&self, path: &[u8]) -> bool {
        let Some(rest) = path.strip_prefix(&self.prefix[..]) else {
            return false;
        };
        let tokens = &self.tokens[self.prefix.len()..];
        if tokens.is_empty() {
            return rest.is_empty() || rest[0] == b'/';
        }
        // The set of tokens that may come next. A star may also be over.
        let mut next = vec![false; tokens.len() + 1];
        next[0] = true;
        skip_stars(tokens, &mut next);
        let mut following = vec![false; tokens.len() + 1];
        for byte in rest {
            if next[tokens.len()] && *byte == b'/' {
                return true;
            }
            following.fill(false);
            for (index, token) in tokens.iter().enumerate().filter(|(index, _)| next[*index]) {
                match token {
                    Token::All => following[index] = true,
                    Token::Many if *byte != b'/' => following[index] = true,
                    Token::Directories => {
                        following[index] = true;
                        following[index + 1] |= *byte == b'/';
                    }
                    token if token.takes(*byte) => following[index + 1] = true,
                    _ => {}
                }
            }
            skip_stars(tokens, &mut following);
            std::mem::swap(&mut next, &mut following);
        }
        next[tokens.len()]
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Token {
    fn takes(&self, byte: u8) -> bool {
        match self {
            Token::Byte(expected) => *expected == byte,
            Token::Any => byte != b'/',
            Token::Many | Token::All | Token::Maybe | Token::Directories => false,
            Token::Class { negated, ranges } => {
                let listed = ranges.iter().any(|(from, to)| (*from..=*to).contains(&byte));
                byte != b'/' && listed != *negated
            }
        }
    }
}

fn skip_stars(tokens: &[Token], next: &mut [bool]) {
    for index in 0..tokens.len() {
        if next[index] && matches!(tokens[index], Token::Many | Token::All) {
            next[index + 1] = true;
        } else if next[index] && tokens[index] == Token::Maybe {
            next[index + 1] = true;
            next[index + 2] = true;
        }
    }
}

fn tokens(text: &[u8]) -> std::result::Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        let token = match first {
            b'?' => Token::Any,
            b'*' if after.starts_with(b"*/") && tokens.last() == Some(&Token::Byte(b'/')) => {
                rest = &after[2..];
                tokens.push(Token::Maybe);
                Token::Directories
            }
            b'*' if after.first() == Some(&b'*') => {
                rest = &after[1..];
                Token::All
            }
            b'*' => Token::Many,
            b'[' => {
                let (class, after) = class(after)?;
                rest = after;
                class
            }
            b'\\' => {
                let (escaped, after) = after.split_first().ok_or("a character after each \\")?;
                rest = after;
                Token::Byte(*escaped)
            }
            byte => Token::Byte(*byte),
        };
        tokens.push(token);
    }
    Ok(tokens)
}

/// Reads `a-z_]…` after its `[`. A `]` that comes first belongs to the class.
fn class(text: &[u8]) -> std::result::Result<(Token, &[u8]), &'static str> {
    const OPEN: &str = "a ] after each [; \\[ stands for [ itself";
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
            return Err("ranges of [ ] that ascend, as in [a-z]");
        }
        ranges.push((*from, *to));
        members = rest;
    }
    Ok((Token::Class { negated, ranges }, after))
}

const MAX_PATTERN: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, matching: &[&str], other: &[&str]) {
        let glob = Glob::new(pattern).unwrap();
        for (paths, expected) in [(matching, true), (other, false)] {
            for path in paths {
                assert_eq!(glob.matches(path.as_bytes()), expected, "{pattern} {path}");
            }
        }
    }

    #[test]
    fn a_pattern_matches_a_path_and_all_below_it() {
        check("/usr/share/doc", &["/usr/share/doc", "/usr/share/doc/a/b"], &["/usr/share/docs"]);
        check("/usr/share/doc/", &["/usr/share/doc/a"], &["/usr/share"]);
        check("/a/*/c", &["/a/b/c", "/a/b/c/d"], &["/a/c", "/a/b/b/c"]);
        check("/**/*.a", &["/usr/lib/x.a", "/x/.a"], &["/usr/lib/x.ab", "/usr/lib/x.so"]);
        check("/a/**/c", &["/a/c", "/a/b/c", "/a/b/b/c", "/a/b/c/d"], &["/a/bc"]);
        check("/a/**", &["/a/b", "/a/b/c"], &["/a", "/ab"]);
        check("/a?[b-d]", &["/axb", "/axd/e"], &["/a/b", "/axe"]);
        check(r"/\*", &["/*"], &["/a"]);
    }

    #[test]
    fn what_is_wrong_with_a_pattern_is_told() {
        for (pattern, expected) in
            [("a", "absolute"), ("/[a", "] after"), ("/[b-a]", "ascend"), ("/a\\", "character")]
        {
            let error = Glob::new(pattern).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    /// All texts of up to `len` letters.
    fn texts(letters: &str, len: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut last = all.clone();
        for _ in 0..len {
            last =
                last.iter().flat_map(|t| letters.chars().map(move |c| format!("{t}{c}"))).collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    /// What matching means, without any cleverness.
    fn plainly(pattern: &[u8], path: &[u8]) -> bool {
        match pattern {
            [] => path.is_empty() || path[0] == b'/',
            [b'/', b'*', b'*', b'/', rest @ ..] => {
                let after = |at: &usize| path[*at] == b'/';
                path.first() == Some(&b'/')
                    && (0..path.len()).filter(after).any(|at| plainly(rest, &path[at + 1..]))
            }
            [b'*', b'*', rest @ ..] => (0..=path.len()).any(|taken| plainly(rest, &path[taken..])),
            [b'*', rest @ ..] => (0..=path.len())
                .take_while(|taken| !path[..*taken].contains(&b'/'))
                .any(|taken| plainly(rest, &path[taken..])),
            [b'?', rest @ ..] => !path.is_empty() && path[0] != b'/' && plainly(rest, &path[1..]),
            [byte, rest @ ..] => path.first() == Some(byte) && plainly(rest, &path[1..]),
        }
    }

    #[test]
    fn matching_gives_what_the_plain_recursion_gives() {
        let paths: Vec<String> = texts("a/", 4).iter().map(|text| format!("/a{text}")).collect();
        for text in texts("a*?/", 4) {
            let pattern = format!("/{text}");
            if pattern.ends_with('/') || pattern.contains("***") {
                continue;
            }
            let glob = Glob::new(&pattern).unwrap();
            for path in &paths {
                let expected = plainly(pattern.as_bytes(), path.as_bytes());
                assert_eq!(glob.matches(path.as_bytes()), expected, "{pattern} {path}");
            }
        }
    }

    #[test]
    fn no_pattern_panics() {
        for text in texts("a[]!-\\", 5) {
            if let Ok(glob) = Glob::new(&format!("/{text}")) {
                glob.matches(b"/a-a");
            }
        }
    }
}
