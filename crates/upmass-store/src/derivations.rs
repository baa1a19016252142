//! Where a release has its derivations (`spec/derivations.md` of upmass-format).

use upmass_format::ObjectId;
use upmass_format::derivations::{COMPONENT, FILE};
use upmass_format::release::Release;
use upmass_format::tree::{Entry, Event, Node};

use crate::{Result, Store, StoreError};

impl Store {
    /// The object with the derivations of a release, if it has them.
    pub fn derivations(&self, release: &Release) -> Result<Option<ObjectId>> {
        let components = &release.components;
        let found = components.binary_search_by(|component| component.name[..].cmp(COMPONENT));
        let Ok(index) = found else {
            return Ok(None);
        };
        let tree = components[index].tree;
        let damaged = |source| StoreError::Damaged { id: tree.into(), source };
        let mut reader = self.tree_reader(tree)?;
        let mut depth = 0u64;
        while let Some(event) = reader.next_event().map_err(damaged)? {
            match event {
                Event::Entry(Entry { name, node: Node::Object { id, .. }, .. })
                    if depth == 0 && name.as_bytes() == FILE.as_bytes() =>
                {
                    return Ok(Some(id));
                }
                Event::Entry(entry) => depth += u64::from(entry.node == Node::Directory),
                Event::Leave => depth = depth.saturating_sub(1),
            }
        }
        Ok(None)
    }
}
