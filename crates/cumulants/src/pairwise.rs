//! A summary of long data that does not depend on how the data were cut.
//!
//! Floating-point sums depend on their order, so the order is made part of the definition. Data are
//! summarised in *leaves* of [`LEAF`] values, and leaves `0, 1, 2, ..` are merged as a binary tree over their
//! index: a binary counter holds one complete subtree per set bit of the number of leaves. Whoever computed
//! a leaf, on whichever thread, the result is the same bit for bit. Memory is `O(log n)` and rounding
//! errors grow like `log n`.
//!
//! The complete subtrees of one level are also bins of equal size, which is what error estimates need, so
//! they are kept.

use serde::{Deserialize, Serialize};

use crate::Moments;

/// Number of values in a leaf: 8 KiB, so that both passes of [`Moments::of`] run in the first-level cache,
/// and enough values that merging costs little.
pub const LEAF: usize = 1024;

/// Largest number of complete bins kept by [`PairwiseMoments`].
pub const BINS: usize = 256;

/// Moments to order `N` of a sequence of leaves, with bins for error estimates.
///
/// ```
/// use cumulants::{Moments, PairwiseMoments, jackknife_cumulants, LEAF};
///
/// let data: Vec<f64> = (0..5000).map(|i| f64::from(i * i % 97)).collect();
/// let mut all = PairwiseMoments::<4>::new();
/// all.extend_from_slice(&data);
///
/// // The same from leaves computed elsewhere, pushed in order.
/// let leaves: Vec<_> = data.chunks(LEAF).map(Moments::of).collect();
/// let mut again = PairwiseMoments::new();
/// for leaf in leaves {
///     again.push(leaf);
/// }
/// assert_eq!(all.total(), again.total());
///
/// let errors = jackknife_cumulants(&all.bins())?;
/// assert_eq!(errors[0].value, all.total().mean());
/// # Ok::<(), cumulants::ErrorEstimateError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored<N>")]
pub struct PairwiseMoments<const N: usize> {
    /// Complete subtrees, one per set bit of `leaves`, the largest first.
    subtrees: Vec<Moments<N>>,
    leaves: u64,
    /// Complete subtrees of `2^bin_level` leaves, in order.
    bins: Vec<Moments<N>>,
    bin_level: u32,
}

impl<const N: usize> PairwiseMoments<N> {
    /// A summary of no data.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the next leaf. An empty leaf is ignored.
    ///
    /// Leaves need not hold exactly [`LEAF`] values, but the result is canonical only if everyone cuts the
    /// data at the same places.
    pub fn push(&mut self, leaf: Moments<N>) {
        if leaf.count() > 0 {
            self.push_subtree(leaf, 0);
        }
    }

    /// Appends a complete subtree of `2^level` leaves, to whole subtrees of that size.
    fn push_subtree(&mut self, subtree: Moments<N>, mut level: u32) {
        let (mut node, leaves) = (subtree, 1 << level);
        self.keep_bin(level, node);
        // Each one of the counter from there on is a finished left sibling.
        while (self.leaves >> level) & 1 == 1 {
            if let Some(left) = self.subtrees.pop() {
                node = left.merge(&node);
            }
            level += 1;
            self.keep_bin(level, node);
        }
        self.subtrees.push(node);
        self.leaves += leaves;
    }

    /// Appends the leaves that `next` has seen, with the same result, bit for bit, as if each had been pushed: the summary of
    /// data whose pieces were summarised elsewhere.
    ///
    /// Of long data single leaves are forgotten, so that the pieces must be cut where subtrees end: `self` must hold a multiple of
    /// [`alignment`](Self::alignment) leaves for what `next` holds, and at least as many as `next`, or none.
    ///
    /// ```
    /// use cumulants::PairwiseMoments;
    ///
    /// let data: Vec<f64> = (0..1_000_000).map(|i| f64::from(i % 1009)).collect();
    /// let summary = |data: &[f64]| {
    ///     let mut moments = PairwiseMoments::<4>::new();
    ///     moments.extend_from_slice(data);
    ///     moments
    /// };
    /// let cut = 512 * cumulants::LEAF;
    /// let mut both = summary(&data[..cut]);
    /// both.append(&summary(&data[cut..]))?;
    /// assert_eq!(both, summary(&data));
    /// # Ok::<(), cumulants::AppendError>(())
    /// ```
    ///
    /// # Errors
    /// [`AppendError`] for pieces that were cut elsewhere; `self` is unchanged.
    pub fn append(&mut self, next: &Self) -> Result<(), AppendError> {
        let (unit, fewer) = (1 << next.bin_level, self.leaves > 0 && self.bin_level < next.bin_level);
        if !self.leaves.is_multiple_of(unit) || fewer {
            return Err(AppendError { leaves: self.leaves, next: next.leaves, unit });
        }
        if self.leaves == 0 {
            self.bin_level = next.bin_level;
        }
        for (level, node) in next.nodes() {
            self.push_subtree(node, level);
        }
        Ok(())
    }

