//! Services: programs of images that a system runs, without a container daemon.
//!
//! A service becomes a component of the release: generated files, installed at `/`, that need nothing but
//! systemd and, unless its sandbox is chosen, `crun` on the device. So what runs is covered by the
//! release's digest, comes with its updates, and goes back when the release does.
//!
//! [`read`](self::read) takes a table of the file, [`plan`](self::plan) joins it with what the image says
//! of itself, and one file for each way to run it ([`crun`](self::crun), [`sandbox`](self::sandbox)) writes
//! what is particular to that.

mod account;
mod crun;
mod files;
mod health;
mod inside;
mod plan;
mod ports;
mod read;
mod sandbox;
mod unit;

use std::collections::BTreeMap;

use upmass_format::release::InstallPath;

pub(super) use self::files::import_service;
pub(super) use self::read::{NamedService, read_service};

/// A service as it is described.
#[derive(Debug, Clone)]
pub(super) struct ServiceDescription {
    pub(super) name: String,
    pub(super) line: usize,
    /// Index of the component that is its image.
    pub(super) image: usize,
    pub(super) run: RunDescription,
}

/// How a service is run: what the file says, before the image is asked.
#[derive(Debug, Clone)]
pub(super) struct RunDescription {
    runtime: Runtime,
    entrypoint: Option<Vec<String>>,
    command: Option<Vec<String>>,
    env: BTreeMap<String, String>,
    user: Option<String>,
    workdir: Option<String>,
    /// Path in the service by name.
    volumes: BTreeMap<String, String>,
    tmpfs: Vec<String>,
    writable: Vec<String>,
    network: Network,
    ports: Vec<Port>,
    devices: Vec<String>,
    capabilities: Vec<String>,
    memory: Option<u64>,
    /// In percent of one processor.
    cpus: Option<u64>,
    restart: Restart,
    /// Names of services that are started before.
    after: Vec<String>,
    health: Vec<String>,
}

/// What runs a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runtime {
    Crun,
    Systemd,
}

/// Which network a service sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    /// Its own, with nothing but itself in it.
    None,
    /// That of the device.
    Host,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Restart {
    Always,
    OnFailure,
    No,
}

/// A TCP port of the device that leads to one of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Port {
    /// As systemd listens: a port, or an address with one.
    listen: String,
    /// The port of the device.
    host: u16,
    /// The port in the service.
    inside: u16,
}

impl RunDescription {
    /// Names of services that are started before.
    pub(super) fn after(&self) -> &[String] {
        &self.after
    }
}

/// Where the image of that name is installed.
pub(super) fn image_path(name: &str) -> InstallPath {
    let path = format!("{IMAGES}/{name}");
    InstallPath::new(path.as_bytes()).expect("checked to be a plain name")
}

impl Runtime {
    fn word(self) -> &'static str {
        match self {
            Runtime::Crun => "crun",
            Runtime::Systemd => "systemd",
        }
    }
}

impl Network {
    fn word(self) -> &'static str {
        match self {
            Network::None => "none",
            Network::Host => "host",
        }
    }
}

impl Restart {
    fn word(self) -> &'static str {
        match self {
            Restart::Always => "always",
            Restart::OnFailure => "on-failure",
            Restart::No => "no",
        }
    }
}

/// Where images of services are in a running system.
const IMAGES: &str = "/usr/lib/upmass/images";
/// Where the files of services are.
const SERVICES: &str = "/usr/lib/upmass/services";
/// Where volumes are. `/var` is on the data partition, and each system has its own.
const VOLUMES: &str = "/var/lib/upmass/volumes";
