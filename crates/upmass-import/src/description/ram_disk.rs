//! The initial RAM disk of a system is made of the modules that the system has.

use std::collections::BTreeMap;
use std::path::Path;

use upmass_format::release::{BootKind, InstallPath};
use upmass_format::tree::{Meta, MtimePolicy, Node};
use upmass_format::{Name, TreePath};
use upmass_store::Store;

use super::error::{Fault, Problem};
use super::glob::PathPattern;
use super::import::{Draft, find_boot_file};
use super::view::{Found, View};
use super::{BootSource, ComponentReport, RamDisk, SystemDescription};
use crate::initrd::{MAX_FILE, MODULES, ModuleTree, make as make_initrd};
use crate::objects::Objects;
use crate::{ImportError, TreeBuilder};

/// Where its component is installed. A directory of its own, so that it says nothing of others.
const INSTALL: &str = "/boot/upmass";
const NAME: &str = "initrd";

/// Its path in its component.
pub(super) fn path() -> TreePath {
    TreePath::new(NAME).expect("a name is a path")
}

/// The content of the initial RAM disk of a system. `None` when its description asks for none.
pub(super) fn make(
    view: &View<'_>,
    system: &SystemDescription,
    init_program: Option<&Path>,
) -> Result<Option<Vec<u8>>, Fault> {
    let described = system.boot.iter().find_map(|boot| match &boot.source {
        BootSource::RamDisk(disk) => Some((disk, boot.line)),
        BootSource::File(_) => None,
    });
    let Some((disk, line)) = described else { return Ok(None) };
    let place = || format!("system \"{}\"", system.name);
    let fail = |why: String| Fault::at(line, Problem::RamDisk { place: place(), why });
    let init = disk.init.as_deref().or(init_program).ok_or_else(|| {
        fail("there is no init program for it: name one with initrd = { init = \"…\" }".to_owned())
    })?;
    let init = std::fs::read(init).map_err(|error| {
        fail(format!(
            "there is no init program for it: read {}: {error}; `make init` builds one, or name \
             another with initrd = {{ init = \"…\" }}",
            init.display()
        ))
    })?;
    let directory = directory(view, system, disk)?.map_err(fail)?;
    let mut read = |name: &str| -> Result<Option<Vec<u8>>, String> {
        let Some(directory) = &directory else { return Ok(None) };
        let path = name
            .split('/')
            .try_fold(directory.clone(), |path, name| path.join(&Name::new(name.as_bytes())?));
        let Some(path) = path else { return Ok(None) };
        view.content(&path, MAX_FILE).map_err(|error| error.to_string())
    };
    let tree = directory
        .as_ref()
        .map(|directory| ModuleTree { path: format!("/{directory}"), read: &mut read });
    let content = make_initrd(&init, tree, &disk.modules);
    content.map(Some).map_err(|error| fail(error.to_string()))
}

/// The component of an initial RAM disk. On return it is in the store, and durable.
pub(super) fn draft(
    store: &Store,
    name: &str,
    content: &[u8],
    source: usize,
) -> Result<Draft, Fault> {
    let put = || -> Result<_, ImportError> {
        let objects = Objects::new(store)?;
        let size = content.len() as u64;
        let node = Node::Object { size, id: objects.put(content)? };
        let mut tree = TreeBuilder::new(MtimePolicy::Normalised);
        tree.insert(path(), Meta { mode: 0o444, ..Meta::default() }, node)?;
        let tree = objects.put_tree(&tree)?;
        objects.commit()?;
        Ok(tree)
    };
    let tree = put().map_err(|source| {
        let place = format!("component \"{name}\"");
        Fault::from(Problem::Import { place, source: Box::new(source) })
    })?;
    let bytes = content.len() as u64;
    Ok(Draft {
        install: InstallPath::new(INSTALL.as_bytes()).expect("an absolute path"),
        tree,
        references: Vec::new(),
        labels: BTreeMap::new(),
        report: ComponentReport { name: name.to_owned(), files: 1, bytes, hashed_bytes: bytes },
        source,
    })
}

/// The directory with the modules of the system's kernel. `None` when it has none; an inner error
/// is the end of a sentence.
fn directory(
    view: &View<'_>,
    system: &SystemDescription,
    disk: &RamDisk,
) -> Result<Result<Option<TreePath>, String>, Fault> {
    let default = || PathPattern::new(MODULES).expect("it is a pattern");
    let pattern = disk.from.clone().unwrap_or_else(default);
    let mut found: Vec<TreePath> = Vec::new();
    for (_, found_here) in view.find(&pattern)?.unwrap_or_default() {
        match found_here {
            Found::Directory(path) if !found.contains(&path) => found.push(path),
            _ => {}
        }
    }
    // Of several, the one for the kernel: its name has the version in it.
    let several = found.len();
    if several > 1 {
        let kernel = system.boot.iter().find(|boot| boot.kind == BootKind::Kernel);
        if let Some(boot) = kernel
            && let BootSource::File(pattern) = &boot.source
        {
            let kernel = find_boot_file(view, system, boot, pattern)?.path;
            let kernel = kernel.names().last().unwrap_or_default().to_vec();
            let named = |path: &TreePath| {
                let version = path.names().last().unwrap_or_default();
                kernel.strip_suffix(version).is_some_and(|rest| rest.ends_with(b"-"))
            };
            found = found.into_iter().filter(named).collect();
        }
    }
    Ok(match &found[..] {
        [] if several == 0 && disk.from.is_none() => Ok(None),
        [] if several == 0 => Err(format!("no directory of the system matches {pattern}")),
        [one] => {
            let index = one.join(&Name::new(&b"modules.dep"[..]).expect("a name"));
            let index = index.map(|path| view.content(&path, MAX_FILE)).transpose();
            match index.map(Option::flatten) {
                Err(error) => Err(format!("read modules.dep of /{one}: {error}")),
                Ok(Some(_)) => Ok(Some(one.clone())),
                Ok(None) => Err(format!("/{one} has no modules.dep: run depmod for it first")),
            }
        }
        _ => Err(format!(
            "{pattern} matches {several} directories, and the kernel's name does not say which: name \
             one with initrd = {{ from = \"…\" }}"
        )),
    })
}
