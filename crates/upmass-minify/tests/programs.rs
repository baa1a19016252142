//! Programs: what the loader takes, held against the loader itself.

mod common;

use std::process::Command;

use common::{System, chain, check, rooted};
use upmass_minify::{Evidence, Verdict};

/// What the loader of this machine loads for a program.
fn loaded(program: &str) -> Vec<String> {
    let output = Command::new("ldd").arg(program).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let paths = text.lines().filter_map(|line| {
        let path = line.split("=> ").last()?.split_whitespace().next()?;
        path.starts_with('/').then(|| path.to_owned())
    });
    paths.collect()
}

#[test]
fn a_program_keeps_exactly_the_libraries_that_its_loader_loads() {
    for program in ["/usr/bin/env", "/usr/bin/git", "/usr/bin/python3.11", "/usr/bin/curl"] {
        let Ok(real) = std::fs::canonicalize(program) else { continue };
        let real = real.to_str().unwrap();
        let system = System::new();
        system.link("/lib64", "usr/lib64").copy(real);
        let libraries = loaded(real);
        assert!(!libraries.is_empty(), "{real} is linked with nothing");
        // Each under its own name, in the directory where this machine has it.
        let merged = |path: &str| match path.starts_with("/usr/") {
            true => path.to_owned(),
            false => format!("/usr{path}"),
        };
        for library in &libraries {
            system.file(&merged(library), std::fs::read(library).unwrap());
        }
        system.file(
            "/usr/lib/x86_64-linux-gnu/libnobody.so.1",
            std::fs::read(&libraries[0]).unwrap(),
        );
        let minified = system.lean(&[real]);
        for library in &libraries {
            let verdict = minified.verdict(merged(library).as_bytes());
            let Some(Verdict::Kept(reason)) = verdict else {
                panic!("{library} of {real} goes: {verdict:?}")
            };
            assert!(
                matches!(
                    reason.evidence,
                    // Some libraries are also loaded by name.
                    Evidence::Library | Evidence::Interpreter | Evidence::LibraryName
                ),
                "{library} of {real}: {reason:?}"
            );
        }
        check(&minified, &[], &["/usr/lib/x86_64-linux-gnu/libnobody.so.1"]);
    }
}

/// Compiles C into a shared library or a program.
fn compile(output: &std::path::Path, code: &str, arguments: &[&str]) {
    let source = output.with_extension("c");
    std::fs::write(&source, code).unwrap();
    let status =
        Command::new("cc").arg("-o").arg(output).arg(&source).args(arguments).status().unwrap();
    assert!(status.success());
}

#[test]
fn libraries_that_need_each_other_do_not_go_round_for_ever() {
    let work = tempfile::tempdir().unwrap();
    let at = |name: &str| work.path().join(name);
    let directory = format!("-L{}", work.path().display());
    compile(&at("liba.so"), "int a(void){return 1;}", &["-shared", "-fPIC"]);
    compile(
        &at("libb.so"),
        "int a(void);int b(void){return a();}",
        &["-shared", "-fPIC", &directory, "-la"],
    );
    compile(
        &at("liba.so"),
        "int b(void);int a(void){return b();}",
        &["-shared", "-fPIC", &directory, "-lb"],
    );
    let system = System::new();
    for name in ["liba.so", "libb.so"] {
        system.file(&format!("/usr/lib/{name}"), std::fs::read(at(name)).unwrap());
    }
    let minified = system.lean(&["/usr/lib/liba.so"]);
    check(&minified, &["/usr/lib/libb.so"], &[]);
    let expected = ["/usr/lib/libb.so library", "/usr/lib/liba.so root"];
    assert_eq!(chain(&minified, "/usr/lib/libb.so"), expected);
}

#[test]
fn a_library_is_found_where_the_program_says_and_nowhere_else() {
    let work = tempfile::tempdir().unwrap();
    let at = |name: &str| work.path().join(name);
    compile(&at("libx.so"), "int x(void){return 1;}", &["-shared", "-fPIC"]);
    let directory = format!("-L{}", work.path().display());
    let origin = "-Wl,-rpath,$ORIGIN/../lib/private";
    compile(&at("run"), "int x(void);int main(void){return x();}", &[&directory, "-lx", origin]);
    let system = System::new();
    let library = std::fs::read(at("libx.so")).unwrap();
    system.file("/opt/a/bin/run", std::fs::read(at("run")).unwrap());
    system.file("/usr/lib/libx.so", &library).file("/opt/a/lib/private/libx.so", &library);
    let minified = system.lean(&["/opt/a/bin/run"]);
    // All below /opt is the user's own; the chain says who loads it.
    check(&minified, &["/opt/a/lib/private/libx.so"], &["/usr/lib/libx.so"]);
}

#[test]
fn a_program_that_lies_about_itself_keeps_too_much_or_too_little_but_never_fails() {
    let program = std::fs::read("/usr/bin/env").unwrap();
    let system = System::new();
    for (index, at) in (0..1024).step_by(7).enumerate() {
        let mut content = program.clone();
        content[at] = content[at].wrapping_add(0x81);
        content.truncate(program.len() - index * 100);
        system.file(&format!("/usr/bin/lie{index}"), content);
    }
    let minified = system.lean(&["lie0"]);
    check(&minified, &["/usr/bin/lie0"], &[]);
}

#[test]
fn a_library_that_a_program_names_stays_for_dlopen() {
    let system = System::new();
    let program = [&b"\x7fELF\0\0libplugin.so.3\0/usr/share/data/table\0"[..], &[0; 64]].concat();
    system
        .file("/usr/bin/run", program)
        .file("/usr/lib/libplugin.so.3", "")
        .file("/usr/lib/libplugin.so.4", "");
    system.file("/usr/share/data/table", "x").file("/usr/share/data/other", "x");
    let minified = system.lean(&["run"]);
    let stay = ["/usr/lib/libplugin.so.3", "/usr/share/data/table"];
    check(&minified, &stay, &["/usr/lib/libplugin.so.4", "/usr/share/data/other"]);
    assert_eq!(chain(&minified, stay[0])[0], "/usr/lib/libplugin.so.3 library-name");
}

#[test]
fn a_root_that_is_not_there_is_refused() {
    let system = System::new();
    system.file("/usr/bin/run", "x");
    let files = upmass_minify::DirectoryFiles::open(system.root()).unwrap();
    let error = upmass_minify::minify(&files, &rooted(&["rum"]), &|_| {}).unwrap_err();
    assert!(error.is_bad_input());
    assert!(error.to_string().contains("\"rum\""), "{error}");
}
