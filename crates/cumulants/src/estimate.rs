//! A value with its statistical error.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An estimate and its standard error.
///
/// Displayed in the bracket notation of particle physics, the error in units of the last digits shown and
/// rounded to two digits; `{:.1}` asks for one digit. Non-finite estimates are shown as `value +- error`.
///
/// ```
/// use cumulants::Estimate;
///
/// let kappa_4 = Estimate { value: -2.00341, error: 0.00234 };
/// assert_eq!(kappa_4.to_string(), "-2.0034(23)");
/// assert_eq!(format!("{kappa_4:.1}"), "-2.003(2)");
/// assert_eq!(Estimate { value: 22.564, error: 1.46 }.to_string(), "22.6(1.5)");
/// assert_eq!(Estimate { value: -1272.0, error: 163.0 }.to_string(), "-1270(160)");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimated value.
    pub value: f64,
    /// Its standard error (one sigma).
    pub error: f64,
}

impl Estimate {
    /// Deviation from an exact value in units of the error, `(value - exact) / error`.
    ///
    /// With a correct error and near-normal fluctuations, a standard normal variate. Zero error gives an
    /// infinity, or NaN when the value is exact.
    ///
    /// ```
    /// # use cumulants::Estimate;
    /// assert_eq!(Estimate { value: 1.5, error: 0.25 }.pull(1.0), 2.0);
    /// ```
    pub fn pull(&self, exact: f64) -> f64 {
        (self.value - exact) / self.error
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = bracket_notation(self.value, self.error, f.precision().unwrap_or(2).clamp(1, 17) as u8);
        // `Formatter::pad` would take the precision for a length to cut at.
        let width = f.width().unwrap_or(0);
        match f.align() {
            Some(fmt::Alignment::Right) => write!(f, "{text:>width$}"),
            Some(fmt::Alignment::Center) => write!(f, "{text:^width$}"),
            Some(fmt::Alignment::Left) | None => write!(f, "{text:<width$}"),
        }
    }
}

/// The error is rounded to `digits` significant digits first: that decides the last decimal of both.
fn bracket_notation(value: f64, error: f64, digits: u8) -> String {
    if !value.is_finite() || !error.is_finite() {
        return format!("{value} +- {error}");
    }
    if error == 0.0 {
        return format!("{value}(0)");
    }
    // The scientific format rounds and gives the exponent after rounding: 0.0996 becomes 1.0e-1.
    let scientific = format!("{error:.*e}", usize::from(digits) - 1);
    let exponent: i32 = scientific.split('e').nth(1).and_then(|e| e.parse().ok()).unwrap_or(0);
    let decimals = i32::from(digits) - 1 - exponent;
    if decimals <= 0 {
        let unit = 10_f64.powi(-decimals);
        let (value, error) = ((value / unit).round() * unit, (error / unit).round() * unit);
        return format!("{value:.0}({error:.0})");
    }
    let shown = decimals as usize;
    if exponent >= 0 {
        return format!("{value:.shown$}({error:.shown$})");
    }
    format!("{value:.shown$}({:.0})", error * 10_f64.powi(decimals))
}

#[cfg(test)]
mod tests {
    use super::Estimate;

    #[test]
    fn display_at_every_scale_of_the_error() {
        let shown = |value, error| Estimate { value, error }.to_string();
        assert_eq!(shown(-273.151, 0.632), "-273.15(63)");
        assert_eq!(shown(1.0624, 0.000_52), "1.06240(52)");
        assert_eq!(shown(1.0, 0.0996), "1.00(10)");
        assert_eq!(shown(1.0, 0.996), "1.0(1.0)");
        assert_eq!(shown(14.6, 9.96), "15(10)");
        assert_eq!(shown(3.5e4, 1.61e4), "35000(16000)");
        assert_eq!(shown(-2.0, 0.0), "-2(0)");
        assert_eq!(shown(f64::NAN, 1.0), "NaN +- 1");
        assert_eq!(format!("[{:>14}]", Estimate { value: -2.0034, error: 0.0023 }), "[   -2.0034(23)]");
    }
}
