//! Time grids.
//!
//! A grid is a list of steps `(t_n, dt_n)`. What matters for the accuracy of a backward process is how the
//! steps are spread over the noise level: in the clock `V = Xi / f^2` (see [`NoiseSchedule`]) a step from `V`
//! to `V'` is small if it is small against the width of the features at that level.
//!
//! | grid | uniform in | use |
//! | --- | --- | --- |
//! | [`uniform`](TimeGrid::uniform) | `t` | the paper |
//! | [`log_snr`](TimeGrid::log_snr) | `ln V` | schedules of several decades; ends above `V = 0` |
//! | [`asinh`](TimeGrid::asinh) | `asinh(sqrt(V) / scale)` | logarithmic above `scale`, linear below, reaches `V = 0` |
//! | [`karras`](TimeGrid::karras) | `V^(1/(2 rho))` | EDM, Karras et al. 2022 |
//! | [`published`](TimeGrid::published) | `t`, with the step of the released code | reproducing Table 1 |

use crate::error::{positive, within};
use crate::{NoiseSchedule, ParameterError, Step};

/// A list of times that makes no grid.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum GridError {
    /// There must be at least one step.
    #[error("steps = 0: a time grid needs at least one step")]
    NoSteps,
    /// Times must be finite, not negative, and run strictly one way.
    #[error(
        "times[{index}] = {value} after {previous}: times must be finite, not negative, and strictly monotonic"
    )]
    NotMonotonic {
        /// Position in the list.
        index: usize,
        /// The time there.
        value: f64,
        /// The time before it.
        previous: f64,
    },
    /// A parameter is out of its domain.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
}

/// The steps of a run, forwards or backwards in time.
///
/// ```
/// use sde_core::{TimeGrid, VarianceExpanding};
/// let schedule = VarianceExpanding::new(10.0)?;
/// let grid = TimeGrid::asinh(&schedule, 1.0, 0.0, 0.25, 100)?;
/// assert_eq!((grid.start(), grid.end(), grid.len()), (1.0, 0.0, 100));
/// assert!(grid.steps().all(|step| step.increment < 0.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TimeGrid {
    steps: Vec<Step>,
}

impl TimeGrid {
    /// Steps between the given times, in their order.
    ///
    /// # Errors
    /// [`GridError`] unless there are two or more times, finite, not negative, strictly rising or falling.
    pub fn explicit(times: &[f64]) -> Result<Self, GridError> {
        if times.len() < 2 {
            return Err(GridError::NoSteps);
        }
        let direction = (times[1] - times[0]).signum();
        let mut previous = f64::NAN;
        for (index, &value) in times.iter().enumerate() {
            let ordered = index == 0 || (value - previous) * direction > 0.0;
            if !(value.is_finite() && value >= 0.0 && ordered) {
                return Err(GridError::NotMonotonic { index, value, previous });
            }
            previous = value;
        }
        let last = times.len() - 2;
        let steps = times
            .windows(2)
            .enumerate()
            .map(|(index, ends)| Step {
                index,
                time: ends[0],
                increment: ends[1] - ends[0],
                last: index == last,
            })
            .collect();
        Ok(Self { steps })
    }

    /// `steps` equal steps from `start` to `end`.
    ///
    /// # Errors
    /// [`GridError`] if `steps` is 0 or the ends are equal, negative or not finite.
    pub fn uniform(start: f64, end: f64, steps: usize) -> Result<Self, GridError> {
        Self::spaced(start, end, steps, |u| u, |u| u)
    }

    /// Steps equal in the logarithm of the signal-to-noise ratio, `-ln V`, between times `start` and `end`.
    ///
    /// # Errors
    /// [`GridError`] if `steps` is 0, the ends are equal, or one of them is not above zero: there `ln V`
    /// diverges.
    pub fn log_snr<S: NoiseSchedule + ?Sized>(
        schedule: &S,
        start: f64,
        end: f64,
        steps: usize,
    ) -> Result<Self, GridError> {
        positive("start", start)?;
        positive("end", end)?;
        Self::in_clock(schedule, start, end, steps, f64::ln, f64::exp)
    }

