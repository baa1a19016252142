//! Variables as files: names, attributes, the immutable flag, and what is missing or read-only. The kernel's own
//! efivarfs is met by the tests in QEMU.

use std::fs;
use std::process::Command;

use upmass_boot::variables::{EfivarFs, VariableError, Variables, Vendor};

const VENDOR: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

fn with_one() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(format!("LoaderInfo-{VENDOR}"));
    fs::write(file, b"\x06\0\0\0systemd-boot").unwrap();
    directory
}

#[test]
fn a_variable_is_a_file_with_four_bytes_of_attributes() {
    let directory = with_one();
    let variables = EfivarFs::open(directory.path()).unwrap();
    variables.check_writable().unwrap();
    let read = |vendor, name| variables.read(vendor, name).unwrap();
    assert_eq!(read(Vendor::Loader, "LoaderInfo"), Some(b"systemd-boot".to_vec()));
    assert_eq!(read(Vendor::Global, "LoaderInfo"), None);
    variables.write(Vendor::Global, "BootNext", &[3, 0]).unwrap();
    let file = directory.path().join("BootNext-8be4df61-93ca-11d2-aa0d-00e098032b8c");
    assert_eq!(fs::read(&file).unwrap(), [7, 0, 0, 0, 3, 0]);
    // In place of what it was, whatever was longer.
    variables.write(Vendor::Global, "BootNext", &[]).unwrap();
    assert_eq!(fs::read(&file).unwrap(), [7, 0, 0, 0]);
    assert_eq!(variables.names(Vendor::Global).unwrap(), ["BootNext"]);
    assert_eq!(variables.names(Vendor::Loader).unwrap(), ["LoaderInfo"]);
    variables.remove(Vendor::Global, "BootNext").unwrap();
    variables.remove(Vendor::Global, "BootNext").unwrap();
    assert_eq!(read(Vendor::Global, "BootNext"), None);
    // The kernel shows a variable that is being made as an empty file.
    fs::write(&file, b"").unwrap();
    assert_eq!(read(Vendor::Global, "BootNext"), None);
}

#[test]
fn where_there_are_none_one_sentence_says_so() {
    let directory = tempfile::tempdir().unwrap();
    for path in [directory.path().to_owned(), directory.path().join("none")] {
        let error = EfivarFs::open(&path).err().unwrap();
        assert!(matches!(error, VariableError::Missing { .. }), "{error}");
        assert_eq!(
            error.to_string(),
            format!(
                "there are no EFI variables at {}, so it is not known what the next start boots: the \
                 machine was not started by UEFI firmware, or efivarfs is not mounted there",
                path.display()
            )
        );
    }
}

/// Runs a program, which must succeed.
fn run(words: &[&str]) {
    let done = Command::new(words[0]).args(&words[1..]).status();
    assert!(done.unwrap().success(), "{words:?} (this test needs root)");
}

#[test]
fn an_immutable_file_and_a_read_only_mount_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    run(&["mount", "-t", "tmpfs", "none", path]);
    let file = directory.path().join("BootNext-8be4df61-93ca-11d2-aa0d-00e098032b8c");
    fs::write(&file, [7, 0, 0, 0, 1, 0]).unwrap();
    let variables = EfivarFs::open(directory.path()).unwrap();
    let lock = || Command::new("chattr").arg("+i").arg(&file).status().unwrap().success();
    // Not every kernel's tmpfs has the flag.
    if lock() {
        assert!(fs::write(&file, "x").is_err(), "it is immutable");
        variables.write(Vendor::Global, "BootNext", &[2, 0]).unwrap();
        assert_eq!(variables.read(Vendor::Global, "BootNext").unwrap(), Some(vec![2, 0]));
        assert!(lock());
        variables.remove(Vendor::Global, "BootNext").unwrap();
        assert!(!file.exists());
    } else {
        eprintln!("NOT TESTED: tmpfs of this kernel has no immutable flag");
    }
    fs::write(&file, [7, 0, 0, 0, 1, 0]).unwrap();
    run(&["mount", "-o", "remount,ro", path]);
    let check = variables.check_writable().unwrap_err();
    let write = variables.write(Vendor::Global, "Boot0001", &[1]).unwrap_err();
    run(&["umount", path]);
    assert!(matches!(check, VariableError::ReadOnly { .. }), "{check}");
    let why = "cannot be written, so no release can be tried: they are mounted read-only";
    assert!(check.to_string().contains(why), "{check}");
    assert!(write.to_string().contains("Read-only file system"), "{write}");
}
