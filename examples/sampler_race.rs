//! The race of samplers: `cargo run --release --example sampler_race`.
//!
//! What an independent configuration costs by HMC, Fourier-accelerated HMC, Wolff clusters with HMC, and by a diffusion model: along
//! paths or by its flow with independence Metropolis, and by fresh paths mixed with HMC: time of one thread for `2 tau_int` steps, with the slowest of `m^2`, the
//! action and the lowest momentum shell. A diffusion model has to be trained before, on an ensemble that another sampler makes: the table says from how many
//! configurations on that has paid.

use std::time::Instant;

use diffusion::LogWeights;
use examples::lattice::{
    CHAINS, Cost, Protocol, WATCHED, by_flow, chain_cost, fit, path_sampler, pilot_spectrum, scheduled,
};
use examples::{
    Common, Corner, Failure, Figure, Options, Panel, Progress, Results, Row, check_writable, conclude,
    positive, run,
};
use lattice_phi4::{
    Chains, FourierHmc, Hmc, Lattice, Leap, Measurements, Phi4, Update, WeightedFields, Wolff, equilibrium,
};
use ndarray::s;
use rayon::ThreadPoolBuilder;

/// Extents of the lattices.
const EXTENTS: [usize; 4] = [8, 16, 32, 64];
/// Hopping parameters: disordered, near the critical point from both sides of what a small lattice sees, and ordered.
const HOPPINGS: [f64; 4] = [0.21, 0.25, 0.27, 0.4];
const LAMBDA: f64 = 0.022;
/// Sweeps of clusters and HMC before anything is measured.
const THERMALISATION: u64 = 500;
/// Steps of a path.
const STEPS: usize = 80;
const NAMES: [&str; 6] = [
    "HMC",
    "Fourier-accelerated HMC",
    "Wolff and HMC",
    "paths and Metropolis",
    "flow and Metropolis",
    "paths and HMC",
];
/// Chains that mix trajectories and paths.
const MIXED: usize = 8;
/// The first of them that is a model.
const MODELS: usize = 3;

/// Options, none of which is required.
#[derive(Clone, Debug, PartialEq, clap::Args)]
struct RaceArgs {
    #[command(flatten)]
    common: Common,

    /// Largest extent: 8, 16, 32 or 64
    #[arg(long, value_name = "L", default_value_t = 32)]
    largest: usize,

    /// Configurations that a model is trained on, and as many that it proposes
    #[arg(long, value_name = "N", default_value_t = 4000, value_parser = positive)]
    configs: usize,
}

impl Options for RaceArgs {
    fn common(&mut self) -> &mut Common {
        &mut self.common
    }
}

fn main() -> std::process::ExitCode {
    run("sampler_race", "What an independent configuration costs: HMC, clusters, diffusion", work)
}

/// One sampler on one lattice.
struct Entry {
    cost: Cost,
    /// Milliseconds of one thread before the first configuration.
    start: f64,
}

fn work(args: &RaceArgs) -> Result<(), Failure> {
    let out = args.common.out();
    check_writable(out)?;
    let mut results = Results::new("sampler_race", args.common.seed)
        .setting("lambda", LAMBDA)
        .setting("chains", CHAINS)
        .setting("steps", STEPS)
        .setting("configs", args.configs);
    let extents: Vec<usize> = EXTENTS.into_iter().filter(|extent| *extent <= args.largest).collect();
    let progress = Progress::new("race", (HOPPINGS.len() * extents.len()) as u64, "lattices");
    let mut panels = Vec::new();
    for hopping in HOPPINGS {
        let mut costs = vec![Vec::new(); NAMES.len()];
        for &extent in &extents {
            let action = Phi4::new(Lattice::new(&[extent, extent])?, hopping, LAMBDA)?;
            let mut entries = chains(&action, args.common.seed)?;
            entries.extend(generated(&action, args)?);
            report(&mut results, &entries, hopping, extent);
            for (costs, entry) in costs.iter_mut().zip(&entries) {
                costs.push(entry.cost.independent());
            }
            progress.advance(1);
        }
        let x: Vec<f64> = extents.iter().map(|extent| *extent as f64).collect();
        let mut panel = Panel::new(&format!("κ = {hopping}"), "L", "ms per independent configuration")
            .log_x()
            .log_y()
            .x_range(6.5, 80.0)
            .y_range(1e-3, 1e7)
            .legend(Corner::TopLeft);
        for (name, costs) in NAMES.iter().zip(&costs) {
            panel = panel.markers(name, &x, costs, &vec![0.0; costs.len()]);
        }
        panels.push(panel);
    }
    progress.finish();
    Figure::grid(2, 2, panels).save(&out.join("race.svg"))?;
    conclude(results, out, "exact_sampling")
}

/// By what more steps a trajectory needs than on 8 x 8: the step shrinks as `V^(-1/4)`, which keeps the acceptance of a second-order scheme.
fn root(action: &Phi4) -> f64 {
    (action.lattice().extents()[0] as f64 / 8.0).sqrt()
}

