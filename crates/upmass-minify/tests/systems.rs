//! Whole systems in small: init, units, scripts, rules, packages.

mod common;

use common::{System, chain, check, rooted, rule};
use upmass_minify::{Level, Options};

#[test]
fn enabled_units_and_what_they_execute_stay() {
    let system = System::new();
    let units = "/usr/lib/systemd/system";
    // The manager is known by its name; what it is made of does not matter here.
    system
        .file("/usr/lib/systemd/systemd", b"\x7fELF\0")
        .link("/usr/sbin/init", "/lib/systemd/systemd");
    system
        .file(&format!("{units}/default.target"), "[Unit]\nRequires=basic.target\n")
        .file(&format!("{units}/basic.target"), "[Unit]\n")
        .file(&format!("{units}/idle.service"), "[Service]\nExecStart=/usr/bin/idle\n")
        .file(
            &format!("{units}/hello@.service"),
            "[Service]\nExecStart=-/usr/bin/hello --config=/etc/hello.conf %i\n",
        )
        .file(&format!("{units}/by.timer"), "[Timer]\nOnBootSec=1\n")
        .file(&format!("{units}/by.service"), "[Service]\nExecStart=/bin/sh -c 'exec by --all'\n")
        .link(
            "/etc/systemd/system/default.target.wants/hello@one.service",
            &format!("{units}/hello@.service"),
        )
        .link("/etc/systemd/system/basic.target.wants/by.timer", &format!("{units}/by.timer"))
        .file("/etc/systemd/system/hello@.service.d/more.conf", "[Service]\nExecStartPre=+helper\n")
        .script("/usr/bin/sh", "")
        .script("/usr/bin/hello", "")
        .script("/usr/bin/helper", "")
        .script("/usr/bin/by", "")
        .script("/usr/bin/idle", "")
        // With a database, commands are no roots by themselves.
        .file("/var/lib/dpkg/status", "Package: x\nArchitecture: all\n");
    let minified = system.lean(&[]);
    check(
        &minified,
        &[
            "/usr/bin/hello",
            "/usr/bin/helper",
            "/usr/bin/by",
            "/etc/systemd/system/hello@.service.d/more.conf",
        ],
        &["/usr/bin/idle", "/usr/lib/systemd/system/idle.service"],
    );
    let expected = [
        "/usr/bin/hello execute",
        "/usr/lib/systemd/system/hello@.service link",
        "/etc/systemd/system/default.target.wants/hello@one.service unit",
        "/usr/lib/systemd/system/default.target unit",
        "/usr/lib/systemd/systemd root",
    ];
    let found = chain(&minified, "/usr/bin/hello");
    assert_eq!(found.first().unwrap(), expected[0]);
    assert!(found.last().unwrap().ends_with(" root"), "{found:?}");
    assert_eq!(rule(&minified, "/usr/bin/idle"), "not-needed");
}

#[test]
fn scripts_keep_their_interpreter_and_the_commands_they_name() {
    let system = System::new();
    system
        .script("/usr/bin/sh", "")
        .file("/usr/bin/env", "")
        .file("/usr/bin/python3", "")
        .file("/usr/bin/tool", "#!/usr/bin/env python3\n")
        .script(
            "/usr/bin/run",
            "# not vi\nif grep -q x y; then echo \"type man sed\"; fi; tool | sort",
        )
        .script("/usr/bin/grep", "")
        .script("/usr/bin/sort", "")
        .script("/usr/bin/vi", "")
        .script("/usr/bin/sed", "")
        .file("/var/lib/dpkg/status", "Package: x\nArchitecture: all\n");
    let minified = system.lean(&["run"]);
    let stay =
        ["/usr/bin/grep", "/usr/bin/sort", "/usr/bin/tool", "/usr/bin/env", "/usr/bin/python3"];
    check(&minified, &stay, &["/usr/bin/vi", "/usr/bin/sed"]);
}

