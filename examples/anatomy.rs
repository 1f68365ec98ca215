//! The anatomy of the sampling error: `cargo run --release --example anatomy`.
//!
//! What the sampler alone does to the cumulants, with the exact score and no sampling error: the law of the chain is
//! followed by its density. The published loop is taken apart into its prior, its missing last noise, and its grid; then
//! five samplers are compared at 10 to 1000 steps.

use examples::two_peak::{CURVE_ORDERS, PAPER_STEPS, Scheme, default_grid, model, published_grid};
use examples::{
    Args, Corner, Curves, Failure, Figure, Panel, Results, Row, Unit, check_writable, conclude, run,
};

use diffusion::{Prior, law_flow};
use sde_core::{
    AdditiveNoise, ChurnHeun, DensityPropagator, EulerMaruyama, ExponentialEuler, Heun, NormalMixture,
    ProbabilityFlow, Reverse, TimeGrid, TwoPeakScore,
};

/// Steps of the comparison.
const STEPS: [usize; 7] = [10, 20, 50, 100, 200, 500, 1000];

/// Nodes to a width of the prior where a flow tears it apart and no noise smooths it.
const FLOW_NODES: f64 = 1000.0;

type Schedule = std::sync::Arc<dyn sde_core::NoiseSchedule + Send + Sync>;
/// Deviations of `kappa_2, 4, 6, 8` from the target's in per cent.
type Bias = [f64; 4];

fn main() -> std::process::ExitCode {
    run("anatomy", "What the sampler alone does to the cumulants: no trajectories, no net", work)
}

fn work(args: &Args) -> Result<(), Failure> {
    check_writable(args.common.out())?;
    let steps = args.steps.unwrap_or(PAPER_STEPS);
    let mut results = Results::new("anatomy", args.common.seed).setting("steps", steps);
    let mut panels = Vec::new();
    for scheme in [Scheme::variance_expanding()?, Scheme::variance_preserving()?] {
        let name = if scheme.example.ends_with("ve") { "VE" } else { "VP" };
        for (part, bias) in published_loop(&scheme.schedule, steps)? {
            for (order, value) in CURVE_ORDERS.into_iter().zip(bias) {
                results.push(Row::new(&format!("kappa_{order}, %"), &format!("{name}, {part}"), value, 0.0));
            }
        }
        panels.extend(convergence(args, name, &scheme.schedule)?);
    }
    Figure::grid(2, 2, panels).save(&args.common.out().join("convergence.svg"))?;
    conclude(results, args.common.out(), "two_peak_ve")
}

/// The bias of the published loop, and what each of its choices contributes.
fn published_loop(schedule: &Schedule, steps: usize) -> Result<Vec<(&'static str, Bias)>, Failure> {
    let grid = published_grid(steps)?;
    let process = reverse(schedule);
    let matched = Prior::Matched { kappa_2: model().cumulant(2) };
    let mut quiet = EulerMaruyama::without_last_noise();
    let published = bias(schedule, &process, &mut quiet, &grid, Prior::Noise)?;
    let other_prior = bias(schedule, &process, &mut quiet, &grid, matched)?;
    let with_noise = bias(schedule, &process, &mut EulerMaruyama::new(), &grid, matched)?;
    let minus = |a: Bias, b: Bias| std::array::from_fn(|i| ((a[i] - b[i]) * 1e6).round() / 1e6);
    Ok(vec![
        ("the published loop", published),
        ("of it the prior", minus(published, other_prior)),
        ("of it no last noise", minus(other_prior, with_noise)),
        ("of it grid and steps", with_noise),
    ])
}

