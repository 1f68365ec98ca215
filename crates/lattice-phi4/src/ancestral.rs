//! Ancestral sampling: the reverse of a noising step, with the posterior variance of every mode.
//!
//! From time `t` down to `t'` the schedule knows `x_t = f x_t' + sqrt(Xi) z`, with `f = f(t, t')` and `Xi = Xi(t | t')`. Turned
//! round, `x_t'` given `x_t` has the mean
//!
//! ```text
//! E[x_t' | x_t] = ( x_t + Xi s(x_t, t) ) / f                                                  (Tweedie's formula)
//! ```
//!
//! for any target, with its score `s`. The variance is that of a Gaussian field: for the mode of momentum `p`
//!
//! ```text
//! v(p) = Xi G(p; t') / G(p; t) ,     G(p; t) = f(t,0)^2 G(p) + Xi(t) .                                    [5.16]
//! ```
//!
//! Where there is no drift and the time is the noise level, from `s` to `s'` this is
//! `(s^2 - s'^2) (G + s'^2) / (G + s^2)`. For a Gaussian field such a step is exact however long it is; for any other it
//! is as good as its score for short steps.
//!
//! The kernel has a density in closed form, and so has every path. Let `z` be the white noise of a step, `K z` that noise
//! with the variance `v(p)`, and `d = Xi s + f K z`, so that `x_t' = (x_t + d) / f`. Then
//!
//! ```text
//! ln N( x_t; f x_t', Xi ) - ln q( x_t' | x_t ) = 1/2 ( |z|^2 - |d|^2 / Xi ) + 1/2 sum_p ln[ G(p; t') / G(p; t) ] .
//! ```
//!
//! Summed over steps it is what [`PathSampler`](crate::PathSampler) makes weights of. The formula is the same for a path that the noising
//! process has made: then `d = -sqrt(Xi) z'` with the white noise `z'` of that process, and `K z = ( d - Xi s ) / f`.

use crate::Spectrum;
use crate::pairs::{PairFilter, PairTransform};
use sde_core::{
    Batch, BatchMut, EvalError, Integrator, NoiseSchedule, NormalSource, Reverse, ScoreModel, Step,
    values_mut,
};

/// The ancestral step of a lattice field.
///
/// ```
/// use lattice_phi4::{Ancestral, FieldPrior, Lattice, SpectralScore, Spectrum};
/// use sde_core::{Edm, Noise, Reverse, TimeGrid, integrate};
///
/// // one step is enough for the free field
/// let free = Spectrum::free(&Lattice::new(&[8, 8])?, 0.2)?;
/// let schedule = Edm::new(3.0)?;
/// let process = Reverse { schedule, score: SpectralScore::new(&free, schedule) };
/// let mut x = FieldPrior::Matched.draw(&free, &schedule, 3.0, 2000, &Noise::new(1, 0));
/// let grid = TimeGrid::explicit(&[3.0, 0.0])?;
/// integrate(&process, &mut Ancestral::new(&free), &grid, x.view_mut(), 0, &Noise::new(1, 1), &mut ())?;
/// let found = Spectrum::of_ensemble(&free.lattice(), 0.0, x.view())?;
/// // G(0) of 2000 configurations: 3.2 per cent
/// assert!((found.variances()[0] / free.variances()[0] - 1.0).abs() < 0.128);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ancestral {
    /// `G(p)` by mode.
    g: Vec<f64>,
    filter: PairFilter,
    score: Vec<f64>,
    normals: Vec<f64>,
}

impl Ancestral {
    /// Steps with the posterior variance of a Gaussian field of this spectrum.
    pub fn new(spectrum: &Spectrum) -> Self {
        let transform = PairTransform::new(&spectrum.lattice());
        Self {
            g: transform.by_mode(spectrum.variances()),
            filter: PairFilter::new(&transform),
            score: Vec::new(),
            normals: Vec::new(),
        }
    }

