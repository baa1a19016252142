//! The specifications in `spec/` against the code: every table and every worked example.

mod common;

use std::collections::BTreeSet;

use common::markdown::{Hex, Spec, hex};
use common::samples;
use common::{put_edits, put_steps, tree_again};
use sha2::{Digest, Sha256};
use upmass_format::nar::{self, NarHasher};
use upmass_format::patch::{self, Kind};
use upmass_format::payload::{
    Demux, Later, MAX_CHUNK, MAX_LATER, MAX_PARTS, MAX_QUEUED, OldPlace, Part, READ_AHEAD, STREAMS,
    Step, Stream, TreeSource, put_segment,
};
use upmass_format::release::{self, BootKind, Changes, Policy, Release};
use upmass_format::rename::{self, Rename, Renames};
use upmass_format::tree::{
    self, Child, Device, Directory, Meta, MtimePolicy, NORMALISED_MTIME, Node,
};
use upmass_format::tree_edit::{Content, Edit, EditHead, MAX_OPEN_BASES, NewNode, OldNames};
use upmass_format::update::{self, Front};
use upmass_format::wire::{Reader, put_varint, zigzag};
use upmass_format::{BLOCK_SIZE, FormatError, MAX_NAME, MAX_PATH, ObjectHasher, ObjectId};

const PRIMITIVES: Spec = Spec(include_str!("../spec/primitives.md"));
const OBJECT_ID: Spec = Spec(include_str!("../spec/object-id.md"));
const TREE: Spec = Spec(include_str!("../spec/tree.md"));
const TREE_EDIT: Spec = Spec(include_str!("../spec/tree-edit.md"));
const NAR: Spec = Spec(include_str!("../spec/nar.md"));
const RELEASE: Spec = Spec(include_str!("../spec/release.md"));
const UPDATE: Spec = Spec(include_str!("../spec/update.md"));
const PATCH: Spec = Spec(include_str!("../spec/patch.md"));
const RENAME: Spec = Spec(include_str!("../spec/rename.md"));
const PAYLOAD: Spec = Spec(include_str!("../spec/payload.md"));

const LIMITS: &str = "Limits";
const EXAMPLE: &str = "Worked example";

#[test]
fn numbers_of_primitives() {
    for row in PRIMITIVES.rows("Numbers") {
        let (number, bytes) = (row[0].parse().unwrap(), hex(&row[1]));
        let mut written = Vec::new();
        put_varint(&mut written, number);
        assert_eq!(Hex(&written), Hex(&bytes));
        assert_eq!(Reader::new(&bytes[..]).varint("number"), Ok(number));
    }
    let refused = PRIMITIVES.rows("Refused numbers");
    assert!(refused.len() >= 5);
    for row in refused {
        let read = Reader::new(&hex(&row[0])[..]).varint("number");
        let is_right = match &row[1][..] {
            "ends early" => matches!(read, Err(FormatError::Truncated { .. })),
            _ => matches!(read, Err(FormatError::NotCanonical { .. })),
        };
        assert!(is_right, "{row:?}: {read:?}");
    }
    for row in PRIMITIVES.rows("Signed numbers") {
        assert_eq!(zigzag(row[0].parse().unwrap()), row[1].parse().unwrap(), "{row:?}");
    }
}

#[test]
fn limits_of_primitives() {
    let mut longest = Vec::new();
    put_varint(&mut longest, u64::MAX);
    PRIMITIVES.check_numbers(
        LIMITS,
        &[
            ("entry name, bytes", MAX_NAME as u64),
            ("path, bytes", MAX_PATH as u64),
            ("number, bytes", longest.len() as u64),
        ],
    );
}

#[test]
fn example_of_primitives() {
    let mut bytes = Vec::new();
    put_varint(&mut bytes, 300);
    put_varint(&mut bytes, zigzag(-2));
    put_varint(&mut bytes, 3);
    bytes.extend_from_slice(b"abc");
    PRIMITIVES.check_example(EXAMPLE, &bytes);
    let mut input = Reader::new(&bytes[..]);
    assert_eq!(input.varint("number"), Ok(300));
    assert_eq!(input.signed("signed"), Ok(-2));
    assert_eq!(input.bytes(3, "bytes"), Ok(b"abc".to_vec()));
    assert_eq!(input.expect_end("example"), Ok(()));
}

