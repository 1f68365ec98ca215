//! The probability flow with the logarithm of its density.
//!
//! Along a path of the flow `dx/dt = K(x,t)` the density changes by what the flow compresses,
//!
//! ```text
//! d/dt ln p_t(x_t) = -div K ,     K = -k x / 2 - g^2 s / 2 ,     div K = -k V / 2 - g^2 div s / 2 ,
//! ```
//!
//! with `V` sites (Chen et al. 2018, Song et al. 2021). Integrated beside the path this is the density of whatever the flow
//! generates, for any score, exact or not, of any normalised prior.

use crate::batch::{values, values_mut};
use crate::{Batch, BatchMut, Coefficients, Drift, EvalError, NoiseSchedule, ScoreDivergence, update};
use ndarray::{Array2, s};

/// The [`ProbabilityFlow`](crate::ProbabilityFlow) of rows `(x, l_1, .. l_K)`: a field, and `ln p` less a constant by each of the
/// `K` [estimates](ScoreDivergence::estimates) of the divergence, one if it is exact.
///
/// From a prior down to `t = 0` it generates `x_0` and `ln p_0(x_0)` together. From a given `x_0` with `l = 0` up to `T` it
/// tells `ln p_0(x_0) = ln p_T(x_T) - l`.
///
/// ```
/// use sde_core::gaussian::GaussianScore;
/// use sde_core::*;
///
/// // N(0, 2) at x = 3, from N(0, 2 + Xi) at t = 1
/// let schedule = VarianceExpanding::new(10.0)?;
/// let flow = DensityFlow { schedule, score: GaussianScore { schedule, kappa_2: 2.0 } };
/// let mut y = flow.join(ndarray::array![[3.0]].view(), &ndarray::array![[0.0]]);
/// let grid = TimeGrid::uniform(0.0, 1.0, 1)?;
/// integrate(&flow, &mut DormandPrince::new(1e-12)?, &grid, y.view_mut(), 0, &Noise::new(0, 0), &mut ())?;
/// let (x, l) = flow.split(y.view());
/// let prior = NormalMixture::normal(0.0, gaussian::forward_variance(&schedule, 2.0, 1.0))?;
/// let found = prior.ln_density(x[(0, 0)]) - l[(0, 0)];
/// assert!((found - NormalMixture::normal(0.0, 2.0)?.ln_density(3.0)).abs() < 1e-10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct DensityFlow<S, M> {
    /// Schedule of the noising process.
    pub schedule: S,
    /// Score of the noised density.
    pub score: M,
}

impl<S, M: ScoreDivergence> DensityFlow<S, M> {
    /// Rows of the flow from fields, shape `(rows, sites)`, and logarithms, shape `(rows, estimates)`.
    ///
    /// # Panics
    /// If shapes do not fit.
    pub fn join(&self, x: Batch<'_>, logarithms: &Array2<f64>) -> Array2<f64> {
        assert_eq!(logarithms.ncols(), self.score.estimates(), "a logarithm for each estimate");
        let sites = x.ncols();
        let mut rows = Array2::zeros((x.nrows(), sites + logarithms.ncols()));
        rows.slice_mut(s![.., ..sites]).assign(&x);
        rows.slice_mut(s![.., sites..]).assign(logarithms);
        rows
    }

    /// Fields and logarithms of rows of the flow.
    pub fn split(&self, rows: Batch<'_>) -> (Array2<f64>, Array2<f64>) {
        let sites = self.sites(&rows);
        let part = |part: Batch<'_>| part.as_standard_layout().into_owned();
        (part(rows.slice(s![.., ..sites])), part(rows.slice(s![.., sites..])))
    }

    fn sites(&self, rows: &Batch<'_>) -> usize {
        rows.ncols().checked_sub(self.score.estimates()).expect("rows hold a logarithm for each estimate")
    }
}

