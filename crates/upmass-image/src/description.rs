//! The description of a disk: a TOML file with lengths and the kind of its boot loader, each of which
//! may be left out.

use std::path::Path;

use serde::Deserialize;

use crate::error::Context;
use crate::{ImageError, Result};

/// Lengths in bytes; what is not said is fitted to the release.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskDescription {
    /// Of the disk.
    pub disk: Option<u64>,
    /// Of each boot slot.
    pub slot: Option<u64>,
    /// Of the system partition.
    pub system: Option<u64>,
    /// Of the data partition; otherwise it takes what the others leave.
    pub data: Option<u64>,
    /// What starts it.
    pub loader: Loader,
}

/// The kinds of boot loaders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loader {
    /// systemd-boot, started by UEFI firmware.
    #[default]
    SystemdBoot,
    /// U-Boot, which belongs to the board.
    UBoot,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    loader: Loader,
    disk: Option<Length>,
    slot: Option<Length>,
    system: Option<Length>,
    data: Option<Length>,
}

#[derive(Deserialize)]
#[serde(try_from = "toml::Value")]
struct Length(u64);

impl TryFrom<toml::Value> for Length {
    type Error = String;

    fn try_from(value: toml::Value) -> std::result::Result<Self, String> {
        let length = match &value {
            toml::Value::Integer(bytes) => u64::try_from(*bytes).ok(),
            toml::Value::String(text) => parse(text),
            _ => None,
        };
        let wanted = "a length such as \"64MiB\", \"2GiB\" or a number of bytes";
        let length = length.filter(|length| *length > 0);
        length.map(Self).ok_or_else(|| format!("expected {wanted}, found {value}"))
    }
}

/// A number of bytes, or of binary units.
fn parse(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match text[digits.len()..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(factor)
}

impl DiskDescription {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ImageError::Description`] with the line of what is wrong.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).on("read", path)?;
        let file: File = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            let why = error.message().lines().collect::<Vec<_>>().join(" ");
            ImageError::Description { path: format!("{}:{line}", path.display()), why }
        })?;
        let len = |length: Option<Length>| length.map(|length| length.0);
        Ok(Self {
            disk: len(file.disk),
            slot: len(file.slot),
            system: len(file.system),
            data: len(file.data),
            loader: file.loader,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> std::result::Result<DiskDescription, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        DiskDescription::read(file.path())
            .map_err(|error| error.to_string().replace(file.path().to_str().unwrap(), "disk.toml"))
    }

    #[test]
    fn lengths_have_units_or_are_bytes() {
        let description = read("disk = \"4GiB\"\nslot = \"64 MiB\"\nsystem = 1048576\n").unwrap();
        let expected = DiskDescription {
            disk: Some(4 << 30),
            slot: Some(64 << 20),
            system: Some(1 << 20),
            data: None,
            loader: Loader::SystemdBoot,
        };
        assert_eq!(description, expected);
        assert_eq!(read(""), Ok(DiskDescription::default()));
        assert_eq!(read("loader = \"u-boot\"").unwrap().loader, Loader::UBoot);
        assert_eq!(read("loader = \"systemd-boot\""), Ok(DiskDescription::default()));
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        let check = |text: &str, expected: &str| {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(expected) && !error.contains('\n'), "{error}");
        };
        check("\nslots = 3", "disk.toml:2: unknown field `slots`, expected one of ");
        check(
            "loader = \"grub\"",
            "disk.toml:1: unknown variant `grub`, expected `systemd-boot` or",
        );
        check("slot = \"64MB\"", "disk.toml:1: expected a length such as \"64MiB\"");
        check("slot = -1", "disk.toml:1: expected a length");
        check("slot = 0", "disk.toml:1: expected a length");
        check("slot = \"99999999999TiB\"", "disk.toml:1: expected a length");
        check("disk = 1\nslot = [", "disk.toml:2: ");
    }
}