#[test]
fn object_ids() {
    OBJECT_ID.check_numbers(
        LIMITS,
        &[
            ("block, bytes", BLOCK_SIZE as u64),
            ("id, bytes", ObjectId::LEN as u64),
            ("digests in a block", (BLOCK_SIZE / ObjectId::LEN) as u64),
        ],
    );
    let content = b"buoy";
    let mut block = content.to_vec();
    block.resize(BLOCK_SIZE, 0);
    let root: [u8; 32] = Sha256::digest(&block).into();
    let layout = OBJECT_ID.layout("Descriptor");
    let mut descriptor = Vec::new();
    for (offset, size, name) in &layout {
        let field: &[u8] = match &name[..] {
            "version" | "hash algorithm" => &[1],
            "block size" => &[12],
            "length" => &(content.len() as u64).to_le_bytes(),
            "root digest" => &root,
            _ => &[],
        };
        assert_eq!(descriptor.len(), *offset);
        descriptor.extend_from_slice(field);
        descriptor.resize(offset + size, 0);
    }
    assert_eq!(descriptor.len(), 256);
    let id = ObjectHasher::hash(content);
    assert_eq!(id, ObjectId::from_bytes(Sha256::digest(&descriptor).into()));
    let example = [&root[..], &descriptor[..48], id.as_bytes()].concat();
    OBJECT_ID.check_example(EXAMPLE, &example);
}

/// The only entry of a tree that has no other.
fn entry_of(meta: Meta, node: Node) -> Vec<u8> {
    let mut tree = Directory::default();
    let is_hardlink = matches!(node, Node::Hardlink(_));
    let child = match node {
        Node::Directory => Child::Directory(Directory { meta, ..Directory::default() }),
        node => Child::Leaf(meta, node),
    };
    tree.children.insert(samples::name("b"), child);
    if is_hardlink {
        // What it leads to comes before.
        let target = Child::Leaf(Meta::default(), Node::Fifo);
        tree.children.insert(samples::name("a"), target);
    }
    let bytes = tree.to_bytes(MtimePolicy::Normalised).unwrap();
    let front = Directory::default().to_bytes(MtimePolicy::Normalised).unwrap().len() - 1;
    let skip = if is_hardlink { 6 } else { 0 };
    bytes[front + skip..].to_vec()
}

/// A node of each kind, by its name in the tables.
fn nodes() -> Vec<(&'static str, Node)> {
    let device = Device { major: 1, minor: 2 };
    vec![
        ("object", Node::Object { size: 65, id: samples::object("") }),
        ("inline file", Node::Inline(b"c".into())),
        ("directory", Node::Directory),
        ("symlink", Node::Symlink(b"c".into())),
        ("hardlink", Node::Hardlink(samples::path("a"))),
        ("named pipe", Node::Fifo),
        ("character device", Node::CharDevice(device)),
        ("block device", Node::BlockDevice(device)),
        ("socket", Node::Socket),
    ]
}

#[test]
fn tags_of_trees() {
    let tags = TREE.rows("Tags");
    let tag = |name: &str| -> u8 {
        let row = tags.iter().find(|row| row[0] == name).unwrap_or_else(|| panic!("{name}"));
        row[1].parse().unwrap()
    };
    let (end, xattrs) = (tag("end of the directory"), tag("with extended attributes"));
    let meta = Meta { xattrs: vec![samples::xattr("a", b"")], ..Meta::default() };
    for (name, node) in nodes() {
        let entry = entry_of(Meta::default(), node.clone());
        assert_eq!(entry[0], tag(name), "{name}");
        assert_eq!(entry.last(), Some(&end));
        if name != "hardlink" {
            assert_eq!(entry_of(meta.clone(), node)[0], tag(name) + xattrs, "{name}");
        }
    }
    // Every other tag is refused.
    let known: BTreeSet<u8> = nodes().iter().map(|(name, _)| tag(name)).collect();
    let mut tree = Directory::default().to_bytes(MtimePolicy::Normalised).unwrap();
    let at = tree.len() - 1;
    tree.extend_from_slice(&[1, b'b', 0, 0, 0, 1, 1, b'a', 0, 0, 0, 0, 0, 0, 0, 0]);
    for other in 0..=255 {
        let is_known = known.contains(&(other & !xattrs)) && other != tag("hardlink") + xattrs;
        tree[at] = other;
        let is_unknown = match tree_again(&tree) {
            Err(FormatError::Unknown { what: "entry tag", offset, .. }) => offset == at as u64,
            _ => false,
        };
        assert_eq!(is_unknown, !is_known && other != end, "tag {other}");
    }
    assert_eq!(tags.len(), nodes().len() + 2);
}

