//! Partitions: the combinatorics from which every estimator of this crate is generated.
//!
//! A product of power sums over the rows of a sample splits by which rows coincide, so that sums over
//! partitions turn moments into cumulants and power sums into sums over distinct rows. Partitions of a *set*
//! serve several variables. For one variable only the sizes matter; then it is enough to list multisets of
//! vectors (how many elements of each group a block holds) with the number of set partitions behind each.

use num_traits::Num;

/// All partitions of the set `0..n` into blocks of at least `smallest` elements, each block a bit mask.
///
/// `n <= 32`, which no sum over partitions can reach.
pub(crate) fn set_partitions(n: usize, smallest: u32) -> Vec<Vec<u32>> {
    fn extend(rest: u32, smallest: u32, blocks: &mut Vec<u32>, found: &mut Vec<Vec<u32>>) {
        if rest == 0 {
            found.push(blocks.clone());
            return;
        }
        // The block of the lowest element left: that element and any subset of the others.
        let lowest = rest & rest.wrapping_neg();
        let others = rest ^ lowest;
        let mut subset = others;
        loop {
            if subset.count_ones() + 1 >= smallest {
                blocks.push(lowest | subset);
                extend(others ^ subset, smallest, blocks, found);
                blocks.pop();
            }
            if subset == 0 {
                return;
            }
            subset = (subset - 1) & others;
        }
    }
    let mut found = Vec::new();
    extend(((1_u64 << n) - 1) as u32, smallest, &mut Vec::new(), &mut found);
    found
}

/// All multisets of vectors that add up to `total`, each vector with entries adding up to at least
/// `smallest >= 1`; vectors of a multiset in non-increasing lexicographic order.
///
/// With one entry these are the partitions of an integer.
pub(crate) fn vector_partitions(total: &[usize], smallest: usize) -> Vec<Vec<Vec<usize>>> {
    fn extend(
        rest: &[usize],
        largest: &[usize],
        smallest: usize,
        blocks: &mut Vec<Vec<usize>>,
        found: &mut Vec<Vec<Vec<usize>>>,
    ) {
        if rest.iter().all(|&left| left == 0) {
            found.push(blocks.clone());
            return;
        }
        let mut block = rest.to_vec();
        loop {
            if block.as_slice() <= largest && block.iter().sum::<usize>() >= smallest {
                let left: Vec<usize> = rest.iter().zip(&block).map(|(r, b)| r - b).collect();
                blocks.push(block.clone());
                extend(&left, &block, smallest, blocks, found);
                blocks.pop();
            }
            if !step_down(&mut block, rest) {
                return;
            }
        }
    }
    let mut found = Vec::new();
    extend(total, total, smallest, &mut Vec::new(), &mut found);
    found
}

/// The next lower vector between zero and `top`, in lexicographic order; false after zero.
fn step_down(vector: &mut [usize], top: &[usize]) -> bool {
    for (entry, &largest) in vector.iter_mut().zip(top).rev() {
        if *entry > 0 {
            *entry -= 1;
            return true;
        }
        *entry = largest;
    }
    false
}

/// Number of set partitions behind a multiset of vectors: `prod total_i! / (prod blocks prod b_i! x prod
/// multiplicities!)`. Equal vectors are neighbours, as [`vector_partitions`] lists them.
pub(crate) fn set_partition_count<T: Clone + Num>(
    total: &[usize],
    blocks: &[Vec<usize>],
    factorials: &[T],
) -> T {
    let ways = total.iter().fold(T::one(), |product, &n| product * factorials[n].clone());
    let same = blocks.chunk_by(|a, b| a == b).map(<[_]>::len);
    let repeats = blocks.iter().flatten().copied().chain(same);
    ways / repeats.fold(T::one(), |product, n| product * factorials[n].clone())
}

