//! Images of a real registry (Debian's docker-registry), pushed by skopeo, compared with what skopeo
//! copies.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use upmass_import::{ImportOptions, OciSource, import_oci};
use upmass_registry::{PullError, PullOptions, pull};
use upmass_store::Store;

/// A registry for the time of a test, with its certificate where it speaks TLS.
struct Registry {
    work: TempDir,
    process: Child,
    port: u16,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(directory: &Path, program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).current_dir(directory).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}: run ./setup"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Registry {
    fn new(tls: bool) -> Self {
        let work = TempDir::new().unwrap();
        // Free now; nobody else on loopback asks for it in this moment.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = work.path().display();
        let mut config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {path}/data\n\
             http:\n  addr: 127.0.0.1:{port}\n"
        );
        if tls {
            let words = "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj \
                         /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
            run(work.path(), "openssl", &words.split_whitespace().collect::<Vec<_>>());
            config.push_str(&format!(
                "  tls:\n    certificate: {path}/cert.pem\n    key: {path}/key.pem\n"
            ));
        }
        fs::write(work.path().join("config.yml"), config).unwrap();
        let process = Command::new("docker-registry")
            .args(["serve", "config.yml"])
            .current_dir(work.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry is installed (run ./setup)");
        let start = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(60), "the registry does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { work, process, port }
    }

    fn image(&self, name: &str) -> String {
        format!("docker://127.0.0.1:{}/{name}", self.port)
    }

    /// An image of two layers for a platform, in a layout.
    fn layout(&self, architecture: &str) -> String {
        let directory = self.work.path();
        let layout = format!("layout-{architecture}");
        run(directory, "umoci", &["init", "--layout", &layout]);
        let image = format!("{layout}:1");
        run(directory, "umoci", &["new", "--image", &image]);
        for layer in ["one", "two"] {
            let root = directory.join(format!("{architecture}-{layer}"));
            fs::create_dir_all(root.join("etc")).unwrap();
            fs::write(
                root.join("etc").join(layer),
                format!("{architecture} {layer}\n").repeat(9999),
            )
            .unwrap();
            let archive = format!("{architecture}-{layer}.tar");
            let from = root.display().to_string();
            run(directory, "tar", &["-C", &from, "--owner=0", "--group=0", "-cf", &archive, "."]);
            run(directory, "umoci", &["raw", "add-layer", "--image", &image, &archive]);
        }
        run(directory, "umoci", &["config", "--image", &image, "--architecture", architecture]);
        layout
    }

    fn push(&self, layout: &str, name: &str, more: &[&str]) {
        let (from, to) = (format!("oci:{layout}:1"), self.image(name));
        let words = ["copy", "-q", "--dest-tls-verify=false", &from, &to];
        run(self.work.path(), "skopeo", &[&words[..], more].concat());
    }

    /// An index of two images, which skopeo cannot make of layouts.
    fn push_index(&self, name: &str, tag: &str, images: &[(&str, &str)]) {
        let manifests = images.iter().map(|(image, architecture)| {
            let answer = Command::new("curl")
                .args(["-sS", "-H", "Accept: application/vnd.oci.image.manifest.v1+json"])
                .arg(format!("http://127.0.0.1:{}/v2/{name}/manifests/{image}", self.port))
                .output()
                .unwrap();
            let path = self.work.path().join("manifest");
            fs::write(&path, &answer.stdout).unwrap();
            let digest = Command::new("sha256sum").arg(&path).output().unwrap().stdout;
            serde_json::json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": format!("sha256:{}", std::str::from_utf8(&digest[..64]).unwrap()),
                "size": answer.stdout.len(),
                "platform": { "os": "linux", "architecture": architecture },
            })
        });
        let kind = "application/vnd.oci.image.index.v1+json";
        let index = serde_json::json!({
            "schemaVersion": 2, "mediaType": kind, "manifests": manifests.collect::<Vec<_>>(),
        });
        let url = format!("http://127.0.0.1:{}/v2/{name}/manifests/{tag}", self.port);
        let (kind, index) = (format!("Content-Type: {kind}"), index.to_string());
        run(self.work.path(), "curl", &["-sSf", "-X", "PUT", "-H", &kind, "-d", &index, &url]);
    }
}

fn plain() -> PullOptions {
    PullOptions { plain_http: true, ..PullOptions::default() }
}

/// The tree and the layers that an import makes of a layout.
fn imported(layout: &Path) -> (upmass_format::TreeId, Vec<String>) {
    let work = TempDir::new().unwrap();
    let store = Store::open_or_create(&work.path().join("store")).unwrap();
    let image =
        import_oci(&store, &OciSource::at(layout), &ImportOptions::default(), &|_| {}).unwrap();
    let layers = image.layers.iter().map(ToString::to_string).collect();
    (image.imported.tree, layers)
}

