//! A report as one page: data, style and program are in it, and nothing is fetched.

use std::fmt::Write as _;
use std::io::Write as _;

use base64ct::{Base64, Encoding};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::model::Report;
use upmass_format::grouped;

/// How many rows the page has for whoever has no JavaScript.
const ROWS: usize = 25;

/// The page.
pub fn html(report: &Report) -> String {
    let data = serde_json::to_vec(report).expect("a report is plain data");
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&data).expect("a vector takes everything");
    let packed = packed.finish().expect("a vector takes everything");
    let parts = [
        ("%TITLE%", escape(&report.title)),
        ("%FACTS%", facts(report)),
        ("%ROWS%", rows(report)),
        ("%STYLE%", include_str!("../web/report.css").to_owned()),
        ("%D3%", include_str!("../web/vendor/d3-hierarchy.min.js").trim().to_owned()),
        ("%PROGRAM%", include_str!("../web/report.js").to_owned()),
        ("%DATA%", Base64::encode_string(&packed)),
    ];
    // In one pass, so that nothing within a part is taken for the place of another.
    let mut page = String::new();
    let mut rest = include_str!("../web/report.html");
    while let Some(at) = rest.find('%') {
        let (before, from) = rest.split_at(at);
        page.push_str(before);
        match parts.iter().find(|(name, _)| from.starts_with(name)) {
            Some((name, text)) => {
                page.push_str(text);
                rest = &from[name.len()..];
            }
            None => {
                page.push('%');
                rest = &from[1..];
            }
        }
    }
    page.push_str(rest);
    page
}

fn facts(report: &Report) -> String {
    let fact = |(word, value): &(&str, String)| {
        format!("<div><dt>{}</dt><dd>{}</dd></div>", escape(word), escape(value))
    };
    report.facts.iter().map(fact).collect()
}

fn rows(report: &Report) -> String {
    let mut text = String::new();
    for (path, node, bytes) in report.costliest(ROWS) {
        let cause = report.main_cause(node).map_or("", |cause| cause.label);
        let why = node.why.as_deref().unwrap_or_default();
        let _ = write!(
            text,
            "<tr><td class=\"number\">{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            grouped(bytes.round() as u64),
            escape(&path),
            escape(cause),
            escape(why)
        );
    }
    text
}

/// Text as HTML. Names of files have any characters.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Cause, Kind, Node};

    fn report(root: Node) -> Report {
        let cause = Cause { word: "new", label: "new", explanation: "" };
        Report {
            kind: Kind::Update,
            title: "t".into(),
            facts: vec![],
            causes: vec![cause; 8],
            root,
        }
    }

    /// As of a large system: names, causes and reasons as different as there.
    #[test]
    fn a_page_of_20000_files_has_less_than_a_mebibyte() {
        let mut root = Node::new("update");
        for file in 0u64..20_000 {
            let mixed = file.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let names = [format!("usr{}", file / 5000), format!("lib{:x}", file / 50)];
            let name = format!("lib{:x}-{:x}.so.{}", mixed >> 44, file, mixed % 10);
            let names = names.iter().map(String::as_bytes).chain([name.as_bytes()]);
            let node = root.at(names);
            node.size = Some(mixed >> 40);
            node.parts = vec![(file as u8 % 3, (mixed >> 50) as f64 / 7.0), (5, 13.3)];
            node.why = Some(format!("made from lib{:x}.so.{} of main", mixed >> 44, mixed % 9));
        }
        let page = html(&report(root));
        assert!(page.len() < 1 << 20, "{} bytes", page.len());
    }

    #[test]
    fn names_cannot_end_what_they_are_in() {
        let mut root = Node::new("<root>");
        root.parts.push((0, 5.0));
        let mut report = report(root);
        report.title = "%DATA% <script>alert('1')</script>".into();
        let page = html(&report);
        assert_eq!(page.matches("<script>").count(), 2, "ours");
        assert_eq!(page.matches("%DATA% &lt;script&gt;alert(&#39;1&#39;)").count(), 2);
    }
}
