//! `upmass confirm`

use serde_json::json;
use upmass_boot::Outcome as Confirmed;

use crate::arguments::Confirm;
use crate::device::{Access, Session};
use crate::failure::{Failure, Kind};
use crate::{Outcome, output, progress};

pub fn run(arguments: &Confirm) -> Outcome {
    let session = Session::open(&arguments.device.root, Access::Write)?;
    let confirmed = confirm(&session)?;
    let release = session.device.release;
    if arguments.json.json {
        output::json(json!({
            "release": release.to_string(),
            "confirmed": confirmed == Confirmed::Done,
        }))?;
    } else if confirmed == Confirmed::Done {
        output::line(&release.to_string())?;
    }
    match confirmed {
        Confirmed::Done => Ok(()),
        Confirmed::Nothing => {
            let message = format!("release {} is not on trial", release.short());
            Err(Failure::new(Kind::NothingToDo, message))
        }
    }
}

/// Makes the slot that was booted the active one.
pub(super) fn confirm(session: &Session) -> Result<Confirmed, Failure> {
    let bar = progress::bytes("reading the boot slot", None);
    let confirmed = session.control()?.confirm(&mut |bytes| bar.set_position(bytes));
    bar.finish_and_clear();
    Ok(confirmed?)
}