fn hmc(action: &Phi4) -> Result<Hmc, Failure> {
    Ok(Hmc::new(1.0, (3.0 * root(action)).ceil() as usize, Leap::Omelyan)?)
}

/// The Markov chains.
fn chains(action: &Phi4, seed: u64) -> Result<Vec<Entry>, Failure> {
    let (root, hmc) = (root(action), hmc(action)?);
    let wolff = Wolff { clusters: 5 };
    let mut chains = Chains::cold(action, CHAINS, 1.0, seed);
    let start = Instant::now();
    chains.run(action, &[&wolff, &hmc], THERMALISATION);
    let start = 1e3 * start.elapsed().as_secs_f64() * rayon::current_num_threads() as f64;
    let spectrum = pilot_spectrum(action, &mut chains, &[&wolff, &hmc])?;
    let fourier = FourierHmc::new(std::f64::consts::FRAC_PI_2, (8.0 * root).ceil() as usize, &spectrum)?;
    let schedules: [&[&dyn Update]; 3] = [&[&hmc], &[&fourier], &[&wolff, &hmc]];
    let entry = |schedule: &&[&dyn Update]| {
        Ok(Entry { cost: chain_cost(action, chains.clone(), scheduled(action, schedule))?, start })
    };
    schedules.iter().map(entry).collect()
}

/// A model that is trained, proposes configurations by paths or by its flow, and has them accepted or refused; alone, and in turn with
/// trajectories.
fn generated(action: &Phi4, args: &RaceArgs) -> Result<[Entry; NAMES.len() - MODELS], Failure> {
    let (seed, threads) = (args.common.seed, rayon::current_num_threads() as f64);
    let start = Instant::now();
    let fields = equilibrium(action, args.configs, seed, &mut |_, _| ())?.fields;
    let model = fit(action, Protocol::Equilibrium, fields.view(), seed)?;
    let sampler = path_sampler(&model, fields.view(), STEPS, seed)?;
    let training = 1e3 * start.elapsed().as_secs_f64() * threads;
    let rows = fields.nrows();
    let entry = |propose: &dyn Fn() -> Result<WeightedFields, Failure>| {
        let start = Instant::now();
        let proposed = propose()?;
        let milliseconds = 1e3 * start.elapsed().as_secs_f64() * threads / rows as f64;
        let chain = LogWeights::new(proposed.log_weights)?.independence_metropolis(seed);
        let mut measured = Measurements::new(action.lattice());
        measured.extend(proposed.fields.view());
        let history = measured.select(&chain.rows);
        let cost = Cost::of(action, &history, history.len(), chain.acceptance, milliseconds)?;
        Ok::<_, Failure>(Entry { cost, start: training })
    };
    let paths = entry(&|| Ok(sampler.run(action, rows, seed)?))?;
    let flow = entry(&|| {
        let drawn = by_flow(&sampler, 0..rows, seed)?;
        Ok(WeightedFields { log_weights: drawn.log_weights(action), fields: drawn.fields })
    })?;
    // Too few chains for all threads.
    let chains = Chains::from_fields(fields.slice(s![..MIXED, ..]).to_owned(), seed);
    let hmc = hmc(action)?;
    let mixed = || {
        chain_cost(action, chains, |chains| {
            chains.run(action, &[&hmc], 1);
            Ok(sampler.refresh(action, chains)?)
        })
        .map_err(|failure| failure.to_string())
    };
    let cost = ThreadPoolBuilder::new().num_threads(1).build()?.install(mixed)?;
    Ok([paths, flow, Entry { cost, start: training }])
}

fn report(results: &mut Results, entries: &[Entry], hopping: f64, extent: usize) {
    for (entry, name) in entries.iter().zip(NAMES) {
        let source = format!("{name}, kappa={hopping}, L={extent}");
        for (observable, found) in WATCHED.iter().zip(&entry.cost.watched) {
            let quantity = format!("tau_int_{}", observable.name());
            results.push(Row::new(&quantity, &source, found.tau_int, found.tau_int_error));
        }
        results.push(Row::new("acceptance", &source, entry.cost.acceptance, 0.0));
        results.push(Row::new("ms_start", &source, entry.start, 0.0));
        results.push(Row::new("ms_independent", &source, entry.cost.independent(), 0.0));
    }
    // From how many configurations on a model, training included, is cheaper than the cheapest chain.
    let (chains, models) = entries.split_at(MODELS);
    let cheapest = chains.iter().map(|chain| chain.cost.independent()).fold(f64::INFINITY, f64::min);
    for (model, name) in models.iter().zip(&NAMES[MODELS..]) {
        let gain = cheapest - model.cost.independent();
        if gain > 0.0 {
            let configurations = (model.start - chains[0].start).max(0.0) / gain;
            let source = format!("{name}, kappa={hopping}, L={extent}");
            results.push(Row::new("break_even_configurations", &source, configurations, 0.0));
        }
    }
}
