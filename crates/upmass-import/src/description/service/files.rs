//! The files of a service, as a component.

use std::collections::BTreeMap;

use serde_json::json;
use upmass_format::TreePath;
use upmass_format::tree::{Meta, Node};
use upmass_store::Store;

use super::super::error::Fault;
use super::inside::Inside;
use super::plan::{Plan, plan};
use super::{IMAGES, Network, Runtime, SERVICES, ServiceDescription, crun, health, ports, sandbox};
use crate::objects::{Objects, Piece};
use crate::{ImageConfig, ImportError, Imported, TreeBuilder};

/// Makes the files of a service and stores them. `image` is the name of its image's component, and `tree`
/// that component's tree.
pub(in super::super) fn import_service(
    store: &Store,
    service: &ServiceDescription,
    image: &str,
    config: &ImageConfig,
    tree: upmass_format::TreeId,
) -> Result<Imported, Fault> {
    let (tree, _) = store.tree(tree)?;
    let plan = plan(service, image, config, &Inside { store, tree: &tree })?;
    let failed = |error| super::super::import::service_failed(service, error);
    write(store, &Files::of(&plan)).map_err(failed)
}

/// Paths without the leading `/`, and what is there.
struct Files(BTreeMap<String, Content>);

enum Content {
    Directory,
    File(u16, Vec<u8>),
    Link(String),
}

impl Files {
    fn of(plan: &Plan<'_>) -> Self {
        let (name, run) = (plan.name, plan.run);
        let mut files = Self(BTreeMap::new());
        let home = format!("{SERVICES}/{name}");
        files.file(&format!("{home}/service.json"), description(plan));
        let unit = match run.runtime {
            Runtime::Crun => {
                files.file(&format!("{home}/config.json"), crun::config(plan));
                crun::unit(plan)
            }
            Runtime::Systemd => sandbox::unit(plan),
        };
        files.file(&format!("{UNITS}/{name}.service"), unit);
        files.wanted("multi-user.target", &format!("{name}.service"));
        for port in run.ports.iter().filter(|_| run.network == Network::None) {
            let unit = ports::name(name, port);
            files.file(&format!("{UNITS}/{unit}.socket"), ports::socket(name, port));
            files.file(&format!("{UNITS}/{unit}.service"), ports::proxy(name, port));
            files.wanted("sockets.target", &format!("{unit}.socket"));
        }
        let directories = directories(plan);
        if !directories.is_empty() {
            files
                .file(&format!("/usr/lib/tmpfiles.d/upmass-{name}.conf"), directories.into_bytes());
        }
        files.put(
            &format!("/etc/upmass/health.d/{name}"),
            Content::File(0o755, health::script(plan)),
        );
        for path in &plan.missing {
            files.put(&format!("{IMAGES}/{}/{path}", plan.image), Content::Directory);
        }
        files
    }

    fn file(&mut self, path: &str, content: Vec<u8>) {
        self.put(path, Content::File(0o644, content));
    }

    /// Starts a unit with a target.
    fn wanted(&mut self, target: &str, unit: &str) {
        self.put(&format!("{UNITS}/{target}.wants/{unit}"), Content::Link(format!("../{unit}")));
    }

    fn put(&mut self, path: &str, content: Content) {
        self.0.insert(path.trim_start_matches('/').to_owned(), content);
    }
}

/// Lines of tmpfiles.d(5) for what must be there before the service starts.
fn directories(plan: &Plan<'_>) -> String {
    let mut lines = String::new();
    let (uid, gid) = (plan.account.uid, plan.account.gid);
    for volume in &plan.volumes {
        let host = &volume.host;
        match volume.is_filled {
            // With what the image has there, the first time.
            true => lines.push_str(&format!("C {host} - - - - {}{}\n", plan.root, volume.inside)),
            false => lines.push_str(&format!("d {host} 0755 {uid} {gid} -\n")),
        }
    }
    for index in 0..plan.run.writable.len() {
        for path in crun::changes(plan, index) {
            lines.push_str(&format!("d {path} 0755 0 0 -\n"));
        }
    }
    lines
}

/// `service.json`: what a service is, for programs. See `docs/services.md`.
fn description(plan: &Plan<'_>) -> Vec<u8> {
    let run = plan.run;
    let volumes: BTreeMap<&str, &str> =
        plan.volumes.iter().map(|volume| (volume.host.as_str(), volume.inside)).collect();
    let ports: Vec<String> =
        run.ports.iter().map(|port| format!("{}:{}", port.listen, port.inside)).collect();
    let value = json!({
        "version": 1,
        "name": plan.name,
        "image": plan.image,
        "runtime": run.runtime.word(),
        "root": plan.root,
        "args": plan.args,
        "env": plan.env,
        "uid": plan.account.uid,
        "gid": plan.account.gid,
        "groups": plan.account.groups,
        "workdir": plan.cwd,
        "volumes": volumes,
        "tmpfs": run.tmpfs,
        "writable": run.writable,
        "network": run.network.word(),
        "ports": ports,
        "devices": run.devices,
        "capabilities": run.capabilities,
        "memory": run.memory,
        "cpu_percent": run.cpus,
        "restart": run.restart.word(),
        "after": run.after,
        "health": run.health,
    });
    let mut bytes = serde_json::to_vec(&value).expect("a value without floats and odd keys");
    bytes.push(b'\n');
    bytes
}

fn write(store: &Store, files: &Files) -> Result<Imported, ImportError> {
    let objects = Objects::new(store)?;
    let mut tree = TreeBuilder::new(Default::default());
    let directory = || Meta { mode: 0o755, ..Meta::default() };
    let mut bytes = 0;
    for (path, content) in &files.0 {
        let why = "is too long for a path".to_owned();
        let path = TreePath::new(path.as_str())
            .ok_or_else(|| ImportError::Conflict { path: path.clone(), why })?;
        for parent in tree.missing_parents(&path)? {
            tree.insert(parent, directory(), Node::Directory)?;
        }
        match content {
            Content::Directory if tree.get(&path).is_some() => {}
            Content::Directory => tree.insert(path, directory(), Node::Directory)?,
            Content::Link(target) => {
                tree.insert(path, Meta::default(), Node::Symlink(target.clone().into_bytes()))?;
            }
            Content::File(mode, content) => {
                let mut file = objects.file(content.len() as u64)?;
                file.add(Piece::Data(content))?;
                bytes += content.len() as u64;
                tree.insert(path, Meta { mode: *mode, ..Meta::default() }, file.finish()?)?;
            }
        }
    }
    let (files, _) = tree.files();
    let tree = objects.put_tree(&tree)?;
    objects.commit()?;
    Ok(Imported { tree, files, bytes, hashed_bytes: bytes, warnings: Vec::new() })
}

const UNITS: &str = "/usr/lib/systemd/system";
