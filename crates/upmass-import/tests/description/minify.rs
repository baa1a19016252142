//! `[minify]`: systems of a release become smaller, and nothing that one of them needs is lost.

use std::os::unix::fs::PermissionsExt;

use super::*;

const SYSTEMS: &str = r#"machine = "m"
version = "1"
fallback = "main"
[minify]
KEYS
[[component]]
name = "root"
source = { dir = "root" }
[[component]]
name = "app"
install = "/opt/app"
source = { dir = "app" }
[[component]]
name = "kept"
source = { oci = "image" }
install = "/opt/image"
[[system]]
name = "main"
components = ["root", "app", "kept"]
kernel = "/boot/vmlinuz-*"
initrd = "/boot/own.img"
[[system]]
name = "bare"
components = ["root"]
kernel = "/boot/vmlinuz-*"
"#;

/// A root with a package database, an application beside it, and an image.
fn project(keys: &str) -> Project {
    use crate::layout::{CONFIG, Layout, PLAIN, sha256};
    let project = Project::with(&SYSTEMS.replace("KEYS", keys));
    for (path, content) in [
        ("root/usr/sbin/init", "#!/usr/bin/sh\n"),
        ("root/usr/bin/sh", "x"),
        ("root/usr/bin/tool", "#!/usr/bin/sh\n"),
        ("root/usr/bin/gone", "#!/usr/bin/sh\n"),
        ("root/usr/share/man/man1/tool.1", "manual"),
        ("root/var/lib/dpkg/status", "Package: x\nArchitecture: all\n"),
        ("root/boot/vmlinuz-6.1", "kernel"),
        ("root/boot/own.img", "initrd"),
        ("root/boot/System.map-6.1", "map"),
        ("root/usr/lib/modules/6.1/kernel/a.ko", "a"),
        ("root/usr/lib/modules/6.1/kernel/b.ko", "b"),
        ("app/run", "#!/usr/bin/sh\ntool\n"),
        ("app/share/man/x", "not where manuals are"),
    ] {
        project.file(path, content);
        if path.contains("bin/") || path == "app/run" {
            fs::set_permissions(project.path(path), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    project.link("root/sbin", "usr/sbin");
    project.link("root/bin", "usr/bin");
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in [("usr/share/man/man1/in-image.1", "x"), ("usr/bin/x", "/usr/bin/gone")]
    {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        builder.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    let archive = builder.into_inner().unwrap();
    let layout = Layout::new(&project.path("image"));
    let image = serde_json::json!({
        "os": "linux", "architecture": "amd64", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [sha256(&archive)] },
    });
    let config = layout.document(CONFIG, &image);
    layout.index(&[layout.manifest_of(config, vec![layout.blob(PLAIN, &archive)])]);
    project
}

/// All files of a component.
fn files(project: &Project, imported: &ImportedRelease, component: &str) -> Vec<String> {
    let release = &imported.release;
    let component = release.components.iter().find(|known| known.name == component).unwrap();
    let (tree, _) = project.store.tree(component.tree).unwrap();
    let mut files = Vec::new();
    let infallible = tree.walk(&mut |path, _, node| {
        if !matches!(node, upmass_format::tree::Node::Directory) {
            files.push(path.to_string());
        }
        Ok::<(), std::convert::Infallible>(())
    });
    let Ok(()) = infallible;
    files.sort();
    files
}

#[test]
fn a_system_keeps_what_its_components_need_of_each_other() {
    let project = project("level = \"lean\"");
    let imported = project.import();
    let root = files(&project, &imported, "root");
    let has = |path: &str| root.iter().any(|known| known == path);
    // The application of one system needs it; an image has a root of its own.
    assert!(has("usr/bin/tool") && has("usr/bin/sh") && has("usr/sbin/init"), "{root:?}");
    assert!(!has("usr/bin/gone") && !has("usr/share/man/man1/tool.1"), "{root:?}");
    // What one of the systems boots stays for both, and other boot files go.
    assert!(has("boot/vmlinuz-6.1") && has("boot/own.img"), "{root:?}");
    assert!(!has("boot/System.map-6.1"), "{root:?}");
    assert_eq!(files(&project, &imported, "app"), ["run", "share/man/x"]);
    assert_eq!(files(&project, &imported, "kept").len(), 2);

    let [main, bare] = &imported.minified[..] else { panic!("{:?}", imported.minified) };
    assert_eq!((&main.system[..], &bare.system[..]), ("main", "bare"));
    let chain = main.minified.chain(b"/usr/bin/tool").unwrap();
    assert_eq!(chain[1].entry.path, b"/opt/app/run");
    assert!(!bare.minified.keeps(b"/usr/bin/tool") && !bare.minified.keeps(b"/boot/own.img"));
    let report = imported.components.iter().find(|report| report.name == "root").unwrap();
    assert_eq!(report.files, root.len() as u64 - 2, "all but the two links");
    // The same again gives the same release.
    let again = project.import();
    assert!(again.release == imported.release && again.minified == imported.minified);
}

#[test]
fn keys_say_what_stays_and_goes() {
    let project = project(
        "level = \"lean\"\nroots = [\"gone\"]\nkeep = [\"/usr/share/man/**/tool.1\"]\n\
         drop = [\"/opt/app/share\"]\nhardware = \"lsmod\"",
    );
    project.file("lsmod", "Module Size Used by\na 16384 0\n");
    let imported = project.import();
    let root = files(&project, &imported, "root");
    let has = |path: &str| root.iter().any(|known| known == path);
    assert!(has("usr/bin/gone") && has("usr/share/man/man1/tool.1"), "{root:?}");
    assert!(has("usr/lib/modules/6.1/kernel/a.ko"), "{root:?}");
    assert!(!has("usr/lib/modules/6.1/kernel/b.ko"), "{root:?}");
    assert_eq!(files(&project, &imported, "app"), ["run"]);
}

#[test]
fn safe_keeps_what_programs_may_use_and_boot_files_that_systems_name() {
    let project = project("level = \"safe\"");
    let imported = project.import();
    let root = files(&project, &imported, "root");
    let has = |path: &str| root.iter().any(|known| known == path);
    assert!(has("usr/bin/gone") && has("usr/lib/modules/6.1/kernel/b.ko"), "{root:?}");
    assert!(!has("usr/share/man/man1/tool.1") && !has("boot/System.map-6.1"), "{root:?}");
}

#[test]
fn what_is_wrong_with_it_is_one_clear_sentence() {
    let check = |keys: &str, expected: &str| {
        assert_eq!(project(keys).refused(), expected, "{keys}");
    };
    check(
        "level = \"tiny\"",
        "release.toml:5: \"level\" of \"minify\": expected \"safe\", \"lean\" or \"bare\", found \"tiny\"",
    );
    check(
        "root = [\"sh\"]",
        "release.toml:5: unknown key \"root\" in \"minify\", did you mean \"roots\"?; known are level, roots, keep, drop, locales, time_zones, terminals, hardware",
    );
    check(
        "keep = [\"etc\"]",
        "release.toml:5: \"keep\" of \"minify\": expected a pattern, found the pattern \"etc\" is wrong: expected an absolute path such as /usr/share/doc or /**/*.a",
    );
    check(
        "roots = [\"no-such\"]",
        "release.toml:4: \"minify\" of system \"main\": the root \"no-such\" is neither a command, a unit nor a path of this system: expected a name in /usr/bin or the like, a unit such as ssh.service, or an absolute path",
    );
    let missing = project("hardware = \"lsmod\"").refused();
    let expected = "release.toml:5: \"hardware\" of \"minify\": cannot read lsmod: No such file";
    assert!(missing.starts_with(expected), "{missing}");
    let project = project("");
    let only_image = "machine = \"m\"\nversion = \"1\"\n[minify]\n[[system]]\nname = \"main\"\n\
                      source = { oci = \"image\" }\n";
    project.describe(only_image);
    assert_eq!(
        project.refused(),
        "release.toml:3: no system has a component from a directory or an archive, and others are taken whole: remove [minify]"
    );
}
