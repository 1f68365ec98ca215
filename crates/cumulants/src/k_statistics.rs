//! k-statistics: unbiased estimates of cumulants, and their exact variances.
//!
//! The plug-in cumulants of a sample are biased by `O(1/n)`. Fisher's k-statistic `k_r` is the symmetric
//! polynomial of the data with `E[k_r] = kappa_r` for every distribution: `k_1` the mean, `k_2` the variance
//! divided by `n - 1`, `k_3 = n^2 m_3 / ((n-1)(n-2))`, and so on. It is the [`polykay`](crate::polykay()) of a
//! single cumulant, a sum over the partitions of `r` that is generated here for any order. From order two on
//! it depends on the central power sums only.
//!
//! **Variance.** `k_r` is `sum phi_(i_1..i_r) x_(i_1) .. x_(i_r)`, where `phi` depends on the number `m` of
//! distinct rows alone, `phi_m = (-1)^(m-1) (m-1)! / n^(m)`. In the joint cumulant of two such polynomials
//! only those partitions of the `a + b` factors survive whose blocks all touch both. With `r` blocks,
//!
//! ```text
//! Cov(k_a, k_b) = sum_r C_r  a! b! [s^a t^b] G(s,t)^r / r! ,     C_r = sum_(m=1)^r S(r,m) (m-1)!^2 / n^(m) ,
//! G(s,t) = W(s+t) - W(s) - W(t) = sum_(i,j>=1) kappa_(i+j) s^i t^j / (i! j!) ,
//! ```
//!
//! `n^(m) = n (n-1) .. (n-m+1)`. So `Var k_2 = kappa_4 / n + 2 kappa_2^2 / (n-1)`. To leading order `C_r = 1/n`,
//! which is the delta method. The rules are Fisher's, in the form of McCullagh, Tensor Methods in
//! Statistics (1987), ch. 4.

use num_traits::Num;

use crate::Moments;
use crate::partitions::{factorials, integer, stirling_second};
use crate::polykays::{TooFewSamples, polykay};

/// k-statistics `k_1..=k_n` from the mean and the central moments `(1/count) sum (x - mean)^k`,
/// `k = 1..=n`, of `count` samples: `E[k_r] = kappa_r` exactly.
///
/// Generic over the number type; in exact rationals the result is exact. Coefficients of all orders are
/// generated from the partitions of the order, each as a sum of positive terms, so the rounding is that of
/// the plug-in cumulants.
///
/// ```
/// // The data 0, 0, 3.
/// assert_eq!(cumulants::k_statistics(3, &1.0, &[0.0, 2.0, 2.0])?, [1.0, 3.0, 9.0]);
/// # Ok::<(), cumulants::TooFewSamples>(())
/// ```
///
/// # Errors
/// [`TooFewSamples`] if `count` is below the number of moments.
pub fn k_statistics<T: Clone + Num>(
    count: u64,
    mean: &T,
    central_moments: &[T],
) -> Result<Vec<T>, TooFewSamples> {
    // The highest order needs the most samples: fail before any order is computed.
    let order = central_moments.len();
    if count < order as u64 {
        return Err(TooFewSamples { found: count, needed: order as u64 });
    }
    (1..=order)
        .map(|r| if r == 1 { Ok(mean.clone()) } else { polykay(count, central_moments, &[r]) })
        .collect()
}