#[test]
fn limits_of_trees() {
    TREE.check_numbers(
        LIMITS,
        &[
            ("version", tree::VERSION.into()),
            ("inline file, bytes", tree::MAX_INLINE as u64),
            ("symlink target, bytes", tree::MAX_SYMLINK as u64),
            ("extended attributes of an entry", tree::MAX_XATTRS as u64),
            ("extended attribute name, bytes", MAX_NAME as u64),
            ("extended attribute value, bytes", tree::MAX_XATTR_VALUE as u64),
            ("mtime where none is kept, seconds", NORMALISED_MTIME.seconds as u64),
            ("mtime where none is kept, nanoseconds", NORMALISED_MTIME.nanoseconds.into()),
        ],
    );
}

#[test]
fn example_of_trees() {
    let tree = samples::small_tree();
    let bytes = tree.to_bytes(MtimePolicy::Normalised).unwrap();
    TREE.check_example(EXAMPLE, &bytes);
    assert_eq!(Directory::read(&bytes[..]), Ok((tree, MtimePolicy::Normalised)));
    check_front(TREE, &bytes, tree::MAGIC, tree::VERSION);
    let front = TREE.layout("Layout");
    assert_eq!(front.last(), Some(&(6, 1, "root tag".to_owned())));
}

/// Magic and version are where the table says.
fn check_front(spec: Spec, bytes: &[u8], magic: [u8; 4], version: u8) {
    let layout = spec.layout("Layout");
    assert_eq!(layout[0], (0, 4, "magic".to_owned()));
    assert_eq!(layout[1], (4, 1, "version".to_owned()));
    assert_eq!(bytes[..4], magic);
    assert_eq!(bytes[4], version);
}

#[test]
fn codes_of_tree_edits() {
    let rows = TREE_EDIT.rows("Edits");
    let code = |name: &str| -> u8 {
        let row = rows.iter().find(|row| row[0] == name).unwrap_or_else(|| panic!("{name}"));
        row[1].parse().unwrap()
    };
    let meta = Meta::default;
    let fifo = || NewNode::Other(Node::Fifo);
    let edits = [
        ("end", 0, Edit::KeepRest),
        ("end", 1, Edit::DropRest),
        ("keep", 5, Edit::Keep(5)),
        ("drop", 6, Edit::Drop(6)),
        ("enter", 0, Edit::Enter(None)),
        ("enter", 1, Edit::Enter(Some(meta()))),
        ("change", 1, Edit::Change(Some(meta()), None)),
        ("change", 2, Edit::Change(None, Some(fifo()))),
        ("change", 3, Edit::Change(Some(meta()), Some(fifo()))),
        ("add", 0, Edit::Add(samples::name("a"), meta(), fifo())),
    ];
    let mut known = BTreeSet::new();
    for (name, argument, edit) in edits {
        let mut bytes = Vec::new();
        edit.put(&mut bytes);
        assert_eq!(bytes[0], code(name) + 8 * argument, "{edit:?}");
        known.insert(bytes[0]);
    }
    let names: BTreeSet<&String> = rows.iter().map(|row| &row[0]).collect();
    assert_eq!(names.len(), 6);
    for word in 0..128_u8 {
        let is_counted = [code("keep"), code("drop")].contains(&(word % 8)) && word >= 8;
        let read = Edit::read(&mut Reader::new(&[word, 0][..]), MtimePolicy::Normalised);
        let is_unknown = matches!(read, Err(FormatError::Unknown { what: "tree edit", .. }));
        assert_eq!(is_unknown, !known.contains(&word) && !is_counted, "{word}: {read:?}");
    }
}

