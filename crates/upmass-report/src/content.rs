//! What kind of content a file has, for colours.

use upmass_format::{ObjectId, TreePath};
use upmass_store::{Result, Store};

use crate::model::Cause;

/// A kind of content. The numbers are those of [`Content::CAUSES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// A program or a library.
    Program,
    /// A kernel, a module or a RAM disk.
    Kernel,
    /// A program in a language that is interpreted, or its byte code.
    Script,
    /// Documentation and manual pages.
    Documentation,
    /// Translations, locales and character sets.
    Language,
    /// What packages have left.
    Packages,
    /// Everything else.
    Data,
    /// Names and modes.
    Tree,
}

/// What names begin with, and what that says; the first that fits.
const PLACES: [(&str, Content); 16] = [
    ("boot/", Content::Kernel),
    ("lib/modules/", Content::Kernel),
    ("usr/lib/modules/", Content::Kernel),
    ("lib/firmware/", Content::Kernel),
    ("usr/lib/firmware/", Content::Kernel),
    ("usr/share/doc/", Content::Documentation),
    ("usr/share/man/", Content::Documentation),
    ("usr/share/info/", Content::Documentation),
    ("usr/share/locale/", Content::Language),
    ("usr/share/i18n/", Content::Language),
    ("usr/lib/locale/", Content::Language),
    ("usr/share/zoneinfo/", Content::Language),
    ("var/lib/dpkg/", Content::Packages),
    ("var/lib/apt/", Content::Packages),
    ("var/cache/", Content::Packages),
    ("lib/apk/", Content::Packages),
];
/// Components of one package have the same below another root.
const INNER: [(&str, Content); 5] = [
    ("share/doc/", Content::Documentation),
    ("share/man/", Content::Documentation),
    ("share/info/", Content::Documentation),
    ("share/locale/", Content::Language),
    ("share/i18n/", Content::Language),
];
/// What names end with.
const ENDINGS: [(&str, Content); 14] = [
    (".ko", Content::Kernel),
    (".ko.xz", Content::Kernel),
    (".ko.zst", Content::Kernel),
    (".py", Content::Script),
    (".pyc", Content::Script),
    (".pl", Content::Script),
    (".pm", Content::Script),
    (".sh", Content::Script),
    (".js", Content::Script),
    (".rb", Content::Script),
    (".lua", Content::Script),
    (".jar", Content::Script),
    (".mo", Content::Language),
    (".a", Content::Program),
];

impl Content {
    /// In the order of the numbers.
    pub(crate) const CAUSES: [Cause; 8] = [
        cause("program", "programs and libraries", "Machine code."),
        cause("kernel", "kernel", "Kernels, modules, firmware and RAM disks."),
        cause("script", "scripts", "Programs of interpreted languages, and their byte code."),
        cause("documentation", "documentation", "Manuals and notes that no program reads."),
        cause("language", "languages", "Translations, locales, time zones."),
        cause("packages", "package management", "What is known of installed packages."),
        cause("data", "other data", "Everything else."),
        cause("trees", "names and modes", "Trees: names, modes, owners, and files up to 64 bytes."),
    ];

    /// By its name, or else by its first bytes.
    pub(crate) fn of(
        store: &Store,
        directory: &TreePath,
        name: &[u8],
        id: ObjectId,
    ) -> Result<Self> {
        let mut path = directory.names().collect::<Vec<_>>().join(&b'/');
        path.push(b'/');
        path.extend_from_slice(name);
        let path = String::from_utf8_lossy(&path);
        let by_place = PLACES.iter().chain(&INNER).find(|(start, _)| path.starts_with(start));
        let by_name = || ENDINGS.iter().find(|(end, _)| path.ends_with(end));
        if let Some((_, content)) = by_place.or_else(by_name) {
            return Ok(*content);
        }
        let mut head = [0; 4];
        let file = store.open_object(id)?;
        let len = file.read_at(&mut head, 0).unwrap_or(0);
        Ok(match &head[..len] {
            b"\x7fELF" => Self::Program,
            [b'#', b'!', ..] => Self::Script,
            _ => Self::Data,
        })
    }
}

const fn cause(word: &'static str, label: &'static str, explanation: &'static str) -> Cause {
    Cause { word, label, explanation }
}
