//! Reads what Nix writes into a `.drv` file.

use std::ops::Range;

/// A derivation, as far as store paths depend on its parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    /// What it makes.
    pub(super) outputs: Vec<ParsedOutput>,
    /// The `.drv` files that it needs, and which of their outputs.
    pub(super) inputs: Vec<(String, Vec<String>)>,
    /// All behind the inputs.
    pub(super) rest: Vec<u8>,
    /// Where in it are the values of variables that are called as an output: which output, from where to
    /// where.
    pub(super) own: Vec<(usize, Range<usize>)>,
}

/// An output.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ParsedOutput {
    pub(super) name: String,
    /// Empty where it depends on what is built.
    pub(super) path: String,
    /// Empty where the content may be any.
    pub(super) method: String,
    /// In hexadecimal digits, where the content is known.
    pub(super) hash: String,
}

/// Reads a derivation. `None` when it is none that this knows.
pub(super) fn parse(text: &[u8]) -> Option<Parsed> {
    let mut at = Cursor { text, at: 0 };
    at.expect(b"Derive(")?;
    let outputs = at.list(|at| {
        at.expect(b"(")?;
        let [name, path, method, hash] = [at.string()?, at.next()?, at.next()?, at.next()?];
        at.expect(b")")?;
        Some(ParsedOutput { name, path, method, hash })
    })?;
    at.expect(b",")?;
    let inputs = at.list(|at| {
        at.expect(b"(")?;
        let path = at.string()?;
        at.expect(b",")?;
        let outputs = at.list(Cursor::string)?;
        at.expect(b")")?;
        Some((path, outputs))
    })?;
    let (start, mut own) = (at.at, Vec::new());
    at.expect(b",")?;
    at.list(Cursor::skip)?;
    for _ in ["platform", "builder"] {
        at.expect(b",")?;
        at.skip()?;
    }
    at.expect(b",")?;
    at.list(Cursor::skip)?;
    at.expect(b",")?;
    at.list(|at| {
        at.expect(b"(")?;
        let key = at.at;
        at.skip()?;
        let key = at.text.get(key + 1..at.at - 1)?;
        at.expect(b",")?;
        let value = at.at - start + 1;
        at.skip()?;
        if let Some(index) = outputs.iter().position(|output| output.name.as_bytes() == key) {
            own.push((index, value..at.at - start - 1));
        }
        at.expect(b")")
    })?;
    at.expect(b")")?;
    if at.at != text.len() {
        return None;
    }
    Some(Parsed { outputs, inputs, rest: text[start..].to_vec(), own })
}

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn expect(&mut self, what: &[u8]) -> Option<()> {
        self.text[self.at..].starts_with(what).then(|| self.at += what.len())
    }

    /// Elements in brackets, with a comma between.
    fn list<T>(&mut self, mut element: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        self.expect(b"[")?;
        let mut elements = Vec::new();
        if self.expect(b"]").is_some() {
            return Some(elements);
        }
        loop {
            elements.push(element(self)?);
            if self.expect(b"]").is_some() {
                return Some(elements);
            }
            self.expect(b",")?;
        }
    }

    /// Goes over a string.
    fn skip(&mut self) -> Option<()> {
        self.expect(b"\"")?;
        loop {
            match self.text.get(self.at)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.expect(b"\"")
    }

    /// A string of which it is known that nothing is escaped in it.
    fn string(&mut self) -> Option<String> {
        let start = self.at + 1;
        self.skip()?;
        let text = std::str::from_utf8(&self.text[start..self.at - 1]).ok()?;
        (!text.contains('\\')).then(|| text.to_owned())
    }

    /// A comma and such a string.
    fn next(&mut self) -> Option<String> {
        self.expect(b",")?;
        self.string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = concat!(
        r#"Derive([("dev","/s/d","",""),("out","/s/o","r:sha256","ab")],[("/s/x.drv",["out","z"])],"#,
        r#"["/s/src"],"linux","/bin/sh",["-c","a\"out\""],[("a","\\"),("dev","/s/d"),("out","/s/\"o"),"#,
        r#"("z","1")])"#,
    );

    #[test]
    fn values_of_outputs_are_found_and_no_others() {
        let parsed = parse(TEXT.as_bytes()).unwrap();
        let names: Vec<&str> = parsed.outputs.iter().map(|output| &output.name[..]).collect();
        assert_eq!(names, ["dev", "out"]);
        let out = &parsed.outputs[1];
        assert_eq!([&out.path[..], &out.method, &out.hash], ["/s/o", "r:sha256", "ab"]);
        assert_eq!(parsed.inputs, [("/s/x.drv".to_owned(), vec!["out".into(), "z".into()])]);
        let rest = String::from_utf8(parsed.rest).unwrap();
        assert!(rest.starts_with(r#",["/s/src"],"linux","/bin/sh","#), "{rest}");
        let own: Vec<(usize, &str)> =
            parsed.own.into_iter().map(|(index, range)| (index, &rest[range])).collect();
        assert_eq!(own, [(0, "/s/d"), (1, "/s/\\\"o")]);
    }

    #[test]
    fn what_is_cut_short_or_goes_on_is_no_derivation() {
        for end in 0..TEXT.len() {
            assert_eq!(parse(&TEXT.as_bytes()[..end]), None, "{end}");
        }
        assert_eq!(parse(format!("{TEXT} ").as_bytes()), None);
        assert_eq!(parse(b"DrvWithVersion(\"xp-dyn-drv\",[],[],[],\"\",\"\",[],[])"), None);
    }
}
