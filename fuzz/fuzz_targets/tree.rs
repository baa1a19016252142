//! Trees, from their start and from anywhere inside.

#![no_main]

use libfuzzer_sys::fuzz_target;
use upmass_format::tree::{Directory, MtimePolicy, TreeReader};

fuzz_target!(|data: &[u8]| {
    if let Ok((tree, policy)) = Directory::read(data) {
        let again = tree.to_bytes(policy).expect("a tree that was read can be written");
        assert_eq!(again, data, "a tree has one encoding");
    }
    for policy in [MtimePolicy::Normalised, MtimePolicy::Kept] {
        let mut reader = TreeReader::resume(data, policy, 0);
        let mut end = 0;
        while let Ok(Some(_)) = reader.next_event() {
            assert!(reader.offset() > end, "every event takes some bytes");
            end = reader.offset();
            let _ = reader.directory();
        }
    }
});
