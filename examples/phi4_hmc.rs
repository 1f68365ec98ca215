//! Scalar `phi^4` on the lattice by Monte Carlo: `cargo run --release --example phi4_hmc`.
//!
//! Simulates an ensemble, in equilibrium or by the published protocol, prints observables with errors and autocorrelation
//! times, and certifies that it is in equilibrium, or not.
//!
//! Many jobs can share the work: each is started with the same options, a `--shard` and an `--out` of its own, and one with
//! `--merge` and the folders of all makes of them what a single job would have made, to the last byte.

use std::path::Path;

use cumulants::GammaMethod;
use examples::lattice::{
    CHECKPOINT, Ensemble, LatticeArgs, forget, magnetisation_panel, merge, simulate, simulate_shard, table,
};
use examples::{
    Common, Corner, Curves, Failure, Figure, Options, Panel, PartsArgs, Row, Unit, check_writable, conclude,
    run, write_json,
};
use lattice_phi4::{EnsembleWriter, Observable, Orbits, Phi4, Primary, Provenance, Verdict, propagator};

/// Configurations without `--configs`.
const CONFIGS: usize = 10_000;
/// Configurations of a chain in the figure of its history.
const HISTORY: usize = 300;

fn main() -> std::process::ExitCode {
    run("phi4_hmc", "Scalar phi^4 on the lattice: observables with errors, and a certificate", work)
}

/// The options.
#[derive(Clone, Debug, clap::Args)]
struct HmcArgs {
    #[command(flatten)]
    lattice: LatticeArgs,

    #[command(flatten)]
    parts: PartsArgs,
}

impl Options for HmcArgs {
    fn common(&mut self) -> &mut Common {
        &mut self.lattice.common
    }
}

#[expect(clippy::print_stdout, reason = "the certificate is the answer of the program")]
fn work(all: &HmcArgs) -> Result<(), Failure> {
    let args = &all.lattice;
    let out = args.common.out();
    check_writable(out)?;
    let action = args.action()?;
    let configs = args.configs.unwrap_or(CONFIGS);
    let mut results = args.results("phi4_hmc");
    let checkpoint = out.join(CHECKPOINT);
    let (protocol, seed) = (args.protocol, args.common.seed);
    if let Some(shard) = all.parts.shard {
        simulate_shard(&action, protocol, configs, seed, &checkpoint, shard)?;
        shard.farewell(out);
        return Ok(());
    }
    let ensemble = if all.parts.merge.is_empty() {
        simulate(&action, protocol, configs, seed, Some(&checkpoint))?
    } else {
        let folders: Vec<_> = all.parts.merge.iter().map(|folder| folder.join(CHECKPOINT)).collect();
        merge(&action, protocol, configs, seed, &folders)?
    };
    let simulation = &ensemble.simulation;
    let verdict = match ensemble.certificate.verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
    };
    results = results
        .setting("configs", simulation.fields.nrows())
        .setting("chains", simulation.chains)
        .setting("acceptance", simulation.acceptance)
        .setting("thermalisation", simulation.thermalisation)
        .setting("spacing", simulation.spacing)
        .setting("certificate", verdict);
    for (observable, found) in table(&action, &ensemble.measured, ensemble.per_chain)?.0 {
        let row =
            Row::new(&observable.name(), "Monte Carlo", found.value, found.error).tau_int(found.tau_int);
        results.push(match published(args, observable) {
            Some(value) => row.paper(value),
            None => row,
        });
    }

    let panels = vec![
        history_panel(&ensemble),
        magnetisation_panel(&[("", &ensemble.measured)])?,
        propagator_panel(&action, &ensemble, out)?,
        mass_panel(&action, &ensemble),
    ];
    Figure::grid(2, 2, panels).save(&out.join("observables.svg"))?;
    write_json(&out.join("certificate.json"), &ensemble.certificate)?;
    let provenance = Provenance {
        hopping: args.hopping,
        lambda: args.lambda,
        seed: args.common.seed,
        protocol: args.protocol.name().into(),
        chains: simulation.chains,
    };
    let fields = &simulation.fields;
    let mut writer =
        EnsembleWriter::create(out.join("fields.npy"), action.lattice(), fields.nrows(), provenance)?;
    writer.push(fields.view())?;
    writer.finish()?;
    println!("{}\n", ensemble.certificate);
    conclude(results, out, "lattice_phi4_ve")?;
    forget(&checkpoint)
}