    /// Steps equal in `asinh(sqrt(V) / scale)`: constant ratios of `V` far above `scale^2`, equal steps of
    /// the noise level far below. `scale` is the width of the narrowest feature of the target.
    ///
    /// # Errors
    /// [`GridError`] if `steps` is 0, the ends are equal, or `scale` is not positive.
    pub fn asinh<S: NoiseSchedule + ?Sized>(
        schedule: &S,
        start: f64,
        end: f64,
        scale: f64,
        steps: usize,
    ) -> Result<Self, GridError> {
        let scale = positive("scale", scale)?;
        let position = |v: f64| (v.sqrt() / scale).asinh();
        Self::in_clock(schedule, start, end, steps, position, |u| (scale * u.sinh()).powi(2))
    }

    /// Steps equal in `sigma^(1/rho)`, `sigma = sqrt(V)` (Karras et al. 2022, Eq. 5; they use `rho = 7`).
    ///
    /// # Errors
    /// [`GridError`] if `steps` is 0, the ends are equal, or `rho` is not positive.
    pub fn karras<S: NoiseSchedule + ?Sized>(
        schedule: &S,
        start: f64,
        end: f64,
        rho: f64,
        steps: usize,
    ) -> Result<Self, GridError> {
        let rho = positive("rho", rho)?;
        Self::in_clock(schedule, start, end, steps, |v| v.powf(0.5 / rho), |u| u.powf(2.0 * rho))
    }

    /// The backward grid of the paper's released code: `steps` evaluations at times spaced evenly from
    /// `horizon` down to `cutoff`, ends included, each followed by a step of `horizon / steps`.
    ///
    /// The steps therefore do not quite add up to the times: part of the published discretisation error.
    ///
    /// # Errors
    /// [`GridError`] if `steps` is below 2, or `cutoff` is negative or not below `horizon`.
    pub fn published(horizon: f64, cutoff: f64, steps: usize) -> Result<Self, GridError> {
        if steps < 2 {
            return Err(GridError::NoSteps);
        }
        positive("horizon", horizon)?;
        within("cutoff", cutoff, 0.0, 0.999 * horizon)?;
        let spacing = (horizon - cutoff) / (steps - 1) as f64;
        let step = |index| Step {
            index,
            time: horizon - spacing * index as f64,
            increment: -horizon / steps as f64,
            last: index + 1 == steps,
        };
        Ok(Self { steps: (0..steps).map(step).collect() })
    }

    /// Equal steps of `position(t)`, whose inverse is `time`; the ends are kept as given.
    fn spaced(
        start: f64,
        end: f64,
        steps: usize,
        position: impl Fn(f64) -> f64,
        time: impl Fn(f64) -> f64,
    ) -> Result<Self, GridError> {
        if steps == 0 {
            return Err(GridError::NoSteps);
        }
        let (from, to) = (position(start), position(end));
        let times: Vec<f64> = (0..=steps)
            .map(|n| match n {
                0 => start,
                n if n == steps => end,
                n => time(from + (to - from) * (n as f64 / steps as f64)),
            })
            .collect();
        Self::explicit(&times)
    }

    /// Equal steps of a function of `V`.
    fn in_clock<S: NoiseSchedule + ?Sized>(
        schedule: &S,
        start: f64,
        end: f64,
        steps: usize,
        position: impl Fn(f64) -> f64,
        inverse: impl Fn(f64) -> f64,
    ) -> Result<Self, GridError> {
        let top = schedule.horizon();
        within("start", start, 0.0, top)?;
        within("end", end, 0.0, top)?;
        let clock = |t: f64| position(schedule.transition(0.0, t).noise_to_signal());
        Self::spaced(start, end, steps, clock, |u| schedule.time_at(inverse(u)))
    }

