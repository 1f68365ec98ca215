//! Critical slowing down: `cargo run --release --example phi4_slowing_down`.
//!
//! At the critical point the correlation length is as large as the lattice, and the autocorrelation time of `m^2` grows with a
//! power of it, `tau_int ~ L^z`. HMC diffuses, `z` near 2; masses that follow the propagator take some of that away, and
//! clusters nearly all of it. What counts in the end is the time an independent configuration costs: the baseline that any
//! generative sampler has to be held against.

use cumulants::Estimate;
use examples::lattice::{CHAINS, chain_cost, pilot_spectrum, scheduled};
use examples::{
    Colour, Common, Corner, Curves, Failure, Figure, Options, Panel, Progress, Results, Row, Unit,
    check_writable, conclude, run,
};
use lattice_phi4::{Chains, FourierHmc, Hmc, Lattice, Leap, Phi4, Update, Wolff};

/// Extents of the lattices.
const EXTENTS: [usize; 4] = [8, 16, 32, 64];
/// Sweeps of clusters and HMC before anything is measured.
const THERMALISATION: u64 = 500;

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
            let run = chain_cost(&action, chains.clone(), scheduled(&action, schedule))?;
            let source = format!("{name}, L={extent}");
            let m2 = run.watched[0];
            let tau = Estimate { value: m2.tau_int, error: m2.tau_int_error };
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
    let mut curves = Curves::over("L", Unit::Lattice, &found[0].extents);
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
        curves.push_estimates(&format!("tau_int {name}"), Unit::Sweeps, &run.tau);
        curves.push(&format!("cost {name}"), Unit::Milliseconds, &run.cost);
    }
    Figure::grid(1, 2, vec![slowing, cost]).save(&out.join("slowing_down.svg"))?;
    Ok(curves.save(&out.join("slowing_down.csv"))?)
}
