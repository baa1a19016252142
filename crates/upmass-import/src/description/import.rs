//! From a description to a release whose trees are all in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use upmass_format::oci::{LABEL_LAYERS, LABEL_MANIFEST};
use upmass_format::release::{BootFile, Component, InstallPath, LABEL_VERSION, Release, System};
use upmass_format::tree::MtimePolicy;
use upmass_format::{TreeId, TreePath};
use upmass_store::Store;

use super::error::{DescriptionError, Fault, Problem};
use super::minify::{MinifiedSystem, size};
use super::service::{ServiceDescription, import_service};
use super::view::{Found, Trees, View};
use super::{
    BootDescription, BootSource, ComponentDescription, Description, OciLabels, PathPattern, Source,
    SystemDescription, ram_disk,
};
use crate::{
    ImageConfig, ImportError, Imported, ImportedComponent, ImportedImage, NixSource,
    import_directory, import_nix, import_oci, import_tar,
};

/// A release whose trees and objects are in the store and durable. It is not recorded: until
/// [`Store::record`], the next collection removes what only it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedRelease {
    /// The release.
    pub release: Release,
    /// One for each of the release's components, in their order.
    pub components: Vec<ComponentReport>,
    /// What the user should know, one sentence each.
    pub warnings: Vec<String>,
    /// What each system keeps and why, where the description asks for less. Systems of which
    /// nothing was looked at are not among them.
    pub minified: Vec<MinifiedSystem>,
}

/// What the import of a component took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentReport {
    /// Its name in the release.
    pub name: String,
    /// Regular files.
    pub files: u64,
    /// Their length in bytes.
    pub bytes: u64,
    /// Bytes that were hashed; the others were known from the last import.
    pub hashed_bytes: u64,
}

/// Imports all sources of a description and makes the release. `progress` is told the bytes of
/// each file that was taken.
///
/// # Errors
/// The line of the description that is at fault, and why.
pub fn import_release(
    store: &Store,
    description: &Description,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<ImportedRelease, DescriptionError> {
    let mut import = Import {
        store,
        description,
        progress,
        drafts: BTreeMap::new(),
        configs: BTreeMap::new(),
        warnings: Vec::new(),
    };
    import.run().map_err(|fault| fault.in_file(description.path()))
}

struct Import<'a> {
    store: &'a Store,
    description: &'a Description,
    progress: &'a (dyn Fn(u64) + Sync),
    /// By name, as a release has them.
    drafts: BTreeMap<String, Draft>,
    /// How images want to be run, by the index of the description.
    configs: BTreeMap<usize, ImageConfig>,
    warnings: Vec<String>,
}

/// A component of the release, before all names are known.
pub(super) struct Draft {
    pub(super) install: InstallPath,
    pub(super) tree: TreeId,
    /// Names.
    pub(super) references: Vec<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) report: ComponentReport,
    /// Index of the description it comes from.
    pub(super) source: usize,
}

