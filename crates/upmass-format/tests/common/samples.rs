//! Values that the specifications and the golden vectors show.

use std::collections::BTreeMap;

use upmass_format::patch;
use upmass_format::payload::{Later, OldPlace, Part, Step, TreeSource};
use upmass_format::release::{
    BootFile, BootKind, Changes, Component, InstallPath, Policy, Release, System,
};
use upmass_format::rename::{Rename, Renames};
use upmass_format::tree::{Child, Device, Directory, Meta, Mtime, Node, Xattr};
use upmass_format::tree_edit::{Content, Edit, NewNode};
use upmass_format::update::{
    BasePrefix, Extension, FrameDigest, Front, Header, HeaderSignature, MIN_FRAME_LOG2,
};
use upmass_format::{Name, ObjectHasher, ObjectId, ReleaseId, TreeId, TreePath};

pub fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

pub fn path(text: &str) -> TreePath {
    TreePath::new(text).expect("a path")
}

pub fn object(content: &str) -> ObjectId {
    ObjectHasher::hash(content.as_bytes())
}

pub fn tree_id(content: &str) -> TreeId {
    object(content).into()
}

pub fn meta(mode: u16, uid: u32, gid: u32) -> Meta {
    Meta { mode, uid, gid, ..Meta::default() }
}

pub fn xattr(name: &str, value: &[u8]) -> Xattr {
    Xattr { name: name.into(), value: value.into() }
}

pub fn symlink_meta() -> Meta {
    meta(0o777, 0, 0)
}

fn directory<const N: usize>(meta: Meta, children: [(&str, Child); N]) -> Directory {
    let children = children.into_iter().map(|(text, child)| (name(text), child));
    Directory { meta, children: children.collect() }
}

/// The worked example of `spec/tree.md`.
pub fn small_tree() -> Directory {
    let mut capable = meta(0o755, 0, 0);
    capable.xattrs = vec![xattr("user.n", b"1")];
    let bin = directory(
        meta(0o755, 0, 0),
        [
            ("app", Child::Leaf(capable, Node::Object { size: 70_000, id: object("app") })),
            ("sh", Child::Leaf(symlink_meta(), Node::Symlink(b"app".into()))),
            ("up", Child::Leaf(Meta::default(), Node::Hardlink(path("bin/app")))),
        ],
    );
    directory(
        meta(0o755, 0, 0),
        [
            ("bin", Child::Directory(bin)),
            ("id", Child::Leaf(meta(0o644, 0, 300), Node::Inline(b"7\n".into()))),
        ],
    )
}

