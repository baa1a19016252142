//! Registries that ask who is there, break off, or lie.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use upmass_registry::{Credentials, PullError, PullOptions, Pulled, pull};

/// A question: path with its query, and headers in lower case.
struct Question {
    path: String,
    headers: BTreeMap<String, String>,
}

/// Status and headers, then a body.
type Answer = (String, Vec<u8>);

/// A server that answers as it is told, and what it was asked.
struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(answer: impl Fn(&Question, u16) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (log, answer) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, answer) = (log.clone(), answer.clone());
                std::thread::spawn(move || serve(stream.unwrap(), port, &log, &*answer));
            }
        });
        Self { port, asked }
    }

    fn pull(&self, target: &Path, options: PullOptions) -> Result<Pulled, PullError> {
        let image = format!("docker://127.0.0.1:{}/box:1", self.port).parse().unwrap();
        let patience = Duration::from_secs(2);
        let options = PullOptions { plain_http: true, patience, ..options };
        pull(&image, target, &options, &mut |_| {})
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn serve(
    mut stream: TcpStream,
    port: u16,
    log: &Mutex<Vec<String>>,
    answer: &dyn Fn(&Question, u16) -> Answer,
) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else { return };
    let path = first.split(' ').nth(1).unwrap().to_owned();
    let headers = lines.map_while(|line| line.ok().filter(|line| !line.is_empty()));
    let headers = headers.filter_map(|line| {
        let (key, value) = line.split_once(": ")?;
        Some((key.to_ascii_lowercase(), value.to_owned()))
    });
    let question = Question { path, headers: headers.collect() };
    let range = question.headers.get("range").map(|range| format!(" {range}")).unwrap_or_default();
    log.lock().unwrap().push(format!("{}{range}", question.path));
    let (head, body) = answer(&question, port);
    let _ = stream.write_all(format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes());
    let _ = stream.write_all(&body);
    // Until the other side is done; a reset would lose what it has not read yet.
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
}

fn digest(bytes: &[u8]) -> String {
    let hex = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect::<String>();
    format!("sha256:{hex}")
}

/// An image of one layer: manifest, config, layer.
struct Image {
    manifest: Vec<u8>,
    config: Vec<u8>,
    layer: Vec<u8>,
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn image() -> Image {
    let layer: Vec<u8> = (0..300_000u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    let config =
        br#"{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let config = config.to_vec();
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest(&config), "size": config.len(),
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": digest(&layer), "size": layer.len(),
        }],
    });
    Image { manifest: manifest.to_string().into_bytes(), config, layer }
}

fn ok(body: &[u8]) -> Answer {
    (format!("200 OK\r\nContent-Type: {MANIFEST}\r\nContent-Length: {}", body.len()), body.to_vec())
}

impl Image {
    /// What an honest registry answers.
    fn honest(&self, path: &str) -> Answer {
        let path = path.strip_prefix("/v2/box/").unwrap_or_default();
        match path {
            "manifests/1" => ok(&self.manifest),
            path if path == format!("blobs/{}", digest(&self.config)) => ok(&self.config),
            path if path == format!("blobs/{}", digest(&self.layer)) => ok(&self.layer),
            _ => ("404 Not Found\r\nContent-Length: 0".to_owned(), Vec::new()),
        }
    }

    fn is_layer(&self, path: &str) -> bool {
        path.ends_with(&digest(&self.layer))
    }
}

fn work() -> (TempDir, PathBuf) {
    let work = TempDir::new().unwrap();
    let target = work.path().join("pulled");
    (work, target)
}

/// Nothing that is not right has the name of a blob, and no image counts.
fn assert_nothing_counts(target: &Path) {
    assert!(!target.join("index.json").exists());
    let Ok(blobs) = fs::read_dir(target.join("blobs/sha256")) else { return };
    for blob in blobs {
        let path = blob.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.ends_with(".part") {
            assert_eq!(digest(&fs::read(&path).unwrap()), format!("sha256:{name}"));
        }
    }
}

