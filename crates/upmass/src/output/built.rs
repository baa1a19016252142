//! Files that were built, and what their bytes are spent on.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value};
use upmass_build::{Section, Summary};
use upmass_format::payload::{STREAMS, Stream};

use super::{bytes, percent, table};
use crate::Outcome;
use crate::failure::Failure;

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
