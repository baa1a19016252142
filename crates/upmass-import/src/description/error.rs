//! What is wrong with a description, and what would be right.

use std::io;
use std::path::{Path, PathBuf};

use upmass_minify::MinifyError;
use upmass_store::StoreError;

use crate::ImportError;

/// A description that cannot become a release, and the place that is at fault.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {problem}", path.display(), colon(line))]
pub struct DescriptionError {
    /// The file.
    pub path: PathBuf,
    /// The line, counted from 1; `None` where the whole file is at fault.
    pub line: Option<usize>,
    /// What is wrong there.
    #[source]
    pub problem: Box<Problem>,
}

/// What is wrong with a description. `place` is the part of the file, for people:
/// `system "main"`.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file cannot be read.
    #[error("cannot be read: {source}")]
    Read {
        /// Why.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("this is not TOML: {message}")]
    Syntax {
        /// In the words of the parser.
        message: String,
    },
    /// A key that means nothing here.
    #[error("unknown key \"{key}\" in {place}{}; known are {}", meant(suggestion), known.join(", "))]
    UnknownKey {
        /// The key in the file.
        key: String,
        /// Where.
        place: String,
        /// The keys that are known there.
        known: &'static [&'static str],
        /// The one that may be meant.
        suggestion: Option<&'static str>,
    },
    /// A key that has to be there.
    #[error("{place} has no \"{key}\": add {example}")]
    Missing {
        /// Where.
        place: String,
        /// The key.
        key: &'static str,
        /// A line as it could be.
        example: &'static str,
    },
    /// A value that is not what the key takes.
    #[error("\"{key}\" of {place}: expected {expected}, found {found}")]
    Value {
        /// Where.
        place: String,
        /// The key.
        key: String,
        /// What it takes.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// Two keys that exclude each other, or a key that means nothing beside another.
    #[error("\"{key}\" of {place} {why}")]
    NotHere {
        /// Where.
        place: String,
        /// The key.
        key: &'static str,
        /// The end of the sentence.
        why: &'static str,
    },
    /// A name that is given twice.
    #[error("{what} \"{name}\" was already described at line {first}: names must differ")]
    Twice {
        /// Component or system.
        what: &'static str,
        /// The name.
        name: String,
        /// The line of the first.
        first: usize,
    },
    /// A name of something that is not described.
    #[error(
        "\"{key}\" of {place}: there is no {what} \"{name}\"{}; there are {}",
        meant(suggestion),
        quoted(known)
    )]
    NoSuch {
        /// Where.
        place: String,
        /// The key.
        key: &'static str,
        /// Component or system.
        what: &'static str,
        /// The name.
        name: String,
        /// The names that are described.
        known: Vec<String>,
        /// The one that may be meant.
        suggestion: Option<String>,
    },
    /// A component that nothing needs.
    #[error(
        "component \"{name}\" belongs to no system: name it in the \"components\" of a system, or \
         remove it"
    )]
    Unused {
        /// Its name.
        name: String,
    },
    /// A service that no system runs.
    #[error(
        "service \"{name}\" belongs to no system: name it in the \"services\" of a system, or remove it"
    )]
    UnusedService {
        /// Its name.
        name: String,
    },
    /// More than one system, and no word on which is the fallback.
    #[error(
        "there are {} systems, so one must be the fallback: add fallback = \"{}\" above the first \
         table, or another of {}", systems.len(), systems[0], quoted(systems)
    )]
    NoFallback {
        /// The names of the systems.
        systems: Vec<String>,
    },
    /// A source could not be imported.
    #[error("{place}: {source}")]
    Import {
        /// The component.
        place: String,
        /// Why.
        source: Box<ImportError>,
    },
    /// Nothing is where a boot file should be.
    #[error("\"{key}\" of {place}: nothing in the system matches {pattern}; {}", lists(directory, found, *more))]
    NoBootFile {
        /// The system.
        place: String,
        /// `kernel`, `initrd` or `dtb`.
        key: &'static str,
        /// The pattern.
        pattern: String,
        /// The directory of the pattern that exists.
        directory: String,
        /// Some of what is in it.
        found: Vec<String>,
        /// How much more there is.
        more: usize,
    },
    /// A boot file could be several files.
    #[error(
        "\"{key}\" of {place}: expected one file, but {pattern} matches {}: write a pattern that \
         matches one", some(found, *more)
    )]
    SeveralBootFiles {
        /// The system.
        place: String,
        /// `kernel`, `initrd` or `dtb`.
        key: &'static str,
        /// The pattern.
        pattern: String,
        /// Some of the files.
        found: Vec<String>,
        /// How many more there are.
        more: usize,
    },
    /// An initial RAM disk cannot be made.
    #[error("\"initrd\" of {place}: {why}")]
    RamDisk {
        /// The system.
        place: String,
        /// Why.
        why: String,
    },
    /// The list of hardware cannot be read.
    #[error("\"hardware\" of \"minify\": cannot read {path}: {source}")]
    Hardware {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A system cannot be made smaller.
    #[error("\"minify\" of {place}: {source}")]
    Minify {
        /// The system.
        place: String,
        /// Why.
        source: Box<MinifyError>,
    },
    /// There is nothing to make smaller.
    #[error(
        "no system has a component from a directory or an archive, and others are taken whole: \
         remove [minify]"
    )]
    NothingToMinify,
    /// What is where a boot file should be is something else.
    #[error("\"{key}\" of {place}: expected a file, but {path} {what}")]
    NotAFile {
        /// The system.
        place: String,
        /// `kernel`, `initrd` or `dtb`.
        key: &'static str,
        /// What matched.
        path: String,
        /// The end of the sentence.
        what: String,
    },
    /// Two sources have a component of the same name that differs.
    #[error(
        "{place} has a component \"{name}\" that differs from the one of {other}: a release has \
         one component of a name"
    )]
    Differs {
        /// The second source.
        place: String,
        /// The name of the component.
        name: String,
        /// The first source.
        other: String,
    },
    /// The release is beyond a limit of the format.
    #[error("the release cannot be written down: {source}")]
    Release {
        /// Which one.
        source: io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A problem whose file is not yet named.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) line: Option<usize>,
    pub(super) problem: Box<Problem>,
}

