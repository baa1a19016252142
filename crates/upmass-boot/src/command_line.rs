//! Words of the kernel's command line.

/// The release that was started: its id.
pub const RELEASE: &str = "upmass.release";
/// The system of it that was started.
pub const SYSTEM: &str = "upmass.system";
/// The GUID of the slot that was started, where the loader has no better way to tell.
pub const SLOT: &str = "upmass.slot";

/// The value of the last word `key=value`. As for the kernel, quotation marks keep words together
/// and do not belong to them.
pub fn value(line: &str, key: &str) -> Option<String> {
    let mut last = None;
    for word in words(line) {
        if let Some(value) = word.strip_prefix(key).and_then(|rest| rest.strip_prefix('=')) {
            last = Some(value.to_owned());
        }
    }
    last
}

/// The words of a command line, without the quotation marks that keep them together.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut is_quoted) = (String::new(), false);
    for c in line.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            c if c.is_whitespace() && !is_quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn the_last_word_with_a_key_counts_and_quotation_marks_keep_words_together() {
        let check = |line: &str, expected: Option<&str>| {
            assert_eq!(value(line, "upmass.system").as_deref(), expected, "{line}");
        };
        check("quiet upmass.system=main gpt\n", Some("main"));
        check("upmass.system=a upmass.system=b", Some("b"));
        check("\"upmass.system=with space\" gpt", Some("with space"));
        check("upmass.system=\"with space\" gpt", Some("with space"));
        check("x.upmass.system=a upmass.systems=b upmass.system", None);
        check("\"quiet upmass.system=a", None);
        check("upmass.system=", Some(""));
        check("", None);
    }
}
