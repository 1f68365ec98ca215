//! Numbers in short, to compare with those that were written down.

/// The first value, and the bits of all of them by FNV-1a.
pub(crate) type Print = (f64, u64);

pub(crate) fn print(values: &[f64]) -> Print {
    let bytes = values.iter().flat_map(|value| value.to_bits().to_le_bytes());
    let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    (values[0], bytes.fold(0xcbf2_9ce4_8422_2325, mix))
}

/// Compares all at once: whoever changes the numbers on purpose needs all of them.
pub(crate) fn check(found: &[(&str, Print)], expected: &[(&str, Print)]) {
    let row = |(name, (first, bits)): &(&str, Print)| format!("(\"{name}\", ({first:?}, {bits:#018x})),\n");
    let rows = |prints: &[(&str, Print)]| prints.iter().map(row).collect::<String>();
    let (found, expected) = (rows(found), rows(expected));
    assert!(found == expected, "found\n{found}expected\n{expected}");
}
