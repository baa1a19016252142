//! Descriptions of releases: what is refused and how it is told, and what good ones become.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;
use upmass_format::release::{BootKind, Release};
use upmass_format::tree::MtimePolicy;
use upmass_import::{ImportedRelease, import_release, read_description};
use upmass_store::Store;

/// A description that is complete, for tests that add to it or change it.
const SMALL: &str = r#"machine = "m"
version = "1"
[[system]]
name = "main"
source = { dir = "root" }
"#;

#[test]
fn what_is_not_understood_is_told_with_its_line() {
    check_refused(
        "machine = ",
        "release.toml:1: this is not TOML: string values must be quoted, expected literal string",
    );
    check_refused(
        "machine = \"m\"\nmachine = \"n\"\n",
        "release.toml:2: this is not TOML: duplicate key",
    );
    check_refused(
        &SMALL.replace("version", "vershun"),
        "release.toml:2: unknown key \"vershun\" in the file, did you mean \"version\"?; known are \
         machine, version, counter, fallback, labels, component, system",
    );
    check_refused(
        &format!("{SMALL}initramfs = \"/initrd\"\n"),
        "release.toml:6: unknown key \"initramfs\" in system \"main\"; known are name, components, \
         source, mtimes, owners, kernel, initrd, dtb, cmdline, labels",
    );
    check_refused(
        &SMALL.replace("dir =", "directory ="),
        "release.toml:5: unknown key \"directory\" in \"source\" of system \"main\"; known are dir, \
         tar, nix, store, labels",
    );
    check_refused(
        &format!("{SMALL}[[component]]\nname = \"x\"\npath = \"y\"\n"),
        "release.toml:8: unknown key \"path\" in component \"x\"; known are name, install, source, \
         mtimes, owners, references",
    );
}

#[test]
fn what_is_missing_is_told_with_an_example() {
    check_refused("", "release.toml:1: the file has no \"machine\": add machine = \"qemu-x86_64\"");
    check_refused(
        "machine = \"m\"\n",
        "release.toml:1: the file has no \"version\": add version = \"1.0\"",
    );
    check_refused(
        "machine = \"m\"\nversion = \"1\"\n",
        "release.toml: the file has no \"system\": add a table [[system]] with at least a name and \
         a source",
    );
    check_refused(
        "machine = \"m\"\nversion = \"1\"\n\n[[system]]\n",
        "release.toml:4: a system has no \"name\": add name = \"main\"",
    );
    check_refused(
        &SMALL.replace("source = { dir = \"root\" }", ""),
        "release.toml:3: system \"main\" has no \"components\": add components = [\"…\"], or source \
         = { dir = \"rootfs\" }",
    );
    check_refused(
        &format!("{SMALL}[[component]]\nname = \"x\"\n"),
        "release.toml:6: component \"x\" has no \"source\": add source = { dir = \"rootfs\" }",
    );
    check_refused(
        &SMALL.replace("{ dir = \"root\" }", "{}"),
        "release.toml:5: \"source\" of system \"main\": expected one of { dir = \"…\" }, { tar = \
         \"…\" }, { nix = [\"…\"] }, found none of them",
    );
    check_refused(
        &format!("{SMALL}{}", SMALL_SYSTEM.replace("NAME", "rescue")),
        "release.toml: there are 2 systems, so one must be the fallback: add fallback = \"main\" \
         above the first table, or another of \"main\", \"rescue\"",
    );
}

const SMALL_SYSTEM: &str = "[[system]]\nname = \"NAME\"\nsource = { dir = \"root\" }\n";

