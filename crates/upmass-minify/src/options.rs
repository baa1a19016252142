//! What a user may choose.

use std::fmt;
use std::str::FromStr;

use crate::glob::Glob;
use crate::{MinifyError, Result};

/// How much goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Only what can matter to no program at run time: documentation, caches of package
    /// managers, files for a compiler that is not there.
    Safe,
    /// Only what the system and the named roots need stays.
    #[default]
    Lean,
    /// As lean, without what makes a system pleasant for people: basic commands that nothing
    /// needs, byte code, licence texts.
    Bare,
}

impl Level {
    /// All levels, from the mildest.
    pub const ALL: [Self; 3] = [Self::Safe, Self::Lean, Self::Bare];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Lean => "lean",
            Self::Bare => "bare",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Level {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|level| level.word() == text);
        found.ok_or("safe, lean or bare")
    }
}

/// What stays and goes. `Default` is level lean with nothing named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// How much goes.
    pub level: Level,
    /// What stays, whatever the level says, with all that it needs. Stronger than `drop`.
    pub keep: Vec<Glob>,
    /// What goes, also where something needs it; nothing is followed from there.
    pub drop: Vec<Glob>,
    /// What must work: commands, units (`ssh.service`) and absolute paths.
    pub roots: Vec<String>,
    /// Languages whose translations stay: `de`, `pt_BR`. `None` stands for those that the
    /// system is configured to use.
    pub locales: Option<Vec<String>>,
    /// Time zones that stay: `Europe/Berlin`. `None` stands for that of the system and UTC.
    pub time_zones: Option<Vec<String>>,
    /// Terminals that stay: `vt100`. `None` stands for the usual ones.
    pub terminals: Option<Vec<String>>,
    /// What the kernel must drive: names of modules, as `lsmod` prints them, or device names
    /// (modaliases). `None`: all modules stay.
    pub hardware: Option<Vec<String>>,
    /// What boots, of all that is in `/boot`: `/boot/vmlinuz-*`. `None`: all of it stays.
    pub boot: Option<Vec<Glob>>,
    /// Modification times are not kept, so that byte code of Python, which holds the time of its
    /// source, is never used.
    pub times_are_lost: bool,
}

impl Options {
    /// Patterns from texts.
    ///
    /// # Errors
    /// The first one that is wrong.
    pub fn globs(texts: &[String]) -> Result<Vec<Glob>> {
        texts.iter().map(|text| Glob::new(text)).collect()
    }

    /// Names of modules from what `lsmod` prints, `/proc/modules` holds, or a list of names or
    /// modaliases, one in a line.
    pub fn hardware_of(text: &str) -> Vec<String> {
        let names = text.lines().filter_map(|line| {
            let name = line.split_whitespace().next()?;
            let is_header = name == "Module" && line.contains("Size");
            (!is_header && !name.starts_with('#')).then(|| name.to_owned())
        });
        names.collect()
    }
}

/// Refuses a root that the system does not have.
pub(crate) fn no_such_root(root: &str) -> MinifyError {
    MinifyError::NoSuchRoot { root: root.to_owned() }
}
