//! What is written is read back, and arbitrary bytes are never taken for something else.

mod common;

use common::{
    InPieces, any, edit_head_again, edits_again, front_again, later_and_parts_again, put_edits,
    put_later_and_parts, put_steps, read_edits, read_steps, release_again, skeleton_again,
    sources_again, steps_again, tree_again,
};
use proptest::prelude::*;
use upmass_format::payload::{
    Demux, Later, MAX_CHUNK, Part, STREAMS, Stream, TreeSource, put_segment,
};
use upmass_format::release::Release;
use upmass_format::tree::{
    Child, Directory, Entry, Event, Meta, Mtime, MtimePolicy, Node, TreeReader, TreeWriter, Xattr,
};
use upmass_format::update::Front;
use upmass_format::wire::{Reader, put_varint, unzigzag, zigzag};
use upmass_format::{FormatError, Name, ObjectId, TreePath};

/// All events of a tree, and where each begins.
fn events(bytes: &[u8]) -> Vec<(u64, Event)> {
    let mut reader = TreeReader::new(bytes).unwrap();
    let mut events = Vec::new();
    loop {
        let offset = reader.offset();
        match reader.next_event().unwrap() {
            Some(event) => events.push((offset, event)),
            None => return events,
        }
    }
}

proptest! {
    #[test]
    fn numbers_are_read_back(number in any::number(), signed in any::signed()) {
        let mut out = Vec::new();
        put_varint(&mut out, number);
        put_varint(&mut out, zigzag(signed));
        let mut input = Reader::new(&out[..]);
        prop_assert_eq!(input.varint("number"), Ok(number));
        prop_assert_eq!(input.signed("signed"), Ok(signed));
        prop_assert_eq!(input.expect_end("numbers"), Ok(()));
        prop_assert_eq!(zigzag(unzigzag(number)), number);
    }

    #[test]
    fn a_number_has_one_form(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
        let mut input = Reader::new(&bytes[..]);
        if let Ok(number) = input.varint("number") {
            let mut again = Vec::new();
            put_varint(&mut again, number);
            prop_assert_eq!(&again[..], &bytes[..input.offset() as usize]);
        }
    }

    #[test]
    fn a_tree_is_read_back((tree, policy) in any::tree(), pieces in prop::collection::vec(1..50_usize, 1..5)) {
        let bytes = tree.to_bytes(policy).unwrap();
        let (read, read_policy) = Directory::read(InPieces::new(&bytes, &pieces)).unwrap();
        prop_assert_eq!(&read, &tree);
        prop_assert_eq!(read_policy, policy);
        prop_assert_eq!(read.to_bytes(policy).unwrap(), bytes);
    }

    #[test]
    fn a_tree_is_walked_in_the_order_of_its_paths((tree, _) in any::tree()) {
        let mut last: Option<TreePath> = None;
        tree.walk(&mut |path, _, _| {
            prop_assert!(last.as_ref().is_none_or(|last| last < path));
            last = Some(path.clone());
            Ok(())
        })?;
    }

    #[test]
    fn a_tree_is_read_on_from_any_entry((tree, policy) in any::tree(), at in any::<prop::sample::Index>()) {
        let bytes = tree.to_bytes(policy).unwrap();
        let events = events(&bytes);
        let at = at.index(events.len());
        let start = events[at].0;
        let mut reader = TreeReader::resume(&bytes[start as usize..], policy, start);
        let mut depth = 1;
        for (offset, event) in &events[at..] {
            prop_assert_eq!(reader.offset(), *offset);
            let read = reader.next_event().unwrap();
            prop_assert_eq!(read.as_ref(), Some(event));
            match event {
                Event::Entry(Entry { node: Node::Directory, .. }) => depth += 1,
                Event::Entry(_) => {}
                Event::Leave => depth -= 1,
            }
            if depth == 0 {
                break;
            }
        }
        prop_assert_eq!(reader.next_event().unwrap(), None);
    }

    #[test]
    fn a_directory_can_be_skipped((tree, policy) in any::tree(), at in any::<prop::sample::Index>()) {
        let bytes = tree.to_bytes(policy).unwrap();
        let events = events(&bytes);
        let mut reader = TreeReader::new(&bytes[..]).unwrap();
        for _ in 0..at.index(events.len() + 1) {
            reader.next_event().unwrap();
        }
        let depth = reader.depth();
        reader.skip_directory().unwrap();
        prop_assert_eq!(reader.depth(), depth.saturating_sub(1));
        reader.finish().unwrap();
    }

    #[test]
    fn what_a_writer_takes_can_be_read(policy in any::policy(), root in any_meta(), moves in prop::collection::vec(any_move(), 0..12)) {
        let Ok(mut writer) = TreeWriter::new(Vec::new(), policy, &root) else {
            return Ok(());
        };
        let mut taken = Vec::new();
        for event in moves {
            let before = writer.offset();
            let is_taken = match &event {
                Event::Entry(entry) => writer.entry(entry),
                Event::Leave => writer.leave(),
            };
            match is_taken {
                Ok(()) => taken.push(event),
                Err(_) => prop_assert_eq!(writer.offset(), before, "nothing is written"),
            }
        }
        while writer.depth() > 0 {
            writer.leave().unwrap();
            taken.push(Event::Leave);
        }
        let bytes = writer.finish().unwrap();
        let read: Vec<Event> = events(&bytes).into_iter().map(|(_, event)| event).collect();
        let as_written: Vec<Event> = taken.into_iter().map(as_written).collect();
        prop_assert_eq!(read, as_written);
    }

    #[test]
    fn a_release_is_read_back(release in any::release()) {
        let bytes = release.to_bytes().unwrap();
        prop_assert_eq!(&Release::read(&bytes[..]).unwrap(), &release);
        let mut skeleton = Release::read_skeleton(&release.skeleton().unwrap()[..]).unwrap();
        for (component, original) in skeleton.components.iter_mut().zip(&release.components) {
            component.tree = original.tree;
        }
        prop_assert_eq!(skeleton, release);
    }

    #[test]
    fn a_front_is_read_back(front in any::front(), payload in prop::collection::vec(any::<u8>(), 0..20)) {
        let bytes = [front.to_bytes(), payload.clone()].concat();
        let mut rest = &bytes[..];
        prop_assert_eq!(&Front::read(&mut rest).unwrap(), &front);
        prop_assert_eq!(rest, &payload[..], "nothing of the payload is read");
        let mut end = 0;
        for index in 0..front.header.frames.len() {
            let (start, len) = front.header.frame_range(index);
            prop_assert_eq!(start, end);
            end = start + len as u64;
        }
        prop_assert_eq!(end, front.header.payload_len);
    }

    #[test]
    fn edits_are_read_back((head, edits) in any::edits()) {
        let bytes = put_edits(&head, &edits);
        prop_assert_eq!(read_edits(&bytes).unwrap(), (head, edits));
    }

    #[test]
    fn steps_are_read_back(steps in prop::collection::vec(any::step(), 0..20)) {
        prop_assert_eq!(read_steps(&put_steps(&steps)).unwrap(), steps);
    }

    #[test]
    fn sources_are_read_back(sources in any::sources()) {
        let mut bytes = Vec::new();
        TreeSource::put_all(&sources, &mut bytes);
        let mut input = Reader::new(&bytes[..]);
        prop_assert_eq!(TreeSource::read_all(&mut input, sources.len()).unwrap(), sources);
        prop_assert_eq!(input.expect_end("sources"), Ok(()));
    }

    #[test]
    fn later_and_parts_are_read_back(later in any::later(), parts in any::parts()) {
        let bytes = put_later_and_parts(&later, &parts);
        let mut input = Reader::new(&bytes[..]);
        prop_assert_eq!(Later::read(&mut input), Ok(later));
        prop_assert_eq!(Part::read_all(&mut input), Ok(parts));
        prop_assert_eq!(input.expect_end("parts"), Ok(()));
    }

    #[test]
    fn what_is_made_later_comes_behind_all_others(
        is_later in prop::collection::vec(any::<bool>(), 1..60),
    ) {
        let numbers = |later: bool| {
            let all = is_later.iter().enumerate().filter(move |(_, is)| **is == later);
            all.map(|(number, _)| number as u64)
        };
        let (later, total) = (Later::new(numbers(true).collect()), is_later.len() as u64);
        let expected: Vec<u64> = numbers(false).chain(numbers(true)).collect();
        let found: Vec<u64> = (0..total).map(|at| later.number_at(at, total)).collect();
        prop_assert_eq!(&found, &expected);
        for (position, number) in found.into_iter().enumerate() {
            prop_assert_eq!(later.position_of(number, total), position as u64);
        }
    }

    #[test]
    fn what_any_decoder_accepts_has_no_other_encoding(bytes in nearly_valid()) {
        let check = |again: Result<Vec<u8>, FormatError>| match again {
            Ok(encoded) => encoded == bytes,
            Err(_) => true,
        };
        prop_assert!(check(tree_again(&bytes)));
        prop_assert!(check(release_again(&bytes)));
        prop_assert!(check(skeleton_again(&bytes)));
        prop_assert!(check(front_again(&bytes)));
        prop_assert!(check(edits_again(&bytes)));
        prop_assert!(check(edit_head_again(&bytes)));
        prop_assert!(check(steps_again(&bytes)));
        prop_assert!(check(sources_again(&bytes, 100)));
        prop_assert!(check(later_and_parts_again(&bytes)));
    }

    #[test]
    fn a_decoder_that_reads_as_was_demanded_keeps_little(
        lengths in prop::array::uniform6(prop_oneof![0..300_usize, 0..1_500_000_usize]),
        turns in prop::collection::vec((0..STREAMS, 1..250_000_u64), 0..60),
        after in prop::collection::vec(any::<u8>(), 0..5),
    ) {
        let streams: [Vec<u8>; STREAMS] = std::array::from_fn(|stream| {
            (0..lengths[stream]).map(|at| (at * 7 + stream) as u8).collect()
        });
        let mut point = [0; STREAMS];
        let demand: Vec<[u64; STREAMS]> = turns.iter().map(|(stream, len)| {
            point[*stream] += len;
            point
        }).collect();
        let mut bytes = Vec::new();
        put_segment(9, &streams, &demand, &mut bytes);
        let len = bytes.len() as u64;
        bytes.extend_from_slice(&after);

        let (mut demux, coder) = Demux::start(&bytes[..], 1000).unwrap().unwrap();
        prop_assert_eq!(coder, 9);
        let mut read: [Vec<u8>; STREAMS] = Default::default();
        // What was demanded, in turn; then what is left of each stream.
        let rest = (0..STREAMS).map(|stream| (stream, u64::MAX));
        for (stream, len) in turns.into_iter().chain(rest) {
            let left = streams[stream].len() - read[stream].len();
            let mut buffer = vec![0; left.min(usize::try_from(len).unwrap_or(left))];
            let mut filled = 0;
            while filled < buffer.len() {
                let n = demux.read(Stream::ALL[stream], &mut buffer[filled..]).unwrap();
                prop_assert!(n > 0);
                prop_assert!(demux.waiting() <= STREAMS * MAX_CHUNK as usize);
                filled += n;
            }
            read[stream].extend(buffer);
        }
        prop_assert!(read == streams);
        prop_assert_eq!(demux.waiting(), 0);
        for stream in Stream::ALL {
            prop_assert!(!demux.has(stream).unwrap());
            prop_assert_eq!(demux.read(stream, &mut [0]), Ok(0));
        }
        prop_assert_eq!(demux.sizes(), streams.map(|stream| stream.len() as u64));
        let (rest, end) = demux.finish(0).unwrap();
        prop_assert_eq!(end, 1000 + len);
        prop_assert_eq!(rest, &after[..]);
    }

    #[test]
    fn an_id_has_one_text(bytes in any::<[u8; 32]>()) {
        let id = ObjectId::from_bytes(bytes);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        let upper = id.to_string().to_uppercase();
        prop_assert_eq!(upper.parse::<ObjectId>().is_ok(), upper == id.to_string());
    }
}

