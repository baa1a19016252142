//! `upmass ls`

use serde_json::json;
use upmass_format::TreePath;
use upmass_format::tree::{Event, Meta, Node};
use upmass_store::StoreError;

use crate::arguments::Ls;
use crate::failure::Failure;
use crate::{Outcome, output, releases};

pub fn run(arguments: &Ls) -> Outcome {
    let store = super::open(&arguments.store)?;
    let (_, release, system) = releases::find_system(&store, &arguments.system)?;
    let system = match system {
        Some(name) => release.systems.iter().find(|system| system.name == name),
        None => release.systems.get(release.fallback),
    };
    let system = system.ok_or_else(|| Failure::refused("the release has no system"))?;
    let wanted = TreePath::new(arguments.path.trim_matches('/'))
        .ok_or_else(|| Failure::refused(format_args!("{:?} is not a path", arguments.path)))?;
    let mut found = Vec::new();
    let mut is_any = false;
    for index in release.closure(system) {
        let component = &release.components[index];
        let prefix = component.install.tree_path();
        let damaged = |source| StoreError::Damaged { id: component.tree.into(), source };
        let mut reader = store.tree_reader(component.tree)?;
        loop {
            let directory = reader.directory();
            let Some(event) = reader.next_event().map_err(damaged)? else { break };
            let Event::Entry(entry) = event else { continue };
            let names = prefix.names().chain(directory.names()).chain([entry.name.as_bytes()]);
            let path = names.collect::<Vec<_>>().join(&b'/');
            let Some(path) = TreePath::new(path) else { continue };
            let is_wanted = wanted.names().zip(path.names()).all(|(a, b)| a == b)
                && wanted.names().count() <= path.names().count();
            if !is_wanted {
                continue;
            }
            is_any = true;
            if arguments.json.json {
                found.push(json!({
                    "path": format!("/{path}"),
                    "component": component.name,
                    "kind": kind(&entry.node).1,
                    "mode": format!("{:04o}", entry.meta.mode),
                    "uid": entry.meta.uid,
                    "gid": entry.meta.gid,
                    "bytes": entry.node.file_size(),
                    "object": match &entry.node {
                        Node::Object { id, .. } => Some(id.to_string()),
                        _ => None,
                    },
                    "xattrs": entry.meta.xattrs.len(),
                }));
            } else {
                output::line(&describe(&path, &entry.meta, &entry.node))?;
            }
        }
    }
    if !is_any && !wanted.is_root() {
        let system = &system.name;
        return Err(Failure::refused(format_args!("system {system} has nothing at /{wanted}")));
    }
    match arguments.json.json {
        true => output::json(json!({ "system": system.name, "entries": found })),
        false => Ok(()),
    }
}

fn describe(path: &TreePath, meta: &Meta, node: &Node) -> String {
    let (letter, _) = kind(node);
    let owner = format!("{}:{}", meta.uid, meta.gid);
    let size = match node {
        Node::CharDevice(device) | Node::BlockDevice(device) => {
            format!("{},{}", device.major, device.minor)
        }
        node => node.file_size().map(output::bytes).unwrap_or_default(),
    };
    let target = match node {
        Node::Symlink(target) => format!(" -> {}", target.escape_ascii()),
        Node::Hardlink(target) => format!(" = /{target}"),
        _ => String::new(),
    };
    let mark = if meta.xattrs.is_empty() { ' ' } else { '+' };
    format!("{letter}{:04o}{mark} {owner:>11} {size:>13} /{path}{target}", meta.mode)
}

fn kind(node: &Node) -> (char, &'static str) {
    match node {
        Node::Directory => ('d', "directory"),
        Node::Object { .. } | Node::Inline(_) => ('-', "file"),
        Node::Symlink(_) => ('l', "symlink"),
        Node::Hardlink(_) => ('h', "hardlink"),
        Node::Fifo => ('p', "fifo"),
        Node::Socket => ('s', "socket"),
        Node::CharDevice(_) => ('c', "character device"),
        Node::BlockDevice(_) => ('b', "block device"),
    }
}
