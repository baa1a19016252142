//! What goes by what it is, whoever has it.
//!
//! A rule yields where whoever is kept cannot do without the file (a linked library, the target
//! of a link), and to what the user keeps.

mod spared;
mod table;

use self::spared::Spared;
use self::table::{RULES, Spares};
use crate::glob::Glob;
use crate::system::System;
use crate::tree::Id;
use crate::{Kind, Level, Options, Result};

/// A rule, as tables and reports know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its word, in reports.
    pub name: &'static str,
    /// The mildest level that has it.
    pub level: Level,
    /// What goes, as the end of "dropped: ".
    pub what: &'static str,
    /// How it stays, beside a pattern that keeps it; may be empty.
    pub back: &'static str,
    patterns: &'static [&'static str],
    except: &'static [&'static str],
    unless_command: &'static [&'static str],
    spares: Spares,
    /// Whether it counts whoever needs the file.
    pub(crate) is_firm: bool,
}

impl Rule {
    /// All rules, the mildest first.
    pub fn all() -> impl Iterator<Item = &'static Rule> {
        RULES.iter()
    }
}

/// The rules of a level, ready to be asked.
pub(crate) struct Rules {
    rules: Vec<Ready>,
    spared: Spared,
}

struct Ready {
    rule: &'static Rule,
    patterns: Vec<Glob>,
    except: Vec<Glob>,
}

impl Rules {
    /// The rules that apply to this system at this level.
    pub(crate) fn new(system: &System<'_>, options: &Options) -> Result<Self> {
        let mut rules = Vec::new();
        for rule in
            RULES.iter().filter(|rule| rule.level <= options.level || is_asked_for(rule, options))
        {
            let used = |command: &&str| {
                let is_root = options.roots.iter().any(|root| root == *command);
                // At level safe whatever is there may be used; further on, whatever is wanted.
                is_root
                    || (rule.level == Level::Safe
                        && system.commands.contains_key(command.as_bytes()))
            };
            if rule.unless_command.iter().any(used) {
                continue;
            }
            let globs = |patterns: &[&str]| {
                patterns.iter().map(|text| Glob::new(text)).collect::<Result<Vec<Glob>>>()
            };
            rules.push(Ready {
                rule,
                patterns: globs(rule.patterns)?,
                except: globs(rule.except)?,
            });
        }
        Ok(Self { rules, spared: Spared::new(system, options)? })
    }

    /// The first rule by which a file goes. Directories go when nothing is left in them.
    pub(crate) fn drops(&self, system: &System<'_>, id: Id) -> Option<&'static Rule> {
        let entry = system.tree.entry(id);
        if entry.kind == Kind::Directory {
            return None;
        }
        let path = &entry.path;
        let ready = self.rules.iter().find(|ready| {
            ready.patterns.iter().any(|glob| glob.matches(path))
                && !ready.except.iter().any(|glob| glob.matches(path))
                && !self.spared.spares(ready.rule.spares, system, id)
        });
        ready.map(|ready| ready.rule)
    }
}

/// Lists that were given are meant, at any level.
fn is_asked_for(rule: &Rule, options: &Options) -> bool {
    match rule.spares {
        Spares::Languages => options.locales.is_some(),
        Spares::TimeZones => options.time_zones.is_some(),
        Spares::Terminals => options.terminals.is_some(),
        Spares::Hardware | Spares::HwdbWithoutHardware => options.hardware.is_some(),
        Spares::Boot => options.boot.is_some(),
        Spares::ByteCodeInUse => options.times_are_lost,
        Spares::Nothing | Spares::HwdbSources | Spares::WithoutKmod => false,
    }
}
