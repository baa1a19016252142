//! Random values.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::Index;
use upmass_format::payload::{Later, OldPlace, Part, Step, TreeSource};
use upmass_format::release::{
    BootFile, BootKind, Changes, Component, InstallPath, Policy, Release, System,
};
use upmass_format::tree::{Child, Device, Directory, Meta, Mtime, MtimePolicy, Node, Xattr};
use upmass_format::tree_edit::{Content, Edit, EditHead, NewNode, OldNames};
use upmass_format::update::{BasePrefix, Extension, FrameDigest, Front, Header, HeaderSignature};
use upmass_format::{Name, ObjectId, ReleaseId, TreeId, TreePath};

/// Numbers of every length, as often short as long.
pub fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64_u32).prop_map(|(number, shift)| number >> shift)
}

/// Signed numbers of every length.
pub fn signed() -> impl Strategy<Value = i64> {
    (any::<i64>(), 0..64_u32).prop_map(|(number, shift)| number >> shift)
}

fn number32() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), 0..2000_u32, any::<u32>()]
}

pub fn policy() -> impl Strategy<Value = MtimePolicy> {
    prop_oneof![Just(MtimePolicy::Normalised), Just(MtimePolicy::Kept)]
}

pub fn name() -> impl Strategy<Value = Name> {
    let byte =
        prop_oneof![8 => prop::char::range('a', 'e').prop_map(|c| c as u8), 1 => any::<u8>()];
    let len = prop_oneof![20 => 1..4_usize, 5 => 1..60_usize, 1 => 250..=255_usize];
    len.prop_flat_map(move |len| vec(byte.clone(), len)).prop_filter_map("a name", Name::new)
}

pub fn path() -> impl Strategy<Value = TreePath> {
    vec(name(), 1..5).prop_map(|names| {
        let mut path = TreePath::root();
        for name in names {
            path = path.join(&name).expect("short names");
        }
        path
    })
}

fn xattrs() -> impl Strategy<Value = Vec<Xattr>> {
    let name = vec(1..=255_u8, 1..20);
    let value = vec(any::<u8>(), 0..40);
    let some = btree_map(name, value, 1..4).prop_map(|xattrs| {
        let xattrs = xattrs.into_iter().map(|(name, value)| Xattr { name, value });
        xattrs.collect()
    });
    prop_oneof![4 => Just(Vec::new()), 1 => some]
}

pub fn meta(policy: MtimePolicy) -> impl Strategy<Value = Meta> {
    let mtime = (signed(), 0..1_000_000_000_u32)
        .prop_map(|(seconds, nanoseconds)| Mtime { seconds, nanoseconds });
    (0..=0o7777_u16, number32(), number32(), mtime, xattrs()).prop_map(
        move |(mode, uid, gid, mtime, xattrs)| Meta {
            mode,
            uid,
            gid,
            mtime: (policy == MtimePolicy::Kept).then_some(mtime),
            xattrs,
        },
    )
}

/// A node that is no directory, object or hardlink.
fn other_node() -> impl Strategy<Value = Node> {
    let device = || (number32(), number32()).prop_map(|(major, minor)| Device { major, minor });
    prop_oneof![
        vec(any::<u8>(), 0..=64).prop_map(Node::Inline),
        vec(1..=255_u8, 1..100).prop_map(Node::Symlink),
        vec(1..=255_u8, 4000..=4095).prop_map(Node::Symlink),
        Just(Node::Fifo),
        Just(Node::Socket),
        device().prop_map(Node::CharDevice),
        device().prop_map(Node::BlockDevice),
    ]
}

fn leaf(policy: MtimePolicy) -> impl Strategy<Value = Child> {
    let object = (number(), any::<[u8; 32]>())
        .prop_map(|(size, id)| Node::Object { size: size.max(65), id: ObjectId::from_bytes(id) });
    (meta(policy), prop_oneof![object, other_node()]).prop_map(|(mut meta, node)| {
        if matches!(node, Node::Symlink(_)) {
            meta.mode = 0o777;
        }
        Child::Leaf(meta, node)
    })
}

fn directory(policy: MtimePolicy) -> impl Strategy<Value = Directory> {
    let empty = meta(policy).prop_map(|meta| Directory { meta, children: BTreeMap::new() });
    empty.prop_recursive(5, 60, 8, move |inner| {
        let child = prop_oneof![
            3 => leaf(policy),
            1 => inner.prop_map(Child::Directory),
        ];
        (meta(policy), btree_map(name(), child, 0..8))
            .prop_map(|(meta, children)| Directory { meta, children })
    })
}

/// A tree with hardlinks in it.
pub fn tree() -> impl Strategy<Value = (Directory, MtimePolicy)> {
    let hardlinks = || vec((any::<Index>(), any::<Index>(), name()), 0..6);
    policy().prop_flat_map(move |policy| (directory(policy), hardlinks(), Just(policy))).prop_map(
        |(mut tree, hardlinks, policy)| {
            for (target, parent, name) in hardlinks {
                link(&mut tree, target, parent, name);
            }
            (tree, policy)
        },
    )
}

