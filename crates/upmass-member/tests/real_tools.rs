//! Members that real tools made: what is found, and that it repacks.
//!
//! Needs gzip, xz, zstd, lz4, cpio and python3 (`setup test` at the root of the repository).
#![cfg(feature = "recognise")]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;
use upmass_member::recognise::{Limits, Member, find_members};
use upmass_member::{Lengths, repack, unpack};

/// Text of which no two places are alike for long, with a run of what packs worse.
fn content(len: usize) -> Vec<u8> {
    let words = ["tide ", "buoy ", "anchor ", "low ", "sea\n", "calm ", "wind ", "0x", "the ", "{"];
    let mut state = 7u32;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let mut content = Vec::with_capacity(len + 16);
    while content.len() < len {
        let word = next() as usize % 24;
        match words.get(word) {
            Some(word) => content.extend_from_slice(word.as_bytes()),
            None => content.extend_from_slice(&next().to_le_bytes()[..word % 4 + 1]),
        }
    }
    content.truncate(len);
    content
}

/// What a command makes of a file.
fn run(command: &str, plain: &[u8]) -> Vec<u8> {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("plain");
    fs::write(&file, plain).unwrap();
    run_in(dir.path(), &format!("{command} -c plain"), None)
}

/// What a command makes of a pipe.
fn run_piped(command: &str, plain: &[u8]) -> Vec<u8> {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("plain"), plain).unwrap();
    run_in(dir.path(), &format!("cat plain | {command}"), None)
}

