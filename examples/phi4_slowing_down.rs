//! Critical slowing down: `cargo run --release --example phi4_slowing_down`.
//!
//! At the critical point the correlation length is as large as the lattice, and the autocorrelation time of `m^2` grows with a
//! power of it, `tau_int ~ L^z`. HMC diffuses, `z` near 2; masses that follow the propagator take some of that away, and
//! clusters nearly all of it. What counts in the end is the time an independent configuration costs: the baseline that any
//! generative sampler has to be held against.

use std::time::Instant;

use cumulants::{Estimate, GammaEstimate, GammaMethod};
use examples::{
    Colour, Common, Corner, Failure, Figure, Options, Panel, Progress, Results, Row, check_writable,
    conclude, run, write_csv,
};
use lattice_phi4::{Chains, FourierHmc, Hmc, Lattice, Leap, Phi4, Spectrum, Update, Wolff};

/// Extents of the lattices.
const EXTENTS: [usize; 4] = [8, 16, 32, 64];
/// Chains side by side, and sweeps of clusters and HMC before anything is measured.
const CHAINS: usize = 32;
const THERMALISATION: u64 = 500;
/// Autocorrelation times that every chain lasts for, and sweeps at most.
const LENGTH: f64 = 300.0;
const LONGEST: usize = 1 << 17;

/// Options, none of which is required.
#[derive(Clone, Debug, PartialEq, clap::Args)]
struct SlowingArgs {
    #[command(flatten)]
    common: Common,

    /// Hopping parameter, critical by default
    #[arg(long, value_name = "KAPPA", default_value_t = 0.2705)]
    hopping: f64,

    /// Coupling of the action
    #[arg(long, value_name = "LAMBDA", default_value_t = 0.022)]
    lambda: f64,

    /// Largest extent: 16, 32 or 64
    #[arg(long, value_name = "L", default_value_t = 64)]
    largest: usize,
}

impl Options for SlowingArgs {
    fn common(&mut self) -> &mut Common {
        &mut self.common
    }
}

fn main() -> std::process::ExitCode {
    run("phi4_slowing_down", "Critical slowing down of HMC, accelerated HMC and clusters", work)
}

/// What one algorithm needed, extent by extent.
#[derive(Default)]
struct Slowing {
    extents: Vec<f64>,
    tau: Vec<Estimate>,
    /// Milliseconds of one thread for an independent configuration.
    cost: Vec<f64>,
}

fn work(args: &SlowingArgs) -> Result<(), Failure> {
    let out = args.common.out();
    check_writable(out)?;
    let mut results = Results::new("phi4_slowing_down", args.common.seed)
        .setting("hopping", args.hopping)
        .setting("lambda", args.lambda)
        .setting("chains", CHAINS);
    let names = ["HMC", "Fourier-accelerated HMC", "Wolff and HMC"];
    let mut found: [Slowing; 3] = Default::default();
    let extents: Vec<usize> = EXTENTS.into_iter().filter(|extent| *extent <= args.largest).collect();
    let progress = Progress::new("chains", (names.len() * extents.len()) as u64, "runs");
    for extent in extents {
        let action = Phi4::new(Lattice::new(&[extent, extent])?, args.hopping, args.lambda)?;
        // The step shrinks as V^(-1/4), which keeps the acceptance of a second-order scheme.
        let root = (extent as f64 / 8.0).sqrt();
        let hmc = Hmc::new(1.0, (2.0 * root).ceil() as usize, Leap::Omelyan)?;
        // About as many sites are flipped as there are.
        let wolff = Wolff { clusters: 5 };
        let mut chains = Chains::hot(&action, CHAINS, 1.0, args.common.seed);
        chains.run(&action, &[&wolff, &hmc], THERMALISATION);
        let spectrum = pilot_spectrum(&action, &mut chains, &[&wolff, &hmc])?;
        let steps = (8.0 * root).ceil() as usize;
        let fourier = FourierHmc::new(std::f64::consts::FRAC_PI_2, steps, &spectrum)?;

        let schedules: [&[&dyn Update]; 3] = [&[&hmc], &[&fourier], &[&wolff, &hmc]];
        for ((schedule, name), slowing) in schedules.iter().zip(names).zip(&mut found) {
            let run = measure(&action, chains.clone(), schedule)?;
            let source = format!("{name}, L={extent}");
            let tau = Estimate { value: run.m2.tau_int, error: run.m2.tau_int_error };
            results.push(Row::new("tau_int_m2", &source, tau.value, tau.error));
            results.push(Row::new("acceptance", &source, run.acceptance, 0.0));
            slowing.extents.push(extent as f64);
            slowing.tau.push(tau);
            slowing.cost.push(2.0 * tau.value * run.milliseconds);
            progress.advance(1);
        }
    }
    progress.finish();
    for (slowing, name) in found.iter().zip(names) {
        if let Some((z, _)) = fit(slowing) {
            results.push(Row::new("z", name, z.value, z.error));
        }
    }
    save(&found, names, out)?;
    conclude(results, out, "phi4_critical")
}

