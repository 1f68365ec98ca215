//! A published net as a score.

use super::passes::{Kernels, evaluate};
use crate::{Net, NetError, PublishedUnet};
use sde_core::{Batch, BatchMut, EvalError, NoiseSchedule, ScoreModel, values, values_mut};

/// The score of fields noised by a schedule, as the net was trained on it:
///
/// ```text
/// score(x, t) = N(x, t) / sqrt(Xi(t)) .
/// ```
///
/// Fields are in the units of the training data, and the time is that of the schedule. Rows are evaluated on all threads.
///
/// ```
/// use rand::SeedableRng;
/// use score_nets::{PublishedScore, PublishedUnet, PublishedUnetConfig};
/// use sde_core::{ScoreModel, VarianceExpanding, ndarray::Array2};
///
/// let config = PublishedUnetConfig {
///     extents: [4, 4], channels: vec![4, 8], features: 16, first_groups: 2, groups: 4, ..PublishedUnetConfig::paper()
/// };
/// let net = PublishedUnet::new(config, &mut rand_pcg::Pcg64::seed_from_u64(1))?;
/// let score = PublishedScore::new(net, VarianceExpanding::new(25.0)?);
/// let mut s = Array2::zeros((2, 16));
/// score.score(Array2::ones((2, 16)).view(), 1.0, s.view_mut())?;
/// assert!(s.iter().all(|s: &f64| s.is_finite() && *s != 0.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct PublishedScore<S> {
    net: PublishedUnet,
    kernels: Kernels,
    schedule: S,
}

impl<S: NoiseSchedule> PublishedScore<S> {
    /// The score that `net` has learnt under `schedule`.
    pub fn new(net: PublishedUnet, schedule: S) -> Self {
        Self { kernels: Kernels::forward(&net), net, schedule }
    }

    /// The net.
    pub fn net(&self) -> &PublishedUnet {
        &self.net
    }
}

impl<S: NoiseSchedule> ScoreModel for PublishedScore<S> {
    fn score(&self, x: Batch<'_>, t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
        let sites = self.net.config().sites();
        if x.ncols() != sites {
            return Err(EvalError::new(NetError::Sites { expected: sites, found: x.ncols() }));
        }
        let single: Vec<f32> = values(&x).iter().map(|x| *x as f32).collect();
        let mut answer = vec![0.0; single.len()];
        evaluate(&self.net, &self.kernels, &single, t as f32, &mut answer);
        let gain = self.schedule.transition(0.0, t).variance.sqrt().recip();
        for (score, answer) in values_mut(&mut out).iter_mut().zip(&answer) {
            *score = gain * f64::from(*answer);
        }
        Ok(())
    }
}
