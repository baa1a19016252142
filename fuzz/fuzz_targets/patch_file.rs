//! The head of a patch file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use upmass_format::TreeId;
use upmass_format::patch::{HEAD_LEN, Head, release};
use upmass_format::release::Release;

fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    let Ok(head) = Head::read(&mut rest) else {
        return;
    };
    assert_eq!(data.len() - rest.len(), HEAD_LEN, "nothing behind the head is read");
    assert_eq!(head.to_bytes(), data[..HEAD_LEN], "a head has one encoding");
    let tree = TreeId::from_bytes(std::array::from_fn(|i| data[i % HEAD_LEN]));
    let release = release(head.kind, tree);
    let bytes = release.to_bytes().expect("a release like any other");
    assert_eq!(Release::read(&bytes[..]).expect("it can be read"), release);
});
