//! One module for each command.

mod apply;
mod check;
mod checkout;
mod collect;
mod confirm;
#[cfg(feature = "host")]
mod delta;
#[cfg(feature = "host")]
mod diff;
mod exec;
#[cfg(feature = "host")]
mod generate;
mod health;
#[cfg(feature = "host")]
mod image;
mod inspect;
#[cfg(feature = "host")]
mod keygen;
mod log;
mod ls;
#[cfg(feature = "host")]
mod minify;
#[cfg(feature = "host")]
mod patch;
#[cfg(feature = "host")]
mod pull;
mod reboot;
#[cfg(feature = "host")]
mod release;
mod remove;
#[cfg(feature = "host")]
mod report;
mod rollback;
mod services;
mod show;
mod status;
#[cfg(feature = "host")]
mod update;

use std::sync::{Arc, OnceLock};

use upmass_disk::{DirVolume, Fault, FaultVolume, StepCounter};
use upmass_store::{Store, StoreError};

use crate::Outcome;
use crate::arguments::{Command, StoreArgument};
use crate::failure::{Failure, Kind};

/// Runs one command.
pub fn run(command: Command) -> Outcome {
    match command {
        #[cfg(feature = "host")]
        Command::Keygen(arguments) => keygen::run(&arguments),
        #[cfg(feature = "host")]
        Command::Release(arguments) => release::run(&arguments),
        #[cfg(feature = "host")]
        Command::Update(arguments) => update::run(&arguments),
        #[cfg(feature = "host")]
        Command::Image(arguments) => image::run(&arguments),
        Command::Apply(arguments) => apply::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Reboot(arguments) => reboot::run(&arguments),
        Command::Confirm(arguments) => confirm::run(&arguments),
        Command::Rollback(arguments) => rollback::run(&arguments),
        Command::Health(arguments) => health::run(&arguments),
        #[cfg(feature = "host")]
        Command::Pull(arguments) => pull::run(&arguments),
        Command::Services(arguments) => services::run(&arguments),
        Command::Exec(arguments) => exec::run(&arguments),
        Command::Checkout(arguments) => checkout::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        #[cfg(feature = "host")]
        Command::Report(arguments) => report::run(&arguments),
        #[cfg(feature = "host")]
        Command::Diff(arguments) => diff::run(&arguments),
        #[cfg(feature = "host")]
        Command::Minify(arguments) => minify::run(&arguments),
        Command::Ls(arguments) => ls::run(&arguments),
        Command::Show(arguments) => show::run(&arguments),
        Command::Log(arguments) => log::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Collect(arguments) => collect::run(&arguments),
        Command::Remove(arguments) => remove::run(&arguments),
        #[cfg(feature = "host")]
        Command::Delta(arguments) => delta::run(&arguments),
        #[cfg(feature = "host")]
        Command::Patch(arguments) => patch::run(&arguments),
        #[cfg(feature = "host")]
        Command::Completions { shell } => generate::completions(shell),
        #[cfg(feature = "host")]
        Command::Man { directory } => generate::man(&directory),
    }
}

fn open(argument: &StoreArgument) -> Result<Store, Failure> {
    Ok(Store::open(&argument.store)?)
}

/// Opens a store that is there, for changing it.
fn open_for_writing(argument: &StoreArgument) -> Result<Store, Failure> {
    open(argument)?;
    open_or_create(argument)
}

/// Opens the store, made when there is none. `UPMASS_FAULT` breaks it at a chosen step: how
/// tests find out what an interrupted command leaves.
fn open_or_create(argument: &StoreArgument) -> Result<Store, Failure> {
    let path = &argument.store;
    let Some(fault) = std::env::var_os("UPMASS_FAULT") else {
        return Ok(Store::open_or_create(path)?);
    };
    let fault = fault.to_str().and_then(Fault::parse).ok_or_else(|| {
        Failure::new(Kind::Usage, "UPMASS_FAULT must be count, kill:N, full:N or io:N")
    })?;
    let volume = FaultVolume::new(DirVolume::create(path).map_err(StoreError::from)?, fault);
    STEPS.get_or_init(|| volume.counter());
    Ok(Store::create_on(Arc::new(volume), &path.display().to_string())?)
}

static STEPS: OnceLock<StepCounter> = OnceLock::new();

/// Says how many steps the store took, where `UPMASS_FAULT` is set.
fn report_steps() {
    if let Some(counter) = STEPS.get() {
        crate::output::note(format_args!("{} steps", counter.steps()));
    }
}