/// The propagator of a short run: `CHAINS` configurations ten sweeps apart.
fn pilot_spectrum(action: &Phi4, chains: &mut Chains, schedule: &[&dyn Update]) -> Result<Spectrum, Failure> {
    let mut fields = chains.fields.clone();
    for _ in 0..20 {
        chains.run(action, schedule, 10);
        fields.append(ndarray::Axis(0), chains.fields.view())?;
    }
    Ok(Spectrum::of_ensemble(action.lattice(), 0.0, fields.view())?)
}

struct Run {
    m2: GammaEstimate,
    /// Of the last update of a sweep.
    acceptance: f64,
    /// Of one thread, for one sweep of one chain.
    milliseconds: f64,
}

/// Runs until every chain is `LENGTH` autocorrelation times long.
fn measure(action: &Phi4, mut chains: Chains, schedule: &[&dyn Update]) -> Result<Run, Failure> {
    let mut histories = vec![Vec::new(); CHAINS];
    let (mut target, mut seconds, mut acceptance) = (256, 0.0, 0.0);
    loop {
        while histories[0].len() < target {
            let start = Instant::now();
            let summary = chains.run(action, schedule, 1);
            seconds += start.elapsed().as_secs_f64();
            acceptance += summary.acceptance.last().copied().unwrap_or(0.0);
            for (history, field) in histories.iter_mut().zip(chains.fields.outer_iter()) {
                let m = field.sum() / field.len() as f64;
                history.push(m * m);
            }
        }
        let m2 = GammaMethod::default().mean(&histories.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        if target as f64 >= LENGTH * m2.tau_int || target >= LONGEST {
            let threads = rayon::current_num_threads().min(CHAINS.div_ceil(8)) as f64;
            let sweeps = target as f64;
            let milliseconds = 1e3 * seconds * threads / (sweeps * CHAINS as f64);
            return Ok(Run { m2, acceptance: acceptance / sweeps, milliseconds });
        }
        target *= 2;
    }
}

/// `tau = a L^z` by least squares of the logarithms, weighted by the errors: `z` and `a`.
fn fit(slowing: &Slowing) -> Option<(Estimate, f64)> {
    let points: Vec<(f64, f64, f64)> = slowing
        .extents
        .iter()
        .zip(&slowing.tau)
        .map(|(extent, tau)| (extent.ln(), tau.value.ln(), (tau.value / tau.error).powi(2)))
        .collect();
    let sum = |of: &dyn Fn(&(f64, f64, f64)) -> f64| points.iter().map(of).sum::<f64>();
    let weight = sum(&|p| p.2);
    let (x, y) = (sum(&|p| p.2 * p.0) / weight, sum(&|p| p.2 * p.1) / weight);
    let spread = sum(&|p| p.2 * (p.0 - x).powi(2));
    let slope = sum(&|p| p.2 * (p.0 - x) * (p.1 - y)) / spread;
    let z = Estimate { value: slope, error: spread.sqrt().recip() };
    (points.len() > 1).then(|| (z, (y - slope * x).exp()))
}

fn save(found: &[Slowing; 3], names: [&str; 3], out: &std::path::Path) -> Result<(), Failure> {
    let panel = |title: &str, label: &str| {
        Panel::new(title, "L", label).log_x().log_y().x_range(6.5, 80.0).legend(Corner::TopLeft)
    };
    let mut slowing = panel("Autocorrelation", "τ_int of m², sweeps").y_range(0.5, 5e4);
    let mut cost = panel("Cost", "ms per independent configuration").y_range(1e-2, 1e3);
    let mut columns: Vec<(String, Vec<f64>)> = vec![("L".into(), found[0].extents.clone())];
    for ((run, name), colour) in
        found.iter().zip(names).zip([Colour::Blue, Colour::Vermillion, Colour::Green])
    {
        let (tau, error): (Vec<f64>, Vec<f64>) = run.tau.iter().map(|tau| (tau.value, tau.error)).unzip();
        if let Some((z, a)) = fit(run) {
            let power: Vec<f64> = run.extents.iter().map(|extent| a * extent.powf(z.value)).collect();
            slowing = slowing.line("", &run.extents, &power).colour(colour);
            slowing = slowing.markers(&format!("{name}, z = {z}"), &run.extents, &tau, &error).colour(colour);
        }
        cost = cost.markers(name, &run.extents, &run.cost, &vec![0.0; tau.len()]);
        columns.push((format!("tau_int {name}"), tau));
        columns.push((format!("tau_int error {name}"), error));
        columns.push((format!("ms {name}"), run.cost.clone()));
    }
    Figure::grid(1, 2, vec![slowing, cost]).save(&out.join("slowing_down.svg"))?;
    let columns: Vec<(&str, &[f64])> = columns.iter().map(|(n, v)| (n.as_str(), v.as_slice())).collect();
    write_csv(&out.join("slowing_down.csv"), &columns)?;
    Ok(())
}