/// Ratios of the published cumulants of normalised fields (Table 2, HMC), by whose protocol they come out.
fn published(args: &LatticeArgs, observable: Observable) -> Option<f64> {
    match observable {
        Observable::Shape(order) => Some(args.published(order)? / args.published(2)?.powi(order as i32 / 2)),
        _ => None,
    }
}

/// `m` along the first and the last chain; of independent configurations, one after the other.
fn history_panel(ensemble: &Ensemble) -> Panel {
    let m = ensemble.measured.series(Primary::Power(1));
    let length = ensemble.per_chain.min(HISTORY);
    let count: Vec<f64> = (0..length).map(|n| n as f64).collect();
    let largest = m.iter().fold(0.0, |a: f64, m| a.max(m.abs()));
    let mut panel = Panel::new("History", "configuration", "m")
        .y_range(-1.5 * largest, 1.5 * largest)
        .legend(Corner::TopRight);
    let last = m.len() - ensemble.per_chain;
    let chains = if last == 0 { vec![("", 0)] } else { vec![("hot start", 0), ("cold start", last)] };
    for (name, first) in chains {
        let series: Vec<f64> = m.iter().skip(first).take(length).copied().collect();
        panel = panel.line(name, &count, &series);
    }
    panel
}

/// `1/G(p)` against the lattice momentum squared, which is a straight line in the free theory; also as a table.
fn propagator_panel(action: &Phi4, ensemble: &Ensemble, out: &Path) -> Result<Panel, Failure> {
    let lattice = action.lattice();
    let orbits = Orbits::new(lattice);
    let rows = propagator(lattice, ensemble.simulation.fields.view());
    let (mut p2, mut g, mut error) = (Vec::new(), Vec::new(), Vec::new());
    for orbit in 0..orbits.len() {
        let series = rows.column(orbit).to_vec();
        let chains: Vec<&[f64]> = series.chunks(ensemble.per_chain).collect();
        let found = GammaMethod::default().mean(&chains)?;
        p2.push(orbits.momentum_squared(orbit));
        g.push(found.value);
        error.push(found.error);
    }
    let mut curve = Curves::over("p_squared", Unit::Lattice, &p2);
    curve.push("G", Unit::Lattice, &g);
    curve.push("G_error", Unit::Lattice, &error);
    curve.save(&out.join("propagator.csv"))?;
    let inverse: Vec<f64> = g.iter().map(|g| 1.0 / g).collect();
    let errors: Vec<f64> = g.iter().zip(&error).map(|(g, e)| e / (g * g)).collect();
    Ok(Panel::new("Propagator", "p²", "1 / G(p)").markers("", &p2, &inverse, &errors))
}

/// Effective mass against distance, where noise leaves it a value.
fn mass_panel(action: &Phi4, ensemble: &Ensemble) -> Panel {
    let half = action.lattice().extents()[0] / 2;
    let (mut t, mut mass, mut error) = (Vec::new(), Vec::new(), Vec::new());
    for distance in 1..half {
        let found =
            Observable::EffectiveMass(distance).estimate(action, &ensemble.measured, ensemble.per_chain);
        if let Some(found) = found.ok().filter(|found| 2.0 * found.error < found.value) {
            t.push(distance as f64);
            mass.push(found.value);
            error.push(found.error);
        }
    }
    Panel::new("Effective mass", "t", "m(t)").markers("", &t, &mass, &error)
}
