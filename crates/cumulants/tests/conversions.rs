//! The recursion [3.5] in exact rationals against independent formulas.

use cumulants::{
    central_from_raw, cumulants_from_moments, moments_from_cumulants, raw_from_central, two_peak_cumulants,
};
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Zero};
use proptest::prelude::*;

fn rational(numerator: i64, denominator: i64) -> BigRational {
    BigRational::new(BigInt::from(numerator), BigInt::from(denominator))
}

fn integer(n: usize) -> BigRational {
    BigRational::from_integer(BigInt::from(n))
}

fn factorial(n: usize) -> BigRational {
    (1..=n).fold(BigRational::one(), |product, k| product * integer(k))
}

fn binomial(n: usize, k: usize) -> BigRational {
    factorial(n) / (factorial(k) * factorial(n - k))
}

fn power(x: &BigRational, n: usize) -> BigRational {
    (0..n).fold(BigRational::one(), |product, _| product * x)
}

/// All partitions of `n` elements into blocks, as block sizes, by restricted growth strings.
fn set_partitions(n: usize) -> Vec<Vec<usize>> {
    (0..n).fold(vec![vec![]], |partitions: Vec<Vec<usize>>, _| {
        let mut grown = Vec::new();
        for sizes in partitions {
            for block in 0..=sizes.len() {
                let mut next = sizes.clone();
                if block == sizes.len() {
                    next.push(1);
                } else {
                    next[block] += 1;
                }
                grown.push(next);
            }
        }
        grown
    })
}

/// `kappa_n = sum over partitions of (-1)^(b-1) (b-1)! prod mu_|block|`.
fn cumulant_by_partitions(moments: &[BigRational], n: usize) -> BigRational {
    set_partitions(n).iter().fold(BigRational::zero(), |sum, sizes| {
        let sign = if sizes.len() % 2 == 1 { rational(1, 1) } else { rational(-1, 1) };
        let product = sizes.iter().fold(BigRational::one(), |p, size| p * &moments[size - 1]);
        sum + sign * factorial(sizes.len() - 1) * product
    })
}

/// `E[(+-mu + sigma z)^n]` by the binomial theorem and `E[z^(2k)] = (2k-1)!!`.
fn two_peak_moments(mu: &BigRational, variance: &BigRational, order: usize) -> Vec<BigRational> {
    (1..=order)
        .map(|n| {
            if n % 2 == 1 {
                return BigRational::zero();
            }
            (0..=n / 2).fold(BigRational::zero(), |sum, k| {
                let double_factorial =
                    (1..2 * k).step_by(2).fold(BigRational::one(), |p, odd| p * integer(odd));
                sum + binomial(n, 2 * k) * power(mu, n - 2 * k) * power(variance, k) * double_factorial
            })
        })
        .collect()
}

#[test]
fn two_peak_table() {
    let moments = two_peak_moments(&rational(1, 1), &rational(1, 16), 10);
    let expected_moments = [(17, 16), (355, 256), (8671, 4096), (240_809, 65_536), (7_461_121, 1_048_576)];
    let cumulants = cumulants_from_moments(&moments);
    let expected_cumulants = [(17, 16), (-2, 1), (16, 1), (-272, 1), (7936, 1)];
    for (index, order) in [2, 4, 6, 8, 10].into_iter().enumerate() {
        let ((a, b), (c, d)) = (expected_moments[index], expected_cumulants[index]);
        assert_eq!(moments[order - 1], rational(a, b), "moment {order}");
        assert_eq!(cumulants[order - 1], rational(c, d), "cumulant {order}");
        assert!(cumulants[order - 2].is_zero(), "odd cumulant below {order}");
    }
}

#[test]
fn two_peak_recursion_agrees_with_the_moments_to_order_24() {
    let (mu, variance) = (rational(3, 2), rational(2, 7));
    let from_moments = cumulants_from_moments(&two_peak_moments(&mu, &variance, 24));
    assert_eq!(two_peak_cumulants(mu, variance, 24), from_moments);
    assert!(two_peak_cumulants(1.0, 1.0, 0).is_empty());
    assert_eq!(two_peak_cumulants(1.0, 1.0, 2), [0.0, 2.0]);
}

