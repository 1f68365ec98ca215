//! Bootstrap errors: the spread of a quantity over data drawn again, with replacement, from the data.
//!
//! Valid for independent samples; correlated data are resampled in bins longer than the correlation. An error
//! from `R` resamples is uncertain by about `1/sqrt(2R)`.
//!
//! **Drawing.** `n` uniform draws from `n` samples are random reads all over the memory. The same law in another order
//! is cheaper: how many of the draws fall into the first half of the data is binomial, and so on, half by half, until
//! the parts fit the first-level cache; only then are single samples drawn. A binomial number of `m` trials with
//! probability one half is the number of ones among `m` random bits; other probabilities compare `m` random numbers
//! with `p` bit by bit, which is decided after two bits on average.
//!
//! **Threads.** Every resample has a generator of its own, seeded in turn from the given one: results do not depend on
//! the number of threads.

use rand::{Rng, SeedableRng};
use rayon::prelude::*;

use crate::pairwise::{LEAF, PairwiseMoments};
use crate::{ErrorEstimateError, Estimate, Moments};

/// Samples drawn from at random: a power of two, small enough for the first-level cache.
const BLOCK: usize = 2048;

/// Value and bootstrap error of a function of the moments of independent samples.
///
/// The value is `f` of the data as they are, the error the standard deviation of `f` over the resamples,
/// each as large as the data. On all threads of the current rayon pool.
///
/// ```
/// use cumulants::bootstrap;
/// use rand::SeedableRng;
///
/// let data: Vec<f64> = (0..500).map(|i| f64::from(i % 10)).collect();
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
/// let mean = bootstrap::<2, _>(&data, 2000, &mut rng, |m| m.mean())?;
/// // Exact: sqrt(8.25 / 500). 2000 resamples give it to 1.6 %, tested at 5 sigma.
/// assert!((mean.error / (8.25_f64 / 500.0).sqrt() - 1.0).abs() < 0.08);
/// # Ok::<(), cumulants::ErrorEstimateError>(())
/// ```
///
/// # Errors
/// [`ErrorEstimateError::TooFewSamples`] or [`TooFewResamples`](ErrorEstimateError::TooFewResamples) for
/// fewer than two.
pub fn bootstrap<const N: usize, R: Rng + SeedableRng + Send>(
    samples: &[f64],
    resamples: usize,
    rng: &mut R,
    f: impl Fn(&Moments<N>) -> f64 + Sync,
) -> Result<Estimate, ErrorEstimateError> {
    bootstrap_samples(samples, resamples, rng, |moments| [f(moments)]).map(|[estimate]| estimate)
}

/// All cumulants `kappa_1..=kappa_N` of independent samples with bootstrap errors, from one set of
/// resamples; entry `k - 1` is `kappa_k`.
///
/// # Errors
/// As [`bootstrap`].
pub fn bootstrap_cumulants<const N: usize, R: Rng + SeedableRng + Send>(
    samples: &[f64],
    resamples: usize,
    rng: &mut R,
) -> Result<[Estimate; N], ErrorEstimateError> {
    bootstrap_samples(samples, resamples, rng, Moments::cumulants)
}

/// Value and bootstrap error of a function of the moments of binned data.
///
/// A resample draws as many bins as there are, each one whole. Bins should be of nearly equal size (a
/// shorter last bin among many does no harm); empty ones are left out. A resample costs one addition of
/// `N` sums per bin.
///
/// # Errors
/// [`ErrorEstimateError::TooFewBins`] or [`TooFewResamples`](ErrorEstimateError::TooFewResamples) for
/// fewer than two.
pub fn bootstrap_bins<const N: usize, R: Rng + SeedableRng + Send>(
    bins: &[Moments<N>],
    resamples: usize,
    rng: &mut R,
    f: impl Fn(&Moments<N>) -> f64 + Sync,
) -> Result<Estimate, ErrorEstimateError> {
    let bins: Vec<_> = bins.iter().filter(|bin| bin.count() > 0).collect();
    if bins.len() < 2 {
        return Err(ErrorEstimateError::TooFewBins { found: bins.len(), needed: 2 });
    }
    let total = bins.iter().fold(Moments::EMPTY, |all, bin| all.merge(bin));
    // About one common centre sums of a resample just add up.
    let centre = total.mean();
    let sums: Vec<(u64, [f64; N])> = bins.iter().map(|bin| (bin.count(), bin.sums_about(centre))).collect();

    let draw = |rng: &mut R| {
        let (mut count, mut drawn) = (0, [0.0; N]);
        for _ in 0..sums.len() {
            let (bin_count, bin_sums) = &sums[rng.random_range(0..sums.len())];
            count += bin_count;
            for (sum, term) in drawn.iter_mut().zip(bin_sums) {
                *sum += term;
            }
        }
        [f(&Moments::from_sums_about(count, centre, drawn))]
    };
    spread([f(&total)], resamples, rng, draw).map(|[estimate]| estimate)
}

