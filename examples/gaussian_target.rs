//! The Gaussian target in closed form (App. B): `cargo run --release --example gaussian_target`.
//!
//! The variance forwards and backwards, in both schemes and from both priors, as the exact curve, as the exact
//! recursion of the Euler-Maruyama scheme, and as an ensemble of trajectories. The rows compare the ensemble
//! with the recursion, which is what the discretised process should give; the recursion's own distance from
//! the continuous answer is the step error.

use cumulants::Estimate;
use diffusion::{CumulantFlow, Evolution, FlowPoint, Prior, draw};
use examples::{
    Args, Colour, Corner, Curves, Failure, Figure, Panel, Progress, Results, Row, Unit, check_writable,
    conclude, run,
};
use sde_core::gaussian::{self, GaussianScore};
use sde_core::{
    EulerMaruyama, ExactTransition, Forward, Noise, NoiseSchedule, NormalSource, Reverse, TimeGrid,
    VarianceExpanding, VariancePreserving,
};

const KAPPA_2: f64 = 1.0625;
const SIGMA: f64 = 10.0;

fn main() -> std::process::ExitCode {
    run("gaussian_target", "The Gaussian target in closed form: forward and backward variance", work)
}

fn work(args: &Args) -> Result<(), Failure> {
    check_writable(args.common.out())?;
    let steps = args.steps.unwrap_or(1000);
    let trajectories = args.trajectories.unwrap_or(if args.full { 10_000_000 } else { 1_000_000 });
    let mut results = Results::new("gaussian_target", args.common.seed)
        .setting("steps", steps)
        .setting("trajectories", trajectories)
        .setting("sigma", SIGMA)
        .setting("kappa_2", KAPPA_2);
    let mut panels = Vec::new();
    let expanding = VarianceExpanding::new(SIGMA)?;
    let preserving = VariancePreserving::new(SIGMA)?;
    let schemes: [(&str, &(dyn NoiseSchedule + Sync)); 2] =
        [("variance expanding", &expanding), ("variance preserving", &preserving)];
    for (scheme, schedule) in schemes {
        panels.extend(follow(args, scheme, schedule, steps, trajectories, &mut results)?);
    }
    Figure::grid(2, 2, panels).save(&args.common.out().join("gaussian_target.svg"))?;
    conclude(results, args.common.out(), "two_peak_ve")
}

