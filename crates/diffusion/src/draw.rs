//! Drawing an ensemble from addressed noise.

use std::ops::Range;

use rayon::prelude::*;
use sde_core::ndarray::Array2;
use sde_core::{BlockNoise, Noise};

/// Values drawn at a time, a multiple of whole groups of the generator.
const CHUNK: usize = 1 << 14;

/// An ensemble of shape `(rows, sites)`: `sample` fills pieces of it, each from the noise of its own elements
/// at step 0, on all threads of the current rayon pool.
///
/// `sample` must treat elements alike; pieces may end within a row.
///
/// ```
/// use sde_core::{Noise, TwoPeak};
/// let model = TwoPeak::new(1.0, 0.25)?;
/// let data = diffusion::draw(1000, 1, &Noise::new(1, 0), |noise, x| model.fill(noise, x));
/// assert_eq!(data.dim(), (1000, 1));
/// # Ok::<(), sde_core::ParameterError>(())
/// ```
pub fn draw(
    rows: usize,
    sites: usize,
    noise: &Noise,
    sample: impl Fn(&BlockNoise, &mut [f64]) + Sync,
) -> Array2<f64> {
    draw_rows(0..rows, sites, noise, sample)
}

/// Those `rows` of an ensemble that [`draw`] would draw.
pub fn draw_rows(
    rows: Range<usize>,
    sites: usize,
    noise: &Noise,
    sample: impl Fn(&BlockNoise, &mut [f64]) + Sync,
) -> Array2<f64> {
    let first = rows.start * sites;
    let mut x = vec![0.0; rows.len() * sites];
    x.par_chunks_mut(CHUNK)
        .enumerate()
        .for_each(|(chunk, x)| sample(&noise.block(0, (first + chunk * CHUNK) as u64), x));
    Array2::from_shape_vec((rows.len(), sites), x).expect("rows times sites values")
}
