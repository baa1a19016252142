//! What good descriptions become.

use super::*;

#[test]
fn the_examples_of_the_manual_are_understood() {
    let manual = manual();
    assert_eq!(manual_examples(&manual).count(), 3);
    for example in manual_examples(&manual) {
        let project = Project::with(example);
        read_description(&project.path("release.toml")).unwrap();
    }
}

#[test]
fn a_system_with_a_source_is_a_component_at_the_root() {
    let project = Project::with(SMALL);
    project.file("root/etc/hostname", "device");
    let ImportedRelease { release, components, warnings, minified } = project.import();
    assert_eq!(minified, []);
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
        etc = "persistent"
        var = "stateless"
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
    assert_eq!(rescue.changes, Changes::default());
    assert_eq!(web.changes, Changes { etc: Policy::Persistent, var: Policy::Stateless });
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
