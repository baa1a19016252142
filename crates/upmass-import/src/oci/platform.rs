//! Which of the images that have one name is for a machine.

use std::fmt;
use std::str::FromStr;

/// An operating system and an architecture, with its variant: `linux/arm64`, `linux/arm/v7`.
///
/// Names are those of Go (`GOOS`, `GOARCH`), as in the OCI image specification 1.1, "Image Index". What
/// other programs call an architecture (`x86_64`, `aarch64`, `armhf`) is understood too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform {
    /// "linux".
    pub os: String,
    /// "amd64".
    pub architecture: String,
    /// "v7"; empty where there is none.
    pub variant: String,
}

impl Platform {
    /// The one form of a platform: without another name, and without a variant that says nothing.
    pub(super) fn new(os: &str, architecture: &str, variant: &str) -> Self {
        let lower = |text: &str| text.to_ascii_lowercase();
        let (os, architecture, variant) = (lower(os), lower(architecture), lower(variant));
        let (architecture, variant) = match (&*architecture, &*variant) {
            ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("i386" | "i486" | "i586" | "i686", _) => ("386", ""),
            ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
            ("aarch64", variant) => ("arm64", variant),
            ("armhf", _) => ("arm", "v7"),
            ("armel", _) => ("arm", "v6"),
            ("arm", "" | "7") => ("arm", "v7"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "6") => ("arm", "v6"),
            ("arm", "8") => ("arm", "v8"),
            (architecture, variant) => (architecture, variant),
        };
        Self { os, architecture: architecture.to_owned(), variant: variant.to_owned() }
    }

    /// How well an image for `other` runs on this platform: larger is better, `None` is not at all. A
    /// machine of a later variant runs what is made for an earlier one.
    pub fn runs(&self, other: &Platform) -> Option<u32> {
        if (&self.os, &self.architecture) != (&other.os, &other.architecture) {
            return None;
        }
        if self.variant == other.variant {
            return Some(u32::MAX);
        }
        let (ours, theirs) = (self.level()?, other.level()?);
        (theirs <= ours).then_some(theirs)
    }

    /// The number of a variant, where a higher one can do more.
    fn level(&self) -> Option<u32> {
        match (&*self.architecture, &*self.variant) {
            ("amd64", "") => Some(1),
            ("arm64", "") => Some(800),
            ("arm64", variant) => {
                let (major, minor) =
                    variant.strip_prefix('v')?.split_once('.').unwrap_or((&variant[1..], "0"));
                let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
                (major < 100 && minor < 100).then_some(major * 100 + minor)
            }
            ("amd64" | "arm", variant) => variant.strip_prefix('v')?.parse().ok(),
            _ => None,
        }
    }
}

impl FromStr for Platform {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let parts: Vec<&str> = text.split('/').collect();
        let is_word = |part: &&str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        match parts.as_slice() {
            parts if !parts.iter().all(is_word) => Err(()),
            [os, architecture] => Ok(Self::new(os, architecture, "")),
            [os, architecture, variant] => Ok(Self::new(os, architecture, variant)),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        match self.variant.is_empty() {
            true => Ok(()),
            false => write!(formatter, "/{}", self.variant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn a_platform_has_one_form() {
        let table = [
            ("linux/x86_64", "linux/amd64"),
            ("Linux/amd64/v1", "linux/amd64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/i686", "linux/386"),
            ("linux/riscv64", "linux/riscv64"),
        ];
        for (text, expected) in table {
            assert_eq!(platform(text).to_string(), expected);
        }
        for text in ["", "linux", "linux/", "/arm64", "linux/arm/v7/x", "linux/arm 64"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_later_variant_runs_what_is_made_for_an_earlier_one() {
        fn best(ours: &str, images: &[&'static str]) -> Option<&'static str> {
            let ours = platform(ours);
            let rank = |image: &&'static str| ours.runs(&platform(image));
            images.iter().copied().filter(|image| rank(image).is_some()).max_by_key(rank)
        }
        assert_eq!(
            best("linux/arm/v7", &["linux/arm/v5", "linux/arm/v6", "linux/arm64"]),
            Some("linux/arm/v6")
        );
        assert_eq!(best("linux/arm/v6", &["linux/arm/v7", "linux/arm/v5"]), Some("linux/arm/v5"));
        assert_eq!(best("linux/arm/v6", &["linux/arm/v7"]), None);
        assert_eq!(best("linux/amd64", &["linux/amd64/v3"]), None);
        assert_eq!(
            best("linux/amd64/v3", &["linux/amd64", "linux/amd64/v2"]),
            Some("linux/amd64/v2")
        );
        assert_eq!(best("linux/arm64", &["linux/arm64/v8"]), Some("linux/arm64/v8"));
        assert_eq!(best("linux/arm64/v9", &["linux/arm64", "linux/arm/v7"]), Some("linux/arm64"));
        assert_eq!(best("linux/arm64", &["windows/arm64"]), None);
    }
}
