//! Releases and their skeletons.

#![no_main]

use libfuzzer_sys::fuzz_target;
use upmass_format::release::Release;

fuzz_target!(|data: &[u8]| {
    if let Ok(release) = Release::read(data) {
        let again = release.to_bytes().expect("a release that was read can be written");
        assert_eq!(again, data, "a release has one encoding");
        for system in &release.systems {
            let closure = release.closure(system);
            assert!(closure.is_sorted_by(|a, b| a < b));
        }
    }
    if let Ok(release) = Release::read_skeleton(data) {
        let again = release.skeleton().expect("a skeleton that was read can be written");
        assert_eq!(again, data, "a skeleton has one encoding");
    }
});