fn bootstrap_samples<const N: usize, const M: usize, R: Rng + SeedableRng + Send>(
    samples: &[f64],
    resamples: usize,
    rng: &mut R,
    f: impl Fn(&Moments<N>) -> [f64; M] + Sync,
) -> Result<[Estimate; M], ErrorEstimateError> {
    if samples.len() < 2 {
        return Err(ErrorEstimateError::TooFewSamples { found: samples.len() });
    }
    let mut all = PairwiseMoments::new();
    all.extend_from_slice(samples);
    let draw = |rng: &mut R| {
        let mut resample = Resample::new();
        resample.draw(samples, samples.len(), rng);
        f(&resample.moments())
    };
    spread(f(&all.total()), resamples, rng, draw)
}

/// Joins the values from the data with the standard deviations over repeated draws.
fn spread<const M: usize, R: Rng + SeedableRng + Send>(
    values: [f64; M],
    resamples: usize,
    rng: &mut R,
    draw: impl Fn(&mut R) -> [f64; M] + Sync,
) -> Result<[Estimate; M], ErrorEstimateError> {
    if resamples < 2 {
        return Err(ErrorEstimateError::TooFewResamples { found: resamples });
    }
    let generators: Vec<R> = (0..resamples).map(|_| R::from_rng(rng)).collect();
    let draws: Vec<[f64; M]> = generators.into_par_iter().map(|mut rng| draw(&mut rng)).collect();
    Ok(std::array::from_fn(|k| {
        let mean = draws.iter().map(|d| d[k]).sum::<f64>() / resamples as f64;
        let squares: f64 = draws.iter().map(|d| (d[k] - mean).powi(2)).sum();
        Estimate { value: values[k], error: (squares / (resamples - 1) as f64).sqrt() }
    }))
}

/// Samples drawn so far: whole leaves as moments, the rest as they are.
struct Resample<const N: usize> {
    leaves: PairwiseMoments<N>,
    drawn: [f64; LEAF],
    filled: usize,
}

impl<const N: usize> Resample<N> {
    fn new() -> Self {
        Self { leaves: PairwiseMoments::new(), drawn: [0.0; LEAF], filled: 0 }
    }

    /// Draws `count` of the samples, with replacement.
    fn draw(&mut self, samples: &[f64], count: usize, rng: &mut impl Rng) {
        if samples.len() <= BLOCK {
            return self.draw_from_block(samples, count, rng);
        }
        // The first half in whole blocks is a power of two of them: where the second is as large, one bit decides.
        let blocks = samples.len().div_ceil(BLOCK);
        let (left, right) = samples.split_at(blocks.next_power_of_two() / 2 * BLOCK);
        let in_left = binomial(count, left.len(), samples.len(), rng);
        self.draw(left, in_left, rng);
        self.draw(right, count - in_left, rng);
    }

    /// Draws from a part of at most [`BLOCK`] samples.
    fn draw_from_block(&mut self, block: &[f64], mut count: usize, rng: &mut impl Rng) {
        while count > 0 {
            let room = count.min(LEAF - self.filled);
            fill(&mut self.drawn[self.filled..self.filled + room], block, rng);
            self.filled += room;
            count -= room;
            if self.filled == LEAF {
                self.leaves.push(Moments::of(&self.drawn));
                self.filled = 0;
            }
        }
    }

    fn moments(mut self) -> Moments<N> {
        self.leaves.push(Moments::of(&self.drawn[..self.filled]));
        self.leaves.total()
    }
}

/// Uniform draws from a block. The bits of one random word serve several; those that point behind the block are
/// thrown away.
fn fill(out: &mut [f64], block: &[f64], rng: &mut impl Rng) {
    if let [only] = block {
        return out.fill(*only);
    }
    let bits = usize::BITS - (block.len() - 1).leading_zeros();
    let mask = (1 << bits) - 1;
    if block.len() == BLOCK {
        // As below, with constants in place of bits and mask, and nothing to throw away.
        const BITS: usize = BLOCK.ilog2() as usize;
        const DRAWS: usize = 64 / BITS;
        for out in out.chunks_mut(DRAWS) {
            let word = rng.next_u64();
            for (draw, out) in out.iter_mut().enumerate() {
                *out = block[(word >> (draw * BITS)) as usize % BLOCK];
            }
        }
        return;
    }
    let mut filled = 0;
    loop {
        let mut word = rng.next_u64();
        for _ in 0..u64::BITS / bits {
            if let Some(&sample) = block.get((word & mask) as usize) {
                let Some(place) = out.get_mut(filled) else { return };
                *place = sample;
                filled += 1;
            }
            word >>= bits;
        }
        if filled == out.len() {
            return;
        }
    }
}

