//! The hot loops of the measurements: sums over the sites and over the bonds of one field.
//!
//! Plain loops over fixed lanes with fused multiply-adds: the order of every sum is fixed, so the versions compiled
//! for different instruction sets agree bit for bit.

use multiversion::multiversion;

/// Powers of the field that are summed.
pub(crate) const POWERS: usize = 8;
pub(crate) const LANES: usize = 16;
/// Values in one partial sum: the sums over blocks grow no longer than the blocks.
const BLOCK: usize = 2048;

/// `sum_x phi_x^k`, `k = 1..=8`.
pub(crate) fn power_sums(field: &[f64]) -> [f64; POWERS] {
    let mut sums = [0.0; POWERS];
    for block in field.chunks(BLOCK) {
        for (sum, term) in sums.iter_mut().zip(block_powers(block)) {
            *sum += term;
        }
    }
    sums
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn block_powers(block: &[f64]) -> [f64; POWERS] {
    let mut sums = [[0.0; LANES]; POWERS];
    let (chunks, rest) = block.as_chunks::<LANES>();
    let mut last = [0.0; LANES];
    last[..rest.len()].copy_from_slice(rest);
    for x in chunks.iter().chain([&last]) {
        for lane in 0..LANES {
            let x = x[lane];
            let (x2, x3, x4) = (x * x, x * x * x, (x * x) * (x * x));
            sums[0][lane] += x;
            sums[1][lane] += x2;
            sums[2][lane] += x3;
            sums[3][lane] += x4;
            sums[4][lane] = x2.mul_add(x3, sums[4][lane]);
            sums[5][lane] = x3.mul_add(x3, sums[5][lane]);
            sums[6][lane] = x3.mul_add(x4, sums[6][lane]);
            sums[7][lane] = x4.mul_add(x4, sums[7][lane]);
        }
    }
    sums.map(fold)
}

/// `sum_x phi_x`.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn sum(field: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let (chunks, rest) = field.as_chunks::<LANES>();
    for x in chunks {
        for lane in 0..LANES {
            sums[lane] += x[lane];
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum += x;
    }
    fold(sums)
}

/// `sum a b` and `sum a b (a^2 + b^2)` over pairs of neighbours: the bond terms of the action and of its cubic
/// Schwinger-Dyson equation.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn bond_sums(a: &[f64], b: &[f64]) -> [f64; 2] {
    let (mut plain, mut cubic) = ([0.0; LANES], [0.0; LANES]);
    let mut add = |a: &[f64; LANES], b: &[f64; LANES]| {
        for lane in 0..LANES {
            let (a, b) = (a[lane], b[lane]);
            let product = a * b;
            plain[lane] += product;
            cubic[lane] = product.mul_add(a.mul_add(a, b * b), cubic[lane]);
        }
    };
    let ((a, last_a), (b, last_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        add(a, b);
    }
    let (mut padded_a, mut padded_b) = ([0.0; LANES], [0.0; LANES]);
    padded_a[..last_a.len()].copy_from_slice(last_a);
    padded_b[..last_b.len()].copy_from_slice(last_b);
    add(&padded_a, &padded_b);
    [fold(plain), fold(cubic)]
}

/// Sums the lanes as a balanced tree.
#[expect(clippy::inline_always, reason = "must be compiled with the instruction set of its caller")]
#[inline(always)]
pub(crate) fn fold(mut lanes: [f64; LANES]) -> f64 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_small_integers_are_exact() {
        for length in [1, 2, 15, 16, 17, 33, 100, 2048, 2049, 5000] {
            let a: Vec<f64> = (0..length).map(|i| f64::from(i * 7 % 5) - 2.0).collect();
            let b: Vec<f64> = (0..length).map(|i| f64::from(i * 3 % 4) - 1.0).collect();
            let exact: [f64; POWERS] = std::array::from_fn(|k| a.iter().map(|x| x.powi(k as i32 + 1)).sum());
            assert_eq!(power_sums(&a), exact);
            assert_eq!(sum(&a), exact[0]);
            let plain: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            let cubic: f64 = a.iter().zip(&b).map(|(a, b)| a.powi(3) * b + a * b.powi(3)).sum();
            assert_eq!(bond_sums(&a, &b), [plain, cubic]);
        }
    }
}