/// Adds a hardlink where one can be.
fn link(tree: &mut Directory, target: Index, parent: Index, name: Name) {
    let mut files = Vec::new();
    let mut directories = vec![TreePath::root()];
    tree.walk(&mut |path, _, node| {
        match node {
            Node::Directory => directories.push(path.clone()),
            Node::Hardlink(_) => {}
            _ => files.push(path.clone()),
        }
        Ok::<(), ()>(())
    })
    .expect("the visitor does not fail");
    if files.is_empty() {
        return;
    }
    let target = target.get(&files).clone();
    let parent = parent.get(&directories);
    let Some(here) = parent.join(&name).filter(|here| target < *here) else {
        return;
    };
    if tree.get(&here).is_some() {
        return;
    }
    let mut directory = tree;
    for name in parent.names() {
        let name = Name::new(name).expect("a name of a path");
        directory = match directory.children.get_mut(&name) {
            Some(Child::Directory(inner)) => inner,
            _ => unreachable!("the path of a directory"),
        };
    }
    let link = Child::Leaf(Meta::default(), Node::Hardlink(target));
    directory.children.insert(name, link);
}

fn title() -> impl Strategy<Value = String> {
    prop_oneof![8 => "[a-e]{1,3}", 2 => "[^\\p{Cc}]{1,60}"]
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(title(), "(?s).{0,30}", 0..3)
}

fn indexes(count: usize) -> impl Strategy<Value = Vec<usize>> {
    let set = match count {
        0 => btree_set(0..1_usize, 0..1),
        count => btree_set(0..count, 0..=count.min(8)),
    };
    set.prop_map(|set| set.into_iter().collect())
}

pub fn release() -> impl Strategy<Value = Release> {
    let names = || btree_set(title(), 1..12);
    (names(), names()).prop_flat_map(|(components, systems)| {
        let count = components.len();
        let components: Vec<_> =
            components.into_iter().map(|name| component(name, count)).collect();
        let systems: Vec<_> = systems.into_iter().map(|name| system(name, count)).collect();
        let fallback = 0..systems.len();
        (title(), number(), labels(), components, systems, fallback).prop_map(
            |(machine, counter, labels, components, systems, fallback)| Release {
                machine,
                counter,
                labels,
                components,
                systems,
                fallback,
            },
        )
    })
}

fn component(name: String, count: usize) -> impl Strategy<Value = Component> {
    let install = prop_oneof![Just(TreePath::root()), path()].prop_map(|path| {
        let absolute = [b"/", path.as_bytes()].concat();
        InstallPath::new(&absolute).expect("an absolute path")
    });
    (install, indexes(count), labels_of_few(), any::<[u8; 32]>()).prop_map(
        move |(install, references, labels, tree)| Component {
            name: name.clone(),
            install,
            references,
            labels,
            tree: TreeId::from_bytes(tree),
        },
    )
}

/// Most components have no labels, and so do those of most releases.
fn labels_of_few() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop_oneof![9 => Just(BTreeMap::new()), 1 => labels()]
}

fn system(name: String, count: usize) -> impl Strategy<Value = System> {
    let kind =
        prop_oneof![Just(BootKind::Kernel), Just(BootKind::Initrd), Just(BootKind::DeviceTree)];
    let file = (kind, 0..count, path()).prop_map(|(kind, component, path)| BootFile {
        kind,
        component,
        path,
    });
    let boot = vec(file, 0..4);
    (labels(), indexes(count), boot, "(?s).{0,60}", changes()).prop_map(
        move |(labels, roots, boot, command_line, changes)| System {
            name: name.clone(),
            labels,
            roots,
            boot,
            command_line,
            changes,
        },
    )
}

/// Most systems say nothing of changes.
fn changes() -> impl Strategy<Value = Changes> {
    let policy = || (0..Policy::ALL.len()).prop_map(|index| Policy::ALL[index]);
    let said = (policy(), policy()).prop_map(|(etc, var)| Changes { etc, var });
    prop_oneof![9 => Just(Changes::default()), 1 => said]
}

