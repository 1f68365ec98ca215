//! Control variates on a lattice, with a twin that knows the propagator mode by mode.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use diffusion::{CumulantFlow, Evolution, law_flow};
use lattice_phi4::{Lattice, SpectralScore, Spectrum};
use sde_core::gaussian::forward_variance;
use sde_core::{
    Batch, BatchMut, DensityPropagator, EulerMaruyama, EvalError, Noise, NoiseSchedule, NormalMixture,
    Reverse, ScoreModel, TimeGrid, TwoPeak, VarianceExpanding,
};
use testing::{Comparisons, seed};

const EXTENT: usize = 8;
const VOLUME: f64 = (EXTENT * EXTENT) as f64;
const MAGNETISATION: f64 = 0.6;
const ROWS: usize = 1 << 13;
const STEPS: usize = 200;
const STRIDE: usize = 20;

/// The score of a free field shifted by `+M` or `-M` everywhere, each with probability one half. Modes other than the zero
/// mode are free, and the zero mode is a two-peak model: `sqrt(V) m` has peaks at `+-sqrt(V) M` of variance `G(0)`. At one site
/// all cumulants above the second are those of `m`.
struct TwoSigns<S> {
    free: SpectralScore<S>,
    schedule: S,
    g0: f64,
}

impl<S: NoiseSchedule> ScoreModel for TwoSigns<S> {
    fn score(&self, x: Batch<'_>, t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
        self.free.score(x, t, out.view_mut())?;
        let stiffness = 1.0 / forward_variance(&self.schedule, self.g0, t);
        for (x, mut out) in x.outer_iter().zip(out.outer_iter_mut()) {
            out += stiffness * MAGNETISATION * (stiffness * MAGNETISATION * x.sum()).tanh();
        }
        Ok(())
    }
}

/// Two orders at ten times, with errors from 256 bins. That of `kappa_6` is itself uncertain, and has some 20 degrees of freedom. The
/// variance of `kappa_4` falls by a factor of hundreds where the noise is ten times the field.
#[test]
fn a_spectral_twin_takes_the_noise_away() {
    let test = Comparisons::of(20);
    let schedule = VarianceExpanding::new(10.0).unwrap();
    let lattice = Lattice::new(&[EXTENT, EXTENT]).unwrap();
    let free = Spectrum::free(&lattice, 0.2).unwrap();
    let g0 = free.variances()[0];
    // The same propagator as the two signs together have.
    let mut variances = free.variances().to_vec();
    variances[0] += VOLUME * MAGNETISATION * MAGNETISATION;
    let spectrum = Spectrum::new(&lattice, 0.0, variances).unwrap();

    let grid = TimeGrid::uniform(1.0, 0.0, STEPS).unwrap();
    let run = |score: &(dyn ScoreModel + Sync)| {
        let mut x = spectrum.draw(&schedule, 1.0, ROWS, &Noise::new(seed(3), 0));
        let mut flow = CumulantFlow::every(&grid, STRIDE);
        Evolution::new(&Reverse { schedule, score }, &EulerMaruyama::new(), &grid, Noise::new(seed(3), 1))
            .run(x.view_mut(), &mut flow)
            .unwrap();
        flow
    };
    let exact_variances = spectrum.euler_maruyama_variances(&schedule, &grid);
    let measured: Vec<f64> = exact_variances.iter().step_by(STRIDE).copied().collect();
    let model = TwoSigns { free: SpectralScore::new(&free, schedule), schedule, g0 };
    let points = run(&model).controlled(&run(&SpectralScore::new(&spectrum, schedule)), &measured).unwrap();

    let zero_mode = TwoPeak::new(MAGNETISATION * VOLUME.sqrt(), g0.sqrt()).unwrap();
    let (law, _) = law_flow(
        DensityPropagator::default(),
        &Reverse { schedule, score: zero_mode.score(schedule) },
        &mut EulerMaruyama::new(),
        &grid,
        &NormalMixture::normal(0.0, forward_variance(&schedule, zero_mode.cumulant(2), 1.0)).unwrap(),
    )
    .unwrap();

    for point in &points[1..] {
        for (order, degrees) in [(4, 255.0), (6, 20.0)] {
            let exact = law[point.step].cumulants[order - 1] / VOLUME.powi(order as i32 / 2);
            let found = point.cumulants[order - 1];
            let pull = found.estimate.pull(exact);
            assert!(
                test.student(pull, degrees),
                "kappa_{order} at t = {}: {found:?}, exact {exact}",
                point.time
            );
        }
    }
    for (point, least) in [(1, 400.0), (3, 30.0), (5, 6.0)] {
        let found = points[point].cumulants[3];
        assert!(found.variance_reduction() > least, "{}: {found:?}", points[point].time);
    }
}
