//! Generators addressed by (seed, domain, number), so that step `n` never depends on the steps before it.

use rand::{Rng, RngCore, SeedableRng};
use rand_pcg::Pcg64;

/// What the random numbers are for: one seed serves several purposes without overlap.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Domain {
    /// The order of the data within an epoch.
    Epoch,
    /// Everything drawn within one step.
    Step,
    /// The normals of `sde_core::Noise`.
    Normals,
}

/// The generator number `number` of a domain under `seed`.
///
/// The 64-bit key is one output of a generator seeded by `seed`, combined with the counter by the finaliser
/// of SplitMix64, a bijection: different numbers of one domain always give different keys.
pub(crate) fn generator(seed: u64, domain: Domain, number: u64) -> Pcg64 {
    let key = stream(seed, domain).wrapping_add(number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let key = (key ^ (key >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let key = (key ^ (key >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    Pcg64::seed_from_u64(key ^ (key >> 31))
}

/// A key for a domain under `seed`.
pub(crate) fn stream(seed: u64, domain: Domain) -> u64 {
    let mut keys = Pcg64::seed_from_u64(seed);
    let mut key = 0;
    for _ in 0..=domain as u32 {
        key = keys.next_u64();
    }
    key
}

/// Shuffles in place (Fisher and Yates 1938, Durstenfeld 1964).
pub(super) fn shuffle(values: &mut [u32], rng: &mut Pcg64) {
    for last in (1..values.len()).rev() {
        let other = rng.random_range(0..=last as u32) as usize;
        values.swap(last, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::distribution::{ChiSquared, ContinuousCDF};

    #[test]
    fn generators_differ_by_seed_domain_and_number() {
        let mut words = Vec::new();
        for seed in 0..4 {
            for domain in [Domain::Epoch, Domain::Step, Domain::Normals] {
                for number in 0..50 {
                    words.push(generator(seed, domain, number).next_u64());
                }
            }
        }
        assert_eq!(words[3], generator(0, Domain::Epoch, 3).next_u64());
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 600);
    }

    #[test]
    fn every_permutation_of_three_is_equally_likely() {
        let mut counts = [0u32; 6];
        let mut rng = generator(testing::seed(5), Domain::Step, 0);
        for _ in 0..12_000 {
            let mut values = [0, 1, 2];
            shuffle(&mut values, &mut rng);
            counts[(values[0] * 2 + u32::from(values[1] > values[2])) as usize] += 1;
        }
        let chi2: f64 = counts.iter().map(|&n| (f64::from(n) - 2000.0).powi(2) / 2000.0).sum();
        let law = ChiSquared::new(5.0).unwrap();
        assert!(testing::Comparisons::of(1).p_value(law.sf(chi2)), "{counts:?}");
    }
}
