//! `upmass update`

use serde_json::json;
use upmass_build::{Built, Codecs, Options, build_update};

use crate::arguments::Update;
use crate::failure::{Failure, Kind};
use crate::{Outcome, keys, output, progress, releases};

pub fn run(arguments: &Update) -> Outcome {
    let (old, new) = match (&arguments.releases[..], arguments.full) {
        ([new], true) => (None, new),
        ([old, new], false) => (Some(old), new),
        ([_], false) => {
            let message = "expected OLD and NEW; for an update from nothing: --full NEW";
            return Err(Failure::new(Kind::Usage, message));
        }
        _ => {
            let message = "--full takes one release: the new one";
            return Err(Failure::new(Kind::Usage, message));
        }
    };
    if arguments.key.is_empty() && !arguments.unsigned {
        let message = "expected --key FILE to sign with (make one with `upmass keygen`), or \
                       --unsigned for an update that devices refuse";
        return Err(Failure::new(Kind::Usage, message));
    }
    let signing = keys::secret(&arguments.key, arguments.password_file.as_deref())?;
    let words: Vec<&String> = arguments.releases.iter().collect();
    let store = releases::open(&arguments.store, &words)?;
    let base = old.map(|word| releases::find(&store, word)).transpose()?.map(|(id, _)| id);
    let (target, _) = releases::find(&store, new)?;
    let names = arguments.names.into();
    let segment = arguments.segment << 20;
    let options = Options { segment, names, ..arguments.build.options() };
    let bar = progress::bytes("matching", Some(0));
    let built = build_update(&store, base, target, &signing, &options, &|progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    })?;
    bar.finish_and_clear();
    let front = built.front.to_bytes();
    output::file(&arguments.output, &[&front, &built.payload])?;
    report(arguments, &built)
}

fn report(arguments: &Update, built: &Built) -> Outcome {
    let summary = &built.summary;
    let bytes = built.front.file_len();
    if arguments.json.json {
        return output::json(json!({
            "file": arguments.output.display().to_string(),
            "bytes": bytes,
            "front_bytes": built.front.payload_offset(),
            "target": built.front.header.target.to_string(),
            "memory_kib": built.front.header.memory_kib,
            "space_kib": built.front.header.space_kib,
            "codecs": Codecs::from_bits(built.front.header.codecs).words(),
            "objects": summary.objects,
            "object_bytes": summary.object_bytes,
            "patched": summary.patched,
            "patched_bytes": summary.patched_bytes,
            "renamed": summary.renamed,
            "renamed_bytes": summary.renamed_bytes,
            "names": summary.names,
            "derived_names": summary.derived_names,
            "streams": output::streams(&summary.streams),
            "spent": output::spent(summary),
        }));
    }
    output::line(&format!("{} bytes  {}", output::bytes(bytes), arguments.output.display()))?;
    output::note(format_args!(
        "{} new files of {} bytes, {} of them ({} bytes) from old ones; the device needs {} KiB \
         of memory and {} KiB of space",
        output::bytes(summary.objects),
        output::bytes(summary.object_bytes),
        output::bytes(summary.patched),
        output::bytes(summary.patched_bytes),
        output::bytes(built.front.header.memory_kib),
        output::bytes(built.front.header.space_kib),
    ));
    if summary.renamed > 0 {
        output::note(format_args!(
            "{} more files of {} bytes are old ones with names of components replaced",
            output::bytes(summary.renamed),
            output::bytes(summary.renamed_bytes),
        ));
    }
    if summary.derived_names > 0 {
        output::note(format_args!(
            "{} of {} new names of components are computed by the device",
            output::bytes(summary.derived_names as u64),
            output::bytes(summary.names as u64),
        ));
    }
    if arguments.build.explain { output::explain(summary, bytes) } else { Ok(()) }
}
