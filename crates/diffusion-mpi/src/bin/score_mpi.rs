//! A net for lattice fields, trained and sampled from on many processes: `mpirun -n 4 score_mpi --fields out/phi4_mpi/fields.npy`.
//!
//! The net stands on top of the Gaussian score of the ensemble, as in the example `lattice_phi4_ve --score unet`. Every step of the training
//! shares the graphs of a batch among the processes and adds their gradients in the order of the graphs; sampling shares the
//! rows. The checkpoint of a training that was ended goes on on any number of processes.
#![expect(clippy::print_stdout, reason = "the program reports to the user")]

use clap::Parser;
use diffusion::Share;
use diffusion_mpi::World;
use examples::lattice::{MixedTarget, draw_rows, noise_levels, scales, schedule};
use lattice_phi4::{EnsembleReader, EnsembleWriter, FieldPrior, Phi4, Provenance, SpectralScore, Spectrum};
use rand_pcg::{Pcg64, rand_core::SeedableRng};
use score_nets::{
    FieldBatches, FieldBatchesConfig, LatticeScore, LearningRate, OddUnet, OddUnetConfig, TrainConfig,
    Trainer,
};
use sde_core::Communicator;
use sde_core::ndarray::Array2;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

#[derive(Parser)]
#[command(
    about = "A net for lattice fields, trained and sampled from on many processes",
    args_override_self = true
)]
struct Options {
    /// Ensemble to learn from, with its metadata beside it
    #[arg(long, value_name = "FILE.npy")]
    fields: PathBuf,

    /// Training steps of 64 samples
    #[arg(long, value_name = "N", default_value_t = 4500)]
    training_steps: u64,

    /// Configurations to generate
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    configs: usize,

    /// Seed of all random numbers; the same seed gives the same numbers for any number of processes and threads
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Threads of each process
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,

    /// Folder for the net and the fields, which all processes can read
    #[arg(long, value_name = "DIR", default_value = "out/score_mpi")]
    out: PathBuf,
}

/// Channels from the finest to the coarsest lattice of the net.
const CHANNELS: [usize; 3] = [8, 16, 32];
/// Checkpoints of a training.
const CHECKPOINTS: u64 = 50;

fn main() -> ExitCode {
    let options = Options::parse();
    diffusion_mpi::run(|world| work(world, &options))
}

fn work(world: &World, options: &Options) -> Result<(), Box<dyn Error>> {
    rayon::ThreadPoolBuilder::new().num_threads(options.threads).build_global()?;
    std::fs::create_dir_all(&options.out)?;
    let reader = EnsembleReader::open(&options.fields)?;
    let made = reader.metadata().ok_or("an ensemble has metadata")?.provenance.clone();
    let action = Phi4::new(reader.lattice().clone(), made.hopping, made.lambda)?;
    let fields = reader.read_all()?;
    let spectrum = Spectrum::of_ensemble(action.lattice(), 0.0, fields.view())?;

    let start = Instant::now();
    let net = train(world, options, &action, &spectrum, &fields)?;
    let trained = start.elapsed().as_secs_f64();

    let start = Instant::now();
    let edm = schedule(&spectrum)?;
    let score = LatticeScore::new(SpectralScore::new(&spectrum, edm), &net, edm);
    let sites = action.lattice().volume();
    let rows = Share::of(options.configs, sites, world.rank(), world.size())?.rows();
    let levels = noise_levels(&spectrum);
    let mine =
        draw_rows(&spectrum, &score, FieldPrior::Matched, &levels, rows, options.seed, &mut |_, _| ())?;
    let drawn = world.collect_values(mine.as_slice().ok_or("new fields are contiguous")?);
    let sampled = start.elapsed().as_secs_f64();

    diffusion_mpi::finish(world, || {
        let protocol = "sampled from a net".into();
        let provenance = Provenance { protocol, chains: 1, seed: options.seed, ..made };
        let file = options.out.join("generated.npy");
        let mut writer = EnsembleWriter::create(file, action.lattice(), options.configs, provenance)?;
        writer.push(Array2::from_shape_vec((options.configs, sites), drawn)?.view())?;
        writer.finish()?;
        println!("{} processes: training {trained:.3} s, sampling {sampled:.3} s", world.size());
        Ok(())
    })
}

/// Trains the net, from where an earlier job has left it.
fn train(
    world: &World,
    options: &Options,
    action: &Phi4,
    spectrum: &Spectrum,
    fields: &Array2<f64>,
) -> Result<OddUnet, Box<dyn Error>> {
    let (scales, gaussian) = (scales(spectrum), SpectralScore::new(spectrum, schedule(spectrum)?));
    let target = MixedTarget::equilibrium(spectrum, action);
    let batches = FieldBatchesConfig { seed: options.seed, ..FieldBatchesConfig::default() };
    let source = FieldBatches::new(fields, &gaussian, scales.clone(), batches)?.with_target(&target);
    let steps = options.training_steps;
    let warmup = 200.min(steps / 2);
    let config = TrainConfig {
        learning_rate: LearningRate::WarmupCosine { peak: 4e-3, warmup, total: steps, floor: 1e-5 },
        gradient_clip: Some(1.0),
        ..TrainConfig::residual(steps)
    };
    let checkpoint = options.out.join("net.safetensors");
    let trainer = if checkpoint.exists() {
        Trainer::resume(&checkpoint, source, config)?
    } else {
        let architecture = OddUnetConfig { channels: CHANNELS.to_vec(), ..OddUnetConfig::new(scales) };
        let fresh = OddUnet::new(architecture, &mut Pcg64::seed_from_u64(options.seed))?;
        Trainer::new(fresh, source, config)?
    };
    world.gather(&[]); // all have read before the first one writes
    let trained = trainer
        .on(world)
        .with_checkpoints(checkpoint, steps.div_ceil(CHECKPOINTS))
        .train(&mut |_| ControlFlow::Continue(()))?;
    Ok(trained.net)
}
