//! What the command line of the kernel asks for.

use std::time::Duration;

use upmass_boot::command_line::{value, words};
use upmass_format::release::{Changes, Policy};

use crate::error::{InitError, Result};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// The system's init, as a path in it (`init=`).
    pub(crate) init: Option<String>,
    /// What becomes of changes (`upmass.etc=`, `upmass.var=`).
    pub(crate) changes: Changes,
    /// How long to wait for the disk (`upmass.wait=`, in seconds).
    pub(crate) wait: Duration,
    /// When the watchdog is started (`upmass.watchdog=`).
    pub(crate) watchdog: When,
    line: String,
}

/// When to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    /// When the release is on trial.
    Trial,
    Never,
}

/// Disks behind slow controllers take some seconds.
const WAIT: Duration = Duration::from_secs(30);
const MAX_WAIT: u64 = 3600;

impl Options {
    /// Reads a command line.
    pub(crate) fn parse(line: &str) -> Result<Self> {
        let default = Changes::default();
        let changes = Changes {
            etc: policy(line, "upmass.etc", "etc", default.etc)?,
            var: policy(line, "upmass.var", "var", default.var)?,
        };
        let wait = match value(line, "upmass.wait") {
            Some(text) => match text.parse().ok().filter(|seconds| *seconds <= MAX_WAIT) {
                Some(seconds) => Duration::from_secs(seconds),
                None => return Err(wrong("wait", text, "0 to 3600 seconds")),
            },
            None => WAIT,
        };
        let watchdog = match value(line, "upmass.watchdog").as_deref() {
            Some("always") => When::Always,
            Some("trial") | None => When::Trial,
            Some("never") => When::Never,
            Some(other) => {
                return Err(wrong("watchdog", other.to_owned(), "always, trial or never"));
            }
        };
        let init = value(line, "init").filter(|path| path.starts_with('/'));
        Ok(Self { init, changes, wait, watchdog, line: line.to_owned() })
    }

    /// What a module is told: the words `module.parameter=value`, without the name.
    pub(crate) fn parameters(&self, module: &str) -> String {
        let own = words(&self.line).into_iter().filter_map(|word| {
            let (name, parameter) = word.split_once('.')?;
            (name.replace('-', "_") == module).then(|| parameter.to_owned())
        });
        own.collect::<Vec<_>>().join(" ")
    }
}

fn policy(line: &str, word: &str, key: &'static str, default: Policy) -> Result<Policy> {
    let Some(text) = value(line, word) else { return Ok(default) };
    Policy::of_word(&text).ok_or_else(|| wrong(key, text, "fixed, stateless or persistent"))
}

fn wrong(key: &'static str, found: String, expected: &'static str) -> InitError {
    InitError::Option { key, found, expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_as_a_system_that_says_nothing_wants_it() {
        let options = Options::parse("quiet gpt upmass.system=main").unwrap();
        assert_eq!((options.changes, options.init.as_deref()), (Changes::default(), None));
        assert_eq!((options.wait, options.watchdog), (WAIT, When::Trial));
    }

    #[test]
    fn words_are_understood() {
        let line = "init=/nix/store/x/init upmass.etc=persistent upmass.var=stateless \
                    upmass.wait=5 upmass.watchdog=never i6300esb.heartbeat=20 \
                    i6300esb.nowayout=1 iTCO-wdt.x=2";
        let options = Options::parse(line).unwrap();
        assert_eq!(options.init.as_deref(), Some("/nix/store/x/init"));
        let changes = Changes { etc: Policy::Persistent, var: Policy::Stateless };
        assert_eq!(options.changes, changes);
        assert_eq!((options.wait.as_secs(), options.watchdog), (5, When::Never));
        assert_eq!(options.parameters("i6300esb"), "heartbeat=20 nowayout=1");
        assert_eq!(options.parameters("iTCO_wdt"), "x=2");
        assert_eq!(options.parameters("upmas"), "");
    }

    #[test]
    fn what_is_not_understood_is_told() {
        let check = |line: &str, expected: &str| {
            assert_eq!(Options::parse(line).unwrap_err().to_string(), expected);
        };
        check(
            "upmass.etc=yes",
            "upmass.etc=yes on the command line: expected fixed, stateless or persistent",
        );
        check("upmass.wait=-1", "upmass.wait=-1 on the command line: expected 0 to 3600 seconds");
        check(
            "upmass.watchdog=on",
            "upmass.watchdog=on on the command line: expected always, trial or never",
        );
    }
}
