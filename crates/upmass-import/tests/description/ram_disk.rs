//! Initial RAM disks that are made: checked with gzip, xz and cpio.

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;

const WITH_MODULES: &str = r#"machine = "m"
version = "1"
[[system]]
name = "main"
source = { dir = "root" }
kernel = "/boot/vmlinuz-*"
initrd = { init = "init", modules = ["odd-one"] }
"#;

/// The head of a program for x86-64 with one program header of the given type, and what ours says.
fn program(header: u8, text: &str) -> Vec<u8> {
    let mut elf = vec![0; 120];
    elf[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    elf[18] = 62;
    (elf[32], elf[54], elf[56]) = (64, 56, 1);
    elf[64] = header;
    elf.extend_from_slice(text.as_bytes());
    elf
}

/// A module for a machine.
fn module(machine: u8) -> Vec<u8> {
    let mut elf = program(1, "module");
    elf[18] = machine;
    elf
}

fn filter(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is missing ({error}): run ./setup"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{program}");
    output.stdout
}

fn project() -> Project {
    let project = Project::with(WITH_MODULES);
    let write = |path: &str, content: &[u8]| {
        project.file(path, "");
        fs::write(project.path(path), content).unwrap();
    };
    write("init", &program(1, "upmass-init: "));
    write("root/boot/vmlinuz-6.1", b"kernel");
    let modules = "root/usr/lib/modules/6.1";
    project.link("root/lib", "usr/lib");
    project.file(
        &format!("{modules}/modules.dep"),
        "kernel/nvme.ko.xz: kernel/nvme-core.ko\nkernel/nvme-core.ko:\nkernel/odd-one.ko.gz:\n\
         kernel/gpu.ko:\n",
    );
    project.file(&format!("{modules}/modules.alias"), "alias pci:v*bc01sc08i02* nvme\n");
    project.file(&format!("{modules}/modules.builtin"), "kernel/ext4.ko\n");
    write(&format!("{modules}/kernel/nvme.ko.xz"), &filter("xz", &[], &module(62)));
    write(&format!("{modules}/kernel/nvme-core.ko"), &module(62));
    write(&format!("{modules}/kernel/odd-one.ko.gz"), &filter("gzip", &[], &module(62)));
    write(&format!("{modules}/kernel/gpu.ko"), &module(62));
    project
}

/// The release's initial RAM disk.
fn made(project: &Project, release: &Release) -> Vec<u8> {
    let file = release.systems[0].boot.iter().find(|file| file.kind == BootKind::Initrd).unwrap();
    let (tree, _) = project.store.tree(release.components[file.component].tree).unwrap();
    let Some(upmass_format::tree::Child::Leaf(_, node)) = tree.get(&file.path) else { panic!() };
    let upmass_format::tree::Node::Object { id, .. } = node else { panic!("{node:?}") };
    fs::read(project.store.object_path(*id).unwrap()).unwrap()
}

#[test]
fn it_has_the_init_program_and_the_modules_that_are_needed_and_is_part_of_the_release() {
    let project = project();
    let release = project.import().release;
    assert_eq!(
        boot(&release, 0),
        [
            (BootKind::Kernel, "main", "boot/vmlinuz-6.1".to_owned()),
            (BootKind::Initrd, "main.initrd", "initrd".to_owned()),
        ]
    );
    let component = &release.components[release.component("main.initrd").unwrap()];
    assert_eq!(component.install.to_string(), "/boot/upmass");
    assert_eq!(release.systems[0].roots, [0, 1]);

    let archive = filter("gzip", &["-dc"], &made(&project, &release));
    let names = filter("cpio", &["-it", "--quiet"], &archive);
    let mut names: Vec<&str> = std::str::from_utf8(&names).unwrap().lines().collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "data",
            "dev",
            "dev/console",
            "init",
            "layer",
            "modules",
            "modules/index",
            "modules/nvme.ko",
            "modules/nvme_core.ko",
            "modules/odd_one.ko",
            "proc",
            "root",
            "sys",
            "system",
        ]
    );
    let file = |name| filter("cpio", &["-i", "--quiet", "--to-stdout", name], &archive);
    assert_eq!(file("init"), program(1, "upmass-init: "));
    // Unpacked once, here.
    assert_eq!(file("modules/nvme.ko"), module(62));
    assert_eq!(file("modules/odd_one.ko"), module(62));
    assert_eq!(
        String::from_utf8(file("modules/index")).unwrap(),
        "module nvme_core \nmodule nvme nvme_core\nmodule odd_one \nalways odd_one\n\
         alias pci:v*bc01sc08i02* nvme\n"
    );
    assert_eq!(project.import().release, release, "always the same bytes");
}

