//! One score for many parameters: `cargo run --release --example score_transfer`.
//!
//! Perturbative scores are fitted at four hopping parameters on one lattice, interpolated to those between, and carried to other sizes; on top
//! of them all, one net that knows the hopping.
//! Weights of paths make fields exact in any case; the effective sample size of a configuration says what a score is worth where nothing was fitted,
//! beside one that was fitted there, and one that was fitted elsewhere and used as it is.

use diffusion::LogWeights;
use examples::lattice::{Family, Member, Model, Protocol, UnetArgs, fit, path_sampler_of, sample};
use examples::{
    Common, Corner, Failure, Figure, Options, Panel, Progress, Results, Row, check_writable, conclude,
    positive, run,
};
use lattice_phi4::{Lattice, PerturbativeModel, Phi4, equilibrium};
use ndarray::Array2;
use sde_core::ScoreModel;

/// Where models are fitted, and where they are used.
const FITTED: [f64; 4] = [0.21, 0.25, 0.26, 0.27];
const USED: [f64; 9] = [0.21, 0.22, 0.23, 0.24, 0.25, 0.255, 0.26, 0.265, 0.27];
/// Extents that models are carried to, in units of an eighth of where they were fitted.
const EXTENTS: [usize; 4] = [4, 8, 12, 16];
/// Hopping parameters at which they are carried: those of the second and third model.
const CARRIED: [f64; 2] = [FITTED[1], FITTED[2]];
/// Channels of the net, each on half the extents of those before: it fits on multiples of the stride.
const CHANNELS: [usize; 3] = [8, 16, 32];
const STRIDE: usize = 1 << (CHANNELS.len() - 1);
/// Fields of the model itself on which the cost of steps is measured.
const PROBES: usize = 64;

#[derive(Clone, Debug, clap::Args)]
struct TransferArgs {
    #[command(flatten)]
    common: Common,

    /// Extent of the square lattice that models are fitted on, a multiple of eight
    #[arg(long, value_name = "L", default_value_t = 16, value_parser = positive)]
    size: usize,

    /// Coupling of the action
    #[arg(long, value_name = "LAMBDA", default_value_t = 0.022, allow_negative_numbers = true)]
    lambda: f64,

    /// Configurations that a model is fitted to, and paths that it is judged by
    #[arg(long, value_name = "N", default_value_t = 4000, value_parser = positive)]
    configs: usize,

    /// Steps of a path
    #[arg(long, value_name = "K", default_value_t = 40, value_parser = positive)]
    steps: usize,

    /// Training steps of a net that corrects all models, of 64 samples each
    #[arg(long, value_name = "N", default_value_t = 3000, value_parser = positive)]
    training_steps: usize,
}

impl Options for TransferArgs {
    fn common(&mut self) -> &mut Common {
        &mut self.common
    }
}

fn main() -> std::process::ExitCode {
    run("score_transfer", "One score for many hopping parameters and lattice sizes", work)
}

