//! Folded biases, shared by all blocks of a batch that ask about the same noise level.

use crate::{Folded, FusedMlp};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Entries kept: more than the steps of a usual time grid, which every block runs through anew; 2 MiB for a
/// width of 64.
const CAPACITY: usize = 4096;

/// The biases of the coordinates asked for so far, by the bits of the coordinate.
///
/// A full cache is emptied: an adaptive integrator never asks twice, and a fixed grid fits.
#[derive(Debug, Default)]
pub(crate) struct FoldCache {
    entries: RwLock<HashMap<u64, Arc<Folded>>>,
}

impl FoldCache {
    /// The biases of `net` at `coordinate`. One cache serves one net.
    pub(crate) fn get(&self, net: &FusedMlp, coordinate: f64) -> Arc<Folded> {
        let key = coordinate.to_bits();
        // Entries are complete or absent, so a panic elsewhere leaves nothing broken behind.
        if let Some(folded) = self.entries.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(folded);
        }
        let folded = Arc::new(net.fold(coordinate));
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= CAPACITY {
            entries.clear();
        }
        entries.insert(key, Arc::clone(&folded));
        folded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mlp, MlpConfig};
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    #[test]
    fn entries_are_shared_right_and_bounded() {
        let config = MlpConfig { width: 16, ..MlpConfig::residual() };
        let net = FusedMlp::new(Mlp::new(config, &mut Pcg64::seed_from_u64(1)).unwrap());
        let cache = FoldCache::default();
        assert!(Arc::ptr_eq(&cache.get(&net, 0.5), &cache.get(&net, 0.5)));
        for i in 0..=CAPACITY {
            let coordinate = i as f64 / 100.0;
            assert_eq!(*cache.get(&net, coordinate), net.fold(coordinate));
        }
        assert!(cache.entries.read().unwrap().len() <= CAPACITY);
    }
}