#[test]
fn a_value_of_the_wrong_kind_is_told_with_what_is_expected() {
    let value = |key: &str, value: &str, message: &str| {
        let text = match key {
            "kernel" | "initrd" | "dtb" | "cmdline" | "mtimes" | "owners" => {
                let kernel = if matches!(key, "initrd" | "dtb") { "kernel = \"/k\"\n" } else { "" };
                format!("{SMALL}{kernel}{key} = {value}\n")
            }
            _ => format!("{key} = {value}\n{SMALL}"),
        };
        let line =
            if SMALL.contains(key) || key == "counter" || key == "component" { 1 } else { 6 };
        let line = line + usize::from(text.contains("kernel") && key != "kernel");
        check_refused(&text, &format!("release.toml:{line}: \"{key}\" of {message}"));
    };
    let to_limit = "expected a whole number from 0 to 18446744073709551615";
    value("counter", "\"1\"", &format!("the file: {to_limit}, found \"1\""));
    value("counter", "-1", &format!("the file: {to_limit}, found -1"));
    value("counter", "1.5", &format!("the file: {to_limit}, found the number 1.5"));
    value(
        "counter",
        "18446744073709551616",
        &format!("the file: {to_limit}, found 18446744073709551616"),
    );
    value(
        "component",
        "{ name = \"x\" }",
        "the file: expected tables that begin with [[component]], in two brackets, found a table",
    );
    value(
        "mtimes",
        "\"keep\"",
        "system \"main\": expected \"normalised\" or \"kept\", found \"keep\"",
    );
    value("mtimes", "true", "system \"main\": expected \"normalised\" or \"kept\", found true");
    let owners = "system \"main\": expected \"keep\", \"root\" or { uids = [[1000, 0]], gids = \
                  [[1000, 0]] }";
    value("owners", "\"me\"", &format!("{owners}, found \"me\""));
    value("owners", "0", &format!("{owners}, found the number 0"));
    let path = "expected an absolute path or pattern, such as \"/boot/vmlinuz-*\"";
    value("kernel", "[\"/a\", \"/b\"]", &format!("system \"main\": {path}, found a list"));
    value(
        "kernel",
        "\"boot/vmlinuz\"",
        "system \"main\": expected an absolute path, since it is looked up in the running system, \
         found \"boot/vmlinuz\"",
    );
    value(
        "initrd",
        "[\"/a\", \"/[b\"]",
        "system \"main\": expected a pattern with a ] after each [; \\[ stands for [ itself, found \
         \"/[b\"",
    );
    value("dtb", "1979-05-27", &format!("system \"main\": {path}, found the date 1979-05-27"));
    value(
        "cmdline",
        "\"a\\nb\"",
        "system \"main\": expected one line of text, without control characters, found \"a\\nb\"",
    );
    check_refused(
        &format!("{SMALL}cmdline = \"{}\"\n", "x".repeat(4097)),
        "release.toml:6: \"cmdline\" of system \"main\": expected at most 4096 bytes, found 4097",
    );
    check_refused(
        &SMALL.replace("\"m\"", "\"\""),
        "release.toml:1: \"machine\" of the file: expected 1 to 255 bytes of text in one line, found \
         \"\"",
    );
    check_refused(
        &format!("{SMALL}owners = {{ uids = [[1, 0], [2, 0],\n[1, 3]] }}\n"),
        "release.toml:7: \"uids\" of \"owners\": expected each id once, found 1 a second time",
    );
    check_refused(
        &format!("{SMALL}owners = {{ gids = [[1]] }}\n"),
        "release.toml:6: \"gids\" of \"owners\": expected a list of pairs [from, to] of ids, found \
         a list of 1",
    );
    check_refused(
        &format!("{SMALL}owners = {{ gids = [[1, 4294967295]] }}\n"),
        "release.toml:6: \"gids\" of \"owners\": expected a whole number from 0 to 4294967294, found \
         4294967295",
    );
    check_refused(
        &format!("{SMALL}[system.labels]\nchannel = 1\n"),
        "release.toml:7: \"channel\" of \"labels\" of system \"main\": expected a text in quotes, \
         found the number 1",
    );
    check_refused(
        &SMALL.replace("\"root\"", "[\"root\"]"),
        "release.toml:5: \"dir\" of \"source\" of system \"main\": expected the path of a directory, \
         found a list",
    );
    check_refused(
        &SMALL.replace("dir = \"root\"", "nix = []"),
        "release.toml:5: \"nix\" of \"source\" of system \"main\": expected store paths or links to \
         them, such as \"result\", found an empty list",
    );
}

