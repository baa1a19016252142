//! Man pages and completions, from the definition of the command line.

use std::path::Path;

use clap::CommandFactory;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::failure::Failure;

pub fn completions(shell: clap_complete::Shell) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "upmass", &mut text);
    crate::output::line(String::from_utf8_lossy(&text).trim_end())
}

pub fn man(directory: &Path) -> Outcome {
    clap_mangen::generate_to(Arguments::command(), directory)
        .map_err(|error| Failure::io("write man pages to", directory, error))
}
