//! Re-hashing everything, and saying what each damaged object is needed for.

use std::collections::{BTreeMap, BTreeSet};

use upmass_format::{ObjectHasher, ObjectId, ReleaseId};

use crate::layout::{OBJECTS, object_id};
use crate::{Result, Store, StoreError};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// Objects hashed.
    pub objects: u64,
    /// Bytes hashed.
    pub bytes: u64,
    /// Releases whose objects were all looked for.
    pub releases: u64,
    /// What is wrong, ascending by object.
    pub damages: Vec<Damage>,
}

/// One object that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The name it has or should have.
    pub object: ObjectId,
    /// What is wrong with it.
    pub fault: Fault,
    /// The trees and releases that need it, each with the paths where they do; for a tree or a
    /// release itself, the releases. Empty when nothing needs it.
    pub needed_by: Vec<String>,
}

/// What can be wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A release needs it and it is not there.
    Missing,
    /// Its content has another digest than its name says.
    OtherContent {
        /// The digest of what is there.
        found: ObjectId,
    },
    /// It could not be read.
    Unreadable(String),
    /// Its digest is right, but it is not the tree or release that it is used as.
    NotDecodable(String),
}

impl Store {
    /// Hashes every object, and looks for every object that a recorded release needs.
    /// `progress` is told the bytes hashed so far. Nothing is changed.
    ///
    /// Memory: 32 bytes for each object, and what is damaged.
    pub fn check(&self, progress: &mut dyn FnMut(u64)) -> Result<CheckReport> {
        let mut report = CheckReport::default();
        let mut faults = BTreeMap::new();
        let mut present = BTreeSet::new();
        for directory in self.volume.list(OBJECTS)? {
            for file in self.volume.list(&format!("{OBJECTS}/{}", directory.name))? {
                let Some(id) = object_id(&directory.name, &file.name) else {
                    continue;
                };
                match self.hash_object(id, &mut report, progress) {
                    Ok(found) if found == id => {}
                    Ok(found) => {
                        faults.insert(id, Fault::OtherContent { found });
                    }
                    Err(error) => {
                        faults.insert(id, Fault::Unreadable(error.to_string()));
                    }
                }
                present.insert(id);
                report.objects += 1;
            }
        }
        let mut needed_by: BTreeMap<ObjectId, BTreeSet<String>> = BTreeMap::new();
        for release in self.releases()? {
            report.releases += 1;
            self.check_release(release, &present, &mut faults, &mut needed_by)?;
        }
        report.damages = faults
            .into_iter()
            .map(|(object, fault)| {
                let needed_by = needed_by.remove(&object).unwrap_or_default();
                Damage { object, fault, needed_by: needed_by.into_iter().collect() }
            })
            .collect();
        Ok(report)
    }

    /// The digest of what is stored under a name.
    pub fn hash_stored(&self, id: ObjectId) -> Result<ObjectId> {
        self.hash_object(id, &mut CheckReport::default(), &mut |_| {})
    }

    fn hash_object(
        &self,
        id: ObjectId,
        report: &mut CheckReport,
        progress: &mut dyn FnMut(u64),
    ) -> Result<ObjectId> {
        let file = self.open_object(id)?;
        let mut hasher = ObjectHasher::new();
        let mut buffer = vec![0; 1 << 17];
        let mut offset = 0;
        loop {
            let n = file.read_at(&mut buffer, offset).map_err(|source| StoreError::Read {
                path: crate::layout::object_path(id),
                source,
            })?;
            if n == 0 {
                return Ok(hasher.finish());
            }
            hasher.update(&buffer[..n]);
            offset += n as u64;
            report.bytes += n as u64;
            progress(report.bytes);
        }
    }

    /// Notes what is missing for a release, and who needs what is known to be faulty.
    fn check_release(
        &self,
        id: ReleaseId,
        present: &BTreeSet<ObjectId>,
        faults: &mut BTreeMap<ObjectId, Fault>,
        needed_by: &mut BTreeMap<ObjectId, BTreeSet<String>>,
    ) -> Result<()> {
        let object = ObjectId::from(id);
        let who = format!("release {}", id.short());
        let mut need = |object, faults: &mut BTreeMap<_, _>, who: String| {
            if !present.contains(&object) {
                faults.insert(object, Fault::Missing);
            }
            if faults.contains_key(&object) {
                needed_by.entry(object).or_default().insert(who);
            }
        };
        need(object, faults, who.clone());
        let release = match self.release(id) {
            Ok(release) => release,
            Err(error) => {
                faults.entry(object).or_insert(Fault::NotDecodable(error.to_string()));
                need(object, faults, who);
                return Ok(());
            }
        };
        for component in &release.components {
            let tree = ObjectId::from(component.tree);
            let who = format!("{who}, component {}", component.name);
            need(tree, faults, who.clone());
            if faults.contains_key(&tree) {
                continue;
            }
            let mut visit_all = || -> Result<()> {
                let mut reader = self.tree_reader(component.tree)?;
                let damaged = |source| StoreError::Damaged { id: tree, source };
                while let Some(event) = reader.next_event().map_err(damaged)? {
                    if let upmass_format::tree::Event::Entry(entry) = event
                        && let upmass_format::tree::Node::Object { id, .. } = entry.node
                    {
                        let name = &entry.name;
                        let path = match reader.directory() {
                            root if root.is_root() => format!("{name}"),
                            directory => format!("{directory}/{name}"),
                        };
                        need(id, faults, format!("{who}, /{path}"));
                    }
                }
                reader.finish().map_err(damaged)
            };
            if let Err(error) = visit_all() {
                faults.insert(tree, Fault::NotDecodable(error.to_string()));
                need(tree, faults, who);
            }
        }
        Ok(())
    }
}
