//! Normal variates that are addressed, not drawn: a pure function of (seed, stream, step, index).
//!
//! The value for trajectory `i`, site `x` and step `n` is the same whatever the block size, the number of
//! threads, the order of evaluation, or a resume. Two generators make it so:
//!
//! - the key of a run comes from `rand_pcg`'s Pcg64 with the seed as its state and the stream as its
//!   increment;
//! - the bulk generator is SplitMix64 (Steele, Lea and Flood 2014) used as a counter: word `i` of a step is
//!
//! ```text
//! z = base + (i + 1) 0x9E3779B97F4A7C15                (mod 2^64)
//! z = (z ^ (z >> 30)) 0xBF58476D1CE4E5B9
//! z = (z ^ inner)                                      inner = 0: SplitMix64 as published
//! z = (z ^ (z >> 27)) 0x94D049BB133111EB
//! word = z ^ (z >> 31)
//! ```
//!
//! Every (run, step, draw) has its own `base` and its own `inner`, 128 bits together, hashed from the run's
//! key: two steps whose counters happened to overlap would still see different words.
//!
//! Words become normals in pairs, by Box and Muller (1958): `sqrt(-2 ln u) (cos, sin)(2 pi v)`. Elements `j`
//! and `j + 32` of an aligned group of 64 share a pair, so the loops run over contiguous lanes and vectorise.

use crate::normal::{GAMMA, GROUP, fill_groups, fill_words, mix};
use rand::RngCore;
use rand_pcg::Pcg64;

/// Supplies the independent standard normals of one step of one block of a batch.
///
/// Integrators ask for noise through this trait, so a test can supply numbers of its
/// own: unit vectors, nodes of a quadrature, a given Brownian path.
pub trait NormalSource {
    /// Fills `out`, one value per element of the block (row after row), for the `draw`-th time in this step.
    ///
    /// A scheme that needs one normal per element and step uses `draw = 0`.
    fn fill(&self, draw: u32, out: &mut [f64]);
}

/// The noise of one run: every normal variate it will ever need, addressed by step and element.
///
/// ```
/// use sde_core::{Noise, NormalSource};
/// let noise = Noise::new(7, 0);
/// let (mut whole, mut part) = ([0.0; 100], [0.0; 30]);
/// noise.block(3, 0).fill(0, &mut whole);
/// noise.block(3, 50).fill(0, &mut part);
/// assert_eq!(whole[50..80], part);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noise {
    key: [u64; 2],
}

impl Noise {
    /// The noise of run `stream` under `seed`; streams of one seed are independent.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut keys = Pcg64::new(u128::from(seed), u128::from(stream));
        Self { key: [keys.next_u64(), keys.next_u64()] }
    }

    /// The noise of step `step` for the block whose first element is number `first` of the whole batch
    /// (row times sites).
    pub fn block(&self, step: u64, first: u64) -> BlockNoise {
        BlockNoise { noise: *self, step, first }
    }

    /// The random words behind the normals of draw `draw` of step `step`, from element `first` on: what
    /// batteries of randomness tests are fed with.
    ///
    /// Element `j` of an aligned group of 64 and element `j + 32` are made of the words of these two elements.
    ///
    /// ```
    /// let mut words = [0; 2];
    /// sde_core::Noise::new(7, 0).words(3, 0, 50, &mut words);
    /// assert_ne!(words[0], words[1]);
    /// ```
    pub fn words(&self, step: u64, draw: u32, first: u64, out: &mut [u64]) {
        let [base, inner] = self.step_key(step, draw);
        fill_words(base, inner, first, out);
    }

    /// Base and inner key of one draw of one step.
    fn step_key(&self, step: u64, draw: u32) -> [u64; 2] {
        let [outer, inner] = self.key;
        let state = outer.wrapping_add(mix(step, inner)).wrapping_add(u64::from(draw).wrapping_mul(GAMMA));
        let base = mix(state, 0);
        [base, mix(base ^ inner, outer)]
    }
}

/// The noise of one step for one block of rows: a [`NormalSource`].
#[derive(Clone, Copy, Debug)]
pub struct BlockNoise {
    noise: Noise,
    step: u64,
    first: u64,
}

