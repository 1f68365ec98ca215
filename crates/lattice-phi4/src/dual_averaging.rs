//! Choosing a step size while a chain warms up.
//!
//! The logarithm of the step is moved against the running mean of `target - acceptance`, and the steps are averaged with
//! weights that forget the first ones (Nesterov's dual averaging, as used by Hoffman and Gelman, J. Mach. Learn. Res. 15 (2014)
//! 1593, Sec. 3.2):
//!
//! ```text
//! H_n = (1 - 1/(n + t0)) H_(n-1) + (target - a_n) / (n + t0)
//! ln eps_n = mu - sqrt(n) / gamma H_n ,     ln eps = n^(-k) ln eps_n + (1 - n^(-k)) ln eps
//! ```
//!
//! with `gamma = 0.05`, `t0 = 10`, `k = 3/4`, `mu = ln(10 eps_0)`. A chain is a Markov chain again once the step is fixed.

const GAMMA: f64 = 0.05;
const DELAY: f64 = 10.0;
const FORGET: f64 = 0.75;

/// A step size on its way to a target acceptance.
///
/// ```
/// use lattice_phi4::DualAveraging;
///
/// // A sampler whose acceptance is exp(-step): the step for 0.8 is -ln 0.8 = 0.223.
/// let mut step = DualAveraging::new(1.0, 0.8);
/// for _ in 0..500 {
///     let acceptance = (-step.current()).exp();
///     step.update(acceptance);
/// }
/// assert!((step.averaged() - 0.223).abs() < 0.01);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DualAveraging {
    target: f64,
    centre: f64,
    count: f64,
    shortfall: f64,
    current: f64,
    averaged: f64,
}

impl DualAveraging {
    /// Starts from a step and aims at an acceptance.
    ///
    /// # Panics
    /// Unless `step` is positive and `target` between zero and one.
    pub fn new(step: f64, target: f64) -> Self {
        assert!(step > 0.0 && step.is_finite(), "the first step is positive, not {step}");
        assert!(target > 0.0 && target < 1.0, "an acceptance lies between 0 and 1, not at {target}");
        let log = step.ln();
        let centre = log + 10.0_f64.ln();
        Self { target, centre, count: 0.0, shortfall: 0.0, current: log, averaged: log }
    }

    /// The step to try next.
    pub fn current(&self) -> f64 {
        self.current.exp()
    }

    /// The step to keep.
    pub fn averaged(&self) -> f64 {
        self.averaged.exp()
    }

    /// Learns what the current step was accepted with.
    pub fn update(&mut self, acceptance: f64) {
        self.count += 1.0;
        let weight = 1.0 / (self.count + DELAY);
        self.shortfall += weight * (self.target - acceptance - self.shortfall);
        self.current = self.centre - self.count.sqrt() / GAMMA * self.shortfall;
        self.averaged += self.count.powf(-FORGET) * (self.current - self.averaged);
    }
}
