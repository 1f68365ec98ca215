//! Scalar `phi^4` on the lattice, variance expanding: `cargo run --release --example lattice_phi4_ve`.
//!
//! Simulates an ensemble, fits or learns its score (`--score`, or `--load` of an earlier run), draws as many configurations from it as the
//! ensemble has, and compares the two. The figures follow the local cumulants along the forward and the backward process
//! (Figs. 8 and 9 of the paper); the results have the longest modes as well.

use std::time::Instant;

use cumulants::distances::kolmogorov_smirnov_two_sample;
use cumulants::{ChainError, Estimate, GammaMethod};
use examples::lattice::{
    CHECKPOINT, Ensemble, LatticeArgs, Learned, Protocol, ScoreArgs, ScoreKind, Shells, Table, action_panel,
    correct, forget, magnetisation_panel, noised, simulate, table, time_of,
};
use examples::{
    Columns, Common, Corner, Curves, Failure, Figure, Options, Panel, Parts, PartsArgs, Results, Row, Unit,
    check_writable, conclude, run,
};
use lattice_phi4::{FieldPrior, Measurements, MinMax, Observable, Phi4, Primary, Probe};
use ndarray::{Array2, s};

/// Configurations without `--configs`.
const CONFIGS: usize = 10_000;
/// Levels between two measurements.
const STRIDE: usize = 3;

fn main() -> std::process::ExitCode {
    run("lattice_phi4_ve", "Scalar phi^4 on the lattice, variance expanding: Figures 8 and 9, Table 2", work)
}

/// Where the backward process starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum PriorKind {
    /// N(0, G(p;T)) mode by mode, at noise that nothing is left of the field under
    Matched,
    /// As published, N(0, Xi(T)) at T = 1 of g = 25^t: the longest modes are still more field than noise there
    Paper,
}

impl PriorKind {
    fn prior(self) -> FieldPrior {
        match self {
            Self::Matched => FieldPrior::Matched,
            Self::Paper => FieldPrior::Noise,
        }
    }
}

/// The options.
#[derive(Clone, Debug, clap::Args)]
struct VeArgs {
    #[command(flatten)]
    lattice: LatticeArgs,

    #[command(flatten)]
    score: ScoreArgs,

    /// Where the backward process starts
    #[arg(long, value_name = "NAME", default_value = "matched")]
    prior: PriorKind,

    /// Trajectories of HMC with the true action that generated configurations are corrected by [default: 1 where a net
    /// draws fields with domains, none else]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    correct: Option<u64>,

    #[command(flatten)]
    parts: PartsArgs,
}

impl Options for VeArgs {
    fn common(&mut self) -> &mut Common {
        &mut self.lattice.common
    }
}

