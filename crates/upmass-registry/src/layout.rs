//! The directory that an image is written to: OCI image specification 1.1, "Image Layout".

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};
use upmass_import::OciDigest;

use crate::documents::MAX_DOCUMENT;
use crate::{PullError, Result};

/// A layout that is written, and that nobody else writes meanwhile.
pub(crate) struct Layout {
    path: PathBuf,
    /// Locked for as long as it is open.
    _directory: File,
}

/// A blob while it arrives: what was written, and its digest so far.
pub(crate) struct Part {
    file: File,
    path: PathBuf,
    pub(crate) len: u64,
    hasher: Hasher,
}

enum Hasher {
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

impl Layout {
    /// Opens a layout, or makes one of an empty or missing directory.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let fail = |action, error| PullError::io(action, path, error);
        match fs::create_dir(path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(fail("make the directory", error));
            }
            _ => {}
        }
        let directory = File::open(path).map_err(|error| fail("open", error))?;
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(PullError::Locked { path: path.display().to_string() });
            }
            locked => locked.map_err(|errno| fail("lock", errno.into()))?,
        }
        let layout = Self { path: path.to_owned(), _directory: directory };
        let mark = path.join("oci-layout");
        if !mark.exists() {
            let is_empty =
                fs::read_dir(path).map_err(|error| fail("list", error))?.next().is_none();
            if !is_empty {
                return Err(PullError::Invalid {
                    place: path.display().to_string(),
                    expected: "an image layout, or an empty or new directory".to_owned(),
                    found: "other files".to_owned(),
                });
            }
            layout.write("oci-layout", &json!({ "imageLayoutVersion": "1.0.0" }))?;
        }
        Ok(layout)
    }

    /// Whether a blob is there and right. One that is not is removed.
    pub(crate) fn has(&self, digest: &OciDigest, size: u64) -> Result<bool> {
        let path = self.blob(digest);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(PullError::io("open", &path, error)),
        };
        let mut hasher = Hasher::of(digest);
        let len = hasher.read(&mut file, u64::MAX).map_err(|e| PullError::io("read", &path, e))?;
        if len == size && hasher.finish() == *digest {
            return Ok(true);
        }
        fs::remove_file(&path).map_err(|error| PullError::io("remove", &path, error))?;
        Ok(false)
    }

    /// What has arrived of a blob, at most `size` bytes.
    pub(crate) fn part(&self, digest: &OciDigest, size: u64) -> Result<Part> {
        let mut path = self.blob(digest).into_os_string();
        path.push(".part");
        let path = PathBuf::from(path);
        let parent = path.parent().unwrap_or(&self.path);
        fs::create_dir_all(parent).map_err(|error| PullError::io("make", parent, error))?;
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let mut file = file.map_err(|error| PullError::io("open", &path, error))?;
        let mut hasher = Hasher::of(digest);
        let len = hasher.read(&mut file, size + 1);
        let len = len.map_err(|error| PullError::io("read", &path, error))?;
        let mut part = Part { file, path, len, hasher };
        if part.len > size {
            part.restart(digest)?;
        }
        Ok(part)
    }

    /// Gives a blob that is right its name (POWER-LOSS.md, row "pull"): its bytes are durable
    /// before, the name is when the index is written.
    pub(crate) fn publish(&self, part: Part, digest: &OciDigest) -> Result<()> {
        let path = self.blob(digest);
        part.file.sync_all().map_err(|error| PullError::io("write", &part.path, error))?;
        fs::rename(&part.path, &path).map_err(|error| PullError::io("rename to", &path, error))
    }

    /// Writes a document that is in memory and right.
    pub(crate) fn put(&self, digest: &OciDigest, bytes: &[u8]) -> Result<()> {
        if self.has(digest, bytes.len() as u64)? {
            return Ok(());
        }
        let mut part = self.part(digest, 0)?;
        part.restart(digest)?;
        part.write(bytes)?;
        self.publish(part, digest)
    }

    /// A document that is there.
    pub(crate) fn read(&self, digest: &OciDigest) -> Result<Vec<u8>> {
        let path = self.blob(digest);
        let mut bytes = Vec::new();
        let read =
            File::open(&path).and_then(|file| file.take(MAX_DOCUMENT).read_to_end(&mut bytes));
        read.map_err(|error| PullError::io("read", &path, error))?;
        Ok(bytes)
    }

    /// Adds an image to the index under a name, instead of the one that had it.
    ///
    /// Before, the names of all blobs are made durable; then one rename makes the new index count.
    pub(crate) fn add(&self, name: Option<&str>, mut entry: Value) -> Result<()> {
        let path = self.path.join("index.json");
        let mut manifests = Vec::new();
        match File::open(&path) {
            Ok(file) => {
                let mut bytes = Vec::new();
                let read = file.take(MAX_DOCUMENT).read_to_end(&mut bytes);
                read.map_err(|error| PullError::io("read", &path, error))?;
                let index: Value = crate::documents::parse("index.json", &bytes)?;
                manifests.extend(index["manifests"].as_array().cloned().unwrap_or_default());
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(PullError::io("open", &path, error)),
        }
        if let Some(name) = name {
            entry["annotations"] = json!({ (REFERENCE): name });
        }
        manifests.retain(|known| {
            known["annotations"][REFERENCE].as_str() != name
                || (name.is_none() && known["digest"] != entry["digest"])
        });
        manifests.push(entry);
        for algorithm in ["sha256", "sha512"] {
            sync(&self.path.join("blobs").join(algorithm))?;
        }
        sync(&self.path.join("blobs"))?;
        self.write(
            "index.json",
            &json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests }),
        )
    }

    /// Writes a file of the layout itself, durably.
    fn write(&self, name: &str, value: &Value) -> Result<()> {
        let path = self.path.join(name);
        let partial = self.path.join(format!(".{name}.part"));
        let written = File::create(&partial).and_then(|mut file| {
            file.write_all(value.to_string().as_bytes())?;
            file.sync_all()
        });
        written.map_err(|error| PullError::io("write", &partial, error))?;
        fs::rename(&partial, &path).map_err(|error| PullError::io("rename to", &path, error))?;
        sync(&self.path)
    }

    fn blob(&self, digest: &OciDigest) -> PathBuf {
        self.path.join("blobs").join(digest.algorithm()).join(digest.hex())
    }
}

