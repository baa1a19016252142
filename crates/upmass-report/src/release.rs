//! What a release takes on a device.

use std::collections::HashMap;

use upmass_format::release::Release;
use upmass_format::tree::{Event, Node as TreeNode};
use upmass_format::{ObjectId, ReleaseId};
use upmass_store::{Result, Store, StoreError};

use crate::content::Content;
use crate::model::{Kind, Node, Report};
use upmass_format::grouped;

/// Where in the report an object is.
struct Place {
    /// Numbers of children on the way from the root.
    way: Vec<u32>,
    content: Content,
}

/// Takes the way to an object, its size, its id and its kind.
type Meet<'m> = dyn FnMut(&[u32], u64, ObjectId, Content) + 'm;

/// What an object is met as.
struct Met {
    size: u64,
    places: Vec<Place>,
}

/// What a release takes: every content counts once, in equal shares for all files that have it.
/// Components are grouped by the systems that they belong to.
pub fn report_release(store: &Store, id: ReleaseId, release: &Release) -> Result<Report> {
    let mut root = Node::new("release");
    let mut objects: HashMap<ObjectId, Met> = HashMap::new();
    for (systems, components) in by_systems(release) {
        let mut group = Node::new(systems);
        for index in components {
            let component = &release.components[index];
            let mut node = Node::new(&component.name);
            node.is_component = true;
            node.why = Some(format!("at {}", component.install));
            let way = [root.children.len() as u32, group.children.len() as u32];
            let mut meet = |path: &[u32], size, id, content| {
                let way = way.iter().chain(path).copied().collect();
                let met = objects.entry(id).or_insert_with(|| Met { size, places: Vec::new() });
                met.places.push(Place { way, content });
            };
            walk(store, component.tree, &mut node, &mut meet)?;
            let tree = component.tree.into();
            let size = store.object_len(tree)?;
            let met = objects.entry(tree).or_insert_with(|| Met { size, places: Vec::new() });
            met.places.push(Place { way: way.to_vec(), content: Content::Tree });
            group.children.push(node);
        }
        root.children.push(group);
    }

    let (mut files, mut as_files) = (0u64, 0u64);
    for met in objects.values() {
        let first = &met.places[0];
        let mut common = first.way.len();
        for place in &met.places[1..] {
            common =
                first.way.iter().zip(&place.way).take_while(|(a, b)| a == b).count().min(common);
        }
        *node_at(&mut root, &first.way[..common]).frees.get_or_insert(0) += met.size;
        let share = met.size as f64 / met.places.len() as f64;
        for place in &met.places {
            let node = node_at(&mut root, &place.way);
            node.parts.push((place.content as u8, share));
            if place.content != Content::Tree {
                let count = met.places.len();
                node.why = (count > 1).then(|| format!("the same content as {} more", count - 1));
                files += 1;
                as_files += met.size;
            }
        }
    }
    sum_up(&mut root);
    let bytes = root.frees.unwrap_or(0);
    let facts = vec![
        ("machine", release.machine.clone()),
        ("on the device", format!("{} bytes", grouped(bytes))),
        ("files", format!("{} of {} bytes", grouped(files), grouped(as_files))),
        (
            "shared",
            format!(
                "{} bytes are there once instead of several times",
                grouped(as_files.saturating_sub(bytes))
            ),
        ),
    ];
    if root.children.len() == 1 {
        root.children = std::mem::take(&mut root.children[0].children);
    }
    let name = release.version().map_or_else(|| id.short().to_string(), str::to_owned);
    let title = format!("Release {name}");
    Ok(Report { kind: Kind::Release, title, facts, causes: Content::CAUSES.to_vec(), root })
}

/// Components by the systems that they belong to, those of most systems first.
fn by_systems(release: &Release) -> Vec<(String, Vec<usize>)> {
    let mut of = vec![Vec::new(); release.components.len()];
    for (system, found) in release.systems.iter().enumerate() {
        release.closure(found).into_iter().for_each(|component| of[component].push(system));
    }
    let mut groups: Vec<(Vec<usize>, Vec<usize>)> = Vec::new();
    for (component, systems) in of.into_iter().enumerate() {
        match groups.iter_mut().find(|(known, _)| *known == systems) {
            Some((_, components)) => components.push(component),
            None => groups.push((systems, vec![component])),
        }
    }
    groups.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.0.cmp(&b.0)));
    let name = |systems: &[usize]| match systems {
        [] => "of no system".to_owned(),
        [one] => format!("only in {}", release.systems[*one].name),
        all if all.len() == release.systems.len() => "in all systems".to_owned(),
        some => {
            let names: Vec<_> = some.iter().map(|at| &release.systems[*at].name[..]).collect();
            format!("in {}", names.join(" and "))
        }
    };
    groups.into_iter().map(|(systems, components)| (name(&systems), components)).collect()
}

/// Adds the files of a tree to a node, and gives `meet` each object.
fn walk(
    store: &Store,
    tree: upmass_format::TreeId,
    node: &mut Node,
    meet: &mut Meet<'_>,
) -> Result<()> {
    let damaged = |source| StoreError::Damaged { id: tree.into(), source };
    let mut reader = store.tree_reader(tree)?;
    let mut way = Vec::new();
    while let Some(event) = reader.next_event().map_err(damaged)? {
        let Event::Entry(entry) = event else {
            way.pop();
            continue;
        };
        let parent = node_at(node, &way);
        let number = parent.children.len() as u32;
        match entry.node {
            TreeNode::Directory => {
                parent.children.push(Node::new(String::from_utf8_lossy(entry.name.as_bytes())));
                way.push(number);
            }
            TreeNode::Object { size, id } => {
                let mut leaf = Node::new(String::from_utf8_lossy(entry.name.as_bytes()));
                leaf.size = Some(size);
                parent.children.push(leaf);
                way.push(number);
                let directory = reader.directory();
                let content = Content::of(store, &directory, entry.name.as_bytes(), id)?;
                meet(&way, size, id, content);
                way.pop();
            }
            // What is in the tree itself counts as the tree.
            _ => {}
        }
    }
    Ok(())
}

fn node_at<'n>(root: &'n mut Node, way: &[u32]) -> &'n mut Node {
    way.iter().fold(root, |node, at| &mut node.children[*at as usize])
}

/// What goes with a node is what it holds alone, and what goes with its children. Directories
/// without any file are left out.
fn sum_up(node: &mut Node) {
    node.children.iter_mut().for_each(sum_up);
    node.children.retain(|child| child.size.is_some() || child.bytes() > 0.0);
    let below: u64 = node.children.iter().filter_map(|child| child.frees).sum();
    node.frees = Some(node.frees.unwrap_or(0) + below);
}