/// Attributes that break a rule now and then.
fn any_meta() -> impl Strategy<Value = Meta> {
    let mtime = prop_oneof![0..1_000_000_000_u32, Just(1_000_000_000)];
    let mtime = mtime.prop_map(|nanoseconds| Mtime { seconds: 1, nanoseconds });
    let name =
        prop_oneof![8 => "[ab]{1,2}", 1 => Just(String::new()), 1 => "\0", 1 => "x{255,256}"];
    let xattrs = prop::collection::vec(name, 0..3).prop_map(|names| {
        let value = Vec::new();
        let xattr = |name: String| Xattr { name: name.into(), value: value.clone() };
        names.into_iter().map(xattr).collect()
    });
    let mode = prop_oneof![9 => 0..=0o7777_u16, 1 => any::<u16>()];
    (mode, prop::option::of(mtime), xattrs).prop_map(|(mode, mtime, xattrs)| Meta {
        mode,
        mtime,
        xattrs,
        ..Meta::default()
    })
}

/// Entries that break a rule now and then.
fn any_move() -> impl Strategy<Value = Event> {
    let name = prop_oneof![9 => "[a-d]", 1 => "x{250,255}"];
    let path = prop::collection::vec("[a-d]", 0..3).prop_map(|names| names.join("/"));
    let node = prop_oneof![
        4 => Just(Node::Directory),
        2 => (60..70_u64).prop_map(|size| Node::Object { size, id: ObjectId::from_bytes([7; 32]) }),
        2 => (60..70_usize).prop_map(|len| Node::Inline(vec![1; len])),
        1 => prop_oneof![Just(0), Just(1), 4095..=4096_usize].prop_map(|len| Node::Symlink(vec![b'x'; len])),
        1 => Just(Node::Symlink(b"a\0b".into())),
        2 => path.prop_map(|path| Node::Hardlink(TreePath::new(path).unwrap())),
        1 => Just(Node::Fifo),
    ];
    let entry = (name, any_meta(), node).prop_map(|(name, meta, node)| {
        let name = Name::new(name).unwrap();
        Event::Entry(Entry { name, meta, node })
    });
    prop_oneof![3 => entry, 1 => Just(Event::Leave)]
}

