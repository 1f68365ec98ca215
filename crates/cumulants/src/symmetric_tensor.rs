//! Symmetric tensors, with one value for each sorted multi-index.
//!
//! A symmetric tensor of order `n` in `d` variables has `C(d+n-1, n)` independent entries instead of `d^n`.
//! They are kept in colexicographic order of the sorted multi-index `i_1 <= .. <= i_n`: the last index
//! decides first. The place of a multi-index is then
//!
//! ```text
//! rank = sum_(k=1)^n C(i_k + k - 1, k) ,
//! ```
//!
//! for any number of variables, and the multi-indices with last index `l` are those of order `n - 1` with no
//! index above `l`, which come first in their own list.

use serde::Serialize;

/// A symmetric tensor of fixed order, such as all cumulants `kappa(x_i, x_j, x_k)` of several variables.
///
/// ```
/// use cumulants::JointMoments;
///
/// let rows = [0.0, 1.0, 2.0, 3.0, 4.0, 11.0];
/// let covariance = JointMoments::of(&rows, 2, 2).cumulants(2);
/// assert_eq!(covariance.get(&[0, 1]), covariance.get(&[1, 0]));
/// assert_eq!(covariance.iter().count(), 3); // (0,0), (0,1), (1,1)
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SymmetricTensor {
    variables: usize,
    order: usize,
    values: Vec<f64>,
}

impl SymmetricTensor {
    /// Fills a tensor by a function of the sorted multi-index.
    pub(crate) fn from_fn(variables: usize, order: usize, mut value: impl FnMut(&[usize]) -> f64) -> Self {
        let mut index = vec![0; order];
        let next = |_| {
            let entry = value(&index);
            advance(&mut index);
            entry
        };
        let values = (0..entries(variables, order)).map(next).collect();
        Self { variables, order, values }
    }

    /// Number of variables `d`.
    pub fn variables(&self) -> usize {
        self.variables
    }

    /// Order `n`: the number of indices.
    pub fn order(&self) -> usize {
        self.order
    }

    /// The independent entries, in colexicographic order of their sorted multi-indices.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The entry at `indices`, in any order.
    ///
    /// # Panics
    /// If the number of indices is not the order, or an index is not below the number of variables.
    pub fn get(&self, indices: &[usize]) -> f64 {
        assert_eq!(
            indices.len(),
            self.order,
            "{} indices for a tensor of order {}",
            indices.len(),
            self.order
        );
        assert_variables(indices, self.variables);
        let mut sorted = indices.to_vec();
        sorted.sort_unstable();
        self.values[rank(&sorted)]
    }

    /// Sorted multi-indices with their entries.
    pub fn iter(&self) -> impl Iterator<Item = (Vec<usize>, f64)> + '_ {
        let mut next = vec![0; self.order];
        self.values.iter().map(move |&value| {
            let index = next.clone();
            advance(&mut next);
            (index, value)
        })
    }
}

/// A wrong variable is a bug of the caller.
pub(crate) fn assert_variables(indices: &[usize], variables: usize) {
    assert!(
        indices.iter().all(|&index| index < variables),
        "indices {indices:?} for {variables} variables, numbered from 0"
    );
}

/// `C(variables + order - 1, order)`
pub(crate) fn entries(variables: usize, order: usize) -> usize {
    (1..=order).fold(1, |count, k| count * (variables + k - 1) / k)
}

/// Place of a sorted multi-index among those of its order.
pub(crate) fn rank(sorted: &[usize]) -> usize {
    // The multi-indices of order k with no index above i - 1 come before those with last index i.
    sorted.iter().zip(1..).map(|(&index, k)| entries(index, k)).sum()
}

/// Steps to the next sorted multi-index in colexicographic order.
pub(crate) fn advance(index: &mut [usize]) {
    let movable =
        index.windows(2).position(|pair| pair[0] < pair[1]).unwrap_or(index.len().saturating_sub(1));
    if let Some(entry) = index.get_mut(movable) {
        *entry += 1;
        index[..movable].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::{SymmetricTensor, entries, rank};

    #[test]
    fn ranks_number_the_sorted_multi_indices() {
        for variables in 1..5 {
            for order in 1..5 {
                let mut seen = Vec::new();
                let tensor = SymmetricTensor::from_fn(variables, order, |index| {
                    assert!(index.is_sorted() && index.iter().all(|i| *i < variables));
                    assert_eq!(rank(index), seen.len());
                    seen.push(index.to_vec());
                    rank(index) as f64
                });
                assert_eq!(seen.len(), entries(variables, order));
                for (index, value) in tensor.iter() {
                    let reversed: Vec<_> = index.iter().rev().copied().collect();
                    assert_eq!(tensor.get(&reversed), value);
                }
            }
        }
    }
}