    /// What this piece of long data has to say to the whole, in the fewest words: the subtrees of the whole that lie in it, in order,
    /// each with its level.
    ///
    /// The piece begins with leaf number `first` of `total`, a multiple of [`alignment`](Self::alignment). There are no more subtrees
    /// than twice the levels of the tree, unless the piece is more than a bin of the whole.
    ///
    /// ```
    /// use cumulants::{LEAF, PairwiseMoments};
    ///
    /// let data: Vec<f64> = (0..600 * LEAF).map(|i| (i % 1009) as f64).collect();
    /// let summary = |data: &[f64]| {
    ///     let mut moments = PairwiseMoments::<4>::new();
    ///     moments.extend_from_slice(data);
    ///     moments
    /// };
    /// let mut subtrees = summary(&data[..200 * LEAF]).subtrees(0, 600)?;
    /// subtrees.extend(summary(&data[200 * LEAF..]).subtrees(200, 600)?);
    /// assert_eq!(PairwiseMoments::of_subtrees(600, subtrees)?, summary(&data));
    /// # Ok::<(), cumulants::AppendError>(())
    /// ```
    ///
    /// # Errors
    /// [`AppendError`] for a piece that does not begin where its own bins do in the whole.
    pub fn subtrees(&self, first: u64, total: u64) -> Result<Vec<(u32, Moments<N>)>, AppendError> {
        let (unit, highest) = (1 << self.bin_level, bin_level(total));
        if !first.is_multiple_of(unit) || self.bin_level > highest {
            return Err(AppendError { leaves: first, next: self.leaves, unit });
        }
        let mut found: Vec<(u32, Moments<N>)> = Vec::new();
        let mut end = first;
        for (mut level, mut node) in self.nodes() {
            end += 1 << level;
            // A right child, with its left sibling beside it.
            while level < highest && (end >> level) & 1 == 0 {
                match found.pop_if(|(last, _)| *last == level) {
                    Some((_, left)) => (level, node) = (level + 1, left.merge(&node)),
                    None => break,
                }
            }
            found.push((level, node));
        }
        Ok(found)
    }

    /// The summary of `total` leaves, of the [`subtrees`](Self::subtrees) of all pieces in order: the same, bit for bit, as if each leaf
    /// had been pushed.
    ///
    /// # Errors
    /// [`AppendError`] for subtrees that do not follow each other, or are not all of `total` leaves.
    pub fn of_subtrees(
        total: u64,
        subtrees: impl IntoIterator<Item = (u32, Moments<N>)>,
    ) -> Result<Self, AppendError> {
        let mut all = Self { bin_level: bin_level(total), ..Self::default() };
        for (level, subtree) in subtrees {
            let unit = 1_u64.checked_shl(level).unwrap_or(u64::MAX);
            if level > all.bin_level || !all.leaves.is_multiple_of(unit) {
                return Err(AppendError { leaves: all.leaves, next: unit, unit });
            }
            all.push_subtree(subtree, level);
        }
        if all.leaves == total {
            Ok(all)
        } else {
            Err(AppendError { leaves: all.leaves, next: total.saturating_sub(all.leaves), unit: 1 })
        }
    }

    /// Bins, and the subtrees of the unfinished one, in order and with their levels.
    fn nodes(&self) -> impl Iterator<Item = (u32, Moments<N>)> {
        let below = self.leaves & ((1 << self.bin_level) - 1);
        let unfinished = &self.subtrees[self.subtrees.len() - below.count_ones() as usize..];
        let levels = (0..self.bin_level).rev().filter(move |level| (below >> level) & 1 == 1);
        let bins = self.bins.iter().map(|bin| (self.bin_level, *bin));
        bins.chain(levels.zip(unfinished.iter().copied()))
    }

    /// Number of leaves that a piece of `leaves` leaves must start at a multiple of, to be appended.
    pub fn alignment(leaves: u64) -> u64 {
        leaves.div_ceil(BINS as u64).next_power_of_two()
    }

    /// Cuts `samples` into leaves of [`LEAF`] values and appends them, the remainder as a shorter leaf.
    ///
    /// Each call starts a new leaf. Calls with pieces of any multiple of [`LEAF`] values therefore give the
    /// same result as one call with all of them.
    pub fn extend_from_slice(&mut self, samples: &[f64]) {
        for leaf in samples.chunks(LEAF) {
            self.push(Moments::of(leaf));
        }
    }

    /// Moments of all data so far.
    pub fn total(&self) -> Moments<N> {
        merge_from_right(&self.subtrees)
    }

    /// Number of (non-empty) leaves so far.
    pub fn leaves(&self) -> u64 {
        self.leaves
    }