/// What a tree has no room for: attributes of hardlinks, and modes of symlinks.
fn as_written(event: Event) -> Event {
    let Event::Entry(mut entry) = event else {
        return event;
    };
    match entry.node {
        Node::Hardlink(_) => entry.meta = Meta::default(),
        Node::Symlink(_) => entry.meta.mode = 0o777,
        _ => {}
    }
    Event::Entry(entry)
}

/// Valid encodings with some bytes changed, removed or added; or any bytes at all.
fn nearly_valid() -> impl Strategy<Value = Vec<u8>> {
    let valid = prop_oneof![
        any::tree().prop_map(|(tree, policy)| tree.to_bytes(policy).unwrap()),
        any::release().prop_map(|release| release.to_bytes().unwrap()),
        any::release().prop_map(|release| release.skeleton().unwrap()),
        any::front().prop_map(|front| front.to_bytes()),
        any::edits().prop_map(|(head, edits)| put_edits(&head, &edits)),
        prop::collection::vec(any::step(), 0..20).prop_map(|steps| put_steps(&steps)),
        prop::collection::vec(any::<u8>(), 0..60),
    ];
    let change = (any::<prop::sample::Index>(), 0..4, any::<u8>());
    (valid, prop::collection::vec(change, 0..4)).prop_map(|(mut bytes, changes)| {
        for (at, kind, byte) in changes {
            let at = at.index(bytes.len() + 1);
            match kind {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 if at < bytes.len() => bytes[at] = byte,
                3 if at < bytes.len() => bytes[at] = bytes[at].wrapping_add(1),
                _ => {}
            }
        }
        bytes
    })
}