#[test]
fn kinds_of_new_nodes() {
    let rows = TREE_EDIT.rows("New nodes");
    let place = OldPlace { component: 1, offset: 300 };
    let first_bytes = |node: NewNode| {
        let mut bytes = Vec::new();
        Edit::Change(None, Some(node)).put(&mut bytes);
        bytes.split_off(1)
    };
    assert_eq!(rows.len(), nodes().len());
    for (name, node) in nodes() {
        let row = rows.iter().find(|row| row[0] == name).unwrap_or_else(|| panic!("{name}"));
        let node = match node {
            Node::Object { .. } => NewNode::File(Content::New),
            Node::Directory => NewNode::Directory(None),
            node => NewNode::Other(node),
        };
        assert_eq!(first_bytes(node)[0], row[1].parse::<u8>().unwrap(), "{name}");
    }
    // What the rows of object and directory say of the number that follows.
    assert_eq!(first_bytes(NewNode::File(Content::New)), [1, 0]);
    assert_eq!(first_bytes(NewNode::File(Content::Old(place))), [1, 1, 1, 0xac, 2]);
    assert_eq!(first_bytes(NewNode::File(Content::Again(0))), [1, 2]);
    assert_eq!(first_bytes(NewNode::File(Content::Again(5))), [1, 7]);
    assert_eq!(first_bytes(NewNode::Directory(None)), [3, 0]);
    assert_eq!(first_bytes(NewNode::Directory(Some(place))), [3, 1, 1, 0xac, 2]);
}

#[test]
fn limits_and_example_of_tree_edits() {
    let limit = "old directories open inside each other, the base of the tree included";
    TREE_EDIT.check_numbers(LIMITS, &[(limit, MAX_OPEN_BASES as u64)]);
    let (policy, names) = (MtimePolicy::Normalised, OldNames::Renamed);
    let head = EditHead { policy, names, root: None };
    let bytes = put_edits(&head, &samples::small_edits());
    TREE_EDIT.check_example(EXAMPLE, &bytes);
    assert_eq!(common::read_edits(&bytes), Ok((head, samples::small_edits())));
}

#[test]
fn releases() {
    RELEASE.check_numbers(
        LIMITS,
        &[
            ("version without labels of components", release::VERSION.into()),
            ("version with labels of components", release::VERSION_LABELLED.into()),
            ("more where a system says what becomes of changes", release::WITH_CHANGES.into()),
            ("release, bytes", release::MAX_RELEASE),
            ("machine type, name, label key, bytes", release::MAX_NAME as u64),
            ("label value, command line, bytes", release::MAX_TEXT as u64),
            ("components, systems, boot files or labels", release::MAX_COUNT),
        ],
    );
    let release = samples::small_release();
    let bytes = release.to_bytes().unwrap();
    RELEASE.check_example(EXAMPLE, &bytes);
    assert_eq!(Release::read(&bytes[..]).as_ref(), Ok(&release));
    check_front(RELEASE, &bytes, release::MAGIC, release::VERSION);
    let labelled = samples::labelled_release();
    let bytes = labelled.to_bytes().unwrap();
    RELEASE.check_example("Worked example with labels of components", &bytes);
    assert_eq!(Release::read(&bytes[..]), Ok(labelled));
    check_front(RELEASE, &bytes, release::MAGIC, release::VERSION_LABELLED);
    let changing = samples::changing_release();
    let bytes = changing.to_bytes().unwrap();
    RELEASE.check_example("Worked example with changes", &bytes);
    assert_eq!(Release::read(&bytes[..]), Ok(changing));
    assert_eq!(bytes[4], release::VERSION_LABELLED + release::WITH_CHANGES);
    assert!(RELEASE.0.contains(&format!("`{}` names it", release::LABEL_VERSION)));

    let numbers: Vec<(&str, u64)> = Policy::ALL
        .iter()
        .map(|policy| {
            let mut one = samples::changing_release();
            one.systems[0].changes = Changes { etc: Policy::Stateless, var: *policy };
            let bytes = one.skeleton().unwrap();
            // Behind them is the number of the fallback.
            (policy.word(), u64::from(bytes[bytes.len() - 2]))
        })
        .collect();
    RELEASE.check_numbers("Changes", &numbers);

    let kinds = [BootKind::Kernel, BootKind::Initrd, BootKind::DeviceTree];
    let numbers: Vec<(&str, u64)> = kinds
        .iter()
        .map(|kind| {
            let mut one = release.clone();
            one.systems.remove(0);
            one.fallback = 0;
            let find = |release: &Release| {
                let bytes = release.skeleton().unwrap();
                let place = bytes.windows(5).position(|window| window == b"\x0aboot");
                u64::from(bytes[place.unwrap() - 2])
            };
            one.systems[0].boot[0].kind = *kind;
            (kind.word(), find(&one))
        })
        .collect();
    RELEASE.check_numbers("Boot files", &numbers);
}