#[test]
fn what_contradicts_itself_is_refused() {
    check_refused(
        &format!("{SMALL}initrd = \"/initrd\"\n"),
        "release.toml:6: \"initrd\" of system \"main\" has no meaning without \"kernel\": add one, \
         or remove it",
    );
    check_refused(
        &format!("{SMALL}dtb = \"/x.dtb\"\n"),
        "release.toml:6: \"dtb\" of system \"main\" has no meaning without \"kernel\": add one, or \
         remove it",
    );
    check_refused(
        &format!("{SMALL}components = [\"main\"]\n"),
        "release.toml:5: \"source\" of system \"main\" has no meaning beside \"components\": keep \
         one of the two",
    );
    check_refused(
        &SMALL.replace("{ dir = \"root\" }", "{ dir = \"root\", tar = \"x.tar\" }"),
        "release.toml:5: \"source\" of system \"main\": expected one of { dir = \"…\" }, { tar = \
         \"…\" }, { nix = [\"…\"] }, found \"dir\" and \"tar\"",
    );
    check_refused(
        &SMALL.replace("{ dir = \"root\" }", "{ dir = \"root\", store = \"/chroot\" }"),
        "release.toml:5: \"store\" of \"source\" of system \"main\" has no meaning without \"nix\"",
    );
    check_refused(
        &SMALL.replace("dir = \"root\"", "dir = \"root\", labels = []"),
        "release.toml:5: \"labels\" of \"source\" of system \"main\" has no meaning without \"nix\"",
    );
    check_refused(
        &SMALL.replace("dir = \"root\"", "nix = \"result\", labels = [\"deriver\", \"size\"]"),
        "release.toml:5: \"labels\" of \"source\" of system \"main\": expected a list of \"deriver\" and \
         \"signatures\", found \"size\"",
    );
    check_refused(
        &SMALL.replace("{ dir = \"root\" }", "{ nix = \"result\" }\nowners = \"root\""),
        "release.toml:6: \"owners\" of system \"main\" has no meaning beside a Nix source: store \
         paths are normalised",
    );
    check_refused(
        &format!(
            "{SMALL}[[component]]\nname = \"x\"\nsource = {{ nix = \"y\" }}\ninstall = \"/z\"\n"
        ),
        "release.toml:9: \"install\" of component \"x\" has no meaning beside a Nix source: store \
         paths know theirs",
    );
    check_refused(
        &format!("{SMALL}[labels]\nversion = \"2\"\n"),
        "release.toml:6: \"labels\" of the file has a \"version\", which is a key of its own: remove \
         it there",
    );
    let both = "[[component]]\nname = \"a\"\nsource = { tar = \"-\" }\nreferences = [\"b\"]\n\
                [[component]]\nname = \"b\"\nsource = { tar = \"-\" }\n\
                [[system]]\nname = \"main\"\ncomponents = [\"a\"]\n";
    check_refused(
        &format!("machine = \"m\"\nversion = \"1\"\n{both}"),
        "release.toml:7: \"source\" of component \"b\" is standard input, which another component \
         reads already",
    );
}

#[test]
fn names_must_be_there_and_differ() {
    check_refused(
        &format!("fallback = \"mian\"\n{SMALL}"),
        "release.toml:1: \"fallback\" of the file: there is no system \"mian\", did you mean \
         \"main\"?; there are \"main\"",
    );
    check_refused(
        &format!("fallback = \"rescue\"\n{SMALL}"),
        "release.toml:1: \"fallback\" of the file: there is no system \"rescue\"; there are \"main\"",
    );
    let component = "[[component]]\nname = \"debian\"\nsource = { dir = \"root\" }\n";
    let system = "[[system]]\nname = \"main\"\ncomponents = [\"debain\"]\n";
    check_refused(
        &format!("machine = \"m\"\nversion = \"1\"\n{component}{system}"),
        "release.toml:8: \"components\" of system \"main\": there is no component \"debain\", did \
         you mean \"debian\"?; there are \"debian\"",
    );
    check_refused(
        &format!("{SMALL}{component}references = [\"libc\"]\n"),
        "release.toml:9: \"references\" of component \"debian\": there is no component \"libc\"; \
         there are \"debian\", \"main\"",
    );
    check_refused(
        &format!("{SMALL}{component}"),
        "release.toml:6: component \"debian\" belongs to no system: name it in the \"components\" of \
         a system, or remove it",
    );
    check_refused(
        &format!("{SMALL}{}", component.replace("debian", "main")),
        "release.toml:6: component \"main\" was already described at line 3: names must differ",
    );
    check_refused(
        &format!("fallback = \"main\"\n{SMALL}{}", SMALL_SYSTEM.replace("NAME", "main")),
        "release.toml:7: component \"main\" was already described at line 4: names must differ",
    );
    check_refused(
        &SMALL.replace("source = { dir = \"root\" }", "components = []"),
        "release.toml:5: \"components\" of system \"main\": expected at least one component name, \
         found an empty list",
    );
}

