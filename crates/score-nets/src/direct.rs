//! A score that is the answer of a net itself: the paper's parametrisation.

use crate::inference::Remembered;
use crate::{FusedMlp, Mlp};
use sde_core::{Batch, BatchMut, EvalError, ScoreModel, values, values_mut};

/// The score `s(x,t) = n(x,t)`, with the time as the coordinate of the noise level.
///
/// Acts on every site alone. The biases of a time are computed once and shared by all blocks of a batch.
///
/// ```
/// use rand::SeedableRng;
/// use score_nets::{DirectScore, Mlp, MlpConfig};
/// use sde_core::{ScoreModel, ndarray::Array2};
/// let mlp = Mlp::new(MlpConfig::paper(), &mut rand_pcg::Pcg64::seed_from_u64(1))?;
/// let score = DirectScore::new(mlp);
/// let x = Array2::from_shape_fn((100, 1), |(i, _)| i as f64 / 50.0 - 1.0);
/// let mut s = Array2::zeros((100, 1));
/// score.score(x.view(), 0.5, s.view_mut())?;
/// assert!(s.iter().all(|s: &f64| s.is_finite()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DirectScore {
    net: Remembered,
}

impl DirectScore {
    /// The score that `mlp` answers.
    pub fn new(mlp: Mlp) -> Self {
        Self { net: Remembered::new(FusedMlp::new(mlp)) }
    }

    /// The net.
    pub fn mlp(&self) -> &Mlp {
        self.net.mlp()
    }
}

impl ScoreModel for DirectScore {
    fn score(&self, x: Batch<'_>, t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
        self.net.evaluate(t, 1.0, values(&x), values_mut(&mut out));
        Ok(())
    }
}
