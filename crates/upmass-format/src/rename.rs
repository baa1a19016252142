//! How names of old components become names of new ones (`spec/rename.md`).
//!
//! In a store like that of Nix the name of a component has a hash of all that it was made from, and
//! other components mention it. The table says which name became which, so that a device
//! can do the same to its old contents before it makes new ones from them.

use std::io::Read;

use crate::release::{Component, InstallPath, MAX_NAME, Release};
use crate::wire::{Reader, put_varint};
use crate::{FormatError, Result, TreePath};

/// Length of the hash at the front of a store name.
pub const STORE_HASH: usize = 32;
/// The digits of such a hash; each stands for its place.
pub const DIGITS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";
/// Length of such a hash without its digits.
pub const RAW_HASH: usize = 20;
/// Shortest text that is replaced in contents: shorter ones are met by chance.
pub const MIN_TOKEN: usize = 8;
/// Most bytes of all texts of a table, old and new; bounds what a device holds of it.
pub const MAX_TEXTS: u64 = 4 << 20;
/// Where a device finds more texts than this in one old content, it writes the renamed content
/// down before it reads it: 24 bytes for each place would be too many.
pub const MAX_PLACES: usize = 1 << 15;

/// Which names become which, ascending by old component.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Renames(Vec<(usize, Rename)>);

/// The new name of an old component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rename {
    /// Another hash, the same rest.
    Hash([u8; RAW_HASH]),
    /// Another hash and another rest.
    HashAndRest([u8; RAW_HASH], String),
    /// Another name, old or new without hash.
    Name(String),
}

const HASH: u64 = 0;
const HASH_AND_REST: u64 = 1;
const NAME: u64 = 2;
const FORM_BITS: u32 = 2;

/// A text to look for, and what it becomes.
pub type Token = (Vec<u8>, Vec<u8>);

/// Whether a text is a hash of a store like that of Nix.
pub fn is_store_hash(text: &[u8]) -> bool {
    text.len() == STORE_HASH && text.iter().all(|byte| DIGITS.contains(byte))
}

/// The hash at the front of a name, and the rest.
fn split(name: &str) -> Option<(&str, &str)> {
    let (hash, rest) = name.split_at_checked(STORE_HASH)?;
    is_store_hash(hash.as_bytes()).then_some((hash, rest))
}

/// A hash without its digits: five bits of each, the first digit highest.
fn raw(hash: &str) -> [u8; RAW_HASH] {
    let mut raw = [0; RAW_HASH];
    for (index, byte) in hash.bytes().enumerate() {
        let digit = DIGITS.iter().position(|digit| *digit == byte).expect("a store hash") as u16;
        let bit = index * 5;
        let wide = digit << (11 - bit % 8);
        raw[bit / 8] |= (wide >> 8) as u8;
        if bit % 8 > 3 {
            raw[bit / 8 + 1] |= wide as u8;
        }
    }
    raw
}

fn digits(raw: &[u8; RAW_HASH]) -> String {
    (0..STORE_HASH)
        .map(|index| {
            let bit = index * 5;
            let next = raw.get(bit / 8 + 1).copied().unwrap_or(0);
            let wide = u16::from(raw[bit / 8]) << 8 | u16::from(next);
            char::from(DIGITS[usize::from(wide >> (11 - bit % 8) & 31)])
        })
        .collect()
}

impl Rename {
    /// How one name becomes another. `None` where the old one is too short to be looked for.
    pub fn between(old: &str, new: &str) -> Option<Self> {
        match (split(old), split(new)) {
            (Some((_, rest)), Some((hash, new_rest))) => Some(match rest == new_rest {
                true => Self::Hash(raw(hash)),
                false => Self::HashAndRest(raw(hash), new_rest.to_owned()),
            }),
            _ => (old.len() >= MIN_TOKEN).then(|| Self::Name(new.to_owned())),
        }
    }

    /// What an old name becomes. `None` when it does not fit.
    pub fn of(&self, old: &str) -> Option<String> {
        Some(match self {
            Self::Hash(hash) => digits(hash) + split(old)?.1,
            Self::HashAndRest(hash, rest) => digits(hash) + rest,
            Self::Name(new) => new.clone(),
        })
    }

