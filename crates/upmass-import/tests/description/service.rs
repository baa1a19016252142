//! Services: what is refused, and what becomes of good ones.

use serde_json::{Value, json};
use upmass_format::TreePath;
use upmass_format::tree::{Child, Node};

use crate::layout::{CONFIG, Layout, PLAIN, sha256};

use super::*;

const SERVICE: &str = r#"machine = "m"
version = "1"
[[component]]
name = "root"
source = { dir = "root" }
[[component]]
name = "broker"
source = { oci = "image" }
[[service]]
name = "mqtt"
image = "broker"
KEYS
[[system]]
name = "main"
components = ["root"]
services = ["mqtt"]
"#;

/// A project with an image that has a program, users and a config.
fn project(keys: &str, config: Value) -> Project {
    let project = Project::with(&SERVICE.replace("KEYS", keys));
    project.file("root/etc/hostname", "device\n");
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |name: &str, kind: tar::EntryType, mode: u32, content: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        header.set_entry_type(kind);
        if kind == tar::EntryType::Symlink {
            header.set_link_name(std::str::from_utf8(content).unwrap()).unwrap();
            header.set_size(0);
            builder.append_data(&mut header, name, &b""[..]).unwrap();
        } else {
            builder.append_data(&mut header, name, content).unwrap();
        }
    };
    let file = tar::EntryType::Regular;
    add("usr/bin/", tar::EntryType::Directory, 0o755, b"");
    add("usr/bin/broker", file, 0o755, b"\x7fELF");
    add("usr/bin/data", file, 0o644, b"no program");
    add("bin", tar::EntryType::Symlink, 0o777, b"usr/bin");
    add(
        "etc/passwd",
        file,
        0o644,
        b"root:x:0:0::/root:/bin/sh\nmqtt:x:1883:1884::/var/mqtt:/bin/sh\n",
    );
    add("etc/group", file, 0o644, b"mqtt:x:1884:\ndialout:x:20:mqtt\n");
    add("etc/hosts", file, 0o644, b"");
    add("data/", tar::EntryType::Directory, 0o755, b"");
    add("proc/", tar::EntryType::Directory, 0o755, b"");
    let archive = builder.into_inner().unwrap();
    let layout = Layout::new(&project.path("image"));
    let image = json!({
        "os": "linux", "architecture": "amd64", "config": config,
        "rootfs": { "type": "layers", "diff_ids": [sha256(&archive)] },
    });
    let config = layout.document(CONFIG, &image);
    layout.index(&[layout.manifest_of(config, vec![layout.blob(PLAIN, &archive)])]);
    project
}

fn plain() -> Value {
    json!({ "Entrypoint": ["broker"], "Cmd": ["-v"], "Env": ["LEVEL=1", "PATH=/bin"], "User": "mqtt" })
}

fn file(project: &Project, path: &str) -> String {
    let release = project.import().release;
    let component = release.components.iter().find(|component| component.name == "service-mqtt");
    let (tree, _) = project.store.tree(component.unwrap().tree).unwrap();
    match tree.get(&TreePath::new(path).unwrap()) {
        Some(Child::Leaf(_, Node::Inline(content))) => String::from_utf8(content.clone()).unwrap(),
        Some(Child::Leaf(_, Node::Object { id, .. })) => {
            let mut text = String::new();
            let mut reader = project.store.object_reader(*id).unwrap();
            std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
            text
        }
        Some(Child::Leaf(_, Node::Symlink(target))) => String::from_utf8(target.clone()).unwrap(),
        other => panic!("{path}: {other:?}"),
    }
}

