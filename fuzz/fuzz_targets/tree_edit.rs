//! Edits of trees: a head, and edits up to the end or the first that is refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use upmass_format::tree_edit::{Edit, EditHead};
use upmass_format::wire::Reader;

fuzz_target!(|data: &[u8]| {
    let mut input = Reader::new(data);
    let Ok(head) = EditHead::read(&mut input) else {
        return;
    };
    let mut again = Vec::new();
    head.put(&mut again);
    while let Ok(edit) = Edit::read(&mut input, head.policy) {
        edit.put(&mut again);
        assert_eq!(again, data[..input.offset() as usize], "an edit has one encoding");
    }
});
