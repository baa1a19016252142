//! Derivations and the names that follow from them; runs of outputs.

#![no_main]

use libfuzzer_sys::fuzz_target;
use upmass_format::derivations::{DerivedNames, Derivations};
use upmass_format::nix::is_base_name;
use upmass_format::wire::Reader;

fuzz_target!(|data: &[u8]| {
    if let Ok(derivations) = Derivations::read(data) {
        let names: Vec<String> = derivations.names().collect();
        assert_eq!(names.len(), derivations.outputs());
        assert!(names.iter().all(|name| is_base_name(name.as_bytes())));
        assert!(derivations.memory() < 1 << 26);
    }
    let mut input = Reader::new(data);
    if let Ok(runs) = DerivedNames::read(&mut input, 1000, 1000) {
        let mut again = Vec::new();
        runs.put(&mut again);
        assert_eq!(again, data[..input.offset() as usize], "runs have one encoding");
    }
});