#[test]
fn the_examples_of_the_manual_are_understood() {
    let manual = manual();
    assert_eq!(manual_examples(&manual).count(), 2);
    for example in manual_examples(&manual) {
        let project = Project::with(example);
        read_description(&project.path("release.toml")).unwrap();
    }
}

fn manual() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/release-toml.md");
    fs::read_to_string(path).unwrap()
}

fn manual_examples(manual: &str) -> impl Iterator<Item = &str> {
    manual.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next())
}

#[test]
fn a_file_that_is_not_there_or_not_text_is_told() {
    let project = Project::new();
    assert_eq!(
        project.refused(),
        "release.toml: cannot be read: No such file or directory (os error 2)"
    );
    fs::write(project.path("release.toml"), b"machine = \"m\"\nversion = \"\xff\"\n").unwrap();
    assert_eq!(
        project.refused(),
        "release.toml:2: this is not TOML: it has bytes that are not UTF-8"
    );
}

#[test]
fn a_system_with_a_source_is_a_component_at_the_root() {
    let project = Project::with(SMALL);
    project.file("root/etc/hostname", "device");
    let ImportedRelease { release, components, warnings } = project.import();
    assert_eq!(warnings, [] as [String; 0]);
    assert_eq!((release.machine.as_str(), release.version(), release.counter), ("m", Some("1"), 1));
    assert_eq!(release.labels.len(), 1);
    let [component] = &*release.components else { panic!("{:?}", release.components) };
    assert_eq!((component.name.as_str(), component.install.to_string().as_str()), ("main", "/"));
    let [system] = &*release.systems else { panic!("{:?}", release.systems) };
    assert_eq!((system.name.as_str(), &*system.roots, &*system.boot), ("main", &[0][..], &[][..]));
    assert_eq!(
        (components[0].name.as_str(), components[0].files, components[0].bytes),
        ("main", 1, 6)
    );
    let id = project.store.record(&release).unwrap();
    assert_eq!(project.store.release(id).unwrap(), release);
}