impl<S: NoiseSchedule, M: ScoreDivergence> Drift for DensityFlow<S, M> {
    fn drift(&self, rows: Batch<'_>, t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
        let sites = self.sites(&rows);
        let x = rows.slice(s![.., ..sites]).as_standard_layout().into_owned();
        let (mut k, mut divergence) =
            (Array2::zeros(x.dim()), Array2::zeros((x.nrows(), self.score.estimates())));
        self.score.score_and_divergence(x.view(), t, k.view_mut(), divergence.view_mut())?;
        let Coefficients { rate, strength } = self.schedule.coefficients(t);
        let (linear, nonlinear) = (-0.5 * rate, -0.5 * strength * strength);
        update::add(values_mut(&mut k.view_mut()), nonlinear, linear, values(&x.view()));
        out.slice_mut(s![.., ..sites]).assign(&k);
        divergence.mapv_inplace(|d| -(linear * sites as f64 + nonlinear * d));
        out.slice_mut(s![.., sites..]).assign(&divergence);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        DifferenceTrace, DormandPrince, Edm, Noise, NormalMixture, ProbabilityFlow, ScoreModel, TimeGrid,
        TwoPeak, VarianceExpanding, VariancePreserving, gaussian, integrate,
    };
    use ndarray::array;

    fn schedules() -> [(Box<dyn NoiseSchedule>, f64); 3] {
        [
            (Box::new(VarianceExpanding::new(10.0).unwrap()), 1.0),
            (Box::new(VariancePreserving::new(10.0).unwrap()), 0.8),
            (Box::new(Edm::new(5.0).unwrap()), 5.0),
        ]
    }

    /// `ln p_0` of every row of `x` by the flow from zero to `end`, from its exact density there.
    fn ln_density<M: ScoreDivergence>(
        flow: &DensityFlow<&dyn NoiseSchedule, M>,
        end: f64,
        x: &Array2<f64>,
        at_end: impl Fn(f64) -> f64,
    ) -> Vec<f64> {
        let mut rows = flow.join(x.view(), &Array2::zeros((x.nrows(), 1)));
        let grid = TimeGrid::uniform(0.0, end, 1).unwrap();
        let mut scheme = DormandPrince::new(1e-12).unwrap();
        integrate(flow, &mut scheme, &grid, rows.view_mut(), 0, &Noise::new(0, 0), &mut ()).unwrap();
        let (x, l) = flow.split(rows.view());
        x.outer_iter().zip(&l).map(|(x, l)| x.iter().map(|x| at_end(*x)).sum::<f64>() - l).collect()
    }

    /// On three sites, with the density known before and after.
    #[test]
    fn a_gaussian_has_its_density() {
        let kappa_2 = 0.6;
        let target = NormalMixture::normal(0.0, kappa_2).unwrap();
        let x = Array2::from_shape_fn((5, 3), |(i, j)| (i as f64 - 2.0) * (1.0 + j as f64) * 0.3);
        for (schedule, end) in &schedules() {
            let schedule: &dyn NoiseSchedule = &**schedule;
            let prior =
                NormalMixture::normal(0.0, gaussian::forward_variance(schedule, kappa_2, *end)).unwrap();
            let flow = DensityFlow { schedule, score: gaussian::GaussianScore { schedule, kappa_2 } };
            let found = ln_density(&flow, *end, &x, |x| prior.ln_density(x));
            for (found, x) in found.iter().zip(x.outer_iter()) {
                let exact: f64 = x.iter().map(|x| target.ln_density(*x)).sum();
                assert!((found - exact).abs() < 1e-9, "{found} {exact}");
            }
        }
    }

    /// Two peaks, and a skewed mixture, at many places, from deep between the peaks to far outside.
    #[test]
    fn mixtures_have_their_density() {
        let model = TwoPeak::new(1.0, 0.25).unwrap();
        let skewed = NormalMixture::new(&[(-1.0, 1.0), (0.5, 2.0), (2.0, 5.0)], 0.3).unwrap();
        let x = Array2::from_shape_fn((61, 1), |(i, _)| (i as f64 - 30.0) / 10.0);
        for (schedule, end) in &schedules() {
            let schedule: &dyn NoiseSchedule = &**schedule;
            let kernel = schedule.transition(0.0, *end);
            let check = |mixture: &NormalMixture, found: &[f64]| {
                for (found, x) in found.iter().zip(&x) {
                    let exact = mixture.ln_density(*x);
                    assert!((found - exact).abs() < 1e-8, "at {x}: {found} {exact}");
                }
            };
            let target = NormalMixture::from(model);
            let end_density = target.noised(kernel);
            let flow = DensityFlow { schedule, score: model.score(schedule) };
            check(&target, &ln_density(&flow, *end, &x, |x| end_density.ln_density(x)));
            let end_density = skewed.noised(kernel);
            let flow = DensityFlow { schedule, score: skewed.clone().score(schedule) };
            check(&skewed, &ln_density(&flow, *end, &x, |x| end_density.ln_density(x)));
        }
    }

