//! Everything that takes data, on data of any kind: nothing may panic, and what is returned is what is documented.

use cumulants::distances::{
    chi_squared, chi_squared_two_sample, cramer_von_mises, cramer_von_mises_two_sample, energy_distance,
    kolmogorov_smirnov, kolmogorov_smirnov_two_sample, maximum_mean_discrepancy, median_distance,
    wasserstein_distance,
};
use cumulants::{
    GammaMethod, HermiteSeries, JointMoments, Moments, PairwiseMoments, WeightedMoments, blocking, bootstrap,
    bootstrap_bins, controlled_cumulants, convergence, cumulant_generating, h_statistic, jackknife,
    jackknife_cumulants, k_statistics, legendre_transform, moment_generating, standard_errors,
};
use rand::SeedableRng;
use rand_pcg::Pcg64;

/// Runs everything on these numbers.
pub(crate) fn run(data: &[f64]) {
    let (a, b) = data.split_at(data.len() / 2);
    let b = &b[..a.len()];
    summaries(data);
    errors(data);
    chains(a, b);
    compare(a, b);

    let _ = HermiteSeries::gram_charlier(data).map(|series| series.density(0.5));
    let few = &data[..data.len().min(12)];
    let _ = HermiteSeries::edgeworth(few).map(|series| series.cumulative(0.5));
    let j = data.first().copied().unwrap_or(1.0);
    let _ = (moment_generating(data, j), cumulant_generating(data, j));
    let _ = legendre_transform(|j| cumulant_generating(few, j), j);
}

fn summaries(data: &[f64]) {
    let (left, right) = data.split_at(data.len() / 3);
    let moments = Moments::<8>::of(left).merge(&Moments::of(right));
    assert_eq!(moments.count(), data.len() as u64);
    // Finite moments come from finite data, and only from them.
    assert!(moments.checked().is_err() || data.iter().all(|x| x.is_finite()));
    assert_eq!(
        moments.cumulants().iter().all(|k| k.is_nan()),
        data.is_empty() || !moments.mean().is_finite()
    );
    let few = data.len() < 8;
    assert!(!few || moments.k_statistic(8).is_nan());
    let _ =
        (moments.k_statistics(), moments.h_statistic(4), moments.polykay(&[2, 2]), moments.polykay(&[1, 3]));
    let _ =
        (moments.k_statistic_covariance(4, 4), moments.k_statistic_covariance(1, 7), moments.symmetrised());
    let central: Vec<f64> = (1..=6).map(|k| moments.central_moment(k)).collect();
    assert_eq!(k_statistics(moments.count(), &moments.mean(), &central).is_err(), data.len() < 6);
    assert_eq!(h_statistic(moments.count(), &central, 6).is_err(), data.len() < 6);

    let weighted = WeightedMoments::<4>::of(left, &right[..left.len()]);
    let _ = weighted.map(|m| (m.cumulants(), m.effective_samples(), m.merge(&WeightedMoments::EMPTY)));
    let rows = &data[..data.len() / 3 * 3];
    let joint = JointMoments::of(rows, 3, 4);
    let _ = (joint.cumulants(4), joint.k_statistic(&[0, 1, 2]), joint.polykay(&[&[0, 1], &[1, 2]]));
    let _ = joint.k_statistics(4);

    // What is stored comes back, or is refused.
    let mut pairwise = PairwiseMoments::<4>::new();
    pairwise.extend_from_slice(data);
    if pairwise.total().is_finite() {
        let text = serde_json::to_string(&pairwise).expect("it is plain data");
        let again: PairwiseMoments<4> = serde_json::from_str(&text).expect("it was written by us");
        assert_eq!(again, pairwise);
    }
}

fn errors(data: &[f64]) {
    let rng = &mut Pcg64::seed_from_u64(1);
    assert_eq!(bootstrap::<4, _>(data, 3, rng, |m| m.cumulant(4)).is_err(), data.len() < 2);
    let bins: Vec<Moments<4>> = data.chunks(3).map(Moments::of).collect();
    assert_eq!(jackknife_cumulants(&bins).is_err(), bins.len() < 2);
    let _ = jackknife(&bins, |m| m.cumulant(3) / m.cumulant(2).powf(1.5));
    let _ = bootstrap_bins(&bins, 3, rng, |m| m.cumulant(2));
    let _ = controlled_cumulants(&bins, &bins, &[0.0, 1.0, 0.0, 0.0]);
    let _ = standard_errors(data, &Moments::<4>::of(data));
}

fn chains(a: &[f64], b: &[f64]) {
    let finite = [a, b].concat().iter().all(|x| x.is_finite());
    let method = GammaMethod::default();
    // Finite data can overflow on the way, and then say so.
    if let Ok(mean) = method.mean(&[a, b]) {
        assert!(finite && mean.error >= 0.0 && mean.tau_int > 0.0, "{mean:?}");
    }
    let _ = method.cumulants::<4>(&[a, b]);
    let _ = method.derived(&[a, b], 2, |m| m[0] / m[1]);
    assert_eq!(convergence(&[a, b]).is_ok(), finite && a.len() >= 8);
    let _ = blocking(a);
}

fn compare(a: &[f64], b: &[f64]) {
    let cdf = |x: f64| 0.5 * (1.0 + x.tanh());
    let tests = [
        kolmogorov_smirnov(a, cdf),
        cramer_von_mises(a, cdf),
        kolmogorov_smirnov_two_sample(a, b),
        cramer_von_mises_two_sample(a, b),
        chi_squared(a, b),
        chi_squared_two_sample(a, b),
    ];
    for found in tests.into_iter().flatten() {
        assert!((0.0..=1.0).contains(&found.p_value), "{found:?}");
    }
    let _ = (wasserstein_distance(a, b), energy_distance(a, b), median_distance(a, b, 2));
    let _ = maximum_mean_discrepancy(a, b, 1, 0.7);
}