/// `0!, 1!, .., n!`
pub(crate) fn factorials<T: Clone + Num>(n: usize) -> Vec<T> {
    let mut table = vec![T::one()];
    let mut next = T::zero();
    for k in 0..n {
        next = next + T::one();
        table.push(table[k].clone() * next.clone());
    }
    table
}

/// Stirling numbers of the second kind: `[n][m]` is the number of partitions of `n` elements into `m`
/// blocks, `0 <= m, n <= order`.
pub(crate) fn stirling_second<T: Clone + Num>(order: usize) -> Vec<Vec<T>> {
    let mut table = vec![vec![T::zero(); order + 1]; order + 1];
    table[0][0] = T::one();
    for n in 1..=order {
        let mut blocks = T::zero();
        for m in 1..=n {
            blocks = blocks + T::one();
            // Element n joins one of m blocks or opens its own.
            table[n][m] = blocks.clone() * table[n - 1][m].clone() + table[n - 1][m - 1].clone();
        }
    }
    table
}

/// Signed Stirling numbers of the first kind: `x (x-1) .. (x-n+1) = sum_k [n][k] x^k`, `0 <= k, n <= order`.
pub(crate) fn stirling_first<T: Clone + Num>(order: usize) -> Vec<Vec<T>> {
    let mut table = vec![vec![T::zero(); order + 1]; order + 1];
    table[0][0] = T::one();
    let mut last = T::zero();
    for n in 1..=order {
        for k in 1..=n {
            table[n][k] = table[n - 1][k - 1].clone() - last.clone() * table[n - 1][k].clone();
        }
        last = last + T::one();
    }
    table
}

/// The number `n` in any number type, by doubling.
pub(crate) fn integer<T: Clone + Num>(n: u64) -> T {
    (0..u64::BITS - n.leading_zeros()).rev().fold(T::zero(), |value, bit| {
        let twice = value.clone() + value;
        if (n >> bit) & 1 == 1 { twice + T::one() } else { twice }
    })
}

#[cfg(test)]
mod tests {
    use super::{
        factorials, integer, set_partition_count, set_partitions, stirling_second, vector_partitions,
    };

    #[test]
    fn counts_are_the_bell_and_partition_numbers() {
        let bell = [1, 1, 2, 5, 15, 52, 203, 877, 4140];
        let without_singletons = [1, 0, 1, 1, 4, 11, 41, 162, 715];
        let integers = [1, 1, 2, 3, 5, 7, 11, 15, 22];
        for n in 0..=8 {
            assert_eq!(set_partitions(n, 1).len(), bell[n]);
            assert_eq!(set_partitions(n, 2).len(), without_singletons[n]);
            assert_eq!(vector_partitions(&[n], 1).len(), integers[n]);
            assert_eq!(stirling_second::<usize>(8)[n].iter().sum::<usize>(), bell[n]);
        }
    }

    #[test]
    fn blocks_cover_the_set_once() {
        for blocks in set_partitions(6, 2) {
            assert_eq!(blocks.iter().fold(0, |all, block| all | block), 0b11_1111);
            assert_eq!(blocks.iter().map(|block| block.count_ones()).sum::<u32>(), 6);
        }
    }

    #[test]
    fn vector_partitions_stand_for_all_set_partitions() {
        let factorials = factorials::<u64>(8);
        for (total, smallest, count) in
            [(&[8][..], 2, 715), (&[4, 4], 2, 715), (&[2, 2, 2, 2], 1, 4140), (&[3, 0, 2], 1, 52)]
        {
            let counted: u64 = vector_partitions(total, smallest)
                .iter()
                .map(|blocks| set_partition_count(total, blocks, &factorials))
                .sum();
            assert_eq!(counted, count, "{total:?}");
        }
    }

    #[test]
    fn integers_of_any_type() {
        for n in [0, 1, 2, 3, 1000, (1 << 53) - 1] {
            assert_eq!(integer::<f64>(n), n as f64);
            assert_eq!(integer::<u64>(n), n);
        }
    }
}
