//! Where the backward process of a field starts.
//!
//! A field noised to time `t` has mean `f M` and propagator `G(p; t) = f^2 G(p) + Xi` [5.16], with `f` and `Xi` those of the
//! schedule. Three densities stand for it:
//!
//! | prior | density | for |
//! | --- | --- | --- |
//! | [`Noise`](FieldPrior::Noise) | `N(0, Xi)` | comparison with the paper |
//! | [`Matched`](FieldPrior::Matched) | `N(f M, G(p; t))` | one peak, wherever |
//! | [`TwoSigns`](FieldPrior::TwoSigns) | `1/2 [ N(f M, G(p; t)) + N(-f M, G(p; t)) ]` | the ordered phase |
//!
//! Whitened to `u_p = x_p / sqrt(G(p; t))`, with `m = f M / sqrt(G(0; t))` for the mean, all have the logarithm
//!
//! ```text
//! ln p(x) = -1/2 sum_p ln[ 2 pi G(p; t) ] - 1/2 ( |u|^2 + V m^2 ) + { m sum_x u_x  or  ln cosh( m sum_x u_x ) } .
//! ```

use crate::Spectrum;
use crate::pairs::{PairFilter, PairTransform};
use ndarray::{Array1, Array2};
use sde_core::{Batch, Noise, NoiseSchedule, NormalSource, values, values_mut};
use serde::{Deserialize, Serialize};
use std::f64::consts::{LN_2, TAU};
use std::ops::Range;

/// The density from which the backward process of a field starts, given the [`Spectrum`] of the field without noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldPrior {
    /// `N(0, Xi(t))`, the paper's: it lacks the field's own fluctuations, above all those of the zero mode.
    Noise,
    /// `N(f M, G(p; t))`, mode by mode what is known of the noised field to second order.
    Matched,
    /// Equal parts of the matched density about `f M` and about `-f M`.
    TwoSigns,
}

impl FieldPrior {
    /// Draws `rows` fields at time `t` of `schedule`, shape `(rows, sites)`. Addressed noise, step 0; signs are those of
    /// a second draw, one for each row.
    ///
    /// ```
    /// use lattice_phi4::{FieldPrior, Lattice, Spectrum};
    /// use sde_core::{Edm, Noise, ndarray::Axis};
    ///
    /// let lattice = Lattice::new(&[4, 4])?;
    /// let free = Spectrum::free(&lattice, 0.1)?;
    /// let ordered = Spectrum::new(&lattice, 5.0, free.variances().to_vec())?;
    /// let x = FieldPrior::TwoSigns.draw(&ordered, &Edm::new(1.0)?, 1.0, 1000, &Noise::new(1, 0));
    /// let positive = x.mean_axis(Axis(1)).unwrap().iter().filter(|m| **m > 0.0).count();
    /// assert!(positive.abs_diff(500) < 64); // 4 sigma
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn draw<S: NoiseSchedule + ?Sized>(
        self,
        spectrum: &Spectrum,
        schedule: &S,
        t: f64,
        rows: usize,
        noise: &Noise,
    ) -> Array2<f64> {
        self.draw_rows(spectrum, schedule, t, 0..rows, noise)
    }

    /// Those `rows` that [`draw`](Self::draw) would draw of all. They begin with an even one, since fields are transformed in pairs.
    pub fn draw_rows<S: NoiseSchedule + ?Sized>(
        self,
        spectrum: &Spectrum,
        schedule: &S,
        t: f64,
        rows: Range<usize>,
        noise: &Noise,
    ) -> Array2<f64> {
        let transform = PairTransform::new(&spectrum.lattice());
        let Law { variances, mean } = self.law(spectrum, schedule, t, &transform);
        let (first, mut x) = (rows.start, Array2::zeros((rows.len(), transform.sites())));
        let widths: Vec<f64> = variances.iter().map(|g| g.sqrt()).collect();
        let fields = x.as_slice_mut().expect("a new array is contiguous");
        noise.block(0, (first * transform.sites()) as u64).fill(0, fields);
        PairFilter::new(&transform).filter_rows(fields, &widths);
        x += mean;
        if self == Self::TwoSigns {
            let mut signs = vec![0.0; rows.len()];
            noise.block(0, first as u64).fill(1, &mut signs);
            x.outer_iter_mut().zip(&signs).for_each(|(mut row, sign)| row *= sign.signum());
        }
        x
    }

    /// `ln p` of every row of `x`, shape `(rows, sites)`, at time `t` of `schedule`.
    ///
    /// ```
    /// use lattice_phi4::{FieldPrior, Lattice, Spectrum};
    /// use sde_core::{Edm, ndarray::Array2};
    ///
    /// let lattice = Lattice::new(&[2, 2])?;
    /// // N(0, 3^2) at four sites
    /// let free = Spectrum::free(&lattice, 0.1)?;
    /// let found = FieldPrior::Noise.log_density(&free, &Edm::new(3.0)?, 3.0, Array2::ones((1, 4)).view());
    /// let exact = -4.0 * (1.0 / 18.0 + (2.0 * std::f64::consts::PI * 9.0_f64).ln() / 2.0);
    /// assert!((found[0] - exact).abs() < 1e-13);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn log_density<S: NoiseSchedule + ?Sized>(
        self,
        spectrum: &Spectrum,
        schedule: &S,
        t: f64,
        x: Batch<'_>,
    ) -> Array1<f64> {
        let transform = PairTransform::new(&spectrum.lattice());
        let Law { variances, mean } = self.law(spectrum, schedule, t, &transform);
        let norm: f64 = variances.iter().map(|g| (TAU * g).ln()).sum();
        let whiten: Vec<f64> = variances.iter().map(|g| g.sqrt().recip()).collect();
        let mut white = x.to_owned();
        PairFilter::new(&transform).filter_rows(values_mut(&mut white.view_mut()), &whiten);
        let m = mean * whiten[0];
        let density = |u: &[f64]| {
            let (square, sum) = (u.iter().map(|u| u * u).sum::<f64>(), u.iter().sum::<f64>());
            let tilt = if self == Self::TwoSigns { ln_cosh(m * sum) } else { m * sum };
            tilt - 0.5 * (norm + square + u.len() as f64 * m * m)
        };
        values(&white.view()).chunks(transform.sites()).map(density).collect()
    }

    /// Its propagator by mode, and its mean up to the sign.
    fn law<S: NoiseSchedule + ?Sized>(
        self,
        spectrum: &Spectrum,
        schedule: &S,
        t: f64,
        transform: &PairTransform,
    ) -> Law {
        let kernel = schedule.transition(0.0, t);
        if self == Self::Noise {
            return Law { variances: vec![kernel.variance; transform.sites()], mean: 0.0 };
        }
        let g = transform.by_mode(spectrum.variances());
        let variances = g.iter().map(|g| kernel.variance_from(*g)).collect();
        Law { variances, mean: kernel.mean_factor * spectrum.mean() }
    }
}

/// One or two Gaussians.
struct Law {
    variances: Vec<f64>,
    mean: f64,
}

/// `ln cosh a`, without overflow.
fn ln_cosh(a: f64) -> f64 {
    a.abs() + (-2.0 * a.abs()).exp().ln_1p() - LN_2
}
