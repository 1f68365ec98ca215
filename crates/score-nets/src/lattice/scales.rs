//! In which units a net sees fields.

use crate::NetError;
use crate::error::{LONGEST, at_most};
use serde::{Deserialize, Serialize};

/// The fields that a net was made for, and the scales of its answers.
///
/// Fields are divided by their standard deviation; `s` is the noise in this unit. The answer is measured in the root mean square
/// width of what is left unknown of a Gaussian field with propagator `G`, given itself with noise `s`:
///
/// ```text
/// r(s)^2 = mean over modes of  G s^2 / (G + s^2) ,        mean over modes of  G = 1 .
/// ```
///
/// `r` is tabulated, since nets know nothing of momenta; between the levels of the table `ln r` is linear in `ln s`.
///
/// ```
/// use score_nets::FieldScales;
/// // white noise of variance one: r^2 = s^2 / (1 + s^2)
/// let noise: Vec<f64> = (0..=60).map(|i| 0.05 * 1.1f64.powi(i)).collect();
/// let width = noise.iter().map(|s| s / (1.0 + s * s).sqrt()).collect();
/// let scales = FieldScales { extents: [8, 8], deviation: 1.0, noise, width };
/// assert!((scales.width_at(0.7) - 0.7 / 1.49f64.sqrt()).abs() < 1e-3);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldScales {
    /// Extents of the lattice.
    pub extents: [usize; 2],
    /// Standard deviation of the field at one site.
    pub deviation: f64,
    /// Noise levels `s` in this unit, ascending: the net is trained from the first to the last.
    pub noise: Vec<f64>,
    /// `r(s)` at the levels.
    pub width: Vec<f64>,
}

impl FieldScales {
    /// Number of sites.
    pub fn sites(&self) -> usize {
        self.extents[0] * self.extents[1]
    }

    /// The lowest and the highest noise level.
    pub fn range(&self) -> (f64, f64) {
        (self.noise[0], self.noise[self.noise.len() - 1])
    }

    /// `r(s)`; at `s` outside the table that of the nearest level.
    pub fn width_at(&self, s: f64) -> f64 {
        let (lowest, highest) = self.range();
        let s = s.clamp(lowest, highest);
        let upper = self.noise.partition_point(|level| *level < s).clamp(1, self.noise.len() - 1);
        let (a, b) = (self.noise[upper - 1], self.noise[upper]);
        let part = (s / a).ln() / (b / a).ln();
        let (low, high) = (self.width[upper - 1], self.width[upper]);
        low * (high / low).powf(part)
    }

    /// Factors that give the two inputs of a net variance one: of the base's denoised field, whose variance is `1 - r^2` for
    /// a Gaussian, and of the noised field, `1 + s^2`.
    pub(crate) fn input_factors(&self, s: f64) -> [f64; 2] {
        let r = self.width_at(s);
        [(1.0 - r * r).max(1e-4).sqrt().recip(), (1.0 + s * s).sqrt().recip()]
    }

    /// # Errors
    /// [`NetError`] if a number is out of its domain, or the table has less than two levels or is not ascending.
    pub fn validate(&self) -> Result<(), NetError> {
        if self.extents.contains(&0) {
            return Err(NetError::Empty { name: "extents" });
        }
        self.extents.into_iter().try_for_each(|extent| at_most("extents", extent, LONGEST))?;
        let positive = |name, index: usize, value: f64| {
            if value.is_finite() && value > 0.0 {
                Ok(())
            } else {
                Err(NetError::Scale { name, index, value })
            }
        };
        positive("deviation", 0, self.deviation)?;
        if self.noise.len() < 2 || self.noise.len() != self.width.len() {
            return Err(NetError::Table { noise: self.noise.len(), width: self.width.len() });
        }
        let mut last = 0.0;
        for (index, (&noise, &width)) in self.noise.iter().zip(&self.width).enumerate() {
            positive("noise", index, noise)?;
            positive("width", index, width)?;
            if noise <= last {
                return Err(NetError::Scale { name: "noise", index, value: noise });
            }
            last = noise;
        }
        Ok(())
    }
}