    /// Moments of consecutive pieces of the data, in order: together they are all of it.
    ///
    /// Up to [`BINS`] complete bins of `2^b` leaves each, then the unfinished bin if there is one, which is
    /// smaller. The bin size `2^b` starts at one leaf and doubles, neighbours being merged, whenever
    /// [`BINS`] bins are full; so long data have between 128 and 256 complete bins, and the relative
    /// uncertainty of an error estimated from them is 4 to 6 %. The [`jackknife`](crate::jackknife()) weights
    /// the smaller last bin by its count.
    pub fn bins(&self) -> Vec<Moments<N>> {
        let mut bins = self.bins.clone();
        // Subtrees below the bin level are the unfinished bin.
        let below = self.leaves & ((1 << self.bin_level) - 1);
        let unfinished = &self.subtrees[self.subtrees.len() - below.count_ones() as usize..];
        if !unfinished.is_empty() {
            bins.push(merge_from_right(unfinished));
        }
        bins
    }

    /// Records a finished subtree if it is a bin.
    fn keep_bin(&mut self, level: u32, node: Moments<N>) {
        if level != self.bin_level {
            return;
        }
        if self.bins.len() < BINS {
            self.bins.push(node);
            return;
        }
        // The node is the first half of a bin of the doubled size and is recorded with its sibling.
        self.bins = self.bins.chunks(2).map(|pair| pair[0].merge(&pair[1])).collect();
        self.bin_level += 1;
    }
}

/// Two pieces of data were cut where they cannot be put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{next} leaves after {leaves}: the latter must be a multiple of {unit}, and not fewer than the former"
)]
pub struct AppendError {
    /// Leaves so far.
    pub leaves: u64,
    /// Leaves to be appended.
    pub next: u64,
    /// Leaves in a bin of those.
    pub unit: u64,
}

/// The level of the bins of so many leaves: `2^level` leaves in each.
fn bin_level(leaves: u64) -> u32 {
    let mut level = 0;
    while leaves >> level > BINS as u64 {
        level += 1;
    }
    level
}

fn merge_from_right<const N: usize>(subtrees: &[Moments<N>]) -> Moments<N> {
    subtrees.iter().rev().fold(Moments::EMPTY, |right, left| left.merge(&right))
}

/// What is stored, before it has been checked.
#[derive(Deserialize)]
struct Stored<const N: usize> {
    subtrees: Vec<Moments<N>>,
    leaves: u64,
    bins: Vec<Moments<N>>,
    bin_level: u32,
}

/// A stored summary that cannot have come from leaves.
#[derive(Debug, thiserror::Error)]
enum StoredError {
    #[error("subtrees: {found}, {leaves} leaves make {}", leaves.count_ones())]
    Subtrees { found: usize, leaves: u64 },
    #[error(
        "bins: {found} of 2^{level} leaves each, {leaves} leaves make {expected}, of which {BINS} can be kept"
    )]
    Bins { found: usize, level: u32, leaves: u64, expected: u64 },
    #[error("bin_level: {level}, with fewer than half of {BINS} bins")]
    Level { level: u32 },
    #[error("subtrees and bins: one has fewer values than leaves")]
    Empty,
    #[error("bins: {found} values, the subtrees of their leaves have {expected}")]
    Values { found: u64, expected: u64 },
}

impl<const N: usize> TryFrom<Stored<N>> for PairwiseMoments<N> {
    type Error = StoredError;

    fn try_from(stored: Stored<N>) -> Result<Self, StoredError> {
        let Stored { subtrees, leaves, bins, bin_level } = stored;
        if subtrees.len() != leaves.count_ones() as usize {
            return Err(StoredError::Subtrees { found: subtrees.len(), leaves });
        }
        let expected = leaves.checked_shr(bin_level).unwrap_or(0);
        if bins.len() as u64 != expected || bins.len() > BINS {
            return Err(StoredError::Bins { found: bins.len(), level: bin_level, leaves, expected });
        }
        // Bins are doubled when there are too many, never before.
        if bin_level > 0 && bins.len() < BINS / 2 {
            return Err(StoredError::Level { level: bin_level });
        }
        // A subtree of `2^k` leaves for every bit `k` that is set, the largest first.
        let levels = (0..u64::BITS).rev().filter(|level| leaves >> level & 1 == 1);
        let sizes = levels.chain(bins.iter().map(|_| bin_level));
        if sizes.zip(subtrees.iter().chain(&bins)).any(|(level, moments)| moments.count() >> level == 0) {
            return Err(StoredError::Empty);
        }
        let values = |summaries: &[Moments<N>]| summaries.iter().map(Moments::count).sum::<u64>();
        let in_bins = expected.count_ones() as usize;
        let (found, expected) = (values(&bins), values(&subtrees[..in_bins]));
        if found != expected {
            return Err(StoredError::Values { found, expected });
        }
        Ok(Self { subtrees, leaves, bins, bin_level })
    }
}
