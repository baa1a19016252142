//! Small programs in ELF files, for each machine: functions that call each other and refer to
//! data, with relocations, symbols and unwind information.

#![allow(dead_code, reason = "each test uses a part of it")]

use super::Noise;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    X86,
    A64,
    Arm,
}

pub const MACHINES: [Machine; 3] = [Machine::X86, Machine::A64, Machine::Arm];

/// What a program is made from.
#[derive(Debug, Clone)]
pub struct Plan {
    pub machine: Machine,
    /// For each function: its number, which decides what is in it, and bytes that were added.
    pub functions: Vec<(u64, usize)>,
    /// Bytes before the data.
    pub shift: usize,
}

impl Plan {
    pub fn new(machine: Machine, functions: u64) -> Self {
        Self { machine, functions: (0..functions).map(|number| (number, 0)).collect(), shift: 0 }
    }

    /// The file.
    pub fn build(&self) -> Vec<u8> {
        let is_64 = self.machine != Machine::Arm;
        let word = if is_64 { 8 } else { 4 };
        let header = if is_64 { 64 + 2 * 56 } else { 52 + 2 * 32 };
        let text_at = 4096u64;
        let lengths: Vec<u64> =
            self.functions.iter().map(|(n, added)| 64 + n % 7 * 16 + *added as u64).collect();
        let mut starts = Vec::new();
        let mut end = text_at;
        for len in &lengths {
            starts.push(end);
            end += len;
        }
        let text_end = end;
        let data_at = text_end.div_ceil(16) * 16 + self.shift as u64 / 16 * 16;
        let base = 0x10_0000u64;
        let address = |offset: u64| base + offset;
        let place_of = |number: u64| {
            let index =
                self.functions.iter().position(|(n, _)| *n == number % self.functions.len() as u64);
            starts[index.expect("all numbers are there")]
        };
        let mut file = vec![0; header];
        file.resize(text_at as usize, 0);
        for ((number, added), (start, len)) in
            self.functions.iter().zip(starts.iter().zip(&lengths))
        {
            let mut noise = Noise::new(*number);
            let end = (start + len) as usize;
            file.extend(Noise::new(number ^ 0xadded).bytes(*added / 4 * 4));
            while file.len() + 16 <= end {
                let own = file.len() as u64;
                let callee = place_of(noise.next());
                let datum = data_at + noise.next() % 64 * 8;
                let register = noise.next() as u32 % 16;
                match self.machine {
                    Machine::X86 => {
                        file.push(0xe8);
                        file.extend((callee.wrapping_sub(own + 5) as u32).to_le_bytes());
                        file.extend([0x48, 0x8b, 0x05 | (register as u8 & 7) << 3]);
                        file.extend((datum.wrapping_sub(own + 12) as u32).to_le_bytes());
                        file.extend([0x48, 0x83, 0xc0, register as u8]);
                    }
                    Machine::A64 => {
                        let branch =
                            0x9400_0000 | (callee.wrapping_sub(own) >> 2) as u32 & 0x03ff_ffff;
                        let pages =
                            (address(datum) >> 12).wrapping_sub(address(own + 4) >> 12) as u32;
                        let adrp = 0x9000_0000
                            | register
                            | (pages & 3) << 29
                            | (pages >> 2 & 0x7_ffff) << 5;
                        let load = 0xf940_0000
                            | register
                            | register << 5
                            | ((datum & 0xfff) as u32 >> 3) << 10;
                        for word in [branch, adrp, load, 0x9100_0400 | register] {
                            file.extend(word.to_le_bytes());
                        }
                    }
                    Machine::Arm => {
                        let branch =
                            0xeb00_0000 | (callee.wrapping_sub(own + 8) >> 2) as u32 & 0x00ff_ffff;
                        // ldr rX, [pc]; add rX, pc, rX; the constant
                        let load = 0xe59f_0000 | register << 12;
                        let constant = datum.wrapping_sub(own + 8 + 8) as u32;
                        for word in
                            [branch, load, 0xe08f_0000 | register << 12 | register, constant]
                        {
                            file.extend(word.to_le_bytes());
                        }
                    }
                }
            }
            file.resize(end, 0x90);
        }
        file.resize(data_at as usize, 0);
        let mut sections =
            vec![(".text", 1u32, 6u64, address(text_at), text_at, text_end - text_at, 0u32)];
        let mut section = |file: &mut Vec<u8>, name, kind, flags, content: Vec<u8>, link| {
            let at = file.len() as u64;
            let mapped = if flags & 2 == 0 { 0 } else { address(at) };
            sections.push((name, kind, flags, mapped, at, content.len() as u64, link));
            file.extend(content);
            while !file.len().is_multiple_of(16) {
                file.push(0);
            }
        };
        let put = |out: &mut Vec<u8>, value: u64| out.extend(&value.to_le_bytes()[..word]);
        let mut data = Vec::new();
        for index in 0..64 {
            put(&mut data, address(starts[index * 5 % starts.len()]));
            if !is_64 {
                put(&mut data, index as u64);
            }
        }
        section(&mut file, ".data", 1, 3, data, 0);
        let mut relocations = Vec::new();
        for index in 0..64u64 {
            put(&mut relocations, address(data_at + 8 * index));
            put(&mut relocations, if is_64 { 1027 } else { 23 });
            if is_64 {
                put(&mut relocations, address(starts[index as usize * 5 % starts.len()]));
            }
        }
        section(&mut file, ".rel", if is_64 { 4 } else { 9 }, 2, relocations, 0);
        if is_64 {
            let (mut unwind, mut index) =
                (Vec::new(), vec![1, 0x1b, 3, 0x3b, 0, 0, 0, 0, 0, 0, 0, 0]);
            let unwind_at = file.len() as u64;
            unwind.extend([12u8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0x78, 16, 0, 0, 0]);
            let index_at = unwind_at + (16 + 20 * starts.len() as u64).next_multiple_of(16);
            for (start, len) in starts.iter().zip(&lengths) {
                let own = unwind_at + unwind.len() as u64;
                unwind.extend(16u32.to_le_bytes());
                unwind.extend((unwind.len() as u32).to_le_bytes());
                unwind.extend((start.wrapping_sub(own + 8) as u32).to_le_bytes());
                unwind.extend((*len as u32).to_le_bytes());
                unwind.extend([0, 0, 0, 0]);
                index.extend((start.wrapping_sub(index_at) as u32).to_le_bytes());
                index.extend((own.wrapping_sub(index_at) as u32).to_le_bytes());
            }
            section(&mut file, ".eh_frame", 1, 2, unwind, 0);
            assert_eq!(file.len() as u64, index_at);
            section(&mut file, ".eh_frame_hdr", 1, 2, index, 0);
        }
        let loaded = file.len() as u64;
        let (mut symbols, mut names) = (Vec::new(), vec![0]);
        for ((number, _), (start, len)) in self.functions.iter().zip(starts.iter().zip(&lengths)) {
            let name = names.len() as u32;
            names.extend(format!("function_{number}\0").bytes());
            symbols.extend(name.to_le_bytes());
            if is_64 {
                symbols.extend([2, 0, 1, 0]);
            }
            put(&mut symbols, address(*start));
            put(&mut symbols, *len);
            if !is_64 {
                symbols.extend([2, 0, 1, 0]);
            }
        }
        let link = if is_64 { 7 } else { 5 };
        section(&mut file, ".symtab", 2, 0, symbols, link);
        section(&mut file, ".strtab", 3, 0, names, 0);
        let mut names = vec![0];
        let name_places: Vec<u32> = sections
            .iter()
            .map(|section| {
                let place = names.len() as u32;
                names.extend(section.0.bytes().chain([0]));
                place
            })
            .collect();
        let names_at = file.len() as u64;
        let names_place = names.len() as u32;
        names.extend(b".shstrtab\0");
        file.extend(&names);
        while file.len() % 16 != 0 {
            file.push(0);
        }
        let sections_at = file.len() as u64;
        file.resize(file.len() + if is_64 { 64 } else { 40 }, 0);
        let last = (".shstrtab", 3, 0, 0, names_at, names.len() as u64, 0);
        for (index, (_, kind, flags, address, at, len, link)) in
            sections.iter().chain([&last]).enumerate()
        {
            file.extend(name_places.get(index).unwrap_or(&names_place).to_le_bytes());
            file.extend(kind.to_le_bytes());
            for value in [*flags, *address, *at, *len] {
                put(&mut file, value);
            }
            file.extend(link.to_le_bytes());
            file.extend([0; 4]);
            put(&mut file, 16);
            put(&mut file, 0);
        }
        let mut front = b"\x7fELF".to_vec();
        front.extend([if is_64 { 2 } else { 1 }, 1, 1]);
        front.resize(16, 0);
        front.extend(3u16.to_le_bytes());
        front.extend(match self.machine {
            Machine::X86 => 62u16.to_le_bytes(),
            Machine::A64 => 183u16.to_le_bytes(),
            Machine::Arm => 40u16.to_le_bytes(),
        });
        front.extend(1u32.to_le_bytes());
        put(&mut front, address(text_at));
        put(&mut front, if is_64 { 64 } else { 52 });
        put(&mut front, sections_at);
        front.extend(0u32.to_le_bytes());
        let sizes = if is_64 { [64u16, 56, 2, 64] } else { [52, 32, 2, 40] };
        for size in sizes {
            front.extend(size.to_le_bytes());
        }
        front.extend((sections.len() as u16 + 2).to_le_bytes());
        front.extend((sections.len() as u16 + 1).to_le_bytes());
        for (flags, from, to) in [(5u32, 0, text_end), (6, data_at, loaded)] {
            front.extend(1u32.to_le_bytes());
            if is_64 {
                front.extend(flags.to_le_bytes());
            }
            for value in [from, address(from), address(from), to - from, to - from] {
                put(&mut front, value);
            }
            if !is_64 {
                front.extend(flags.to_le_bytes());
            }
            put(&mut front, 4096);
        }
        assert_eq!(front.len(), header);
        file[..header].copy_from_slice(&front);
        file
    }
}

/// A program, and the same one with code added here and there, functions exchanged and data moved.
pub fn versions(machine: Machine, functions: u64) -> (Vec<u8>, Vec<u8>) {
    let old = Plan::new(machine, functions);
    let mut new = old.clone();
    let count = new.functions.len();
    for index in [3, count / 3, count / 2] {
        new.functions[index].1 = 16 * (1 + index % 5);
    }
    let moved = new.functions.remove(count / 4);
    new.functions.insert(count - 2, moved);
    new.shift = 64;
    (old.build(), new.build())
}