#[test]
fn everything_that_can_be_said_arrives_in_the_release() {
    let project = Project::with(
        r#"
        fallback = "rescue"
        counter = 0x10
        version = "12-main"
        machine = "qemu"
        labels = { channel = "stable" }

        [[system]]
        name = "web"
        components = ["site", "base"]
        kernel = "/boot/vmlinuz-*"
        initrd = ["/boot/ucode.img", "/boot/initrd.img-6.[0-9]"]
        dtb = "/boot/*.dtb"
        cmdline = "root=LABEL=system ro"
        [system.labels]
        role = "web server"

        [[component]]
        name = "site"
        install = "/srv/www/"
        source.dir = "site"
        mtimes = "kept"
        owners = "root"
        references = ["data"]

        [[component]]
        name = "data"
        install = "/srv/data"
        source = { dir = "data" }
        owners = { uids = [[0, 33]], gids = [[0, 33]] }

        [[component]]
        name = "base"
        source = { dir = "root" }

        [[system]]
        name = "rescue"
        components = ["base"]
        kernel = "/vmlinuz"
        "#,
    );
    for name in ["vmlinuz-6.1", "ucode.img", "initrd.img-6.1", "board.dtb"] {
        project.file(&format!("root/boot/{name}"), name);
    }
    project.link("root/vmlinuz", "boot/vmlinuz-6.1");
    project.file("site/index.html", "hello");
    project.file("data/table", "1 2 3");
    let release = project.import().release;

    assert_eq!((release.counter, release.version()), (16, Some("12-main")));
    assert_eq!(release.labels["channel"], "stable");
    let components: Vec<_> = release
        .components
        .iter()
        .map(|c| (c.name.as_str(), c.install.to_string(), c.references.clone()))
        .collect();
    assert_eq!(
        components,
        [
            ("base", "/".to_owned(), vec![]),
            ("data", "/srv/data".to_owned(), vec![]),
            ("site", "/srv/www".to_owned(), vec![1]),
        ]
    );
    let [rescue, web] = &*release.systems else { panic!("{:?}", release.systems) };
    assert_eq!((rescue.name.as_str(), web.name.as_str(), release.fallback), ("rescue", "web", 0));
    assert_eq!((&*rescue.roots, &*web.roots), (&[0][..], &[0, 2][..]));
    assert_eq!(boot(&release, 0), [(BootKind::Kernel, "base", "boot/vmlinuz-6.1".to_owned())]);
    assert_eq!(
        boot(&release, 1),
        [
            (BootKind::Kernel, "base", "boot/vmlinuz-6.1".to_owned()),
            (BootKind::Initrd, "base", "boot/ucode.img".to_owned()),
            (BootKind::Initrd, "base", "boot/initrd.img-6.1".to_owned()),
            (BootKind::DeviceTree, "base", "boot/board.dtb".to_owned()),
        ]
    );
    assert_eq!(web.command_line, "root=LABEL=system ro");
    assert_eq!(web.labels, BTreeMap::from([("role".to_owned(), "web server".to_owned())]));
    let (site, policy) = project.store.tree(release.components[2].tree).unwrap();
    assert_eq!((policy, site.meta.uid), (MtimePolicy::Kept, 0));
    let (data, policy) = project.store.tree(release.components[1].tree).unwrap();
    let here = fs::metadata(project.path("data")).unwrap();
    if std::os::unix::fs::MetadataExt::uid(&here) == 0 {
        assert_eq!((policy, data.meta.uid, data.meta.gid), (MtimePolicy::Normalised, 33, 33));
    }
}

#[test]
fn the_order_in_the_file_makes_no_difference() {
    let component = |name: &str| {
        format!("[[component]]\nname = \"{name}\"\ninstall = \"/{name}\"\nsource.dir = \"root\"\n")
    };
    let system =
        |name: &str, of: &str| format!("[[system]]\nname = \"{name}\"\ncomponents = {of}\n");
    let top = "machine = \"m\"\nversion = \"1\"\nfallback = \"x\"\n";
    let (a, b) = (component("a"), component("b"));
    let one = format!("{top}{a}{b}{}{}", system("x", "[\"a\", \"b\"]"), system("y", "[\"b\"]"));
    let two = format!("{top}{}{b}{}{a}", system("y", "[\"b\"]"), system("x", "[\"b\", \"a\"]"));
    let project = Project::with(&one);
    project.file("root/file", "content");
    let first = project.import().release;
    project.describe(&two);
    let second = project.import().release;
    assert_eq!(first, second);
    assert_eq!(first.id().unwrap(), second.id().unwrap());
}

/// A root file system, and beside it what a kernel could be looked for.
fn with_boot_files(kernel: &str) -> Project {
    let project = Project::with(&format!("{SMALL}kernel = \"{kernel}\"\n"));
    for name in ["vmlinuz-6.1", "vmlinuz-6.2", "config-6.1", "config-6.2", "map-6.1", "map-6.2"] {
        project.file(&format!("root/boot/{name}"), name);
    }
    project.file("root/etc/empty/.keep", "");
    fs::remove_file(project.path("root/etc/empty/.keep")).unwrap();
    project.link("root/vmlinuz", "boot/vmlinuz-6.2");
    project.link("root/kernel", "/vmlinuz");
    project.link("root/dangling", "boot/vmlinuz-6.0");
    project.link("root/circle", "circle");
    project.link("root/above", "../../../boot/./vmlinuz-6.1");
    project.link("root/usr", "boot");
    fs::hard_link(project.path("root/boot/vmlinuz-6.1"), project.path("root/boot/linux")).unwrap();
    project
}

