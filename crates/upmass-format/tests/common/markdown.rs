//! Reads tables and worked examples out of the specifications, so that they can be compared with
//! the code.

use std::collections::BTreeMap;
use std::fmt::Debug;

/// The text of a specification.
#[derive(Clone, Copy)]
pub struct Spec(pub &'static str);

impl Spec {
    /// What is below a heading of the second level.
    pub fn section(self, title: &str) -> &'static str {
        let mut sections = self.0.split("\n## ");
        let found = sections.find(|text| text.lines().next() == Some(title));
        found.unwrap_or_else(|| panic!("the specification has a section {title:?}"))
    }

    /// The rows of the first table below a heading, without its head; cells without backticks.
    pub fn rows(self, title: &str) -> Vec<Vec<String>> {
        let lines = self.section(title).lines();
        let table = lines
            .skip_while(|line| !line.starts_with('|'))
            .take_while(|line| line.starts_with('|'));
        let cells = |line: &str| {
            let line = line.trim().trim_start_matches('|').trim_end_matches('|');
            line.split('|').map(|cell| cell.trim().replace('`', "")).collect()
        };
        table.skip(2).map(cells).collect()
    }

    /// The first two columns of a table, the second as numbers.
    pub fn numbers(self, title: &str) -> BTreeMap<String, u64> {
        let rows = self.rows(title);
        let mut numbers = BTreeMap::new();
        for row in &rows {
            let number = row[1].parse().unwrap_or_else(|_| panic!("{row:?}"));
            assert_eq!(numbers.insert(row[0].clone(), number), None, "{row:?}");
        }
        numbers
    }

    /// Checks that a table of names and numbers says what the code says, no more and no less.
    pub fn check_numbers(self, title: &str, expected: &[(&str, u64)]) {
        let expected: BTreeMap<String, u64> =
            expected.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        assert_eq!(self.numbers(title), expected, "section {title:?}");
    }

    /// The fields of a fixed layout: offset, size, name. Each must begin where the one before
    /// ends.
    pub fn layout(self, title: &str) -> Vec<(usize, usize, String)> {
        let mut end = 0;
        let mut fields = Vec::new();
        for row in self.rows(title) {
            let (Ok(offset), Ok(size)) = (row[0].parse(), row[1].parse()) else {
                break;
            };
            assert_eq!(offset, end, "{} follows the field before", row[3]);
            end = offset + size;
            fields.push((offset, size, row[3].clone()));
        }
        fields
    }

    /// The bytes of the worked example: pairs of digits up to two spaces, in each line that is
    /// indented by four spaces.
    pub fn example(self, title: &str) -> Vec<u8> {
        let lines = self.section(title).lines();
        lines
            .filter_map(|line| line.strip_prefix("    "))
            .flat_map(|line| hex(line.split("  ").next().unwrap_or_default()))
            .collect()
    }

    /// Checks the worked example against the bytes that the code makes.
    pub fn check_example(self, title: &str, expected: &[u8]) {
        assert_eq!(Hex(&self.example(title)), Hex(expected), "{title:?}");
    }
}

/// The bytes of pairs of digits between single spaces.
pub fn hex(text: &str) -> Vec<u8> {
    text.split_ascii_whitespace()
        .map(|pair| u8::from_str_radix(pair, 16).unwrap_or_else(|_| panic!("{text:?}")))
        .collect()
}

/// Bytes that a failed assertion shows as a specification has them.
#[derive(PartialEq)]
pub struct Hex<'a>(pub &'a [u8]);

impl Debug for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for line in self.0.chunks(16) {
            let pairs: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(f, "    {}", pairs.join(" "))?;
        }
        Ok(())
    }
}
