//! Extended headers: records of keys and values that take the place of header fields.
//!
//! POSIX.1-2024 `pax`, "pax Extended Header"; keys of GNU tar and star beside them. The records
//! are counted and not searched for line ends, since names and attributes may hold these.

use upmass_format::tree::{Mtime, Xattr};

use super::fault::ArchiveFault;
use super::header::bad_number;
use super::number;

/// What extended headers say of an entry.
#[derive(Debug, Clone, Default)]
pub(super) struct Extensions {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mtime: Option<Mtime>,
    pub(super) xattrs: Vec<Xattr>,
    pub(super) sparse: SparseKeys,
    /// The SELinux label that GNU tar writes beside the attributes.
    label: Option<Vec<u8>>,
    /// Whether there are access lists in words, which cannot be taken over.
    pub(super) has_access_lists: bool,
    /// Whether there are attributes in the form of libarchive.
    has_libarchive_xattrs: bool,
}

/// What `GNU.sparse.*` says. See the appendix "Sparse Formats" of the manual of GNU tar.
#[derive(Debug, Clone, Default)]
pub(super) struct SparseKeys {
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    pub(super) real_size: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    /// Offsets and lengths, one after the other.
    pub(super) numbers: Option<Vec<u64>>,
}

struct Record<'a> {
    key: &'a [u8],
    value: &'a [u8],
}

impl Extensions {
    /// Adds the records of a header; later ones replace earlier ones.
    pub(super) fn read(&mut self, mut rest: &[u8]) -> Result<(), ArchiveFault> {
        while !rest.is_empty() {
            let (record, after) = split_record(rest)?;
            self.set(record.key, record.value)?;
            rest = after;
        }
        Ok(())
    }

    /// Whether a header for all entries holds what only one entry can have.
    pub(super) fn names_one_entry(&self) -> bool {
        let sparse = &self.sparse;
        self.path.is_some()
            || self.link.is_some()
            || self.size.is_some()
            || sparse.major.is_some()
            || sparse.real_size.is_some()
            || sparse.numbers.is_some()
    }

    /// The attributes, with the label, and whether some had to be left out.
    pub(super) fn take_xattrs(&mut self) -> (Vec<Xattr>, bool) {
        let mut xattrs = std::mem::take(&mut self.xattrs);
        let selinux = b"security.selinux";
        if let Some(mut value) = self.label.take()
            && !xattrs.iter().any(|xattr| xattr.name == selinux)
        {
            // The kernel keeps the label with a NUL, GNU tar writes it without.
            value.push(0);
            xattrs.push(Xattr { name: selinux.to_vec(), value });
        }
        xattrs.sort();
        let is_incomplete = self.has_libarchive_xattrs && xattrs.is_empty();
        (xattrs, is_incomplete)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), ArchiveFault> {
        // An empty value takes the record back.
        let bytes = (!value.is_empty()).then(|| value.to_vec());
        let number = || decimal(key, value);
        match key {
            b"path" => self.path = bytes,
            b"linkpath" => self.link = bytes,
            b"size" => self.size = number()?,
            b"uid" => self.uid = id(key, value)?,
            b"gid" => self.gid = id(key, value)?,
            b"mtime" if value.is_empty() => self.mtime = None,
            b"mtime" => {
                let time = number::time(value);
                self.mtime = Some(time.ok_or_else(|| bad(key, value, "a decimal time"))?);
            }
            b"RHT.security.selinux" => self.label = bytes,
            b"GNU.sparse.major" => self.sparse.major = number()?,
            b"GNU.sparse.minor" => self.sparse.minor = number()?,
            b"GNU.sparse.realsize" | b"GNU.sparse.size" => self.sparse.real_size = number()?,
            b"GNU.sparse.name" => self.sparse.name = bytes,
            b"GNU.sparse.map" => {
                let numbers = value.split(|byte| *byte == b',').map(number::decimal).collect();
                let numbers: Option<Vec<u64>> = numbers;
                self.sparse.numbers =
                    Some(numbers.ok_or_else(|| bad(key, value, "a list of decimal numbers"))?);
            }
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                let numbers = self.sparse.numbers.get_or_insert_default();
                if (numbers.len() % 2 == 1) != (key == b"GNU.sparse.numbytes") {
                    let why = "offsets and lengths of sparse data do not alternate";
                    return Err(ArchiveFault::Extension { why });
                }
                numbers.extend(number()?);
            }
            _ => self.set_prefixed(key, value),
        }
        Ok(())
    }

    fn set_prefixed(&mut self, key: &[u8], value: &[u8]) {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            let name = unescape(name);
            self.xattrs.retain(|xattr| xattr.name != name);
            self.xattrs.push(Xattr { name, value: value.to_vec() });
        } else if key.starts_with(b"SCHILY.acl.") {
            self.has_access_lists = true;
        } else if key.starts_with(b"LIBARCHIVE.xattr.") {
            self.has_libarchive_xattrs = true;
        }
        // Other keys (atime, ctime, comment, uname, gname, hdrcharset, …) say nothing that a
        // tree keeps.
    }
}

