//! Polykays: unbiased estimates of products of cumulants, for one variable or several.
//!
//! Let `<pi>` be the mean, over choices of *distinct* rows, of one row's product of variables per block of a
//! partition `pi`. Rows are independent, so its expectation is the product of the raw moments of the
//! blocks, without bias. A product of cumulants with index sets `s_1, .., s_g` is a sum of such products, over
//! the partitions that refine them,
//!
//! ```text
//! prod_i kappa(s_i) = sum_(pi <= s) prod_i (-1)^(M_i-1) (M_i-1)!  prod_(b in pi) mu(b) ,
//! ```
//!
//! `M_i` the number of blocks into which `s_i` is cut. Put `<pi>` for the product of moments, and the
//! estimate is unbiased. Sums over distinct rows follow from the sample moments `m(B)` by a second sum, over
//! what coincides. Together, `rho` running over all partitions and `c_ij = |s_i & B_j|`,
//!
//! ```text
//! k(s) = sum_rho (-1)^(r-g) w_rho prod_(B in rho) m(B) ,
//! w_rho = sum_m prod_ij S(c_ij, m_ij) prod_i (M_i-1)! prod_j (M^j-1)!  n^r / n^(M) ,
//! ```
//!
//! `S` Stirling numbers of the second kind, `M_i`, `M^j` and `M` the sums of `m_ij` over a row, a column, and
//! all, `r` the number of blocks of `rho`, `n^(M) = n (n-1) .. (n-M+1)`. All terms of `w` are positive:
//! nothing cancels in the coefficients, however large the sample. One group gives the k-statistics of Fisher
//! (Proc. London Math. Soc. 30 (1930) 199), several the polykays of Tukey (Ann. Math. Stat. 27 (1956) 37);
//! the derivation by partitions is that of McCullagh, Tensor Methods in Statistics (1987), ch. 4.
//!
//! Without groups of one index the estimates do not see a shift of the data, so that moments about the sample
//! mean can be used. The moments of single variables vanish then, and with them all partitions that have
//! blocks of one element.

use num_traits::Num;

use crate::Moments;
use crate::partitions::{
    factorials, integer, set_partition_count, set_partitions, stirling_second, vector_partitions,
};

/// Fewer samples than an unbiased estimate needs: one for each order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("samples: {found} given, an unbiased estimate of order {needed} needs at least {needed}")]
pub struct TooFewSamples {
    /// Number of samples given.
    pub found: u64,
    /// Number of samples needed.
    pub needed: u64,
}

/// Unbiased estimate of the product of the cumulants `kappa_p` over `parts`, from the moments
/// `(1/n) sum x^k`, `k = 1, 2, ..`, of `count` samples.
///
/// The moments may be central ones (more accurate) if no part is 1; with a part 1 they must be about zero.
/// Any number type: in exact rationals the estimate is exact.
///
/// ```
/// use cumulants::polykay;
///
/// // kappa_2^2 from the data 0, 0, 0, 4: the mean of (a-b)^2 (c-d)^2 / 4 over distinct rows is zero.
/// let estimate: f64 = polykay(4, &[0.0, 3.0, 6.0, 21.0], &[2, 2])?;
/// assert!(estimate.abs() < 1e-13);
/// # Ok::<(), cumulants::TooFewSamples>(())
/// ```
///
/// # Errors
/// [`TooFewSamples`] for fewer samples than the parts add up to.
///
/// # Panics
/// If a part is zero, or there are fewer moments than the parts add up to.
pub fn polykay<T: Clone + Num>(count: u64, moments: &[T], parts: &[usize]) -> Result<T, TooFewSamples> {
    assert!(parts.iter().all(|&part| part > 0), "a cumulant of order 0 in {parts:?}");
    let order = parts.iter().sum();
    assert!(moments.len() >= order, "{} moments given, {order} needed", moments.len());
    let weights = Weights::new(count, order)?;
    let smallest = parts.iter().copied().min().unwrap_or(2).min(2);
    let terms = vector_partitions(parts, smallest).into_iter().map(|blocks| {
        let ways: T = set_partition_count(parts, &blocks, &weights.factorials);
        let product = blocks
            .iter()
            .fold(ways, |product, block| product * moments[block.iter().sum::<usize>() - 1].clone());
        product * weights.of(parts, &blocks)
    });
    Ok(terms.fold(T::zero(), |sum, term| sum + term))
}

