//! Imports a Nix closure: every store path that the roots need becomes a component.
//!
//! What a store path refers to is asked of the Nix database, through `nix-store`; where there
//! is none, or the store is a copy without one, the contents are looked through for the hashes
//! of other store paths, as Nix itself does when it registers a build.
//!
//! A component depends only on what Nix hashes of a store path (its NAR): names, contents,
//! link targets and whether a file is executable. Modes become 0444 and 0555, the owner root,
//! extended attributes are dropped, and files that store optimisation linked to each other are
//! separate again. So the same store path gives the same tree on every machine. Where the
//! database says what Nix hashed, the import compares: a store path that has changed since it was
//! registered never becomes part of a release.
//!
//! A store path may be a single file or link. The root of a tree is always a directory, so
//! such a component is a tree with this one entry, which is installed at the store directory
//! itself (`/nix/store`); several components may be installed there side by side.

mod aterm;
mod component;
mod contents;
mod database;
mod derivations;
mod error;
mod path;
mod registered;
pub(crate) mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use upmass_format::TreePath;
use upmass_format::derivations::{COMPONENT, FILE};
use upmass_format::nix::{LABEL_DERIVER, LABEL_SIGNATURES};
use upmass_format::release::InstallPath;
use upmass_format::tree::{MAX_INLINE, Meta, MtimePolicy, Node};
use upmass_store::Store;

use self::component::{Importer, Shape};
use self::database::{Closure, Registration, Unavailable};
pub use self::error::NixError;
use self::path::{Chroot, StorePath, base_name};
use crate::index::Index;
use crate::objects::Objects;
use crate::warnings::Warnings;
use crate::{ImportOptions, Imported, TreeBuilder};

/// What to import from a Nix store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NixSource {
    /// Store paths, paths below them, or links to them such as `result`.
    pub roots: Vec<PathBuf>,
    /// The directory above `/nix/store`, for a store that is not this machine's own: what
    /// `nix --store DIR` calls a chroot store.
    pub store_root: Option<PathBuf>,
    /// What the components keep of what Nix says of them. Nothing needs it, and it costs bytes
    /// in updates.
    pub labels: BTreeSet<NixLabel>,
    /// Whether the derivations come with them, so that names of store paths need not be sent.
    pub derivations: bool,
}

/// What Nix says of a store path beside its references and its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NixLabel {
    /// The derivation that built it, about 20 bytes for each component of an update.
    Deriver,
    /// Who vouches for it, about 70 bytes for each signature.
    Signatures,
}

/// A closure whose trees are in the store and durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedClosure {
    /// All store paths of the closure, ascending by name.
    pub components: Vec<ImportedComponent>,
    /// For each of [`NixSource::roots`], the index of its component.
    pub roots: Vec<usize>,
    /// A component with the derivations of all of them, if they were asked for. Nothing refers to it.
    pub derivations: Option<ImportedComponent>,
    /// Where the references come from.
    pub references_from: ReferencesFrom,
    /// What the user should know, one sentence each.
    pub warnings: Vec<String>,
}

/// One store path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedComponent {
    /// The base name of the store path: `<hash>-<name>`.
    pub name: String,
    /// The store path, or the store directory where the store path is a single file or link.
    pub install: InstallPath,
    /// The names of the components it refers to, ascending; its own is among them if it
    /// mentions itself.
    pub references: Vec<String>,
    /// What Nix says of it and nobody can compute from its content.
    pub labels: BTreeMap<String, String>,
    /// Tree and statistics.
    pub imported: Imported,
}

/// Who said which store path refers to which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferencesFrom {
    /// The Nix database.
    Database,
    /// The hashes in the contents.
    Contents,
}

/// Imports all store paths in the closure of the roots. On return all of it is durable.
///
/// All store paths share the batches of objects and one index, since there are hundreds: each on
/// its own would wait for the disk. So before the end none of them need be durable.
///
/// Of the options, owners and modification times have no effect: store paths are normalised.
/// `progress` is told the bytes of each file that was taken.
///
/// # Errors
/// [`ImportError::Nix`](crate::ImportError::Nix) where the roots or the Nix store are at fault.
pub fn import_nix(
    store: &Store,
    source: &NixSource,
    options: &ImportOptions,
    progress: &(dyn Fn(u64) + Sync),
) -> crate::Result<ImportedClosure> {
    let chroot = Chroot::new(source.store_root.as_deref())?;
    let roots = resolve(&chroot, &source.roots)?;
    let mut warnings = Vec::new();
    let (closure, references_from) = match database::closure(&chroot, &roots) {
        Ok(closure) => (closure, ReferencesFrom::Database),
        Err(unavailable) if !source.labels.is_empty() => return Err(no_labels(unavailable).into()),
        Err(_) if source.derivations => return Err(NixError::NoDatabase.into()),
        Err(unavailable) => {
            if let Unavailable::Failed(why) = unavailable {
                warnings.push(format!(
                    "the Nix database was not used, references come from contents: {why}"
                ));
            }
            (contents::closure(&chroot, &roots)?, ReferencesFrom::Contents)
        }
    };
    let dir = &roots[0].dir;
    let index_of = |base: &String| {
        let found = closure.keys().position(|name| name == base);
        found.expect("a closure has all its roots")
    };
    let roots = roots.iter().map(|root| index_of(&root.base)).collect();
    let labels = labels(&chroot, dir, &closure, &source.labels)?;
    let objects = Objects::new(store)?;
    let on_host = chroot.on_host(dir);
    let canonical =
        on_host.canonicalize().map_err(|source| NixError::Io { path: on_host.clone(), source })?;
    let mut of_index = Warnings::default();
    let index = Index::open(store, &canonical, options.index, &mut of_index);
    let mut importer =
        Importer { objects: &objects, index: &index, options, progress, learned: Vec::new() };
    let components = import_all(&mut importer, &chroot, dir, &closure, labels)?;
    let mut derivations = None;
    if source.derivations {
        let collected = derivations::collect(&chroot, dir, &closure)?;
        warnings.extend(collected.warning);
        derivations = Some(derivations_component(&objects, dir, &collected.bytes)?);
    }
    let learned = importer.learned;
    objects.commit()?;
    registered::check(store, dir, &closure, &components)?;
    index.save(store, learned, &mut of_index);
    warnings.extend(of_index.into_sentences());
    Ok(ImportedClosure { components, roots, derivations, references_from, warnings })
}

