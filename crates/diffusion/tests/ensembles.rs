//! Ensembles of trajectories against exact results, and against themselves cut differently.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use cumulants::Moments;
use diffusion::{CumulantFlow, Evolution, EvolutionError, Prior, draw};
use sde_core::ndarray::Array2;
use sde_core::{
    ChurnHeun, DormandPrince, EulerMaruyama, ExactTransition, Forward, Integrator, Noise, NoiseSchedule,
    ProbabilityFlow, Reverse, ScoreFn, StochasticHeun, TimeGrid, TwoPeak, VarianceExpanding,
    VariancePreserving,
};
use testing::{Comparisons, seed};

fn model() -> TwoPeak {
    TwoPeak::new(1.0, 0.25).unwrap()
}

/// Every cumulant at every time is `kappa_n f^n` (`+ Xi` for `n = 2`) [3.23, 3.24], within errors from 152 bins.
fn forward_flow_is_exact<S: NoiseSchedule + Sync>(schedule: &S, seed: u64) {
    let test = Comparisons::of(808);
    let trajectories = 10_000_000;
    let grid = TimeGrid::uniform(0.0, 1.0, 100).unwrap();
    let mut x = draw(trajectories, 1, &Noise::new(seed, 0), |noise, x| model().fill(noise, x));
    let mut flow = CumulantFlow::every(&grid, 1);
    Evolution::new(&Forward(schedule), &ExactTransition::default(), &grid, Noise::new(seed, 1))
        .run(x.view_mut(), &mut flow)
        .unwrap();
    let points = flow.points();
    assert_eq!(points.len(), 101);
    for point in points {
        let kernel = schedule.transition(0.0, point.time);
        for n in 1..=8 {
            let noise = if n == 2 { kernel.variance } else { 0.0 };
            let exact = model().cumulant(n) * kernel.mean_factor.powi(n as i32) + noise;
            let found = point.cumulants[n as usize - 1];
            assert!(found.error > 0.0);
            assert!(
                test.student(found.pull(exact), 151.0),
                "kappa_{n} at {}: {found} against {exact}",
                point.time
            );
        }
    }
}

#[test]
fn variance_expanding_flow_at_ten_million_trajectories() {
    forward_flow_is_exact(&VarianceExpanding::new(10.0).unwrap(), seed(1));
}

#[test]
fn variance_preserving_flow_at_ten_million_trajectories() {
    forward_flow_is_exact(&VariancePreserving::new(10.0).unwrap(), seed(2));
}

/// Bits of the final batch and of the measured cumulants.
fn bits<P, I>(process: &P, integrator: &I, block_values: usize, threads: usize, sites: usize) -> Vec<u64>
where
    P: Sync,
    I: Integrator<P> + Clone + Sync,
{
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let schedule = VarianceExpanding::new(10.0).unwrap();
        let grid = TimeGrid::asinh(&schedule, 1.0, 0.0, 0.25, 6).unwrap();
        let mut x = Prior::Noise.draw(&schedule, 1.0, 10_007 / sites, sites, &Noise::new(5, 0));
        let mut flow = CumulantFlow::every(&grid, 2);
        Evolution::new(process, integrator, &grid, Noise::new(5, 1))
            .block_values(block_values)
            .run(x.view_mut(), &mut flow)
            .unwrap();
        let measured = flow.points().into_iter().flat_map(|p| p.cumulants.into_iter().chain(p.moments));
        let bits = x.iter().copied().chain(measured.flat_map(|e| [e.value, e.error])).map(f64::to_bits);
        bits.collect()
    })
}

#[test]
fn threads_and_blocks_change_no_bit() {
    fn check<P: Sync, I: Integrator<P> + Clone + Sync>(process: &P, integrator: &I) {
        for sites in [1, 3, 64] {
            let reference = bits(process, integrator, 2048, 1, sites);
            for (block_values, threads) in [(2048, 2), (2048, 3), (1, 2), (5000, 3), (1 << 20, 2)] {
                // Not assert_eq: a failure would print every number.
                assert!(bits(process, integrator, block_values, threads, sites) == reference);
            }
        }
    }
    let schedule = VarianceExpanding::new(10.0).unwrap();
    let score = model().score(schedule);
    let reverse = Reverse { schedule, score };
    check(&reverse, &EulerMaruyama::default());
    check(&reverse, &StochasticHeun::default());
    check(&reverse, &ChurnHeun::default());
    check(&ProbabilityFlow { schedule, score }, &DormandPrince::new(1e-5).unwrap());
}

#[test]
fn backward_process_restores_the_cumulants() {
    // 4e5 trajectories from the matched prior with the exact score, errors from 195 bins; the scheme's own bias is below a
    // tenth of a standard error.
    let test = Comparisons::of(12);
    let expanding = VarianceExpanding::new(10.0).unwrap();
    let preserving = VariancePreserving::new(10.0).unwrap();
    for schedule in [&expanding as &(dyn NoiseSchedule + Sync), &preserving] {
        let start = schedule.time_at(100.0);
        let grid = TimeGrid::asinh(schedule, start, 0.0, 0.25, 100).unwrap();
        let prior = Prior::Matched { kappa_2: model().cumulant(2) };
        let mut x = prior.draw(schedule, start, 400_000, 1, &Noise::new(seed(3), 0));
        let mut flow = CumulantFlow::at_end(&grid);
        let process = Reverse { schedule, score: model().score(schedule) };
        Evolution::new(&process, &ChurnHeun::default(), &grid, Noise::new(seed(3), 1))
            .run(x.view_mut(), &mut flow)
            .unwrap();
        let end = &flow.points()[0];
        for n in [1, 2, 3, 4, 6, 8] {
            let found = end.cumulants[n - 1];
            let pull = found.pull(model().cumulant(n as u32));
            assert!(test.student(pull, 194.0), "kappa_{n}: {found}");
        }
        let total: Moments<8> = flow.last().total();
        assert!((end.cumulants[3].value / total.cumulant(4) - 1.0).abs() < 1e-12);
    }
}

#[test]
fn bad_ensembles_are_refused() {
    let schedule = VarianceExpanding::new(10.0).unwrap();
    let grid = TimeGrid::uniform(1.0, 0.0, 4).unwrap();
    let exact = Reverse { schedule, score: model().score(schedule) };
    let scheme = EulerMaruyama::default();
    let run = |x: &mut Array2<f64>| {
        Evolution::new(&exact, &scheme, &grid, Noise::new(1, 1)).run(x.view_mut(), &mut ())
    };
    assert!(matches!(run(&mut Array2::zeros((0, 1))), Err(EvolutionError::Empty { rows: 0, sites: 1 })));
    let mut x = Array2::zeros((5000, 1));
    x[(4321, 0)] = f64::NAN;
    let error = run(&mut x).unwrap_err();
    assert_eq!(error.to_string(), "trajectory 4321 is not finite at the start");

    let diverging = Reverse { schedule, score: ScoreFn(|x: f64, _t| x * 1e300) };
    let mut x = Array2::from_elem((10, 1), 1.0);
    let error = Evolution::new(&diverging, &scheme, &grid, Noise::new(1, 1)).run(x.view_mut(), &mut ());
    assert!(matches!(error, Err(EvolutionError::NotFinite { place: "at the end", .. })));
}
