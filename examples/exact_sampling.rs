//! Generated fields made exact: `cargo run --release --example exact_sampling`.
//!
//! Simulates an ensemble with Wolff clusters and HMC, fits its score by perturbation theory, and draws fields from it along
//! paths whose weights are known. The table has every observable raw, corrected by the weights, and of the ensemble; what
//! a configuration is worth, and `ln Z`, which no Markov chain gives.

use std::time::Instant;

use cumulants::Estimate;
use diffusion::{Histogram, LogWeights, ScoreMala};
use examples::lattice::{
    CHECKPOINT, LatticeArgs, Protocol, Table, by_flow, fit, forget, magnetisation_panel, noised,
    path_sampler, simulate, table,
};
use examples::{
    Columns, Common, Corner, Failure, Figure, Options, Panel, Parts, PartsArgs, Progress, Results, Row,
    check_writable, conclude, positive, run,
};
use lattice_phi4::{
    Chains, Hmc, Leap, Measurements, Observable, PathSampler, PerturbativeScore, Phi4, WeightedFields,
};
use ndarray::{Array2, s};
use sde_core::{Edm, Noise};

/// Configurations without `--configs`, and steps without `--steps`.
const CONFIGS: usize = 10_000;
const STEPS: usize = 80;
/// Chains of `--method mixed`, and steps of their trajectories.
const MIXED: usize = 128;
const TRAJECTORY: usize = 8;
/// Noise of `--method mala`, its steps, and streams of their noise; the length of a step is adapted so many times.
const NOISES: [f64; 3] = [0.1, 0.2, 0.4];
const LANGEVIN: u64 = 100;
const TUNING: u64 = 3000;
const ROUNDS: u64 = 20;
/// Bins of the weights.
const BINS: usize = 60;

/// How weights are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Method {
    /// Weighted means
    Weights,
    /// Weighted means of fields drawn by the probability flow, which has a density and needs no steps
    Flow,
    /// A Markov chain that accepts or refuses one configuration after the other
    Metropolis,
    /// Markov chains of HMC trajectories, each followed by a fresh path that is accepted or refused
    Mixed,
    /// Langevin steps at fixed noise, accepted by the score alone: not exact, to show by how much
    Mala,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::Flow => "flow",
            Self::Metropolis => "metropolis",
            Self::Mixed => "mixed",
            Self::Mala => "mala",
        }
    }
}

#[derive(Clone, Debug, clap::Args)]
struct ExactArgs {
    #[command(flatten)]
    lattice: LatticeArgs,

    /// Steps of a path
    #[arg(long, value_name = "K", value_parser = positive, allow_negative_numbers = true)]
    steps: Option<usize>,

    /// How weights are used
    #[arg(long, value_name = "NAME", default_value = "weights")]
    method: Method,

    #[command(flatten)]
    parts: PartsArgs,
}

impl Options for ExactArgs {
    fn common(&mut self) -> &mut Common {
        &mut self.lattice.common
    }
}

fn main() -> std::process::ExitCode {
    run("exact_sampling", "Generated fields made exact by the weights of their paths", work)
}