impl Import<'_> {
    fn run(&mut self) -> Result<ImportedRelease, Fault> {
        let roots = self.import_sources()?;
        self.add_references(&roots);
        self.import_services()?;
        let trees = Trees::new(self.store);
        let made = self.make_ram_disks(&trees, &roots)?;
        let minified = self.minify(&trees, &roots, &made)?;
        let mut release = self.release();
        let mut systems = Vec::new();
        for (described, made) in self.description.systems.iter().zip(&made) {
            let (system, made) = self.system_with(described, &roots, made.as_ref());
            let view = View::new(&trees, &release, release.closure(&system));
            systems.push(System { boot: find_boot_files(&view, described, made)?, ..system });
        }
        systems.sort_by(|a, b| a.name.cmp(&b.name));
        let fallback = &self.description.systems[self.description.fallback].name;
        let position = systems.iter().position(|system| system.name == *fallback);
        release.fallback = position.expect("the fallback is one of the systems");
        release.systems = systems;
        release.to_bytes().map_err(|source| Problem::Release { source })?;

        let components = self.drafts.values().map(|draft| draft.report.clone()).collect();
        let warnings = std::mem::take(&mut self.warnings);
        Ok(ImportedRelease { release, components, warnings, minified })
    }

    /// The release with all components and no systems.
    fn release(&self) -> Release {
        let components = self.drafts.iter().map(|(name, draft)| Component {
            name: name.clone(),
            install: draft.install.clone(),
            references: self.ascending(&mut draft.references.iter()),
            labels: draft.labels.clone(),
            tree: draft.tree,
        });
        let mut labels = self.description.labels.clone();
        labels.insert(LABEL_VERSION.to_owned(), self.description.version.clone());
        Release {
            machine: self.description.machine.clone(),
            counter: self.description.counter,
            labels,
            components: components.collect(),
            systems: Vec::new(),
            fallback: 0,
        }
    }

    /// A system without its boot files.
    fn system(&self, described: &SystemDescription, roots: &[Vec<String>]) -> System {
        let services = described.services.iter();
        let services: Vec<String> =
            services.map(|index| component_of(&self.description.services[*index])).collect();
        System {
            name: described.name.clone(),
            labels: described.labels.clone(),
            roots: self.ascending(
                &mut described.components.iter().flat_map(|root| &roots[*root]).chain(&services),
            ),
            boot: Vec::new(),
            command_line: described.command_line.clone(),
            changes: described.changes,
        }
    }

    /// The same with what was made for it, whose index is the second.
    fn system_with(
        &self,
        described: &SystemDescription,
        roots: &[Vec<String>],
        made: Option<&String>,
    ) -> (System, Option<usize>) {
        let mut system = self.system(described, roots);
        // What is made belongs to the system that it was made for.
        let made = made.map(|name| self.index(name));
        system.roots.extend(made);
        system.roots.sort_unstable();
        (system, made)
    }

    /// Makes the components smaller, where the description says so. What is made before, initial
    /// RAM disks among it, is made of all that was imported.
    fn minify(
        &mut self,
        trees: &Trees<'_>,
        roots: &[Vec<String>],
        made: &[Option<String>],
    ) -> Result<Vec<MinifiedSystem>, Fault> {
        let Some(minify) = &self.description.minify else { return Ok(Vec::new()) };
        let release = self.release();
        let of = |names: &mut dyn Iterator<Item = &String>| -> BTreeSet<usize> {
            names.map(|name| self.index(name)).collect()
        };
        let is_plain = |component: &ComponentDescription| {
            matches!(component.source, Source::Directory(_) | Source::Tar(_))
        };
        let described = self.description.components.iter().zip(roots);
        let plain = described.filter(|(component, _)| is_plain(component));
        let smaller = of(&mut plain.flat_map(|(_, names)| names));
        let services: Vec<String> = self.description.services.iter().map(component_of).collect();
        let whole = of(&mut services.iter());
        let mut options = minify.options()?;
        options.times_are_lost = smaller.iter().all(|index| {
            let source = self.drafts[&release.components[*index].name].source;
            self.description.components[source].options.mtimes == MtimePolicy::Normalised
        });
        let mut systems = Vec::new();
        for (described, made) in self.description.systems.iter().zip(made) {
            let (system, made) = self.system_with(described, roots, made.as_ref());
            let mut members = release.closure(&system);
            let boot =
                find_boot_files(&View::new(trees, &release, members.clone()), described, made)?;
            members.retain(|index| smaller.contains(index) || whole.contains(index));
            if !members.iter().any(|index| smaller.contains(index)) {
                continue;
            }
            systems.push(minify.system(
                &options,
                (&described.name, &boot),
                (trees, &release),
                (members, &whole),
                self.progress,
            )?);
        }
        if systems.is_empty() {
            return Err(Fault::at(minify.line, Problem::NothingToMinify));
        }
        for index in smaller {
            let tree = minify.prune(self.store, &release, index, &systems)?;
            let name = &release.components[index].name;
            let draft = self.drafts.get_mut(name).expect("each component was a draft");
            draft.tree = tree;
            (draft.report.files, draft.report.bytes) = size(&*trees.get(tree)?);
        }
        Ok(systems)
    }

    fn ascending(&self, names: &mut dyn Iterator<Item = &String>) -> Vec<usize> {
        let mut indexes: Vec<usize> = names.map(|name| self.index(name)).collect();
        indexes.sort_unstable();
        indexes.dedup();
        indexes
    }

    fn index(&self, name: &String) -> usize {
        let mut names = self.drafts.keys();
        names.position(|known| known == name).expect("each name is of a component of the release")
    }

    /// Makes the initial RAM disks that are to be made, each as a component. Says its name for each
    /// system that has one.
    fn make_ram_disks(
        &mut self,
        trees: &Trees<'_>,
        roots: &[Vec<String>],
    ) -> Result<Vec<Option<String>>, Fault> {
        let mut made = Vec::new();
        let release = self.release();
        for described in &self.description.systems {
            let system = self.system(described, roots);
            let view = View::new(trees, &release, release.closure(&system));
            let disk = ram_disk::make(&view, described, self.description.init_program.as_deref())?;
            made.push(disk);
        }
        let mut names = Vec::new();
        for (described, content) in self.description.systems.iter().zip(made) {
            let Some(content) = content else {
                names.push(None);
                continue;
            };
            let mut name = format!("{}.initrd", described.name);
            while self.drafts.contains_key(&name) {
                name.push_str("-upmass");
            }
            let draft = ram_disk::draft(self.store, &name, &content, described.components[0])?;
            self.drafts.insert(name.clone(), draft);
            names.push(Some(name));
        }
        Ok(names)
    }

    /// Imports all sources. Says, for each described component, which components of the release
    /// stand for it.
    fn import_sources(&mut self) -> Result<Vec<Vec<String>>, Fault> {
        let components = &self.description.components;
        let mut roots = vec![Vec::new(); components.len()];
        for (index, component) in components.iter().enumerate() {
            let (store, options) = (self.store, &component.options);
            let mut labels = BTreeMap::new();
            let imported = match &component.source {
                Source::Nix(source) => {
                    if roots[index].is_empty() {
                        self.import_closure(&source.store_root, &mut roots)?;
                    }
                    continue;
                }
                Source::Directory(path) => import_directory(store, path, options, self.progress),
                Source::Tar(source) => import_tar(store, source.clone(), options, self.progress),
                Source::Oci(source, keep) => {
                    import_oci(store, source, options, self.progress).map(|image| {
                        labels = image_labels(&image, *keep);
                        self.configs.insert(index, image.config);
                        image.imported
                    })
                }
            };
            let imported = imported.map_err(|error| failed(component, error))?;
            let name = component.name.clone();
            let component = ImportedComponent {
                name: name.clone(),
                install: component.install.clone(),
                references: Vec::new(),
                labels,
                imported,
            };
            self.add(index, component)?;
            roots[index] = vec![name];
        }
        Ok(roots)
    }

    /// Imports, at once, the closures of all components from one Nix store: they may share most
    /// of it.
    fn import_closure(
        &mut self,
        store_root: &Option<PathBuf>,
        roots: &mut [Vec<String>],
    ) -> Result<(), Fault> {
        let components = &self.description.components;
        // Which component each root is of.
        let mut owners = Vec::new();
        let mut source = NixSource { store_root: store_root.clone(), ..NixSource::default() };
        for (index, component) in components.iter().enumerate() {
            if let Source::Nix(other) = &component.source
                && other.store_root == *store_root
            {
                owners.extend(std::iter::repeat_n(index, other.roots.len()));
                source.roots.extend(other.roots.iter().cloned());
                source.labels.extend(&other.labels);
                source.derivations |= other.derivations;
            }
        }
        let options = &components[owners[0]].options;
        let closure = import_nix(self.store, &source, options, self.progress).map_err(|error| {
            let root = match &error {
                ImportError::Nix(error) => error.root(),
                _ => None,
            };
            let position = root.and_then(|root| source.roots.iter().position(|r| r == root));
            failed(&components[owners[position.unwrap_or(0)]], error)
        })?;
        for (owner, root) in owners.iter().zip(&closure.roots) {
            let name = closure.components[*root].name.clone();
            if !roots[*owner].contains(&name) {
                roots[*owner].push(name);
            }
        }
        self.warnings.extend(closure.warnings);
        for component in closure.components.into_iter().chain(closure.derivations) {
            self.add(owners[0], component)?;
        }
        Ok(())
    }

    /// Makes the files of all services, each a component.
    fn import_services(&mut self) -> Result<(), Fault> {
        for service in &self.description.services {
            let image = &self.description.components[service.image].name;
            let tree = self.drafts[image].tree;
            let config = &self.configs[&service.image];
            let imported = import_service(self.store, service, image, config, tree)?;
            let component = ImportedComponent {
                name: component_of(service),
                install: InstallPath::new(b"/").expect("the root is absolute"),
                references: vec![image.clone()],
                labels: BTreeMap::new(),
                imported,
            };
            self.add(service.image, component)?;
        }
        Ok(())
    }

    fn add(&mut self, source: usize, component: ImportedComponent) -> Result<(), Fault> {
        let ImportedComponent { name, install, references, labels, imported } = component;
        let Imported { tree, files, bytes, hashed_bytes, warnings } = imported;
        if let Some(known) = self.drafts.get(&name) {
            if (known.tree, &known.install) == (tree, &install)
                && (&known.references, &known.labels) == (&references, &labels)
            {
                return Ok(());
            }
            let components = &self.description.components;
            let (place, other) = (place(&components[source]), place(&components[known.source]));
            let line = components[source].line;
            return Err(Fault::at(line, Problem::Differs { place, name, other }));
        }
        let told = |warning| format!("component \"{name}\": {warning}");
        self.warnings.extend(warnings.into_iter().map(told));
        let report = ComponentReport { name: name.clone(), files, bytes, hashed_bytes };
        self.drafts.insert(name, Draft { install, tree, references, labels, report, source });
        Ok(())
    }

    /// Adds the references that the description names.
    fn add_references(&mut self, roots: &[Vec<String>]) {
        for (component, names) in self.description.components.iter().zip(roots) {
            for name in names.iter().filter(|_| !component.references.is_empty()) {
                let draft = self.drafts.get_mut(name).expect("each root was added");
                draft.references.extend(
                    component.references.iter().flat_map(|reference| roots[*reference].clone()),
                );
            }
        }
    }
}

