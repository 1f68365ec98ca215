//! Unbiasedness proven: the expectation over all samples, with replacement, from a small population, in exact
//! rationals. Samples that differ by the order of their rows are counted once, with multinomial weights.

use cumulants::{
    TooFewSamples, central_from_raw, cumulants_from_moments, h_statistic, joint_polykay,
    k_statistic_covariance, k_statistics, moments_from_cumulants, polykay,
};
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Zero};

/// Skewed: all cumulants but the last few are non-zero, none is small.
const POPULATION: [i64; 3] = [-2, 1, 7];

fn integer(n: i64) -> BigRational {
    BigRational::from_integer(BigInt::from(n))
}

/// Moments `(1/n) sum x^k` about `centre`, the value `values[i]` taken `counts[i]` times.
fn moments_about(values: &[i64], counts: &[i64], centre: &BigRational, order: usize) -> Vec<BigRational> {
    let total: i64 = counts.iter().sum();
    let moment = |k| {
        let power = |x: i64| num_traits::pow(integer(x) - centre, k);
        values.iter().zip(counts).map(|(&x, &n)| power(x) * integer(n)).sum::<BigRational>() / integer(total)
    };
    (1..=order).map(moment).collect()
}

/// All ways to draw `n` rows from `kinds` kinds.
fn compositions(n: i64, kinds: usize) -> Vec<Vec<i64>> {
    if kinds == 1 {
        return vec![vec![n]];
    }
    (0..=n)
        .flat_map(|first| {
            compositions(n - first, kinds - 1).into_iter().map(move |mut rest| {
                rest.push(first);
                rest
            })
        })
        .collect()
}

fn factorial(n: i64) -> BigRational {
    (1..=n).fold(BigRational::one(), |product, k| product * integer(k))
}

/// Expectation of a symmetric function of `n` draws, given the numbers of draws of each kind.
fn expectation(n: i64, kinds: usize, f: impl Fn(&[i64]) -> BigRational) -> BigRational {
    let all = num_traits::pow(integer(kinds as i64), n as usize);
    let weighted = compositions(n, kinds).into_iter().map(|counts| {
        let ways = counts.iter().fold(factorial(n), |ways, &c| ways / factorial(c));
        ways * f(&counts)
    });
    weighted.sum::<BigRational>() / all
}

/// Expectation of a function of the central moments of the sample.
fn expected_of_sample(
    n: u64,
    order: usize,
    f: impl Fn(&BigRational, &[BigRational]) -> BigRational,
) -> BigRational {
    expectation(n as i64, POPULATION.len(), |counts| {
        let raw = moments_about(&POPULATION, counts, &BigRational::zero(), order);
        f(&raw[0], &central_from_raw(&raw))
    })
}

fn population_moments(order: usize) -> Vec<BigRational> {
    moments_about(&POPULATION, &[1, 1, 1], &BigRational::zero(), order)
}

#[test]
fn k_statistics_are_unbiased_to_order_8() {
    let cumulants = cumulants_from_moments(&population_moments(8));
    for n in [8, 9, 11] {
        for r in 1..=8 {
            let mean = expected_of_sample(n, r, |m, c| k_statistics(n, m, c).unwrap()[r - 1].clone());
            assert_eq!(mean, cumulants[r - 1], "order {r}, {n} samples");
        }
    }
    // The smallest sample of each order, and one above order 8.
    for r in 1..=7 {
        let n = r as u64;
        let mean = expected_of_sample(n, r, |m, c| k_statistics(n, m, c).unwrap()[r - 1].clone());
        assert_eq!(mean, cumulants[r - 1], "order {r}, {n} samples");
    }
    let cumulants = cumulants_from_moments(&population_moments(10));
    let mean = expected_of_sample(10, 10, |_, c| polykay(10, c, &[10]).unwrap());
    assert_eq!(mean, cumulants[9]);
}

#[test]
fn h_statistics_are_unbiased_to_order_8() {
    let central = central_from_raw(&population_moments(8));
    for r in 1..=8 {
        for n in [r as u64, 9] {
            let mean = expected_of_sample(n, r, |_, c| h_statistic(n, c, r).unwrap());
            assert_eq!(mean, central[r - 1], "order {r}, {n} samples");
        }
    }
}

