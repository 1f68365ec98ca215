//! Where the backward process starts.

use crate::draw_rows;
use sde_core::ndarray::{Array1, Array2};
use sde_core::{Batch, Noise, NoiseSchedule, NormalSource};
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;
use std::ops::Range;

/// The normal density from which the backward process starts.
///
/// The forward process does not end in a normal density (without a drift its cumulants are conserved [3.15]),
/// so every choice is an approximation; what differs is the second cumulant.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prior {
    /// `N(0, Xi(t))`, the paper's. For schemes without a drift it lacks the data's own variance, which at the
    /// end shows as a bias `-kappa_2 (kappa_2 / s^2)^2` of a Gaussian target [B.18].
    Noise,
    /// `N(0, kappa_2 f^2 + Xi)`, the forward process's own second cumulant [3.23].
    Matched {
        /// Second cumulant of the data.
        kappa_2: f64,
    },
}

impl Prior {
    /// Its variance at time `t`.
    pub fn variance<S: NoiseSchedule + ?Sized>(&self, schedule: &S, t: f64) -> f64 {
        match *self {
            Self::Noise => schedule.transition(0.0, t).variance,
            Self::Matched { kappa_2 } => sde_core::gaussian::forward_variance(schedule, kappa_2, t),
        }
    }

    /// `ln p` of every row of `x`, shape `(rows, sites)`, at time `t`.
    pub fn log_density<S: NoiseSchedule + ?Sized>(&self, schedule: &S, t: f64, x: Batch<'_>) -> Array1<f64> {
        let variance = self.variance(schedule, t);
        let norm = (TAU * variance).ln();
        let density = |x: f64| -0.5 * (norm + x * x / variance);
        x.outer_iter().map(|row| row.iter().map(|x| density(*x)).sum()).collect()
    }

    /// Draws `rows` configurations of `sites` independent sites at time `t`: addressed noise, step 0.
    ///
    /// Take another stream of the seed than for the evolution.
    pub fn draw<S: NoiseSchedule + ?Sized>(
        &self,
        schedule: &S,
        t: f64,
        rows: usize,
        sites: usize,
        noise: &Noise,
    ) -> Array2<f64> {
        self.draw_rows(schedule, t, 0..rows, sites, noise)
    }

    /// Those `rows` that [`draw`](Self::draw) would draw of all.
    pub fn draw_rows<S: NoiseSchedule + ?Sized>(
        &self,
        schedule: &S,
        t: f64,
        rows: Range<usize>,
        sites: usize,
        noise: &Noise,
    ) -> Array2<f64> {
        let width = self.variance(schedule, t).sqrt();
        draw_rows(rows, sites, noise, |source, x| {
            source.fill(0, x);
            for x in x {
                *x *= width;
            }
        })
    }
}