#[test]
fn nar_digests() {
    let mut nar = NarHasher::new();
    nar.begin_directory();
    nar.entry(b"a");
    nar.symlink(b"b");
    nar.end_entry();
    nar.entry(b"b");
    nar.begin_file(true, 3);
    nar.content(b"h");
    nar.content(b"i\n");
    nar.end_file();
    nar.end_entry();
    nar.entry(b"c");
    nar.begin_directory();
    nar.end_directory();
    nar.end_entry();
    nar.end_directory();
    let digest = nar.finish();
    NAR.check_example(EXAMPLE, &digest.sha256);
    assert!(NAR.section(EXAMPLE).contains(&format!("has {} bytes", digest.len)));
    let text = std::str::from_utf8(nar::MAGIC).unwrap();
    assert!(NAR.section("Layout").contains(&format!("text: {text}  node")));
}

#[test]
fn updates() {
    UPDATE.check_numbers(
        LIMITS,
        &[
            ("version", update::VERSION.into()),
            ("header, bytes", update::MAX_HEADER),
            ("frame size, at least, as a power of two", update::MIN_FRAME_LOG2.into()),
            ("frame size, at most, as a power of two", update::MAX_FRAME_LOG2.into()),
            ("frame digest, bytes", update::FRAME_DIGEST_LEN as u64),
            ("base, bytes", update::BASE_PREFIX_LEN as u64),
            ("signatures", update::MAX_SIGNATURES),
            ("extensions", update::MAX_EXTENSIONS),
            ("extension, bytes", update::MAX_EXTENSION as u64),
            ("machine type, bytes", release::MAX_NAME as u64),
        ],
    );
    UPDATE.check_example("Signatures", update::SIGNATURE_CONTEXT);
    let layout = UPDATE.layout("Signatures");
    let signature = samples::SMALL_FRONT_SIGNATURE;
    assert_eq!(layout[0], (0, signature.key.len(), "key id".to_owned()));
    assert_eq!(layout[1], (8, signature.signature.len(), "signature".to_owned()));

    let front = samples::small_front();
    let bytes = front.to_bytes();
    UPDATE.check_example(EXAMPLE, &bytes);
    assert_eq!(Front::read(&bytes[..]).as_ref(), Ok(&front));
    check_front(UPDATE, &bytes, update::MAGIC, update::VERSION);
    let magic = update::MAGIC.map(|byte| format!("{byte:02x}")).join(" ");
    assert!(UPDATE.section("Layout").contains(&format!("`{magic}`")));

    // The message is the context and the file up to the end of the header.
    let header_end = bytes.len() - 1 - 72;
    let message = [update::SIGNATURE_CONTEXT, &bytes[..header_end]].concat();
    assert_eq!(front.signed_message(), message);
    assert_eq!(front.header.to_bytes(), bytes[6..header_end]);
}