#[test]
fn polykays_are_unbiased() {
    let cumulants = cumulants_from_moments(&population_moments(8));
    for parts in [&[2, 2][..], &[3, 2], &[2, 3], &[2, 2, 2], &[4, 3], &[4, 4], &[5, 3], &[2, 2, 2, 2]] {
        let exact = parts.iter().fold(BigRational::one(), |product, p| product * &cumulants[p - 1]);
        let mean = expected_of_sample(9, 8, |_, c| polykay(9, c, parts).unwrap());
        assert_eq!(mean, exact, "parts {parts:?}");
    }
    // With a part 1 they need moments about zero.
    for parts in [&[1][..], &[1, 1], &[2, 1], &[1, 3, 1, 2]] {
        let exact = parts.iter().fold(BigRational::one(), |product, p| product * &cumulants[p - 1]);
        let order = parts.iter().sum();
        let mean = expectation(8, 3, |counts| {
            let raw = moments_about(&POPULATION, counts, &BigRational::zero(), order);
            polykay(8, &raw, parts).unwrap()
        });
        assert_eq!(mean, exact, "parts {parts:?}");
    }
    // Nothing to estimate: the empty product.
    assert_eq!(polykay::<f64>(0, &[], &[]), Ok(1.0));
}

/// `E[k_a k_b] - kappa_a kappa_b`, by enumeration, against the generated formula.
#[test]
fn covariances_of_k_statistics_are_exact() {
    let cumulants = cumulants_from_moments(&population_moments(12));
    for (a, b) in [(1, 1), (1, 2), (2, 2), (3, 1), (3, 2), (3, 3), (4, 2), (4, 4), (5, 3), (5, 5), (6, 6)] {
        let n = a.max(b) as u64 + 2;
        let second = expected_of_sample(n, a.max(b), |m, c| {
            let k = k_statistics(n, m, c).unwrap();
            &k[a - 1] * &k[b - 1]
        });
        let covariance = second - &cumulants[a - 1] * &cumulants[b - 1];
        assert_eq!(k_statistic_covariance(&cumulants, n, a, b).unwrap(), covariance, "orders {a}, {b}");
    }
    // Var k_4 as printed by Fisher, with every term.
    let (k, n) = (|r: usize| cumulants[r - 1].clone(), 7);
    let (i, nn) = (integer, integer(n));
    let falling = |m: i64| (1..m).fold(BigRational::one(), |product, j| product * integer(n - j));
    let printed = k(8) / &nn
        + (i(16) * k(6) * k(2) + i(48) * k(5) * k(3) + i(34) * k(4) * k(4)) / falling(2)
        + (i(72) * k(4) * k(2) * k(2) + i(144) * k(3) * k(3) * k(2)) * &nn / falling(3)
        + i(24) * num_traits::pow(k(2), 4) * &nn * (&nn + i(1)) / falling(4);
    assert_eq!(k_statistic_covariance(&cumulants, n as u64, 4, 4).unwrap(), printed);
}

#[test]
fn estimated_variances_are_unbiased() {
    let cumulants = cumulants_from_moments(&population_moments(8));
    for r in 2..=4 {
        let n = 2 * r as u64 + 1;
        let mean = expected_of_sample(n, 2 * r, |m, c| {
            let k = k_statistics(n, m, c).unwrap();
            &k[r - 1] * &k[r - 1] - polykay(n, c, &[r, r]).unwrap()
        });
        assert_eq!(mean, k_statistic_covariance(&cumulants, n, r, r).unwrap(), "order {r}");
    }
}

/// Points of a skewed joint distribution of three variables.
const POINTS: [[i64; 3]; 4] = [[0, 0, 1], [1, 0, -2], [3, -1, 0], [-1, 5, 2]];