#[test]
fn a_path_may_be_as_long_as_linux_allows_and_no_longer() {
    let deep = |last: usize| {
        let leaf = Child::Leaf(Meta::default(), Node::Fifo);
        let mut tree = Directory::default();
        tree.children.insert(Name::new(vec![b'x'; last]).unwrap(), leaf);
        // 15 directories of 255 bytes and their slashes are 3840 bytes.
        for _ in 0..15 {
            let inner = std::mem::take(&mut tree);
            let name = Name::new(vec![b'd'; 255]).unwrap();
            tree.children.insert(name, Child::Directory(inner));
        }
        tree.to_bytes(MtimePolicy::Normalised)
    };
    let longest = deep(255).unwrap();
    assert!(Directory::read(&longest[..]).is_ok());
    let (mut inner, _) = Directory::read(&longest[..]).unwrap();
    // One more level makes every path of it too long.
    let outer = Directory {
        meta: inner.meta.clone(),
        children: [(Name::new("a").unwrap(), Child::Directory(std::mem::take(&mut inner)))].into(),
    };
    let error = outer.to_bytes(MtimePolicy::Normalised).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

#[test]
fn a_release_that_is_longer_than_the_limit_is_neither_written_nor_read() {
    let mut release = common::samples::small_release();
    release.systems[0].command_line = "x".repeat(4096);
    let system = release.systems[0].clone();
    let grow = |release: &mut Release, count: usize| {
        let systems = (0..count).map(|index| {
            let mut system = system.clone();
            system.name = format!("n{index:06}");
            system
        });
        let rescue = release.systems.pop().unwrap();
        release.systems.splice(.., systems.chain([rescue]));
        release.fallback = count;
    };
    grow(&mut release, 1000);
    let len = release.to_bytes().unwrap().len() as u64;
    assert!(len < upmass_format::release::MAX_RELEASE);
    // Labels fill it up to the last byte.
    let mut missing = upmass_format::release::MAX_RELEASE - len;
    let mut index = 0;
    while missing > 0 {
        // The length of key and value, and for a longer value one byte more of its length.
        let len = missing.min(4000).saturating_sub(if missing > 200 { 9 } else { 8 });
        release.labels.insert(format!("k{index:05}"), "v".repeat(len as usize));
        index += 1;
        let now = release.skeleton().unwrap().len() as u64 + 2 * 32;
        missing = upmass_format::release::MAX_RELEASE.saturating_sub(now);
    }
    let fits = release.to_bytes().unwrap();
    assert_eq!(fits.len() as u64, upmass_format::release::MAX_RELEASE);
    let (_, last) = release.labels.iter_mut().next_back().unwrap();
    last.push('v');
    let error = release.to_bytes().unwrap_err();
    assert!(error.to_string().contains("the limit is 4194304"), "{error}");
    let longer = [release.skeleton().unwrap(), vec![0; 2 * 32]].concat();
    let error = Release::read(&[&longer[..], b"and more"].concat()[..]).unwrap_err();
    assert!(matches!(error, FormatError::TooLarge { .. }), "{error}");
}