/// Exact covariance of the k-statistics `k_a` and `k_b` of `count` independent samples, from the cumulants
/// `kappa_1, kappa_2, ..` of their distribution; `a = b` gives the variance of `k_a`.
///
/// ```
/// use cumulants::k_statistic_covariance;
///
/// // Gaussian of variance 1: Var k_2 = 2 / (n-1), Var k_3 = 6 n / ((n-1)(n-2)).
/// let cumulants = [0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
/// assert_eq!(k_statistic_covariance(&cumulants, 5, 2, 2)?, 0.5);
/// assert_eq!(k_statistic_covariance(&cumulants, 5, 3, 3)?, 2.5);
/// # Ok::<(), cumulants::TooFewSamples>(())
/// ```
///
/// # Errors
/// [`TooFewSamples`] if `count` is below `a` or `b`: there is no such k-statistic.
///
/// # Panics
/// If `a` or `b` is zero, or fewer than `a + b` cumulants are given.
pub fn k_statistic_covariance<T: Clone + Num>(
    cumulants: &[T],
    count: u64,
    a: usize,
    b: usize,
) -> Result<T, TooFewSamples> {
    assert!(a > 0 && b > 0, "k-statistics of orders {a} and {b}: orders start at 1");
    assert!(cumulants.len() >= a + b, "{} cumulants given, {} needed", cumulants.len(), a + b);
    if count < a.max(b) as u64 {
        return Err(TooFewSamples { found: count, needed: a.max(b) as u64 });
    }
    let blocks = a.min(b);
    let factorials = factorials::<T>(a.max(b));
    let stirling = stirling_second::<T>(blocks);
    let g =
        |i: usize, j: usize| cumulants[i + j - 1].clone() / (factorials[i].clone() * factorials[j].clone());

    // Entry [i][j] is the coefficient of s^i t^j in G^r.
    let mut power = vec![vec![T::zero(); b + 1]; a + 1];
    power[0][0] = T::one();
    let mut covariance = T::zero();
    for r in 1..=blocks {
        let mut next = vec![vec![T::zero(); b + 1]; a + 1];
        for (i, j) in (1..=a).flat_map(|i| (1..=b).map(move |j| (i, j))) {
            for (k, l) in (1..=i).flat_map(|k| (1..=j).map(move |l| (k, l))) {
                next[i][j] = next[i][j].clone() + g(k, l) * power[i - k][j - l].clone();
            }
        }
        power = next;
        let (mut coefficient, mut falling) = (T::zero(), T::one());
        for m in 1..=r {
            falling = falling * integer(count - (m as u64 - 1));
            let square = factorials[m - 1].clone() * factorials[m - 1].clone();
            coefficient = coefficient + stirling[r][m].clone() * square / falling.clone();
        }
        covariance = covariance + coefficient * power[a][b].clone() / factorials[r].clone();
    }
    Ok(covariance * factorials[a].clone() * factorials[b].clone())
}

impl<const N: usize> Moments<N> {
    /// k-statistic `k_r`, `1 <= r <= N`: the unbiased estimate of `kappa_r`, `E[k_r] = kappa_r`.
    ///
    /// NaN for fewer than `r` samples.
    ///
    /// ```
    /// # use cumulants::Moments;
    /// let m = Moments::<3>::of(&[1.0, 2.0, 3.0, 10.0]);
    /// assert_eq!((m.k_statistic(1), m.k_statistic(3)), (4.0, 120.0));
    /// ```
    ///
    /// # Panics
    /// If `r` is zero or above `N`.
    pub fn k_statistic(&self, r: usize) -> f64 {
        assert!((1..=N).contains(&r), "k-statistic of order {r} asked of moments up to order {N}");
        if r == 1 {
            return self.mean();
        }
        polykay(self.count(), &self.central_moments(), &[r]).unwrap_or(f64::NAN)
    }

    /// All k-statistics; entry `r - 1` is `k_r`, NaN where there are fewer than `r` samples.
    ///
    /// ```
    /// # use cumulants::Moments;
    /// let k = Moments::<4>::of(&[0.0, 0.0, 3.0]).k_statistics();
    /// assert_eq!(k[..3], [1.0, 3.0, 9.0]);
    /// assert!(k[3].is_nan());
    /// ```
    pub fn k_statistics(&self) -> [f64; N] {
        std::array::from_fn(|index| self.k_statistic(index + 1))
    }

    /// Unbiased estimate of `Cov(k_a, k_b)` for independent samples, `a + b <= N`: `k_a k_b` less the
    /// [`polykay`](Self::polykay) for `kappa_a kappa_b`.
    ///
    /// With `a = b` the squared standard error of `k_a`. Being unbiased it can be negative, when the samples
    /// are few. It is a small difference, with a rounding error of some `1e-16 k_a k_b`. NaN for fewer than
    /// `a + b` samples. The cost grows fast with the order: microseconds at `a = b = 4`, milliseconds at 6.
    ///
    /// ```
    /// # use cumulants::Moments;
    /// // Variance of the mean: k_2 / n.
    /// let m = Moments::<2>::of(&[1.0, 2.0, 3.0, 10.0]);
    /// assert!((m.k_statistic_covariance(1, 1) - m.k_statistic(2) / 4.0).abs() < 1e-13);
    /// ```
    ///
    /// # Panics
    /// If `a` or `b` is zero or `a + b` above `N`.
    pub fn k_statistic_covariance(&self, a: usize, b: usize) -> f64 {
        assert!(
            a > 0 && b > 0 && a + b <= N,
            "covariance of orders {a} and {b} asked of moments up to order {N}"
        );
        match (a, b) {
            // Cov(k_1, k_b) = kappa_(b+1) / n, without the loss of digits by an offset.
            (1, other) | (other, 1) => self.k_statistic(other + 1) / self.count() as f64,
            _ => self.k_statistic(a) * self.k_statistic(b) - self.polykay(&[a, b]),
        }
    }
}
