//! The tree of a report.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// What takes how many bytes, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What is reported on.
    pub kind: Kind,
    /// One line for people.
    pub title: String,
    /// What else there is to say: a word and a value each, in the order to show them.
    pub facts: Vec<(&'static str, String)>,
    /// What bytes are spent on. Parts of nodes are in this order.
    pub causes: Vec<Cause>,
    /// Everything.
    pub root: Node,
}

/// What a report is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Bytes to carry to a device.
    Update,
    /// Bytes that a device has.
    Release,
}

/// What bytes are spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// Names it in data.
    pub word: &'static str,
    /// Names it for people.
    pub label: &'static str,
    /// Explains it in a sentence.
    pub explanation: &'static str,
}

/// A component, a directory, or a file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Node {
    /// Its name in the node above.
    pub name: String,
    /// Bytes of itself by cause, without those of its children. May be fractions, where a byte
    /// carries parts of several things.
    pub parts: Vec<(u8, f64)>,
    /// Length of a file.
    pub size: Option<u64>,
    /// Bytes that a device gets back when it goes, with all below it; of releases only.
    pub frees: Option<u64>,
    /// Why it costs what it costs.
    pub why: Option<String>,
    /// Whether it is a component of a release.
    pub is_component: bool,
    /// What is in it.
    pub children: Vec<Node>,
}

impl Node {
    /// A node without anything.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Bytes of it and of all below it.
    pub fn bytes(&self) -> f64 {
        let own: f64 = self.parts.iter().map(|(_, bytes)| bytes).sum();
        own + self.children.iter().map(Node::bytes).sum::<f64>()
    }

    /// Bytes of it and of all below it by cause; `causes` is how many there are.
    pub fn by_cause(&self, causes: usize) -> Vec<f64> {
        let mut sums = vec![0.0; causes];
        self.visit(&mut Vec::new(), &mut |_, node| {
            for (cause, bytes) in &node.parts {
                sums[*cause as usize] += bytes;
            }
        });
        sums
    }

    /// The node at a path below this one, made when it is not there. Paths come in their order:
    /// only the last child of each node is looked at.
    pub fn at<'n>(&mut self, names: impl IntoIterator<Item = &'n [u8]>) -> &mut Node {
        let mut node = self;
        for name in names {
            let name = String::from_utf8_lossy(name);
            if node.children.last().is_none_or(|last| last.name != name) {
                node.children.push(Node::new(name));
            }
            node = node.children.last_mut().expect("it was made if there was none");
        }
        node
    }

    /// Calls `visit` for this and everything below, with the names on the way from here.
    pub fn visit<'n>(
        &'n self,
        way: &mut Vec<&'n str>,
        visit: &mut dyn FnMut(&[&'n str], &'n Node),
    ) {
        visit(way, self);
        for child in &self.children {
            way.push(&child.name);
            child.visit(way, visit);
            way.pop();
        }
    }
}

impl Report {
    /// The nodes with parts of their own that take most, most first: the way from the root, and
    /// the bytes.
    pub fn costliest(&self, count: usize) -> Vec<(String, &Node, f64)> {
        let mut all = Vec::new();
        self.root.visit(&mut Vec::new(), &mut |way, node| {
            let own: f64 = node.parts.iter().map(|(_, bytes)| bytes).sum();
            if own > 0.0 {
                all.push((way.join("/"), node, own));
            }
        });
        all.sort_by(|a, b| b.2.total_cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
        all.truncate(count);
        all
    }

    /// The cause of most bytes of a node itself.
    pub fn main_cause(&self, node: &Node) -> Option<&Cause> {
        let most = node.parts.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        self.causes.get(most.0 as usize)
    }
}

/// Tenths of bytes are enough.
fn rounded(bytes: f64) -> serde_json::Number {
    let tenths = (bytes * 10.0).round() / 10.0;
    match tenths.fract() == 0.0 {
        true => (tenths as u64).into(),
        false => serde_json::Number::from_f64(tenths).unwrap_or_else(|| 0.into()),
    }
}

impl Serialize for Node {
    /// Leaves out what is not there. `parts` is a list: number of a cause, bytes, and so on.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.name)?;
        if !self.parts.is_empty() {
            let flat: Vec<serde_json::Number> = self
                .parts
                .iter()
                .flat_map(|(cause, bytes)| [u64::from(*cause).into(), rounded(*bytes)])
                .collect();
            map.serialize_entry("parts", &flat)?;
        }
        if let Some(size) = self.size {
            map.serialize_entry("size", &size)?;
        }
        if let Some(frees) = self.frees {
            map.serialize_entry("frees", &frees)?;
        }
        if let Some(why) = &self.why {
            map.serialize_entry("why", why)?;
        }
        if self.is_component {
            map.serialize_entry("component", &true)?;
        }
        if !self.children.is_empty() {
            map.serialize_entry("children", &self.children)?;
        }
        map.end()
    }
}
