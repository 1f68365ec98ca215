//! What statistical tests share: seeds that can be made fresh, and comparisons at a stated significance.
//!
//! A sound test fails by chance with probability [`SIGNIFICANCE`], so a suite of a thousand does in one run of 10,000. A test of
//! `n` comparisons has `1/n` of it for each, which bounds the sum whatever the correlations (Bonferroni).
//!
//! ```
//! use testing::Comparisons;
//!
//! let test = Comparisons::of(2);
//! assert!(test.normal(5.4)); // standard errors, of a known error: up to 5.45
//! assert!(test.student(7.1, 31.0)); // of an error from 32 values: up to 7.14
//! ```

use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, StudentsT};
use statrs::function::erf::erfc;
use std::cell::Cell;

/// The probability that a sound test fails.
pub const SIGNIFICANCE: f64 = 1e-7;

/// The seed of a statistical test: this one, or another one for every number in the environment variable `FRESH_SEEDS`.
///
/// Different seeds, below `2^32`, stay different.
pub fn seed(fixed: u64) -> u64 {
    fixed.wrapping_add(fresh() << 32)
}

/// The number of the fresh seeds, zero for the fixed ones.
fn fresh() -> u64 {
    std::env::var("FRESH_SEEDS").map_or(0, |number| {
        number.parse().unwrap_or_else(|_| panic!("FRESH_SEEDS = {number} must be a whole number"))
    })
}

/// Whether a result was accepted that the library itself may refuse, and nothing is claimed of those that it does. With the fixed
/// seeds a refusal is a panic: there the test has something to judge.
pub fn accepted<E: std::fmt::Debug>(check: Result<(), E>) -> bool {
    assert!(check.is_ok() || fresh() != 0, "{check:?}");
    check.is_ok()
}

/// The comparisons of one test, which have its [`SIGNIFICANCE`] together.
///
/// With fresh seeds they print how small the smallest probability was, for all runs together to tell whether it is one.
#[derive(Debug)]
pub struct Comparisons {
    count: usize,
    made: Cell<usize>,
    smallest: Cell<f64>,
}

impl Comparisons {
    /// A test of at most `count` comparisons. One more is a panic.
    pub fn of(count: usize) -> Self {
        Self { count, made: Cell::new(0), smallest: Cell::new(1.0) }
    }

    /// Whether a result of this probability, or of a smaller one, may be chance. A NaN may not.
    pub fn p_value(&self, p: f64) -> bool {
        self.made.set(self.made.get() + 1);
        assert!(self.made.get() <= self.count, "more than the {} comparisons that were stated", self.count);
        self.smallest.set(self.smallest.get().min(p));
        p >= SIGNIFICANCE / self.count as f64
    }

    /// Whether a normal number may be so many standard deviations, on either side, from its mean.
    pub fn normal(&self, deviations: f64) -> bool {
        self.p_value(erfc(deviations.abs() / std::f64::consts::SQRT_2))
    }

    /// The same where the standard deviation is an estimate from `degrees + 1` independent normal numbers.
    pub fn student(&self, deviations: f64, degrees: f64) -> bool {
        let law = StudentsT::new(0.0, 1.0, degrees).expect("positive degrees of freedom");
        self.p_value(2.0 * law.sf(deviations.abs()))
    }

    /// Whether so many of `trials` may have come out, each with probability `p`: the smaller tail, twice.
    pub fn binomial(&self, successes: u64, trials: u64, p: f64) -> bool {
        let law = Binomial::new(p, trials).expect("a probability");
        let below = law.cdf(successes);
        let above = if successes == 0 { 1.0 } else { law.sf(successes - 1) };
        self.p_value(2.0 * below.min(above))
    }
}

impl Drop for Comparisons {
    #[allow(clippy::print_stderr, reason = "the harness keeps it unless it is asked for")]
    fn drop(&mut self) {
        if std::env::var_os("FRESH_SEEDS").is_some() {
            let (made, smallest) = (self.made.get(), self.smallest.get());
            eprintln!("{made} comparisons of {}, smallest p = {smallest:.1e}", self.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Comparisons, seed};

    #[test]
    fn bounds_are_the_quantiles() {
        for (count, below, above) in [(1, 5.3267, 5.3268), (10, 5.7307, 5.7308), (100, 6.1094, 6.1095)] {
            assert!(Comparisons::of(count).normal(below));
            assert!(!Comparisons::of(count).normal(-above));
        }
        // One degree of freedom: 2 / (pi p) to leading order; two: p = 1 - t / sqrt(t^2 + 2).
        for (degrees, below, above) in [(1.0, 6.366e6, 6.367e6), (2.0, 3162.2, 3162.3)] {
            assert!(Comparisons::of(1).student(-below, degrees));
            assert!(!Comparisons::of(1).student(above, degrees));
        }
        // Twice 2^-24 is 1.2e-7.
        for (successes, trials, passes) in [(0, 24, true), (24, 24, true), (0, 25, false), (25, 25, false)] {
            assert_eq!(Comparisons::of(1).binomial(successes, trials, 0.5), passes);
        }
        assert!(!Comparisons::of(1).normal(f64::NAN));
    }

    #[test]
    #[should_panic(expected = "more than the 1 comparisons")]
    fn no_more_comparisons_than_were_stated() {
        let test = Comparisons::of(1);
        assert!(test.normal(0.0) && test.normal(0.0));
    }

    #[test]
    fn seeds_stay_different() {
        assert_ne!(seed(1), seed(2));
    }
}