/// `made` is the component with the initial RAM disk that was made.
fn find_boot_files(
    view: &View<'_>,
    system: &SystemDescription,
    made: Option<usize>,
) -> Result<Vec<BootFile>, Fault> {
    let find = |boot: &BootDescription| match (&boot.source, made) {
        (BootSource::File(pattern), _) => find_boot_file(view, system, boot, pattern),
        (BootSource::RamDisk(_), made) => Ok(BootFile {
            kind: boot.kind,
            component: made.expect("each one that is described was made"),
            path: ram_disk::path(),
        }),
    };
    system.boot.iter().map(find).collect()
}

pub(super) fn find_boot_file(
    view: &View<'_>,
    system: &SystemDescription,
    boot: &BootDescription,
    pattern: &PathPattern,
) -> Result<BootFile, Fault> {
    let place = format!("system \"{}\"", system.name);
    let key = boot.kind.word();
    let matches = view.find(pattern)?;
    let pattern = pattern.to_string();
    let matches = match matches {
        Ok(matches) => matches,
        Err(nearest) => {
            let names = view.names(&nearest)?.iter().map(ToString::to_string).collect();
            let (found, more) = few(names);
            let directory = format!("/{nearest}");
            let problem = Problem::NoBootFile { place, key, pattern, directory, found, more };
            return Err(Fault::at(boot.line, problem));
        }
    };
    // Several names may lead to one file.
    let mut files: BTreeMap<(usize, &TreePath), &TreePath> = BTreeMap::new();
    for (written, found) in &matches {
        if let Found::File { component, path } = found {
            files.entry((*component, path)).or_insert(written);
        }
    }
    let problem = match (files.len(), files.first_key_value()) {
        (1, Some(((component, path), _))) => {
            let (component, path) = (*component, (*path).clone());
            return Ok(BootFile { kind: boot.kind, component, path });
        }
        (0, _) => {
            let (written, found) = &matches[0];
            let what = match found {
                Found::Missing(path) => format!("leads to /{path}, which is not in the system"),
                Found::TooManyLinks => "is a chain of more than 40 links".to_owned(),
                Found::Other(what) => format!("is {what}"),
                Found::Directory(_) => "is a directory".to_owned(),
                Found::File { .. } => unreachable!("there are no files"),
            };
            Problem::NotAFile { place, key, path: format!("/{written}"), what }
        }
        _ => {
            let mut written: Vec<&TreePath> = files.into_values().collect();
            written.sort();
            let (found, more) = few(written.iter().map(|path| format!("/{path}")).collect());
            Problem::SeveralBootFiles { place, key, pattern, found, more }
        }
    };
    Err(Fault::at(boot.line, problem))
}