/// The derivations as a component that is in no system.
fn derivations_component(
    objects: &Objects<'_>,
    dir: &Path,
    content: &[u8],
) -> crate::Result<ImportedComponent> {
    let size = content.len() as u64;
    let node = match content.len() <= MAX_INLINE {
        true => Node::Inline(content.to_vec()),
        false => Node::Object { size, id: objects.put(content)? },
    };
    let mut builder = TreeBuilder::new(MtimePolicy::Normalised);
    let path = TreePath::new(FILE).expect("a name is a path");
    builder.insert(path, Meta { mode: 0o444, ..Meta::default() }, node)?;
    let imported = Imported {
        tree: objects.put_tree(&builder)?,
        files: 1,
        bytes: size,
        hashed_bytes: size,
        warnings: Vec::new(),
    };
    let install = derivations::install_path(dir);
    Ok(ImportedComponent {
        name: COMPONENT.to_owned(),
        install: InstallPath::new(install.as_os_str().as_encoded_bytes())
            .expect("a path beside the store directory is absolute and has no . or .."),
        references: Vec::new(),
        labels: BTreeMap::new(),
        imported,
    })
}

fn resolve(chroot: &Chroot, roots: &[PathBuf]) -> Result<Vec<StorePath>, NixError> {
    let mut resolved: Vec<StorePath> = Vec::new();
    for root in roots {
        let found = chroot.resolve(root)?;
        if let Some(first) = resolved.first()
            && first.dir != found.dir
        {
            let (root, expected) = (root.clone(), first.dir.clone());
            return Err(NixError::OtherStore { root, expected, found: found.dir });
        }
        resolved.push(found);
    }
    if resolved.is_empty() { Err(NixError::NoRoots) } else { Ok(resolved) }
}

/// Labels of components, by base name.
type Labels = BTreeMap<String, BTreeMap<String, String>>;

/// The labels that were asked for.
fn labels(
    chroot: &Chroot,
    dir: &Path,
    closure: &Closure,
    wanted: &BTreeSet<NixLabel>,
) -> Result<Labels, NixError> {
    let mut labels = Labels::new();
    if wanted.contains(&NixLabel::Deriver) {
        for (base, registration) in closure {
            if let Some(deriver) = &registration.deriver {
                let label = (LABEL_DERIVER.to_owned(), deriver.clone());
                labels.entry(base.clone()).or_default().extend([label]);
            }
        }
    }
    if wanted.contains(&NixLabel::Signatures) {
        let signatures = database::signatures(chroot, dir, closure).map_err(no_labels)?;
        for (base, signatures) in signatures {
            let label = (LABEL_SIGNATURES.to_owned(), signatures);
            labels.entry(base).or_default().extend([label]);
        }
    }
    Ok(labels)
}

fn no_labels(unavailable: Unavailable) -> NixError {
    let why = match unavailable {
        Unavailable::Absent => "there is no database, or no Nix to ask it".to_owned(),
        Unavailable::Failed(why) => why,
    };
    NixError::NoLabels { why }
}

fn import_all(
    importer: &mut Importer<'_>,
    chroot: &Chroot,
    dir: &Path,
    closure: &Closure,
    mut labels: Labels,
) -> crate::Result<Vec<ImportedComponent>> {
    let import = |(name, registration): (&String, &Registration)| {
        let (name, references) = (name.clone(), registration.references.clone());
        let labels = labels.remove(&name).unwrap_or_default();
        let path = dir.join(&name);
        let on_host = chroot.on_host(&path);
        let (shape, imported) = importer.import(&on_host, &name)?;
        let install = match shape {
            Shape::Directory => path.as_path(),
            Shape::Single => dir,
        };
        let install = InstallPath::new(install.as_os_str().as_encoded_bytes())
            .expect("a store path is absolute and has no . or ..");
        Ok(ImportedComponent { name, install, references, labels, imported })
    };
    closure.iter().map(import).collect()
}