/// Runs one scheme from both priors; returns its forward and backward panel.
fn follow(
    args: &Args,
    scheme: &str,
    schedule: &(dyn NoiseSchedule + Sync),
    steps: usize,
    trajectories: usize,
    results: &mut Results,
) -> Result<[Panel; 2], Failure> {
    let grid = TimeGrid::uniform(schedule.horizon(), 0.0, steps)?;
    let times: Vec<f64> = (0..=400).map(|i| f64::from(i) / 400.0).collect();
    let forward: Vec<f64> = times.iter().map(|&t| gaussian::forward_variance(schedule, KAPPA_2, t)).collect();
    let file = |part: &str| args.common.out().join(format!("{}_{part}.csv", scheme.replace(' ', "_")));
    let mut curves = Curves::over("t", Unit::Time, &times);
    curves.push("kappa_2", Unit::Data(2), &forward);
    curves.save(&file("forward"))?;

    let (low, high, here, there) = if scheme.ends_with("expanding") {
        (0.0, 30.0, Corner::TopLeft, Corner::TopRight)
    } else {
        (0.99, 1.25, Corner::TopRight, Corner::TopLeft)
    };
    let mut panel = Panel::new(&format!("{scheme}, backward"), "τ", "κ₂(τ)").y_range(low, high).legend(there);
    let mut zoom = Panel::new("", "", "").x_range(0.9, 1.0).reference(KAPPA_2);
    for (name, prior) in
        [("prior Ξ(T)", Prior::Noise), ("matched prior", Prior::Matched { kappa_2: KAPPA_2 })]
    {
        let start = prior.variance(schedule, schedule.horizon());
        let exact: Vec<f64> =
            times.iter().map(|t| gaussian::backward_variance(schedule, KAPPA_2, start, 1.0 - t)).collect();
        let recursion = gaussian::euler_maruyama_variance(schedule, KAPPA_2, start, &grid);

        let stream = results.rows.len() as u64;
        let mut x = prior.draw(
            schedule,
            schedule.horizon(),
            trajectories,
            1,
            &Noise::new(args.common.seed, 2 * stream),
        );
        let mut flow = CumulantFlow::every(&grid, steps.div_ceil(40));
        let process = Reverse { schedule, score: GaussianScore { schedule, kappa_2: KAPPA_2 } };
        let progress = Progress::new(format!("{scheme}, {name}"), trajectories as u64, "trajectories");
        Evolution::new(&process, &EulerMaruyama::new(), &grid, Noise::new(args.common.seed, 2 * stream + 1))
            .progress(&|rows| progress.advance(rows as u64))
            .run(x.view_mut(), &mut flow)?;
        progress.finish();

        let points = flow.points();
        let tau: Vec<f64> = points.iter().map(|p| 1.0 - p.time).collect();
        let measured: Vec<Estimate> = points.iter().map(|p| p.cumulants[1]).collect();
        let value: Vec<f64> = measured.iter().map(|e| e.value).collect();
        let error: Vec<f64> = measured.iter().map(|e| e.error).collect();
        let scheme_value: Vec<f64> = points.iter().map(|p| recursion[p.step]).collect();
        let mut curves = Curves::over("tau", Unit::Time, &tau);
        curves.push_estimates("kappa_2", Unit::Data(2), &measured);
        curves.push("scheme", Unit::Data(2), &scheme_value);
        curves.save(&file(if prior == Prior::Noise { "prior_noise" } else { "prior_matched" }))?;
        let (first, second) =
            if prior == Prior::Noise { ("exact for the steps", "exact for no steps") } else { ("", "") };
        panel = panel
            .markers(name, &tau, &value, &error)
            .line(first, &tau, &scheme_value)
            .colour(Colour::Black)
            .exact(second, &times, &exact);
        zoom = zoom
            .markers("", &tau, &value, &error)
            .line("", &tau, &scheme_value)
            .colour(Colour::Black)
            .exact("", &times, &exact);

        let end = measured[measured.len() - 1];
        let source = format!("backward, {scheme}, {name}");
        results.push(Row::new("kappa_2", &source, end.value, end.error).exact(recursion[steps]));
        let limit = gaussian::backward_variance(schedule, KAPPA_2, start, 0.0);
        results.push(Row::new("kappa_2", &format!("{source}, no steps"), limit, 0.0).exact(KAPPA_2));
    }
    let points = forward_points(args, schedule, trajectories)?;
    let t: Vec<f64> = points.iter().map(|p| p.time).collect();
    let (value, error): (Vec<f64>, Vec<f64>) =
        points.iter().map(|p| (p.cumulants[1].value, p.cumulants[1].error)).unzip();
    let forward = Panel::new(&format!("{scheme}, forward"), "t", "κ₂(t)")
        .y_range(low, high)
        .markers("trajectories", &t, &value, &error)
        .exact("exact", &times, &forward)
        .legend(here);
    Ok([forward, panel.inset(zoom, there)])
}

/// An ensemble that goes forwards by its exact transitions.
fn forward_points(
    args: &Args,
    schedule: &(dyn NoiseSchedule + Sync),
    trajectories: usize,
) -> Result<Vec<FlowPoint>, Failure> {
    let mut x = draw(trajectories, 1, &Noise::new(args.common.seed, 100), |noise, x| noise.fill(0, x));
    x *= KAPPA_2.sqrt();
    let grid = TimeGrid::uniform(0.0, schedule.horizon(), 40)?;
    let mut flow = CumulantFlow::every(&grid, 1);
    Evolution::new(&Forward(schedule), &ExactTransition::default(), &grid, Noise::new(args.common.seed, 101))
        .run(x.view_mut(), &mut flow)?;
    Ok(flow.points())
}
