//! Joint moments and cumulants of several variables.
//!
//! For rows `(x_1, .., x_d)` the joint cumulants are the derivatives of `W[J] = log E[exp(sum_i J_i x_i)]`,
//!
//! ```text
//! kappa(x_i, .., x_k) = sum_pi (-1)^(|pi|-1) (|pi|-1)! prod_(B in pi) E[prod_(b in B) x_b] ,
//! ```
//!
//! the sum over all partitions of the list of variables: mean, covariance, then the connected three-point
//! function and so on. They vanish when the variables fall into two independent sets. All moments of one
//! order make a symmetric tensor, kept as one value for each sorted multi-index.
//!
//! The products of a row are built order by order: those of order `n` with last index `l` are `x_l` times the
//! first `C(l+n-1, n-1)` products of order `n - 1`, one multiplication each.

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;

use crate::moments::MOST_VALUES;
use crate::partitions::set_partitions;
use crate::polykays::{JointTerm, TooFewSamples, joint_polykay, joint_sum, joint_terms};
use crate::symmetric_tensor::{SymmetricTensor, advance, assert_variables, entries, rank};
use crate::{LEAF, Summary};

/// Count, means and joint central power sums, up to a fixed order, of rows of several variables.
///
/// Mergeable as [`Moments`](crate::Moments) is, with the same policy for NaN, infinities and overflow: they
/// stay visible in what they touch. Size: `C(d + n, n)` numbers for `d` variables and order `n`.
///
/// ```
/// use cumulants::JointMoments;
///
/// // y = x^2: uncorrelated with x by symmetry, but not independent: kappa(x, x, y) = E[x^4] - E[x^2]^2.
/// let rows: Vec<f64> = [-1.0, 0.0, 1.0].iter().flat_map(|x| [*x, x * x]).collect();
/// let moments = JointMoments::of(&rows, 2, 3);
/// assert_eq!(moments.mean()[0], 0.0);
/// assert_eq!(moments.cumulant(&[0, 1]), 0.0);
/// assert!((moments.cumulant(&[0, 0, 1]) - (2.0 / 3.0 - 4.0 / 9.0)).abs() < 1e-15);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct JointMoments {
    variables: usize,
    count: u64,
    mean: Vec<f64>,
    /// Entry `n - 1` holds order `n`; order 1 is zero.
    sums: Vec<Vec<f64>>,
}

impl JointMoments {
    /// The summary of no rows: the identity of [`merge`](Self::merge).
    ///
    /// # Panics
    /// If `variables` or `order` is zero.
    pub fn empty(variables: usize, order: usize) -> Self {
        assert!(variables > 0 && order > 0, "{variables} variables to order {order}: both start at 1");
        let sums = (1..=order).map(|n| vec![0.0; entries(variables, n)]).collect();
        Self { variables, count: 0, mean: vec![0.0; variables], sums }
    }

    /// Summarises `rows`, a `(count, variables)` batch in row-major order, to all orders up to `order`.
    ///
    /// Long batches are cut at multiples of [`LEAF`] rows and merged as a binary tree, so that rounding grows
    /// with the logarithm of the count only.
    ///
    /// # Panics
    /// If `variables` or `order` is zero, or the length is not a multiple of `variables`.
    pub fn of(rows: &[f64], variables: usize, order: usize) -> Self {
        let mut result = Self::empty(variables, order);
        assert!(rows.len().is_multiple_of(variables), "{} values are no rows of {variables}", rows.len());
        let leaves = (rows.len() / variables).div_ceil(LEAF);
        if leaves > 1 {
            let (left, right) = rows.split_at(leaves.div_ceil(2) * LEAF * variables);
            return Self::of(left, variables, order).merge(&Self::of(right, variables, order));
        }
        if rows.is_empty() {
            return result;
        }
        result.count = (rows.len() / variables) as u64;
        let count = result.count as f64;
        for row in rows.chunks_exact(variables) {
            for (mean, x) in result.mean.iter_mut().zip(row) {
                *mean += x / count;
            }
        }
        let mut products = result.sums.clone();
        for row in rows.chunks_exact(variables) {
            for ((y, x), mean) in products[0].iter_mut().zip(row).zip(&result.mean) {
                *y = x - mean;
            }
            add_products(&mut products, &mut result.sums);
        }
        // The mean was rounded; the sums about it tell by how much.
        let residual: Vec<f64> = result.sums[0].iter().map(|sum| sum / count).collect();
        result.shift(&residual.iter().map(|r| -r).collect::<Vec<_>>());
        for (mean, r) in result.mean.iter_mut().zip(residual) {
            *mean += r;
        }
        result.sums[0].fill(0.0);
        result
    }