/// How many of `trials` succeed that each do so with probability `wins / of`, `wins < of`.
fn binomial(trials: usize, wins: usize, of: usize, rng: &mut impl Rng) -> usize {
    let (mut undecided, mut successes) = (trials, 0);
    // Binary digits of the probability, one after the other.
    let mut rest = wins;
    while undecided > 0 && rest > 0 {
        rest *= 2;
        let below = ones(undecided, rng);
        if rest >= of {
            // Digit 1: random numbers with digit 0 lie below.
            rest -= of;
            successes += below;
            undecided -= below;
        } else {
            // Digit 0: those with digit 1 lie above.
            undecided = below;
        }
    }
    successes
}

/// Number of ones among random bits.
fn ones(bits: usize, rng: &mut impl Rng) -> usize {
    let whole: u32 = (0..bits / 64).map(|_| rng.next_u64().count_ones()).sum();
    let rest = match bits % 64 {
        0 => 0,
        rest => (rng.next_u64() >> (64 - rest)).count_ones(),
    };
    (whole + rest) as usize
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, Resample, binomial};
    use crate::LEAF;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    /// Pearson's `chi^2` of counts that should all have one mean, in units of its standard deviation.
    fn chi_squared_pull(counts: &[u32]) -> f64 {
        let mean = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
        let sum: f64 = counts.iter().map(|&c| (f64::from(c) - mean).powi(2) / mean).sum();
        let degrees = counts.len() as f64 - 1.0;
        (sum - degrees) / (2.0 * degrees).sqrt()
    }

    /// Each sample as often as any other, neighbours of a block's end included; as many as asked for.
    #[test]
    fn draws_are_uniform() {
        let mut rng = Pcg64::seed_from_u64(1);
        for size in [2, 3, 700, LEAF, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 17] {
            let samples: Vec<f64> = (0..size).map(|i| i as f64).collect();
            let mut counts = vec![0; size];
            for _ in 0..50 {
                let mut resample = Resample::<1>::new();
                // Fewer than a leaf, so that the drawn samples themselves can be looked at.
                for _ in 0..LEAF / 100 {
                    resample.draw(&samples, 100, &mut rng);
                }
                assert_eq!(resample.filled, LEAF / 100 * 100);
                resample.drawn[..resample.filled].iter().for_each(|&i| counts[i as usize] += 1);
            }
            let pull = chi_squared_pull(&counts);
            assert!(pull.abs() < 4.0, "{size} samples: {pull}");
        }
    }

    #[test]
    fn a_resample_is_as_large_as_the_data() {
        let mut rng = Pcg64::seed_from_u64(2);
        for size in [5, LEAF, 7 * LEAF + 3, 5 * BLOCK + 1] {
            let mut resample = Resample::<2>::new();
            resample.draw(&vec![1.0; size], size, &mut rng);
            assert_eq!(resample.moments().count(), size as u64);
        }
    }

    /// All probabilities of a small binomial law, to four standard deviations of 100 000 draws.
    #[test]
    fn binomial_law() {
        let (draws, mut rng) = (100_000, Pcg64::seed_from_u64(3));
        for (trials, wins, of) in [(4, 1, 2), (4, 1, 3), (4, 5, 7), (70, 3, 1000), (4, 0, 5)] {
            let mut found = vec![0; trials + 1];
            (0..draws).for_each(|_| found[binomial(trials, wins, of, &mut rng)] += 1);
            let p = wins as f64 / of as f64;
            let mut probability = (1.0 - p).powi(trials as i32);
            for (successes, &count) in found.iter().enumerate() {
                let sigma = (probability * (1.0 - probability) / f64::from(draws)).sqrt();
                let frequency = f64::from(count) / f64::from(draws);
                let allowed = 4.0 * sigma + 1.0 / f64::from(draws);
                assert!((frequency - probability).abs() < allowed, "{trials} {p} {successes} {frequency}");
                probability *= (trials - successes) as f64 / (successes + 1) as f64 * p / (1.0 - p);
            }
        }
    }
}
