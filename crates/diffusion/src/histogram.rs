//! Histograms with Poisson errors.

use cumulants::Estimate;
use serde::{Deserialize, Serialize};

/// A histogram cannot be made of these bounds.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("histogram of {bins} bins on [{low}, {high}]: needs at least one bin and finite low < high")]
pub struct HistogramError {
    /// Lower edge.
    pub low: f64,
    /// Upper edge.
    pub high: f64,
    /// Number of bins.
    pub bins: usize,
}

/// Counts in bins of equal width on `[low, high)`; values outside, and NaN, are counted apart.
///
/// ```
/// use diffusion::Histogram;
/// let mut h = Histogram::new(0.0, 1.0, 4)?;
/// h.add(&[0.1, 0.2, 0.9, 1.0, -3.0]);
/// assert_eq!(h.counts(), [2, 0, 0, 1]);
/// assert_eq!(h.outside(), 2);
/// // density: count / (all values * bin width)
/// assert_eq!(h.density()[0].value, 2.0 / (5.0 * 0.25));
/// # Ok::<(), diffusion::HistogramError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Histogram {
    low: f64,
    high: f64,
    counts: Vec<u64>,
    outside: u64,
}

impl Histogram {
    /// An empty histogram.
    ///
    /// # Errors
    /// [`HistogramError`] unless `low < high` are finite and `bins >= 1`.
    pub fn new(low: f64, high: f64, bins: usize) -> Result<Self, HistogramError> {
        check(low, high, bins)?;
        Ok(Self { low, high, counts: vec![0; bins], outside: 0 })
    }

    /// Counts `values`.
    pub fn add(&mut self, values: &[f64]) {
        let scale = self.counts.len() as f64 / (self.high - self.low);
        for &x in values {
            let position = (x - self.low) * scale;
            // False for NaN, too.
            if position >= 0.0 && x < self.high {
                let last = self.counts.len() - 1;
                self.counts[(position as usize).min(last)] += 1;
            } else {
                self.outside += 1;
            }
        }
    }

    /// Counts per bin.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Values that fell in no bin.
    pub fn outside(&self) -> u64 {
        self.outside
    }

    /// Bin edges, one more than bins.
    pub fn edges(&self) -> Vec<f64> {
        let bins = self.counts.len();
        (0..=bins).map(|i| self.low + (self.high - self.low) * (i as f64 / bins as f64)).collect()
    }

    /// The estimated density in each bin, normalised to all values, with binomial errors.
    pub fn density(&self) -> Vec<Estimate> {
        let all = (self.counts.iter().sum::<u64>() + self.outside) as f64;
        let width = (self.high - self.low) / self.counts.len() as f64;
        let bin = |&count: &u64| {
            let p = count as f64 / all;
            Estimate { value: p / width, error: (p * (1.0 - p) / all).sqrt() / width }
        };
        self.counts.iter().map(bin).collect()
    }
}

/// What is stored, before it has been checked.
#[derive(Deserialize)]
struct Stored {
    low: f64,
    high: f64,
    counts: Vec<u64>,
    outside: u64,
}

/// A stored histogram that cannot have come from values.
#[derive(Debug, thiserror::Error)]
enum StoredError {
    #[error(transparent)]
    Bounds(#[from] HistogramError),
    #[error("counts: their sum overflows")]
    Overflow,
}

impl TryFrom<Stored> for Histogram {
    type Error = StoredError;

    fn try_from(stored: Stored) -> Result<Self, StoredError> {
        let Stored { low, high, counts, outside } = stored;
        check(low, high, counts.len())?;
        let all = counts.iter().try_fold(outside, |sum, &count| sum.checked_add(count));
        // Room for more.
        all.filter(|all| *all < 1 << 53).ok_or(StoredError::Overflow)?;
        Ok(Self { low, high, counts, outside })
    }
}

fn check(low: f64, high: f64, bins: usize) -> Result<(), HistogramError> {
    if bins == 0 || !low.is_finite() || !high.is_finite() || low >= high {
        return Err(HistogramError { low, high, bins });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_comes_back_or_is_refused() {
        let mut h = Histogram::new(-1.0, 1.0, 2).unwrap();
        h.add(&[0.5, 2.0, 0.7]);
        let text = serde_json::to_string(&h).unwrap();
        assert_eq!(text, r#"{"low":-1.0,"high":1.0,"counts":[0,2],"outside":1}"#);
        assert_eq!(serde_json::from_str::<Histogram>(&text).unwrap(), h);
        for (from, to) in [
            ("[0,2]", "[]"),
            ("[0,2]", "[18446744073709551615,2]"),
            ("[0,2]", "[0,-2]"),
            ("-1.0", "1.0"),
            ("-1.0", "null"),
            ("1.0,\"counts", "1e999,\"counts"),
            ("\"outside\":1", "\"outside\":9007199254740992"),
        ] {
            assert!(text.contains(from));
            assert!(serde_json::from_str::<Histogram>(&text.replace(from, to)).is_err(), "{from} {to}");
        }
    }

    #[test]
    fn bounds() {
        assert!(Histogram::new(0.0, 0.0, 3).is_err());
        assert!(Histogram::new(f64::NAN, 1.0, 3).is_err());
        let error = Histogram::new(0.0, 1.0, 0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "histogram of 0 bins on [0, 1]: needs at least one bin and finite low < high"
        );
    }

    #[test]
    fn every_value_is_counted_once() {
        let mut h = Histogram::new(-1.0, 1.0, 7).unwrap();
        let values: Vec<f64> =
            (0..1000).map(|i| f64::from(i) / 400.0 - 1.25).chain([f64::NAN, f64::INFINITY]).collect();
        h.add(&values);
        assert_eq!(h.counts().iter().sum::<u64>() + h.outside(), 1002);
        assert_eq!(
            h.counts().iter().sum::<u64>(),
            values.iter().filter(|x| (-1.0..1.0).contains(*x)).count() as u64
        );
        let total: f64 = h.density().iter().map(|d| d.value * 2.0 / 7.0).sum();
        assert!((total - h.counts().iter().sum::<u64>() as f64 / 1002.0).abs() < 1e-12);
        assert_eq!((h.edges()[0], h.edges()[7], h.edges().len()), (-1.0, 1.0, 8));
    }
}
