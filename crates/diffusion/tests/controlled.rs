//! Control variates against the law of the chain, which has no sampling error.

use diffusion::{CumulantFlow, Evolution, Prior, law_flow};
use sde_core::gaussian::{GaussianScore, euler_maruyama_variance};
use sde_core::{
    DensityPropagator, EulerMaruyama, Noise, NormalMixture, Reverse, ScoreModel, TimeGrid, TwoPeak,
    VarianceExpanding,
};
use testing::{Comparisons, seed};

const ROWS: usize = 1 << 18;
const STEPS: usize = 400;
const STRIDE: usize = 40;

/// Orders 2, 4 and 6 at ten times, with errors from 256 bins. The error of `kappa_6`, from twelfth powers, is itself uncertain by
/// 30 per cent, which leaves it some 20 degrees of freedom; that of `kappa_8` has hardly any, and only its variance is looked
/// at. Reductions are at least those of a study with the twin's cumulant of the same order as only control: 10,000, 1600 and 130 of
/// `kappa_4` at `t` = 0.9, 0.8 and 0.6, and 540, 118 and 7 of `kappa_8`.
#[test]
fn unbiased_and_far_below_the_noise() {
    let test = Comparisons::of(30);
    let schedule = VarianceExpanding::new(10.0).unwrap();
    let model = TwoPeak::new(1.0, 0.25).unwrap();
    let kappa_2 = model.cumulant(2);
    let grid = TimeGrid::uniform(1.0, 0.0, STEPS).unwrap();
    let prior = Prior::Matched { kappa_2 };
    let start = prior.variance(&schedule, 1.0);

    let run = |score: &(dyn ScoreModel + Sync)| {
        let mut x = prior.draw(&schedule, 1.0, ROWS, 1, &Noise::new(seed(5), 0));
        let mut flow = CumulantFlow::every(&grid, STRIDE);
        Evolution::new(&Reverse { schedule, score }, &EulerMaruyama::new(), &grid, Noise::new(seed(5), 1))
            .run(x.view_mut(), &mut flow)
            .unwrap();
        flow
    };
    let variance = euler_maruyama_variance(&schedule, kappa_2, start, &grid);
    let variances: Vec<f64> = variance.iter().step_by(STRIDE).copied().collect();
    let points = run(&model.score(schedule))
        .controlled(&run(&GaussianScore { schedule, kappa_2 }), &variances)
        .unwrap();

    let (law, _) = law_flow(
        DensityPropagator::default(),
        &Reverse { schedule, score: model.score(schedule) },
        &mut EulerMaruyama::new(),
        &grid,
        &NormalMixture::normal(0.0, start).unwrap(),
    )
    .unwrap();

    assert_eq!(points.len(), 11);
    // At the start the two are the same, and known.
    for order in [4, 6, 8] {
        assert!(points[0].cumulants[order - 1].estimate.value.abs() < 1e-8 * start.powi(order as i32 / 2));
    }
    for point in &points[1..] {
        for (order, degrees) in [(2, 255.0), (4, 255.0), (6, 20.0)] {
            let found = point.cumulants[order - 1];
            let pull = found.estimate.pull(law[point.step].cumulants[order - 1]);
            assert!(
                test.student(pull, degrees),
                "kappa_{order} at t = {}: {found:?}, pull {pull}",
                point.time
            );
        }
    }
    // Medians of 50 seeds are 56 000, 6300, 350, and for the eighth 4600, 600, 57. Of 200 seeds one had a quarter of a median of the fourth;
    // the logarithms of the eighth have a spread of 0.8, five of which the bounds are below.
    for (point, order, least) in
        [(1, 4, 5600.0), (2, 4, 630.0), (4, 4, 35.0), (1, 8, 50.0), (2, 8, 13.0), (4, 8, 1.0)]
    {
        let reduction = points[point].cumulants[order - 1].variance_reduction();
        assert!(reduction > least, "kappa_{order} at {}: {reduction}", points[point].time);
    }
}
