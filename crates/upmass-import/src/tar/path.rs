//! Paths as archives write them.

use upmass_format::{MAX_NAME, MAX_PATH, TreePath};

use super::fault::ArchiveFault;

/// A path inside the tree, and what had to be taken away for that.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cleaned {
    pub(super) path: TreePath,
    pub(super) was_absolute: bool,
}

/// Makes a path relative and takes `.` and doubled slashes out, as tar does. `what` is "path"
/// or "hardlink target".
pub(super) fn clean(raw: &[u8], what: &'static str) -> Result<Cleaned, ArchiveFault> {
    let mut path = Vec::with_capacity(raw.len());
    for name in raw.split(|byte| *byte == b'/') {
        if name.is_empty() || name == b"." {
            continue;
        }
        if name == b".." {
            return Err(ArchiveFault::Traversal { what });
        }
        if name.len() > MAX_NAME {
            return Err(too_long(what, "name in it", name.len(), MAX_NAME));
        }
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
    }
    if path.len() > MAX_PATH {
        return Err(too_long(what, "path", path.len(), MAX_PATH));
    }
    let was_absolute = raw.first() == Some(&b'/');
    match TreePath::new(path) {
        Some(path) => Ok(Cleaned { path, was_absolute }),
        None => Err(ArchiveFault::Path { what, why: "it has a byte 0" }),
    }
}

/// Whether this is the mark of an OCI layer that a file below is deleted.
pub(super) fn is_whiteout(path: &TreePath) -> bool {
    path.split_last().is_some_and(|(_, name)| name.as_bytes().starts_with(b".wh."))
}

fn too_long(what: &'static str, part: &'static str, found: usize, limit: usize) -> ArchiveFault {
    let what = match (what, part) {
        ("path", "path") => "path",
        ("path", _) => "name",
        (_, "path") => "hardlink target",
        _ => "hardlink target's name",
    };
    ArchiveFault::TooLong { what, found: found as u64, limit: limit as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_relative_and_plain() {
        let table: [(&[u8], &[u8], bool); 8] = [
            (b"a/b", b"a/b", false),
            (b"./a//b/", b"a/b", false),
            (b"/a/./b", b"a/b", true),
            (b"./", b"", false),
            (b".", b"", false),
            (b"//", b"", true),
            (b"...", b"...", false),
            (b"a\nb/\xff", b"a\nb/\xff", false),
        ];
        for (raw, path, was_absolute) in table {
            let path = TreePath::new(path).unwrap();
            assert_eq!(clean(raw, "path").unwrap(), Cleaned { path, was_absolute });
        }
    }

    #[test]
    fn paths_that_no_tree_can_hold_are_refused() {
        let long_name = [b'n'; 256];
        let long_path = [b'n', b'/'].repeat(2049);
        let table: [(&[u8], &str); 5] = [
            (b"a/../b", "its path has the part \"..\", which could lead out of the tree"),
            (b"..", "its path has the part \"..\", which could lead out of the tree"),
            (b"a\0b", "its path is not a valid path: it has a byte 0"),
            (&long_name, "its name has 256 bytes: expected at most 255"),
            (&long_path, "its path has 4097 bytes: expected at most 4095"),
        ];
        for (raw, expected) in table {
            assert_eq!(clean(raw, "path").unwrap_err().to_string(), expected);
        }
    }
}