fn run_in(dir: &Path, command: &str, input: Option<&str>) -> Vec<u8> {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(dir).stdin(Stdio::null());
    if let Some(input) = input {
        shell.stdin(File::open(dir.join(input)).unwrap());
    }
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Replaces the members by their content and back; returns them and all their contents.
fn round_trip(file: &[u8]) -> (Vec<Member>, Vec<u8>) {
    let members = find_members(file, &Limits::default());
    let mut rebuilt = Vec::new();
    let mut contents = Vec::new();
    for member in &members {
        let start = member.offset as usize;
        let end = start + member.lengths.packed as usize;
        assert!(rebuilt.len() <= start, "members are in order and do not overlap");
        rebuilt.extend_from_slice(&file[rebuilt.len()..start]);
        let mut plain = Vec::new();
        unpack(&member.recipe, member.lengths, &mut &file[start..end], &mut plain).unwrap();
        repack(&member.recipe, member.lengths, &mut &plain[..], &mut rebuilt).unwrap();
        contents.extend_from_slice(&plain);
    }
    rebuilt.extend_from_slice(&file[rebuilt.len()..]);
    assert!(rebuilt == file, "the file is as it was");
    (members, contents)
}

fn check(packed: &[u8], plain: &[u8], recipe: &str) {
    let (members, contents) = round_trip(packed);
    let found: Vec<String> = members.iter().map(|member| member.recipe.to_string()).collect();
    assert_eq!(found, [recipe]);
    assert!(contents == plain);
}

/// As [`check`], where several levels may make the same of this content.
fn check_level(packed: &[u8], plain: &[u8], tool: &str) {
    let (members, contents) = round_trip(packed);
    assert_eq!(members.len(), 1);
    assert!(members[0].recipe.to_string().starts_with(tool), "{}", members[0].recipe);
    assert!(contents == plain);
}

#[test]
fn gzip_of_all_levels() {
    let plain = content(400_000);
    for level in 1..=9 {
        let packed = run(&format!("gzip -{level}"), &plain);
        check_level(&packed, &plain, "gzip -");
    }
    check(&run("gzip -9n", &plain), &plain, "gzip -9");
    check(&run_piped("gzip -9n", &plain), &plain, "gzip -9");
}

#[test]
fn gzip_of_content_of_all_kinds_of_ends() {
    for len in [1, 2, 3, 4, 100, 255, 300, 4096, 32_768, 65_274, 65_275, 65_536, 65_537, 98_300] {
        let texts =
            [content(len), vec![b'a'; len], content(97).repeat(len / 97 + 1)[..len].to_vec()];
        for plain in texts {
            for level in [1, 6, 9] {
                let packed = run(&format!("gzip -{level}n"), &plain);
                let (members, contents) = round_trip(&packed);
                // Short content may need a longer recipe than it is worth.
                assert!(contents == plain || packed.len() < 40, "{len} -{level}: {members:?}");
            }
        }
    }
}

#[test]
fn two_gzip_files_in_one_are_two_members() {
    let plain = content(5000);
    let packed = [run("gzip -6", &plain), run("gzip -1", &plain)].concat();
    let (members, contents) = round_trip(&packed);
    assert_eq!(members.len(), 2);
    assert!(contents == [&plain[..], &plain[..]].concat());
}

#[test]
fn xz_with_its_options() {
    let plain = content(3_000_000);
    let text = &plain[..700_000];
    for (command, plain, recipe) in [
        ("xz -T1 -0", text, "xz -0 Crc64 dict=262144 None Unsized"),
        ("xz -T1 -1", text, "xz -1 Crc64 dict=1048576 None Unsized"),
        ("xz -T1 -2", text, "xz -2 Crc64 dict=2097152 None Unsized"),
        ("xz -T1 -3", text, "xz -3 Crc64 dict=4194304 None Unsized"),
        ("xz -T1 -4", text, "xz -4 Crc64 dict=4194304 None Unsized"),
        ("xz -T1 -5", text, "xz -5 Crc64 dict=8388608 None Unsized"),
        ("xz -T1 -6", text, "xz -6 Crc64 dict=8388608 None Unsized"),
        ("xz -T1 -9", text, "xz -6 Crc64 dict=67108864 None Unsized"),
        ("xz -T1 -9e", text, "xz -6e Crc64 dict=67108864 None Unsized"),
        ("xz -T2 -6", text, "xz -6 Crc64 dict=8388608 None Of(2097152)"),
        (
            "xz --check=crc32 -T2 --lzma2=dict=1MiB",
            text,
            "xz -6 Crc32 dict=1048576 None Of(2097152)",
        ),
        (
            "xz --check=crc32 -T2 --lzma2=dict=512KiB",
            &plain,
            "xz -6 Crc32 dict=524288 None Of(1572864)",
        ),
        (
            "xz -T1 --check=crc32 --x86 --lzma2=dict=32MiB",
            text,
            "xz -6 Crc32 dict=33554432 X86 Unsized",
        ),
        (
            "xz -T1 --check=sha256 --arm64 --lzma2=preset=3e,lc=2,pb=1",
            text,
            "xz -3e Sha256 dict=4194304 Arm64 Unsized",
        ),
        ("xz -T1 --check=none -5", text, "xz -5 None dict=8388608 None Unsized"),
    ] {
        println!("{command}");
        check(&run(command, plain), plain, recipe);
    }
}

#[test]
fn zstd_with_its_options() {
    let plain = content(5_000_000);
    let text = &plain[..300_000];
    for (command, plain, recipe) in [
        ("zstd -q -1", text, "zstd -1 --single-thread"),
        ("zstd -q", text, "zstd -3 --single-thread"),
        ("zstd -q -9", text, "zstd -9 --single-thread"),
        ("zstd -q -19", text, "zstd -19 --single-thread"),
        ("zstd -q --fast=3", text, "zstd --fast=3 --single-thread"),
        ("zstd -q --no-check", text, "zstd -3 --single-thread --no-check"),
        ("zstd -q -3", &plain, "zstd -3"),
        ("zstd -q -9 -T0", &plain, "zstd -9"),
        ("zstd -q -3 --single-thread", &plain, "zstd -3 --single-thread"),
        ("zstd -q -3 --long=24", &plain, "zstd -3 --long=27"),
    ] {
        println!("{command}");
        check(&run(command, plain), plain, recipe);
    }
    check_level(&run("zstd -q --ultra -22", text), text, "zstd -");
    check(&run_piped("zstd -q -9", &plain), &plain, "zstd -9 from a pipe");
}

#[test]
fn lz4_as_the_kernel_uses_it() {
    let plain = content(9_000_000);
    check(&run_piped("lz4 -l -9 - -", &plain), &plain, "lz4 -l -9");
}

#[test]
fn zip_and_wheel_by_python() {
    let dir = TempDir::new().unwrap();
    let plain = content(300_000);
    fs::write(dir.path().join("plain"), &plain).unwrap();
    run_in(
        dir.path(),
        "python3 -c \"
import zipfile
with zipfile.ZipFile('a.zip', 'w') as z:
    z.write('plain', 'a', zipfile.ZIP_DEFLATED)
    z.write('plain', 'b', zipfile.ZIP_STORED)
    z.write('plain', 'c', zipfile.ZIP_DEFLATED, compresslevel=9)
    z.comment = b'comment'
\"",
        None,
    );
    let (members, contents) = round_trip(&fs::read(dir.path().join("a.zip")).unwrap());
    let found: Vec<String> = members.iter().map(|member| member.recipe.to_string()).collect();
    assert_eq!(found, ["zlib -6 mem 8 Default", "zlib -9 mem 8 Default"]);
    assert_eq!(members[0].recipe.to_bytes().len(), 3);
    assert!(contents == [&plain[..], &plain[..]].concat());
}

#[test]
fn zlib_streams_of_all_settings() {
    let dir = TempDir::new().unwrap();
    let plain = content(200_000);
    fs::write(dir.path().join("plain"), &plain).unwrap();
    for (level, mem_level, strategy, name) in [
        (1, 8, 0, "zlib -1 mem 8 Default"),
        (3, 8, 0, "zlib -3 mem 8 Default"),
        (4, 8, 0, "zlib -4 mem 8 Default"),
        (6, 9, 0, "zlib -6 mem 9 Default"),
        (9, 9, 0, "zlib -9 mem 9 Default"),
        (6, 8, 1, "zlib -6 mem 8 Filtered"),
        // These two say level 1 in the stream's header. Without runs they make the same.
        (6, 8, 2, "zlib -1 mem 8 Rle"),
        (6, 8, 3, "zlib -1 mem 8 Rle"),
        (6, 8, 4, "zlib -6 mem 8 Fixed"),
    ] {
        let command = format!(
            "python3 -c \"
import sys, zlib
z = zlib.compressobj({level}, 8, 15, {mem_level}, {strategy})
sys.stdout.buffer.write(z.compress(open('plain', 'rb').read()) + z.flush())
\""
        );
        check(&run_in(dir.path(), &command, None), &plain, name);
    }
}

#[test]
fn a_stream_of_another_packer_is_corrected() {
    // Flushes in the middle are what no single run of zlib makes.
    let dir = TempDir::new().unwrap();
    let plain = content(100_000);
    fs::write(dir.path().join("plain"), &plain).unwrap();
    let packed = run_in(
        dir.path(),
        "python3 -c \"
import sys, zlib
z = zlib.compressobj(6, 8, 31)
p = open('plain', 'rb').read()
parts = [z.compress(p[:40000]), z.flush(zlib.Z_SYNC_FLUSH), z.compress(p[40000:]), z.flush()]
sys.stdout.buffer.write(b''.join(parts))
\"",
        None,
    );
    let (members, contents) = round_trip(&packed);
    assert!(contents == plain);
    assert!(members[0].recipe.to_string().contains("corrections"));
    assert!(members[0].recipe.to_bytes().len() < 2000, "{}", members[0].recipe);
}

#[test]
fn an_initramfs_behind_an_uncompressed_one() {
    let dir = TempDir::new().unwrap();
    let plain = content(700_000);
    fs::write(dir.path().join("firmware"), &plain[..5000]).unwrap();
    fs::write(dir.path().join("init"), &plain).unwrap();
    run_in(
        dir.path(),
        "echo firmware | cpio --quiet -o -H newc > early && echo init | cpio --quiet -o -H newc > main && \
         zstd -q -9 -T0 -c main > main.zst && gzip -9nc early > early.gz && \
         cat early main.zst > initrd && cat early main.zst early.gz early > initrd.two",
        None,
    );
    let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
    let (members, contents) = round_trip(&read("initrd"));
    assert_eq!(members.len(), 1);
    assert_eq!(members[0].offset, read("early").len() as u64);
    assert!(contents == read("main"));
    assert_eq!(round_trip(&read("initrd.two")).0.len(), 2);
}

#[test]
fn a_kernel_that_unpacks_itself() {
    let plain = content(500_000);
    let payload = [run_piped("lz4 -l -9 - -", &plain), (plain.len() as u32).to_le_bytes().to_vec()];
    let payload = payload.concat();
    let mut kernel = vec![0; 3 * 512 + 100];
    kernel[0x1f1] = 2;
    kernel[0x1fe..0x206].copy_from_slice(b"\x55\xaa\xeb\x6aHdrS");
    kernel[0x206..0x208].copy_from_slice(&0x20fu16.to_le_bytes());
    kernel[0x248..0x24c].copy_from_slice(&100u32.to_le_bytes());
    kernel[0x24c..0x250].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    kernel.extend_from_slice(&payload);
    kernel.extend_from_slice(&content(1000));
    check(&kernel, &plain, "lz4 -l -9");

    let payload = run("gzip -9n", &plain);
    let mut kernel = b"MZ\0\0zimg".to_vec();
    kernel.extend_from_slice(&64u32.to_le_bytes());
    kernel.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    kernel.resize(64, 0);
    kernel.extend_from_slice(&payload);
    check(&kernel, &plain, "gzip -9");
}

#[test]
fn what_is_cut_off_or_damaged_has_no_member_that_lies() {
    let plain = content(20_000);
    for command in ["gzip -9n", "xz -T1", "xz -T2", "zstd -q -9"] {
        let packed = run(command, &plain);
        for end in (0..packed.len()).step_by(911) {
            round_trip(&packed[..end]);
        }
        for at in (0..packed.len()).step_by(1201) {
            let mut damaged = packed.clone();
            damaged[at] ^= 0x10;
            round_trip(&damaged);
        }
    }
}

#[test]
fn limits_are_kept() {
    let plain = content(100_000);
    let packed = run("xz -T1 -9", &plain);
    assert_eq!(find_members(&packed, &Limits::default()).len(), 1);
    let limits = Limits { max_plain: 99_999, ..Limits::default() };
    assert_eq!(find_members(&packed, &limits), []);
    let limits = Limits { max_memory: 64 << 20, ..Limits::default() };
    assert_eq!(find_members(&packed, &limits), []);
    let member = &find_members(&packed, &Limits::default())[0];
    assert_eq!(member.lengths, Lengths { packed: packed.len() as u64, plain: 100_000 });
}