pub fn front() -> impl Strategy<Value = Front> {
    let frames = (16..=20_u8, vec(vec(any::<u8>(), 8), 0..20), any::<Index>());
    let extensions = btree_map(number().prop_map(|tag| tag | 1), vec(any::<u8>(), 0..20), 0..4);
    let signature = (any::<[u8; 8]>(), any::<[[u8; 32]; 2]>()).prop_map(|(key, halves)| {
        let signature = halves.concat().try_into().expect("two halves");
        HeaderSignature { key, signature }
    });
    let base = prop::option::of(any::<[u8; 32]>());
    let numbers = (number(), number(), number(), number());
    let target = any::<[u8; 32]>();
    (base, target, title(), numbers, frames, extensions, vec(signature, 0..4)).prop_map(
        |(base, target, machine, numbers, (frame_log2, frames, last), extensions, signatures)| {
            let size = 1_usize << frame_log2;
            let payload_len = match frames.len() {
                0 => 0,
                count => (count - 1) * size + last.index(size) + 1,
            };
            let header = Header {
                derives_names: base.is_some_and(|id| id[0] % 2 == 1),
                base: base.map(|id| BasePrefix::of(ReleaseId::from_bytes(id))),
                target: ReleaseId::from_bytes(target),
                machine,
                counter: numbers.0,
                memory_kib: numbers.1,
                space_kib: numbers.2,
                codecs: numbers.3,
                payload_len: payload_len as u64,
                frame_log2,
                frames: frames.iter().map(|frame| FrameDigest::of(frame)).collect(),
                extensions: extensions
                    .into_iter()
                    .map(|(tag, value)| Extension { tag, value })
                    .collect(),
            };
            Front::new(header, signatures)
        },
    )
}

fn place() -> impl Strategy<Value = OldPlace> {
    (number(), number()).prop_map(|(component, offset)| OldPlace { component, offset })
}

fn new_node() -> impl Strategy<Value = NewNode> {
    let content = prop_oneof![
        Just(Content::New),
        place().prop_map(Content::Old),
        number().prop_map(|distance| Content::Again(distance.min(u64::MAX - 2))),
    ];
    prop_oneof![
        prop::option::of(place()).prop_map(NewNode::Directory),
        content.prop_map(NewNode::File),
        other_node().prop_map(NewNode::Other),
        path().prop_map(|path| NewNode::Other(Node::Hardlink(path))),
    ]
}

fn edit(policy: MtimePolicy) -> impl Strategy<Value = Edit> {
    let count = || number().prop_map(|count| (count >> 3).max(1));
    let some_meta = || prop::option::of(meta(policy));
    let change = (some_meta(), prop::option::of(new_node()))
        .prop_filter("a change of something", |(meta, node)| meta.is_some() || node.is_some());
    let add = (name(), meta(policy), new_node()).prop_map(|(name, meta, node)| match node {
        NewNode::Other(Node::Hardlink(_)) => Edit::Add(name, Meta::default(), node),
        node => Edit::Add(name, meta, node),
    });
    prop_oneof![
        Just(Edit::KeepRest),
        Just(Edit::DropRest),
        count().prop_map(Edit::Keep),
        count().prop_map(Edit::Drop),
        some_meta().prop_map(Edit::Enter),
        change.prop_map(|(meta, node)| Edit::Change(meta, node)),
        add,
    ]
}

/// Edits that need not fit any tree.
pub fn edits() -> impl Strategy<Value = (EditHead, Vec<Edit>)> {
    policy().prop_flat_map(|policy| {
        let names = prop::sample::select(vec![OldNames::Renamed, OldNames::Stay]);
        let head = (prop::option::of(meta(policy)), names)
            .prop_map(move |(root, names)| EditHead { policy, names, root });
        (head, vec(edit(policy), 0..20))
    })
}

pub fn step() -> impl Strategy<Value = Step> {
    let growth = || signed().prop_map(|growth| growth >> 2);
    prop_oneof![
        number().prop_map(|len| Step::Whole(len >> 2)),
        growth().prop_map(Step::PatchHere),
        (place(), growth()).prop_map(|(place, growth)| Step::Patch(place, growth)),
        Just(Step::Members),
        Just(Step::Parts),
        Just(Step::Derivations),
        Just(Step::End),
    ]
}

pub fn later() -> impl Strategy<Value = Later> {
    prop::collection::btree_set(number().prop_map(|number| number >> 2), 0..20)
        .prop_map(|numbers| Later::new(numbers.into_iter().collect()))
}

pub fn parts() -> impl Strategy<Value = Vec<Part>> {
    let part = prop_oneof![
        Just(Part::Here),
        place().prop_map(Part::Old),
        number().prop_map(|number| Part::New(number >> 2)),
    ];
    vec(part, 1..20)
}

pub fn sources() -> impl Strategy<Value = Vec<TreeSource>> {
    let index = || {
        number()
            .prop_map(|index| index >> 1)
            .prop_filter("in range", |index| *index < u64::MAX >> 1)
    };
    let source = prop_oneof![
        4 => Just(TreeSource::Same),
        1 => Just(TreeSource::Edit),
        1 => Just(TreeSource::New),
        1 => index().prop_map(TreeSource::SameAs),
        1 => index().prop_map(|index| TreeSource::EditOf(index.min((u64::MAX - 3) / 2))),
    ];
    vec(source, 0..200)
}