fn work(args: &TransferArgs) -> Result<(), Failure> {
    let out = args.common.out();
    if !args.size.is_multiple_of(8) {
        return Err(format!("--size: expected a multiple of 8, found {}", args.size).into());
    }
    check_writable(out)?;
    let mut results = Results::new("score_transfer", args.common.seed)
        .setting("size", args.size)
        .setting("lambda", args.lambda)
        .setting("configs", args.configs)
        .setting("steps", args.steps)
        .setting("training_steps", args.training_steps);
    let sizes: Vec<usize> = EXTENTS.iter().map(|eighths| args.size / 8 * eighths).collect();
    let points = USED.len() + CARRIED.len() * sizes.len();
    let progress = Progress::new("places", points as u64, "places");

    // Along the hopping.
    let there: Vec<Fitted> =
        USED.iter().map(|hopping| args.fitted(*hopping, args.size)).collect::<Result<_, _>>()?;
    let of_family: Vec<&Fitted> =
        there.iter().filter(|fitted| FITTED.contains(&fitted.action.hopping())).collect();
    let models: Vec<(f64, &PerturbativeModel)> =
        of_family.iter().map(|fitted| (fitted.action.hopping(), &*fitted.model.model)).collect();
    let gaussians: Vec<Model> = models.iter().map(|(_, model)| gaussian_of(model)).collect();
    let members: Vec<Member<'_>> =
        of_family.iter().zip(&gaussians).map(|(fitted, model)| fitted.member(model)).collect();
    let net =
        UnetArgs { channels: CHANNELS.to_vec(), steps: args.training_steps as u64, seed: args.common.seed };
    let family = Family::learn(&members, &net)?;
    let elsewhere = models[1];
    let mut curves = vec![Vec::new(); 4];
    for (hopping, fitted) in USED.into_iter().zip(&there) {
        let interpolated = PerturbativeModel::interpolated(&models, hopping)?;
        let (gaussian, interpolated) = (gaussian_of(&interpolated), interpolated.into());
        let used = [
            ("fitted there", &fitted.model, None),
            ("interpolated", &interpolated, None),
            ("interpolated, net", &gaussian, Some(&family)),
            ("fitted elsewhere", &elsewhere.1.clone().into(), None),
        ];
        let found = args.judged(&fitted.action, &used, &mut results)?;
        curves.iter_mut().zip(found).for_each(|(curve, found)| curve.push(found));
        progress.advance(1);
    }
    let along_hopping = Panel::new(&format!("{0} x {0}", args.size), "κ", "ESS of a configuration")
        .y_range(0.0, 1.6)
        .legend(Corner::TopLeft)
        .markers("fitted there", &USED, &curves[0], &[0.0; USED.len()])
        .line("interpolated from 0.21, 0.25, 0.26, 0.27", &USED, &curves[1])
        .line("Gaussian and one net", &USED, &curves[2])
        .line("fitted at 0.25", &USED, &curves[3]);

    // Along the size.
    let extents: Vec<f64> = sizes.iter().map(|extent| *extent as f64).collect();
    let mut along_size = Panel::new(&format!("carried from {0} x {0}", args.size), "L", "")
        .y_range(0.0, 2.4)
        .legend(Corner::TopLeft);
    for (hopping, model) in CARRIED.into_iter().zip(&models[1..]) {
        let mut curves = vec![Vec::new(); 3];
        for &extent in &sizes {
            let here = args.fitted(hopping, extent)?;
            let carried = model.1.on_lattice(here.action.lattice())?;
            let (gaussian, carried) = (gaussian_of(&carried), carried.into());
            let used = [
                ("fitted there", &here.model, None),
                ("carried", &carried, None),
                ("carried, net", &gaussian, Some(&family)),
            ];
            // Sites are packed as often as the net has levels.
            let used = if extent.is_multiple_of(STRIDE) { &used[..] } else { &used[..2] };
            let mut found = args.judged(&here.action, used, &mut results)?;
            found.resize(curves.len(), f64::NAN);
            curves.iter_mut().zip(found).for_each(|(curve, found)| curve.push(found));
            progress.advance(1);
        }
        along_size = along_size
            .markers(&format!("fitted there, κ = {hopping}"), &extents, &curves[0], &vec![0.0; extents.len()])
            .line(&format!("carried, κ = {hopping}"), &extents, &curves[1])
            .line(&format!("Gaussian and the net, κ = {hopping}"), &extents, &curves[2]);
    }
    progress.finish();
    Figure::grid(1, 2, vec![along_hopping, along_size]).save(&out.join("score_transfer.svg"))?;
    conclude(results, out, "exact_sampling")
}

/// An ensemble and the score that was fitted to it.
struct Fitted {
    action: Phi4,
    fields: Array2<f64>,
    model: Model,
}

impl Fitted {
    /// For a net on top of `model`.
    fn member<'a>(&'a self, model: &'a Model) -> Member<'a> {
        Member { action: &self.action, fields: &self.fields, model }
    }
}

/// What a model has of the Gaussian field.
fn gaussian_of(model: &PerturbativeModel) -> Model {
    PerturbativeModel::gaussian(model.spectrum().clone()).into()
}

impl TransferArgs {
    fn fitted(&self, hopping: f64, extent: usize) -> Result<Fitted, Failure> {
        let action = Phi4::new(Lattice::new(&[extent, extent])?, hopping, self.lambda)?;
        let fields = equilibrium(&action, self.configs, self.common.seed, &mut |_, _| ())?.fields;
        let model = fit(&action, Protocol::Equilibrium, fields.view(), self.common.seed)?;
        Ok(Fitted { action, fields, model })
    }

    /// Effective sample sizes of a configuration by these models, some of them corrected by a net, the first of which was fitted there; `ln Z` of the
    /// others is compared with that of the first.
    fn judged(
        &self,
        action: &Phi4,
        used: &[(&str, &Model, Option<&Family>)],
        results: &mut Results,
    ) -> Result<Vec<f64>, Failure> {
        let (seed, hopping) = (self.common.seed, action.hopping());
        let mut found = Vec::new();
        let mut known = None;
        for (place, (name, model, family)) in used.iter().enumerate() {
            // All that is used of a model is the model: no ensemble.
            let probes: Array2<f64> = sample(model, PROBES, seed, &mut |_, _| ())?;
            let score: Box<dyn ScoreModel + Sync> = match family {
                Some(family) => Box::new(family.corrected(model, hopping)?),
                None => Box::new(model.score()?),
            };
            let sampler = path_sampler_of(model, score, probes.view(), self.steps, seed)?;
            let generated = sampler.run(action, self.configs, seed.wrapping_add(place as u64))?;
            let weights = LogWeights::new(generated.log_weights)?;
            let source = format!("{name}, kappa={hopping}, L={}", action.lattice().extents()[0]);
            results.push(Row::new("ess_per_configuration", &source, weights.efficiency(), 0.0));
            let ln_z = weights.ln_mean();
            let row = Row::new("ln_z", &source, ln_z.value, ln_z.error);
            let tail = weights.tail().check().is_ok();
            match known {
                Some((value, error)) if tail => results.push(row.target(value, error)),
                // Of a tail that hides the largest weights nothing is claimed.
                Some(_) => {}
                None => {
                    known = Some((ln_z.value, ln_z.error));
                    results.push(row);
                }
            }
            found.push(weights.efficiency());
        }
        Ok(found)
    }
}
