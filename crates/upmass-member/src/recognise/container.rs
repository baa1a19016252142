//! Containers, by their magic.

use super::{Finder, deflate, lz4, xz, zstd};

/// Walks what begins at `at`, and what follows it, as long as it is known.
pub(super) fn walk(finder: &mut Finder<'_>, mut at: usize, end: usize) {
    if at == 0 {
        if let Some((start, end)) = x86_kernel(finder.content).or_else(|| zboot(finder.content)) {
            return walk(finder, start, end);
        }
        if zip(finder) {
            return;
        }
        if let Some(end) = deflate::zlib(finder) {
            at = end;
        }
    }
    while at < end {
        let rest = &finder.content[at..end];
        let next = match rest {
            [0, ..] => rest.iter().position(|byte| *byte != 0).map(|zeros| at + zeros),
            [0x1f, 0x8b, 8, ..] => deflate::gzip(finder, at, end),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => xz::stream(finder, at, end),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => zstd::frame(finder, at, end),
            [0x02, 0x21, 0x4c, 0x18, ..] => lz4::legacy(finder, at, end),
            [b'0', b'7', b'0', b'7', b'0', b'1' | b'2', ..] => cpio(rest).map(|len| at + len),
            _ => None,
        };
        match next {
            Some(next) if next > at => at = next,
            _ => return,
        }
    }
}

/// The payload of an x86 kernel (Linux, `Documentation/arch/x86/boot.rst`).
fn x86_kernel(content: &[u8]) -> Option<(usize, usize)> {
    let has_magic =
        content.get(0x1fe..0x200)? == b"\x55\xaa" && content.get(0x202..0x206)? == b"HdrS";
    let version = u16::from_le_bytes(content.get(0x206..0x208)?.try_into().ok()?);
    if !has_magic || version < 0x208 {
        return None;
    }
    let sectors = match content[0x1f1] {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let start = ((sectors + 1) * 512).checked_add(u32_at(content, 0x248)?)?;
    inside(content, start, u32_at(content, 0x24c)?)
}

/// The payload of a kernel that unpacks itself under EFI (Linux, `drivers/firmware/efi/libstub`).
fn zboot(content: &[u8]) -> Option<(usize, usize)> {
    let has_magic = content.starts_with(b"MZ") && content.get(4..8)? == b"zimg";
    if !has_magic {
        return None;
    }
    inside(content, u32_at(content, 8)?, u32_at(content, 12)?)
}

fn inside(content: &[u8], start: usize, len: usize) -> Option<(usize, usize)> {
    let end = start.checked_add(len)?;
    (start > 0 && start < end && end <= content.len()).then_some((start, end))
}

/// The length of a cpio archive of an initramfs, if it is whole
/// (Linux, `Documentation/driver-api/early-userspace/buffer-format.rst`).
fn cpio(content: &[u8]) -> Option<usize> {
    let mut at = 0usize;
    loop {
        let head = content.get(at..at.checked_add(110)?)?;
        if !matches!(&head[..6], b"070701" | b"070702") {
            return None;
        }
        let field = |at: usize| {
            let digits = std::str::from_utf8(&head[at..at + 8]).ok()?;
            usize::from_str_radix(digits, 16).ok()
        };
        let (size, name_len) = (field(54)?, field(94)?);
        let name = content.get(at + 110..(at + 110).checked_add(name_len)?)?;
        let body = (at + 110 + name_len).checked_next_multiple_of(4)?;
        at = body.checked_add(size)?.checked_next_multiple_of(4)?;
        if name == b"TRAILER!!!\0" {
            return Some(at.min(content.len()));
        }
    }
}

/// Walks the deflated entries of a zip archive, and says whether it is one.
fn zip(finder: &mut Finder<'_>) -> bool {
    let content = finder.content;
    let Some(mut entries) = zip_entries(content) else {
        return false;
    };
    entries.sort_unstable();
    let mut free_from = 0;
    for (header, len) in entries {
        let Some(start) = zip_data(content, header) else {
            continue;
        };
        if start < free_from || start.checked_add(len).is_none_or(|end| end > content.len()) {
            continue;
        }
        free_from = start + len;
        deflate::raw(finder, start, free_from);
    }
    true
}

/// Where the deflated entries of an archive have their headers, and how long they are.
fn zip_entries(content: &[u8]) -> Option<Vec<(usize, usize)>> {
    if !content.starts_with(b"PK\x03\x04")
        && !content.starts_with(b"MZ")
        && !content.starts_with(b"#!")
    {
        return None;
    }
    // The end has a comment of at most 64 KiB behind it.
    let from = content.len().saturating_sub(22 + 0xffff);
    let end = content[from..].windows(4).rposition(|bytes| bytes == b"PK\x05\x06")? + from;
    let (size, offset) = (u32_at(content, end + 12)?, u32_at(content, end + 16)?);
    let start = end.checked_sub(size)?;
    // What was put before the archive is not in its offsets.
    let shift = start.checked_sub(offset)?;
    let mut at = start;
    let mut entries = Vec::new();
    while content.get(at..at + 4)? == b"PK\x01\x02" {
        let head = content.get(at..at + 46)?;
        let method = u16_at(head, 10)?;
        let len = u32_at(head, 20)?;
        let header = u32_at(head, 42)?;
        if method == 8 && len != 0xffff_ffff && header != 0xffff_ffff {
            entries.push((header + shift, len));
        }
        at += 46 + u16_at(head, 28)? + u16_at(head, 30)? + u16_at(head, 32)?;
    }
    Some(entries)
}

/// Where the data of an entry begins.
fn zip_data(content: &[u8], header: usize) -> Option<usize> {
    let head = content.get(header..header.checked_add(30)?)?;
    if !head.starts_with(b"PK\x03\x04") {
        return None;
    }
    Some(header + 30 + u16_at(head, 26)? + u16_at(head, 28)?)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(usize::from(u16::from_le_bytes(bytes)))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_le_bytes(bytes) as usize)
}
