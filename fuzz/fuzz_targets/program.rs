//! The program of a segment without its skeleton: the sources of trees, what is made later, parts,
//! steps.

#![no_main]

use libfuzzer_sys::fuzz_target;
use upmass_format::payload::{Later, Part, Step, TreeSource};
use upmass_format::wire::Reader;

/// How many components the release has.
const COMPONENTS: usize = 200;

fuzz_target!(|data: &[u8]| {
    let mut input = Reader::new(data);
    let mut again = Vec::new();
    if let Ok(sources) = TreeSource::read_all(&mut input, COMPONENTS) {
        TreeSource::put_all(&sources, &mut again);
        assert_eq!(again, data[..input.offset() as usize], "sources have one encoding");
    }
    let start = input.offset() as usize;
    again.clear();
    if let Ok(later) = Later::read(&mut input) {
        later.put(&mut again);
        assert_eq!(again, data[start..input.offset() as usize], "a list has one encoding");
        let before = input.offset() as usize;
        again.clear();
        if let Ok(parts) = Part::read_all(&mut input) {
            Part::put_all(&parts, &mut again);
            assert_eq!(again, data[before..input.offset() as usize], "parts have one encoding");
        }
    }
    for start in [0, start] {
        let mut input = Reader::new(&data[start..]);
        again.clear();
        while let Ok(step) = Step::read(&mut input) {
            step.put(&mut again);
            assert_eq!(again, data[start..][..input.offset() as usize], "a step has one encoding");
        }
    }
});