    /// Appends what is looked for and what it becomes. `None` when the old name does not fit.
    fn tokens(&self, old: &str, tokens: &mut Vec<Token>) -> Option<()> {
        let mut add = |old: &str, new: String| {
            tokens.push((old.as_bytes().to_vec(), new.into_bytes()));
        };
        match self {
            Self::Hash(hash) => add(split(old)?.0, digits(hash)),
            Self::HashAndRest(hash, rest) => {
                add(split(old)?.0, digits(hash));
                add(old, digits(hash) + rest);
            }
            Self::Name(new) => {
                (old.len() >= MIN_TOKEN).then_some(())?;
                add(old, new.clone());
            }
        }
        Some(())
    }
}

impl Renames {
    /// Takes new names of old components, ascending by component.
    pub fn new(renames: Vec<(usize, Rename)>) -> Self {
        Self(renames)
    }

    /// Whether nothing is renamed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether anything of it is in the stream of hashes.
    pub fn has_hashes(&self) -> bool {
        self.0.iter().any(|(_, rename)| !matches!(rename, Rename::Name(_)))
    }

    /// Whether an old component is renamed.
    pub fn has(&self, component: usize) -> bool {
        self.0.iter().any(|(index, _)| *index == component)
    }

    /// How many components are renamed.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Appends the table to the program, and hashes to the stream of hashes.
    pub fn put(&self, program: &mut Vec<u8>, hashes: &mut Vec<u8>) {
        put_varint(program, self.0.len() as u64);
        let mut next = 0;
        let text = |program: &mut Vec<u8>, text: &str| {
            put_varint(program, text.len() as u64);
            program.extend_from_slice(text.as_bytes());
        };
        for (index, rename) in &self.0 {
            let gap = (index - next) as u64;
            next = index + 1;
            match rename {
                Rename::Hash(hash) => {
                    put_varint(program, gap << FORM_BITS | HASH);
                    hashes.extend_from_slice(hash);
                }
                Rename::HashAndRest(hash, rest) => {
                    put_varint(program, gap << FORM_BITS | HASH_AND_REST);
                    text(program, rest);
                    hashes.extend_from_slice(hash);
                }
                Rename::Name(name) => {
                    put_varint(program, gap << FORM_BITS | NAME);
                    text(program, name);
                }
            }
        }
    }

    /// Reads a table for an old release of so many components.
    pub fn read<P: Read, H: Read>(
        program: &mut Reader<P>,
        hashes: &mut Reader<H>,
        components: usize,
    ) -> Result<Self> {
        let mut renames = Vec::new();
        let mut next = 0u64;
        let mut left = MAX_TEXTS;
        for _ in 0..program.number(components as u64, "number of renamed components")? {
            let offset = program.offset();
            let word = program.varint("renamed component")?;
            let index = next.saturating_add(word >> FORM_BITS);
            if index >= components as u64 {
                return Err(FormatError::Invalid {
                    what: "renamed component",
                    offset,
                    expected: "a component of the old release",
                    found: format!("{index} of {components}"),
                });
            }
            next = index + 1;
            let rename = match word & ((1 << FORM_BITS) - 1) {
                HASH => Rename::Hash(hashes.array("new hash")?),
                HASH_AND_REST => {
                    let rest = program.text(MAX_NAME, "rest of a new name")?;
                    Rename::HashAndRest(hashes.array("new hash")?, rest)
                }
                NAME => Rename::Name(program.text(MAX_NAME, "new name")?),
                _ => {
                    let found = word;
                    return Err(FormatError::Unknown { what: "form of a new name", offset, found });
                }
            };
            left = left.checked_sub(rename.texts()).ok_or(FormatError::TooLarge {
                what: "texts of the table of names",
                offset,
                found: MAX_TEXTS + 1,
                limit: MAX_TEXTS,
            })?;
            renames.push((index as usize, rename));
        }
        Ok(Self(renames))
    }

    /// This table together with what derivations say (`derived`).
    pub fn with(self, derived: Vec<(usize, Rename)>) -> Result<Self> {
        let mut all = [derived, self.0].concat();
        all.sort_by_key(|(index, _)| *index);
        if let Some([twice, _]) = all.array_windows().find(|[a, b]| a.0 == b.0) {
            return Err(FormatError::Invalid {
                what: "table of names",
                offset: 0,
                expected: "each component once",
                found: format!("component {} twice", twice.0),
            });
        }
        let found = all.iter().map(|(_, rename)| rename.texts()).sum();
        if found > MAX_TEXTS {
            let (what, limit) = ("texts of the table of names", MAX_TEXTS);
            return Err(FormatError::TooLarge { what, offset: 0, found, limit });
        }
        Ok(Self(all))
    }