#[test]
fn links_stay_with_what_they_lead_to_and_loops_end() {
    let system = System::new();
    system
        .script("/usr/bin/vim.basic", "")
        .link("/etc/alternatives/editor", "/usr/bin/vim.basic")
        .link("/usr/bin/editor", "/etc/alternatives/editor")
        .link("/usr/bin/round", "/usr/bin/about")
        .link("/usr/bin/about", "round")
        .link("/usr/bin/out", "../../../../../../etc/passwd")
        .script("/usr/bin/sh", "exec round; /usr/bin/about/x")
        .file("/var/lib/dpkg/status", "Package: x\nArchitecture: all\n");
    let minified = system.lean(&["editor", "/usr/bin/round", "/usr/bin/out"]);
    check(&minified, &["/etc/alternatives/editor", "/usr/bin/vim.basic", "/usr/bin/about"], &[]);
}

#[test]
fn python_keeps_what_is_imported() {
    let system = System::new();
    let library = "/usr/lib/python3.11";
    system
        .file("/usr/bin/python3.11", b"\x7fELF\0")
        .file("/usr/bin/app", "#!/usr/bin/python3.11\nimport json, os.path as p\nfrom email import (\n  message,\n)\n")
        .file("/usr/bin/other", "#!/usr/bin/python3.11\nimport tkinter\n");
    for module in [
        "json/__init__",
        "json/decoder",
        "os",
        "email/__init__",
        "email/message",
        "email/parser",
        "tkinter/__init__",
        "site",
    ] {
        let imports =
            if module == "json/__init__" { "from .decoder import JSONDecoder\n" } else { "" };
        system.file(&format!("{library}/{module}.py"), imports);
    }
    system.file(&format!("{library}/lib-dynload/_json.cpython-311-x86_64-linux-gnu.so"), "");
    system.file(&format!("{library}/json/scanner.py"), "import _json\n");
    system.file("/var/lib/dpkg/status", "Package: x\nArchitecture: all\n");
    let minified = system.lean(&["app"]);
    let at = |module: &str| format!("{library}/{module}.py");
    for module in ["json/__init__", "json/decoder", "os", "email/__init__", "email/message", "site"]
    {
        check(&minified, &[&at(module)], &[]);
    }
    check(&minified, &[], &[&at("tkinter/__init__"), &at("email/parser"), "/usr/bin/other"]);
    // Who asks for the interpreter may import anything.
    let all = system.lean(&["python3.11"]);
    check(&all, &[&at("tkinter/__init__"), &at("email/parser")], &[]);
}

#[test]
fn kernel_modules_follow_the_hardware_and_firmware_follows_them() {
    let system = System::new();
    let modules = "/usr/lib/modules/6.1";
    system
        .file("/boot/vmlinuz-6.1", "kernel")
        .file(
            &format!("{modules}/kernel/net.ko"),
            b"depends=bus\0firmware=net/a.bin\0alias=pci:v1\0",
        )
        .file(&format!("{modules}/kernel/bus.ko"), b"depends=\0")
        .file(&format!("{modules}/kernel/snd-usb.ko"), b"depends=\0firmware=snd.bin\0")
        .file(
            &format!("{modules}/modules.dep"),
            "kernel/net.ko: kernel/bus.ko\nkernel/bus.ko:\nkernel/snd-usb.ko:\n",
        )
        .file(&format!("{modules}/modules.alias"), "alias pci:v0000*d* net\n")
        .file("/usr/lib/firmware/net/a.bin", "1")
        .file("/usr/lib/firmware/snd.bin", "2");
    let at = |name: &str| format!("{modules}/kernel/{name}.ko");
    for listed in ["Module                  Size  Used by\nnet 16384 1 bus\n", "pci:v00001d2\n"] {
        let hardware = Some(Options::hardware_of(listed));
        let minified = system.minify(&Options { hardware, ..Options::default() });
        let stay = [
            &at("net"),
            &at("bus"),
            "/usr/lib/firmware/net/a.bin",
            "/usr/lib/modules/6.1/modules.dep",
        ];
        check(&minified, &stay, &[&at("snd-usb"), "/usr/lib/firmware/snd.bin"]);
        assert_eq!(rule(&minified, &at("snd-usb")), "kernel-modules");
    }
    let all = system.lean(&[]);
    check(&all, &[&at("snd-usb"), "/usr/lib/firmware/snd.bin"], &[]);
}