    /// Summary of the union of two batches of the same variables and order.
    ///
    /// # Panics
    /// If variables or order differ.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        assert_eq!(
            (self.variables, self.sums.len()),
            (other.variables, other.sums.len()),
            "(variables, order) of merged summaries"
        );
        if self.count == 0 {
            return other.clone();
        }
        if other.count == 0 {
            return self.clone();
        }
        let count = (self.count + other.count) as f64;
        let distance = |share: u64, sign: f64| -> Vec<f64> {
            let weight = sign * (share as f64 / count);
            self.mean.iter().zip(&other.mean).map(|(a, b)| (b - a) * weight).collect()
        };
        let (mut result, mut moved) = (self.clone(), other.clone());
        let down = distance(other.count, -1.0);
        result.shift(&down);
        moved.shift(&distance(self.count, 1.0));
        for (sum, term) in result.sums.iter_mut().flatten().zip(moved.sums.iter().flatten()) {
            *sum += term;
        }
        for (mean, step) in result.mean.iter_mut().zip(down) {
            *mean -= step;
        }
        result.sums[0].fill(0.0);
        result.count += other.count;
        result
    }

    /// Number of rows.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Number of variables in a row.
    pub fn variables(&self) -> usize {
        self.variables
    }

    /// The highest order.
    pub fn order(&self) -> usize {
        self.sums.len()
    }

    /// Mean of each variable; zeros for an empty summary.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Central moment `(1/n) sum_rows prod_i (x_i - m_i)` over `indices`, in any order and with repetitions;
    /// NaN for an empty summary.
    ///
    /// # Panics
    /// If there are no indices, more than the order, or one is not below the number of variables.
    pub fn central_moment(&self, indices: &[usize]) -> f64 {
        self.central(&self.sorted(indices))
    }

    /// Joint cumulant of the empirical measure (plug-in) of the variables `indices`, in any order and with
    /// repetitions; NaN for an empty summary.
    ///
    /// # Panics
    /// As [`central_moment`](Self::central_moment).
    pub fn cumulant(&self, indices: &[usize]) -> f64 {
        self.entry(&plug_in_terms(indices.len()), &self.sorted(indices))
    }

    /// All plug-in joint cumulants of one order.
    ///
    /// # Panics
    /// If the order is zero or above the highest.
    pub fn cumulants(&self, order: usize) -> SymmetricTensor {
        self.tensor(order, &plug_in_terms(order))
    }

    /// Joint k-statistic of the variables `indices`: the unbiased estimate of their joint cumulant; NaN for
    /// fewer rows than indices.
    ///
    /// ```
    /// # use cumulants::JointMoments;
    /// // Covariance, divided by n - 1.
    /// let moments = JointMoments::of(&[0.0, 0.0, 1.0, 1.0, 2.0, 5.0], 2, 2);
    /// assert!((moments.k_statistic(&[0, 1]) - 2.5).abs() < 1e-15);
    /// ```
    ///
    /// # Panics
    /// As [`central_moment`](Self::central_moment).
    pub fn k_statistic(&self, indices: &[usize]) -> f64 {
        let indices = self.sorted(indices);
        joint_terms(self.count, &[indices.len()]).map_or(f64::NAN, |terms| self.entry(&terms, &indices))
    }

    /// All joint k-statistics of one order.
    ///
    /// # Errors
    /// [`TooFewSamples`] for fewer rows than the order.
    ///
    /// # Panics
    /// If the order is zero or above the highest.
    pub fn k_statistics(&self, order: usize) -> Result<SymmetricTensor, TooFewSamples> {
        assert!((1..=self.order()).contains(&order), "order {order} of moments up to {}", self.order());
        Ok(self.tensor(order, &joint_terms(self.count, &[order])?))
    }

    /// Unbiased estimate of a product of joint cumulants, each of two variables or more (which may be the same
    /// one); see [`joint_polykay`]. NaN for fewer rows than indices in all.
    ///
    /// `k_statistic(a) * k_statistic(b) - polykay(&[a, b])` is an unbiased estimate of the covariance of two
    /// k-statistics.
    ///
    /// # Panics
    /// If a group has fewer than two indices, all together more than the order, or one is not below the
    /// number of variables.
    pub fn polykay(&self, groups: &[&[usize]]) -> f64 {
        assert!(
            groups.iter().all(|group| group.len() > 1),
            "a group of {groups:?} has fewer than two indices"
        );
        self.sorted(&groups.concat());
        let moment = |indices: &[usize]| self.central(&self.sorted(indices));
        joint_polykay(self.count, groups, moment).unwrap_or(f64::NAN)
    }

    /// True when means and sums are finite: no NaN, no infinity, no overflow.
    pub fn is_finite(&self) -> bool {
        self.mean.iter().chain(self.sums.iter().flatten()).all(|value| value.is_finite())
    }

    fn sorted(&self, indices: &[usize]) -> Vec<usize> {
        let (given, order) = (indices.len(), self.order());
        assert!((1..=order).contains(&given), "{given} indices for moments up to order {order}");
        assert_variables(indices, self.variables);
        let mut sorted = indices.to_vec();
        sorted.sort_unstable();
        sorted
    }

    fn central(&self, sorted: &[usize]) -> f64 {
        self.sums[sorted.len() - 1][rank(sorted)] / self.count as f64
    }

    fn tensor(&self, order: usize, terms: &[JointTerm<f64>]) -> SymmetricTensor {
        assert!((1..=self.order()).contains(&order), "order {order} of moments up to {}", self.order());
        SymmetricTensor::from_fn(self.variables, order, |sorted| self.entry(terms, sorted))
    }

    /// A sum over partitions for one sorted multi-index.
    fn entry(&self, terms: &[JointTerm<f64>], sorted: &[usize]) -> f64 {
        match sorted {
            [_] if self.count == 0 => f64::NAN,
            [single] => self.mean[*single],
            _ => joint_sum(terms, sorted, |block| self.central(block)),
        }
    }

    /// Moves the data by `t` against the mean: each sum becomes the sum over all ways to take `t_i` for some of
    /// the factors `y_i + t_i`.
    fn shift(&mut self, t: &[f64]) {
        let count = self.count as f64;
        for order in (1..=self.order()).rev() {
            let mut index = vec![0; order];
            let mut kept = Vec::with_capacity(order);
            for place in 0..self.sums[order - 1].len() {
                let mut sum = 0.0;
                for subset in 0_u32..1 << order {
                    kept.clear();
                    let mut factor = 1.0;
                    for (position, &variable) in index.iter().enumerate() {
                        if (subset >> position) & 1 == 1 {
                            kept.push(variable);
                        } else {
                            factor *= t[variable];
                        }
                    }
                    let lower = if kept.is_empty() { count } else { self.sums[kept.len() - 1][rank(&kept)] };
                    sum += factor * lower;
                }
                // Orders go down: no later sum reads this one.
                self.sums[order - 1][place] = sum;
                advance(&mut index);
            }
        }
    }
}