#[test]
fn links_are_followed_inside_the_system() {
    for (pattern, expected) in [
        ("/boot/vmlinuz-6.1", "boot/linux"),
        ("/boot/vmlinuz-*2", "boot/vmlinuz-6.2"),
        ("/vmlinuz", "boot/vmlinuz-6.2"),
        ("/kernel", "boot/vmlinuz-6.2"),
        ("/above", "boot/linux"),
        ("/usr/vmlinuz-*.2", "boot/vmlinuz-6.2"),
        ("/u*/vmlinuz-6.2", "boot/vmlinuz-6.2"),
        // Both are links to one file.
        ("/[kv]*", "boot/vmlinuz-6.2"),
        // What leads nowhere does not count beside a file.
        ("/[dk]*", "boot/vmlinuz-6.2"),
    ] {
        let release = with_boot_files(pattern).import().release;
        let expected = [(BootKind::Kernel, "main", expected.to_owned())];
        assert_eq!(boot(&release, 0), expected, "{pattern}");
    }
}

#[test]
fn a_pattern_that_matches_none_or_several_lists_what_is_there() {
    for (pattern, expected) in [
        (
            "/boot/Image",
            "nothing in the system matches /boot/Image; /boot has config-6.1, config-6.2, linux, \
             map-6.1, map-6.2 and 2 more",
        ),
        (
            "/b*t/zImage/*",
            "nothing in the system matches /b*t/zImage/*; /boot has config-6.1, config-6.2, linux, \
             map-6.1, map-6.2 and 2 more",
        ),
        ("/etc/empty/*", "nothing in the system matches /etc/empty/*; /etc/empty is empty"),
        (
            "/boot/vmlinuz-6.1/x",
            "nothing in the system matches /boot/vmlinuz-6.1/x; /boot has config-6.1, config-6.2, \
             linux, map-6.1, map-6.2 and 2 more",
        ),
        (
            "/boot/vmlinuz-*",
            "expected one file, but /boot/vmlinuz-* matches /boot/vmlinuz-6.1, \
             /boot/vmlinuz-6.2: write a pattern that matches one",
        ),
        (
            "/boot/*-*",
            "expected one file, but /boot/*-* matches /boot/config-6.1, /boot/config-6.2, \
             /boot/map-6.1, /boot/map-6.2, /boot/vmlinuz-6.1 and 1 more: write a pattern that \
             matches one",
        ),
        (
            "/dangling",
            "expected a file, but /dangling leads to /boot/vmlinuz-6.0, which is not in the system",
        ),
        ("/circle", "expected a file, but /circle is a chain of more than 40 links"),
        ("/boot", "expected a file, but /boot is a directory"),
    ] {
        assert_eq!(
            with_boot_files(pattern).refused(),
            format!("release.toml:6: \"kernel\" of system \"main\": {expected}"),
        );
    }
}

#[test]
fn a_boot_file_is_found_across_components_and_what_they_refer_to() {
    let project = Project::with(
        r#"
        machine = "m"
        version = "1"
        [[component]]
        name = "boot"
        install = "/usr/lib/boot"
        source.dir = "boot"
        [[component]]
        name = "link"
        install = "/opt"
        source.dir = "link"
        references = ["boot"]
        [[component]]
        name = "other"
        install = "/other"
        source.dir = "other"
        [[system]]
        name = "main"
        components = ["link"]
        kernel = "/opt/kernel"
        initrd = "/usr/*/b*t/initrd"
        [[system]]
        name = "other"
        components = ["other"]
        "#,
    );
    project.describe(&project.text().replace("version", "fallback = \"main\"\nversion"));
    project.file("boot/linux", "kernel");
    project.file("boot/initrd", "initrd");
    project.link("link/kernel", "../usr/lib/boot/linux");
    project.file("other/linux", "another");
    let release = project.import().release;
    assert_eq!(
        boot(&release, 0),
        [
            (BootKind::Kernel, "boot", "linux".to_owned()),
            (BootKind::Initrd, "boot", "initrd".to_owned()),
        ]
    );
    // The component of the other system is not part of this one.
    project.describe(&project.text().replace("/opt/kernel", "/other/linux"));
    assert_eq!(
        project.refused(),
        "release.toml:21: \"kernel\" of system \"main\": nothing in the system matches \
         /other/linux; / has opt, usr"
    );
}