fn work(all: &VeArgs) -> Result<(), Failure> {
    let args = &all.lattice;
    let out = args.common.out();
    let action = args.action()?;
    all.score.check(&action, args.protocol)?;
    check_writable(out)?;
    let checkpoint = out.join(CHECKPOINT);
    let configs = args.configs.unwrap_or(CONFIGS);
    let mut results = args.results("lattice_phi4_ve");

    let start = Instant::now();
    let ensemble = simulate(&action, args.protocol, configs, args.common.seed, Some(&checkpoint))?;
    let fields = &ensemble.simulation.fields;
    let target = table(&action, &ensemble.measured, ensemble.per_chain)?;
    let data = start.elapsed();
    let start = Instant::now();
    let model = all.score.obtain(&action, args, fields, out)?;
    let train = start.elapsed();
    let start = Instant::now();
    let levels = model.noise_levels(all.prior.prior())?;
    let Generated { fields: mut generated, flow: backward, mut pictures } =
        generate(all, &action, &model, &levels, fields.nrows())?;
    if let Some(shard) = all.parts.shard {
        shard.farewell(out);
        return forget(&checkpoint);
    }
    let domains = args.protocol == Protocol::Paper && all.score.score == Some(ScoreKind::Unet);
    let trajectories = all.correct.unwrap_or(u64::from(domains));
    let uncorrected = if trajectories > 0 {
        let found = self::measured(&action, &generated);
        let acceptance = correct(&action, &mut generated, trajectories, args.common.seed)?;
        results = results.setting("correction", trajectories).setting("acceptance", acceptance);
        Some(table(&action, &found, found.len())?)
    } else {
        None
    };
    let measured = measured(&action, &generated);
    let found = table(&action, &measured, measured.len())?;
    let sampling = start.elapsed();

    pictures.push((0.0, generated.row(0).to_vec()));
    let (mut forward, mut forward_pictures) = (Vec::new(), vec![(0.0, fields.row(0).to_vec())]);
    for (stream, &(noise, _)) in backward.iter().enumerate().rev() {
        let x = noised(fields, noise, args.common.seed, stream as u64);
        forward.push((noise, under_noise(&action, &target, &ensemble.measured, &x)?));
        forward_pictures.push((noise, x.row(0).to_vec()));
    }
    pictures.reverse();

    results = results
        .setting("configs", fields.nrows())
        .setting("noise_levels", levels.len())
        .setting("prior", if all.prior == PriorKind::Paper { "paper" } else { "matched" })
        .setting("ordered", model.ordered())
        .setting("seconds_data", data.as_secs_f64())
        .setting("seconds_train", train.as_secs_f64())
        .setting("seconds_sample", sampling.as_secs_f64());
    push_rows(&mut results, &target, &found);
    for (observable, raw) in uncorrected.iter().flat_map(|table| &table.0) {
        let known = target.get(*observable);
        let row = Row::new(&observable.name(), "uncorrected", raw.value, raw.error);
        results.push(row.target(known.value, known.error));
    }
    push_residuals(
        &mut results,
        &action,
        &[("target", &ensemble.measured, ensemble.per_chain), ("generated", &measured, measured.len())],
    )?;
    push_normalised(&mut results, args, MinMax::of(fields.view())?.scale(), &target, &found);
    let rows = fields.nrows().min(SHOWN);
    let shells = Shells::new(action.lattice());
    let wrong = shells.score_error(&*model.score()?, &action, fields.slice(s![..rows, ..]))?;
    for (shell, wrong) in wrong.iter().enumerate() {
        let quantity = format!("score_error_shell_{shell}");
        results.push(Row::new(&quantity, "against the force", wrong.value, wrong.error));
    }
    results.push(same_magnetisation(&ensemble, &measured, &target)?);
    for (name, flow) in [("forward", &forward), ("backward", &backward)] {
        for (noise, found) in flow {
            let source = format!("{name} t={:.4}", time_of(*noise));
            for (observable, found) in FOLLOWED.into_iter().zip(found) {
                let row = Row::new(&observable.name(), &source, found.value, found.error);
                let exact = target.get(observable);
                // The target is in the noised configurations as it is: its error is none of the difference.
                let error = if name == "forward" { 0.0 } else { exact.error };
                results.push(row.target(exact.value + added(observable, *noise), error));
            }
        }
        curves(&out.join(format!("{name}.csv")), flow)?;
    }
    Figure::grid(2, 2, cumulant_panels(&target, &forward, &backward)).save(&out.join("figure8.svg"))?;
    let panels = vec![
        magnetisation_panel(&[("target", &ensemble.measured), ("generated", &measured)])?,
        action_panel(&action, &[("target", fields.view()), ("generated", generated.view())])?,
    ];
    Figure::grid(1, 2, panels).save(&out.join("magnetisation.svg"))?;
    let maps = [("Forward", &forward_pictures), ("Backward", &pictures)];
    let maps = maps.iter().flat_map(|(name, pictures)| picture_panels(&action, name, pictures)).collect();
    Figure::grid(2, PICTURES, maps).save(&out.join("configurations.svg"))?;
    conclude(results, out, "lattice_propagator")?;
    forget(&checkpoint)
}

/// Configurations that the score is compared with the force on.
const SHOWN: usize = 500;

/// Times at which the first configuration is pictured.
const PICTURES: usize = 4;

/// A configuration without noise, and at some of the times it has on its way, ascending.
fn picture_panels(action: &Phi4, name: &str, pictures: &[(f64, Vec<f64>)]) -> Vec<Panel> {
    let width = action.lattice().extents()[action.lattice().dimension() - 1];
    let chosen = (0..PICTURES).map(|i| &pictures[i * (pictures.len() - 1) / (PICTURES - 1)]);
    let panel = |(noise, field): &(f64, Vec<f64>)| {
        let square = field.iter().map(|x| x * x).sum::<f64>() / field.len() as f64;
        let title = format!("{name}, t = {:.2}", time_of(*noise));
        Panel::new(&title, "", "").map(width, field, CONTRAST * square.sqrt())
    };
    chosen.map(panel).collect()
}

/// From black to white, in root mean squares of the field to either side.
const CONTRAST: f64 = 2.0;

/// Orders of Table 2.
const ORDERS: [usize; 4] = [2, 4, 6, 8];

/// What is followed along the noise: local cumulants, and the propagator of the zero mode and of the smallest momentum.
const FOLLOWED: [Observable; 6] = [
    Observable::Cumulant(2),
    Observable::Cumulant(4),
    Observable::Cumulant(6),
    Observable::Cumulant(8),
    Observable::VolumeM2,
    Observable::LowestMomentum,
];

