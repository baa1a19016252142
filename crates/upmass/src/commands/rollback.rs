//! `upmass rollback`

use serde_json::json;
use upmass_boot::Outcome as Done;
use upmass_boot::policy::Phase;

use crate::arguments::Rollback;
use crate::device::{Access, Session};
use crate::failure::{Failure, Kind};
use crate::{Outcome, output, progress};

pub fn run(arguments: &Rollback) -> Outcome {
    let session = Session::open(&arguments.device.root, Access::Write)?;
    let control = session.control()?;
    let view = control.view()?;
    let phase = view.phase();
    let to = match phase {
        Phase::Settled => view.holds(view.active.other()),
        Phase::Armed(_) | Phase::Trial | Phase::Leaving => view.holds(view.active),
    };
    if let Some(to) = to {
        let systems = session.systems().join(to.to_string());
        if !systems.is_dir() {
            return Err(Failure::refused(format_args!(
                "the systems of release {} are not on the system partition any more",
                to.short()
            )));
        }
    }
    let bar = progress::bytes("reading the boot slot", None);
    let done = control.roll_back(&mut |bytes| bar.set_position(bytes));
    bar.finish_and_clear();
    let done = done?;
    let must_restart = !matches!(phase, Phase::Armed(_));
    if arguments.json.json {
        output::json(json!({
            "release": to.map(|id| id.to_string()),
            "rolled_back": done == Done::Done,
            "restart": must_restart,
        }))?;
    } else if done == Done::Done {
        if let Some(to) = to {
            output::line(&to.to_string())?;
        }
        output::note(match must_restart {
            true => "the next start boots it: `upmass reboot`",
            false => "what was armed is taken back",
        });
    }
    match done {
        Done::Done => Ok(()),
        Done::Nothing => {
            let message = "the other slot was made active already: `upmass reboot` starts it";
            Err(Failure::new(Kind::NothingToDo, message))
        }
    }
}