#[test]
fn safe_drops_what_can_matter_to_no_program() {
    let system = System::new();
    system
        .file("/usr/share/man/man1/a.1.gz", "x")
        .file("/usr/share/doc/a/README", "x")
        .file("/usr/share/doc/a/copyright", "x")
        .file("/usr/share/doc/a/example.conf", "x")
        .link("/etc/example.conf", "../usr/share/doc/a/example.conf")
        .file("/usr/lib/liba.a", "x")
        .file("/usr/include/a.h", "x")
        .file("/usr/share/locale/de/LC_MESSAGES/a.mo", "x")
        .file("/var/cache/apt/pkgcache.bin", "x")
        .file("/usr/bin/a", "x");
    let safe = Options { level: Level::Safe, ..Options::default() };
    let minified = system.minify(&safe);
    check(
        &minified,
        &[
            "/usr/bin/a",
            "/usr/share/doc/a/copyright",
            "/usr/share/locale/de/LC_MESSAGES/a.mo",
            // A link that stays leads to it.
            "/usr/share/doc/a/example.conf",
            "/var/cache/apt",
        ],
        &[
            "/usr/share/man/man1/a.1.gz",
            "/usr/share/doc/a/README",
            "/usr/lib/liba.a",
            "/usr/include/a.h",
            "/var/cache/apt/pkgcache.bin",
            "/usr/share/man",
        ],
    );
    system.file("/usr/bin/ld", "x");
    check(&system.minify(&safe), &["/usr/lib/liba.a", "/usr/include/a.h"], &[]);
}

#[test]
fn of_boot_files_only_those_that_are_used_stay_where_somebody_says_which() {
    let system = System::new();
    system
        .file("/boot/vmlinuz-6.1", "x")
        .file("/boot/initrd.img-6.1", "x")
        .file("/boot/config-6.1", "x")
        .link("/vmlinuz", "boot/vmlinuz-6.1")
        .link("/initrd.img", "boot/initrd.img-6.1")
        .script("/usr/bin/sh", "")
        .script("/usr/sbin/init", "");
    let all = ["/boot/vmlinuz-6.1", "/boot/initrd.img-6.1", "/boot/config-6.1", "/initrd.img"];
    for level in Level::ALL {
        check(&system.minify(&Options { level, ..Options::default() }), &all, &[]);
        let boot = Some(Options::globs(&["/boot/vmlinuz-*".to_owned()]).unwrap());
        let minified = system.minify(&Options { level, boot, ..Options::default() });
        // Links to what stays do so too, and others do not bring it back.
        check(&minified, &["/boot/vmlinuz-6.1", "/vmlinuz"], &all[1..]);
        assert_eq!(rule(&minified, "/boot/initrd.img-6.1"), "boot-files");
    }
}

#[test]
fn empty_directories_stay_with_what_they_are_in() {
    let system = System::new();
    system
        .script("/usr/sbin/init", "")
        .script("/usr/bin/sh", "")
        .file("/usr/share/man/man1/a", "x");
    std::fs::create_dir_all(system.root().join("usr/lib/python3/dist-packages")).unwrap();
    for level in Level::ALL {
        let minified = system.minify(&Options { level, ..Options::default() });
        let stay = ["/usr/lib/python3/dist-packages", "/usr/lib/python3"];
        check(&minified, &stay, &["/usr/share/man/man1", "/usr/share/man"]);
    }
}

#[test]
fn the_locale_that_every_system_has_and_those_that_are_configured_stay() {
    let system = System::new();
    system
        .script("/usr/sbin/init", "")
        .script("/usr/bin/sh", "")
        .file("/etc/default/locale", "LANG=de_DE.UTF-8\n")
        .file("/var/lib/dpkg/status", "Package: x\nArchitecture: all\n");
    let at = |name: &str| format!("/usr/lib/locale/{name}/LC_CTYPE");
    for name in ["C.utf8", "de_DE.utf8", "fr_FR.utf8"] {
        system.file(&at(name), "x");
    }
    let minified = system.lean(&[]);
    check(&minified, &[&at("C.utf8"), &at("de_DE.utf8")], &[&at("fr_FR.utf8")]);
}