#[test]
fn patch_files() {
    PATCH.check_numbers(
        LIMITS,
        &[
            ("head, bytes", patch::HEAD_LEN as u64),
            ("base, bytes", patch::OLD_PREFIX_LEN as u64),
            ("target, bytes", update::BASE_PREFIX_LEN as u64),
            ("mode of a file", patch::FILE_MODE.into()),
        ],
    );
    let head = samples::small_patch();
    let bytes = head.to_bytes();
    PATCH.check_example(EXAMPLE, &bytes);
    assert_eq!(patch::Head::read(&bytes[..]), Ok(head));
    let (offset, size, _) = PATCH.layout("Layout").pop().unwrap();
    assert_eq!(offset + size, bytes.len());
    let magic = patch::MAGIC.map(|byte| format!("{byte:02x}")).join(" ");
    assert!(PATCH.section("Layout").contains(&format!("`{magic}`")));
    for row in PATCH.rows("Kinds") {
        let kind = [Kind::File, Kind::Directory].into_iter().find(|kind| kind.word() == row[0]);
        assert_eq!(kind.unwrap() as u8, row[1].parse::<u8>().unwrap());
    }
    let releases = PATCH.section("Releases");
    assert!(releases.contains(&format!("`{}`", patch::COMPONENT)));
    assert!(releases.contains(&format!("`{}`", patch::file_path())));
    let release = patch::release(Kind::File, samples::tree_id(""));
    PATCH.check_example("Worked example of a skeleton", &release.skeleton().unwrap());
    assert!(release.to_bytes().is_ok());
}

#[test]
fn an_extension_may_be_passed_over_or_not_by_its_tag() {
    for tag in 0..4 {
        let mut header = samples::small_front().header;
        header.extensions = vec![update::Extension { tag, value: b"value".into() }];
        let front = Front::new(header, Vec::new());
        let read = Front::read(&front.to_bytes()[..]);
        match tag % 2 {
            1 => assert_eq!(read, Ok(front)),
            _ => assert!(matches!(read, Err(FormatError::Unknown { what: "extension tag", .. }))),
        }
    }
}

#[test]
fn payloads() {
    PAYLOAD.check_numbers(
        LIMITS,
        &[
            ("streams", STREAMS as u64),
            ("chunk, bytes", MAX_CHUNK),
            ("bytes that wait in one decoder", MAX_QUEUED as u64),
            ("bytes of content of a stream that a decoder may be ahead", READ_AHEAD),
            ("skeleton, bytes", release::MAX_RELEASE),
            ("objects that are made later", MAX_LATER),
            ("parts of a base", MAX_PARTS),
        ],
    );
    let streams = Stream::ALL.map(|stream| (stream.word(), stream as u64));
    PAYLOAD.check_numbers("Streams", &streams);

    let contents: [Vec<u8>; STREAMS] =
        [b"program", b"tree   ", b"copy   ", b"residue", b"literal", b"hash   "]
            .map(|text| text.to_vec());
    let mut bytes = Vec::new();
    put_segment(1, &contents, &[], &mut bytes);
    PAYLOAD.check_example(EXAMPLE, &bytes);
    let (mut demux, coder) = Demux::start(&bytes[..], 0).unwrap().unwrap();
    assert_eq!(coder, 1);
    for (stream, content) in Stream::ALL.into_iter().zip(&contents) {
        let mut read = [0; 7];
        assert_eq!(demux.read(stream, &mut read), Ok(7));
        assert_eq!(read, content[..]);
    }
}

#[test]
fn a_chunk_has_a_stream_and_some_bytes() {
    for word in 0..=(MAX_CHUNK + 1) << 3 | 7 {
        let mut bytes = vec![1];
        put_varint(&mut bytes, word);
        bytes.resize(bytes.len() + MAX_CHUNK as usize, 0);
        let is_valid = word % 8 < STREAMS as u64 && (1..=MAX_CHUNK).contains(&(word / 8));
        // Some are enough; all would take long.
        if is_valid && word > 100 && word < (MAX_CHUNK - 1) << 3 {
            continue;
        }
        let (mut demux, _) = Demux::start(&bytes[..], 0).unwrap().unwrap();
        let stream = Stream::ALL[(word % 8) as usize % STREAMS];
        let read = demux.read(stream, &mut [0]);
        let expected = if is_valid { Ok(1) } else { Ok(0) };
        match (word, is_valid) {
            (0, _) | (_, true) => assert_eq!(read, expected, "{word}"),
            _ => assert!(read.is_err(), "{word}"),
        }
    }
}