/// What noise of standard deviation `s` adds: `Xi = s^2` to the variance of a site [3.23] as to that of a mode [5.16].
fn added(observable: Observable, s: f64) -> f64 {
    match observable {
        Observable::Cumulant(2) | Observable::VolumeM2 | Observable::LowestMomentum => s * s,
        _ => 0.0,
    }
}

type Flow = [(f64, [Estimate; FOLLOWED.len()])];

/// Generated configurations, and what was seen of them on their way, at descending noise.
struct Generated {
    fields: Array2<f64>,
    flow: Vec<(f64, [Estimate; FOLLOWED.len()])>,
    pictures: Vec<(f64, Vec<f64>)>,
}

/// Draws as many configurations as the options ask this job for, and puts them together.
fn generate(
    all: &VeArgs,
    action: &Phi4,
    model: &Learned,
    levels: &[f64],
    rows: usize,
) -> Result<Generated, Failure> {
    let VeArgs { lattice: LatticeArgs { common, size, hopping, lambda, protocol, .. }, score, prior, .. } =
        all;
    let settings = format!(
        "lattice_phi4_ve: seed {}, {size:?}, hopping {hopping}, lambda {lambda}, {protocol:?}, {score:?}, prior {prior:?}",
        common.seed
    );
    let visited: Vec<f64> = levels[..levels.len() - 1].iter().copied().step_by(STRIDE).rev().collect();
    // The fields, and for every time the primaries of what is followed, and the picture.
    let each = FOLLOWED.len() + 1;
    let shape = (rows, action.lattice().volume());
    let Columns(made) = Parts::new(&all.parts, common.out()).make("generated", &settings, shape, |rows| {
        let mut columns = vec![Vec::new(); 1 + each * visited.len()];
        let first = rows.start;
        let fields = model.sample(prior.prior(), rows, common.seed, &mut |noise, x| {
            let Some(time) = visited.iter().position(|visited| *visited == noise) else { return };
            let (followed, picture) = columns[1 + each * time..][..each].split_at_mut(FOLLOWED.len());
            let measured = measured(action, x);
            for (column, observable) in followed.iter_mut().zip(FOLLOWED) {
                *column = measured.columns(&observable.primaries()).iter().copied().collect();
            }
            if first == 0 {
                picture[0] = x.row(0).to_vec();
            }
        })?;
        columns[0] = fields.into_raw_vec_and_offset().0;
        Ok(Columns(columns))
    })?;
    let mut made = made.into_iter();
    let fields = made.next().unwrap_or_default();
    let (mut flow, mut pictures) = (Vec::new(), Vec::new());
    for noise in visited {
        flow.push((noise, FOLLOWED.map(|observable| followed(action, observable, made.next()))));
        pictures.push((noise, made.next().unwrap_or_default()));
    }
    let fields = Array2::from_shape_vec((fields.len() / shape.1, shape.1), fields)?;
    Ok(Generated { fields, flow, pictures })
}

fn measured(action: &Phi4, x: &Array2<f64>) -> Measurements {
    let mut measured = Measurements::new(action.lattice());
    measured.extend(x.view());
    measured
}

/// An observable from the rows of its primaries, with its error over configurations.
fn followed(action: &Phi4, observable: Observable, rows: Option<Vec<f64>>) -> Estimate {
    let (rows, columns) = (rows.unwrap_or_default(), observable.primaries().len());
    GammaMethod::default()
        .derived(&[&rows], columns, |means| observable.value(action, means))
        .map_or(Estimate { value: f64::NAN, error: f64::NAN }, |found| found.estimate())
}

/// [`FOLLOWED`] of configurations with noise on top of them, with the error of the noise alone: that of the change from
/// configuration to configuration, which given these is independent.
fn under_noise(
    action: &Phi4,
    target: &Table,
    before: &Measurements,
    x: &Array2<f64>,
) -> Result<[Estimate; FOLLOWED.len()], ChainError> {
    let measured = measured(action, x);
    let mut estimates = [Estimate { value: 0.0, error: 0.0 }; FOLLOWED.len()];
    for (estimate, observable) in estimates.iter_mut().zip(FOLLOWED) {
        let primaries = observable.primaries();
        let [with, without] = [&measured, before].map(|of| of.columns(&primaries));
        let rows: Vec<f64> = with
            .outer_iter()
            .zip(without.outer_iter())
            .flat_map(|(a, b)| [a.to_vec(), b.to_vec()].concat())
            .collect();
        let value = |means: &[f64]| observable.value(action, means);
        let change = |means: &[f64]| {
            let (with, without) = means.split_at(primaries.len());
            value(with) - value(without)
        };
        let change = GammaMethod::default().derived(&[&rows], 2 * primaries.len(), change)?;
        *estimate = Estimate { value: target.get(observable).value + change.value, error: change.error };
    }
    Ok(estimates)
}