fn work(args: &ExactArgs) -> Result<(), Failure> {
    let (out, seed) = (args.lattice.common.out(), args.lattice.common.seed);
    if args.lattice.protocol == Protocol::Paper {
        return Err(
            "--protocol paper: weights are for the action, which that ensemble does not follow".into()
        );
    }
    check_writable(out)?;
    let checkpoint = out.join(CHECKPOINT);
    let action = args.lattice.action()?;
    let (configs, steps) = (args.lattice.configs.unwrap_or(CONFIGS), args.steps.unwrap_or(STEPS));
    let mut results =
        args.lattice.results("exact_sampling").setting("steps", steps).setting("method", args.method.name());

    let start = Instant::now();
    let ensemble = simulate(&action, Protocol::Equilibrium, configs, seed, Some(&checkpoint))?;
    let fields = &ensemble.simulation.fields;
    let wolff = table(&action, &ensemble.measured, ensemble.per_chain)?;
    results = results.setting("seconds_data", start.elapsed().as_secs_f64());
    let start = Instant::now();
    let model = fit(&action, Protocol::Equilibrium, fields.view(), seed)?;
    let sampler = path_sampler(&model, fields.view(), steps, seed)?;
    results = results.setting("seconds_train", start.elapsed().as_secs_f64());
    let start = Instant::now();
    let (WeightedFields { fields: generated, log_weights }, evaluations) =
        draw(args, steps, &action, &sampler, fields.nrows())?;
    if let Some(shard) = args.parts.shard {
        shard.farewell(out);
        return forget(&checkpoint);
    }
    if let Some(evaluations) = evaluations {
        results.push(Row::new("evaluations_per_configuration", "flow", evaluations, 0.0));
    }
    results = results
        .setting("seconds_sample", start.elapsed().as_secs_f64())
        .setting("configs", fields.nrows())
        .setting("ordered", model.ordered);
    let weights = LogWeights::new(log_weights)?;
    let mut measured = Measurements::new(action.lattice());
    measured.extend(generated.view());

    let tail = weights.tail();
    let chain = weights.independence_metropolis(seed);
    let ln_z = weights.ln_mean();
    results.push(Row::new("ess_per_configuration", "weights", weights.efficiency(), 0.0));
    results.push(Row::new("acceptance", "weights", chain.acceptance, 0.0));
    results.push(Row::new("ln_z", "weights", ln_z.value, ln_z.error));
    if tail.shape.is_finite() {
        results.push(Row::new("pareto_shape", "weights", tail.shape, 0.0));
    }
    // Means that the tail of the weights makes worthless are not printed.
    tail.check()?;
    let compare = |results: &mut Results, observable: Observable, source: &str, found: Estimate| {
        if let Some((_, known)) = wolff.0.iter().find(|(other, _)| *other == observable) {
            let row = Row::new(&observable.name(), source, found.value, found.error);
            results.push(row.target(known.value, known.error));
        }
    };
    let raw = table(&action, &measured, measured.len())?;
    let corrected = match args.method {
        Method::Weights | Method::Flow => weighted(&action, &weights, &measured)?,
        Method::Metropolis => estimates(&table(&action, &measured.select(&chain.rows), measured.len())?),
        Method::Mixed => {
            let (found, acceptance) = mixed(&action, &sampler, &generated, seed)?;
            results.push(Row::new("acceptance", "mixed", acceptance, 0.0));
            for (observable, found) in &found.0 {
                let quantity = format!("tau_int_{}", observable.name());
                results.push(Row::new(&quantity, "mixed", found.tau_int, found.tau_int_error));
            }
            estimates(&found)
        }
        Method::Mala => {
            for noise in NOISES {
                let (found, acceptance) = by_score(&action, &sampler, &generated, noise, seed)?;
                let source = format!("mala, s={noise}");
                results.push(Row::new("acceptance", &source, acceptance, 0.0));
                for (observable, estimate) in estimates(&found) {
                    compare(&mut results, observable, &source, estimate);
                }
            }
            Vec::new()
        }
    };
    for row in wolff.rows("wolff") {
        results.push(row);
    }
    for (source, found) in [("raw", estimates(&raw)), ("corrected", corrected)] {
        for (observable, estimate) in found {
            compare(&mut results, observable, source, estimate);
        }
    }
    let chained = measured.select(&chain.rows);
    let magnetisation = magnetisation_panel(&[
        ("Wolff", &ensemble.measured),
        ("generated", &measured),
        ("Metropolis", &chained),
    ])?;
    Figure::grid(1, 2, vec![weights_panel(&weights)?, magnetisation]).save(&out.join("weights.svg"))?;
    conclude(results, out, "lattice_phi4_ve")?;
    forget(&checkpoint)
}

/// Draws as many of all `rows` as the options ask this job for, and puts them together; by the flow also tells how many evaluations
/// of the score one took.
fn draw(
    args: &ExactArgs,
    steps: usize,
    action: &Phi4,
    sampler: &PathSampler<'_, Edm, PerturbativeScore<Edm>>,
    rows: usize,
) -> Result<(WeightedFields, Option<f64>), Failure> {
    let LatticeArgs { common, size, hopping, lambda, .. } = &args.lattice;
    let (seed, flow) = (common.seed, args.method == Method::Flow);
    let settings = format!(
        "exact_sampling: seed {seed}, {size:?}, hopping {hopping}, lambda {lambda}, flow {flow}, {steps} steps"
    );
    let shape = (rows, action.lattice().volume());
    let Columns(made) = Parts::new(&args.parts, common.out()).make("paths", &settings, shape, |rows| {
        let columns = if flow {
            let drawn = by_flow(sampler, rows, seed)?;
            let evaluations = drawn.evaluations.iter().map(|n| *n as f64).collect();
            let log_weights = drawn.log_weights(action);
            vec![drawn.fields.into_raw_vec_and_offset().0, log_weights, evaluations]
        } else {
            let drawn = sampler.run_rows(action, rows, seed)?;
            vec![drawn.fields.into_raw_vec_and_offset().0, drawn.log_weights]
        };
        Ok(Columns(columns))
    })?;
    let mut made = made.into_iter();
    let [fields, log_weights] = [(); 2].map(|()| made.next().unwrap_or_default());
    let fields = Array2::from_shape_vec((log_weights.len(), shape.1), fields)?;
    let mean = |evaluations: Vec<f64>| evaluations.iter().sum::<f64>() / evaluations.len() as f64;
    Ok((WeightedFields { fields, log_weights }, made.next().map(mean)))
}

