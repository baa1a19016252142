//! `upmass inspect`

use std::fs::File;

use serde_json::{Map, Value, json};
use upmass_apply::{Codecs, Inspection, ObjectKind, Received, inspect, inspect_alone};
use upmass_format::payload::Stream;
use upmass_store::Store;

use crate::arguments::Inspect;
use crate::failure::Failure;
use crate::{Outcome, output};

pub fn run(arguments: &Inspect) -> Outcome {
    let path = &arguments.update;
    let file = File::open(path).map_err(|error| Failure::io("open", path, error))?;
    let received = Received::read(&file)?;
    let inspection = match &arguments.store {
        Some(directory) => inspect(&received, &Store::open(directory)?)?,
        None => inspect_alone(&received)?,
    };
    match arguments.json.json {
        true => print_json(&received, &inspection),
        false => print_text(&received, &inspection),
    }
}

fn print_json(received: &Received<'_>, inspection: &Inspection) -> Outcome {
    let header = received.header();
    let streams: Map<String, Value> = inspection
        .streams
        .iter()
        .map(|(stream, bytes)| (stream.word().to_owned(), (*bytes).into()))
        .collect();
    let kind = |kind: &ObjectKind| json!({ "files": kind.count, "bytes": kind.bytes, "cost": kind.cost.round() as u64 });
    let components = inspection.components.as_ref().map(|components| {
        components
            .iter()
            .map(|component| {
                json!({
                    "name": component.name,
                    "metadata": component.metadata.round() as u64,
                    "new": kind(&component.whole()),
                    "patched": kind(&component.patched()),
                    "renamed": kind(&component.renamed()),
                })
            })
            .collect::<Vec<_>>()
    });
    let signers: Vec<String> = received.claimed_signers().iter().map(ToString::to_string).collect();
    output::json(json!({
        "base": header.base.map(|base| base.to_string()),
        "target": header.target.to_string(),
        "machine": header.machine,
        "counter": header.counter,
        "signed_by_unverified": signers,
        "memory_kib": header.memory_kib,
        "space_kib": header.space_kib,
        "codecs": Codecs::from_bits(header.codecs).words(),
        "bytes": inspection.front_bytes + inspection.payload_bytes,
        "front_bytes": inspection.front_bytes,
        "payload_bytes": inspection.payload_bytes,
        "frames": header.frames.len(),
        "frame_bytes": 1u64 << header.frame_log2,
        "segments": inspection.segments,
        "streams": streams,
        "components": components,
    }))
}

fn print_text(received: &Received<'_>, inspection: &Inspection) -> Outcome {
    let header = received.header();
    let total = inspection.front_bytes + inspection.payload_bytes;
    let base = header.base.map_or("nothing: a full update".to_owned(), |base| format!("{base}…"));
    let signers: Vec<String> = received.claimed_signers().iter().map(ToString::to_string).collect();
    let signers = if signers.is_empty() { "nobody".to_owned() } else { signers.join(", ") };
    for (name, value) in [
        ("from", base),
        ("to", header.target.to_string()),
        ("machine", format!("{}, counter {}", header.machine, header.counter)),
        ("signed by", format!("{signers} (not verified here)")),
        ("needs", format!("{} KiB memory, {} KiB space", header.memory_kib, header.space_kib)),
        ("codecs", Codecs::from_bits(header.codecs).to_string()),
        (
            "resumes",
            format!(
                "transfer every {} KiB, applying at {} points",
                (1u64 << header.frame_log2) >> 10,
                inspection.segments
            ),
        ),
    ] {
        output::line(&format!("{name:10}{value}"))?;
    }
    output::line("")?;
    let streams: u64 = inspection.streams.iter().map(|(_, bytes)| bytes).sum();
    let mut rows = vec![("header and signatures", inspection.front_bytes)];
    rows.extend(inspection.streams.iter().map(|(stream, bytes)| {
        let what = match stream {
            Stream::Program => "program: what to make from what",
            Stream::Tree => "metadata: edits of trees",
            Stream::Copy => "copies: from where, how long",
            Stream::Residue => "patches: differences in copies",
            Stream::Literal => "new content",
            Stream::Hash => "hashes in new names",
        };
        (what, *bytes)
    }));
    rows.push(("framing", inspection.payload_bytes - streams));
    rows.push(("all", total));
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(what, bytes)| {
            vec![output::bytes(bytes), output::percent(bytes, total), what.to_owned()]
        })
        .collect();
    output::table(&rows)?;
    let Some(components) = &inspection.components else {
        output::note("give --store DIR with the base release to see costs by component");
        return Ok(());
    };
    output::line("")?;
    let mut rows = Vec::new();
    for component in components {
        let mut row = |cost: f64, what: String| {
            let cost = cost.round() as u64;
            rows.push(vec![output::bytes(cost), output::percent(cost, total), what]);
        };
        row(component.metadata, format!("{}: metadata", component.name));
        for (kind, what) in [
            (component.renamed(), "renamed"),
            (component.patched(), "from old ones"),
            (component.whole(), "new"),
        ] {
            let (count, bytes) = (output::bytes(kind.count), output::bytes(kind.bytes));
            let text = format!("{}: {count} files of {bytes} bytes, {what}", component.name);
            row(kind.cost, text);
        }
    }
    output::table(&rows)
}
