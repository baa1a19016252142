//! `upmass delta`

use std::fs::File;
use std::io::Write;

use serde_json::json;
use upmass_build::build_payload;
use upmass_format::patch::{HEAD_LEN, Head, OldPrefix};
use upmass_format::update::BasePrefix;

use crate::arguments::Delta;
use crate::failure::{Failure, Kind};
use crate::scratch::Scratch;
use crate::{Outcome, output, plain, progress};

pub fn run(arguments: &Delta) -> Outcome {
    let Delta { old, new, output, .. } = arguments;
    let kind = plain::kind(old)?;
    let new_kind = plain::kind(new)?;
    if kind != new_kind {
        return Err(Failure::refused(format_args!(
            "{} is a {}, {} is a {}: give two files, or two directories",
            old.display(),
            kind.word(),
            new.display(),
            new_kind.word(),
        )));
    }
    plain::expect_nothing_at(output)?;
    let scratch = Scratch::beside(output)?;
    let store = plain::store(&scratch)?;
    let base = plain::import(&store, kind, old)?;
    let target = plain::import(&store, kind, new)?;
    if base == target {
        let message = format_args!(
            "{} and {} are the same in all that a patch covers: nothing is written",
            old.display(),
            new.display()
        );
        return Err(Failure::new(Kind::NothingToDo, message));
    }
    let options = arguments.build.options();
    let bar = progress::bytes("matching", Some(0));
    let payload = build_payload(&store, Some(base), target, &options, &|progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    })?;
    bar.finish_and_clear();
    let head = Head {
        kind,
        base: OldPrefix::of(base),
        target: BasePrefix::of(target),
        codecs: payload.codecs.bits() as u8,
    };
    let partial = scratch.join("patch");
    File::create(&partial)
        .and_then(|mut file| {
            file.write_all(&head.to_bytes())?;
            file.write_all(&payload.bytes)?;
            file.sync_all()
        })
        .map_err(|error| Failure::io("write", output, error))?;
    plain::publish(&partial, output)?;

    let summary = payload.summary;
    let bytes = (HEAD_LEN + payload.bytes.len()) as u64;
    if arguments.json.json {
        return output::json(json!({
            "file": output.display().to_string(),
            "kind": kind.word(),
            "bytes": bytes,
            "head_bytes": HEAD_LEN,
            "objects": summary.objects,
            "object_bytes": summary.object_bytes,
            "patched": summary.patched,
            "patched_bytes": summary.patched_bytes,
            "codecs": payload.codecs.words(),
            "streams": output::streams(&summary.streams),
            "spent": output::spent(&summary),
        }));
    }
    output::line(&format!("{} bytes  {}", output::bytes(bytes), output.display()))?;
    output::note(format_args!(
        "{} new files of {} bytes, {} of them ({} bytes) from old ones",
        output::bytes(summary.objects),
        output::bytes(summary.object_bytes),
        output::bytes(summary.patched),
        output::bytes(summary.patched_bytes),
    ));
    if arguments.build.explain { output::explain(&summary, bytes) } else { Ok(()) }
}