impl Summary for JointMoments {
    /// # Panics
    /// If variables or order differ.
    fn merge(&self, other: &Self) -> Self {
        Self::merge(self, other)
    }

    fn size(&self) -> f64 {
        self.count as f64
    }
}

/// The plug-in cumulant: partitions without blocks of one, since central moments are put in.
fn plug_in_terms(order: usize) -> Vec<JointTerm<f64>> {
    let with_weight = |blocks: Vec<u32>| {
        let weight = (1..blocks.len()).fold(1.0, |product, k| -product * k as f64);
        (blocks, weight)
    };
    set_partitions(order, 2).into_iter().map(with_weight).collect()
}

/// Adds the products of one row to the sums of all orders; `products[0]` holds the row.
fn add_products(products: &mut [Vec<f64>], sums: &mut [Vec<f64>]) {
    for order in 1..products.len() {
        let (lower, upper) = products.split_at_mut(order);
        let (row, lower) = (&lower[0], &lower[order - 1]);
        let mut target = upper[0].iter_mut();
        for (last, y) in row.iter().enumerate() {
            for (product, out) in lower[..entries(last + 1, order)].iter().zip(&mut target) {
                *out = product * y;
            }
        }
    }
    for (sum, product) in sums.iter_mut().flatten().zip(products.iter().flatten()) {
        *sum += product;
    }
}

/// Orders in a stored summary.
const MOST_ORDERS: usize = 256;

/// What is stored, before it has been checked.
#[derive(Deserialize)]
struct Stored {
    variables: usize,
    count: u64,
    mean: Vec<f64>,
    #[serde(deserialize_with = "orders")]
    sums: Vec<Vec<f64>>,
}

/// The sums by order; of as many orders no data have moments, and empty lists would take many times their text.
fn orders<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<f64>>, D::Error> {
    struct Orders;

    impl<'de> Visitor<'de> for Orders {
        type Value = Vec<Vec<f64>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "sums of at most {MOST_ORDERS} orders")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut orders: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(order) = orders.next_element()? {
                if all.len() == MOST_ORDERS {
                    return Err(A::Error::invalid_length(all.len() + 1, &self));
                }
                all.push(order);
            }
            Ok(all)
        }
    }

    deserializer.deserialize_seq(Orders)
}

/// A stored summary that cannot have come from data.
#[derive(Debug, thiserror::Error)]
enum StoredError {
    #[error("variables: {variables}, sums: {orders} orders, both start at 1")]
    Nothing { variables: usize, orders: usize },
    #[error("count: {count} rows, at most {MOST_VALUES} can be")]
    Count { count: u64 },
    #[error("mean: {found} values for {variables} variables")]
    Mean { found: usize, variables: usize },
    #[error("sums of order {order}: {found} values, {variables} variables have {expected}")]
    Sums { order: usize, found: usize, variables: usize, expected: usize },
}

impl TryFrom<Stored> for JointMoments {
    type Error = StoredError;

    fn try_from(stored: Stored) -> Result<Self, StoredError> {
        let Stored { variables, count, mean, sums } = stored;
        if variables == 0 || sums.is_empty() {
            return Err(StoredError::Nothing { variables, orders: sums.len() });
        }
        if count > MOST_VALUES {
            return Err(StoredError::Count { count });
        }
        if mean.len() != variables {
            return Err(StoredError::Mean { found: mean.len(), variables });
        }
        for (values, order) in sums.iter().zip(1..) {
            let (found, expected) = (values.len(), entries(variables, order));
            if found != expected {
                return Err(StoredError::Sums { order, found, variables, expected });
            }
        }
        Ok(Self { variables, count, mean, sums })
    }
}
