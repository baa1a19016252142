//! Fields of a byte array at fixed offsets, which the compiler checks against the array's length.

/// Returns the field of `LEN` bytes at offset `AT`.
pub(crate) fn field<const AT: usize, const LEN: usize, const N: usize>(
    bytes: &[u8; N],
) -> &[u8; LEN] {
    const { assert!(AT + LEN <= N, "the field lies within the layout") };
    // Cannot fail: the assertion above holds, or this would not compile.
    bytes[AT..].first_chunk().expect("the field lies within")
}

/// Writes the field of `LEN` bytes at offset `AT`.
pub(crate) fn set_field<const AT: usize, const LEN: usize, const N: usize>(
    bytes: &mut [u8; N],
    value: &[u8; LEN],
) {
    const { assert!(AT + LEN <= N, "the field lies within the layout") };
    bytes[AT..AT + LEN].copy_from_slice(value);
}
