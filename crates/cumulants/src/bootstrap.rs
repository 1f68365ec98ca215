//! Bootstrap errors: the spread of a quantity over data drawn again, with replacement, from the data.
//!
//! Valid for independent samples; correlated data are resampled in bins longer than the correlation. An error
//! from `R` resamples is uncertain by about `1/sqrt(2R)`.
//!
//! **Drawing.** `n` uniform draws from `n` samples are random reads all over the memory. The same law in another order
//! is cheaper: how many of the draws fall into the first half of the data is binomial, and so on, half by half, until
//! the parts are small; only then are single samples drawn. The powers of a part's samples fit the first-level cache, so
//! that a draw is a read and an addition; they are formed once for many resamples.
//!
//! **Threads.** Every resample has random numbers of its own, seeded in turn from the given generator: results do not
//! depend on the number of threads.

use multiversion::multiversion;
use rand::Rng;
use rayon::prelude::*;

use crate::pairwise::PairwiseMoments;
use crate::words::Words;
use crate::{ErrorEstimateError, Estimate, Moments};

/// Samples of a part: a power of two, whose powers to order 8 are 32 KiB.
const BLOCK: usize = 512;

/// Resamples that share the powers of a part.
const TOGETHER: usize = 32;

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
pub fn bootstrap<const N: usize, R: Rng + ?Sized>(
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
pub fn bootstrap_cumulants<const N: usize, R: Rng + ?Sized>(
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
pub fn bootstrap_bins<const N: usize, R: Rng + ?Sized>(
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

    let draw = |words: &mut Words| {
        let (mut count, mut drawn) = (0, [0.0; N]);
        for _ in 0..sums.len() {
            let (bin_count, bin_sums) = &sums[index_below(sums.len(), words)];
            count += bin_count;
            for (sum, term) in drawn.iter_mut().zip(bin_sums) {
                *sum += term;
            }
        }
        [f(&Moments::from_sums_about(count, centre, drawn))]
    };
    let mut generators = generators(resamples, rng)?;
    let draws: Vec<[f64; 1]> = generators.par_iter_mut().map(draw).collect();
    let [estimate] = spread([f(&total)], &draws);
    Ok(estimate)
}

fn bootstrap_samples<const N: usize, const M: usize, R: Rng + ?Sized>(
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
    let total = all.total();
    let centre = total.mean();
    let of_sums = |sums| f(&Moments::from_sums_about(samples.len() as u64, centre, sums));
    let draws: Vec<[f64; M]> = generators(resamples, rng)?
        .par_chunks_mut(TOGETHER)
        .flat_map_iter(|words| resampled_sums(samples, centre, words).into_iter().map(&of_sums))
        .collect();
    Ok(spread(f(&total), &draws))
}

/// Random numbers for each resample.
fn generators<R: Rng + ?Sized>(resamples: usize, rng: &mut R) -> Result<Vec<Words>, ErrorEstimateError> {
    if resamples < 2 {
        return Err(ErrorEstimateError::TooFewResamples { found: resamples });
    }
    Ok((0..resamples).map(|_| Words::from_rng(rng)).collect())
}

/// Joins the values from the data with the standard deviations over repeated draws.
fn spread<const M: usize>(values: [f64; M], draws: &[[f64; M]]) -> [Estimate; M] {
    let resamples = draws.len() as f64;
    std::array::from_fn(|k| {
        let mean = draws.iter().map(|d| d[k]).sum::<f64>() / resamples;
        let squares: f64 = draws.iter().map(|d| (d[k] - mean).powi(2)).sum();
        Estimate { value: values[k], error: (squares / (resamples - 1.0)).sqrt() }
    })
}

/// `sum (x - centre)^k` of one resample for each generator.
fn resampled_sums<const N: usize>(samples: &[f64], centre: f64, generators: &mut [Words]) -> Vec<[f64; N]> {
    let mut sums = vec![[0.0; N]; generators.len()];
    let mut counts = vec![Vec::with_capacity(samples.len().div_ceil(BLOCK)); generators.len()];
    for (counts, words) in counts.iter_mut().zip(generators.iter_mut()) {
        split(samples.len(), samples.len(), words, counts);
    }
    let mut powers = [Powers([0.0; N]); BLOCK];
    for (part, block) in samples.chunks(BLOCK).enumerate() {
        for (powers, x) in powers.iter_mut().zip(block) {
            let mut power = 1.0;
            powers.0 = std::array::from_fn(|_| {
                power *= x - centre;
                power
            });
        }
        for ((sums, counts), words) in sums.iter_mut().zip(&counts).zip(generators.iter_mut()) {
            add_draws(&powers[..block.len()], counts[part], words, sums);
        }
    }
    sums
}

/// How many of `draws` from `size` samples fall into each block of [`BLOCK`] of them, appended to `counts`.
fn split(size: usize, draws: usize, words: &mut Words, counts: &mut Vec<usize>) {
    if size <= BLOCK {
        return counts.push(draws);
    }
    // Half in whole blocks is a power of two of them: where the rest is as large, one bit decides each draw.
    let left = size.div_ceil(BLOCK).next_power_of_two() / 2 * BLOCK;
    let in_left = words.binomial(draws, left, size);
    split(left, in_left, words, counts);
    split(size - left, draws - in_left, words, counts);
}

/// Powers of one sample, on one cache line if there are not more than eight.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Powers<const N: usize>([f64; N]);

/// Adds `draws` rows of powers, drawn with replacement, to the sums.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn add_draws<const N: usize>(powers: &[Powers<N>], draws: usize, words: &mut Words, sums: &mut [f64; N]) {
    const BITS: usize = BLOCK.ilog2() as usize;
    const FIELDS: usize = 64 / BITS;
    let mut partial = [[0.0; N]; FIELDS];
    let mut rest = draws;
    if let Ok(powers) = <&[Powers<N>; BLOCK]>::try_from(powers) {
        // The bits of one random word are several draws, which do not wait for each other's additions.
        for _ in 0..draws / FIELDS {
            let word = words.next();
            for (field, partial) in partial.iter_mut().enumerate() {
                let drawn = &powers[(word >> (field * BITS)) as usize % BLOCK];
                for k in 0..N {
                    partial[k] += drawn.0[k];
                }
            }
        }
        rest = draws % FIELDS;
    }
    for _ in 0..rest {
        let drawn = &powers[index_below(powers.len(), words)];
        for k in 0..N {
            partial[0][k] += drawn.0[k];
        }
    }
    for partial in &partial {
        for k in 0..N {
            sums[k] += partial[k];
        }
    }
}

/// An index below `n` from one 64-bit word by multiplication; its bias, at most `n / 2^64`, is far below
/// any error of the bootstrap.
fn index_below(n: usize, words: &mut Words) -> usize {
    ((u128::from(words.next()) * n as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, resampled_sums, split};
    use crate::words::Words;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;
    use testing::{Comparisons, seed};

    /// The counts of single samples in many resamples: each has mean 1 and variance `1 - 1/n`, two of them covariance
    /// `-1/n`, in whole blocks and in what is left over. A sample that is one while all others are zero counts itself.
    #[test]
    fn draws_are_multinomial() {
        let test = Comparisons::of(46);
        let resamples = 40_000;
        for size in [2, 3, 300, BLOCK, BLOCK + 1, 3 * BLOCK + 17] {
            let mut generators: Vec<Words> = {
                let mut rng = Pcg64::seed_from_u64(seed(1));
                (0..resamples).map(|_| Words::from_rng(&mut rng)).collect()
            };
            // Both ends of a block and of the data.
            for place in [0, 1, BLOCK - 1, BLOCK, size - 1].into_iter().filter(|place| *place < size) {
                let mut samples = vec![0.0; size];
                samples[place] = 1.0;
                let counts = resampled_sums::<1>(&samples, 0.0, &mut generators);
                let (n, p) = (f64::from(resamples), 1.0 / size as f64);
                let mean = counts.iter().map(|c| c[0]).sum::<f64>() / n;
                let square = counts.iter().map(|c| (c[0] - 1.0).powi(2)).sum::<f64>() / n;
                // Binomial of n trials: variance 1 - p, fourth central moment (1 - p)(1 + (3 n - 6) p (1 - p)).
                let variance = 1.0 - p;
                let fourth = variance * (1.0 + (3.0 / p - 6.0) * p * variance);
                let pull = (mean - 1.0) / (variance / n).sqrt();
                assert!(test.normal(pull), "{size}, {place}: mean {mean}");
                let pull = (square - variance) / ((fourth - variance * variance) / n).sqrt();
                assert!((square - variance).abs() < 1e-12 || test.normal(pull), "{size}, {place}: {square}");
            }
        }
    }

    #[test]
    fn all_draws_fall_into_some_block() {
        let mut words = Words::from_rng(&mut Pcg64::seed_from_u64(2));
        for size in [1, BLOCK, BLOCK + 1, 7 * BLOCK + 3, 64 * BLOCK] {
            let mut counts = Vec::new();
            split(size, size, &mut words, &mut counts);
            assert_eq!(counts.len(), size.div_ceil(BLOCK));
            assert_eq!(counts.iter().sum::<usize>(), size);
        }
    }
}
