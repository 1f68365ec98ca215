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
/// Integrators ask for noise through this trait, so a test or the
/// density propagator can supply nodes of a quadrature in place of random numbers.
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