/// The bias of `kappa_2` and `kappa_8` against the number of steps, by sampler.
fn convergence(args: &Args, name: &str, schedule: &Schedule) -> Result<[Panel; 2], Failure> {
    let mut samplers: Vec<(&str, Vec<Bias>)> = Vec::new();
    let matched = Prior::Matched { kappa_2: model().cumulant(2) };
    let process = reverse(schedule);
    let flow = ProbabilityFlow { schedule: schedule.clone(), score: model().score(schedule.clone()) };
    let fine = |steps| default_grid(&**schedule, steps);
    let mut add = |sampler, of: &dyn Fn(usize) -> Result<Bias, Failure>| {
        let biases = STEPS.into_iter().map(of).collect::<Result<_, _>>()?;
        samplers.push((sampler, biases));
        Ok::<(), Failure>(())
    };
    add("published loop", &|steps| {
        bias(
            schedule,
            &process,
            &mut EulerMaruyama::without_last_noise(),
            &published_grid(steps)?,
            Prior::Noise,
        )
    })?;
    add("Euler-Maruyama", &|steps| {
        bias(schedule, &process, &mut EulerMaruyama::new(), &fine(steps)?, matched)
    })?;
    add("exponential Euler", &|steps| {
        bias(schedule, &process, &mut ExponentialEuler::default(), &fine(steps)?, matched)
    })?;
    add("churn Heun", &|steps| bias(schedule, &process, &mut ChurnHeun::default(), &fine(steps)?, matched))?;
    add("Heun on the flow", &|steps| {
        let nodes = DensityPropagator::new(FLOW_NODES)?;
        bias_by(nodes, schedule, &flow, &mut Heun::default(), &fine(steps)?, matched)
    })?;

    let count: Vec<f64> = STEPS.iter().map(|&steps| steps as f64).collect();
    let mut curves = Curves::over("steps", Unit::One, &count);
    let mut panels = [(0, "κ₂"), (3, "κ₈")].map(|(place, kappa)| {
        let title = format!("{name}: bias of {kappa}");
        let mut panel = Panel::new(&title, "steps", "|bias| in %")
            .log_x()
            .log_y()
            .y_range(1e-7, 100.0)
            .legend(Corner::BottomLeft);
        for (sampler, biases) in &samplers {
            let size: Vec<f64> = biases.iter().map(|bias| bias[place].abs()).collect();
            panel = panel.line(sampler, &count, &size);
        }
        panel
    });
    // What a data set, or an ensemble, of 10^6 fluctuates by.
    panels[0] = panels[0].clone().reference(0.048);
    panels[1] = panels[1].clone().reference(0.199);
    for (sampler, biases) in &samplers {
        for (place, order) in CURVE_ORDERS.into_iter().enumerate() {
            let name = format!("{sampler}: kappa_{order} bias");
            curves.push(&name, Unit::Percent, biases.iter().map(|bias| bias[place]));
        }
    }
    curves.save(&args.common.out().join(format!("convergence_{}.csv", name.to_lowercase())))?;
    Ok(panels)
}

fn reverse(schedule: &Schedule) -> Reverse<Schedule, TwoPeakScore<Schedule>> {
    Reverse { schedule: schedule.clone(), score: model().score(schedule.clone()) }
}

fn bias<P, I: AdditiveNoise<P>>(
    schedule: &Schedule,
    process: &P,
    integrator: &mut I,
    grid: &TimeGrid,
    prior: Prior,
) -> Result<Bias, Failure> {
    bias_by(DensityPropagator::default(), schedule, process, integrator, grid, prior)
}

fn bias_by<P, I: AdditiveNoise<P>>(
    propagator: DensityPropagator,
    schedule: &Schedule,
    process: &P,
    integrator: &mut I,
    grid: &TimeGrid,
    prior: Prior,
) -> Result<Bias, Failure> {
    let start = NormalMixture::normal(0.0, prior.variance(schedule, grid.start()))?;
    let (points, _) = law_flow(propagator, process, integrator, grid, &start)?;
    let end = &points[points.len() - 1];
    // To a hundredth of a millionth, which the density is good for.
    let rounded = |percent: f64| (percent * 1e6).round() / 1e6;
    let ratio = |order: usize| end.cumulants[order - 1] / model().cumulant(order as u32);
    Ok(CURVE_ORDERS.map(|order| rounded(100.0 * (ratio(order) - 1.0))))
}
