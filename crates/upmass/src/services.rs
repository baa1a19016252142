//! What a release and a device say of services: the files `service.json`.

use std::io::{ErrorKind, Read};
use std::path::Path;

use serde_json::Value;
use upmass_format::TreePath;
use upmass_format::release::{Release, System};
use upmass_format::tree::{Child, Directory, Node};
use upmass_store::Store;

use crate::failure::{Failure, Kind};

/// Where services are described in a running system.
const DIRECTORY: &str = "usr/lib/upmass/services";
/// The file in the directory of each.
const FILE: &str = "service.json";
/// Longest description that is read, in bytes.
const MAX_LEN: u64 = 1 << 20;

/// The services of a system of a release, by name.
pub fn of_system(store: &Store, release: &Release, system: &System) -> Result<Vec<Value>, Failure> {
    let mut services = Vec::new();
    for index in release.closure(system) {
        services.extend(of_component(store, release, index)?);
    }
    services.sort_by(|a, b| text(a, "name").cmp(text(b, "name")));
    Ok(services)
}

/// The services of a component of a release, by name.
pub fn of_component(store: &Store, release: &Release, index: usize) -> Result<Vec<Value>, Failure> {
    let component = &release.components[index];
    // Each has one of its own; other components are not read for it.
    if !component.name.starts_with("service-") {
        return Ok(Vec::new());
    }
    let (tree, _) = store.tree(component.tree)?;
    let directory = TreePath::new(DIRECTORY).and_then(|path| tree.get(&path).cloned());
    let Some(Child::Directory(services)) = directory else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for service in services.children.values() {
        if let Child::Directory(service) = service {
            found.extend(description(store, service)?);
        }
    }
    Ok(found)
}

/// The services that the system with this root directory has, by name.
pub fn installed(root: &Path) -> Result<Vec<Value>, Failure> {
    let directory = root.join(DIRECTORY);
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::io("list", &directory, error)),
    };
    let mut services = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Failure::io("list", &directory, error))?;
        let path = entry.path().join(FILE);
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                continue;
            }
            Err(error) => return Err(Failure::io("open", &path, error)),
        };
        let mut bytes = Vec::new();
        let read = file.take(MAX_LEN).read_to_end(&mut bytes);
        read.map_err(|error| Failure::io("read", &path, error))?;
        services.push(parse(&bytes).ok_or_else(|| {
            Failure::refused(format_args!(
                "{}: expected a service of version 1, as `upmass release` writes it",
                path.display()
            ))
        })?);
    }
    services.sort_by(|a, b| text(a, "name").cmp(text(b, "name")));
    Ok(services)
}

/// A text of a service.
pub fn text<'a>(service: &'a Value, key: &str) -> &'a str {
    service[key].as_str().unwrap_or_default()
}

/// A service as its file has it, if it is one.
fn parse(bytes: &[u8]) -> Option<Value> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let is_ours =
        value["version"] == 1 && value["name"].is_string() && value["runtime"].is_string();
    is_ours.then_some(value)
}

fn description(store: &Store, service: &Directory) -> Result<Option<Value>, Failure> {
    let file = TreePath::new(FILE).and_then(|path| service.get(&path).cloned());
    let bytes = match file {
        Some(Child::Leaf(_, Node::Inline(content))) => content,
        Some(Child::Leaf(_, Node::Object { id, size })) if size <= MAX_LEN => {
            let mut bytes = Vec::new();
            let mut reader = store.object_reader(id)?.take(MAX_LEN);
            reader.read_to_end(&mut bytes).map_err(|error| {
                Failure::new(Kind::Failed, format_args!("read object {id}: {error}"))
            })?;
            bytes
        }
        _ => return Ok(None),
    };
    Ok(parse(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_a_service_of_this_version_is_one() {
        let parse = |text: &str| parse(text.as_bytes()).is_some();
        assert!(parse(r#"{"version": 1, "name": "a", "runtime": "crun", "later": 1}"#));
        for bad in [
            "",
            "{",
            "[]",
            "null",
            r#"{"name": "a", "runtime": "crun"}"#,
            r#"{"version": 2, "name": "a", "runtime": "crun"}"#,
            r#"{"version": 1, "name": 1, "runtime": "crun"}"#,
            r#"{"version": 1, "name": "a"}"#,
        ] {
            assert!(!parse(bad), "{bad}");
        }
    }
}
