//! As much of a kernel for AArch64 as says on the console which one it is and what it was told, and switches the
//! machine off: U-Boot loads it as it loads Linux.

/// Its instructions, for `-M virt` of QEMU. It is entered with the device tree in x0, and without an MMU, so that all is
/// read byte by byte.
const CODE: [u32; 31] = [
    0xb9400401, // start: ldr  w1, [x0, #4]      length of the device tree
    0x5ac00821, //        rev  w1, w1
    0x8b010001, //        add  x1, x0, x1        its end
    0xd2a12006, //        mov  x6, #0x9000000    the console (PL011)
    0x100003a2, //        adr  x2, name
    0x38401443, // 1:     ldrb w3, [x2], #1      says its name
    0x34000063, //        cbz  w3, 2f
    0xb90000c3, //        str  w3, [x6]
    0x17fffffd, //        b    1b
    0xeb01001f, // 2:     cmp  x0, x1            looks for `word` in the device tree
    0x540001c2, //        b.hs 7f
    0x10000282, //        adr  x2, word
    0xaa0003e4, //        mov  x4, x0
    0x38401443, // 3:     ldrb w3, [x2], #1
    0x340000c3, //        cbz  w3, 6f
    0x38401485, //        ldrb w5, [x4], #1
    0x6b05007f, //        cmp  w3, w5
    0x54ffff80, //        b.eq 3b
    0x91000400, //        add  x0, x0, #1
    0x17fffff6, //        b    2b
    0x38401403, // 6:     ldrb w3, [x0], #1      says it, and what follows
    0x34000063, //        cbz  w3, 7f
    0xb90000c3, //        str  w3, [x6]
    0x17fffffd, //        b    6b
    0x52800143, // 7:     mov  w3, #10
    0xb90000c3, //        str  w3, [x6]
    0x52800100, //        mov  w0, #8            off (PSCI 0x84000008)
    0x72b08000, //        movk w0, #0x8400, lsl #16
    0xd4000002, //        hvc  #0
    0xd503207f, // 9:     wfi
    0x17ffffff, //        b    9b
];
/// What the command line begins with.
const WORD: &[u8; 8] = b"upmass.\0";

/// A kernel that says its name. Kernels of AArch64 have a header of 64 bytes (Documentation/arch/arm64/booting.rst of
/// Linux).
pub fn payload(name: &str) -> Vec<u8> {
    let mut image = vec![0; 64];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    // A jump behind the header.
    put(0, &0x1400_0010u32.to_le_bytes());
    // How much memory it takes.
    put(16, &4096u64.to_le_bytes());
    // Little-endian, pages of 4 KiB, at any place.
    put(24, &0b1010u64.to_le_bytes());
    put(56, b"ARM\x64");
    image.extend(CODE.iter().flat_map(|word| word.to_le_bytes()));
    image.extend(WORD);
    image.extend(format!("\nkernel {name}: ").bytes());
    image.push(0);
    image
}