#[test]
fn what_is_wrong_with_a_service_is_one_clear_sentence() {
    let check = |keys: &str, expected: &str| {
        assert_eq!(project(keys, plain()).refused(), expected, "{keys}");
    };
    let value = |key: &str, expected: &str, found: &str| {
        format!(
            "release.toml:12: \"{key}\" of service \"mqtt\": expected {expected}, found {found}"
        )
    };
    check(
        "imag = 1",
        "release.toml:12: unknown key \"imag\" in service \"mqtt\", did you mean \"image\"?; known are name, image, runtime, entrypoint, command, env, user, workdir, volumes, tmpfs, writable, network, ports, devices, capabilities, memory, cpus, restart, after, health",
    );
    check("runtime = \"docker\"", &value("runtime", "\"crun\" or \"systemd\"", "\"docker\""));
    check(
        "restart = \"sometimes\"",
        &value("restart", "\"always\" or \"on-failure\" or \"no\"", "\"sometimes\""),
    );
    check("network = \"bridge\"", &value("network", "\"none\" or \"host\"", "\"bridge\""));
    check(
        "ports = [\"0\"]",
        &value(
            "ports",
            "a TCP port such as \"1883\", \"8080:80\" or \"127.0.0.1:8080:80\"",
            "\"0\"",
        ),
    );
    check("devices = [\"/etc/passwd\"]", &value("devices", "a path below /dev", "\"/etc/passwd\""));
    check(
        "capabilities = [\"NET_RAW\"]",
        &value(
            "capabilities",
            "a capability of Linux such as \"CAP_NET_BIND_SERVICE\"",
            "\"NET_RAW\"",
        ),
    );
    check(
        "cpus = \"0\"",
        &value("cpus", "a number of processors in quotes, such as \"0.5\" or \"2\"", "\"0\""),
    );
    let path = "an absolute path below / without . and .., such as \"/var/lib/app\"";
    check("tmpfs = [\"/a/../b\"]", &value("tmpfs", path, "\"/a/../b\""));
    check("tmpfs = [\"/\"]", &value("tmpfs", path, "\"/\""));
    check(
        "runtime = \"systemd\"\nwritable = [\"/etc\"]",
        "release.toml:13: \"writable\" of service \"mqtt\" needs runtime = \"crun\": the sandbox of systemd has no overlays",
    );
    check(
        "network = \"host\"\nports = [\"80\"]",
        "release.toml:13: \"ports\" of service \"mqtt\" has no meaning with network = \"host\": the service has all ports of the device",
    );
    // What only the image can tell.
    let value = |key: &str, expected: &str, found: &str| {
        format!("release.toml:9: \"{key}\" of service \"mqtt\": expected {expected}, found {found}")
    };
    check(
        "user = \"nobody\"",
        &value("user", "a user and group that the image knows, or numbers", "\"nobody\""),
    );
    check("entrypoint = [\"/bin/no\"]", &value("command", "a program of the image", "\"/bin/no\""));
    check("entrypoint = [\"data\"]", &value("command", "a program of the image", "\"data\""));
    check(
        "entrypoint = []\ncommand = []",
        &value("command", "a program to run", "none, also not in the image"),
    );
    check("workdir = \"/no\"", &value("workdir", "a directory of the image", "\"/no\""));
    check("writable = [\"/no\"]", &value("writable", "directories of the image", "\"/no\""));
    check(
        "tmpfs = [\"/etc/passwd\"]",
        &value(
            "tmpfs",
            "a path that is a directory in the image, or nothing",
            "/etc/passwd, which is something else",
        ),
    );
    check(
        "tmpfs = [\"/data\"]\nvolumes = { d = \"/data\" }",
        &value("volumes", "each path in one of volumes, tmpfs and writable", "\"/data\" twice"),
    );
    check("after = [\"other\"]", &value("after", "names of other services", "\"other\""));
}

#[test]
fn a_service_belongs_to_a_system_and_has_an_image() {
    let check = |from: &str, to: &str, expected: &str| {
        let project = project("", plain());
        project.describe(&project.text().replace(from, to));
        assert_eq!(project.refused(), expected);
    };
    check(
        "services = [\"mqtt\"]\n",
        "",
        "release.toml:9: service \"mqtt\" belongs to no system: name it in the \"services\" of a system, or remove it",
    );
    check(
        "services = [\"mqtt\"]",
        "services = [\"mqt\"]",
        "release.toml:16: \"services\" of system \"main\": there is no service \"mqt\", did you mean \"mqtt\"?; there are \"mqtt\"",
    );
    check(
        "image = \"broker\"",
        "image = \"root\"",
        "release.toml:11: \"image\" of service \"mqtt\": expected a component with a source { oci = \"…\" }, found \"root\" from another source",
    );
}

