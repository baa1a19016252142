//! Coder 2 both ways: any old and new content, or damaged programs, with the copies that are
//! found or with any operations.

#![no_main]

mod fixture;

use fixture::{Input, PROGRAMS, SMALLEST};
use libfuzzer_sys::fuzz_target;
use upmass_delta::align::{align, operations};
use upmass_delta::modelled::{Decoder, Encoder, Kind, Operation};

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let mode = input.byte();
    let any = if mode & 8 != 0 { Some(input.run()) } else { None };
    let (old, new) = match PROGRAMS.get(usize::from(mode & 3)) {
        Some(program) => {
            let (mut old, mut new) = (program.old.clone(), program.new.clone());
            input.edit(&mut old);
            if mode & 4 != 0 {
                input.edit(&mut new);
            }
            (old, new)
        }
        None => (input.run().to_vec(), input.0.to_vec()),
    };
    let operations = match any {
        Some(bytes) => any_operations(bytes, &old, &new),
        None => operations(&align(&old, &new), &&new[..]).expect("the content is in memory"),
    };
    let mut encoder = Encoder::with_sizes(SMALLEST);
    let mut needed = Vec::new();
    for _ in 0..1 + (mode >> 4 & 1) {
        encoder.object(&&old[..], &&new[..], &operations).expect("the content is in memory");
        needed.push(encoder.needed());
    }
    let stream = encoder.finish();
    let mut decoder = Decoder::new(&stream[..]);
    for needed in needed {
        let mut made = Vec::new();
        let done = decoder.patch(&&old[..], new.len() as u64, &mut made);
        done.expect("what was encoded can be decoded");
        assert!(made == new, "the patch makes the new content");
        assert!(decoder.consumed() <= needed, "no more is read than the encoder says");
    }
});

/// Operations that make all of `new`, of the kinds, lengths and sources in `bytes`.
fn any_operations(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<Operation> {
    let (mut input, mut at) = (Input(bytes), 0);
    let (mut operations, mut recalled) = (Vec::new(), 0);
    while at < new.len() {
        let (kind, from) = (input.byte(), input.short());
        if kind & 7 == 7 && recalled < old.len() {
            let from = recalled + from % (old.len() - recalled);
            let len = (1 + input.short()).min(old.len() - from);
            operations.push(Operation { kind: Kind::Recall(from as u64), len: len as u64 });
            recalled = from + len;
            continue;
        }
        let len = if input.0.is_empty() { new.len() } else { 1 + input.short() };
        let len = len.min(new.len() - at);
        let zeros = new[at..].iter().take_while(|byte| **byte == 0).count();
        let (kind, len) = match kind & 3 {
            0 if from < old.len() => (Kind::Copy(from as u64), len.min(old.len() - from)),
            1 => (Kind::Raw, len),
            2 if zeros > 0 => (Kind::Zeros, len.min(zeros)),
            _ => (Kind::Literal, len),
        };
        operations.push(Operation { kind, len: len as u64 });
        at += len;
    }
    operations
}