/// Chains from the first of `generated`, a trajectory and a fresh path in turn, as many configurations in all; the first tenth of a
/// chain is left out. Returns the table and the acceptance of the paths.
fn mixed(
    action: &Phi4,
    sampler: &PathSampler<'_, Edm, PerturbativeScore<Edm>>,
    generated: &Array2<f64>,
    seed: u64,
) -> Result<(Table, f64), Failure> {
    let count = MIXED.min(generated.nrows());
    let hmc = Hmc::new(1.0, TRAJECTORY, Leap::Omelyan)?;
    let mut chains = Chains::from_fields(generated.slice(s![..count, ..]).to_owned(), !seed);
    let mut measured = Measurements::new(action.lattice());
    let (rounds, mut acceptance) = (generated.nrows().div_ceil(count).max(10), 0.0);
    let first = rounds / 10;
    let progress = Progress::new("chains", rounds as u64, "rounds");
    for round in 0..rounds {
        chains.run(action, &[&hmc], 1);
        let accepted = sampler.refresh(action, &mut chains)?;
        if round >= first {
            acceptance += accepted / (rounds - first) as f64;
            measured.extend(chains.fields.view());
        }
        progress.advance(1);
    }
    progress.finish();
    Ok((table(action, &measured.by_chain(count), rounds - first)?, acceptance))
}

/// `generated` with noise, after steps of [`ScoreMala`] of a length that about every second of them is accepted, and their acceptance.
fn by_score(
    action: &Phi4,
    sampler: &PathSampler<'_, Edm, PerturbativeScore<Edm>>,
    generated: &Array2<f64>,
    noise: f64,
    seed: u64,
) -> Result<(Table, f64), Failure> {
    let mut fields = noised(generated, noise, seed, 0);
    let score = &sampler.process.score;
    let (mut step, tuning) = (noise * noise, Noise::new(seed, TUNING));
    for round in 0..ROUNDS {
        let mala = ScoreMala::new(score, noise, step)?;
        let rows = MIXED.min(fields.nrows());
        let acceptance = mala.run(fields.slice_mut(s![..rows, ..]), 5 * round..5 * (round + 1), &tuning)?;
        step *= (acceptance - 0.5).exp();
    }
    let mala = ScoreMala::new(score, noise, step)?;
    let acceptance = mala.run(fields.view_mut(), 0..LANGEVIN, &Noise::new(seed, TUNING + 1))?;
    let mut measured = Measurements::new(action.lattice());
    measured.extend(fields.view());
    Ok((table(action, &measured, measured.len())?, acceptance))
}

fn estimates(table: &Table) -> Vec<(Observable, Estimate)> {
    table.0.iter().map(|(observable, found)| (*observable, found.estimate())).collect()
}

/// Every observable of the table from weighted means; those whose formula has no value are left out.
fn weighted(
    action: &Phi4,
    weights: &LogWeights,
    measured: &Measurements,
) -> Result<Vec<(Observable, Estimate)>, Failure> {
    let mut found = Vec::new();
    for observable in Observable::TABLE {
        let primaries = observable.primaries();
        let rows: Vec<f64> = measured.columns(&primaries).iter().copied().collect();
        let estimate = weights.derived(&rows, primaries.len(), |means| observable.value(action, means))?;
        if estimate.value.is_finite() && estimate.error.is_finite() {
            found.push((observable, estimate));
        }
    }
    Ok(found)
}

/// `ln w - ln Z` of the paths.
fn weights_panel(weights: &LogWeights) -> Result<Panel, Failure> {
    let ln_z = weights.ln_mean().value;
    let centred: Vec<f64> = weights.logarithms().iter().map(|log| log - ln_z).collect();
    let (low, high) = centred.iter().fold((0.0, 0.0), |(a, b): (f64, f64), x| (a.min(*x), b.max(*x)));
    let mut histogram = Histogram::new(low, high + 1e-9, BINS)?;
    histogram.add(&centred);
    let density: Vec<f64> = histogram.density().iter().map(|bin| bin.value).collect();
    Ok(Panel::new("Weights of paths", "ln w − ln Z", "density").legend(Corner::TopLeft).steps(
        "",
        &histogram.edges(),
        &density,
    ))
}