#[test]
fn links_on_the_way_to_what_the_kernel_starts_stay() {
    let system = System::new();
    system
        .script("/usr/bin/sh", "")
        .file("/usr/sbin/init", "#!/usr/bin/sh\n")
        .file("/var/lib/dpkg/status", "Package: x\nArchitecture: all\n");
    check(&system.lean(&[]), &["/sbin", "/bin", "/usr/sbin/init"], &["/lib"]);
    system.file("/usr/share/data/x", "x").link("/usr/share/way", "data");
    check(&system.lean(&["/usr/share/way/x"]), &["/usr/share/way", "/usr/share/data/x"], &[]);
}

#[test]
fn lists_of_modules_that_kmod_does_not_read_go_where_kmod_loads_modules() {
    let lists = ["/usr/lib/modules/6.1/modules.symbols", "/usr/lib/modules/6.1/modules.order"];
    let system = System::new();
    system.script("/usr/bin/sh", "").script("/usr/sbin/init", "");
    system.file(lists[0], "x").file(lists[1], "x");
    let kept = "/usr/lib/modules/6.1/modules.dep";
    system.file(kept, "");
    check(&system.lean(&[]), &[lists[0], lists[1], kept], &[]);
    system.file("/usr/bin/kmod", "x").link("/usr/sbin/modprobe", "../bin/kmod");
    check(&system.lean(&[]), &[kept], &lists);
}

#[test]
fn parts_of_python_for_writing_programs_stay_only_where_a_program_imports_them() {
    let system = System::new();
    let at = |name: &str| format!("/usr/lib/python3.11/{name}");
    system
        .file("/usr/bin/python3", "x")
        .file(&at("json/__init__.py"), "")
        .file(&at("lib2to3/main.py"), "")
        .file(&at("pydoc_data/topics.py"), "")
        .file("/var/lib/dpkg/status", "Package: x\nArchitecture: all\n");
    let topics = at("pydoc_data/topics.py");
    check(
        &system.lean(&["python3"]),
        &[&at("json/__init__.py")],
        &[&at("lib2to3/main.py"), &topics],
    );
    system.file("/usr/bin/tool", "#!/usr/bin/python3\nimport pydoc_data.topics\n");
    check(&system.lean(&["python3", "tool"]), &[&topics], &[&at("lib2to3/main.py")]);
}

#[test]
fn parts_of_perl_for_writing_programs_and_its_east_asian_encodings_are_no_part_of_its_library() {
    let system = System::new();
    let (share, lib) = ("/usr/share/perl/5.36.0", "/usr/lib/x86_64-linux-gnu/perl/5.36.0");
    let stay = [
        &format!("{share}/JSON/PP.pm")[..],
        &format!("{lib}/Encode.pm"),
        &format!("{lib}/auto/Encode/Encode.so"),
        // Some of it is used by what is not.
        &format!("{share}/ExtUtils/Used.pm"),
    ];
    let go = [
        &format!("{share}/CPAN.pm")[..],
        &format!("{share}/ExtUtils/MakeMaker.pm"),
        &format!("{share}/pod/perldiag.pod"),
        &format!("{lib}/auto/Encode/JP/JP.so"),
        &format!("{lib}/CORE/perl.h"),
        // Mentioned by what only says how Perl was built.
        "/usr/lib/libperl.so.5.36",
    ];
    for path in stay.iter().chain(&go) {
        system.file(path, "");
    }
    system
        .file("/usr/bin/perl", "x")
        .file(stay[0], "package JSON::PP;\nuse ExtUtils::Used;\n")
        .file(&format!("{lib}/Config_heavy.pl"), "libperl='libperl.so.5.36'\n")
        .file("/var/lib/dpkg/status", "Package: x\nArchitecture: all\n");
    check(&system.lean(&["perl"]), &stay, &go);
}

#[test]
fn byte_code_that_python_would_not_use_goes_where_times_are_lost() {
    let system = System::new();
    let (timed, hashed) =
        ("/usr/lib/python3/a.cpython-311.pyc", "/usr/lib/python3/b.cpython-311.pyc");
    // PEP 552: magic number, flags, then the time of the source or its digest.
    system.file(timed, b"\xa7\r\r\n\0\0\0\0rest").file(hashed, b"\xa7\r\r\n\x03\0\0\0rest");
    let at = |level, times_are_lost| {
        system.minify(&Options { level, times_are_lost, ..Options::default() })
    };
    check(&at(Level::Safe, false), &[timed, hashed], &[]);
    check(&at(Level::Safe, true), &[hashed], &[timed]);
    system.script("/usr/sbin/init", "");
    check(&at(Level::Bare, false), &[], &[timed, hashed]);
}

