//! The canonical accumulation: independent of the cutting, equal to the binary tree it is defined by.

use cumulants::{BINS, LEAF, Moments, PairwiseMoments};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

fn data(n: usize) -> Vec<f64> {
    let mut rng = Pcg64::seed_from_u64(n as u64);
    (0..n).map(|_| rng.random::<f64>().powi(3)).collect()
}

/// Cheap distinct leaves.
fn leaves(n: usize) -> Vec<Moments<4>> {
    data(4 * n).chunks(4).map(Moments::of).collect()
}

fn pushed(leaves: &[Moments<4>]) -> PairwiseMoments<4> {
    let mut all = PairwiseMoments::new();
    for leaf in leaves {
        all.push(*leaf);
    }
    all
}

/// The definition: a left subtree of the largest power of two below the number of leaves.
fn tree(leaves: &[Moments<4>]) -> Moments<4> {
    match leaves {
        [] => Moments::EMPTY,
        [leaf] => *leaf,
        _ => {
            let left = leaves.len().next_power_of_two() / 2;
            tree(&leaves[..left]).merge(&tree(&leaves[left..]))
        }
    }
}

#[test]
fn total_is_the_binary_tree_over_leaf_indices() {
    let leaves = leaves(300);
    for n in 0..=leaves.len() {
        assert_eq!(pushed(&leaves[..n]).total(), tree(&leaves[..n]), "{n} leaves");
    }
}

#[test]
fn bins_are_the_subtrees_of_one_level() {
    let leaves = leaves(3000);
    for n in [1, 2, 255, 256, 257, 258, 511, 512, 513, 514, 1024, 1025, 1027, 2999, 3000] {
        let all = pushed(&leaves[..n]);
        // One leaf per bin up to BINS leaves, then doubled each time BINS complete bins are exceeded.
        let mut width = 1;
        while n / width > BINS {
            width *= 2;
        }
        let expected: Vec<_> = leaves[..n].chunks(width).map(tree).collect();
        assert_eq!(all.bins(), expected, "{n} leaves");
        let counted: u64 = all.bins().iter().map(Moments::count).sum();
        assert_eq!(counted, all.total().count());
        assert!(n < BINS || n / width >= BINS / 2);
    }
}

#[test]
fn empty_leaves_are_ignored() {
    let mut all = PairwiseMoments::<4>::new();
    assert!(all.bins().is_empty());
    all.push(Moments::EMPTY);
    all.extend_from_slice(&[]);
    assert_eq!(all, PairwiseMoments::new());
    assert_eq!((all.leaves(), all.total()), (0, Moments::EMPTY));
}

#[test]
fn storage_keeps_every_bit_and_refuses_damage() {
    for n in [0, 1, 77, 600] {
        let moments = pushed(&leaves(n));
        let text = serde_json::to_string(&moments).unwrap();
        let mut again: PairwiseMoments<4> = serde_json::from_str(&text).unwrap();
        assert_eq!(again, moments);
        // It goes on as if nothing had happened.
        let mut moments = moments;
        for leaf in leaves(5) {
            again.push(leaf);
            moments.push(leaf);
        }
        assert_eq!(again, moments);
    }
    let text = serde_json::to_string(&pushed(&leaves(5))).unwrap();
    for (from, to, complaint) in [
        ("\"leaves\":5", "\"leaves\":7", "subtrees: 2, 7 leaves make 3"),
        ("\"bin_level\":0", "\"bin_level\":1", "bins: 5 of 2^1 leaves each, 5 leaves make 2"),
        ("\"count\":", "\"count\":0,\"was\":", "count: 0, but mean and sums are not all zero"),
    ] {
        assert!(text.contains(from), "{text}");
        let error = serde_json::from_str::<PairwiseMoments<4>>(&text.replace(from, to)).unwrap_err();
        assert!(error.to_string().contains(complaint), "{error}");
    }
}

#[test]
fn rounding_stays_small_for_long_data() {
    // 1 and 2 in turn: mean 3/2, central moments 2^-k for even k, with an offset of a million.
    let long: Vec<f64> = (0..1_000_001_u32).map(|i| 1e6 + f64::from(i % 2)).collect();
    let mut all = PairwiseMoments::<8>::new();
    all.extend_from_slice(&long[..1_000_000]);
    let total = all.total();
    assert!((total.mean() - 1_000_000.5).abs() < 1e-9);
    for (k, scale) in [(2, 4.0), (4, 16.0), (6, 64.0), (8, 256.0)] {
        assert!((total.central_moment(k) * scale - 1.0).abs() < 1e-12, "order {k}");
    }
}