/// Splits `<length> <key>=<value>\n` off; the length counts all of it.
fn split_record(bytes: &[u8]) -> Result<(Record<'_>, &[u8]), ArchiveFault> {
    let fault = |why| ArchiveFault::Extension { why };
    let space = bytes.iter().take(20).position(|byte| *byte == b' ');
    let space = space.ok_or_else(|| fault("a record has no length"))?;
    let len = number::decimal(&bytes[..space])
        .and_then(|len| usize::try_from(len).ok())
        .filter(|len| *len > space + 1 && *len <= bytes.len())
        .ok_or_else(|| fault("the length of a record is wrong"))?;
    let (record, after) = bytes.split_at(len);
    let record = record[space + 1..].strip_suffix(b"\n");
    let record = record.ok_or_else(|| fault("a record does not end where its length says"))?;
    let equals = record.iter().position(|byte| *byte == b'=');
    let equals = equals.ok_or_else(|| fault("a record has no value"))?;
    Ok((Record { key: &record[..equals], value: &record[equals + 1..] }, after))
}

/// GNU tar writes `=` in the name of an attribute as `%3D`, and `%` as `%25`.
fn unescape(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((first, after)) = rest.split_first() {
        let (byte, next) = match rest {
            [b'%', b'3', b'D', next @ ..] => (b'=', next),
            [b'%', b'2', b'5', next @ ..] => (b'%', next),
            _ => (*first, after),
        };
        plain.push(byte);
        rest = next;
    }
    plain
}

fn decimal(key: &[u8], value: &[u8]) -> Result<Option<u64>, ArchiveFault> {
    if value.is_empty() {
        return Ok(None);
    }
    let number = number::decimal(value);
    number.map(Some).ok_or_else(|| bad(key, value, "a decimal number"))
}

fn id(key: &[u8], value: &[u8]) -> Result<Option<u32>, ArchiveFault> {
    let number = decimal(key, value)?.map(u32::try_from).transpose();
    number.map_err(|_| bad(key, value, "a number of 32 bits"))
}

fn bad(key: &[u8], value: &[u8], expected: &'static str) -> ArchiveFault {
    bad_number(&key.escape_ascii().to_string(), value, expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(records: &[u8]) -> Result<Extensions, String> {
        let mut extensions = Extensions::default();
        extensions.read(records).map_err(|fault| fault.to_string())?;
        Ok(extensions)
    }

    #[test]
    fn values_may_hold_anything() {
        let extensions =
            read(b"12 path=a\nb\n13 path=c=d\0\n27 SCHILY.xattr.user.a=\n\0\xff\n").unwrap();
        assert_eq!(extensions.path.as_deref(), Some(&b"c=d\0"[..]));
        let expected = Xattr { name: b"user.a".to_vec(), value: b"\n\0\xff".to_vec() };
        assert_eq!(extensions.xattrs, [expected]);
    }

    #[test]
    fn names_of_attributes_are_unescaped() {
        assert_eq!(unescape(b"user.a%3Db%25%2"), b"user.a=b%%2");
    }

    #[test]
    fn each_damage_has_its_sentence() {
        let table: [(&[u8], &str); 9] = [
            (b"x", "a record has no length"),
            (b"1234567890123456789012 path=a\n", "a record has no length"),
            (b"99 path=a\n", "the length of a record is wrong"),
            (b"2 \n", "the length of a record is wrong"),
            (b"10 path=a\nx", "a record has no length"),
            (b"8 path=a\n", "a record does not end where its length says"),
            (b"7 patha\n", "a record does not end where its length says"),
            (b"9 patha\n\n", "a record has no value"),
            (b"15 size=-1.5e3\n", "expected a decimal number"),
        ];
        for (records, expected) in table {
            let message = read(records).unwrap_err();
            assert!(message.contains(expected), "{}: {message}", records.escape_ascii());
        }
    }
}
