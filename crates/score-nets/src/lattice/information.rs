//! How much a score knows: the rate of the Kullback-Leibler divergence along the noise.
//!
//! For data seen as `x = phi + s z` (Guo, Shamai and Verdu 2005)
//!
//! ```text
//! d KL( data || model ) / d ln s = - E |D - E[phi | x]|^2 / s^2 ,
//! ```
//!
//! summed over sites, so what one denoiser has over another is the difference of their squared errors,
//!
//! ```text
//! E[ |phi - D_base|^2 - |phi - D|^2 ] / s^2 = E[ (D - D_base) . ( 2 phi - D_base - D ) ] / s^2 .
//! ```
//!
//! It is linear in `phi`, so `phi` may be replaced by any [`FieldTarget`], one of lower variance.

use super::FieldTarget;
use sde_core::ndarray::Array2;
use sde_core::{Configurations, EvalError, Noise, NormalSource, ScoreModel, values_mut};
use std::io;

/// What a score has over a base at one noise level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InformationRate {
    /// Standard deviation of the noise, in units of the field.
    pub noise: f64,
    /// `- d KL / d ln s` of the model minus that of the base, a configuration.
    pub rate: f64,
    /// Its standard error over configurations.
    pub error: f64,
}

/// The rates cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum InformationError {
    /// A configuration cannot be read.
    #[error("configuration {index} cannot be read")]
    Read {
        /// Its number.
        index: usize,
        /// Why.
        source: io::Error,
    },
    /// A score fails.
    #[error(transparent)]
    Score(#[from] EvalError),
}

/// Configurations that are evaluated together.
const ROWS: usize = 64;

/// What `model` has over `base` at each of the `noise` levels, on configurations that neither has seen. Both scores are under
/// [`Edm`](sde_core::Edm), whose time is the noise.
///
/// # Errors
/// [`InformationError`].
pub fn information_rates(
    base: &dyn ScoreModel,
    model: &dyn ScoreModel,
    target: &dyn FieldTarget,
    configurations: &dyn Configurations,
    noise: &[f64],
    seed: u64,
) -> Result<Vec<InformationRate>, InformationError> {
    let (count, sites) = (configurations.len(), configurations.sites());
    let mut rates = Vec::with_capacity(noise.len());
    let mut shown = vec![0.0; sites];
    for (level, &s) in noise.iter().enumerate() {
        let source = Noise::new(seed, level as u64);
        let (mut sum, mut square) = (0.0, 0.0);
        for first in (0..count).step_by(ROWS) {
            let rows = ROWS.min(count - first);
            let mut phi = Array2::zeros((rows, sites));
            for (row, mut phi) in phi.outer_iter_mut().enumerate() {
                let index = first + row;
                let phi = phi.as_slice_mut().expect("rows of a new array are contiguous");
                configurations.read(index, phi).map_err(|source| InformationError::Read { index, source })?;
            }
            let mut x = Array2::zeros((rows, sites));
            source.block(0, (first * sites) as u64).fill(0, values_mut(&mut x.view_mut()));
            x.zip_mut_with(&phi, |x, phi| *x = s.mul_add(*x, *phi));
            let (mut of_base, mut of_model) = (Array2::zeros((rows, sites)), Array2::zeros((rows, sites)));
            base.score(x.view(), s, of_base.view_mut())?;
            model.score(x.view(), s, of_model.view_mut())?;
            let fields =
                [&phi, &x, &of_base, &of_model].map(|a| a.as_slice().expect("new arrays are contiguous"));
            for row in 0..rows {
                let [phi, x, of_base, of_model] = fields.map(|field| &field[row * sites..(row + 1) * sites]);
                target.write(phi, x, s, &mut shown);
                // (D - D_base)/s^2 is the difference of the scores, D_base + D twice x and s^2 their sum.
                let mut rate = 0.0;
                for site in 0..sites {
                    let known = (2.0 * (shown[site] - x[site])) - s * s * (of_base[site] + of_model[site]);
                    rate += (of_model[site] - of_base[site]) * known;
                }
                sum += rate;
                square += rate * rate;
            }
        }
        let n = count as f64;
        let mean = sum / n;
        let variance = (square / n - mean * mean).max(0.0) / (n - 1.0);
        rates.push(InformationRate { noise: s, rate: mean, error: variance.sqrt() });
    }
    Ok(rates)
}
