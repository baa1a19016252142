//! Programs that describe their types (BTF).

#![allow(dead_code, reason = "each test uses a part of it")]

use super::Noise;

/// A program of 64 bits with descriptions of these types: structures, of which each number decides
/// which members it has. An object file counts types from `first` on.
pub fn described(kind: u16, first: u32, structures: &[u64]) -> Vec<u8> {
    let (mut types, mut names) = (Vec::new(), vec![0]);
    let put = |types: &mut Vec<u8>, words: &[u32]| {
        for word in words {
            types.extend(word.to_le_bytes());
        }
    };
    let mut name = |text: String| {
        let place = names.len() as u32;
        names.extend(text.into_bytes());
        names.push(0);
        place
    };
    for number in structures {
        let mut noise = Noise::new(*number);
        let parts = noise.next() as u32 % 12;
        let place = name(format!("structure_{number}"));
        put(&mut types, &[place, 4 << 24 | parts, parts * 8]);
        for part in 0..parts {
            // A member is another structure, or a pointer to it.
            let wanted = noise.next() % 211;
            let other = structures.iter().position(|n| *n == wanted).unwrap_or(0);
            let other = first + 1 + 2 * other as u32 + noise.next() as u32 % 2;
            let place = name(format!("member_{}", noise.next()));
            put(&mut types, &[place, other, part * 64]);
        }
        let place = structures.iter().position(|n| n == number).expect("it is there") as u32;
        put(&mut types, &[0, 2 << 24, first + 1 + 2 * place]);
    }
    let mut section = vec![0x9f, 0xeb, 1, 0];
    for word in [24, 0, types.len(), types.len(), names.len()] {
        section.extend((word as u32).to_le_bytes());
    }
    section.extend(&types);
    section.extend(&names);
    section.resize(section.len().next_multiple_of(8), 0);
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend(kind.to_le_bytes());
    file.extend([62, 0, 1, 0, 0, 0]);
    file.resize(40, 0);
    let names_at = 64 + section.len() as u64;
    file.extend((names_at + 16).to_le_bytes());
    file.extend([0; 4]);
    for size in [64u16, 0, 0, 64, 3, 2] {
        file.extend(size.to_le_bytes());
    }
    file.extend(&section);
    file.extend(b"\0.BTF\0.shstrtab\0");
    file.extend([0; 64]);
    for (name, kind, at, len) in [(1u32, 1u32, 64, section.len() as u64), (6, 3, names_at, 16)] {
        file.extend(name.to_le_bytes());
        file.extend(kind.to_le_bytes());
        for value in [0, 0, at, len, 0, 1, 0] {
            file.extend(value.to_le_bytes());
        }
    }
    file
}

/// Structures, and the same with some new ones among them.
pub fn structures(count: u64) -> (Vec<u64>, Vec<u64>) {
    let old: Vec<u64> = (0..count).collect();
    let mut new = old.clone();
    for (index, place) in [3, old.len() / 3, old.len() / 2].into_iter().enumerate() {
        new.insert(place, count + index as u64);
    }
    (old, new)
}