#[test]
fn an_archive_and_a_directory_of_the_same_files_are_the_same() {
    let project = Project::with(&format!("{SMALL}owners = \"root\"\n"));
    project.file("root/etc/hostname", "device");
    project.link("root/link", "etc/hostname");
    let from_directory = project.import().release;
    let mut archive = tar::Builder::new(fs::File::create(project.path("root.tar")).unwrap());
    archive.follow_symlinks(false);
    archive.append_dir_all(".", project.path("root")).unwrap();
    archive.finish().unwrap();
    project.describe(&project.text().replace("dir = \"root\"", "tar = \"root.tar\""));
    assert_eq!(project.import().release, from_directory);
}

#[test]
fn no_text_panics() {
    let manual = manual();
    let example = manual_examples(&manual).nth(1).unwrap().as_bytes();
    let project = Project::new();
    let path = project.path("release.toml");
    let mut refused = 0;
    for position in 0..example.len() {
        let mut flipped = example.to_vec();
        flipped[position] ^= 1 << (position % 8);
        for text in [&example[..position], &flipped] {
            fs::write(&path, text).unwrap();
            refused += usize::from(read_description(&path).is_err());
        }
    }
    assert!(refused > example.len(), "a text that is cut short is hardly ever whole");
}

#[test]
fn a_source_that_is_not_there_is_told_with_the_line_of_its_component() {
    let project = Project::with(SMALL);
    let told = project.refused();
    assert!(told.starts_with("release.toml:3: component \"main\": cannot "), "{told}");
    assert!(told.contains("root: No such file or directory"), "{told}");

    project.describe(&SMALL.replace("dir = \"root\"", "nix = [\"result\"]"));
    let told = project.refused();
    let expected = "release.toml:3: component \"main\": result does not exist";
    assert_eq!(told, expected);
}

fn check_refused(text: &str, expected: &str) {
    assert_eq!(Project::with(text).refused(), expected, "{text}");
}

fn boot(release: &Release, system: usize) -> Vec<(BootKind, &str, String)> {
    let name = |index: usize| release.components[index].name.as_str();
    let boot = release.systems[system].boot.iter();
    boot.map(|file| (file.kind, name(file.component), file.path.to_string())).collect()
}

/// A directory with a description, its sources and a store.
struct Project {
    dir: TempDir,
    store: Store,
}

impl Project {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let store = Store::open_or_create(&dir.path().join("store")).unwrap();
        Self { dir, store }
    }

    fn with(text: &str) -> Self {
        let project = Self::new();
        project.describe(text);
        project
    }

    fn describe(&self, text: &str) {
        fs::write(self.path("release.toml"), text).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path("release.toml")).unwrap()
    }

    fn path(&self, below: &str) -> std::path::PathBuf {
        self.dir.path().join(below)
    }

    fn file(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    fn import(&self) -> ImportedRelease {
        let description = read_description(&self.path("release.toml")).unwrap();
        import_release(&self.store, &description, &|_| {}).unwrap()
    }

    /// What is told when the description is read or imported, without the directory.
    fn refused(&self) -> String {
        let error = read_description(&self.path("release.toml"))
            .and_then(|description| import_release(&self.store, &description, &|_| {}))
            .expect_err("the description is bad");
        let dir = Path::new(self.dir.path()).display().to_string();
        error.to_string().replace(&format!("{dir}/"), "")
    }
}
