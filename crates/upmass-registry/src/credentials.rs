//! Who is asking.

use std::collections::BTreeMap;
use std::path::Path;

use base64ct::{Base64, Encoding};
use serde::Deserialize;

use crate::{PullError, Result};

/// A name and a password, as they are sent (RFC 7617).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `NAME:PASSWORD` in Base64.
    encoded: String,
}

#[derive(Deserialize)]
struct AuthFile {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

#[derive(Deserialize)]
struct Auth {
    auth: Option<String>,
}

impl Credentials {
    /// Those for a host in a file as `docker login` and `skopeo login` write it
    /// (containers-auth.json(5)); `None` when it has none for it. Programs that keep passwords are not
    /// asked.
    ///
    /// # Errors
    /// The file cannot be read, or is another one.
    pub fn from_file(path: &Path, host: &str) -> Result<Option<Self>> {
        let bytes = std::fs::read(path).map_err(|error| PullError::io("read", path, error))?;
        let file: AuthFile = serde_json::from_slice(&bytes).map_err(|_| PullError::Invalid {
            place: path.display().to_string(),
            expected: "a file with \"auths\", as docker login writes it".to_owned(),
            found: "something else".to_owned(),
        })?;
        let names = match host {
            "docker.io" => vec!["docker.io", "https://index.docker.io/v1/"],
            host => vec![host],
        };
        let auth = names.iter().find_map(|name| file.auths.get(*name)?.auth.clone());
        let Some(encoded) = auth else { return Ok(None) };
        let is_right = Base64::decode_vec(&encoded).is_ok_and(|plain| plain.contains(&b':'));
        match is_right {
            true => Ok(Some(Self { encoded })),
            false => Err(PullError::Invalid {
                place: format!("{}: the login for {host}", path.display()),
                expected: "NAME:PASSWORD in Base64".to_owned(),
                found: "something else".to_owned(),
            }),
        }
    }

    /// The value of the header `Authorization`.
    pub(crate) fn header(&self) -> String {
        format!("Basic {}", self.encoded)
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}