#[test]
fn a_kernel_without_modules_needs_none() {
    let project = project();
    fs::remove_dir_all(project.path("root/usr/lib/modules")).unwrap();
    let text = project.text();
    project.describe(&text.replace(", modules = [\"odd-one\"]", ""));
    let archive = filter("gzip", &["-dc"], &made(&project, &project.import().release));
    let names = String::from_utf8(filter("cpio", &["-it", "--quiet"], &archive)).unwrap();
    assert!(names.contains("modules/index") && !names.contains(".ko"), "{names}");
}

#[test]
fn what_keeps_it_from_being_made_is_told() {
    let check = |change: &dyn Fn(&Project), expected: &str| {
        let project = project();
        change(&project);
        let expected = format!("release.toml:7: \"initrd\" of system \"main\": {expected}");
        let refused = project.refused();
        assert!(refused.starts_with(&expected), "{refused}\n{expected}");
    };
    let describe = |from: &'static str, to: &'static str| {
        move |project: &Project| project.describe(&project.text().replace(from, to))
    };
    check(
        &|project| fs::write(project.path("init"), program(3, "upmass-init: ")).unwrap(),
        "the init program needs shared libraries: build it with `make init`",
    );
    check(
        &|project| fs::write(project.path("init"), program(1, "busybox")).unwrap(),
        "the init program is another one than upmass-init",
    );
    check(
        &|project| fs::write(project.path("init"), "#!/bin/sh").unwrap(),
        "the init program is no ELF file",
    );
    check(
        &|project| fs::remove_file(project.path("init")).unwrap(),
        "there is no init program for it: read init: ",
    );
    check(
        &describe("init = \"init\", ", ""),
        "there is no init program for it: name one with initrd = { init = \"…\" }",
    );
    check(
        &describe("odd-one", "even"),
        "module even is neither in /usr/lib/modules/6.1 nor built into that kernel",
    );
    check(
        &|project| {
            let path = project.path("root/usr/lib/modules/6.1/kernel/nvme-core.ko");
            fs::write(path, module(183)).unwrap();
        },
        "the init program is for another machine (62) than \
         /usr/lib/modules/6.1/kernel/nvme-core.ko (183)",
    );
    check(
        &|project| {
            let path = project.path("root/usr/lib/modules/6.1/kernel/nvme.ko.xz");
            fs::write(path, "not xz").unwrap();
        },
        "/usr/lib/modules/6.1/kernel/nvme.ko.xz cannot be unpacked: ",
    );
    check(
        &|project| {
            fs::remove_file(project.path("root/usr/lib/modules/6.1/modules.dep")).unwrap();
        },
        "/usr/lib/modules/6.1 has no modules.dep: run depmod for it first",
    );
}

#[test]
fn of_several_kernels_modules_those_of_the_kernel_are_taken() {
    let project = project();
    project.file("root/usr/lib/modules/5.10/modules.dep", "");
    project.import();
    fs::rename(project.path("root/boot/vmlinuz-6.1"), project.path("root/boot/vmlinuz-x")).unwrap();
    assert_eq!(
        project.refused(),
        "release.toml:7: \"initrd\" of system \"main\": /lib/modules/* matches 2 directories, and \
         the kernel's name does not say which: name one with initrd = { from = \"…\" }"
    );
    let text = project.text();
    project.describe(&text.replace("{ init", "{ from = \"/lib/modules/6.*\", init"));
    project.import();
}
