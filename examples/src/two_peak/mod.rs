//! What the two-peak examples share: the model, the settings, and the processes they run.
//!
//! `mu = 1`, `sigma_0 = 1/4`, `g = 10^t` throughout, as in Sec. 4 of the paper.

mod backward;
mod figures;
mod forward;
mod learn;
mod options;
mod report;
mod setup;
mod study;

pub use backward::{Backward, backward};
pub use figures::{backward_cumulants, control_variates, forward_cumulants, moments, second_cumulant};
pub use forward::forward;
pub use learn::{Learned, Score, learn};
pub use options::TwoPeakArgs;
pub use report::{CURVE_ORDERS, controlled_file, curve_file, kappa_rows, law_cumulants, law_file};
pub use setup::{PAPER_STEPS, Scheme, Setup, default_grid, published_grid};
pub use study::{Study, study};

use sde_core::TwoPeak;

/// Standard deviation of a peak, which is also the scale of the default time grid.
pub const PEAK_WIDTH: f64 = 0.25;

/// The paper's target density [4.1].
///
/// # Panics
/// Never: the parameters are in their domain.
pub fn model() -> TwoPeak {
    TwoPeak::new(1.0, PEAK_WIDTH).expect("both are positive")
}
