//! Small object files of x86-64, as modules of a kernel are: functions that call each other, whose
//! calls are still to be linked.

#![allow(dead_code, reason = "each test uses a part of it")]

use super::Noise;

/// An object file with these functions: the number of each, which decides what is in it, and bytes
/// that were added.
pub fn object(functions: &[(u64, usize)]) -> Vec<u8> {
    let mut file = vec![0; 64];
    let (mut text, mut places, mut relocations) = (Vec::new(), Vec::new(), Vec::new());
    for (number, added) in functions {
        let mut noise = Noise::new(*number);
        let start = text.len();
        for _ in 0..3 + number % 4 {
            let mut refer = |text: &mut Vec<u8>, info: u64, addend: i64| {
                relocations.extend((text.len() as u64).to_le_bytes());
                relocations.extend(info.to_le_bytes());
                relocations.extend(addend.to_le_bytes());
                text.extend([0; 4]);
            };
            // The callee is known by name: behind the symbols of no section and of two.
            let callee = noise.next() % 97;
            let index = functions.iter().position(|f| f.0 == callee).unwrap_or(0) as u64;
            text.push(0xe8);
            refer(&mut text, (3 + index) << 32 | 4, -4);
            text.extend([0x48, 0x8b, 0x05]);
            let datum = (noise.next() % 64 * 8) as i64 + 64 * functions[0].1 as i64;
            refer(&mut text, 2 << 32 | 2, datum - 4);
            text.extend([0x48, 0x83, 0xc0, noise.next() as u8]);
        }
        text.extend(Noise::new(number ^ 0xadded).bytes(*added));
        places.push((start as u64, (text.len() - start) as u64));
    }
    let mut names = vec![0];
    let mut symbols = vec![0; 24];
    for section in 1..3u16 {
        symbols.extend([0, 0, 0, 0, 3, 0]);
        symbols.extend(section.to_le_bytes());
        symbols.extend([0; 16]);
    }
    for ((number, _), (place, len)) in functions.iter().zip(&places) {
        symbols.extend((names.len() as u32).to_le_bytes());
        symbols.extend([0x12, 0, 1, 0]);
        symbols.extend(place.to_le_bytes());
        symbols.extend(len.to_le_bytes());
        names.extend(format!("function_{number}\0").bytes());
    }
    let data: Vec<u8> = [vec![7; 64 * functions[0].1], Noise::new(77).bytes(600)].concat();
    let section_names = b"\0.text\0.data\0.rela.text\0.symtab\0.strtab\0.shstrtab\0";
    let mut headers = vec![0; 64];
    let contents = [
        (1u32, 1u32, 6u64, &text[..], 0u32, 0u32),
        (7, 1, 3, &data, 0, 0),
        (13, 4, 0, &relocations, 4, 1),
        (24, 2, 0, &symbols, 5, 3),
        (32, 3, 0, &names, 0, 0),
        (40, 3, 0, section_names, 0, 0),
    ];
    for (name, kind, flags, content, link, info) in contents {
        while !file.len().is_multiple_of(8) {
            file.push(0);
        }
        headers.extend(name.to_le_bytes());
        headers.extend(kind.to_le_bytes());
        for value in [flags, 0, file.len() as u64, content.len() as u64] {
            headers.extend(value.to_le_bytes());
        }
        headers.extend(link.to_le_bytes());
        headers.extend(info.to_le_bytes());
        headers.extend([0; 16]);
        file.extend(content);
    }
    let at = file.len() as u64;
    file.extend(headers);
    let mut front = b"\x7fELF\x02\x01\x01".to_vec();
    front.resize(16, 0);
    front.extend([1, 0, 62, 0, 1, 0, 0, 0]);
    front.resize(40, 0);
    front.extend(at.to_le_bytes());
    front.extend([0; 4]);
    for size in [64u16, 0, 0, 64, 7, 6] {
        front.extend(size.to_le_bytes());
    }
    file[..64].copy_from_slice(&front);
    file
}

/// An object file, and the same one with code added here and there, one function new, data moved.
pub fn objects(functions: u64) -> (Vec<u8>, Vec<u8>) {
    let old: Vec<(u64, usize)> = (0..functions).map(|number| (number, 0)).collect();
    let mut new = old.clone();
    for index in [0, new.len() / 3, new.len() / 2] {
        new[index].1 = 16;
    }
    new.insert(old.len() / 4, (functions, 0));
    (object(&old), object(&new))
}
