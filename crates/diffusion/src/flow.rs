//! Moments and cumulants followed in time.

use crate::{ShareError, Tally};
use cumulants::{
    AppendError, Controlled, ErrorEstimateError, Estimate, LEAF, Moments, PairwiseMoments,
    controlled_cumulants, jackknife, jackknife_cumulants,
};
use sde_core::{Batch, Observer, TimeGrid, values};
use serde::{Deserialize, Serialize};

/// Highest order of the moments and cumulants that are followed.
pub const ORDER: usize = 8;

/// Moments and cumulants of the field at coinciding points, at one time [3.4, 5.11].
///
/// All sites of all rows enter alike. Errors are jackknife errors over at most 256 bins of whole rows, so
/// correlations between the sites of a row are accounted for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlowPoint {
    /// Steps done.
    pub step: usize,
    /// The time `t`.
    pub time: f64,
    /// `mu_1 .. mu_8`, about zero.
    pub moments: [Estimate; ORDER],
    /// `kappa_1 .. kappa_8`.
    pub cumulants: [Estimate; ORDER],
}

/// Cumulants with control variates, at one time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ControlledPoint {
    /// Steps done.
    pub step: usize,
    /// The time `t`.
    pub time: f64,
    /// `kappa_1 .. kappa_8`.
    pub cumulants: [Controlled; ORDER],
}

/// What a part of an ensemble has to say of one measured step.
pub(crate) type Subtrees = Vec<(u32, Moments<ORDER>)>;

/// A [`Tally`] of moments and cumulants at chosen steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CumulantFlow {
    steps: Vec<usize>,
    times: Vec<f64>,
    moments: Vec<PairwiseMoments<ORDER>>,
}

impl CumulantFlow {
    /// At the start, after every `stride`-th step (at least 1), and at the end.
    pub fn every(grid: &TimeGrid, stride: usize) -> Self {
        let last = grid.len();
        let steps = (0..last).step_by(stride.max(1)).chain([last]).collect();
        Self::at(grid, steps)
    }

    /// At the end alone.
    pub fn at_end(grid: &TimeGrid) -> Self {
        Self::at(grid, vec![grid.len()])
    }

    fn at(grid: &TimeGrid, steps: Vec<usize>) -> Self {
        let mut ends: Vec<f64> = vec![grid.start()];
        ends.extend(grid.steps().map(|step| step.end()));
        let times = steps.iter().map(|&step| ends[step]).collect();
        let moments = vec![PairwiseMoments::new(); steps.len()];
        Self { steps, times, moments }
    }

    /// What was measured, in the order of the steps.
    ///
    /// With fewer than two bins the errors are NaN.
    pub fn points(&self) -> Vec<FlowPoint> {
        let point = |((&step, &time), moments): ((&usize, &f64), &PairwiseMoments<ORDER>)| {
            let bins = moments.bins();
            let total = moments.total();
            let without_error = |value| Estimate { value, error: f64::NAN };
            FlowPoint {
                step,
                time,
                moments: std::array::from_fn(|k| {
                    jackknife(&bins, |m| m.raw_moment(k + 1))
                        .unwrap_or_else(|_| without_error(total.raw_moment(k + 1)))
                }),
                cumulants: jackknife_cumulants(&bins)
                    .unwrap_or_else(|_| total.cumulants().map(without_error)),
            }
        };
        self.steps.iter().zip(&self.times).zip(&self.moments).map(point).collect()
    }

