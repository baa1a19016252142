mod common;
#[path = "common/program.rs"]
mod program;
use program::{MACHINES, Machine, Plan, versions};
use upmass_delta::modelled::{Decoder, Encoder, Kind, Operation};
use std::time::Instant;

fn run(name: &str, old: &[u8], new: &[u8], ops: &[Operation]) {
    let mut e = Encoder::with_table(16);
    e.object(&old, &new, ops).unwrap();
    let s = e.finish();
    let t = Instant::now();
    let mut made = Vec::new();
    Decoder::new(&s[..]).patch(&old, new.len() as u64, &mut made).unwrap();
    assert!(made == new);
    println!("{name}: {} bytes from a stream of {}: {:?}", new.len(), s.len(), t.elapsed());
}

#[test]
fn hostile() {
    for m in MACHINES {
        let (old, _) = versions(m, 600);
        let n = 30000.min(old.len() - 8192);
        // one-byte copies, sequential, moved by one
        let ops: Vec<_> = (0..n).map(|i| Operation { kind: Kind::Copy(4097 + i as u64), len: 1 }).collect();
        let new = old[4097..4097 + n].to_vec();
        run(&format!("{m:?} copies of 1 byte"), &old, &new, &ops);
        run(&format!("{m:?} one copy"), &old, &new, &[Operation { kind: Kind::Copy(4097), len: n as u64 }]);
        // many ELF segments: program headers of 4096 at the end, all far away
        if m != Machine::Arm {
            let mut lie = old.clone();
            let at = lie.len() as u64;
            for i in 0..4096u64 {
                let mut h = vec![0u8; 56];
                h[0] = 1; h[4] = 5;
                h[8..16].copy_from_slice(&(1u64 << 40).wrapping_add(i).to_le_bytes());
                h[16..24].copy_from_slice(&(1u64 << 50).wrapping_add(i).to_le_bytes());
                h[32..40].copy_from_slice(&1u64.to_le_bytes());
                lie.extend(h);
            }
            lie[32..40].copy_from_slice(&at.to_le_bytes());
            lie[56..58].copy_from_slice(&4096u16.to_le_bytes());
            run(&format!("{m:?} 4096 ELF segments"), &lie, &new, &[Operation { kind: Kind::Copy(4097), len: n as u64 }]);
        }
    }
    // eh_frame of 64 MiB, made of records of length 1, for one byte
    let mut old = Plan::new(Machine::X86, 5).build();
    let shoff = u64::from_le_bytes(old[40..48].try_into().unwrap()) as usize;
    let count = u16::from_le_bytes(old[60..62].try_into().unwrap()) as usize;
    let start = old.len() as u64;
    for _ in 0..(64 << 20) / 5 { old.extend([1, 0, 0, 0, 9]); }
    let size = old.len() as u64 - start;
    for i in 0..count {
        let at = shoff + 64 * i;
        let is_text = old[at + 4..at + 8] == 1u32.to_le_bytes() && old[at + 8] == 2;
        if is_text { // .eh_frame and .eh_frame_hdr
            old[at + 24..at + 32].copy_from_slice(&start.to_le_bytes());
            old[at + 32..at + 40].copy_from_slice(&size.to_le_bytes());
        }
    }
    let new = old[start as usize + 100..start as usize + 101].to_vec();
    run("unwind walk", &old, &new, &[Operation { kind: Kind::Copy(start + 100), len: 1 }]);
    // many tiny objects
    let mut e = Encoder::with_table(16);
    for _ in 0..20000 { e.object(&&b"abc"[..], &&b"abc"[..], &[Operation { kind: Kind::Copy(0), len: 3 }]).unwrap(); }
    let s = e.finish();
    let t = Instant::now();
    let mut d = Decoder::new(&s[..]);
    for _ in 0..20000 { d.patch(&&b"abc"[..], 3, &mut Vec::new()).unwrap(); }
    println!("20000 small objects: {:?}, stream {}", t.elapsed(), s.len());
}