    /// The steps in order.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = Step> + '_ {
        self.steps.iter().copied()
    }

    /// Number of steps, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a grid is never empty")]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Time at which the first step starts.
    pub fn start(&self) -> f64 {
        self.steps[0].time
    }

    /// Time at which the last step ends.
    pub fn end(&self) -> f64 {
        self.steps[self.steps.len() - 1].end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cosine, Edm, LinearBeta, SubVp, VarianceExpanding, VariancePreserving};

    #[test]
    fn grids_join_their_ends_in_every_schedule() {
        let schedules: [Box<dyn NoiseSchedule>; 6] = [
            Box::new(VarianceExpanding::new(10.0).unwrap()),
            Box::new(VariancePreserving::new(10.0).unwrap()),
            Box::new(LinearBeta::new(0.1, 20.0).unwrap()),
            Box::new(SubVp::new(0.1, 20.0).unwrap()),
            Box::new(Cosine::new(0.008, 0.999).unwrap()),
            Box::new(Edm::new(80.0).unwrap()),
        ];
        for schedule in &schedules {
            let top = schedule.horizon();
            let low = 1e-3 * top;
            for grid in [
                TimeGrid::uniform(top, 0.0, 50).unwrap(),
                TimeGrid::log_snr(schedule, top, low, 50).unwrap(),
                TimeGrid::asinh(schedule, top, 0.0, 0.25, 50).unwrap(),
                TimeGrid::karras(schedule, low, top, 7.0, 50).unwrap(),
            ] {
                let sum: f64 = grid.steps().map(|s| s.increment).sum();
                assert!((sum - (grid.end() - grid.start())).abs() < 1e-12 * top);
                assert!(
                    grid.steps()
                        .zip(grid.steps().skip(1))
                        .all(|(a, b)| (a.end() - b.time).abs() < 1e-14 * top)
                );
                assert_eq!(grid.steps().filter(|s| s.last).count(), 1);
            }
        }
    }

    #[test]
    fn clocks_are_uniform_in_what_they_say() {
        let schedule = VariancePreserving::new(10.0).unwrap();
        let v = |t: f64| schedule.transition(0.0, t).noise_to_signal();
        let uniform = |grid: TimeGrid, clock: &dyn Fn(f64) -> f64| {
            let widths: Vec<f64> = grid.steps().map(|s| clock(v(s.end())) - clock(v(s.time))).collect();
            widths.iter().all(|w| (w / widths[0] - 1.0).abs() < 1e-6)
        };
        assert!(uniform(TimeGrid::log_snr(&schedule, 0.6, 0.01, 20).unwrap(), &|v| v.ln()));
        assert!(
            uniform(TimeGrid::asinh(&schedule, 0.6, 0.0, 0.25, 20).unwrap(), &|v| (v.sqrt() / 0.25).asinh())
        );
        assert!(uniform(TimeGrid::karras(&schedule, 0.6, 0.0, 7.0, 20).unwrap(), &|v| v.powf(0.5 / 7.0)));
    }

    #[test]
    fn the_published_grid_is_the_released_loop() {
        let grid = TimeGrid::published(1.0, 1e-5, 1000).unwrap();
        let steps: Vec<Step> = grid.steps().collect();
        assert_eq!(steps.len(), 1000);
        assert_eq!(steps[0].time, 1.0);
        assert!((steps[999].time - 1e-5).abs() < 1e-15);
        assert!(steps.iter().all(|s| s.increment == -1e-3));
        assert_eq!(grid.end(), 0.0);
    }

    #[test]
    fn what_is_no_grid_is_refused() {
        let schedule = VarianceExpanding::new(10.0).unwrap();
        assert_eq!(TimeGrid::uniform(1.0, 0.0, 0), Err(GridError::NoSteps));
        assert_eq!(TimeGrid::explicit(&[1.0]), Err(GridError::NoSteps));
        for times in [[0.0, 0.0, 1.0], [1.0, 0.5, 0.7], [0.0, f64::NAN, 1.0], [0.0, 1.0, f64::INFINITY]] {
            assert!(matches!(TimeGrid::explicit(&times), Err(GridError::NotMonotonic { .. })), "{times:?}");
        }
        assert!(TimeGrid::uniform(-1.0, 0.0, 3).is_err());
        assert!(TimeGrid::log_snr(&schedule, 1.0, 0.0, 10).is_err());
        assert!(TimeGrid::asinh(&schedule, 1.0, 0.0, -0.25, 10).is_err());
        assert!(TimeGrid::karras(&schedule, 1.0, 0.0, f64::NAN, 10).is_err());
        assert!(TimeGrid::asinh(&schedule, 2.0, 0.0, 0.25, 10).is_err());
        assert!(TimeGrid::published(1.0, 1.0, 10).is_err());
        assert_eq!(
            TimeGrid::explicit(&[1.0, 0.5, 0.7]).unwrap_err().to_string(),
            "times[2] = 0.7 after 0.5: times must be finite, not negative, and strictly monotonic"
        );
    }
}