#[test]
fn a_list_that_was_given_counts_at_every_level() {
    let system = System::new();
    for language in ["de", "fr", "pt", "pt_BR"] {
        system.file(&format!("/usr/share/locale/{language}/LC_MESSAGES/a.mo"), "x");
    }
    let locales = Some(vec!["pt_BR".to_owned()]);
    let minified = system.minify(&Options { level: Level::Safe, locales, ..Options::default() });
    let at = |language: &str| format!("/usr/share/locale/{language}/LC_MESSAGES/a.mo");
    check(&minified, &[&at("pt"), &at("pt_BR")], &[&at("de"), &at("fr")]);
}

#[test]
fn patterns_keep_and_drop_and_keep_is_stronger() {
    let system = System::new();
    system
        .script("/usr/bin/sh", "")
        .script("/usr/bin/run", "tool")
        .script("/usr/bin/tool", "deep")
        .script("/usr/bin/deep", "")
        .file("/usr/share/extra/a", "/usr/share/more/x")
        .file("/usr/share/extra/b", "x")
        .file("/usr/share/more/x", "x")
        .file("/var/lib/dpkg/status", "Package: x\nArchitecture: all\n");
    let mut options = rooted(&["run"]);
    options.keep = Options::globs(&["/usr/share/extra/a".to_owned()]).unwrap();
    options.drop =
        Options::globs(&["/usr/bin/tool".to_owned(), "/usr/share/extra".to_owned()]).unwrap();
    let minified = system.minify(&options);
    // Nothing is followed from what was dropped, and what is kept has what it needs.
    check(
        &minified,
        &["/usr/share/extra/a", "/usr/share/more/x"],
        &["/usr/bin/tool", "/usr/bin/deep", "/usr/share/extra/b"],
    );
    assert_eq!(rule(&minified, "/usr/bin/tool"), "drop");
}

#[test]
fn a_package_brings_its_configuration_and_licence_once_it_is_needed() {
    let system = System::new();
    for name in ["a", "b"] {
        system
            .script(&format!("/usr/bin/{name}"), "")
            .file(&format!("/etc/{name}.conf"), "x")
            .file(&format!("/usr/share/doc/{name}/copyright"), "x")
            .file(&format!("/usr/share/{name}/data"), "x")
            .file(
                &format!("/var/lib/dpkg/info/{name}.list"),
                format!("/.\n/etc/{name}.conf\n/bin/{name}\n/usr/share/{name}/data\n/usr/share/doc/{name}/copyright\n"),
            );
    }
    system.script("/usr/bin/sh", "").file("/etc/mine", "x");
    system.file(
        "/var/lib/dpkg/status",
        "Package: a\nArchitecture: all\n\nPackage: b\nArchitecture: all\n",
    );
    let minified = system.lean(&["a"]);
    check(
        &minified,
        &["/etc/a.conf", "/usr/share/doc/a/copyright", "/etc/mine"],
        &[
            "/etc/b.conf",
            "/usr/share/doc/b/copyright",
            "/usr/bin/b",
            "/usr/share/a/data",
            "/usr/share/b/data",
        ],
    );
    assert_eq!(minified.package(b"/usr/bin/a"), Some("a"));
    let (before, after) = minified.by_package()[&Some("b")];
    assert_eq!((before.files, after.files), (4, 0));
}

#[test]
fn the_same_system_gives_the_same_answer() {
    let system = System::new();
    for index in 0..200 {
        system.script(
            &format!("/usr/bin/c{index}"),
            &format!("c{} c{}", (index * 7) % 200, (index * 3) % 200),
        );
    }
    system
        .script("/usr/bin/sh", "")
        .file("/var/lib/dpkg/status", "Package: x\nArchitecture: all\n");
    let first = system.lean(&["c0"]);
    for _ in 0..3 {
        assert_eq!(system.lean(&["c0"]), first);
    }
}
