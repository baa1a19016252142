//! `upmass pull`

use serde_json::json;
use upmass_registry::{Credentials, PullOptions, Reference, pull};

use crate::arguments::Pull;
use crate::{Outcome, output, progress};

pub fn run(arguments: &Pull) -> Outcome {
    let reference: Reference = arguments.image.parse()?;
    let credentials = match &arguments.auth_file {
        Some(path) => Credentials::from_file(path, &reference.host)?,
        None => None,
    };
    let options = PullOptions {
        platform: arguments.platform.clone(),
        max_size: arguments.max_size,
        credentials,
        plain_http: arguments.plain_http,
        ca: arguments.ca.clone(),
        ..PullOptions::default()
    };
    let bar = progress::bytes("pulling", None);
    let pulled = pull(&reference, &arguments.output, &options, &mut |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    let pulled = pulled?;
    if arguments.json.json {
        return output::json(json!({
            "image": reference.to_string(),
            "manifest": pulled.manifest.to_string(),
            "ref": pulled.reference,
            "blobs": pulled.blobs,
            "bytes": pulled.bytes,
            "received": pulled.received,
        }));
    }
    output::line(&pulled.manifest.to_string())?;
    output::note(format_args!(
        "{} blobs, {} bytes in {} ({} received)",
        pulled.blobs,
        output::bytes(pulled.bytes),
        arguments.output.display(),
        output::bytes(pulled.received)
    ));
    Ok(())
}
