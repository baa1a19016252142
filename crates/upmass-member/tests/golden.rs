//! Files of released versions stay what they are: recipes, and what the packers make of them.

use upmass_member::{Lengths, Recipe, repack, unpack};

const PLAIN: &[u8] = include_bytes!("vectors/tide.txt");

/// Checks that the recipe unpacks and repacks what is behind the header.
fn check(file: &[u8], header: usize, recipe: &[u8]) {
    let packed = &file[header..];
    let recipe = Recipe::from_bytes(recipe).unwrap();
    if !recipe.codec().is_included() {
        return;
    }
    let lengths = Lengths { packed: packed.len() as u64, plain: PLAIN.len() as u64 };
    let (mut unpacked, mut repacked) = (Vec::new(), Vec::new());
    unpack(&recipe, lengths, &mut &packed[..], &mut unpacked).unwrap();
    assert!(unpacked == PLAIN, "{recipe}");
    repack(&recipe, lengths, &mut &PLAIN[..], &mut repacked).unwrap();
    assert!(repacked == packed, "{recipe}");

    #[cfg(feature = "recognise")]
    {
        use upmass_member::recognise::{Limits, Member, find_members};
        let member = Member { offset: header as u64, lengths, recipe };
        assert_eq!(find_members(file, &Limits::default()), [member]);
    }
}

#[test]
fn gzip() {
    check(include_bytes!("vectors/tide.gzip"), 10, &[1, 0x19]);
}

#[test]
fn zlib() {
    check(include_bytes!("vectors/tide.zlib"), 2, &[0, 0x26, 0x08]);
}

#[test]
fn xz_in_threads() {
    let recipe = [3, 1, 0x21, 6, 16, 0x5d, 0, 0x80, 0x80, 0x80, 1];
    check(include_bytes!("vectors/tide.xz-t2"), 0, &recipe);
}

#[test]
fn xz_for_the_kernel() {
    check(include_bytes!("vectors/tide.xz-x86"), 0, &[3, 1, 1, 6, 26, 0x5d, 4]);
}

#[test]
fn zstd() {
    check(include_bytes!("vectors/tide.zstd"), 0, &[4, 1, 6, 38, 0]);
}

#[test]
fn lz4() {
    check(include_bytes!("vectors/tide.lz4"), 0, &[5, 1, 9]);
}