#[test]
fn tables_of_names() {
    RENAME.check_numbers(
        LIMITS,
        &[
            ("shortest text that is replaced, bytes", rename::MIN_TOKEN as u64),
            ("hash, digits", rename::STORE_HASH as u64),
            ("hash, bytes", rename::RAW_HASH as u64),
            ("texts of all entries, bytes", rename::MAX_TEXTS),
            ("texts in one base, until it is written down", rename::MAX_PLACES as u64),
        ],
    );
    let hash = |digits: String| {
        let Some(Rename::Hash(hash)) =
            Rename::between(&format!("{}-a", "0".repeat(32)), &format!("{digits}-a"))
        else {
            panic!("{digits} is a hash");
        };
        hash
    };
    let alphabet = String::from_utf8(rename::DIGITS.to_vec()).unwrap();
    let table = Renames::new(vec![
        (0, Rename::Hash(hash(alphabet))),
        (2, Rename::HashAndRest(hash("z".repeat(32)), "-openssl-3.0.20".to_owned())),
        (5, Rename::Name("buoy-2.0".to_owned())),
    ]);
    let (mut program, mut hashes) = (Vec::new(), Vec::new());
    table.put(&mut program, &mut hashes);
    RENAME.check_example(EXAMPLE, &program);
    RENAME.check_example("Worked example of hashes", &hashes);
    let (mut program, mut hashes) = (Reader::new(&program[..]), Reader::new(&hashes[..]));
    assert_eq!(Renames::read(&mut program, &mut hashes, 6), Ok(table));
    // What entries count, as the text says it.
    let counts = [Rename::Hash([0; 20]), Rename::HashAndRest([0; 20], String::new())];
    assert_eq!(counts.map(|rename| rename.texts()), [64, 351]);
    assert_eq!(Rename::Name("abc".to_owned()).texts(), 255 + 3);
}