impl Part {
    /// Adds bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| PullError::io("write", &self.path, error))?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Forgets what has arrived.
    pub(crate) fn restart(&mut self, digest: &OciDigest) -> Result<()> {
        self.file.set_len(0).map_err(|error| PullError::io("write", &self.path, error))?;
        self.len = 0;
        self.hasher = Hasher::of(digest);
        Ok(())
    }

    /// The digest of all that has arrived. What is not right is removed, so that the next try begins anew.
    pub(crate) fn check(&mut self, place: &str, expected: &OciDigest) -> Result<()> {
        let hasher = std::mem::replace(&mut self.hasher, Hasher::of(expected));
        let found = hasher.finish();
        if found == *expected {
            return Ok(());
        }
        fs::remove_file(&self.path).map_err(|error| PullError::io("remove", &self.path, error))?;
        Err(damaged(place, expected, &found))
    }
}

impl Hasher {
    fn of(digest: &OciDigest) -> Self {
        match digest.algorithm() {
            "sha512" => Self::Sha512(Box::default()),
            _ => Self::Sha256(Sha256::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    fn read(&mut self, file: &mut File, limit: u64) -> std::io::Result<u64> {
        let mut buffer = vec![0; 1 << 18];
        let mut input = file.take(limit);
        let mut len = 0;
        loop {
            match input.read(&mut buffer) {
                Ok(0) => return Ok(len),
                Ok(n) => {
                    self.update(&buffer[..n]);
                    len += n as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn finish(self) -> OciDigest {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let text = match self {
            Self::Sha256(hasher) => format!("sha256:{}", hex(&hasher.finalize())),
            Self::Sha512(hasher) => format!("sha512:{}", hex(&hasher.finalize())),
        };
        text.parse().expect("a digest")
    }
}

/// The digest of bytes in memory, by the algorithm of another.
pub(crate) fn digest_as(like: Option<&OciDigest>, bytes: &[u8]) -> OciDigest {
    let mut hasher = like.map_or_else(|| Hasher::Sha256(Sha256::new()), Hasher::of);
    hasher.update(bytes);
    hasher.finish()
}

pub(crate) fn damaged(place: &str, expected: &OciDigest, found: &OciDigest) -> PullError {
    let (expected, found) = (expected.to_string(), found.to_string());
    PullError::Damaged { place: place.to_owned(), expected, found }
}

/// Makes the names in a directory durable, if it is there.
fn sync(path: &Path) -> Result<()> {
    match File::open(path).and_then(|directory| directory.sync_all()) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        synced => synced.map_err(|error| PullError::io("sync", path, error)),
    }
}

const REFERENCE: &str = "org.opencontainers.image.ref.name";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
