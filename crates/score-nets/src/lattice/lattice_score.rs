//! A net on top of a base, as a score.

use super::FieldScales;
use super::odd_unet::INPUTS;
use super::odd_unet_graph::OddUnetGraph;
use crate::{NetError, OddUnet};
use rayon::prelude::*;
use sde_core::{Batch, BatchMut, EvalError, NoiseSchedule, ScoreModel, values, values_mut};

/// The score of fields noised by a schedule, from a base and a net that corrects it:
///
/// ```text
/// y = x/f ,   s = sqrt(Xi) / (f sigma) ,   score(x) = base(x) + r(s) / (f sigma s^2)  N( D_base / sigma, y / sigma; ln s )
/// ```
///
/// with `sigma` the standard deviation of the field and `r` of [`FieldScales`]. `y` at noise `s` has the same law under every schedule, so
/// one net serves them all; the base must be under the same schedule. Above the noise levels that the net was trained on the score
/// is the base's, below them the correction is that of the lowest level.
///
/// Rows are evaluated in chunks on all cores; a row's score does not depend on the others.
#[derive(Clone, Debug)]
pub struct LatticeScore<B, S> {
    base: B,
    schedule: S,
    scales: FieldScales,
    graph: OddUnetGraph,
    /// Rows in one graph.
    chunk: usize,
}

impl<B: ScoreModel, S: NoiseSchedule> LatticeScore<B, S> {
    /// The score of `net` on top of `base`, both under `schedule`.
    pub fn new(base: B, net: &OddUnet, schedule: S) -> Self {
        let (scales, chunk) = (net.config().fields.clone(), net.config().chunk());
        Self { base, schedule, scales, graph: net.graph(), chunk }
    }

    /// The score without the net's correction.
    pub fn base(&self) -> &B {
        &self.base
    }
}

impl<B: ScoreModel + Sync, S: NoiseSchedule + Sync> ScoreModel for LatticeScore<B, S> {
    fn score(&self, x: Batch<'_>, t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
        let sites = self.scales.sites();
        if x.ncols() != sites {
            return Err(EvalError::new(NetError::Sites { expected: sites, found: x.ncols() }));
        }
        self.base.score(x, t, out.view_mut())?;
        let kernel = self.schedule.transition(0.0, t);
        let (f, noise) = (kernel.mean_factor, kernel.noise_to_signal());
        let sigma = self.scales.deviation;
        let (lowest, highest) = self.scales.range();
        let s = noise.sqrt() / sigma;
        // A level that was meant to be the highest may come out larger by rounding.
        if s > highest * (1.0 + 1e-9) {
            return Ok(());
        }
        let s = s.max(lowest);
        let [of_base, of_x] = self.scales.input_factors(s).map(|factor| factor / sigma);
        let gain = self.scales.width_at(s) / (f * sigma * s * s);
        let log_noise = s.ln() as f32;
        let chunk = self.chunk * sites;
        let rows = values_mut(&mut out).par_chunks_mut(chunk).zip(values(&x).par_chunks(chunk));
        rows.for_each(|(out, x)| {
            let mut inputs = vec![0.0; INPUTS * out.len()];
            let fields = x.chunks_exact(sites).zip(out.chunks_exact(sites));
            for (inputs, (x, score)) in inputs.chunks_exact_mut(INPUTS * sites).zip(fields) {
                let (denoised, noised) = inputs.split_at_mut(sites);
                for site in 0..sites {
                    let y = x[site] / f;
                    denoised[site] = (of_base * (noise * f).mul_add(score[site], y)) as f32;
                    noised[site] = (of_x * y) as f32;
                }
            }
            let mut answer = vec![0.0; out.len()];
            self.graph.evaluate(&inputs, log_noise, &mut answer);
            for (score, answer) in out.iter_mut().zip(&answer) {
                *score = gain.mul_add(f64::from(*answer), *score);
            }
        });
        Ok(())
    }
}