impl NormalSource for BlockNoise {
    fn fill(&self, draw: u32, out: &mut [f64]) {
        let [base, inner] = self.noise.step_key(self.step, draw);
        let group = GROUP as u64;
        let offset = (self.first % group) as usize;
        let mut at = self.first - offset as u64;
        let mut rest = out;
        if offset > 0 {
            let mut whole = [0.0; GROUP];
            fill_groups(base, inner, at, &mut whole);
            let (head, tail) = rest.split_at_mut(rest.len().min(GROUP - offset));
            head.copy_from_slice(&whole[offset..offset + head.len()]);
            (rest, at) = (tail, at + group);
        }
        let (groups, tail) = rest.split_at_mut(rest.len() / GROUP * GROUP);
        fill_groups(base, inner, at, groups);
        if !tail.is_empty() {
            let mut whole = [0.0; GROUP];
            fill_groups(base, inner, at + groups.len() as u64, &mut whole);
            tail.copy_from_slice(&whole[..tail.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::distribution::{ChiSquared, ContinuousCDF, Normal};
    use testing::{Comparisons, seed};

    /// Number of samples of the statistical tests.
    const SAMPLES: usize = 1 << 23;

    fn normals(noise: Noise, step: u64, draw: u32, count: usize) -> Vec<f64> {
        let mut z = vec![0.0; count];
        noise.block(step, 0).fill(draw, &mut z);
        z
    }

    /// Pearson's correlation of two sequences of standard normals, in its standard deviations.
    fn correlation(x: &[f64], y: &[f64]) -> f64 {
        x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>() / (x.len() as f64).sqrt()
    }

    #[test]
    fn published_vectors() {
        // (seed, stream, step, draw, element) -> word, bits of the normal: docs/noise.md.
        let vectors = [
            ((1, 0, 0, 0, 0), 0x7f00_3f19_10c7_45cb, 13_830_729_649_106_914_658),
            ((1, 0, 0, 0, 32), 0xce1a_1418_c94a_6f45, 13_826_409_727_796_905_859),
            ((1, 0, 99, 0, 123_456_789), 0xaf67_aad3_b6d3_d08c, 13_822_928_882_373_859_603),
            ((7, 3, 2, 1, 63), 0x4de4_2c05_b081_945a, 4_613_830_739_944_309_371),
            (
                (u64::MAX, u64::MAX, u64::MAX, u32::MAX, 1 << 63),
                0xb1be_2cb6_4182_6dd9,
                4_608_852_812_004_045_446,
            ),
        ];
        for ((seed, stream, step, draw, element), word, bits) in vectors {
            let noise = Noise::new(seed, stream);
            let (mut words, mut z) = ([0], [0.0]);
            noise.words(step, draw, element, &mut words);
            noise.block(step, element).fill(draw, &mut z);
            assert_eq!((words[0], z[0].to_bits()), (word, bits), "{seed} {stream} {step} {draw} {element}");
        }
    }

    #[test]
    fn blocks_cut_anywhere_agree() {
        let noise = Noise::new(5, 1);
        let whole = normals(noise, 3, 0, 300);
        for first in 0..130 {
            for length in [0, 1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 129, 170] {
                let mut part = vec![f64::NAN; length];
                noise.block(3, first as u64).fill(0, &mut part);
                assert_eq!(part, whole[first..first + length], "{first} {length}");
            }
        }
    }

    #[test]
    fn moments_are_those_of_a_normal() {
        // Of z^8, the most skewed one, the mean still has skewness 0.04, which makes its own tail beyond the bound four times heavier.
        let test = Comparisons::of(8);
        let z = normals(Noise::new(seed(11), 0), 0, 0, SAMPLES);
        let exact = |k: i32| if k % 2 == 1 { 0.0 } else { (1..k).step_by(2).map(f64::from).product() };
        for k in 1..=8 {
            let mean = z.iter().map(|z| z.powi(k)).sum::<f64>() / SAMPLES as f64;
            let error = ((exact(2 * k) - exact(k).powi(2)) / SAMPLES as f64).sqrt();
            assert!(test.normal((mean - exact(k)) / error), "moment {k}: {mean} {} +- {error}", exact(k));
        }
    }

    #[test]
    fn distribution_is_normal() {
        let law = Normal::standard();
        let mut z = normals(Noise::new(seed(12), 0), 0, 0, SAMPLES);
        z.sort_by(f64::total_cmp);
        let test = Comparisons::of(2);
        // Kolmogorov and Smirnov: D exceeds d with probability 2 exp(-2 n d^2).
        let n = SAMPLES as f64;
        let gap = |(i, z): (usize, &f64)| {
            let p = law.cdf(*z);
            (p - i as f64 / n).abs().max(((i + 1) as f64 / n - p).abs())
        };
        let distance = z.iter().enumerate().map(gap).fold(0.0, f64::max);
        assert!(test.p_value(2.0 * (-2.0 * n * distance * distance).exp()), "{}", distance * n.sqrt());
        // Pearson's test on 4096 bins of equal chance, two-sided.
        let mut bins = [0u32; 4096];
        for z in &z {
            bins[((law.cdf(*z) * 4096.0) as usize).min(4095)] += 1;
        }
        let expected = n / 4096.0;
        let chi2: f64 = bins.iter().map(|&b| (f64::from(b) - expected).powi(2) / expected).sum();
        let pearson = ChiSquared::new(4095.0).unwrap();
        assert!(test.p_value(2.0 * pearson.cdf(chi2).min(pearson.sf(chi2))), "chi^2 {chi2}");
    }

    #[test]
    fn tails_have_the_right_weight() {
        let law = Normal::standard();
        let z = normals(Noise::new(seed(13), 0), 0, 0, SAMPLES);
        let test = Comparisons::of(6);
        // Expected counts are 11,324, 266 and 28.
        for threshold in [3.0, 4.0, 4.5] {
            for sign in [-1.0, 1.0] {
                let count = z.iter().filter(|z| sign * **z > threshold).count();
                let probability = law.cdf(-threshold);
                assert!(test.binomial(count as u64, SAMPLES as u64, probability), "{threshold}: {count}");
            }
        }
    }

    #[test]
    fn pairs_are_independent() {
        let z = normals(Noise::new(seed(14), 0), 0, 0, SAMPLES);
        let squares: Vec<f64> = z.iter().map(|z| (z * z - 1.0) / 2f64.sqrt()).collect();
        let test = Comparisons::of(16);
        // Distance 32 joins the halves of one Box-Muller pair.
        for lag in [1, 2, 3, 31, 32, 33, 64, 1000] {
            for values in [&z, &squares] {
                let deviation = correlation(&values[..SAMPLES - lag], &values[lag..]);
                assert!(test.normal(deviation), "lag {lag}: {deviation}");
            }
        }
    }

    #[test]
    fn addresses_are_uncorrelated() {
        // Neighbours in step, draw, stream and seed against one another, values and squares: 5 choose 2 pairs, twice.
        let test = Comparisons::of(20);
        let count = 1 << 21;
        let sequences = [(1, 0, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1), (1, 1, 0, 0), (2, 0, 0, 0)]
            .map(|(key, stream, step, draw)| normals(Noise::new(seed(key), stream), step, draw, count));
        for (i, x) in sequences.iter().enumerate() {
            for y in &sequences[..i] {
                assert!(test.normal(correlation(x, y)));
                let squares = |z: &[f64]| z.iter().map(|z| (z * z - 1.0) / 2f64.sqrt()).collect::<Vec<_>>();
                assert!(test.normal(correlation(&squares(x), &squares(y))));
            }
        }
    }

    #[test]
    fn a_trajectory_is_a_normal_sequence_too() {
        // One element over many steps, as one trajectory sees it: its variance, and neighbours uncorrelated.
        let test = Comparisons::of(2);
        let noise = Noise::new(seed(15), 0);
        let steps = 1 << 19;
        let mut z = vec![0.0; steps];
        for (step, z) in z.iter_mut().enumerate() {
            noise.block(step as u64, 17).fill(0, std::slice::from_mut(z));
        }
        let n = steps as f64;
        let variance = z.iter().map(|z| z * z).sum::<f64>() / n;
        assert!(test.normal((variance - 1.0) / (2.0 / n).sqrt()), "{variance}");
        assert!(test.normal(correlation(&z[1..], &z[..steps - 1])));
    }

    #[test]
    fn no_word_repeats() {
        // 2^20 words of many addresses: a repetition has probability 2^40 / 2^65 = 3e-8.
        let mut words = Vec::new();
        for (key, stream, step, draw) in
            (0..16 * 16 * 16).map(|i| (i & 15, (i >> 4) & 15, (i >> 8) & 3, (i >> 10) & 3))
        {
            let mut block = [0; 256];
            Noise::new(seed(key), stream).words(step, draw as u32, 0, &mut block);
            words.extend(block);
        }
        words.sort_unstable();
        assert!(words.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