/// Unbiased estimate of the central moment `E[(x - mu_1)^order]` (h-statistic), from the central moments of
/// `count` samples, entry `k - 1` of order `k`.
///
/// A central moment is the sum of products of cumulants over the partitions of its order into parts above
/// one; each product is estimated by its [`polykay`]. Zero at order 1.
///
/// ```
/// // The data 0, 0, 3: h_2 = 3, h_3 = n^2 / ((n-1)(n-2)) m_3 = 9.
/// assert_eq!(cumulants::h_statistic(3, &[0.0, 2.0, 2.0], 3)?, 9.0);
/// # Ok::<(), cumulants::TooFewSamples>(())
/// ```
///
/// # Errors
/// [`TooFewSamples`] for fewer than `order` samples.
///
/// # Panics
/// If there are fewer than `order` moments.
pub fn h_statistic<T: Clone + Num>(
    count: u64,
    central_moments: &[T],
    order: usize,
) -> Result<T, TooFewSamples> {
    let factorials = factorials::<T>(order);
    let mut sum = if order == 0 { T::one() } else { T::zero() };
    for blocks in vector_partitions(&[order], 2).into_iter().filter(|blocks| !blocks.is_empty()) {
        let ways = set_partition_count(&[order], &blocks, &factorials);
        sum = sum + ways * polykay(count, central_moments, &blocks.concat())?;
    }
    Ok(sum)
}

impl<const N: usize> Moments<N> {
    /// [`polykay`] of the sample: unbiased estimate of `prod_p kappa_p` over `parts`; NaN for fewer samples
    /// than the parts add up to.
    ///
    /// A part 1 makes it see the mean; it is then computed from moments about zero, with the loss of digits
    /// that an offset of the data brings.
    ///
    /// # Panics
    /// If a part is zero, or the parts add up to more than `N`.
    pub fn polykay(&self, parts: &[usize]) -> f64 {
        let moments = if parts.contains(&1) {
            self.sums_about(0.0).map(|s| s / self.count() as f64)
        } else {
            self.central_moments()
        };
        polykay(self.count(), &moments, parts).unwrap_or(f64::NAN)
    }

    /// [`h_statistic`] of the sample: unbiased estimate of `E[(x - mu_1)^k]`, `1 <= k <= N`; NaN for fewer
    /// than `k` samples.
    ///
    /// ```
    /// # use cumulants::Moments;
    /// assert_eq!(Moments::<2>::of(&[1.0, 2.0, 3.0]).h_statistic(2), 1.0);
    /// ```
    ///
    /// # Panics
    /// If `k` is zero or above `N`.
    pub fn h_statistic(&self, k: usize) -> f64 {
        assert!((1..=N).contains(&k), "h-statistic of order {k} asked of moments up to order {N}");
        if self.count() < k as u64 {
            return f64::NAN;
        }
        h_statistic(self.count(), &self.central_moments(), k).unwrap_or(f64::NAN)
    }
}

/// The signed weights `(-1)^(r-g) w_rho` of the module docs, for one sample size.
pub(crate) struct Weights<T> {
    count: T,
    /// `n^(M)`, `M = 0..=order`.
    falling: Vec<T>,
    pub(crate) factorials: Vec<T>,
    stirling: Vec<Vec<T>>,
}

impl<T: Clone + Num> Weights<T> {
    pub(crate) fn new(count: u64, order: usize) -> Result<Self, TooFewSamples> {
        if count < order as u64 {
            return Err(TooFewSamples { found: count, needed: order as u64 });
        }
        let mut falling = vec![T::one()];
        for k in 0..order {
            falling.push(falling[k].clone() * integer(count - k as u64));
        }
        let (factorials, stirling) = (factorials(order), stirling_second(order));
        Ok(Self { count: integer(count), falling, factorials, stirling })
    }

    /// Weight of a partition with `blocks[j][i]` elements of group `i`, of size `groups[i]`, in block `j`.
    pub(crate) fn of(&self, groups: &[usize], blocks: &[Vec<usize>]) -> T {
        // Sums over m_ij, block after block. Entry (M_1, .., M_g), the first index running fastest.
        let strides: Vec<usize> = groups
            .iter()
            .scan(1, |stride, size| Some(std::mem::replace(stride, *stride * (size + 1))))
            .collect();
        let states = groups.iter().map(|size| size + 1).product();
        let mut sums = vec![T::zero(); states];
        sums[0] = T::one();
        for block in blocks {
            let cuts = self.cuts(block, &strides);
            let mut next = vec![T::zero(); states];
            for (state, sum) in sums.iter().enumerate().filter(|(_, sum)| !sum.is_zero()) {
                for (step, weight) in &cuts {
                    next[state + step] = next[state + step].clone() + sum.clone() * weight.clone();
                }
            }
            sums = next;
        }
        let mut weight = T::zero();
        for (state, sum) in sums.into_iter().enumerate().filter(|(_, sum)| !sum.is_zero()) {
            let (mut all, mut term) = (0, sum);
            for (stride, size) in strides.iter().zip(groups) {
                let cut = state / stride % (size + 1);
                term = term * self.factorials[cut - 1].clone();
                all += cut;
            }
            weight = weight + term / self.falling[all].clone();
        }
        weight = blocks.iter().fold(weight, |w, _| w * self.count.clone());
        if (blocks.len() + groups.len()) % 2 == 1 { T::zero() - weight } else { weight }
    }

