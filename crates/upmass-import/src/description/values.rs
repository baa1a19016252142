//! Single values of a description: what each may be, and what is said when it is not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use upmass_format::release::{BootKind, Changes, MAX_NAME, MAX_TEXT, Policy};
use upmass_format::tree::MtimePolicy;

use super::error::Fault;
use super::glob::PathPattern;
use super::table::{Table, Value};
use super::{BootDescription, BootSource, OciLabels, RamDisk, Source};
use crate::{ImportOptions, NixLabel, OciLocation, OciSource, Owners};

/// How a source is taken over.
pub(super) fn options(table: &Table<'_>, source: &Source) -> Result<ImportOptions, Fault> {
    if matches!(source, Source::Nix(_)) {
        let why = "has no meaning beside a Nix source: store paths are normalised";
        table.refuse("mtimes", why)?;
        table.refuse("owners", why)?;
    }
    let mut options = ImportOptions::default();
    if let Some(value) = table.get("mtimes") {
        let expected = "\"normalised\" or \"kept\"";
        options.mtimes = match value.string(expected)? {
            "normalised" => MtimePolicy::Normalised,
            "kept" => MtimePolicy::Kept,
            other => return Err(value.wrong(expected, format!("{other:?}"))),
        };
    }
    if let Some(value) = table.get("owners") {
        options.owners = owners(&value)?;
    }
    Ok(options)
}

fn owners(value: &Value<'_>) -> Result<Owners, Fault> {
    let expected = "\"keep\", \"root\" or { uids = [[1000, 0]], gids = [[1000, 0]] }";
    if value.is_string() {
        return match value.string(expected)? {
            "keep" => Ok(Owners::Keep),
            "root" => Ok(Owners::Root),
            other => Err(value.wrong(expected, format!("{other:?}"))),
        };
    }
    let table = value.table("\"owners\"".to_owned(), expected)?;
    table.only(&["uids", "gids"])?;
    let list = |key| table.get(key).map_or(Ok(Vec::new()), |value| pairs(&value));
    Ok(Owners::Map { uids: list("uids")?, gids: list("gids")? })
}

/// Pairs of an id and the id it becomes, no id twice.
fn pairs(value: &Value<'_>) -> Result<Vec<(u32, u32)>, Fault> {
    let expected = "a list of pairs [from, to] of ids";
    let mut pairs: Vec<(u32, u32)> = Vec::new();
    for pair in value.list(expected)? {
        let ids = pair.list(expected)?;
        let [from, to] = ids.as_slice() else {
            return Err(pair.wrong(expected, format!("a list of {}", ids.len())));
        };
        // The largest of 32 bits stands for "no id" in system calls.
        let id = |value: &Value<'_>| value.number(u64::from(u32::MAX) - 1).map(|id| id as u32);
        let from_id = id(from)?;
        if pairs.iter().any(|(known, _)| *known == from_id) {
            return Err(from.wrong("each id once", format!("{from_id} a second time")));
        }
        pairs.push((from_id, id(to)?));
    }
    Ok(pairs)
}

/// Kernel, initial RAM disks and device tree, in this order. Paths of this machine are relative to
/// `dir`.
pub(super) fn boot(table: &Table<'_>, dir: &Path) -> Result<Vec<BootDescription>, Fault> {
    let mut boot: Vec<BootDescription> = Vec::new();
    let mut take = |kind: BootKind, value: &Value<'_>| {
        let is_made = kind == BootKind::Initrd
            && (!value.is_string() || value.string("").is_ok_and(|text| text == MADE));
        let source = match is_made {
            true => BootSource::RamDisk(ram_disk(value, dir)?),
            false => BootSource::File(pattern(value)?),
        };
        let is_second = matches!(source, BootSource::RamDisk(_))
            && boot.iter().any(|other| matches!(other.source, BootSource::RamDisk(_)));
        if is_second {
            return Err(value.wrong("one initial RAM disk of Upmass", "a second one"));
        }
        boot.push(BootDescription { kind, source, line: value.line });
        Ok::<(), Fault>(())
    };
    let (kernel, initrd, dtb) = (table.get("kernel"), table.get("initrd"), table.get("dtb"));
    if kernel.is_none() {
        let why = "has no meaning without \"kernel\": add one, or remove it";
        table.refuse("initrd", why)?;
        table.refuse("dtb", why)?;
    }
    kernel.iter().try_for_each(|value| take(BootKind::Kernel, value))?;
    for value in initrd.iter().flat_map(Value::one_or_more) {
        take(BootKind::Initrd, &value)?;
    }
    dtb.iter().try_for_each(|value| take(BootKind::DeviceTree, value))?;
    Ok(boot)
}

fn pattern(value: &Value<'_>) -> Result<PathPattern, Fault> {
    let expected = "an absolute path or pattern, such as \"/boot/vmlinuz-*\"";
    let text = value.string(expected)?;
    PathPattern::new(text).map_err(|expected| value.wrong(expected, format!("{text:?}")))
}