#[test]
fn a_bundle_has_what_the_image_and_the_file_say() {
    let project = project(
        "env = { LEVEL = \"2\", NEW = \"x\" }\nvolumes = { store = \"/data\", log = \"/var/log/mqtt\" }\ntmpfs = [\"/tmp\"]\nwritable = [\"/etc\"]\nports = [\"1883\"]\ndevices = [\"/dev/ttyS1\"]\ncapabilities = [\"CAP_NET_BIND_SERVICE\"]\nmemory = 67108864\ncpus = \"0.5\"\nhealth = [\"broker\", \"--it's well\"]",
        plain(),
    );
    let config: Value =
        serde_json::from_str(&file(&project, "usr/lib/upmass/services/mqtt/config.json")).unwrap();
    let process = &config["process"];
    assert_eq!(process["args"], json!(["/bin/broker", "-v"]));
    assert_eq!(process["env"], json!(["PATH=/bin", "HOME=/var/mqtt", "LEVEL=2", "NEW=x"]));
    assert_eq!(process["user"], json!({ "uid": 1883, "gid": 1884, "additionalGids": [20] }));
    assert_eq!(process["capabilities"]["ambient"], json!(["CAP_NET_BIND_SERVICE"]));
    assert_eq!(
        config["root"],
        json!({ "path": "/usr/lib/upmass/images/broker", "readonly": true })
    );
    let targets: Vec<&str> = config["mounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| mount["destination"].as_str().unwrap())
        .collect();
    for target in ["/data", "/var/log/mqtt", "/tmp", "/etc", "/dev/ttyS1", "/proc"] {
        assert!(targets.contains(&target), "{target}");
    }
    let unit = file(&project, "usr/lib/systemd/system/mqtt.service");
    for line in [
        "MemoryMax=67108864",
        "CPUQuota=50%",
        "PrivateNetwork=yes",
        "Restart=always",
        "KillMode=mixed",
    ] {
        assert!(unit.contains(&format!("\n{line}\n")), "{line}: {unit}");
    }
    let temporary = file(&project, "usr/lib/tmpfiles.d/upmass-mqtt.conf");
    assert!(
        temporary.contains(
            "C /var/lib/upmass/volumes/mqtt/store - - - - /usr/lib/upmass/images/broker/data\n"
        ),
        "{temporary}"
    );
    assert!(
        temporary.contains("d /var/lib/upmass/volumes/mqtt/log 0755 1883 1884 -\n"),
        "{temporary}"
    );
    assert!(
        file(&project, "etc/upmass/health.d/mqtt")
            .contains("crun exec upmass-mqtt 'broker' '--it'\\''s well'")
    );
    assert_eq!(
        file(&project, "usr/lib/systemd/system/multi-user.target.wants/mqtt.service"),
        "../mqtt.service"
    );
    assert!(
        file(&project, "usr/lib/systemd/system/mqtt-port-1883.socket")
            .contains("\nListenStream=1883\n")
    );
}

#[test]
fn a_service_that_changes_costs_its_own_component_only() {
    let project = project("", plain());
    let before = project.import().release;
    project.describe(
        &project
            .text()
            .replace("KEYS", "")
            .replace("image = \"broker\"\n", "image = \"broker\"\nrestart = \"no\"\n"),
    );
    let after = project.import().release;
    let changed: Vec<&str> = before
        .components
        .iter()
        .zip(&after.components)
        .filter(|(before, after)| before != after)
        .map(|(before, _)| before.name.as_str())
        .collect();
    assert_eq!(changed, ["service-mqtt"]);
}

#[test]
fn systemd_takes_the_units_of_both_ways() {
    for keys in [
        "runtime = \"crun\"",
        "runtime = \"systemd\"\nuser = \"0\"",
        "runtime = \"systemd\"\ndevices = [\"/dev/ttyS1\"]",
    ] {
        let keys = format!(
            "{keys}\nports = [\"1883\"]\ntmpfs = [\"/tmp\"]\nvolumes = {{ d = \"/data\" }}\nmemory = 1000000\ncommand = [\"50% of $HOME\", \"a \\\"b\\\"\"]"
        );
        let project = project(&keys, plain());
        let directory = project.path("units");
        fs::create_dir(&directory).unwrap();
        let mut units = Vec::new();
        for unit in ["mqtt.service", "mqtt-port-1883.socket", "mqtt-port-1883.service"] {
            let text = file(&project, &format!("usr/lib/systemd/system/{unit}"));
            // The programs are on the device, not here.
            let text: String = text
                .lines()
                .map(|line| {
                    match line.split_once("=-/usr/bin/crun").or(line.split_once("=/usr/bin/crun")) {
                        Some((key, rest)) => format!("{key}=/bin/true{rest}\n"),
                        None if line.starts_with("ExecStart=/lib") => {
                            "ExecStart=/bin/true\n".to_owned()
                        }
                        None => format!(
                            "{}\n",
                            line.replace("ExecStart=\"/bin/broker\"", "ExecStart=\"/bin/true\"")
                        ),
                    }
                })
                .collect();
            let path = directory.join(unit);
            fs::write(&path, text).unwrap();
            units.push(path);
        }
        let output = std::process::Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .args(&units)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        let ours: Vec<&str> = told.lines().filter(|line| line.contains("mqtt")).collect();
        assert!(output.status.success() && ours.is_empty(), "{keys}: {told}");
    }
}
