//! From data to places on the page, and the marks that say which is which.

use kuva::render::render_utils::generate_ticks;

/// One axis of a panel: data from `first` to `last` go to the places from `start` to `end`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) first: f64,
    pub(super) last: f64,
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) log: bool,
}

/// Marks of an axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ticks {
    /// Place and label.
    pub(super) major: Vec<(f64, String)>,
    /// Places of the marks without labels.
    pub(super) minor: Vec<f64>,
    /// Common factor of all labels, such as `×10⁶`.
    pub(super) factor: Option<String>,
}

impl Axis {
    /// The place of `value`, if it has one.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        let scale = |number: f64| if self.log { number.log10() } else { number };
        let (first, last) = (scale(self.first), scale(self.last));
        let share = (scale(value) - first) / (last - first);
        // Far outside the axis the place no longer matters, but a renderer's fixed-point numbers overflow.
        share.is_finite().then(|| self.start + share.clamp(-500.0, 500.0) * (self.end - self.start))
    }

    /// Marks at round numbers, about `count` of them.
    pub(super) fn ticks(&self, count: usize) -> Ticks {
        let (low, high) = (self.first.min(self.last), self.first.max(self.last));
        if self.log { self.log_ticks(low, high, count) } else { self.linear_ticks(low, high, count) }
    }

    fn linear_ticks(&self, low: f64, high: f64, count: usize) -> Ticks {
        let values = generate_ticks(low, high, count);
        let size = values.iter().fold(0.0, |size: f64, value| size.max(value.abs()));
        let power = if size > 0.0 { (size.log10() + 1e-9).floor() as i32 } else { 0 };
        let power = if (-2..=4).contains(&power) { 0 } else { power };
        let scaled: Vec<f64> = values.iter().map(|value| value / 10f64.powi(power)).collect();
        let decimals = (0..8)
            .find(|&decimals| {
                scaled.iter().map(|value| value * 10f64.powi(decimals)).all(|v| (v - v.round()).abs() < 1e-6)
            })
            .unwrap_or(8) as usize;
        let label = |value: f64| format!("{:.decimals$}", value + 0.0).replace('-', "\u{2212}");
        let places = values.iter().filter_map(|&value| self.place(value));
        let minor = match values.windows(2).next() {
            Some(pair) => self.halfway(values[0], pair[1] - pair[0], low, high),
            None => Vec::new(),
        };
        Ticks {
            major: places.zip(scaled.into_iter().map(label)).collect(),
            minor,
            factor: (power != 0).then(|| format!("×10{}", superscript(power))),
        }
    }

    fn halfway(&self, first: f64, step: f64, low: f64, high: f64) -> Vec<f64> {
        let count = ((high - low) / step).ceil() as i32 + 1;
        (-1..=count)
            .map(|n| first + (f64::from(n) + 0.5) * step)
            .filter(|value| (low..=high).contains(value))
            .filter_map(|value| self.place(value))
            .collect()
    }

    fn log_ticks(&self, low: f64, high: f64, count: usize) -> Ticks {
        let inside = |value: f64| value >= low * (1.0 - 1e-9) && value <= high * (1.0 + 1e-9);
        let (bottom, top) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let stride = ((high / low).log10() / (count as f64 + 1.0)).ceil().max(1.0) as i32;
        let mut ticks = Ticks::default();
        for power in bottom..=top {
            let decade = 10f64.powi(power);
            for digit in 1..=9 {
                let value = f64::from(digit) * decade;
                let Some(place) = self.place(value).filter(|_| inside(value)) else { continue };
                if digit == 1 && power.rem_euclid(stride) == 0 {
                    ticks.major.push((place, format!("10{}", superscript(power))));
                } else if stride == 1 || digit == 1 {
                    ticks.minor.push(place);
                }
            }
        }
        // Within one decade there may be no power of ten to label.
        if ticks.major.len() < 2 { self.linear_ticks(low, high, count) } else { ticks }
    }
}

/// An exponent in superscript digits.
fn superscript(power: i32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    power
        .to_string()
        .chars()
        .map(|sign| sign.to_digit(10).map_or('⁻', |digit| DIGITS[digit as usize]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(first: f64, last: f64, log: bool) -> (Vec<String>, Option<String>) {
        let ticks = Axis { first, last, start: 0.0, end: 100.0, log }.ticks(5);
        (ticks.major.into_iter().map(|(_, label)| label).collect(), ticks.factor)
    }

    #[test]
    fn labels_are_short_and_exact() {
        assert_eq!(labels(0.0, 1.0, false).0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(-2.0, 2.0, false).0, ["\u{2212}2", "\u{2212}1", "0", "1", "2"]);
        assert_eq!(
            labels(0.0, 4e9, false),
            (["0", "1", "2", "3", "4"].map(str::to_owned).to_vec(), Some("×10⁹".into()))
        );
        assert_eq!(labels(1e-3, 1e2, true).0, ["10⁻³", "10⁻²", "10⁻¹", "10⁰", "10¹", "10²"]);
    }

    #[test]
    fn places_run_from_start_to_end() {
        let axis = Axis { first: 1.0, last: 100.0, start: 10.0, end: 30.0, log: true };
        assert_eq!(axis.place(10.0), Some(20.0));
        assert_eq!(axis.place(-1.0), None);
        let turned = Axis { first: 1.0, last: 0.0, start: 0.0, end: 8.0, log: false };
        assert_eq!((turned.place(0.75), turned.place(f64::NAN)), (Some(2.0), None));
        assert_eq!(turned.ticks(5).major.len(), 6);
    }
}
