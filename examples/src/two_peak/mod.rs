//! What the two-peak examples share: the model, the settings, and the processes they run.
//!
//! `mu = 1`, `sigma_0 = 1/4`, `g = 10^t` throughout, as in Sec. 4 of the paper.

mod backward;
mod forward;
mod learn;
mod report;
mod setup;

pub use backward::{Backward, backward};
pub use forward::forward;
pub use learn::{Learned, learn};
pub use report::{CURVE_ORDERS, curve_file, kappa_rows, noise_free_rows};
pub use setup::{Scheme, Setup};

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