fn joint_moment(counts: &[i64], centre: &[BigRational], indices: &[usize]) -> BigRational {
    let product = |point: &[i64; 3]| {
        indices.iter().fold(BigRational::one(), |p, &i| p * (integer(point[i]) - &centre[i]))
    };
    let total = integer(counts.iter().sum());
    POINTS.iter().zip(counts).map(|(point, &n)| product(point) * integer(n)).sum::<BigRational>() / total
}

fn joint_mean(counts: &[i64]) -> Vec<BigRational> {
    let zero = vec![BigRational::zero(); 3];
    (0..3).map(|i| joint_moment(counts, &zero, &[i])).collect()
}

/// The joint cumulant of the population, by the recursion over the block of the first index.
fn joint_cumulant(indices: &[usize]) -> BigRational {
    let zero = vec![BigRational::zero(); 3];
    let (first, others) = indices.split_first().expect("an index");
    let mut cumulant = joint_moment(&[1; 4], &zero, indices);
    // mu(I) = sum over proper subsets with the first index of kappa(subset) mu(rest), plus kappa(I).
    for subset in 0..(1_usize << others.len()) - 1 {
        let (mut block, mut rest) = (vec![*first], vec![]);
        for (position, &index) in others.iter().enumerate() {
            if (subset >> position) & 1 == 1 { block.push(index) } else { rest.push(index) }
        }
        cumulant -= joint_cumulant(&block) * joint_moment(&[1; 4], &zero, &rest);
    }
    cumulant
}

#[test]
fn joint_k_statistics_are_unbiased() {
    let sets: [&[usize]; 8] = [
        &[0],
        &[0, 1],
        &[0, 1, 2],
        &[0, 0, 1, 1],
        &[0, 0, 0, 1],
        &[0, 1, 1, 2],
        &[0, 0, 0, 1, 2],
        &[0, 0, 0, 0, 1, 1],
    ];
    for indices in sets {
        let n = indices.len() as u64 + 1;
        let mean = expectation(n as i64, POINTS.len(), |counts| {
            let centre = if indices.len() == 1 { vec![BigRational::zero(); 3] } else { joint_mean(counts) };
            joint_polykay(n, &[indices], |block| joint_moment(counts, &centre, block)).unwrap()
        });
        assert_eq!(mean, joint_cumulant(indices), "{indices:?}");
    }
}

#[test]
fn joint_polykays_are_unbiased() {
    let groups: [[&[usize]; 2]; 4] =
        [[&[0, 1], &[1, 2]], [&[0, 0], &[1, 1]], [&[0, 1, 2], &[0, 1]], [&[0, 0, 1, 1], &[0, 1]]];
    for pair in groups {
        let n = 7;
        let mean = expectation(n, POINTS.len(), |counts| {
            let centre = joint_mean(counts);
            joint_polykay(n as u64, &pair, |block| joint_moment(counts, &centre, block)).unwrap()
        });
        assert_eq!(mean, joint_cumulant(pair[0]) * joint_cumulant(pair[1]), "{pair:?}");
    }
}

#[test]
fn too_few_samples_are_an_error() {
    let central = vec![BigRational::zero(); 8];
    let expected = TooFewSamples { found: 7, needed: 8 };
    assert_eq!(k_statistics(7, &BigRational::zero(), &central), Err(expected));
    assert_eq!(polykay(7, &central, &[4, 4]), Err(expected));
    assert_eq!(h_statistic(7, &central, 8), Err(expected));
    assert_eq!(joint_polykay(7, &[&[0, 1, 0, 1], &[2, 2, 2, 2]], |_| 0.0), Err(expected));
    assert_eq!(k_statistic_covariance(&[0.0; 16], 7, 8, 8), Err(expected));
    let message = "samples: 7 given, an unbiased estimate of order 8 needs at least 8";
    assert_eq!(expected.to_string(), message);
}

/// Moments of the population from its cumulants: the other direction of the definition used above.
#[test]
fn the_population_is_skewed() {
    let moments = population_moments(8);
    let cumulants = cumulants_from_moments(&moments);
    assert_eq!(moments_from_cumulants(&cumulants), moments);
    assert!(cumulants.iter().all(|kappa| !kappa.is_zero()));
}
