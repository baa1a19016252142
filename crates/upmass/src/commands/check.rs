//! `upmass check`

use serde_json::json;
use upmass_store::{Fault, Store};

use crate::arguments::Check;
use crate::device::{Access, Session};
use crate::failure::{Failure, Kind};
use crate::{Outcome, output, progress};

pub fn run(arguments: &Check) -> Outcome {
    let session;
    let store = match &arguments.place.store {
        Some(store) => Store::open(store)?,
        None => {
            session = Session::open(&arguments.place.device.root, Access::Read)?;
            session.store()?
        }
    };
    let bar = progress::bytes("hashing", None);
    let report = store.check(&mut |bytes| bar.set_position(bytes))?;
    bar.finish_and_clear();
    let words = |fault: &Fault| match fault {
        Fault::Missing => "is missing".to_owned(),
        Fault::OtherContent { found } => format!("has other content: its digest is {found}"),
        Fault::Unreadable(why) => format!("cannot be read: {why}"),
        Fault::NotDecodable(why) => format!("cannot be decoded: {why}"),
    };
    if arguments.json.json {
        let damages: Vec<_> = report
            .damages
            .iter()
            .map(|damage| {
                json!({
                    "object": damage.object.to_string(),
                    "fault": words(&damage.fault),
                    "needed_by": damage.needed_by,
                })
            })
            .collect();
        output::json(json!({
            "objects": report.objects,
            "bytes": report.bytes,
            "releases": report.releases,
            "damages": damages,
        }))?;
    } else {
        for damage in &report.damages {
            output::line(&format!("object {} {}", damage.object, words(&damage.fault)))?;
            for who in &damage.needed_by {
                output::line(&format!("  needed by {who}"))?;
            }
        }
        output::note(format_args!(
            "{} objects of {} bytes hashed, {} releases looked through",
            output::bytes(report.objects),
            output::bytes(report.bytes),
            report.releases
        ));
    }
    match report.damages.len() {
        0 => Ok(()),
        count => Err(Failure::new(Kind::Failed, format_args!("{count} objects are damaged"))),
    }
}