    /// The entries, ascending by component.
    pub fn entries(&self) -> &[(usize, Rename)] {
        &self.0
    }

    /// What is looked for in contents of the old release, and what it becomes; ascending.
    pub fn tokens(&self, old: &Release) -> Result<Vec<Token>> {
        let refuse = |index: usize, expected, found| FormatError::Invalid {
            what: "table of names",
            offset: index as u64,
            expected,
            found,
        };
        let mut tokens = Vec::new();
        for (index, rename) in &self.0 {
            let component = old.components.get(*index);
            let name = component.map_or("", |component| component.name.as_str());
            rename.tokens(name, &mut tokens).ok_or_else(|| {
                let expected = "an old name of 8 bytes or more, with a hash where a hash is given";
                refuse(*index, expected, format!("{name:?}"))
            })?;
        }
        tokens.sort_unstable();
        if let Some([twice, _]) = tokens.array_windows().find(|[a, b]| a.0 == b.0) {
            let found = format!("\"{}\" twice", twice.0.escape_ascii());
            return Err(refuse(0, "texts that differ", found));
        }
        Ok(tokens)
    }

    /// The old release with its names, paths and texts renamed, components in the order of their
    /// new names; and for each of them the old component.
    pub fn release(
        &self,
        old: &Release,
        rename: &dyn Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<(Release, Vec<usize>)> {
        let text = |text: &str| match rename(text.as_bytes()) {
            None => text.to_owned(),
            Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        };
        let path = |path: &TreePath| match rename(path.as_bytes()) {
            None => path.clone(),
            // What is no path any more stays as it was.
            Some(bytes) => TreePath::new(bytes).unwrap_or_else(|| path.clone()),
        };
        let mut order: Vec<(String, usize)> =
            old.components.iter().enumerate().map(|(i, c)| (text(&c.name), i)).collect();
        order.sort_unstable();
        let mut places = vec![0; order.len()];
        order.iter().enumerate().for_each(|(new, (_, old))| places[*old] = new);
        let moved = |indexes: &[usize]| {
            let mut moved: Vec<usize> = indexes.iter().map(|index| places[*index]).collect();
            moved.sort_unstable();
            moved
        };
        let components = order.iter().map(|(name, index)| {
            let component = &old.components[*index];
            let install = format!(
                "/{}",
                text(&String::from_utf8_lossy(component.install.tree_path().as_bytes()))
            );
            let install = InstallPath::new(install.as_bytes());
            Component {
                name: name.clone(),
                install: install.unwrap_or_else(|| component.install.clone()),
                references: moved(&component.references),
                labels: component.labels.iter().map(|(k, v)| (k.clone(), text(v))).collect(),
                tree: component.tree,
            }
        });
        let mut release = Release { components: components.collect(), ..old.clone() };
        for value in release.labels.values_mut() {
            *value = text(value);
        }
        for system in &mut release.systems {
            system.command_line = text(&system.command_line);
            system.roots = moved(&system.roots);
            for file in &mut system.boot {
                file.component = places[file.component];
                file.path = path(&file.path);
            }
        }
        let invalid = |found| FormatError::Invalid {
            what: "table of names",
            offset: 0,
            expected: "names that make a valid release of the old one",
            found,
        };
        let bytes = release.skeleton().map_err(|error| invalid(error.to_string()))?;
        Release::read_skeleton(&bytes[..]).map_err(|error| invalid(error.to_string()))?;
        Ok((release, order.into_iter().map(|(_, index)| index).collect()))
    }
}

impl Rename {
    /// Bytes of the texts that it stands for, at most; of all together [`MAX_TEXTS`] are allowed.
    pub fn texts(&self) -> u64 {
        match self {
            Self::Hash(_) => 2 * STORE_HASH as u64,
            Self::HashAndRest(_, rest) => (3 * STORE_HASH + MAX_NAME + rest.len()) as u64,
            Self::Name(new) => (MAX_NAME + new.len()) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::TreeId;
    use crate::release::{Changes, System};

    fn release(names: &[&str]) -> Release {
        let component = |(index, name): (usize, &&str)| Component {
            name: (*name).to_owned(),
            install: InstallPath::new(format!("/store/{name}").as_bytes()).unwrap(),
            references: (0..index).collect(),
            labels: BTreeMap::new(),
            tree: TreeId::from_bytes([index as u8; 32]),
        };
        let system = System {
            name: "main".to_owned(),
            labels: BTreeMap::new(),
            roots: vec![names.len() - 1],
            boot: Vec::new(),
            command_line: format!("init=/store/{}/init", names[0]),
            changes: Changes::default(),
        };
        Release {
            machine: "buoy".to_owned(),
            counter: 1,
            labels: BTreeMap::new(),
            components: names.iter().enumerate().map(component).collect(),
            systems: vec![system],
            fallback: 0,
        }
    }

    /// Replaces the first text that is found anywhere.
    fn replace(tokens: &[Token], text: &[u8]) -> Option<Vec<u8>> {
        let text = String::from_utf8(text.to_vec()).unwrap();
        let found = tokens.iter().rev().find_map(|(old, new)| {
            let [old, new] = [old, new].map(|text| std::str::from_utf8(text).unwrap());
            text.contains(old).then(|| text.replace(old, new))
        });
        found.map(String::into_bytes)
    }

    fn renamed(old: &Release, table: Vec<(usize, Rename)>) -> Result<(Release, Vec<usize>)> {
        let table = Renames::new(table);
        let tokens = table.tokens(old)?;
        table.release(old, &|text| replace(&tokens, text))
    }

    #[test]
    fn a_release_is_in_order_after_it_was_renamed() {
        let old = release(&["alpha-1.0", "gamma-1.0", "omega-1.0"]);
        let name = |name: &str| Rename::Name(name.to_owned());
        let (new, order) = renamed(&old, vec![(0, name("zeta-2.0"))]).unwrap();
        let names: Vec<&str> = new.components.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["gamma-1.0", "omega-1.0", "zeta-2.0"]);
        assert_eq!(order, [1, 2, 0]);
        assert_eq!(new.components[0].references, [2]);
        assert_eq!(new.components[1].references, [0, 2]);
        assert_eq!(new.components[2].install.to_string(), "/store/zeta-2.0");
        assert_eq!(new.systems[0].roots, [1]);
        assert_eq!(new.systems[0].command_line, "init=/store/zeta-2.0/init");
    }

    #[test]
    fn two_components_do_not_get_one_name() {
        let old = release(&["alpha-1.0", "gamma-1.0"]);
        let table = vec![(0, Rename::Name("gamma-1.0".to_owned()))];
        assert!(matches!(renamed(&old, table), Err(FormatError::Invalid { .. })));
    }

    #[test]
    fn a_text_stands_for_one_text_and_is_long_enough() {
        let hash = "0".repeat(32);
        let old = release(&[&format!("{hash}-a"), &format!("{hash}-b"), "short"]);
        let other = |byte| Rename::Hash([byte; RAW_HASH]);
        let refused = |table| matches!(renamed(&old, table), Err(FormatError::Invalid { .. }));
        assert!(refused(vec![(0, other(1)), (1, other(2))]), "one hash, twice");
        assert!(refused(vec![(2, other(1))]), "no hash");
        assert!(refused(vec![(2, Rename::Name("longer-name".to_owned()))]), "too short");
        assert!(refused(vec![(3, other(1))]), "no component");
        assert_eq!(Rename::between("short", "longer-name"), None);
    }

    #[test]
    fn too_many_texts_are_refused_before_they_are_held() {
        let rest = "x".repeat(MAX_NAME);
        let count = MAX_TEXTS / Rename::HashAndRest([0; RAW_HASH], rest.clone()).texts() + 1;
        let entries =
            (0..count as usize).map(|i| (i, Rename::HashAndRest([0; RAW_HASH], rest.clone())));
        let (mut program, mut hashes) = (Vec::new(), Vec::new());
        Renames::new(entries.collect()).put(&mut program, &mut hashes);
        let (mut program, mut hashes) = (Reader::new(&program[..]), Reader::new(&hashes[..]));
        let read = Renames::read(&mut program, &mut hashes, 1 << 16);
        assert!(matches!(read, Err(FormatError::TooLarge { .. })), "{read:?}");
    }

    #[test]
    fn hashes_keep_all_their_bits() {
        for hash in [
            "00000000000000000000000000000000",
            "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
            "xasjb6kc7sdxxka4qa6xnpfg9j8qjmhq",
            "0123456789abcdfghijklmnpqrsvwxyz",
        ] {
            assert_eq!(digits(&raw(hash)), hash);
        }
        assert_eq!(raw("zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"), [0xff; RAW_HASH]);
        assert_eq!(raw("00000000000000000000000000000001")[RAW_HASH - 1], 1);
        assert_eq!(raw("z0000000000000000000000000000000")[0], 0xf8);
    }
}