fn push_rows(results: &mut Results, target: &Table, found: &Table) {
    for (observable, estimate) in &target.0 {
        let (name, tau_int) = (observable.name(), estimate.tau_int);
        results.push(Row::new(&name, "target", estimate.value, estimate.error).tau_int(tau_int));
        if let Some((_, own)) = found.0.iter().find(|(other, _)| other == observable) {
            let own = Row::new(&name, "generated", own.value, own.error);
            results.push(own.target(estimate.value, estimate.error));
        }
    }
}

/// Residuals of Schwinger-Dyson equations: zero in equilibrium with the action, for the target and for what should be like it.
fn push_residuals(
    results: &mut Results,
    action: &Phi4,
    sources: &[(&str, &Measurements, usize)],
) -> Result<(), Failure> {
    for probe in [Probe::Field, Probe::Cube, Probe::Magnetisation] {
        let residual = Observable::SchwingerDyson(probe);
        for &(source, measured, per_chain) in sources {
            let found = residual.estimate(action, measured, per_chain)?;
            results.push(Row::new(&residual.name(), source, found.value, found.error).exact(0.0));
        }
    }
    Ok(())
}

/// Table 2: cumulants of fields normalised to `[-1, 1]` by the extremes of the target [A.5], half of whose distance is `scale`.
fn push_normalised(results: &mut Results, args: &LatticeArgs, scale: f64, target: &Table, found: &Table) {
    for order in ORDERS {
        let unit = scale.powi(order as i32);
        let normalised = |table: &Table| {
            let found = table.get(Observable::Cumulant(order));
            (found.value / unit, found.error / unit)
        };
        let (known, own) = (normalised(target), normalised(found));
        let row = |source, (value, error)| {
            let row = Row::new(&format!("normalised_kappa_{order}"), source, value, error);
            match args.published(order) {
                Some(published) => row.paper(published),
                None => row,
            }
        };
        results.push(row("target", known));
        results.push(row("generated", own).target(known.0, known.1));
    }
}

/// Kolmogorov-Smirnov p-value of `|m|`: of the target one configuration in `2 tau_int`, since the test asks for independent
/// samples.
fn same_magnetisation(ensemble: &Ensemble, generated: &Measurements, target: &Table) -> Result<Row, Failure> {
    let stride = (2.0 * target.get(Observable::AbsM).tau_int).ceil().max(1.0) as usize;
    let of_target =
        ensemble.measured.series(Primary::AbsM).iter().copied().step_by(stride).collect::<Vec<_>>();
    let of_generated = generated.series(Primary::AbsM).to_vec();
    let found = kolmogorov_smirnov_two_sample(&of_target, &of_generated)?;
    Ok(Row::new("ks_m_pvalue", "generated", found.p_value, 0.0))
}

fn curves(path: &std::path::Path, flow: &Flow) -> Result<(), Failure> {
    let mut curves = Curves::over("t", Unit::Time, flow.iter().map(|(noise, _)| time_of(*noise)));
    curves.push("noise", Unit::Lattice, flow.iter().map(|(noise, _)| noise));
    for (place, observable) in FOLLOWED.into_iter().enumerate() {
        curves.push_estimates(&observable.name(), Unit::Lattice, flow.iter().map(|(_, found)| found[place]));
    }
    Ok(curves.save(path)?)
}

/// Cumulants along the noise, in units of the target's; the second without the noise's own share.
fn cumulant_panels(target: &Table, forward: &Flow, backward: &Flow) -> Vec<Panel> {
    let panel = |(place, name): (usize, &str)| {
        let observable = FOLLOWED[place];
        let unit = target.get(observable).value;
        let curve = |flow: &Flow| -> (Vec<f64>, Vec<f64>, Vec<f64>) {
            let t = flow.iter().map(|(noise, _)| *noise).collect();
            let own =
                |(noise, k): &(f64, [Estimate; FOLLOWED.len()])| k[place].value - added(observable, *noise);
            let value = flow.iter().map(|moment| own(moment) / unit).collect();
            (t, value, flow.iter().map(|(_, k)| (k[place].error / unit).abs()).collect())
        };
        let title = if added(observable, 1.0) > 0.0 { format!("{name} - s²") } else { name.to_owned() };
        let mut panel = Panel::new(&title, "s", "over the target's")
            .log_x()
            .y_range(0.0, 2.0)
            .legend(Corner::BottomLeft)
            .reference(1.0);
        for (name, flow) in [("forward", forward), ("backward", backward)] {
            let (t, value, error) = curve(flow);
            panel = panel.markers(name, &t, &value, &error);
        }
        panel
    };
    [(0, "κ₂"), (1, "κ₄"), (2, "κ₆"), (3, "κ₈")].into_iter().map(panel).collect()
}
