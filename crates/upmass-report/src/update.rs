//! Where the bytes of an update go.

use upmass_apply::{ComponentCost, FileCost, Inspection, Origin, Section};
use upmass_format::update::Header;

use crate::model::{Cause, Kind, Node, Report};
use upmass_format::grouped;

const NEW: u8 = 0;
const CODE: u8 = 1;
const DATA: u8 = 2;
const TABLES: u8 = 3;
const MOVES: u8 = 4;
const PACKED: u8 = 5;
const METADATA: u8 = 6;
const OVERHEAD: u8 = 7;

/// In the order of the numbers above.
const CAUSES: [Cause; 8] = [
    Cause { word: "new", label: "new content", explanation: "Nothing like it is on the device." },
    Cause {
        word: "code",
        label: "changed code",
        explanation: "Instructions of programs that are not as they were.",
    },
    Cause {
        word: "data",
        label: "changed data",
        explanation: "What else has changed in files that the device has in an older version.",
    },
    Cause {
        word: "tables",
        label: "changed tables",
        explanation: "Symbols, relocations and unwind tables of programs.",
    },
    Cause {
        word: "moves",
        label: "what comes from where",
        explanation: "Which parts of old files a new one is made of.",
    },
    Cause {
        word: "packed",
        label: "compressed",
        explanation: "Compressed files that could not be compared unpacked: after a small change \
                      most of their bytes differ. More memory on the device (--device-memory), or \
                      not compressing them, may help.",
    },
    Cause {
        word: "metadata",
        label: "names and modes",
        explanation: "Names, modes, owners and times of files.",
    },
    Cause {
        word: "overhead",
        label: "the update itself",
        explanation: "Signature, list of frames, and what to do in which order.",
    },
];

/// What an update costs. `inspection` must have components, so its base has to be at hand.
/// `names` are words for the base and the target.
pub fn report_update(header: &Header, inspection: &Inspection, names: (&str, &str)) -> Report {
    let total = (inspection.front_bytes + inspection.payload_bytes) as f64;
    let mut root = Node::new("update");
    for cost in inspection.components.iter().flatten() {
        root.children.push(component(cost));
    }
    let mut rest = Node::new("the update itself");
    rest.why = Some("signature, list of frames, order of the work".to_owned());
    rest.parts.push((OVERHEAD, (total - root.bytes()).max(0.0)));
    root.children.push(rest);

    let files = inspection.components.iter().flatten().flat_map(|component| &component.files);
    let bytes: u64 = files.clone().map(|file| file.bytes).sum();
    let facts = vec![
        ("machine", header.machine.clone()),
        ("to transfer", format!("{} bytes", grouped(total as u64))),
        ("for", format!("{} new files of {} bytes", grouped(files.count() as u64), grouped(bytes))),
        ("memory", format!("{} KiB to apply it", grouped(header.memory_kib))),
        ("space", format!("{} KiB on the device", grouped(header.space_kib))),
    ];
    let title = match header.base {
        Some(_) => format!("Update from {} to {}", names.0, names.1),
        None => format!("Full update to {}", names.1),
    };
    Report { kind: Kind::Update, title, facts, causes: CAUSES.to_vec(), root }
}

fn component(cost: &ComponentCost) -> Node {
    let mut node = Node::new(&cost.name);
    node.is_component = true;
    node.why = Some(because(cost));
    if cost.metadata > 0.0 {
        node.parts.push((METADATA, cost.metadata));
    }
    for file in &cost.files {
        let leaf = node.at(file.path.names());
        leaf.size = Some(file.bytes);
        leaf.parts = parts(file);
        leaf.why = Some(why(file));
    }
    node
}

/// What the bytes of a file are spent on.
fn parts(file: &FileCost) -> Vec<(u8, f64)> {
    if file.packed.is_some() && file.members == 0 && file.origin != Origin::Renamed {
        return vec![(PACKED, file.cost)];
    }
    let is_new = file.origin == Origin::New;
    if file.spent.iter().sum::<f64>() == 0.0 {
        return match file.cost > 0.0 {
            true => vec![(if is_new { NEW } else { DATA }, file.cost)],
            false => Vec::new(),
        };
    }
    let mut sums = [0.0; CAUSES.len()];
    for (section, bytes) in Section::ALL.iter().zip(&file.spent) {
        let cause = match section {
            _ if is_new => NEW,
            Section::Control => MOVES,
            Section::Code => CODE,
            Section::Data => DATA,
            Section::Tables | Section::Unwind => TABLES,
            Section::Literal => NEW,
        };
        sums[cause as usize] += bytes;
    }
    let parts = sums.iter().enumerate().map(|(cause, bytes)| (cause as u8, *bytes));
    parts.filter(|(_, bytes)| *bytes > 0.0).collect()
}

fn why(file: &FileCost) -> String {
    let mut text = match &file.origin {
        Origin::New => "new: made from nothing".to_owned(),
        Origin::Here => "made from the file that was here".to_owned(),
        Origin::Old(component, path) => format!("made from {path} of {component}"),
        Origin::Renamed => "only names in it have changed".to_owned(),
        Origin::Parts { old: 0, new } => format!("made from {new} other new files"),
        Origin::Parts { new, .. } => {
            format!("made from what was here or like it, and {new} other new files")
        }
    };
    match (file.packed, file.members) {
        (_, members @ 1..) => {
            let plural = if members == 1 { "" } else { "s" };
            text.push_str(&format!(", with {members} compressed part{plural} unpacked"));
        }
        (Some(packing), 0) if file.origin != Origin::Renamed => {
            text.push_str(&format!(", while compressed ({packing})"));
        }
        _ => {}
    }
    text
}

/// Why a component costs anything.
fn because(cost: &ComponentCost) -> String {
    let Some(old) = &cost.old else {
        return "new: no component like it was there".to_owned();
    };
    let is_spent = cost.files.iter().any(|file| file.origin != Origin::Renamed);
    let (from, to) = (without_hash(old), without_hash(&cost.name));
    match (from == to, is_spent) {
        (true, false) if *old == cost.name && cost.files.is_empty() => {
            "only names, modes or owners have changed".to_owned()
        }
        (true, false) => "built again: only what it refers to has other names".to_owned(),
        (true, true) if *old == cost.name => "its files have changed".to_owned(),
        (true, true) => "built again, the same version, with other contents".to_owned(),
        (false, true) => format!("another version: {from} became {to}"),
        (false, false) => format!("renamed: {from} became {to}"),
    }
}

/// The name of a store path without its hash.
fn without_hash(name: &str) -> &str {
    let is_hash = |hash: &str| {
        hash.len() == 32 && hash.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
    };
    match name.split_once('-') {
        Some((hash, rest)) if is_hash(hash) => rest,
        _ => name,
    }
}