#[test]
fn a_token_is_asked_for_once_where_the_registry_says() {
    let image = image();
    let server = Server::new(move |question, port| {
        if question.path.starts_with("/token") {
            assert_eq!(question.headers.get("authorization"), None);
            return ok(br#"{"token":"abc.def","expires_in":300}"#);
        }
        match question.headers.get("authorization").map(String::as_str) {
            Some("Bearer abc.def") => image.honest(&question.path),
            _ => {
                let ask = format!(
                    "Bearer realm=\"http://127.0.0.1:{port}/token\",service=\"r\",scope=\"repository:box:pull\""
                );
                (
                    format!("401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: {ask}"),
                    Vec::new(),
                )
            }
        }
    });
    let (_work, target) = work();
    server.pull(&target, PullOptions::default()).unwrap();
    let asked = server.asked();
    assert_eq!(asked.len(), 5, "{asked:?}");
    assert_eq!(asked[1], "/token?scope=repository%3Abox%3Apull&service=r");
}

#[test]
fn a_login_goes_to_who_gives_tokens_and_never_along_a_redirect() {
    let image = image();
    let other = Server::new({
        let layer = image.layer.clone();
        move |question, _| {
            assert_eq!(question.headers.get("authorization"), None, "{}", question.path);
            ok(&layer)
        }
    });
    let there = format!("http://127.0.0.1:{}/layer", other.port);
    let server = Server::new(move |question, _| {
        if question.headers.get("authorization").map(String::as_str) != Some("Basic dTpw") {
            let head =
                "401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: Basic realm=\"r\"";
            return (head.to_owned(), Vec::new());
        }
        match image.is_layer(&question.path) {
            true => (format!("307 Go\r\nContent-Length: 0\r\nLocation: {there}"), Vec::new()),
            false => image.honest(&question.path),
        }
    });
    let (work, target) = work();
    let file = work.path().join("auth.json");
    let host = format!("127.0.0.1:{}", server.port);
    let auths = serde_json::json!({ "auths": { &host: { "auth": "dTpw" } } });
    fs::write(&file, auths.to_string()).unwrap();
    let error = server.pull(&target, PullOptions::default()).unwrap_err();
    assert!(error.to_string().contains("answers 401: name a file with a login"), "{error}");
    assert_eq!(Credentials::from_file(&file, "elsewhere.example").unwrap(), None);
    let credentials = Credentials::from_file(&file, &host).unwrap();
    assert!(!format!("{credentials:?}").contains("dTpw"));
    server.pull(&target, PullOptions { credentials, ..PullOptions::default() }).unwrap();
    for wrong in ["", "{\"auths\":1}", "{\"auths\":{\"h\":{\"auth\":\"!\"}}}"] {
        fs::write(&file, wrong).unwrap();
        assert!(Credentials::from_file(&file, "h").is_err(), "{wrong}");
    }
}

#[test]
fn a_pull_that_broke_off_goes_on_where_it_was() {
    let image = image();
    let (layer, manifest) = (image.layer.clone(), image.manifest.len() as u64);
    let server = Server::new(move |question, _| {
        if !image.is_layer(&question.path) {
            return image.honest(&question.path);
        }
        let from: usize = question.headers.get("range").map_or(0, |range| {
            range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap()
        });
        let rest = &image.layer[from..];
        let head = match from {
            0 => "200 OK".to_owned(),
            _ => format!("206 Some\r\nContent-Range: bytes {from}-299999/300000"),
        };
        // Says that all of it comes, and ends after a third.
        let body = rest[..rest.len().min(100_000)].to_vec();
        (format!("{head}\r\nContent-Length: {}", rest.len()), body)
    });
    let (_work, target) = work();
    let pulled = server.pull(&target, PullOptions::default()).unwrap();
    assert_eq!(pulled.received, pulled.bytes, "nothing travels twice");
    let blob = target.join("blobs/sha256").join(&digest(&layer)[7..]);
    assert_eq!(fs::read(&blob).unwrap(), layer);
    let ranges: Vec<String> = server
        .asked()
        .iter()
        .filter_map(|asked| Some(asked.split_once(' ')?.1.to_owned()))
        .collect();
    assert_eq!(ranges, ["bytes=100000-", "bytes=200000-"]);

    // What was cut or damaged on this machine is brought again.
    fs::write(&blob, &layer[..1000]).unwrap();
    let part = format!("{}.part", blob.display());
    fs::write(&part, &layer[..50_000]).unwrap();
    let again = server.pull(&target, PullOptions::default()).unwrap();
    assert_eq!(fs::read(&blob).unwrap(), layer);
    assert_eq!(again.received, 250_000 + manifest, "{again:?}");
    // A beginning of something else is noticed by the digest, and the next try begins anew.
    fs::remove_file(&blob).unwrap();
    fs::write(&part, vec![7; 50_000]).unwrap();
    let error = server.pull(&target, PullOptions::default()).unwrap_err();
    assert!(matches!(error, PullError::Damaged { .. }), "{error}");
    server.pull(&target, PullOptions::default()).unwrap();
}

#[test]
fn a_registry_that_lies_is_found_out_and_its_answers_are_bounded() {
    type Lie = fn(&Image, &str) -> Option<Answer>;
    let lies: [(&str, Lie, &str); 9] = [
        (
            "another byte in a layer",
            |image, path| {
                let mut layer = image.layer.clone();
                layer[5] ^= 1;
                image.is_layer(path).then(|| ok(&layer))
            },
            "expected sha256:",
        ),
        (
            "a layer without end",
            |image, path| {
                let body = vec![0; 1 << 20];
                image.is_layer(path).then(|| ("200 OK".to_owned(), body))
            },
            "expected 300000 bytes, found more",
        ),
        (
            "a manifest without end",
            |_, path| path.ends_with("/1").then(|| ("200 OK".to_owned(), vec![b' '; 5 << 20])),
            "more than 4194304 bytes",
        ),
        (
            "a manifest that is not what its header says",
            |image, path| {
                let (head, body) = ok(&image.manifest);
                let other = digest(b"other");
                path.ends_with("/1")
                    .then(|| (format!("{head}\r\nDocker-Content-Digest: {other}"), body))
            },
            "expected sha256:",
        ),
        (
            "sizes beyond all numbers",
            |image, path| {
                let text = String::from_utf8(image.manifest.clone()).unwrap();
                let text = text.replace("300000", "18446744073709551615");
                path.ends_with("/1").then(|| ok(text.as_bytes()))
            },
            "18446744073709551615 bytes",
        ),
        (
            "a digest that is a path",
            |image, path| {
                let text = String::from_utf8(image.manifest.clone()).unwrap();
                let text = text.replace(&digest(&image.layer), "sha256:../../../../etc/passwd");
                path.ends_with("/1").then(|| ok(text.as_bytes()))
            },
            "expected a digest",
        ),
        (
            "layers without number",
            |image, path| {
                let mut value: serde_json::Value = serde_json::from_slice(&image.manifest).unwrap();
                let layer = value["layers"][0].clone();
                value["layers"] = vec![layer; 2000].into();
                path.ends_with("/1").then(|| ok(value.to_string().as_bytes()))
            },
            "2000 entries",
        ),
        (
            "redirects in a circle",
            |image, path| {
                let head = format!("302 Go\r\nContent-Length: 0\r\nLocation: {path}");
                image.is_layer(path).then(|| (head, Vec::new()))
            },
            "too many redirects",
        ),
        (
            "an index in each index",
            |_, path| {
                let index = |of: &str, len: usize| {
                    serde_json::json!({
                        "schemaVersion": 2,
                        "mediaType": "application/vnd.oci.image.index.v1+json",
                        "manifests": [{ "digest": of, "size": len }],
                    })
                    .to_string()
                };
                // Five of them, the deepest first.
                let mut documents = vec![index(&digest(b""), 0)];
                for _ in 0..5 {
                    let last = documents.last().unwrap();
                    let next = index(&digest(last.as_bytes()), last.len());
                    documents.push(next);
                }
                let asked = path.rsplit('/').next().unwrap();
                let found = documents.iter().find(|document| digest(document.as_bytes()) == asked);
                Some(ok(found.unwrap_or(documents.last().unwrap()).as_bytes()))
            },
            "an index in each index",
        ),
    ];
    for (name, lie, expected) in lies {
        let image = image();
        let server = Server::new(move |question, _| {
            lie(&image, &question.path).unwrap_or_else(|| image.honest(&question.path))
        });
        let (_work, target) = work();
        let error = server.pull(&target, PullOptions::default()).unwrap_err();
        assert!(
            error.to_string().to_lowercase().contains(&expected.to_lowercase()),
            "{name}: {error}"
        );
        assert!(server.asked().len() < 30, "{name}");
        assert_nothing_counts(&target);
    }
}

#[test]
fn challenges_that_lead_astray_are_not_followed() {
    for ask in [
        "Bearer realm=\"file:///etc/passwd\"",
        "Bearer realm=\"ftp://127.0.0.1/token\"",
        "Bearer realm=\"/token\"",
        "Negotiate",
        "Bearer",
    ] {
        let server = Server::new(move |_, _| {
            (format!("401 No\r\nContent-Length: 0\r\nWWW-Authenticate: {ask}"), Vec::new())
        });
        let (_work, target) = work();
        let error = server.pull(&target, PullOptions::default()).unwrap_err();
        assert!(error.is_bad_input(), "{ask}: {error}");
        assert!(server.asked().len() <= 2, "{ask}");
        assert!(!target.exists());
    }
    // Tokens that would break out of their header.
    for token in ["{}", "{\"token\":\"\"}", "{\"token\":\"a\\r\\nX: y\"}", "nonsense"] {
        let server = Server::new(move |question, port| match question.path.starts_with("/token") {
            true => ok(token.as_bytes()),
            false => {
                let ask = format!("Bearer realm=\"http://127.0.0.1:{port}/token\"");
                (format!("401 No\r\nContent-Length: 0\r\nWWW-Authenticate: {ask}"), Vec::new())
            }
        });
        let (_work, target) = work();
        let error = server.pull(&target, PullOptions::default()).unwrap_err();
        assert!(matches!(error, PullError::Invalid { .. }), "{token}: {error}");
    }
}

#[test]
fn who_says_nothing_is_not_waited_for_for_ever() {
    let server = Server::new(move |_, _| {
        std::thread::sleep(Duration::from_secs(30));
        ("200 OK".to_owned(), Vec::new())
    });
    let (_work, target) = work();
    let start = std::time::Instant::now();
    let error = server.pull(&target, PullOptions::default()).unwrap_err();
    assert!(error.is_temporary(), "{error}");
    assert!(start.elapsed() < Duration::from_secs(15));
}

#[test]
fn two_pulls_do_not_write_the_same_directory() {
    let image = image();
    let server = Server::new(move |question, _| {
        if image.is_layer(&question.path) {
            std::thread::sleep(Duration::from_secs(1));
        }
        image.honest(&question.path)
    });
    let (_work, target) = work();
    std::thread::scope(|scope| {
        let pulls = [0, 1].map(|_| scope.spawn(|| server.pull(&target, PullOptions::default())));
        let pulls = pulls.map(|pull| pull.join().unwrap());
        let locked = pulls.iter().filter(|p| matches!(p, Err(PullError::Locked { .. }))).count();
        assert_eq!(locked, 1, "{pulls:?}");
    });
    assert!(target.join("index.json").exists());
}
