//! Package databases: which file belongs to which package. Nothing depends on there being one.

mod apk;
mod dpkg;

use std::collections::HashMap;

use crate::Result;
use crate::files::{name_of, parent_of};
use crate::tree::{Id, Tree};

/// An index into the packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PackageId(pub(crate) u32);

/// A package as its database describes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Whether every other package may rely on it without saying so.
    pub(crate) is_essential: bool,
    /// Ascending; directories are nobody's.
    pub(crate) files: Vec<Id>,
}

/// All packages of a system.
#[derive(Debug, Default)]
pub(crate) struct Packages {
    packages: Vec<Package>,
    owners: HashMap<Id, PackageId>,
}

/// What a database says: packages, and paths for each.
struct Listed {
    name: String,
    is_essential: bool,
    paths: Vec<Vec<u8>>,
}

impl Packages {
    /// Reads the databases that are there.
    pub(crate) fn read(tree: &Tree<'_>) -> Result<Self> {
        let mut listed = dpkg::read(tree)?;
        listed.extend(apk::read(tree)?);
        let mut packages = Self::default();
        for package in listed {
            packages.add(tree, package);
        }
        packages.adopt_byte_code(tree);
        for (id, owner) in &packages.owners {
            packages.packages[owner.0 as usize].files.push(*id);
        }
        packages.packages.iter_mut().for_each(|package| package.files.sort());
        Ok(packages)
    }

    /// Whether there is no database.
    pub(crate) fn is_empty(&self) -> bool {
        self.packages.is_empty()
    }

    /// The package of a file; `None` for what no package brought.
    pub(crate) fn of(&self, id: Id) -> Option<PackageId> {
        self.owners.get(&id).copied()
    }

    pub(crate) fn get(&self, id: PackageId) -> &Package {
        &self.packages[id.0 as usize]
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (PackageId, &Package)> {
        (0..).map(PackageId).zip(&self.packages)
    }

    fn add(&mut self, tree: &Tree<'_>, listed: Listed) {
        let id = PackageId(self.packages.len() as u32);
        for path in listed.paths {
            // `/bin` is a directory for the package, and a link in the system.
            let is_top = path.iter().filter(|byte| **byte == b'/').count() < 2;
            if let Some(file) = tree.named(&path)
                && tree.entry(file).kind != crate::Kind::Directory
                && !is_top
            {
                self.owners.insert(file, id);
            }
        }
        let Listed { name, is_essential, .. } = listed;
        self.packages.push(Package { name, is_essential, files: Vec::new() });
    }

    /// Byte code is made when a package is installed, and belongs to its source.
    fn adopt_byte_code(&mut self, tree: &Tree<'_>) {
        for id in tree.ids().filter(|id| tree.path(*id).ends_with(b".pyc")) {
            let path = tree.path(id);
            let stem = name_of(path).split(|byte| *byte == b'.').next().unwrap_or(b"");
            let source = [parent_of(parent_of(path)), b"/", stem, b".py"].concat();
            if let Some(owner) = tree.at(&source).and_then(|source| self.of(source)) {
                self.owners.entry(id).or_insert(owner);
            }
        }
    }
}
