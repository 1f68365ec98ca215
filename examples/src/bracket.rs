//! Numbers with errors as the field prints them: `1.0642(15)` means `1.0642 ± 0.0015`.

/// Writes `value ± error` in bracket notation.
///
/// The error is rounded to two significant digits and given in units of the last digit of the value, or with
/// its own decimal point where the point falls inside it. Errors that are zero, negative or not finite leave the
/// bracket out (the value then has six significant digits). From a million up and below one in ten thousand the
/// power of ten stands behind the bracket.
///
/// ```
/// use examples::bracket;
///
/// assert_eq!(bracket(1.064_23, 0.001_54), "1.0642(15)");
/// assert_eq!(bracket(-45.68, 1.23), "-45.7(1.2)");
/// assert_eq!(bracket(1234.5, 56.7), "1234(57)");
/// assert_eq!(bracket(2.345_67e8, 1.2e6), "2.346(12)e8");
/// assert_eq!(bracket(1.0625, 0.0), "1.0625");
/// ```
pub fn bracket(value: f64, error: f64) -> String {
    let size = value.abs().max(error.abs());
    if !(value.is_finite() && error.is_finite() && error > 0.0) {
        return significant(value);
    }
    if !(1e-4..1e6).contains(&size) {
        let power = size.log10().floor() as i32;
        let unit = 10f64.powi(power);
        return format!("{}e{power}", mantissa(value / unit, error / unit));
    }
    mantissa(value, error)
}

fn mantissa(value: f64, error: f64) -> String {
    let mut decimals = decimals_of(error);
    // 0.00996 rounds up to 0.010: one digit fewer is needed.
    let rounded = (error * 10f64.powi(decimals)).round() / 10f64.powi(decimals);
    decimals = decimals_of(rounded);
    if decimals <= 0 {
        return format!("{value:.0}({error:.0})");
    }
    let places = decimals as usize;
    if rounded >= 1.0 {
        return format!("{value:.places$}({error:.places$})");
    }
    format!("{value:.places$}({:.0})", error * 10f64.powi(decimals))
}

fn decimals_of(error: f64) -> i32 {
    // The small shift keeps 0.01, whose logarithm may come out as -2.0000000000000004, in its own decade.
    1 - (error.log10() + 1e-12).floor() as i32
}

/// Six significant digits without trailing zeros.
pub(crate) fn significant(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return value.to_string();
    }
    if !(1e-4..1e6).contains(&value.abs()) {
        return format!("{value:.5e}");
    }
    let decimals = (5 - value.abs().log10().floor() as i32).max(0) as usize;
    let digits = format!("{value:.decimals$}");
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.').to_owned() } else { digits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_two_digits_in_units_of_the_last() {
        for (value, error, expected) in [
            (1.0642, 0.0005, "1.06420(50)"),
            (-2.0, 0.12, "-2.00(12)"),
            (0.5, 0.01, "0.500(10)"),
            (1.0, 0.009_96, "1.000(10)"),
            (1.0, 0.996, "1.0(1.0)"),
            (16.0, 9.96, "16(10)"),
            (-272.3, 2.34, "-272.3(2.3)"),
            (100.0, 12.3, "100(12)"),
            (0.000_012_3, 0.000_000_4, "1.230(40)e-5"),
            (0.01, 3.0, "0.0(3.0)"),
        ] {
            assert_eq!(bracket(value, error), expected, "{value} ± {error}");
        }
    }

    #[test]
    fn without_an_error_there_is_no_bracket() {
        assert_eq!(bracket(1.0 / 3.0, 0.0), "0.333333");
        assert_eq!(bracket(-272.0, f64::NAN), "-272");
        assert_eq!(bracket(f64::NAN, 1.0), "NaN");
        assert_eq!(significant(1.0e7), "1.00000e7");
        assert_eq!(significant(120_000.0), "120000");
    }
}