#[test]
fn what_is_pulled_is_what_was_pushed_and_what_skopeo_copies() {
    let registry = Registry::new(false);
    let layout = registry.layout("amd64");
    for (name, more) in
        [("some/box:1.0", &[][..]), ("box:docker", &["--format", "v2s2"]), ("box:latest", &[])]
    {
        registry.push(&layout, name, more);
        let image = registry.image(name);
        let target = registry.work.path().join(name.replace(['/', ':'], "-"));
        let mut bytes = 0;
        let pulled = pull(&image.parse().unwrap(), &target, &plain(), &mut |n| bytes += n).unwrap();
        assert_eq!(imported(&target), imported(&registry.work.path().join(&layout)), "{name}");
        assert_eq!(bytes, pulled.received);
        assert_eq!((pulled.blobs, pulled.reference.as_deref()), (4, name.split(':').nth(1)));
        let copied = format!("oci:skopeo-{}", pulled.manifest.short());
        run(
            registry.work.path(),
            "skopeo",
            &["copy", "-q", "--src-tls-verify=false", &image, &copied],
        );
        let copied = registry.work.path().join(&copied[4..]);
        assert_eq!(imported(&target), imported(&copied), "{name}");
        // skopeo reads what was written, digest by digest.
        let from = format!("oci:{}", target.display());
        run(registry.work.path(), "skopeo", &["copy", "-q", &from, "dir:checked"]);
        fs::remove_dir_all(registry.work.path().join("checked")).unwrap();

        // Again, nothing but the manifest travels; by its digest too.
        let again = pull(&image.parse().unwrap(), &target, &plain(), &mut |_| {}).unwrap();
        assert_eq!(again.received, again.bytes - pulled.received + again.received);
        assert!(again.received < 2000, "{again:?}");
        let name = name.split(':').next().unwrap();
        let by_digest = format!("{}@{}", registry.image(name), pulled.manifest);
        let other = registry.work.path().join("by-digest").join(pulled.manifest.short());
        fs::create_dir_all(other.parent().unwrap()).unwrap();
        pull(&by_digest.parse().unwrap(), &other, &plain(), &mut |_| {}).unwrap();
        assert_eq!(imported(&other), imported(&target));
    }
}

#[test]
fn of_several_platforms_the_one_that_was_asked_for_comes() {
    let registry = Registry::new(false);
    for architecture in ["amd64", "arm64"] {
        registry.push(&registry.layout(architecture), &format!("box:{architecture}"), &[]);
    }
    registry.push_index("box", "all", &[("amd64", "amd64"), ("arm64", "arm64")]);
    let image = registry.image("box:all").parse().unwrap();
    let target = |name: &str| registry.work.path().join(name);
    let for_platform =
        |platform: &str| PullOptions { platform: Some(platform.parse().unwrap()), ..plain() };
    for architecture in ["amd64", "arm64"] {
        let options = for_platform(&format!("linux/{architecture}"));
        pull(&image, &target(architecture), &options, &mut |_| {}).unwrap();
        let pushed = registry.work.path().join(format!("layout-{architecture}"));
        assert_eq!(imported(&target(architecture)), imported(&pushed));
    }
    let error = pull(&image, &target("none"), &plain(), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("expected one image, found linux/amd64, linux/arm64"), "{error}");
    let options = for_platform("linux/riscv64");
    let error = pull(&image, &target("none"), &options, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("expected one image for linux/riscv64, found linux/"), "{error}");
    // An image without an index says of itself what it is for.
    let one = registry.image("box:amd64").parse().unwrap();
    let error =
        pull(&one, &target("wrong"), &for_platform("linux/arm64"), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("found linux/amd64"), "{error}");
    assert!(!target("none").exists() && !target("wrong").join("index.json").exists());
}

#[test]
fn a_registry_with_tls_is_believed_by_its_certificate_alone() {
    let registry = Registry::new(true);
    let layout = registry.layout("amd64");
    registry.push(&layout, "box:1", &[]);
    let image = registry.image("box:1").parse().unwrap();
    let target = registry.work.path().join("pulled");
    let ca = Some(registry.work.path().join("cert.pem"));
    let patience = Duration::from_secs(10);
    let stranger = PullOptions { patience, ..PullOptions::default() };
    let error = pull(&image, &target, &stranger, &mut |_| {}).unwrap_err();
    assert!(matches!(error, PullError::Network { .. }), "{error}");
    assert!(!target.exists());
    let options = PullOptions { ca, ..PullOptions::default() };
    pull(&image, &target, &options, &mut |_| {}).unwrap();
    assert_eq!(imported(&target), imported(&registry.work.path().join(&layout)));
}

#[test]
fn an_image_that_is_not_there_is_refused_and_nothing_is_made() {
    let registry = Registry::new(false);
    registry.push(&registry.layout("amd64"), "box:1", &[]);
    let target = registry.work.path().join("pulled");
    for name in ["box:2", "other:1"] {
        let image = registry.image(name).parse().unwrap();
        let error = pull(&image, &target, &plain(), &mut |_| {}).unwrap_err();
        assert!(
            error.is_bad_input() && error.to_string().contains("there is no such image"),
            "{error}"
        );
    }
    assert!(!target.exists());
    // Too large is known before anything travels.
    let image = registry.image("box:1").parse().unwrap();
    let options = PullOptions { max_size: 100, ..plain() };
    let error = pull(&image, &target, &options, &mut |_| {}).unwrap_err();
    assert!(matches!(error, PullError::TooMuch { .. }), "{error}");
    // Another directory is not written into.
    fs::create_dir_all(registry.work.path().join("mine")).unwrap();
    fs::write(registry.work.path().join("mine/file"), "x").unwrap();
    let error =
        pull(&image, &registry.work.path().join("mine"), &plain(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("found other files"), "{error}");
}