/// What stands for an initial RAM disk that is made.
const MADE: &str = "upmass";

fn ram_disk(value: &Value<'_>, dir: &Path) -> Result<RamDisk, Fault> {
    if value.is_string() {
        return Ok(RamDisk::default());
    }
    let expected = "an absolute path or pattern, \"upmass\", or { modules = [\"…\"] }";
    let table = value.table(format!("\"initrd\" of {}", value.place()), expected)?;
    table.only(&["init", "modules", "from"])?;
    let init = match table.get("init") {
        Some(value) => Some(dir.join(text(&value, "the path of a program on this machine")?)),
        None => None,
    };
    let modules = match table.get("modules") {
        Some(value) => value.list("a list of kernel modules")?.iter().map(name).collect(),
        None => Ok(Vec::new()),
    };
    let from = table.get("from").map(|value| pattern(&value)).transpose()?;
    Ok(RamDisk { init, modules: modules?, from })
}

/// What becomes of changes to `/etc` and `/var`.
pub(super) fn changes(table: &Table<'_>) -> Result<Changes, Fault> {
    let policy = |key: &str, default: Policy| match table.get(key) {
        Some(value) => {
            let expected = "\"fixed\", \"stateless\" or \"persistent\"";
            let word = value.string(expected)?;
            Policy::of_word(word).ok_or_else(|| value.wrong(expected, format!("{word:?}")))
        }
        None => Ok(default),
    };
    let Changes { etc, var } = Changes::default();
    Ok(Changes { etc: policy("etc", etc)?, var: policy("var", var)? })
}

/// The table "labels", where there is one.
pub(super) fn labels(table: &Table<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let Some(value) = table.get("labels") else {
        return Ok(BTreeMap::new());
    };
    value.strings(|label| {
        if !is_name(label.key()) {
            let found = format!("{:?}", label.key());
            return Err(value.wrong("labels named by 1 to 255 bytes of text", found));
        }
        text(label, "a text in quotes")
    })
}

/// What the components of a Nix closure keep of what Nix says of them.
pub(super) fn nix_labels(table: &Table<'_>) -> Result<BTreeSet<NixLabel>, Fault> {
    let expected = "a list of \"deriver\" and \"signatures\"";
    let label = |value: &Value<'_>| match value.string(expected)? {
        "deriver" => Ok(NixLabel::Deriver),
        "signatures" => Ok(NixLabel::Signatures),
        other => Err(value.wrong(expected, format!("{other:?}"))),
    };
    match table.get("labels") {
        Some(labels) => labels.list(expected)?.iter().map(label).collect(),
        None => Ok(BTreeSet::new()),
    }
}

/// Which image, and what is kept of it.
pub(super) fn oci(
    table: &Table<'_>,
    location: OciLocation,
) -> Result<(OciSource, OciLabels), Fault> {
    let reference = table.get("ref").map(|value| name(&value)).transpose()?;
    let platform = match table.get("platform") {
        Some(value) => {
            let expected = "a platform such as \"linux/arm64\" or \"linux/arm/v7\"";
            let text = value.string(expected)?;
            Some(text.parse().map_err(|()| value.wrong(expected, shown(text)))?)
        }
        None => None,
    };
    let max_size = match table.get("max_size") {
        Some(value) => value.number(1 << 50)?,
        None => OciSource::MAX_SIZE,
    };
    let mut labels = OciLabels::Layers;
    if let Some(list) = table.get("labels") {
        let expected = "a list of \"manifest\"";
        for value in list.list(expected)? {
            match value.string(expected)? {
                "manifest" => labels = OciLabels::Manifest,
                other => return Err(value.wrong(expected, shown(other))),
            }
        }
    }
    Ok((OciSource { location, reference, platform, max_size }, labels))
}

/// A name: 1 to 255 bytes of text in one line.
pub(super) fn name(value: &Value<'_>) -> Result<String, Fault> {
    let expected = "1 to 255 bytes of text in one line";
    let text = value.string(expected)?;
    if is_name(text) { Ok(text.to_owned()) } else { Err(value.wrong(expected, shown(text))) }
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// A text of one line.
pub(super) fn text(value: &Value<'_>, expected: &str) -> Result<String, Fault> {
    let text = value.string(expected)?;
    if text.len() > MAX_TEXT {
        let expected = format!("at most {MAX_TEXT} bytes");
        return Err(value.wrong(expected, text.len().to_string()));
    }
    if text.chars().any(char::is_control) {
        return Err(value.wrong(format!("{expected}, without control characters"), shown(text)));
    }
    Ok(text.to_owned())
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{:?}… ({} bytes)", &text[..end], text.len()),
        None => format!("{text:?}"),
    }
}
