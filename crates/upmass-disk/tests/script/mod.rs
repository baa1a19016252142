//! A few words that drive a volume, so that tests read as a list of events.
//!
//! - `put a text`: create, write and sync the content; `draft a text`: the same without sync;
//!   `zeros a 5`: create, and append zeros
//! - `publish a b`, `replace a b`, `remove a`, `mkdir d`, `rmdir d`
//! - `syncdir d` (`.` is the volume), `syncall`
//! - `read a`, `len a`, `list d`

#![allow(dead_code, reason = "each test file uses only a part of it")]

use upmass_disk::{EntryKind, Result, SimVolume, Volume, WriteFile};

/// Runs one command and tells what came of it, an error by its kind.
pub fn run(volume: &dyn Volume, command: &str) -> String {
    try_run(volume, command).unwrap_or_else(|error| format!("{:?}", error.source.kind()))
}

/// Runs commands that are separated by `;` until one fails.
pub fn run_all(volume: &dyn Volume, commands: &str) -> Result<()> {
    let commands = commands.split(';').map(str::trim);
    for command in commands.filter(|command| !command.is_empty()) {
        try_run(volume, command)?;
    }
    Ok(())
}

/// All that is on a volume, as `a=text d d/b=text`.
pub fn show(volume: &SimVolume) -> String {
    let snapshot = volume.snapshot();
    let items = snapshot.iter().map(|(path, content)| match content {
        Some(content) => format!("{path}={}", content.escape_ascii()),
        None => path.clone(),
    });
    items.collect::<Vec<_>>().join(" ")
}

fn try_run(volume: &dyn Volume, command: &str) -> Result<String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    Ok(match words[..] {
        ["put", path, text] => {
            let mut file = write(volume, path, text)?;
            file.sync()?;
            done()
        }
        ["draft", path, text] => {
            write(volume, path, text)?;
            done()
        }
        ["zeros", path, len] => {
            let len = len.parse().expect("a length");
            volume.create(path)?.write_zeros(len)?;
            done()
        }
        ["publish", from, to] => volume.publish(from, to)?.to_string(),
        ["replace", from, to] => {
            volume.replace(from, to)?;
            done()
        }
        ["remove", path] => {
            volume.remove(path)?;
            done()
        }
        ["mkdir", path] => volume.create_dir(path)?.to_string(),
        ["rmdir", path] => {
            volume.remove_dir(path)?;
            done()
        }
        ["syncdir", path] => {
            volume.sync_dir(directory_path(path))?;
            done()
        }
        ["syncall"] => {
            volume.sync_all()?;
            done()
        }
        ["read", path] => match volume.open_if_exists(path)? {
            Some(file) => {
                let mut content = vec![0; file.len() as usize];
                file.read_exact_at(&mut content, 0).expect("as long as it says");
                format!("{:?}", content.escape_ascii().to_string())
            }
            None => "none".to_owned(),
        },
        ["len", path] => match volume.file_len(path)? {
            Some(len) => len.to_string(),
            None => "none".to_owned(),
        },
        ["list", path] => {
            let entries = volume.list(directory_path(path))?;
            let names = entries.into_iter().map(|entry| match entry.kind {
                EntryKind::Directory => entry.name + "/",
                EntryKind::File => entry.name,
                EntryKind::Other => entry.name + "?",
            });
            format!("[{}]", names.collect::<Vec<_>>().join(" "))
        }
        _ => panic!("unknown command: {command}"),
    })
}

fn write(volume: &dyn Volume, path: &str, text: &str) -> Result<Box<dyn WriteFile>> {
    let mut file = volume.create(path)?;
    file.write(text.as_bytes())?;
    Ok(file)
}

fn directory_path(path: &str) -> &str {
    if path == "." { "" } else { path }
}

fn done() -> String {
    "done".to_owned()
}
