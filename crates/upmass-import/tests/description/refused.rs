//! What is refused, and how it is told.

use super::*;

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
         machine, version, counter, fallback, labels, minify, component, service, system",
    );
    check_refused(
        &format!("{SMALL}initramfs = \"/initrd\"\n"),
        "release.toml:6: unknown key \"initramfs\" in system \"main\"; known are name, components, \
         source, mtimes, owners, kernel, initrd, dtb, cmdline, etc, var, services, \
         labels",
    );
    check_refused(
        &SMALL.replace("dir =", "directory ="),
        "release.toml:5: unknown key \"directory\" in \"source\" of system \"main\"; known are dir, \
         tar, nix, oci, store, labels, derivations, ref, platform, max_size",
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
         \"…\" }, { nix = [\"…\"] }, { oci = \"…\" }, found none of them",
    );
    check_refused(
        &format!("{SMALL}{}", SMALL_SYSTEM.replace("NAME", "rescue")),
        "release.toml: there are 2 systems, so one must be the fallback: add fallback = \"main\" \
         above the first table, or another of \"main\", \"rescue\"",
    );
}

#[test]
fn a_value_of_the_wrong_kind_is_told_with_what_is_expected() {
    let value = |key: &str, value: &str, message: &str| {
        let text = match key {
            "kernel" | "initrd" | "dtb" | "cmdline" | "mtimes" | "owners" | "etc" => {
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
    value(
        "etc",
        "\"keep\"",
        "system \"main\": expected \"fixed\", \"stateless\" or \"persistent\", found \"keep\"",
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
         \"…\" }, { nix = [\"…\"] }, { oci = \"…\" }, found \"dir\" and \"tar\"",
    );
    check_refused(
        &SMALL.replace("{ dir = \"root\" }", "{ dir = \"root\", store = \"/chroot\" }"),
        "release.toml:5: \"store\" of \"source\" of system \"main\" has no meaning without \"nix\"",
    );
    check_refused(
        &SMALL.replace("dir = \"root\"", "dir = \"root\", labels = []"),
        "release.toml:5: \"labels\" of \"source\" of system \"main\" has no meaning without \"nix\" or \
         \"oci\"",
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

#[test]
fn an_image_is_described_by_words_that_images_know() {
    let oci = |source: &str| SMALL.replace("{ dir = \"root\" }", source);
    check_refused(
        &oci("{ dir = \"root\", platform = \"linux/arm64\" }"),
        "release.toml:5: \"platform\" of \"source\" of system \"main\" has no meaning without \"oci\"",
    );
    check_refused(
        &oci("{ oci = \"image\", platform = \"arm64\" }"),
        "release.toml:5: \"platform\" of \"source\" of system \"main\": expected a platform such as \
         \"linux/arm64\" or \"linux/arm/v7\", found \"arm64\"",
    );
    check_refused(
        &oci("{ oci = \"image\", max_size = \"8G\" }"),
        "release.toml:5: \"max_size\" of \"source\" of system \"main\": expected a whole number from 0 \
         to 1125899906842624, found \"8G\"",
    );
    check_refused(
        &oci("{ oci = \"image\", labels = [\"layers\"] }"),
        "release.toml:5: \"labels\" of \"source\" of system \"main\": expected a list of \"manifest\", \
         found \"layers\"",
    );
    check_refused(
        &oci("{ oci = \"image\" }"),
        "release.toml:3: component \"main\": cannot open image: No such file or directory (os error 2)",
    );
}
