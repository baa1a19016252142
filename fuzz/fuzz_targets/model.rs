//! Streams of coder 2: any bytes, or damaged streams of small programs, with bases that are
//! programs, damaged programs, or anything.

#![no_main]

mod fixture;

use std::io;

use fixture::{Input, PROGRAMS, SMALLEST};
use libfuzzer_sys::fuzz_target;
use upmass_delta::DeltaError;
use upmass_delta::modelled::Decoder;
use upmass_delta::patch::Sink;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let mode = input.byte();
    let program = PROGRAMS.get(usize::from(mode & 3));
    let mut base = program.map_or_else(|| input.run().to_vec(), |program| program.old.clone());
    if mode & 4 != 0 {
        input.edit(&mut base);
    }
    let mut len = input.short();
    let stream = match program {
        Some(program) if mode & 8 != 0 => {
            len = program.new.len();
            let mut stream = program.stream.clone();
            input.edit(&mut stream[2..]);
            stream
        }
        _ if mode & 16 != 0 => input.0.to_vec(),
        // Bit 7 of the first byte: few contexts.
        _ => [&[SMALLEST.table_log2 | mode & 0x80, SMALLEST.history_log2], input.0].concat(),
    };
    let mut decoder = Decoder::new(&stream[..]);
    // The second object meets models that have seen something.
    let objects = if mode & 32 != 0 { &[len, len / 2][..] } else { &[len] };
    for len in objects.iter().copied() {
        let mut sink = Counted { left: len as u64 };
        match decoder.patch(&&base[..], len as u64, &mut sink) {
            Ok(()) => assert_eq!(sink.left, 0, "an object is made whole"),
            Err(DeltaError::Base(error)) => panic!("read outside the base: {error}"),
            Err(_) => return,
        }
        assert!(decoder.consumed() <= stream.len() as u64);
    }
});

struct Counted {
    left: u64,
}

impl Sink for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_zeros(bytes.len() as u64)
    }

    fn write_zeros(&mut self, len: u64) -> io::Result<()> {
        self.left = self.left.checked_sub(len).expect("not longer than was asked for");
        Ok(())
    }
}