/// The first few, and how many more there are.
fn few(mut all: Vec<String>) -> (Vec<String>, usize) {
    let more = all.len().saturating_sub(FEW);
    all.truncate(FEW);
    (all, more)
}

/// The layers by what is in them, not by how they are compressed: so the same image gives the same
/// release, whoever has copied it.
fn image_labels(image: &ImportedImage, keep: OciLabels) -> BTreeMap<String, String> {
    let mut layers: Vec<&str> =
        image.layers.iter().take(MOST_LAYERS).map(|layer| layer.short()).collect();
    let more = format!("+{}", image.layers.len() - layers.len());
    if image.layers.len() > MOST_LAYERS {
        layers.push(&more);
    }
    let mut labels = BTreeMap::from([(LABEL_LAYERS.to_owned(), layers.join(" "))]);
    if let (OciLabels::Manifest, Some(manifest)) = (keep, &image.manifest) {
        labels.insert(LABEL_MANIFEST.to_owned(), manifest.to_string());
    }
    labels
}

/// The name of the component that a service is.
fn component_of(service: &ServiceDescription) -> String {
    format!("service-{}", service.name)
}

/// A fault of the line that describes a service.
pub(super) fn service_failed(service: &ServiceDescription, error: ImportError) -> Fault {
    let (place, source) = (format!("service \"{}\"", service.name), Box::new(error));
    Fault::at(service.line, Problem::Import { place, source })
}

fn failed(component: &ComponentDescription, error: ImportError) -> Fault {
    let source = Box::new(error);
    Fault::at(component.line, Problem::Import { place: place(component), source })
}

fn place(component: &ComponentDescription) -> String {
    format!("component \"{}\"", component.name)
}

/// How many of the files that were found an error names.
const FEW: usize = 5;
/// How many layers fit into a label.
const MOST_LAYERS: usize = 300;
