//! Matrix products in single precision, on one thread.
#![expect(unsafe_code, reason = "the gemm crate works on raw pointers; every access is checked here first")]

/// A matrix inside a slice: element `(i, j)` is `values[i * row + j * column]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strides {
    pub(crate) row: usize,
    pub(crate) column: usize,
}

impl Strides {
    /// Rows contiguous, `columns` of them long.
    pub(crate) fn row_major(columns: usize) -> Self {
        Self { row: columns, column: 1 }
    }

    /// Columns contiguous, `rows` long.
    pub(crate) fn column_major(rows: usize) -> Self {
        Self { row: 1, column: rows }
    }

    pub(crate) fn transposed(self) -> Self {
        Self { row: self.column, column: self.row }
    }

    /// Whether an `m x n` matrix of these strides stays within `length` values.
    fn fits(self, m: usize, n: usize, length: usize) -> bool {
        let last = |count: usize, stride: usize| (count - 1).saturating_mul(stride);
        m == 0 || n == 0 || last(m, self.row).saturating_add(last(n, self.column)) < length
    }
}

/// `c = a b`, or `c += a b` if `accumulate`, with `a` of shape `(m, k)` and `b` of shape `(k, n)`.
///
/// # Panics
/// If a matrix does not fit its slice.
pub(crate) fn product(
    [m, k, n]: [usize; 3],
    (c, c_strides): (&mut [f32], Strides),
    accumulate: bool,
    (a, a_strides): (&[f32], Strides),
    (b, b_strides): (&[f32], Strides),
) {
    assert!(c_strides.fits(m, n, c.len()), "c does not hold an {m} x {n} matrix");
    assert!(a_strides.fits(m, k, a.len()), "a does not hold an {m} x {k} matrix");
    assert!(b_strides.fits(k, n, b.len()), "b does not hold a {k} x {n} matrix");
    let stride = |s: usize| isize::try_from(s).expect("a stride is shorter than its slice");
    // SAFETY: all elements of the three matrices lie within their slices, as just checked; `c` is borrowed
    // mutably, so it overlaps neither `a` nor `b`; strides are not negative.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            stride(c_strides.column),
            stride(c_strides.row),
            accumulate,
            a.as_ptr(),
            stride(a_strides.column),
            stride(a_strides.row),
            b.as_ptr(),
            stride(b_strides.column),
            stride(b_strides.row),
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_match_their_definition() {
        // Slices are no longer than the matrices, which have every remainder of a tile.
        for [m, k, n] in
            [[5, 7, 3], [1, 1, 1], [16, 1, 33], [17, 16, 8], [48, 5, 6], [49, 64, 65], [2, 100, 13]]
        {
            let a: Vec<f32> = (0..m * k).map(|i| (i as f32).sin()).collect();
            let b: Vec<f32> = (0..k * n).map(|i| (i as f32).cos()).collect();
            for a_strides in [Strides::row_major(k), Strides::column_major(m)] {
                for b_strides in [Strides::row_major(n), Strides::row_major(k).transposed()] {
                    let mut c = vec![1.0; m * n];
                    product(
                        [m, k, n],
                        (&mut c, Strides::column_major(m)),
                        true,
                        (&a, a_strides),
                        (&b, b_strides),
                    );
                    for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                        let element = |l: usize| {
                            let a = a[i * a_strides.row + l * a_strides.column];
                            a * b[l * b_strides.row + j * b_strides.column]
                        };
                        let sum: f32 = (0..k).map(element).sum();
                        assert!((c[i + j * m] - 1.0 - sum).abs() < 1e-6 * (k + 10) as f32, "{m} {k} {n}");
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "a does not hold")]
    fn short_slices_are_refused() {
        product(
            [2, 2, 2],
            (&mut [0.0; 4], Strides::row_major(2)),
            false,
            (&[0.0; 3], Strides::row_major(2)),
            (&[0.0; 4], Strides::row_major(2)),
        );
    }
}
