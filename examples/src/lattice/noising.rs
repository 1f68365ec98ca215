//! The forward process, variance expanding: fields with noise on top.

use ndarray::Array2;
use sde_core::{Noise, NormalSource};

/// The paper's `g = sigma^t` on the lattice.
pub const SIGMA: f64 = 25.0;
/// Streams of the noise begin here.
const STREAM: u64 = 2000;

/// The time of the paper's schedule, `Xi(t) = (25^(2t) - 1) / (2 ln 25)`, at which the noise has standard deviation `s`. The
/// schedule itself ends at `t = 1`, `s = 9.845`; strong modes need more.
///
/// ```
/// let xi: f64 = 96.928_249_791_299_45; // at t = 1
/// assert!((examples::lattice::time_of(xi.sqrt()) - 1.0).abs() < 1e-14);
/// ```
pub fn time_of(s: f64) -> f64 {
    (2.0 * SIGMA.ln() * s * s).ln_1p() / (2.0 * SIGMA.ln())
}

/// `phi + s z` for every row of `fields`, with noise of its own for every `stream`.
///
/// ```
/// use ndarray::Array2;
///
/// // 10 000 values about 5 with variance 4, known to sqrt(2 / 10 000) = 1.4 per cent
/// let x = examples::lattice::noised(&Array2::from_elem((100, 100), 5.0), 2.0, 1, 0);
/// let variance = x.iter().map(|x| (x - 5.0) * (x - 5.0)).sum::<f64>() / 1e4;
/// assert!((variance / 4.0 - 1.0).abs() < 3.0 * 0.0142);
/// ```
pub fn noised(fields: &Array2<f64>, s: f64, seed: u64, stream: u64) -> Array2<f64> {
    let mut x = Array2::zeros(fields.dim());
    let values = x.as_slice_mut().expect("a new array is contiguous");
    Noise::new(seed, STREAM + stream).block(0, 0).fill(0, values);
    x *= s;
    x += fields;
    x
}
