//! The front of an update: header, frames, extensions, signatures.

#![no_main]

use libfuzzer_sys::fuzz_target;
use upmass_format::update::Front;

fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    let Ok(front) = Front::read(&mut rest) else {
        return;
    };
    assert_eq!([&front.to_bytes(), rest].concat(), data, "a front has one encoding");
    assert_eq!(front.payload_offset(), (data.len() - rest.len()) as u64);
    assert_eq!(Front::new(front.header.clone(), front.signatures.clone()), front);
    let header = &front.header;
    let end = (0..header.frames.len()).fold(0, |end, index| {
        let (start, len) = header.frame_range(index);
        assert_eq!(start, end, "frames follow each other");
        end + len as u64
    });
    assert_eq!(end, header.payload_len);
    assert!(front.file_len() >= header.payload_len);
});