/// Every kind of node, and the longest of each variable part that is not too long to look at.
pub fn every_node() -> Directory {
    let mut capable = meta(0o4755, 0, 0);
    capable.xattrs = vec![
        xattr("security.capability", b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        xattr("user.empty", b""),
    ];
    let mut labelled = meta(0o1777, 0, 0);
    labelled.xattrs = vec![xattr("security.selinux", b"system_u:object_r:tmp_t:s0\0")];
    let device = |major, minor| Device { major, minor };
    let dev = directory(
        meta(0o755, 0, 0),
        [
            ("console", Child::Leaf(meta(0o600, 0, 5), Node::CharDevice(device(5, 1)))),
            (
                "highest",
                Child::Leaf(
                    meta(0, u32::MAX, u32::MAX),
                    Node::BlockDevice(device(u32::MAX, u32::MAX)),
                ),
            ),
            ("initctl", Child::Leaf(meta(0o600, 0, 0), Node::Fifo)),
            ("log", Child::Leaf(meta(0o666, 0, 0), Node::Socket)),
        ],
    );
    let file = |size, content: &str| Node::Object { size, id: object(content) };
    let bin = directory(
        meta(0o755, 0, 0),
        [
            ("ping", Child::Leaf(capable, file(65, "ping"))),
            ("ping6", Child::Leaf(Meta::default(), Node::Hardlink(path("bin/ping")))),
            ("sh", Child::Leaf(symlink_meta(), Node::Symlink(b"../usr/bin/dash".into()))),
        ],
    );
    let odd = directory(
        meta(0o700, 1000, 1000),
        [
            ("\n", Child::Leaf(meta(0o644, 1000, 1000), Node::Inline(Vec::new()))),
            ("very large", Child::Leaf(meta(0o7777, 1, 2), file(u64::MAX, "very large"))),
            ("\u{e4}\u{2028}", Child::Leaf(meta(0o644, 1000, 1000), Node::Inline(vec![0xff; 64]))),
        ],
    );
    directory(
        meta(0o755, 0, 0),
        [
            ("bin", Child::Directory(bin)),
            ("dev", Child::Directory(dev)),
            ("empty", Child::Directory(directory(labelled, []))),
            ("odd", Child::Directory(odd)),
        ],
    )
}

/// Gives every entry that has attributes a time of its own.
pub fn with_times(mut tree: Directory) -> Directory {
    let times =
        [(1, 0), (0, 0), (-1, 999_999_999), (1_700_000_000, 5), (i64::MIN, 0), (i64::MAX, 1)];
    let mut times = times.map(|(seconds, nanoseconds)| Mtime { seconds, nanoseconds });
    set_times(&mut tree, &mut || {
        times.rotate_left(1);
        times[0]
    });
    tree
}

fn set_times(tree: &mut Directory, next: &mut impl FnMut() -> Mtime) {
    tree.meta.mtime = Some(next());
    for child in tree.children.values_mut() {
        match child {
            Child::Directory(inner) => set_times(inner, next),
            Child::Leaf(_, Node::Hardlink(_)) => {}
            Child::Leaf(meta, _) => meta.mtime = Some(next()),
        }
    }
}

/// The worked example of `spec/release.md`: a system and its fallback.
pub fn small_release() -> Release {
    let component = |name: &str, install: &str, references: &[usize]| Component {
        name: name.into(),
        install: InstallPath::new(install.as_bytes()).expect("a path"),
        references: references.into(),
        labels: BTreeMap::new(),
        tree: tree_id(name),
    };
    let kernel =
        |component| BootFile { kind: BootKind::Kernel, component, path: path("boot/Image") };
    Release {
        machine: "buoy".into(),
        counter: 7,
        labels: BTreeMap::from([("version".into(), "1.2".into())]),
        components: vec![component("app", "/opt/app", &[1]), component("root", "/", &[])],
        systems: vec![
            System {
                name: "main".into(),
                labels: BTreeMap::new(),
                roots: vec![0],
                boot: vec![kernel(1)],
                command_line: "ro quiet".into(),
                changes: Changes::default(),
            },
            System {
                name: "rescue".into(),
                labels: BTreeMap::new(),
                roots: vec![1],
                boot: vec![kernel(1)],
                command_line: "ro".into(),
                changes: Changes::default(),
            },
        ],
        fallback: 1,
    }
}

/// The second worked example of `spec/release.md`: one component, which has a label.
pub fn labelled_release() -> Release {
    let mut release = small_release();
    release.components.remove(1);
    release.components[0].references.clear();
    release.components[0].labels.insert("nix.deriver".into(), "x.drv".into());
    release.systems.truncate(1);
    release.systems[0].boot.clear();
    release.fallback = 0;
    release
}

/// The third worked example of `spec/release.md`: a system that keeps changes to `/etc`, and a
/// component with a label.
pub fn changing_release() -> Release {
    let mut release = labelled_release();
    release.systems[0].changes.etc = Policy::Persistent;
    release
}

/// Many components that refer to each other, as a Nix store has them.
pub fn store_like_release() -> Release {
    let count = 150;
    let components = (0..count).map(|index: usize| {
        let name = format!("{index:03}-lib");
        Component {
            install: InstallPath::new(format!("/nix/{index}").as_bytes()).expect("a path"),
            tree: tree_id(&name),
            references: (0..count).filter(|other| other * 7 % 50 == index % 50).collect(),
            labels: BTreeMap::new(),
            name,
        }
    });
    let text = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let file = |kind, path: &str| BootFile { kind, component: 140, path: self::path(path) };
    Release {
        machine: "Zähler \u{1f6f0}".into(),
        counter: u64::MAX,
        labels: text(&[("channel", ""), ("version", "26.05\nsecond line")]),
        components: components.collect(),
        systems: vec![System {
            name: "only".into(),
            labels: text(&[("mission", "survey")]),
            roots: vec![0, 127, 128, 149],
            boot: vec![
                file(BootKind::Kernel, "bzImage"),
                file(BootKind::Initrd, "initrd"),
                file(BootKind::Initrd, "microcode"),
                file(BootKind::DeviceTree, "dtbs/board.dtb"),
            ],
            command_line: "init=/nix/store/x/init".into(),
            changes: Changes::default(),
        }],
        fallback: 0,
    }
}

/// The worked example of `spec/update.md`: an update of a base, signed once.
pub fn small_front() -> Front {
    let payload = b"not a payload, but long enough to have a digest";
    let header = Header {
        base: Some(BasePrefix::of(object("base").into())),
        derives_names: false,
        target: object("target").into(),
        machine: "buoy".into(),
        counter: 8,
        memory_kib: 12_000,
        space_kib: 300,
        codecs: 0b1001,
        payload_len: payload.len() as u64,
        frame_log2: MIN_FRAME_LOG2,
        frames: vec![FrameDigest::of(payload)],
        extensions: Vec::new(),
    };
    Front::new(header, vec![SMALL_FRONT_SIGNATURE])
}

/// The worked example of `spec/patch.md`.
pub fn small_patch() -> patch::Head {
    patch::Head {
        kind: patch::Kind::File,
        base: patch::OldPrefix::of(object("old").into()),
        target: BasePrefix::of(object("new").into()),
        codecs: 0b100,
    }
}

/// By the key of RFC 8032 section 7.1 TEST 1, whose id is 0123456789ABCDEF here.
pub const SMALL_FRONT_SIGNATURE: HeaderSignature = HeaderSignature {
    key: 0x0123_4567_89ab_cdef_u64.to_le_bytes(),
    signature: [
        0x88, 0xa6, 0x40, 0x6d, 0x3b, 0xbb, 0xea, 0x1c, 0x3c, 0xc9, 0xc8, 0x92, 0xd1, 0xb0, 0x43,
        0xdc, 0xeb, 0x56, 0x9a, 0x8f, 0xbc, 0xcb, 0xf4, 0x9f, 0x0b, 0x08, 0xa2, 0x51, 0xad, 0xc8,
        0x22, 0x47, 0xc6, 0x2b, 0xb5, 0xa4, 0xd8, 0xd9, 0x8a, 0x41, 0x7d, 0xb2, 0x66, 0x44, 0xc4,
        0x18, 0x4b, 0xe4, 0xcb, 0x22, 0x38, 0xa6, 0xf9, 0xb4, 0x82, 0xba, 0xe3, 0xfd, 0xac, 0xd8,
        0x3e, 0xd0, 0x3c, 0x0c,
    ],
};

/// A full update of several frames, signed by nobody.
pub fn full_front() -> Front {
    let frame = |index: u64| FrameDigest::of(&index.to_le_bytes());
    let header = Header {
        base: None,
        derives_names: false,
        target: ReleaseId::from_bytes([0xab; 32]),
        machine: "x".repeat(255),
        counter: 0,
        memory_kib: u64::MAX,
        space_kib: u64::MAX,
        codecs: u64::MAX,
        payload_len: (10 << 20) + 1,
        frame_log2: 20,
        frames: (0..11).map(frame).collect(),
        extensions: Vec::new(),
    };
    Front::new(header, Vec::new())
}

/// The same as [`small_front`], with names that the device computes; signed by nobody.
pub fn deriving_front() -> Front {
    Front::new(Header { derives_names: true, ..small_front().header }, Vec::new())
}

/// An empty payload, extensions, and as many signatures as there can be.
pub fn extended_front() -> Front {
    let extension = |tag, value: &[u8]| Extension { tag, value: value.into() };
    let header = Header {
        payload_len: 0,
        frames: Vec::new(),
        extensions: vec![
            extension(1, b""),
            extension(0x7f, b"optional"),
            extension(u64::MAX, b"last"),
        ],
        ..small_front().header
    };
    let signature = |index| HeaderSignature { key: [index; 8], signature: [index + 1; 64] };
    Front::new(header, (0..16).map(signature).collect())
}

fn place(component: u64, offset: u64) -> OldPlace {
    OldPlace { component, offset }
}

/// The worked example of `spec/tree-edit.md`.
pub fn small_edits() -> Vec<Edit> {
    vec![
        Edit::Keep(2),
        Edit::Enter(None),
        Edit::Change(None, Some(NewNode::File(Content::New))),
        Edit::Add(
            name("new.conf"),
            meta(0o644, 0, 0),
            NewNode::Other(Node::Inline(b"on\n".into())),
        ),
        Edit::DropRest,
        Edit::Add(name("moved"), meta(0o755, 0, 0), NewNode::Directory(Some(place(0, 300)))),
        Edit::KeepRest,
        Edit::KeepRest,
    ]
}

/// Every edit with every kind of new node. They fit no old tree.
pub fn every_edit() -> Vec<Edit> {
    let mut with_xattrs = meta(0o7777, u32::MAX, 0);
    with_xattrs.xattrs = vec![xattr("a", b""), xattr("b", &[0; 300])];
    let device = Device { major: 8, minor: 300 };
    let new_nodes = [
        NewNode::Directory(None),
        NewNode::Directory(Some(place(u64::MAX, 0))),
        NewNode::File(Content::New),
        NewNode::File(Content::Old(place(1, 128))),
        NewNode::File(Content::Again(0)),
        NewNode::File(Content::Again(u64::MAX - 2)),
        NewNode::Other(Node::Inline(b"inline".into())),
        NewNode::Other(Node::Symlink(b"target".into())),
        NewNode::Other(Node::Hardlink(path("a/b"))),
        NewNode::Other(Node::Fifo),
        NewNode::Other(Node::Socket),
        NewNode::Other(Node::CharDevice(device)),
        NewNode::Other(Node::BlockDevice(device)),
    ];
    let mut edits = vec![
        Edit::KeepRest,
        Edit::DropRest,
        Edit::Keep(1),
        Edit::Keep(u64::MAX >> 3),
        Edit::Drop(16),
        Edit::Enter(None),
        Edit::Enter(Some(with_xattrs.clone())),
        Edit::Change(Some(meta(0o600, 0, 0)), None),
    ];
    for (index, node) in new_nodes.into_iter().enumerate() {
        edits.push(Edit::Change(None, Some(node.clone())));
        edits.push(Edit::Change(Some(with_xattrs.clone()), Some(node.clone())));
        let meta = match node {
            NewNode::Other(Node::Hardlink(_)) => Meta::default(),
            _ => meta(0o644, index as u32, 0),
        };
        edits.push(Edit::Add(name(&format!("n{index}")), meta, node));
    }
    edits
}

/// The same for a tree that keeps times: each has one.
pub fn every_edit_with_times() -> Vec<Edit> {
    let mtime = Some(Mtime { seconds: -5, nanoseconds: 7 });
    let timed = |meta: Meta| Meta { mtime, ..meta };
    every_edit()
        .into_iter()
        .map(|edit| match edit {
            Edit::Enter(meta) => Edit::Enter(meta.map(timed)),
            Edit::Change(meta, node) => Edit::Change(meta.map(timed), node),
            Edit::Add(name, meta, node) => match node {
                NewNode::Other(Node::Hardlink(_)) => Edit::Add(name, meta, node),
                node => Edit::Add(name, timed(meta), node),
            },
            other => other,
        })
        .collect()
}

/// What is made later, at numbers at which encodings grow.
pub fn later() -> Later {
    Later::new(vec![0, 1, 130, 131, 20_000, (1 << 62) - 1])
}

/// Every kind of part, with new objects ahead, behind and again.
pub fn parts() -> Vec<Part> {
    let new = [70, 71, 0, 5, 5, (1 << 62) - 1, 0].map(Part::New);
    let old = OldPlace { component: 3, offset: 300 };
    [&[Part::Here, Part::Old(old)], &new[..], &[Part::Here]].concat()
}

/// Every kind of step, with the numbers at which encodings grow.
pub fn steps() -> Vec<Step> {
    vec![
        Step::Whole(65),
        Step::Whole((1 << 62) - 1),
        Step::PatchHere(0),
        Step::PatchHere(-1),
        Step::PatchHere(1),
        Step::PatchHere(-(1 << 61)),
        Step::PatchHere((1 << 61) - 1),
        Step::Patch(place(0, 7), 64),
        Step::Patch(place(u64::MAX, u64::MAX), -64),
        Step::End,
    ]
}

/// Every kind of source. There are [`SOURCES`] components.
pub fn sources() -> Vec<TreeSource> {
    let mut sources = vec![TreeSource::Same; SOURCES];
    sources[0] = TreeSource::Edit;
    sources[1] = TreeSource::New;
    sources[5] = TreeSource::SameAs(0);
    sources[6] = TreeSource::EditOf(0);
    sources[140] = TreeSource::SameAs((u64::MAX - 2) / 2);
    sources[199] = TreeSource::EditOf((u64::MAX - 3) / 2);
    sources
}

/// How many components [`sources`] is for.
pub const SOURCES: usize = 200;

/// A table with every form, and how many components the old release has.
pub fn renames() -> (Renames, usize) {
    let hash = |first: u8| std::array::from_fn(|index| first.wrapping_add(index as u8));
    let table = vec![
        (0, Rename::Hash(hash(0))),
        (1, Rename::Hash(hash(240))),
        (70, Rename::HashAndRest(hash(9), "-openssl-3.0.20".to_owned())),
        (71, Rename::HashAndRest(hash(77), String::new())),
        (199, Rename::Name("zähler".to_owned())),
    ];
    (Renames::new(table), 200)
}
