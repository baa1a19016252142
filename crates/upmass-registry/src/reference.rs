//! Names of images in registries.

use std::fmt;
use std::str::FromStr;

use upmass_import::OciDigest;

use crate::PullError;

/// `docker://HOST[:PORT]/NAME[:TAG][@DIGEST]`. Without a tag and a digest the tag is `latest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// With the port, if there is one.
    pub host: String,
    /// `library/nginx`
    pub name: String,
    /// `1.27`
    pub tag: Option<String>,
    /// Stronger than the tag.
    pub digest: Option<OciDigest>,
}

impl Reference {
    /// What the registry is asked for: the digest, or else the tag.
    pub fn asked(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }

    /// The host that answers: Docker's own registry has another name than its images.
    pub(crate) fn address(&self) -> &str {
        if self.host == "docker.io" { "registry-1.docker.io" } else { &self.host }
    }
}

impl FromStr for Reference {
    type Err = PullError;

    fn from_str(text: &str) -> Result<Self, PullError> {
        let wrong = || PullError::Reference { name: text.chars().take(200).collect() };
        if text.len() > MAX_LEN {
            return Err(wrong());
        }
        let rest = text.strip_prefix("docker://").ok_or_else(wrong)?;
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(|()| wrong())?)),
            None => (rest, None),
        };
        let (host, path) = rest.split_once('/').ok_or_else(wrong)?;
        let (name, tag) = match path.split_once(':') {
            Some((name, tag)) => (name, Some(tag.to_owned())),
            None => (path, None),
        };
        // A host without a dot is a name of Docker's registry elsewhere, and means another image.
        let is_host = (host.contains(['.', ':']) || host == "localhost")
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
            && !host.starts_with(['.', '-', ':']);
        // OCI distribution specification 1.1, "Pulling manifests".
        let is_part = |part: &str| {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
            part.bytes().all(|b| plain(b) || b"._-".contains(&b))
                && part.bytes().next().is_some_and(plain)
                && part.bytes().last().is_some_and(plain)
        };
        let is_tag = |tag: &str| {
            (1..=128).contains(&tag.len())
                && !tag.starts_with(['.', '-'])
                && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        if !is_host || !name.split('/').all(is_part) || !tag.as_deref().is_none_or(is_tag) {
            return Err(wrong());
        }
        let name = match (host, name.contains('/')) {
            ("docker.io", false) => format!("library/{name}"),
            _ => name.to_owned(),
        };
        Ok(Self { host: host.to_owned(), name, tag, digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "docker://{}/{}", self.host, self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

const MAX_LEN: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_understood() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (text, host, name, asked) in [
            ("docker://r.example/a", "r.example", "a", "latest"),
            ("docker://r.example:5000/a/b_c:1.0-x", "r.example:5000", "a/b_c", "1.0-x"),
            ("docker://localhost/a:V1", "localhost", "a", "V1"),
            ("docker://127.0.0.1:5000/a:1", "127.0.0.1:5000", "a", "1"),
            ("docker://docker.io/nginx:1", "docker.io", "library/nginx", "1"),
            (&format!("docker://r.example/a:1@{digest}"), "r.example", "a", &digest[..]),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!((&reference.host[..], &reference.name[..]), (host, name), "{text}");
            assert_eq!(reference.asked(), asked);
            assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference);
        }
    }

    #[test]
    fn what_would_be_another_address_is_refused() {
        for text in [
            "",
            "r.example/a",
            "docker://",
            "docker://r.example",
            "docker://r.example/",
            "docker://nginx/a",
            "docker://r.example/a/../b",
            "docker://r.example/a//b",
            "docker://r.example/A",
            "docker://r.example/a:",
            "docker://r.example/a:b/c",
            "docker://r.example/a?x",
            "docker://r.example/a#x",
            "docker://u@r.example/a",
            "docker://r.example\r\n/a",
            "docker://r.example/a@sha256:00",
            "docker:///a",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
        assert!(format!("docker://r.example/{}", "a".repeat(2000)).parse::<Reference>().is_err());
    }
}
