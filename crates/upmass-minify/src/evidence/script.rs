//! Scripts: their interpreter, and the words that are commands.
//!
//! Which word is executed cannot be told without running a script, so in a shell script every
//! word counts that is a command and stands neither in a comment nor inside of a sentence in
//! quotes. What that keeps in vain costs bytes; what it missed would cost a function.

use super::{Evidence, Scan};
use crate::files::name_of;

/// What a script is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Shell,
    Python,
    Perl,
    Other,
}

/// Follows `#!`, also through `env`.
pub(super) fn shebang(scan: &mut Scan<'_>) -> Option<Language> {
    let line = scan.content.strip_prefix(b"#!")?;
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or(b"");
    let line = &line[..line.len().min(MAX_LINE)];
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let interpreter = words.next()?;
    scan.want(interpreter.to_vec(), Evidence::Shebang, line);
    let mut name = name_of(interpreter);
    if name == b"env" {
        // `-S` and assignments stand before the command.
        let command = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='))?;
        scan.want_command(command, Evidence::Shebang);
        name = name_of(command);
    }
    Some(language(name))
}

fn language(interpreter: &[u8]) -> Language {
    if interpreter.starts_with(b"python") {
        Language::Python
    } else if interpreter.starts_with(b"perl") {
        Language::Perl
    } else if [&b"sh"[..], b"bash", b"dash", b"ash", b"ksh", b"zsh", b"busybox"]
        .contains(&interpreter)
    {
        Language::Shell
    } else {
        Language::Other
    }
}

/// Shell code that has no first line of its own: what shells and maintainers' scripts read.
pub(super) fn is_sourced(path: &[u8]) -> bool {
    const PLACES: &[&[u8]] =
        &[b"/etc/profile", b"/etc/default/", b"/etc/bash", b"/root/.", b"/lib/lsb/", b"/etc/skel/"];
    PLACES.iter().any(|place| path.starts_with(place)) || path.ends_with(b".sh")
}

/// Every word of shell code that is a command.
pub(super) fn words(scan: &mut Scan<'_>, code: &[u8]) {
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut reader = Reader { code, at: 0, depth: 0 };
    reader.read(&mut |word| {
        if word.len() > 1 && word.len() < 64 && !word.contains(&b'/') {
            found.push(word.to_vec());
        }
    });
    found.sort();
    found.dedup();
    for word in found {
        if !is_builtin(&word) {
            scan.want_command(&word, Evidence::Word);
        }
    }
}

/// What a shell does by itself and where the command of the same name is not executed.
fn is_builtin(word: &[u8]) -> bool {
    const BUILTINS: &[&[u8]] = &[
        b"if",
        b"then",
        b"else",
        b"elif",
        b"fi",
        b"for",
        b"while",
        b"until",
        b"do",
        b"done",
        b"case",
        b"esac",
        b"in",
        b"function",
        b"time",
        b"select",
    ];
    BUILTINS.contains(&word)
}

/// Goes over shell code and tells each word; never back, so it ends with the code.
struct Reader<'a> {
    code: &'a [u8],
    at: usize,
    /// How deep in quotes and substitutions.
    depth: usize,
}

impl Reader<'_> {
    fn read(&mut self, tell: &mut dyn FnMut(&[u8])) {
        let mut word: Vec<u8> = Vec::new();
        let mut fresh = true;
        while self.at < self.code.len() {
            let byte = self.code[self.at];
            self.at += 1;
            match byte {
                b'#' if fresh && word.is_empty() => {
                    while self.at < self.code.len() && self.code[self.at] != b'\n' {
                        self.at += 1;
                    }
                }
                b'\\' => {
                    self.at += 1;
                }
                b'\'' | b'"' => {
                    let quoted = self.quoted(byte, tell);
                    // A quoted word is a word; of a sentence only the first may be a command.
                    let mut words = quoted.split(|byte| !is_word_byte(*byte));
                    if word.is_empty() {
                        words.find(|word| !word.is_empty()).into_iter().for_each(&mut *tell);
                    }
                }
                // `${EDITOR:-vi}`: what stands after the sign is a word again.
                b':' if self.code.get(self.at) == Some(&b'-') => {
                    self.at += 1;
                    if !word.is_empty() {
                        tell(&word);
                        word.clear();
                    }
                }
                byte if is_word_byte(byte) => word.push(byte),
                _ => {
                    if !word.is_empty() {
                        tell(&word);
                        word.clear();
                    }
                    fresh = true;
                    continue;
                }
            }
            fresh = false;
        }
        if !word.is_empty() {
            tell(&word);
        }
    }

    /// The text up to the closing quote. Code that is substituted in it is read as code.
    fn quoted(&mut self, quote: u8, tell: &mut dyn FnMut(&[u8])) -> Vec<u8> {
        let start = self.at;
        while self.at < self.code.len() && self.code[self.at] != quote {
            if quote == b'"' && self.code[self.at] == b'\\' {
                self.at += 1;
            }
            self.at += 1;
        }
        let end = self.at.min(self.code.len());
        self.at = end + 1;
        let text = self.code[start..end].to_vec();
        if quote == b'"' && self.depth < MAX_DEPTH {
            let opens = |window: &[u8]| window == b"$(";
            let substituted = text.windows(2).position(opens).map(|at| at + 2);
            let substituted = substituted.or(text.iter().position(|b| *b == b'`').map(|at| at + 1));
            if let Some(at) = substituted {
                Reader { code: &text[at..], at: 0, depth: self.depth + 1 }.read(tell);
            }
        }
        text
    }
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.+@/[".contains(&byte)
}

const MAX_LINE: usize = 512;
const MAX_DEPTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: &str, expected: &[&str]) {
        let mut words = Vec::new();
        let mut tell = |word: &[u8]| words.push(String::from_utf8_lossy(word).into_owned());
        Reader { code: code.as_bytes(), at: 0, depth: 0 }.read(&mut tell);
        assert_eq!(words, expected, "{code}");
    }

    #[test]
    fn words_are_told_but_those_of_comments_and_sentences() {
        check("ls -l | grep x", &["ls", "-l", "grep", "x"]);
        check("a # vim\nb", &["a", "b"]);
        check("echo \"please use man\" && cat", &["echo", "please", "cat"]);
        check("x=\"$(sed s/a/b/ | tr)\"", &["x", "sed", "s/a/b/", "tr", "sed"]);
        check("trap 'rm -f x' 0", &["trap", "rm", "0"]);
        check("${EDITOR:-vi}", &["EDITOR", "vi"]);
        check("`which`", &["which"]);
        check("a#b", &["a", "b"]);
    }

    #[test]
    fn no_script_panics_or_hangs() {
        let letters = b"a\"'`$({\\#\n:-";
        for seed in 0..200_000_usize {
            let mut left = seed;
            let code: Vec<u8> = std::iter::from_fn(|| {
                let letter = letters[left % letters.len()];
                left /= letters.len();
                (left > 0).then_some(letter)
            })
            .collect();
            Reader { code: &code, at: 0, depth: 0 }.read(&mut |_| {});
        }
        let deep = "\"$(".repeat(100_000);
        Reader { code: deep.as_bytes(), at: 0, depth: 0 }.read(&mut |_| {});
    }
}
