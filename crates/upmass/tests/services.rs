//! Services of a release: from an image to a program that runs, by crun itself.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::Place;
use serde_json::Value;

const DESCRIPTION: &str = r#"machine = "m"
version = "1"
[[component]]
name = "root"
source = { dir = "root" }
[[component]]
name = "box"
source = { oci = "layout" }
[[service]]
name = "hello"
image = "box"
env = { GREETING = "hello" }
tmpfs = ["/var/cache"]
writable = ["/etc"]
[[system]]
name = "main"
components = ["root"]
services = ["hello"]
"#;

/// What the service does: it says who and where it is, and tries what it must not do.
const PROGRAM: &str = "echo $GREETING $(id -u) $$; touch /usr/x 2>/dev/null || echo read-only; \
    touch /etc/x /var/cache/x && echo writable; ls /sys/class/net; exit 7";

fn run(directory: &Path, program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).current_dir(directory).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A release with a service whose image umoci makes of busybox, checked out.
fn release(program: &str) -> Place {
    let place = Place::new();
    let box_root = place.path("box");
    for directory in ["bin", "usr", "etc"] {
        fs::create_dir_all(box_root.join(directory)).unwrap();
    }
    fs::copy("/bin/busybox", box_root.join("bin/busybox")).expect("busybox-static is installed");
    for name in ["sh", "id", "touch", "ls", "sleep"] {
        std::os::unix::fs::symlink("busybox", box_root.join("bin").join(name)).unwrap();
    }
    fs::write(box_root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh\n")
        .unwrap();
    fs::create_dir_all(place.path("root/etc")).unwrap();
    let directory = place.directory.path();
    run(directory, "tar", &["-C", "box", "--owner=0", "--group=0", "-cf", "layer.tar", "."]);
    run(directory, "umoci", &["init", "--layout", "layout"]);
    run(directory, "umoci", &["new", "--image", "layout:1"]);
    run(directory, "umoci", &["raw", "add-layer", "--image", "layout:1", "layer.tar"]);
    run(
        directory,
        "umoci",
        &[
            "config",
            "--image",
            "layout:1",
            "--config.entrypoint=sh",
            "--config.entrypoint=-c",
            "--config.cmd",
            program,
        ],
    );
    fs::write(place.path("release.toml"), DESCRIPTION).unwrap();
    place.succeed(&["release", "release.toml", "--store", "store"]);
    place
}

/// Runs a script in which the paths of the system are those of the checkout: in namespaces of its own.
fn in_system(place: &Place, script: &str) -> (Option<i32>, String, String) {
    place.succeed(&["checkout", "1", "system", "--store", "store"]);
    let before = "set -e\nmount --make-rprivate /\n\
        mount -t overlay -o lowerdir=$PWD/system/usr/lib:/usr/lib none /usr/lib\n\
        mount -t tmpfs none /run\nmount -t cgroup2 none /sys/fs/cgroup\n\
        sed -n 's/^d \\([^ ]*\\).*/\\1/p' system/usr/lib/tmpfiles.d/upmass-hello.conf | xargs mkdir -p\n";
    let output = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--fork", "--mount-proc", "sh", "-c"])
        .arg(format!("{before}{script}"))
        .env("UPMASS", env!("CARGO_BIN_EXE_upmass"))
        .current_dir(place.directory.path())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn crun_runs_the_bundle_of_a_checkout() {
    let place = release(PROGRAM);
    let (status, stdout, stderr) = in_system(
        &place,
        "exec crun --cgroup-manager=disabled run --bundle /usr/lib/upmass/services/hello upmass-hello\n",
    );
    assert_eq!(stdout, "hello 0 1\nread-only\nwritable\nlo\n", "{stderr}");
    assert_eq!(status, Some(7), "{stderr}");
}

#[test]
fn exec_runs_a_command_in_a_container_as_its_service_is_run() {
    let place = release("while :; do sleep 1; done");
    // Its own tools are busybox: what the machine has is not there.
    let (status, stdout, stderr) = in_system(
        &place,
        "crun --cgroup-manager=disabled run --detach --bundle /usr/lib/upmass/services/hello upmass-hello > /dev/null 2>&1 < /dev/null\n\
         set +e\n\
         $UPMASS exec hello sh -c 'echo $GREETING; ls /bin; touch /usr/x 2>/dev/null || echo read-only; exit 9'\n\
         echo status $?\n\
         $UPMASS exec hello -- ls -d /etc 2>&1; $UPMASS exec hello no-such-command > /dev/null 2>&1 || echo failed\n\
         $UPMASS exec other true 2>&1; echo status $?\n\
         crun delete --force upmass-hello\n",
    );
    assert_eq!(
        stdout,
        "hello\nbusybox\nid\nls\nsh\nsleep\ntouch\nread-only\nstatus 9\n/etc\nfailed\n\
         upmass: error: there is no service \"other\" in this system: there is hello\nstatus 3\n",
        "{stderr}"
    );
    assert_eq!(status, Some(0), "{stderr}");
}

#[test]
fn show_and_services_tell_what_a_release_runs() {
    let place = release(PROGRAM);
    let text = place.succeed(&["show", "1", "--store", "store"]);
    assert!(text.contains("service hello of box, run by crun"), "{text}");
    let json: Value =
        serde_json::from_str(&place.succeed(&["show", "1", "--store", "store", "--json"])).unwrap();
    let service = &json["systems"][0]["services"][0];
    assert_eq!((&service["name"], &service["args"][0]), (&"hello".into(), &"/bin/sh".into()));

    for release in ["1", "1/main"] {
        let services = ["services", release, "--store", "store"];
        assert_eq!(place.succeed(&services), "hello                box by crun\n");
        let json = place.succeed(&[&services[..], &["--json"]].concat());
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&json["system"], &json["services"][0]), (&"main".into(), service));
    }
    let refused = place.fail(3, &["services", "1/no-such", "--store", "store"]);
    assert_eq!(refused, "release 1 has no system \"no-such\"; it has main");
    place.fail(2, &["services", "1"]);
}

#[test]
fn services_of_a_root_directory_are_those_of_its_release_and_damaged_ones_are_told() {
    let place = release(PROGRAM);
    place.succeed(&["checkout", "1", "system", "--store", "store"]);
    let json: Value =
        serde_json::from_str(&place.succeed(&["services", "--root", "system", "--json"])).unwrap();
    let in_release = place.succeed(&["services", "1", "--store", "store", "--json"]);
    let mut expected: Value = serde_json::from_str(&in_release).unwrap();
    // What does not run here has no state.
    expected["services"][0]["state"] = Value::Null;
    assert_eq!(json["services"], expected["services"]);
    let text = place.succeed(&["services", "--root", "system"]);
    assert_eq!(text, "hello                unknown                  box by crun\n");

    fs::create_dir(place.path("system/usr/lib/upmass/services/half")).unwrap();
    place.succeed(&["services", "--root", "system"]);
    fs::write(place.path("system/usr/lib/upmass/services/half/service.json"), "{}").unwrap();
    let refused = place.fail(3, &["services", "--root", "system"]);
    assert_eq!(
        refused,
        "system/usr/lib/upmass/services/half/service.json: expected a service of version 1, as `upmass release` writes it"
    );
    assert_eq!(place.succeed(&["services", "--root", "root"]), "");
}