proptest! {
    /// Leaves computed by any number of workers, in any pieces and order, pushed by index.
    #[test]
    fn any_split_gives_the_same_bits(
        n in 1_usize..40_000,
        cuts in prop::collection::vec(0_usize..40, 0..6),
    ) {
        let data = data(n);
        let mut whole = PairwiseMoments::<8>::new();
        whole.extend_from_slice(&data);

        // Pieces of whole leaves, each cut by its own call.
        let mut cuts: Vec<usize> = cuts.iter().map(|c| (c * LEAF).min(n)).collect();
        cuts.sort_unstable();
        let mut pieces = PairwiseMoments::new();
        let mut start = 0;
        for end in cuts.iter().copied().chain([n]) {
            pieces.extend_from_slice(&data[start..end]);
            start = end;
        }
        prop_assert_eq!(&whole, &pieces);

        // Leaves computed last to first.
        let count = n.div_ceil(LEAF);
        let mut computed: Vec<_> = (0..count)
            .rev()
            .map(|i| (i, Moments::of(&data[i * LEAF..n.min((i + 1) * LEAF)])))
            .collect();
        computed.sort_by_key(|(i, _)| *i);
        let mut collected = PairwiseMoments::new();
        for (_, leaf) in computed {
            collected.push(leaf);
        }
        prop_assert_eq!(whole.total(), collected.total());
        prop_assert_eq!(whole.bins(), collected.bins());
    }
}

proptest! {
    /// Up to four pieces, of which only the last may be shorter, cut at the alignment of the longest.
    #[test]
    fn pieces_are_appended_as_if_every_leaf_were_pushed(
        units in 1u64..2000,
        pieces in 1usize..5,
        rest in 0usize..700,
    ) {
        let unit = PairwiseMoments::<4>::alignment(units);
        let size = units.next_multiple_of(unit) as usize;
        let leaves = leaves(size * pieces + rest.min(size));
        let mut all = PairwiseMoments::new();
        for piece in leaves.chunks(size) {
            all.append(&pushed(piece)).unwrap();
        }
        prop_assert_eq!(all, pushed(&leaves));
    }

    /// Any number of pieces, of which none needs many words.
    #[test]
    fn subtrees_of_pieces_are_those_of_the_whole(
        units in 1u64..700,
        pieces in 1usize..40,
        rest in 0usize..700,
    ) {
        let unit = PairwiseMoments::<4>::alignment(units);
        let size = units.next_multiple_of(unit) as usize;
        let leaves = leaves(size * pieces + rest.min(size));
        let total = leaves.len() as u64;
        let mut subtrees = Vec::new();
        for (number, piece) in leaves.chunks(size).enumerate() {
            let found = pushed(piece).subtrees((number * size) as u64, total).unwrap();
            let bins = piece.len() * BINS / leaves.len();
            prop_assert!(found.len() <= 2 * bins + 2 * piece.len().ilog2() as usize + 2, "{} of {}", found.len(), piece.len());
            subtrees.extend(found);
        }
        prop_assert_eq!(PairwiseMoments::of_subtrees(total, subtrees).unwrap(), pushed(&leaves));
    }
}

#[test]
fn subtrees_that_do_not_follow_each_other_are_refused() {
    let leaves = leaves(1400);
    let [left, right] = [0, 700].map(|from| pushed(&leaves[from..from + 700]));
    assert!(right.subtrees(702, 1402).is_err(), "bins of four leaves");
    assert!(right.subtrees(0, 10).is_err(), "more than the whole");
    let subtrees = [left.subtrees(0, 1400).unwrap(), right.subtrees(700, 1400).unwrap()];
    let joined = |order: &[usize], total| {
        PairwiseMoments::of_subtrees(total, order.iter().flat_map(|part| subtrees[*part].clone()))
    };
    assert_eq!(joined(&[0, 1], 1400).unwrap(), pushed(&leaves));
    for (order, total) in
        [(&[1, 0][..], 1400), (&[0], 1400), (&[1, 1], 1400), (&[0, 1], 1401), (&[0, 1], 700)]
    {
        assert!(joined(order, total).is_err(), "{order:?} {total}");
    }
    assert!(PairwiseMoments::of_subtrees(1, [(64, Moments::<4>::of(&[1.0]))]).is_err());
}

#[test]
fn pieces_that_were_cut_elsewhere_are_refused() {
    let leaves = leaves(2000);
    let long = pushed(&leaves[..1000]);
    assert_eq!(PairwiseMoments::<4>::alignment(1000), 4);
    for before in [3, 1001, 8] {
        let mut all = pushed(&leaves[..before]);
        let error = all.append(&long).unwrap_err();
        assert_eq!((error.leaves, error.next, error.unit), (before as u64, 1000, 4));
        assert_eq!(all, pushed(&leaves[..before]));
    }
}
