//! `upmass reboot`

use crate::arguments::Reboot;
use crate::device::{Access, Session, restart};
use crate::failure::Failure;
use crate::{Outcome, output};

pub fn run(arguments: &Reboot) -> Outcome {
    let root = &arguments.device.root;
    if let Some(system) = &arguments.into {
        choose(&Session::open(root, Access::Write)?, system, arguments.keep)?;
    }
    output::note("restarting");
    restart(root)
}

/// Tells the boot loader which system to start in the slot that boots next.
fn choose(session: &Session, system: &str, keep: bool) -> Outcome {
    let control = session.control()?;
    let view = control.view()?;
    let slot = view.next();
    let entries = session.entries(slot)?;
    let Some(entry) = entries.iter().find(|entry| entry.system == system) else {
        let known: Vec<&str> = entries.iter().map(|entry| &entry.system[..]).collect();
        let release = view.holds(slot).map_or_else(String::new, |id| id.short());
        return Err(Failure::refused(format_args!(
            "release {release}, which boots next, has no system {system:?}; it has {}",
            known.join(", ")
        )));
    };
    let loader = control.loader();
    match keep {
        // The fallback is what starts when nothing is said.
        true if entry.is_fallback => loader.prefer(None)?,
        true => loader.prefer(Some(&entry.id))?,
        false => return Ok(loader.choose(Some(&entry.id))?),
    }
    Ok(loader.choose(None)?)
}