#[test]
fn poisson_and_exponential() {
    // Moments of a Poisson variable: Touchard polynomials, with Stirling numbers of the second kind.
    let (order, mean) = (12, rational(3, 2));
    let mut stirling = vec![BigRational::zero(); order + 1];
    stirling[0] = BigRational::one();
    let mut moments = Vec::new();
    for _ in 1..=order {
        for k in (1..=order).rev() {
            stirling[k] = integer(k) * &stirling[k] + &stirling[k - 1];
        }
        stirling[0] = BigRational::zero();
        moments.push((1..=order).fold(BigRational::zero(), |sum, k| sum + &stirling[k] * power(&mean, k)));
    }
    assert_eq!(cumulants_from_moments(&moments), vec![mean; order]);

    let moments: Vec<_> = (1..=order).map(factorial).collect();
    let expected: Vec<_> = (0..order).map(factorial).collect();
    assert_eq!(cumulants_from_moments(&moments), expected);
    assert_eq!(moments_from_cumulants(&expected), moments);
}

#[test]
fn recursion_equals_the_sum_over_set_partitions() {
    // Arbitrary numbers: the identity is algebraic, odd orders all present.
    let moments: Vec<_> = (1..=8).map(|k| rational(k * k - 5, 2 * k + 1)).collect();
    let cumulants = cumulants_from_moments(&moments);
    for n in 1..=8 {
        assert_eq!(cumulants[n - 1], cumulant_by_partitions(&moments, n), "order {n}");
    }
}

#[test]
fn central_sixth_cumulant_has_its_odd_term() {
    // kappa_6 = c6 - 15 c4 c2 - 10 c3^2 + 30 c2^3 for the data 0, 0, 0, 1, 5.
    let data = [0, 0, 0, 1, 5];
    let raw: Vec<_> = (1..=6).map(|k| rational(data.iter().map(|x: &i64| x.pow(k)).sum(), 5)).collect();
    let c = central_from_raw(&raw);
    let expected = &c[5] - rational(15, 1) * &c[3] * &c[1] - rational(10, 1) * &c[2] * &c[2]
        + rational(30, 1) * &c[1] * &c[1] * &c[1];
    assert_eq!(cumulants_from_moments(&raw)[5], expected);
}

#[test]
fn empty_and_single_orders() {
    assert!(cumulants_from_moments::<f64>(&[]).is_empty());
    assert!(moments_from_cumulants::<f64>(&[]).is_empty());
    assert!(central_from_raw::<f64>(&[]).is_empty());
    assert_eq!(cumulants_from_moments(&[3.0]), [3.0]);
    assert_eq!(central_from_raw(&[3.0]), [0.0]);
}

proptest! {
    #[test]
    fn round_trips_are_exact_in_rationals(
        numbers in prop::collection::vec((-50_i64..50, 1_i64..20), 1..12),
    ) {
        let moments: Vec<_> = numbers.iter().map(|&(a, b)| rational(a, b)).collect();
        prop_assert_eq!(&moments_from_cumulants(&cumulants_from_moments(&moments)), &moments);
        prop_assert_eq!(&raw_from_central(&moments[0], &central_from_raw(&moments)), &moments);
        // The shift against the binomial theorem term by term.
        let n = moments.len();
        let mean = -moments[0].clone();
        let direct = (1..=n).fold(power(&mean, n), |sum, k| {
            sum + binomial(n, k) * &moments[k - 1] * power(&mean, n - k)
        });
        prop_assert_eq!(&central_from_raw(&moments)[n - 1], &direct);
    }

    /// Partitions of 8 elements weighted by (blocks - 1)! add up to 94586: a bound on the terms that cancel.
    #[test]
    fn round_trip_in_floating_point(data in prop::collection::vec(-3.0_f64..3.0, 2..40)) {
        let moment = |k| data.iter().map(|x| x.powi(k)).sum::<f64>() / data.len() as f64;
        let moments: Vec<_> = (1..=8).map(moment).collect();
        let back = moments_from_cumulants(&cumulants_from_moments(&moments));
        for k in 1..=8 {
            let scale = data.iter().map(|x| x.abs().powi(k)).sum::<f64>() / data.len() as f64;
            let error = (back[k as usize - 1] - moments[k as usize - 1]).abs();
            prop_assert!(error <= 94_586.0 * f64::EPSILON * scale, "order {} error {}", k, error);
        }
    }
}