impl Fault {
    pub(super) fn at(line: usize, problem: Problem) -> Self {
        Self { line: Some(line), problem: Box::new(problem) }
    }

    pub(super) fn in_file(self, path: &Path) -> DescriptionError {
        let Self { line, problem } = self;
        DescriptionError { path: path.to_owned(), line, problem }
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self { line: None, problem: Box::new(problem) }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Problem::from(error).into()
    }
}

impl DescriptionError {
    /// Whether the description or what it names is at fault, so that trying again with the same
    /// is useless.
    pub fn is_bad_input(&self) -> bool {
        match &*self.problem {
            Problem::Import { source, .. } => source.is_bad_input(),
            Problem::Minify { source, .. } => source.is_bad_input(),
            Problem::Read { .. } | Problem::Hardware { .. } | Problem::Store(_) => false,
            _ => true,
        }
    }

    /// Whether trying again later may help.
    pub fn is_temporary(&self) -> bool {
        match &*self.problem {
            Problem::Import { source, .. } => source.is_temporary(),
            Problem::Store(error) => error.is_temporary(),
            Problem::Minify { source, .. } => match &**source {
                MinifyError::Store(error) => error.is_temporary(),
                _ => false,
            },
            _ => false,
        }
    }
}

fn colon(line: &Option<usize>) -> String {
    line.map(|line| format!(":{line}")).unwrap_or_default()
}

fn meant(suggestion: &Option<impl AsRef<str>>) -> String {
    match suggestion {
        Some(word) => format!(", did you mean \"{}\"?", word.as_ref()),
        None => String::new(),
    }
}

fn quoted(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

fn some(found: &[String], more: usize) -> String {
    let mut text = found.join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

fn lists(directory: &str, found: &[String], more: usize) -> String {
    if found.is_empty() {
        format!("{directory} is empty")
    } else {
        format!("{directory} has {}", some(found, more))
    }
}
