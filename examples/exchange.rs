//! Arrays, nets and tables to Python and back: `cargo run --release --example exchange`, then `python3 docs/net.py` and
//! `python3 docs/exchange.py`, then `cargo run --release --example exchange -- --back`.

use std::ops::ControlFlow;
use std::path::Path;

use cumulants::{PairwiseMoments, jackknife_cumulants};
use diffusion::draw;
use examples::{
    Common, Curves, Failure, Options, Results, Row, Unit, check_writable, conclude, read_npz, run, write_npz,
};
use lattice_phi4::{EnsembleReader, EnsembleWriter, Lattice, Phi4, Provenance, equilibrium};
use ndarray::{Array1, Array2, ArrayD};
use rand_pcg::{Pcg64, rand_core::SeedableRng};
use score_nets::{
    Mlp, MlpConfig, ResidualBatches, ResidualConfig, ResidualScore, TrainConfig, Trainer, read_published,
};
use sde_core::{Edm, Noise, ScoreModel, TwoPeak};

/// Samples, and configurations.
const SAMPLES: usize = 10_000;
const CONFIGS: usize = 640;
/// Time of [`Edm`], where `V = t^2`, at which the net is asked.
const TIME: f64 = 0.5;

#[derive(Clone, Debug, clap::Args)]
struct Exchange {
    #[command(flatten)]
    common: Common,

    /// Read what docs/exchange.py wrote, and compare
    #[arg(long)]
    back: bool,
}

impl Options for Exchange {
    fn common(&mut self) -> &mut Common {
        &mut self.common
    }
}

fn main() -> std::process::ExitCode {
    run("exchange", "Arrays, nets and tables to Python and back", |args: &Exchange| {
        let out = args.common.out();
        if args.back { read_back(out) } else { write(args.common.seed, out) }
    })
}

fn write(seed: u64, out: &Path) -> Result<(), Failure> {
    check_writable(out)?;
    let mut results = Results::new("exchange", seed).setting("samples", SAMPLES);

    // Samples and their cumulants as .npz.
    let model = TwoPeak::new(1.0, 0.25)?;
    let x =
        draw(SAMPLES, 1, &Noise::new(seed, 0), |noise, x| model.fill(noise, x)).remove_axis(ndarray::Axis(1));
    let mut moments = PairwiseMoments::<8>::new();
    moments.extend_from_slice(&x.to_vec());
    let kappa = jackknife_cumulants(&moments.bins())?;
    let table = Array2::from_shape_fn((8, 2), |(k, j)| if j == 0 { kappa[k].value } else { kappa[k].error });
    write_npz(&out.join("samples.npz"), &[("x", x.view().into_dyn()), ("kappa", table.view().into_dyn())])?;
    for (order, kappa) in (1..).zip(&kappa) {
        let exact = if order % 2 == 0 { model.cumulant(order) } else { 0.0 };
        results.push(Row::new(&format!("kappa_{order}"), "samples", kappa.value, kappa.error).exact(exact));
    }

    // Fields of a lattice as .npy, with metadata beside them.
    let action = Phi4::new(Lattice::new(&[8, 8])?, 0.21, 0.022)?;
    let simulation = equilibrium(&action, CONFIGS, seed, &mut |_, _| ())?;
    let chains = simulation.chains;
    let made = Provenance { hopping: 0.21, lambda: 0.022, seed, protocol: "equilibrium".into(), chains };
    let configs = simulation.fields.nrows();
    let mut writer = EnsembleWriter::create(out.join("fields.npy"), action.lattice(), configs, made)?;
    writer.push(simulation.fields.view())?;
    writer.finish()?;

    // A net as .safetensors with .json, and its score as .csv.
    let source = ResidualBatches::new(&x.to_vec(), ResidualConfig::default())?;
    let kappa_2 = source.preconditioning().kappa_2;
    let net = Mlp::new(MlpConfig::residual(), &mut Pcg64::seed_from_u64(seed))?.with_zero_output();
    let trained = Trainer::new(net, source, TrainConfig::residual(200))?
        .with_checkpoints(out.join("net.json"), 200)
        .train(&mut |_| ControlFlow::Continue(()))?;
    let score = ResidualScore::new(trained.net, kappa_2, Edm::new(10.0)?)?;
    let x = Array2::from_shape_fn((81, 1), |(i, _)| (i as f64 - 40.0) / 20.0);
    let mut s = x.clone();
    score.score(x.view(), TIME, s.view_mut())?;
    let mut curve = Curves::over("x", Unit::Data(1), &x);
    curve.push("score", Unit::Data(-1), &s);
    curve.save(&out.join("net.csv"))?;

    let results = results.setting("kappa_2", kappa_2).setting("noise_variance", TIME * TIME);
    conclude(results, out, "cumulants_tour")
}

/// Holds what came back against what went out.
#[expect(clippy::print_stdout, reason = "the answer of the program")]
fn read_back(out: &Path) -> Result<(), Failure> {
    let fields = EnsembleReader::open(out.join("fields.npy"))?.read_all()?;
    let returned = EnsembleReader::open_array(out.join("python.npy"))?;
    let lattice = returned.lattice().clone();
    compare("python.npy", fields.into_dyn(), returned.read_all()?.into_dyn(), 1e-6)?;
    println!("python.npy: the fields of a {:?} lattice, in single precision", lattice.extents());

    let x: ArrayD<f64> = read_npz(&out.join("samples.npz"), "x")?;
    compare("python.npz", x, read_npz(&out.join("python.npz"), "x")?, 0.0)?;
    println!("python.npz: the samples, bit for bit");

    let net = out.join("python.pt");
    if net.exists() {
        let parameters = read_published(&net)?.parameters().len();
        println!("python.pt: a net of {parameters} parameters, by torch.save");
    }
    Ok(())
}

/// The same shape, and the same numbers to within `most`.
fn compare(name: &str, sent: ArrayD<f64>, returned: ArrayD<f64>, most: f64) -> Result<(), Failure> {
    if sent.shape() != returned.shape() {
        return Err(
            format!("{name}: shape: expected {:?}, found {:?}", sent.shape(), returned.shape()).into()
        );
    }
    let difference = &Array1::from_iter(sent) - &Array1::from_iter(returned);
    match difference.iter().position(|d| d.abs() > most) {
        Some(index) => Err(format!("{name}: element {index} is off by {}", difference[index]).into()),
        None => Ok(()),
    }
}