    /// The cumulants, with those of a normal twin as control variates.
    ///
    /// At noise variance `Xi` the sampling error of `kappa_n` is `sqrt(n! Xi^n / N)`, far above the value: trajectories
    /// alone do not show how cumulants are made. But nearly all of that error is the noise's own, and a process
    /// with a linear score has it too: `twin` is an ensemble from the same start under the same [`Noise`], by the same
    /// integrator on the same grid, with the [`GaussianScore`] of the same second cumulant. It is normal at all times, of
    /// mean zero and of the known `variances`, one for each measured step: from [`law_flow`](crate::law_flow), or
    /// [`euler_maruyama_variance`]. On a lattice the twin is a Gaussian field with the same propagator, mode by mode:
    /// `SpectralScore`, with `Spectrum::draw` and `Spectrum::euler_maruyama_variances`, of the crate `lattice-phi4`. Then [`controlled_cumulants`] takes away what the two have in common.
    ///
    /// The forward process needs none of this: conditioned on the data its noise averages out in closed form, and
    /// [`forward_cumulants`](cumulants::forward_cumulants) of those of the data is the best estimate there is.
    ///
    /// ```
    /// use diffusion::{CumulantFlow, Evolution, Prior};
    /// use sde_core::gaussian::{GaussianScore, euler_maruyama_variance};
    /// use sde_core::*;
    ///
    /// let schedule = VarianceExpanding::new(10.0)?;
    /// let model = TwoPeak::new(1.0, 0.25)?;
    /// let kappa_2 = model.cumulant(2);
    /// let grid = TimeGrid::uniform(1.0, 0.8, 80)?;
    /// let run = |score: &(dyn ScoreModel + Sync)| {
    ///     let mut x = Prior::Matched { kappa_2 }.draw(&schedule, 1.0, 100_000, 1, &Noise::new(1, 0));
    ///     let mut flow = CumulantFlow::every(&grid, 40);
    ///     let process = Reverse { schedule, score };
    ///     Evolution::new(&process, &EulerMaruyama::new(), &grid, Noise::new(1, 1)).run(x.view_mut(), &mut flow)?;
    ///     Ok::<_, diffusion::EvolutionError>(flow)
    /// };
    /// let flow = run(&model.score(schedule))?;
    /// let twin = run(&GaussianScore { schedule, kappa_2 })?;
    ///
    /// let start = kappa_2 + schedule.transition(0.0, 1.0).variance;
    /// let variance = euler_maruyama_variance(&schedule, kappa_2, start, &grid);
    /// let points = flow.controlled(&twin, &[variance[0], variance[40], variance[80]])?;
    /// let kappa_4 = points[1].cumulants[3]; // at t = 0.9: -1.647(14), without the twin +2(3)
    /// assert!(kappa_4.plain.error > 2.0 && kappa_4.estimate.error < 0.02);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorEstimateError`] for fewer than 26 bins of trajectories, and for a twin of another number of trajectories.
    ///
    /// # Panics
    /// If the twin was measured at other steps, or `variances` has another length.
    ///
    /// [`Noise`]: sde_core::Noise
    /// [`GaussianScore`]: sde_core::gaussian::GaussianScore
    /// [`euler_maruyama_variance`]: sde_core::gaussian::euler_maruyama_variance
    pub fn controlled(
        &self,
        twin: &Self,
        variances: &[f64],
    ) -> Result<Vec<ControlledPoint>, ErrorEstimateError> {
        assert_eq!(self.steps, twin.steps, "the twin was measured at the same steps");
        assert_eq!(self.steps.len(), variances.len(), "one variance for each measured step");
        let times = self.steps.iter().zip(&self.times);
        let moments = self.moments.iter().zip(&twin.moments).zip(variances);
        times
            .zip(moments)
            .map(|((&step, &time), ((moments, twin), &variance))| {
                let mut exact = [0.0; ORDER];
                exact[1] = variance;
                let cumulants = controlled_cumulants(&moments.bins(), &twin.bins(), &exact)?;
                Ok(ControlledPoint { step, time, cumulants })
            })
            .collect()
    }

    /// Takes in what was measured on the rows that come next: see [`Share`](crate::Share).
    ///
    /// # Errors
    /// [`ShareError::Times`] and [`ShareError::Cut`]; nothing has changed then.
    pub fn append(&mut self, next: &Self) -> Result<(), ShareError> {
        if (&self.steps, &self.times) != (&next.steps, &next.times) {
            return Err(ShareError::Times { expected: self.steps.len(), found: next.steps.len() });
        }
        // All steps have seen the same leaves: either all can be appended, or none.
        for (moments, next) in self.moments.iter_mut().zip(&next.moments) {
            moments.append(next)?;
        }
        Ok(())
    }

    /// The subtrees of all measured steps, see [`PairwiseMoments::subtrees`].
    pub(crate) fn subtrees(&self, first: u64, total: u64) -> Result<Vec<Subtrees>, AppendError> {
        self.moments.iter().map(|moments| moments.subtrees(first, total)).collect()
    }

    /// A flow at the same times, of the subtrees of all its parts.
    pub(crate) fn of_subtrees(&self, total: u64, parts: &[Vec<Subtrees>]) -> Result<Self, AppendError> {
        let moments = (0..self.steps.len()).map(|step| {
            let parts = parts.iter().flat_map(|part| part.get(step).into_iter().flatten().copied());
            PairwiseMoments::of_subtrees(total, parts)
        });
        Ok(Self { moments: moments.collect::<Result<_, _>>()?, ..self.clone() })
    }

    /// The accumulated moments at the last measured step.
    pub fn last(&self) -> &PairwiseMoments<ORDER> {
        &self.moments[self.moments.len() - 1]
    }
}

/// The leaves of one block, measured step after measured step.
#[derive(Debug)]
pub struct FlowBlock {
    steps: Vec<usize>,
    leaves: Vec<Vec<Moments<ORDER>>>,
}

impl Observer for FlowBlock {
    fn observe(&mut self, step: usize, _t: f64, x: Batch<'_>) {
        if self.steps.get(self.leaves.len()) == Some(&step) {
            let leaf = LEAF.div_ceil(x.ncols()) * x.ncols();
            self.leaves.push(values(&x).chunks(leaf).map(Moments::of).collect());
        }
    }
}

impl Tally for CumulantFlow {
    type Block = FlowBlock;

    fn block(&self) -> FlowBlock {
        FlowBlock { steps: self.steps.clone(), leaves: Vec::with_capacity(self.steps.len()) }
    }

    fn absorb(&mut self, block: FlowBlock) {
        for (moments, leaves) in self.moments.iter_mut().zip(block.leaves) {
            for leaf in leaves {
                moments.push(leaf);
            }
        }
    }
}
