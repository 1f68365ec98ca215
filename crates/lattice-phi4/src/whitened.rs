//! The probability flow with its Gaussian part solved.
//!
//! On `phi + s z` the flow is `dx/ds = -s score(x)`. In the whitened field `u_p = (x - M)_p / sqrt(G + s^2)` a Gaussian target does
//! not move at all, and any other only by what its score differs from the Gaussian one:
//!
//! ```text
//! du_p / d ln s = - s^2 / sqrt(G + s^2) [ score(x)_p + (x - M)_p / (G + s^2) ] .
//! ```
//!
//! The matched prior is white noise; a step of Heun's rule in `ln s` then has nothing stiff to follow.

use crate::Spectrum;
use crate::pairs::{PairFilter, PairTransform};
use ndarray::Array2;
use sde_core::{Batch, BatchMut, Drift, EvalError, ScoreModel, values, values_mut};

/// The flow of the whitened field, with `ln(s / floor)` as its time.
#[derive(Clone, Debug)]
pub struct WhitenedFlow<M> {
    score: M,
    floor: f64,
    mean: f64,
    transform: PairTransform,
    g: Vec<f64>,
}

impl<M: ScoreModel> WhitenedFlow<M> {
    /// The flow of `score` about the Gaussian with this spectrum, down to noise `floor`. The schedule of the score is
    /// [`Edm`](sde_core::Edm), whose time is `s`.
    pub fn new(spectrum: &Spectrum, score: M, floor: f64) -> Self {
        let transform = PairTransform::new(&spectrum.lattice());
        Self { score, floor, mean: spectrum.mean(), g: transform.by_mode(spectrum.variances()), transform }
    }

    /// Multiplies every mode of each row of `x` by `factor(G)`.
    fn scale(&self, x: &mut [f64], factor: impl Fn(f64) -> f64) {
        let factors: Vec<f64> = self.g.iter().map(|&g| factor(g)).collect();
        PairFilter::new(&self.transform).filter_rows(x, &factors);
    }

    /// The fields that whitened ones stand for at time `t`.
    pub fn fields(&self, u: Batch<'_>, t: f64) -> Array2<f64> {
        let noise = (self.floor * t.exp()).powi(2);
        let mut x = u.to_owned();
        self.scale(values_mut(&mut x.view_mut()), |g| (g + noise).sqrt());
        x += self.mean;
        x
    }

    /// The whitened form of `fields` at time `t`, which [`fields`](Self::fields) undoes: what flows start from.
    ///
    /// ```
    /// use lattice_phi4::{Lattice, SpectralScore, Spectrum, WhitenedFlow};
    /// use sde_core::{Edm, ndarray::Array2};
    ///
    /// let free = Spectrum::free(&Lattice::new(&[4, 4])?, 0.2)?;
    /// let flow = WhitenedFlow::new(&free, SpectralScore::new(&free, Edm::new(3.0)?), 0.1);
    /// let x = Array2::from_shape_fn((2, 16), |(row, site)| (site as f64).sin() + row as f64);
    /// let again = flow.fields(flow.whitened(x.view(), 1.5).view(), 1.5);
    /// assert!(x.iter().zip(&again).all(|(x, again)| (x - again).abs() < 1e-12));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn whitened(&self, fields: Batch<'_>, t: f64) -> Array2<f64> {
        let noise = (self.floor * t.exp()).powi(2);
        let mut u = &fields - self.mean;
        self.scale(values_mut(&mut u.view_mut()), |g| (g + noise).sqrt().recip());
        u
    }

    /// Takes whitened fields from noise `floor` to none and turns them into fields `phi`, in place: below the floor the
    /// bracket changes no more, and its integral is half of a unit step.
    ///
    /// # Errors
    /// Of the score.
    pub fn finish(&self, mut u: BatchMut<'_>) -> Result<(), EvalError> {
        let mut slope = Array2::zeros(u.dim());
        self.drift(u.view(), 0.0, slope.view_mut())?;
        u.zip_mut_with(&slope, |u, slope| *u -= 0.5 * slope);
        self.scale(values_mut(&mut u), f64::sqrt);
        u += self.mean;
        Ok(())
    }
}

impl<M: ScoreModel> Drift for WhitenedFlow<M> {
    fn drift(&self, u: Batch<'_>, t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
        let s = self.floor * t.exp();
        let width: Vec<f64> = self.g.iter().map(|g| (g + s * s).sqrt()).collect();
        // The bracket is -x/(G + s^2) short of the score, and x the width times u.
        let of_score: Vec<f64> = width.iter().map(|width| -s * s / width).collect();
        let of_field: Vec<f64> = width.iter().map(|width| -s * s / (width * width)).collect();
        let (mut filter, size) = (PairFilter::new(&self.transform), 2 * self.transform.sites());
        let mut modes = Vec::with_capacity(u.len().next_multiple_of(size) / 2);
        let mut x = Array2::zeros(u.dim());
        for (u, x) in values(&u).chunks(size).zip(values_mut(&mut x.view_mut()).chunks_mut(size)) {
            filter.load(u);
            filter.forward();
            modes.extend_from_slice(&filter.pair);
            filter.scale(&width);
            filter.inverse();
            filter.store(x);
        }
        x += self.mean;
        self.score.score(x.view(), s, out.view_mut())?;
        let modes = modes.chunks_exact(self.transform.sites());
        for (modes, out) in modes.zip(values_mut(&mut out).chunks_mut(size)) {
            filter.load(out);
            filter.forward();
            filter.combine(&of_score, modes, &of_field);
            filter.inverse();
            filter.store(out);
        }
        Ok(())
    }
}