    /// All ways `m_i` to cut a block: the step in the state, and `prod_i S(c_i, m_i) (M-1)!`.
    fn cuts(&self, block: &[usize], strides: &[usize]) -> Vec<(usize, T)> {
        let mut cuts = vec![(0, 0, T::one())];
        for (&size, stride) in block.iter().zip(strides).filter(|(size, _)| **size > 0) {
            cuts = (1..=size)
                .flat_map(|m| {
                    cuts.iter().map(move |(step, pieces, weight)| {
                        (step + m * stride, pieces + m, weight.clone() * self.stirling[size][m].clone())
                    })
                })
                .collect();
        }
        cuts.into_iter().map(|(step, pieces, w)| (step, w * self.factorials[pieces - 1].clone())).collect()
    }
}

/// Unbiased estimate of a product of joint cumulants, one for each index set in `groups`.
///
/// `moment` gives the sample moment `(1/n) sum_rows prod_(i in indices) x_i`. It may be the central one if all
/// groups have two indices or more; with a group of one index it must be about zero. One group gives the
/// joint k-statistic. The sum runs over the partitions of all indices: 715 products at order 8, 17722 at 10.
///
/// ```
/// use cumulants::joint_polykay;
///
/// // Covariance of (0, 0), (1, 1), (2, 5): sum of products of deviations 5, over n - 1.
/// let covariance = joint_polykay(3, &[&[0, 1]], |_| 5.0 / 3.0)?;
/// assert!((covariance - 2.5_f64).abs() < 1e-15);
/// # Ok::<(), cumulants::TooFewSamples>(())
/// ```
///
/// # Errors
/// [`TooFewSamples`] for fewer samples than there are indices.
///
/// # Panics
/// If a group is empty, or there are more than 32 indices.
pub fn joint_polykay<T: Clone + Num>(
    count: u64,
    groups: &[&[usize]],
    moment: impl Fn(&[usize]) -> T,
) -> Result<T, TooFewSamples> {
    let sizes: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let terms = joint_terms(count, &sizes)?;
    Ok(joint_sum(&terms, &groups.concat(), moment))
}

/// Blocks of a partition as masks over the concatenated index sets, and the weight of the product of their
/// moments.
pub(crate) type JointTerm<T> = (Vec<u32>, T);

/// The terms of a product of joint cumulants of these sizes.
pub(crate) fn joint_terms<T: Clone + Num>(
    count: u64,
    sizes: &[usize],
) -> Result<Vec<JointTerm<T>>, TooFewSamples> {
    assert!(sizes.iter().all(|&size| size > 0), "an empty index set among sizes {sizes:?}");
    let order = sizes.iter().sum::<usize>();
    assert!(order <= 32, "{order} indices: sums over partitions of more than 32 are out of reach");
    let weights = Weights::new(count, order)?;
    let mut start = 0;
    let masks: Vec<u32> = sizes
        .iter()
        .map(|size| {
            let mask = ((1_u64 << size) - 1) << start;
            start += size;
            mask as u32
        })
        .collect();
    let smallest = if sizes.contains(&1) { 1 } else { 2 };
    let with_weight = |blocks: Vec<u32>| {
        let cells: Vec<Vec<usize>> = blocks
            .iter()
            .map(|block| masks.iter().map(|mask| (block & mask).count_ones() as usize).collect())
            .collect();
        let weight = weights.of(sizes, &cells);
        (blocks, weight)
    };
    Ok(set_partitions(order, smallest).into_iter().map(with_weight).collect())
}

/// Sum of the products of moments, `indices` telling which variable stands at each position of the masks.
pub(crate) fn joint_sum<T: Clone + Num>(
    terms: &[JointTerm<T>],
    indices: &[usize],
    moment: impl Fn(&[usize]) -> T,
) -> T {
    let mut block_indices = Vec::with_capacity(indices.len());
    terms.iter().fold(T::zero(), |sum, (blocks, weight)| {
        let product = blocks.iter().fold(weight.clone(), |product, block| {
            block_indices.clear();
            let members = indices.iter().enumerate().filter(|(position, _)| (block >> position) & 1 == 1);
            block_indices.extend(members.map(|(_, index)| *index));
            product * moment(&block_indices)
        });
        sum + product
    })
}
