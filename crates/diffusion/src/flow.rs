//! Moments and cumulants followed in time.

use crate::Tally;
use cumulants::{Estimate, LEAF, Moments, PairwiseMoments, jackknife, jackknife_cumulants};
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

/// A [`Tally`] of moments and cumulants at chosen steps.
#[derive(Clone, Debug)]
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
