//! Load options: what a variable `Boot####` holds (UEFI 2.10, 3.1.3 and 10.3).

use upmass_disk::gpt::{Guid, Partition};

/// A load option that starts a file of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoadOption {
    /// For people.
    pub(super) description: String,
    /// The GUID of the partition; `None` for options of another kind.
    pub(super) partition: Option<Guid>,
}

/// `LOAD_OPTION_ACTIVE`
const ACTIVE: u32 = 1;
/// Type and subtype of nodes of a device path: a partition, a file, the end.
const HARD_DRIVE: [u8; 2] = [4, 1];
const FILE_PATH: [u8; 2] = [4, 4];
const END: [u8; 2] = [0x7f, 0xff];
/// Length of a node for a partition.
const HARD_DRIVE_LEN: u16 = 42;

/// The option that starts `file`, a path with backslashes, of partition `number`.
pub(super) fn encode(description: &str, number: u32, partition: &Partition, file: &str) -> Vec<u8> {
    let mut path = Vec::new();
    let mut node = |kind: [u8; 2], content: &[u8]| {
        path.extend_from_slice(&kind);
        path.extend_from_slice(&(content.len() as u16 + 4).to_le_bytes());
        path.extend_from_slice(content);
    };
    let mut place = Vec::new();
    place.extend_from_slice(&number.to_le_bytes());
    place.extend_from_slice(&partition.first.to_le_bytes());
    place.extend_from_slice(&(partition.last - partition.first + 1).to_le_bytes());
    place.extend_from_slice(partition.id.as_bytes());
    // A partition of a GPT, named by its GUID.
    place.extend_from_slice(&[2, 2]);
    node(HARD_DRIVE, &place);
    node(FILE_PATH, &utf16(file));
    node(END, &[]);
    let mut option = ACTIVE.to_le_bytes().to_vec();
    option.extend_from_slice(&(path.len() as u16).to_le_bytes());
    option.extend_from_slice(&utf16(description));
    option.extend_from_slice(&path);
    option
}

/// Reads what is needed of an option. `None` when it is damaged.
pub(super) fn decode(bytes: &[u8]) -> Option<LoadOption> {
    let path_len = usize::from(u16::from_le_bytes(*bytes.get(4..)?.first_chunk()?));
    let rest = bytes.get(6..)?;
    let units: Vec<u16> = rest.as_chunks().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    let end = units.iter().position(|unit| *unit == 0)?;
    let description = String::from_utf16_lossy(&units[..end]);
    let mut path = rest.get((end + 1) * 2..)?.get(..path_len)?;
    let mut partition = None;
    while let Some(&[kind, subtype, low, high]) = path.first_chunk() {
        let len = u16::from_le_bytes([low, high]);
        if len < 4 || [kind, subtype] == END {
            break;
        }
        let node = path.get(..len.into())?;
        if [kind, subtype] == HARD_DRIVE && len == HARD_DRIVE_LEN && node[40..] == [2, 2] {
            partition = node.get(24..)?.first_chunk().copied().map(Guid::from_bytes);
            break;
        }
        path = &path[usize::from(len)..];
    }
    Some(LoadOption { description, partition })
}

/// Text as firmware has it, with a NUL behind it.
pub(super) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}
