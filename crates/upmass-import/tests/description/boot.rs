//! Boot files: what is found in the systems.

use super::*;

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
