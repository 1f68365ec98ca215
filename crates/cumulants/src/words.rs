//! Random words in bulk, for the bootstrap.

use multiversion::multiversion;
use rand::Rng;

/// Generators side by side, one per lane of the widest registers.
const LANES: usize = 8;

/// Words made at once.
const STOCK: usize = 128;

/// Eight generators xoshiro256++ (Blackman and Vigna, ACM Trans. Math. Softw. 47 (2021) 36), of period `2^256 - 1` each.
#[derive(Clone)]
pub(crate) struct Words {
    state: [[u64; LANES]; 4],
    stock: [u64; STOCK],
    used: usize,
}

impl Words {
    /// With states drawn from `rng`.
    pub(crate) fn from_rng(rng: &mut (impl Rng + ?Sized)) -> Self {
        let state = std::array::from_fn(|_| std::array::from_fn(|_| rng.next_u64()));
        Self { state, stock: [0; STOCK], used: STOCK }
    }

    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        if self.used == STOCK {
            refill(&mut self.state, &mut self.stock);
            self.used = 0;
        }
        self.used += 1;
        self.stock[self.used - 1]
    }

    /// Number of ones among `bits` random bits.
    pub(crate) fn ones(&mut self, bits: usize) -> usize {
        let (mut whole, mut ones) = (bits / 64, 0);
        while whole > 0 {
            if self.used == STOCK {
                refill(&mut self.state, &mut self.stock);
                self.used = 0;
            }
            let taken = whole.min(STOCK - self.used);
            ones += count_ones(&self.stock[self.used..self.used + taken]);
            self.used += taken;
            whole -= taken;
        }
        match bits % 64 {
            0 => ones,
            rest => ones + (self.next() >> (64 - rest)).count_ones() as usize,
        }
    }

    /// How many of `trials` succeed that each do so with probability `wins / of`, `wins < of`.
    ///
    /// Random numbers are compared with the probability digit by binary digit, all of them at once.
    pub(crate) fn binomial(&mut self, trials: usize, wins: usize, of: usize) -> usize {
        let (mut undecided, mut successes, mut rest) = (trials, 0, wins);
        while undecided > 0 && rest > 0 {
            rest *= 2;
            let zeros = self.ones(undecided);
            if rest >= of {
                // Digit 1: random numbers with digit 0 lie below.
                rest -= of;
                successes += zeros;
                undecided -= zeros;
            } else {
                // Digit 0: those with digit 1 lie above.
                undecided = zeros;
            }
        }
        successes
    }
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn refill(state: &mut [[u64; LANES]; 4], stock: &mut [u64; STOCK]) {
    let [mut a, mut b, mut c, mut d] = *state;
    for words in stock.as_chunks_mut::<LANES>().0 {
        for lane in 0..LANES {
            words[lane] = a[lane].wrapping_add(d[lane]).rotate_left(23).wrapping_add(a[lane]);
            let shifted = b[lane] << 17;
            c[lane] ^= a[lane];
            d[lane] ^= b[lane];
            b[lane] ^= c[lane];
            a[lane] ^= d[lane];
            c[lane] ^= shifted;
            d[lane] = d[lane].rotate_left(45);
        }
    }
    *state = [a, b, c, d];
}

#[multiversion(targets(
    "x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2",
    "x86_64+avx2+fma+bmi2+popcnt"
))]
fn count_ones(words: &[u64]) -> usize {
    words.iter().map(|word| u64::from(word.count_ones())).sum::<u64>() as usize
}

#[cfg(test)]
mod tests {
    use super::Words;
    use rand::{RngCore, SeedableRng};

    /// All probabilities of a few binomial laws.
    #[test]
    fn binomial_law() {
        let test = testing::Comparisons::of(91);
        let mut rng = rand_pcg::Pcg64::seed_from_u64(testing::seed(3));
        let (draws, mut words) = (200_000, Words::from_rng(&mut rng));
        for (trials, wins, of) in [(4, 1, 2), (4, 1, 3), (4, 5, 7), (70, 3, 1000), (4, 0, 5)] {
            let mut found = vec![0; trials + 1];
            (0..draws).for_each(|_| found[words.binomial(trials, wins, of)] += 1);
            let p = wins as f64 / of as f64;
            let mut probability = (1.0 - p).powi(trials as i32);
            for (successes, &count) in found.iter().enumerate() {
                assert!(test.binomial(count, draws, probability), "{trials} {p} {successes} {count}");
                probability *= (trials - successes) as f64 / (successes + 1) as f64 * p / (1.0 - p);
            }
        }
    }

    /// The state that gives the first outputs printed in the reference implementation's test vectors.
    #[test]
    fn first_words_from_a_known_state() {
        struct Counter(u64);
        impl RngCore for Counter {
            fn next_u32(&mut self) -> u32 {
                self.next_u64() as u32
            }
            /// Eight lanes with one word each, then the second words.
            fn next_u64(&mut self) -> u64 {
                self.0 += 1;
                (self.0 - 1) / 8 + 1
            }
            fn fill_bytes(&mut self, _: &mut [u8]) {}
        }
        let mut words = Words::from_rng(&mut Counter(0));
        let first: Vec<u64> = (0..32).map(|_| words.next()).collect();
        // xoshiro256++ from the state 1, 2, 3, 4.
        let expected = [41_943_041_u64, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386];
        for (step, expected) in first.chunks(8).zip(expected) {
            assert!(step.iter().all(|word| *word == expected), "{step:?}");
        }
    }
}
