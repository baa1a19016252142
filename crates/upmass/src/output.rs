//! Results on stdout: text for people, or one JSON object.

#[cfg(feature = "host")]
mod built;

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value};

#[cfg(feature = "host")]
pub use built::{explain, file, spent, streams};
pub use upmass_format::grouped as bytes;

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
