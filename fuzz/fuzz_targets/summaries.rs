//! Bytes as stored summaries of data.
#![no_main]

use cumulants::{JointMoments, Moments, PairwiseMoments, WeightedMoments, jackknife_cumulants};
use diffusion::Histogram;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let data = [0.5, -1.0, 2.0];
    if let Ok(found) = serde_json::from_slice::<Moments<4>>(bytes) {
        let _ = found.merge(&Moments::of(&data)).merge(&found).cumulants();
    }
    if let Ok(found) = serde_json::from_slice::<WeightedMoments<4>>(bytes) {
        let _ = found.merge(&found).cumulants();
    }
    if let Ok(found) = serde_json::from_slice::<JointMoments>(bytes) {
        let _ = found.merge(&found).is_finite();
    }
    if let Ok(mut found) = serde_json::from_slice::<PairwiseMoments<4>>(bytes) {
        let _ = (found.total(), jackknife_cumulants(&found.bins()));
        found.extend_from_slice(&data);
        let _ = (found.total(), jackknife_cumulants(&found.bins()));
    }
    if let Ok(mut found) = serde_json::from_slice::<Histogram>(bytes) {
        found.add(&data);
        let _ = (found.density(), found.edges());
    }
});
