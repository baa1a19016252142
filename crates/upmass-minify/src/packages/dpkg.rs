//! The database of dpkg: `/var/lib/dpkg/status` and a list of paths for each package (deb(5),
//! dpkg-query(1)).

use super::Listed;
use crate::Result;
use crate::tree::Tree;

pub(super) fn read(tree: &Tree<'_>) -> Result<Vec<Listed>> {
    let Some(status) = tree.text(b"/var/lib/dpkg/status")? else {
        return Ok(Vec::new());
    };
    let mut packages = Vec::new();
    for paragraph in paragraphs(&status) {
        let field = |name: &[u8]| {
            paragraph.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name))
        };
        let Some(name) = field(b"Package: ").map(<[u8]>::trim_ascii) else { continue };
        let architecture = field(b"Architecture: ").unwrap_or(b"").trim_ascii();
        let is_essential = field(b"Essential: ").is_some_and(|value| value.trim_ascii() == b"yes");
        // A package of several architectures at once has its architecture in the name.
        let lists = [[name, b":", architecture].concat(), name.to_vec()];
        let mut paths = Vec::new();
        for list in lists {
            let list = [b"/var/lib/dpkg/info/", &list[..], b".list"].concat();
            if let Some(content) = tree.text(&list)? {
                let lines = content.split(|byte| *byte == b'\n').filter(|line| line.len() > 1);
                paths.extend(lines.map(<[u8]>::to_vec));
                break;
            }
        }
        let name = String::from_utf8_lossy(name).into_owned();
        packages.push(Listed { name, is_essential, paths });
    }
    Ok(packages)
}

fn paragraphs(text: &[u8]) -> Vec<&[u8]> {
    let mut paragraphs = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.windows(2).position(|window| window == b"\n\n") {
        paragraphs.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    paragraphs.push(rest);
    paragraphs
}