    /// Advances `x` like [`Integrator::step`], and adds to each of `log_weights`, one for each row, the logarithm of the
    /// density of the step under the noising process over that under the reverse one.
    ///
    /// # Errors
    /// Of the score; `x` is then in an unspecified state.
    ///
    /// # Panics
    /// Unless there is one weight for each row.
    pub fn weighted_step<S: NoiseSchedule, M: ScoreModel>(
        &mut self,
        process: &Reverse<S, M>,
        step: Step,
        mut x: BatchMut<'_>,
        noise: &dyn NormalSource,
        log_weights: &mut [f64],
    ) -> Result<(), EvalError> {
        assert_eq!(log_weights.len(), x.nrows(), "one weight for each row");
        let Kernel { f, xi, colour, log_ratios } = self.kernel(&process.schedule, step);
        self.score(process, step.time, x.view())?;
        self.normals.resize(x.len(), 0.0);
        noise.fill(0, &mut self.normals);
        let sites = self.g.len();
        for (weight, z) in log_weights.iter_mut().zip(self.normals.chunks(sites)) {
            *weight += log_ratios + 0.5 * square(z);
        }
        self.filter.filter_rows(&mut self.normals, &colour);
        for (d, s) in self.normals.iter_mut().zip(&self.score) {
            *d += xi * s;
        }
        for (weight, d) in log_weights.iter_mut().zip(self.normals.chunks(sites)) {
            *weight -= 0.5 * square(d) / xi;
        }
        for (x, d) in values_mut(&mut x).iter_mut().zip(&self.normals) {
            *x = (*x + d) / f;
        }
        Ok(())
    }

    /// Takes `x` from the end of a step back to its start by the noising process, and adds to `log_weights` what
    /// [`weighted_step`](Self::weighted_step) would have added on the same way down.
    ///
    /// # Errors
    /// Of the score; `x` is then in an unspecified state.
    ///
    /// # Panics
    /// Unless there is one weight for each row.
    pub fn retraced_step<S: NoiseSchedule, M: ScoreModel>(
        &mut self,
        process: &Reverse<S, M>,
        step: Step,
        mut x: BatchMut<'_>,
        noise: &dyn NormalSource,
        log_weights: &mut [f64],
    ) -> Result<(), EvalError> {
        assert_eq!(log_weights.len(), x.nrows(), "one weight for each row");
        let Kernel { f, xi, mut colour, log_ratios } = self.kernel(&process.schedule, step);
        self.normals.resize(x.len(), 0.0);
        noise.fill(0, &mut self.normals);
        let (sites, root) = (self.g.len(), xi.sqrt());
        for (x, z) in values_mut(&mut x).iter_mut().zip(&self.normals) {
            *x = f.mul_add(*x, root * z);
        }
        self.score(process, step.time, x.view())?;
        for (weight, z) in log_weights.iter_mut().zip(self.normals.chunks(sites)) {
            *weight += log_ratios - 0.5 * square(z);
        }
        for (z, s) in self.normals.iter_mut().zip(&self.score) {
            *z = -root.mul_add(*z, xi * s);
        }
        for colour in &mut colour {
            *colour = colour.recip();
        }
        self.filter.filter_rows(&mut self.normals, &colour);
        for (weight, z) in log_weights.iter_mut().zip(self.normals.chunks(sites)) {
            *weight += 0.5 * square(z);
        }
        Ok(())
    }

    fn kernel<S: NoiseSchedule>(&self, schedule: &S, step: Step) -> Kernel {
        let (t, end) = (step.time, step.end());
        let [before, after] = [t, end].map(|t| schedule.transition(0.0, t));
        let kernel = schedule.transition(end, t);
        let (f, xi) = (kernel.mean_factor, kernel.variance);
        // G(p; t') / G(p; t)
        let ratio = |g: &f64| after.variance_from(*g) / before.variance_from(*g);
        let ratios: Vec<f64> = self.g.iter().map(ratio).collect();
        let log_ratios = 0.5 * ratios.iter().map(|ratio| ratio.ln()).sum::<f64>();
        let colour = ratios.iter().map(|ratio| f * (xi * ratio).sqrt()).collect();
        Kernel { f, xi, colour, log_ratios }
    }

    fn score<S, M: ScoreModel>(
        &mut self,
        process: &Reverse<S, M>,
        t: f64,
        x: Batch<'_>,
    ) -> Result<(), EvalError> {
        self.score.resize(x.len(), 0.0);
        let score = BatchMut::from_shape(x.raw_dim(), &mut self.score).expect("length and shape agree");
        process.score.score(x, t, score)
    }
}

/// A step of the noising process, and the reverse one's variance.
struct Kernel {
    f: f64,
    xi: f64,
    /// `f K` by mode.
    colour: Vec<f64>,
    /// `1/2 sum_p ln[ G(p; t') / G(p; t) ]`.
    log_ratios: f64,
}

impl<S: NoiseSchedule, M: ScoreModel> Integrator<Reverse<S, M>> for Ancestral {
    fn step(
        &mut self,
        process: &Reverse<S, M>,
        step: Step,
        x: BatchMut<'_>,
        noise: &dyn NormalSource,
    ) -> Result<(), EvalError> {
        let mut unused = vec![0.0; x.nrows()];
        self.weighted_step(process, step, x, noise, &mut unused)
    }
}

/// `|z|^2`.
fn square(z: &[f64]) -> f64 {
    z.iter().map(|z| z * z).sum()
}
