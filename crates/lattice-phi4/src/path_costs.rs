//! Where the steps of a path should go.
//!
//! The kernel of an [`Ancestral`](crate::Ancestral) step has the right mean and the covariance of a Gaussian field. The true
//! covariance of `x_t'` given `x_t` follows from the Jacobian of the score. With `J = d/dx [ s(x) - s_G(x) ]` that of its part
//! beyond the Gaussian score, a short step from noise `s` to `s e^(-du)`, of variance `Xi = 2 s^2 du`, differs by `Xi^2 J`, which costs
//!
//! ```text
//! KL = 1/4 tr (Xi J)^2 = c(s) du^2 ,     c(s) = s^4 E tr J^2 .
//! ```
//!
//! `tr J^2` is the mean of `|J z|^2` over white noise `z`, a difference of two scores. Of `K` steps those of equal
//! `sqrt(c) du` cost least in all,
//!
//! ```text
//! KL = A^2 / K ,     A = integral sqrt(c) d ln s ,
//! ```
//!
//! the square of a mean in place of the mean of a square. What a path costs is what its weights lose: an effective sample size of
//! about `e^(-2 KL)` a configuration, if the score itself is good.

use crate::Spectrum;
use crate::pairs::{PairFilter, PairTransform};
use ndarray::Array2;
use sde_core::{
    Batch, EvalError, Noise, NormalSource, ScoreModel, TimeGrid, directional_derivative, values, values_mut,
};

/// Displacement of a numerical derivative, in units of the noise.
const DISPLACEMENT: f64 = 1e-3;
/// Costs below this are those of a Gaussian field, for which one step is as good as another.
const NOTHING: f64 = 1e-20;

/// `c(s)` of a score.
///
/// ```
/// use lattice_phi4::{Lattice, PathCosts, SpectralScore, Spectrum};
/// use sde_core::{Edm, NoiseSchedule};
///
/// // the score of one free field, and steps with the variance of another
/// let lattice = Lattice::new(&[4, 4])?;
/// let [target, steps] = [0.2, 0.15].map(|hopping| Spectrum::free(&lattice, hopping).expect("it is bounded"));
/// let schedule = Edm::new(20.0)?;
/// let fields = target.draw(&schedule, 0.0, 200, &sde_core::Noise::new(1, 0));
/// let noise: Vec<f64> = (0..40).map(|i| 0.05 * 1.15_f64.powi(i)).collect();
/// let score = SpectralScore::new(&target, schedule);
/// let costs = PathCosts::measure(&steps, &score, fields.view(), &noise, 1)?;
///
/// let (grid, levels) = (costs.grid(20), costs.levels(20));
/// assert_eq!((grid.len(), levels[0], levels[20]), (20, noise[39], 0.0));
/// assert!(costs.divergence(20) < 0.1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct PathCosts {
    noise: Vec<f64>,
    /// `integral sqrt(c) d ln s` from no noise to each level.
    sums: Vec<f64>,
}

impl PathCosts {
    /// Measures the costs at ascending `noise` levels, on configurations `fields`, shape `(configurations, sites)`, with
    /// noise of `seed`. Steps have the variance of `spectrum`, and the time of the score is the noise: its schedule is
    /// [`Edm`](sde_core::Edm).
    ///
    /// # Errors
    /// Of the score.
    ///
    /// # Panics
    /// Unless there are configurations of the lattice of `spectrum`, and two levels or more.
    pub fn measure<M: ScoreModel + ?Sized>(
        spectrum: &Spectrum,
        score: &M,
        fields: Batch<'_>,
        noise: &[f64],
        seed: u64,
    ) -> Result<Self, EvalError> {
        assert!(noise.len() > 1, "two levels or more");
        let transform = PairTransform::new(&spectrum.lattice());
        assert!(fields.nrows() > 0 && fields.ncols() == transform.sites(), "configurations of the lattice");
        let g = transform.by_mode(spectrum.variances());
        let mut filter = PairFilter::new(&transform);
        let source = Noise::new(seed, 0);
        let mut rates = Vec::with_capacity(noise.len());
        for (level, &s) in noise.iter().enumerate() {
            let block = source.block(level as u64, 0);
            let [mut x, mut z] = [(); 2].map(|()| Array2::zeros(fields.dim()));
            block.fill(0, values_mut(&mut x.view_mut()));
            x *= s;
            x += &fields;
            block.fill(1, values_mut(&mut z.view_mut()));
            let slope = directional_derivative(score, x.view(), s, z.view(), DISPLACEMENT * s)?;
            // What is left of it without the Gaussian part, -z / (G + s^2).
            let precision: Vec<f64> = g.iter().map(|g| (g + s * s).recip()).collect();
            filter.filter_rows(values_mut(&mut z.view_mut()), &precision);
            z += &slope;
            let trace = values(&z.view()).iter().map(|z| z * z).sum::<f64>() / fields.nrows() as f64;
            rates.push((s.powi(4) * trace).max(NOTHING).sqrt());
        }
        // Below the lowest level J is that of the force, and sqrt(c) goes as s^2.
        let mut sums = vec![0.5 * rates[0]];
        for (noise, rates) in noise.windows(2).zip(rates.windows(2)) {
            let last = sums[sums.len() - 1];
            sums.push(last + 0.5 * (rates[0] + rates[1]) * (noise[1] / noise[0]).ln());
        }
        Ok(Self { noise: noise.to_vec(), sums })
    }

    /// `A`.
    fn total(&self) -> f64 {
        self.sums[self.sums.len() - 1]
    }

    /// The divergence of paths of so many steps from those of the noising process, in nats, as far as it is of the steps.
    pub fn divergence(&self, steps: usize) -> f64 {
        self.total() * self.total() / steps as f64
    }

    /// Noise levels from the highest one down to zero, with steps of equal cost in between.
    ///
    /// # Panics
    /// For no steps.
    pub fn levels(&self, steps: usize) -> Vec<f64> {
        assert!(steps > 0, "at least one step");
        let part = self.total() / steps as f64;
        let below = (1..steps).rev().map(|step| self.level(step as f64 * part));
        let top = self.noise[self.noise.len() - 1];
        [top].into_iter().chain(below).chain([0.0]).collect()
    }

    /// [`levels`](Self::levels) as the times of [`Edm`](sde_core::Edm).
    ///
    /// # Panics
    /// For no steps.
    pub fn grid(&self, steps: usize) -> TimeGrid {
        TimeGrid::explicit(&self.levels(steps)).expect("levels descend")
    }

    /// The noise up to which paths cost `sum`.
    fn level(&self, sum: f64) -> f64 {
        match self.sums.partition_point(|a| *a < sum) {
            0 => self.noise[0] * (sum / self.sums[0]).sqrt(),
            above => {
                let place = above.min(self.sums.len() - 1);
                let part = (sum - self.sums[place - 1]) / (self.sums[place] - self.sums[place - 1]);
                self.noise[place - 1] * (self.noise[place] / self.noise[place - 1]).powf(part)
            }
        }
    }
}
