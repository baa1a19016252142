//! Results on stdout: text for people, or one JSON object.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value};
use upmass_build::{Section, Summary};
use upmass_format::payload::{STREAMS, Stream};

pub use upmass_report::grouped as bytes;

use crate::Outcome;
use crate::failure::Failure;

/// The version of all JSON that is printed. It grows when a field goes or changes its meaning.
const JSON_VERSION: u64 = 1;

/// Prints one JSON object, with its version first.
pub fn json(fields: Value) -> Outcome {
    let mut object = Map::new();
    object.insert("version".to_owned(), JSON_VERSION.into());
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    line(&Value::Object(object).to_string())
}

/// Bytes of each stream, by its word.
pub fn streams(bytes: &[u64; STREAMS]) -> Value {
    let by_word = Stream::ALL.iter().zip(bytes);
    by_word.map(|(stream, bytes)| (stream.word().to_owned(), Value::from(*bytes))).collect()
}

/// Writes a file, which replaces one of that name. Writes beside the name first, so that a file of
/// that name is always whole.
pub fn file(path: &Path, parts: &[&[u8]]) -> Outcome {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    File::create(partial)
        .and_then(|mut file| {
            parts.iter().try_for_each(|part| file.write_all(part))?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(partial, path))
        .map_err(|error| {
            let _ = fs::remove_file(partial);
            Failure::io("write", path, error)
        })
}

/// Prints one line.
pub fn line(text: &str) -> Outcome {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}").map_err(|error| Failure::io("write", Path::new("stdout"), error))
}

/// Prints the table with right-aligned columns of numbers and left-aligned ones of text.
pub fn table(rows: &[Vec<String>]) -> Outcome {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let mut text = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let padding = " ".repeat(width - cell.chars().count());
            let cell = if is_number(cell) {
                format!("{padding}{cell}")
            } else {
                format!("{cell}{padding}")
            };
            text.push_str(&cell);
            text.push_str("  ");
        }
        line(text.trim_end())?;
    }
    Ok(())
}

/// Whether a cell begins with a number, and not with a name that begins with a digit.
fn is_number(cell: &str) -> bool {
    let word = cell.split(' ').next().unwrap_or_default();
    word.starts_with(|c: char| c.is_ascii_digit())
        && word.chars().all(|c| c.is_ascii_digit() || ",.".contains(c))
}

/// A share in percent, with two digits.
pub fn percent(part: u64, all: u64) -> String {
    match all {
        0 => "0 %".to_owned(),
        all => format!("{:.2} %", part as f64 * 100.0 / all as f64),
    }
}

/// A note for people on stderr.
pub fn note(text: impl std::fmt::Display) {
    eprintln!("upmass: {text}");
}

/// What the bytes of content are spent on, as JSON.
pub fn spent(summary: &Summary) -> Map<String, Value> {
    let bytes =
        |(section, bytes): &(Section, f64)| (section.word().to_owned(), (*bytes as u64).into());
    summary.spent.iter().map(bytes).collect()
}

/// Prints what the bytes of an update or a patch are spent on.
pub fn explain(summary: &Summary, total: u64) -> Outcome {
    let mut rows = Vec::new();
    let mut row = |count: u64, what: &str| {
        rows.push(vec![bytes(count), percent(count, total), what.to_owned()]);
    };
    let streams = summary.streams.iter().sum::<u64>();
    row(total - streams, "head and framing");
    row(summary.streams[Stream::Program as usize], "program: what to make from what");
    row(summary.streams[Stream::Tree as usize], "tree: names, modes and what else is metadata");
    if summary.streams[Stream::Hash as usize] > 0 {
        row(summary.streams[Stream::Hash as usize], "hash: what nobody can compute of new names");
    }
    for (section, count) in &summary.spent {
        let what = match section {
            Section::Control => "control: what is copied from where",
            Section::Code => "code: instructions in copies that are not as predicted",
            Section::Data => "data: the same of other content",
            Section::Tables => "tables: the same of relocations and symbols",
            Section::Unwind => "unwind: the same of unwind tables",
            Section::Literal => "literal: content that no base has",
        };
        row(*count as u64, what);
    }
    // The copy stream of a segment of coder 2 is what was listed above; the others are of coder 1.
    let listed = summary.spent.iter().map(|(_, count)| *count).sum::<f64>() as u64;
    let of_coder_1 = |stream: Stream| match stream {
        Stream::Copy => summary.streams[stream as usize].saturating_sub(listed),
        _ => summary.streams[stream as usize],
    };
    let is_any = of_coder_1(Stream::Residue) + of_coder_1(Stream::Literal) > 0;
    if summary.spent.is_empty() || is_any {
        for stream in [Stream::Copy, Stream::Residue, Stream::Literal] {
            row(of_coder_1(stream), stream.word());
        }
    }
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_store_paths_are_no_numbers() {
        for number in ["0", "1,234", "18.66 %", "2,048 used"] {
            assert!(is_number(number), "{number}");
        }
        for text in ["", "total", "0gfmky8crs7vwccvsi53mc97wi6bcmy4-nginx-1.22.1/bin/nginx", "- 3"]
        {
            assert!(!is_number(text), "{text}");
        }
    }
}
