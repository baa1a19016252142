//! Finding a file of a component, through the symlinks on the way.

use upmass_format::tree::{Child, Directory, Node};
use upmass_format::{Name, TreePath};

/// Most symlinks on the way (as the kernel allows).
const MAX_SYMLINKS: usize = 40;

/// The file at a path of a tree. Symlinks are followed within the tree, and never out of it.
pub(crate) fn file<'t>(tree: &'t Directory, path: &TreePath) -> Option<&'t Node> {
    let mut here: Vec<Name> = Vec::new();
    let mut rest: Vec<Vec<u8>> = path.names().map(<[u8]>::to_vec).collect();
    rest.reverse();
    let mut symlinks = 0;
    while let Some(name) = rest.pop() {
        match &name[..] {
            b"" | b"." => continue,
            b".." => {
                here.pop();
                continue;
            }
            _ => {}
        }
        here.push(Name::new(name)?);
        let node = match tree.get(&join(&here)?)? {
            Child::Directory(_) => continue,
            Child::Leaf(_, node) => node,
        };
        match node {
            Node::Symlink(target) => {
                symlinks += 1;
                if symlinks > MAX_SYMLINKS {
                    return None;
                }
                match target.first() {
                    Some(b'/') => here.clear(),
                    _ => drop(here.pop()),
                }
                rest.extend(target.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec));
            }
            _ if !rest.is_empty() => return None,
            Node::Hardlink(target) => match tree.get(target)? {
                Child::Leaf(_, node) => return is_file(node).then_some(node),
                Child::Directory(_) => return None,
            },
            node => return is_file(node).then_some(node),
        }
    }
    None
}

fn is_file(node: &Node) -> bool {
    matches!(node, Node::Object { .. } | Node::Inline(_))
}

fn join(names: &[Name]) -> Option<TreePath> {
    names.iter().try_fold(TreePath::root(), |path, name| path.join(name))
}