    /// Divergences in closed form against differences of the score, and scores against those without.
    #[test]
    fn closed_forms_are_derivatives() {
        let schedule = VariancePreserving::new(10.0).unwrap();
        let skewed = NormalMixture::new(&[(-1.0, 1.0), (0.5, 2.0), (2.0, 5.0)], 0.3).unwrap();
        let scores: [Box<dyn ScoreDivergence>; 3] = [
            Box::new(gaussian::GaussianScore { schedule, kappa_2: 0.6 }),
            Box::new(TwoPeak::new(1.0, 0.25).unwrap().score(schedule)),
            Box::new(skewed.score(schedule)),
        ];
        let x = Array2::from_shape_fn((40, 5), |(i, j)| (i as f64 - 20.0) / 8.0 + 0.07 * j as f64);
        for score in &scores {
            for t in [0.0, 0.2, 1.0] {
                let [mut exact, mut found] =
                    [(); 2].map(|()| (Array2::zeros(x.dim()), Array2::zeros((40, 1))));
                let differences = DifferenceTrace::new(score, 1e-5).unwrap();
                differences
                    .score_and_divergence(x.view(), t, exact.0.view_mut(), exact.1.view_mut())
                    .unwrap();
                score.score_and_divergence(x.view(), t, found.0.view_mut(), found.1.view_mut()).unwrap();
                assert_eq!(found.0, exact.0);
                for (found, exact) in found.1.iter().zip(&exact.1) {
                    assert!((found - exact).abs() < 1e-6 * (1.0 + exact.abs()), "{t}: {found} {exact}");
                }
            }
        }
    }

    #[test]
    fn a_mixture_of_two_has_the_score_of_two_peaks() {
        let (model, schedule) = (TwoPeak::new(1.0, 0.25).unwrap(), Edm::new(3.0).unwrap());
        let x = Array2::from_shape_fn((61, 1), |(i, _)| (i as f64 - 30.0) / 10.0);
        let [mut a, mut b] = [(); 2].map(|()| Array2::zeros(x.dim()));
        for t in [0.0, 0.3, 3.0] {
            model.score(schedule).score(x.view(), t, a.view_mut()).unwrap();
            NormalMixture::from(model).score(schedule).score(x.view(), t, b.view_mut()).unwrap();
            assert!((&a - &b).iter().all(|d| d.abs() < 1e-12), "{t}");
        }
        // Far out, where the density itself is too small for a number.
        let far = NormalMixture::from(model).ln_density(30.0);
        let exact = -0.5 * (29.0 / 0.25_f64).powi(2) - (2.0 * 0.25 * std::f64::consts::TAU.sqrt()).ln();
        assert!((far - exact).abs() < 1e-10);
    }

    /// The field of a row moves as in the flow alone.
    #[test]
    fn the_field_follows_the_probability_flow() {
        let schedule = VariancePreserving::new(3.0).unwrap();
        let score = TwoPeak::new(1.0, 0.25).unwrap().score(schedule);
        let x = array![[0.3, -1.2], [2.0, 0.0]];
        let flow = DensityFlow { schedule, score };
        let rows = flow.join(x.view(), &array![[7.0], [-3.0]]);
        let (mut out, mut plain) = (Array2::zeros(rows.dim()), Array2::zeros(x.dim()));
        flow.drift(rows.view(), 0.4, out.view_mut()).unwrap();
        ProbabilityFlow { schedule, score }.drift(x.view(), 0.4, plain.view_mut()).unwrap();
        assert_eq!(flow.split(out.view()).0, plain);
    }
}
