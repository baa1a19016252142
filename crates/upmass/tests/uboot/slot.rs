//! What `upmass image` puts on a disk for U-Boot.

use std::fs;
use std::process::Command;

use upmass_boot::check_slot;
use upmass_disk::gpt::Slot;

use crate::board::Board;

#[test]
fn a_slot_has_the_boot_script_a_configuration_for_each_system_and_what_they_name() {
    let board = Board::new(&["1"]);
    let mut files: Vec<String> = board
        .mtools("mdir", Slot::One, &["-b", "-/", "::"])
        .lines()
        .map(|path| path.trim_start_matches("::/").to_owned())
        .collect();
    files.sort();
    let (contents, named): (Vec<_>, Vec<_>) = files.iter().partition(|path| path.contains('-'));
    let expected = [
        "boot.scr",
        "upmass/",
        "upmass/extlinux.conf",
        "upmass/extlinux/",
        "upmass/extlinux/main.conf",
    ];
    assert_eq!(named[..5], expected);
    assert_eq!(named[5..], ["upmass/extlinux/rescue.conf"]);
    // One initial RAM disk for both, and the two files that say what the slot is.
    assert_eq!(contents.len(), 2 + 1 + 2, "{contents:?}");
    let text = |path: &str| board.mtools("mtype", Slot::One, &[&format!("::{path}")]);
    let main = text("upmass/extlinux/main.conf");
    assert_eq!(text("upmass/extlinux.conf"), main, "the fallback");
    let lines: Vec<&str> = main.lines().collect();
    assert_eq!(lines[..4], ["# release 1", "default main", "label main", "  menu label main"]);
    for (line, key) in lines[4..6].iter().zip(["  linux /", "  initrd /"]) {
        assert!(files.contains(&line.strip_prefix(key).unwrap().to_owned()), "{line}");
    }
    let id = board.id("1");
    let words = format!("quiet gpt panic=10 upmass.release={id} upmass.system=main");
    assert_eq!(lines[6..], [format!("  append upmass.slot=${{upmass_slot}} {words}")]);

    let (disk, found) = board.found();
    assert!(check_slot(&found.content(disk, Slot::One).unwrap(), &mut |_| {}).is_ok());
    // And the next one is a place for what U-Boot is told.
    let names: Vec<String> =
        found.layout.partitions().map(|partition| partition.name.to_string()).collect();
    assert_eq!(names, ["boot-1", "boot-2", "boot-once", "system", "data"]);
    let said = Command::new("sgdisk").arg("-v").arg(board.disk()).output().unwrap();
    assert!(String::from_utf8_lossy(&said.stdout).contains("No problems found"));
}

#[test]
fn bmaptool_clears_what_the_medium_had_in_the_place_of_a_one_shot() {
    let board = Board::new(&["1"]);
    let image = ["image", "1", "-o", "disk.img", "--store", "st", "--disk", "disk.toml", "--bmap"];
    board.place.succeed(&image);
    let len = fs::metadata(board.place.path("disk.img")).unwrap().len();
    fs::write(board.place.path("medium"), vec![0xa5; len as usize]).unwrap();
    let copied = Command::new("bmaptool")
        .args(["copy", "disk.img", "medium"])
        .current_dir(board.place.directory.path())
        .output()
        .expect("bmaptool is missing: run ./setup");
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    let once = board.once();
    let medium = fs::read(board.place.path("medium")).unwrap();
    let start = once.start() as usize;
    assert!(medium[start..start + 3 * 512].iter().all(|byte| *byte == 0));
}

#[test]
fn what_uboot_cannot_do_is_refused_in_one_sentence() {
    let board = Board::new(&["1"]);
    let place = &board.place;
    let image = ["image", "1", "-o", "x.img", "--store", "st", "--disk", "disk.toml"];
    let error = place.fail(2, &[&image[..], &["--loader", "main-1/boot/Image"]].concat());
    assert_eq!(error, "--loader is for systemd-boot; U-Boot belongs to the board, not to the disk");
    for (character, line) in [("$", "a=$b"), ("'", "it's"), ("\\", "a\\\\b")] {
        let text = fs::read_to_string(place.path("release.toml")).unwrap();
        let text = text.replacen("quiet", line, 1).replace("\"1\"", "\"2\"");
        fs::write(place.path("other.toml"), text).unwrap();
        place.succeed(&["release", "other.toml", "--store", "other"]);
        let error = place
            .fail(3, &["image", "2", "-o", "x.img", "--store", "other", "--disk", "disk.toml"]);
        let expected = format!(
            "system \"main\": its command line has {character}, which U-Boot would take for its own"
        );
        assert_eq!(error, expected);
        fs::remove_dir_all(place.path("other")).unwrap();
    }
    assert!(!place.path("x.img").exists());
}