#[test]
fn sources_and_steps_of_programs() {
    let sources = [
        TreeSource::Same,
        TreeSource::New,
        TreeSource::Edit,
        TreeSource::Same,
        TreeSource::Same,
        TreeSource::SameAs(3),
    ];
    let later = Later::new(vec![1]);
    let steps =
        [Step::Whole(5000), Step::Patch(OldPlace { component: 0, offset: 300 }, -1), Step::Parts];
    let parts = [Part::Here, Part::New(2)];
    let last = [Step::PatchHere(12), Step::End];
    let mut bytes = Vec::new();
    Renames::default().put(&mut bytes, &mut Vec::new());
    put_varint(&mut bytes, samples::small_release().skeleton().unwrap().len() as u64);
    TreeSource::put_all(&sources, &mut bytes);
    later.put(&mut bytes);
    bytes.extend(put_steps(&steps));
    Part::put_all(&parts, &mut bytes);
    bytes.extend(put_steps(&last));
    PAYLOAD.check_example("Worked example of a program", &bytes);
    let mut input = Reader::new(&bytes[..]);
    let no_names = Renames::read(&mut input, &mut Reader::new(&[][..]), 6);
    assert_eq!(no_names, Ok(Renames::default()));
    assert_eq!(input.varint("length of the skeleton"), Ok(106));
    assert_eq!(TreeSource::read_all(&mut input, 6), Ok(sources.to_vec()));
    assert_eq!(Later::read(&mut input), Ok(later));
    for step in steps {
        assert_eq!(Step::read(&mut input), Ok(step));
    }
    assert_eq!(Part::read_all(&mut input), Ok(parts.to_vec()));
    for step in last {
        assert_eq!(Step::read(&mut input), Ok(step));
    }

    // The formulas of the tables.
    let part = |part| {
        let mut bytes = Vec::new();
        Part::put_all(&[part], &mut bytes);
        bytes[1]
    };
    let rows = PAYLOAD.rows("Parts");
    let column: Vec<(&str, &str)> = rows.iter().map(|row| (&row[0][..], &row[1][..])).collect();
    let expected = [
        ("here", "0", 0, part(Part::Here)),
        ("old", "1", 1, part(Part::Old(OldPlace { component: 0, offset: 0 }))),
        ("new", "2 + zigzag(difference)", 2 + 2 * 3, part(Part::New(3))),
    ];
    assert_eq!(column, expected.map(|(name, formula, ..)| (name, formula)));
    expected.iter().for_each(|(name, _, value, found)| assert_eq!(value, found, "{name}"));
    let source = |source| {
        let mut bytes = Vec::new();
        TreeSource::put_all(&[source], &mut bytes);
        bytes.get(2).copied()
    };
    let rows = PAYLOAD.rows("Program");
    let column: Vec<(&str, &str)> = rows.iter().map(|row| (&row[0][..], &row[1][..])).collect();
    let expected = [
        ("same", "", None, source(TreeSource::Same)),
        ("edit", "0", Some(0), source(TreeSource::Edit)),
        ("new", "1", Some(1), source(TreeSource::New)),
        ("same as", "2 + 2 * n", Some(2 + 2 * 7), source(TreeSource::SameAs(7))),
        ("edit of", "3 + 2 * n", Some(3 + 2 * 7), source(TreeSource::EditOf(7))),
    ];
    assert_eq!(column, expected.map(|(name, formula, ..)| (name, formula)));
    expected.iter().for_each(|(name, _, value, found)| assert_eq!(value, found, "{name}"));

    let step = |step: Step| put_steps(&[step])[0];
    let place = OldPlace { component: 0, offset: 0 };
    let rows = PAYLOAD.rows("Steps");
    let column: Vec<(&str, &str)> = rows.iter().map(|row| (&row[0][..], &row[1][..])).collect();
    let expected = [
        ("end", "0", 0, step(Step::End)),
        ("members", "4", 4, step(Step::Members)),
        ("parts", "12", 12, step(Step::Parts)),
        ("derivations", "16", 16, step(Step::Derivations)),
        ("whole", "1 + 4 * length", 1 + 4 * 9, step(Step::Whole(9))),
        ("patch here", "2 + 4 * zigzag(growth)", 2 + 4 * 5, step(Step::PatchHere(-3))),
        ("patch", "3 + 4 * zigzag(growth)", 3 + 4 * 6, step(Step::Patch(place, 3))),
    ];
    assert_eq!(column, expected.map(|(name, formula, ..)| (name, formula)));
    expected.iter().for_each(|(name, _, value, found)| assert_eq!(value, found, "{name}"));
}

#[test]
fn no_limit_is_without_its_name_in_the_code() {
    // Numbers in the text that are limits too.
    for (spec, sentence) in [
        (TREE, format!("at least {}; id of its content", tree::MAX_INLINE + 1)),
        (TREE, format!("bytes({}): its content", tree::MAX_INLINE)),
        (TREE, format!("1 to {}", tree::MAX_XATTRS)),
        (RELEASE, format!("title({})", release::MAX_NAME)),
        (RELEASE, format!("text({})", release::MAX_TEXT)),
        (UPDATE, format!("{} to {}", update::MIN_FRAME_LOG2, update::MAX_FRAME_LOG2)),
        (UPDATE, format!("bytes({})", update::MAX_EXTENSION)),
        (UPDATE, format!("{} bytes | base", update::BASE_PREFIX_LEN)),
        (UPDATE, format!("{} bytes | frame digest", update::FRAME_DIGEST_LEN)),
        (UPDATE, format!("these {} bytes", update::SIGNATURE_CONTEXT.len())),
        (PAYLOAD, format!("1 to {MAX_CHUNK} bytes")),
        (PRIMITIVES, format!("1 to {MAX_NAME} bytes")),
        (PRIMITIVES, format!("at most {MAX_PATH} bytes")),
    ] {
        assert!(spec.0.contains(&sentence), "{sentence}");
    }
}
