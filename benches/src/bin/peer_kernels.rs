//! Our side of `benches/peers/compare.py`: times kernels and prints `{"kernel": nanoseconds per unit}`.
//!
//! `peer_kernels THREADS KERNEL...`; every figure is the best of a few repeats of the whole work. The kernel
//! `perturbative_reference` is no time but a score with a few of its values, for peers to compute the same.

use benches::{Perturbative, best_of, chains, forward, grid, hmc, reverse, schedule, spread};
use cumulants::{GammaMethod, LEAF, Moments, PairwiseMoments, bootstrap_cumulants};
use diffusion::Evolution;
use lattice_phi4::Wolff;
use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use rayon::prelude::*;
use score_nets::candle_core::{Device, Tensor, Var};
use score_nets::{
    Adam, AdamConfig, DirectScore, Mlp, MlpConfig, Net, PublishedScore, PublishedUnet, PublishedUnetConfig,
    TimedFields, TrainingBatch, Workspace, loss_and_gradient, periodic_convolution,
};
use sde_core::{EulerMaruyama, ExactTransition, Integrator, Noise, Reverse, ScoreModel, TimeGrid};
use serde_json::{Map, Value};
use std::error::Error;
use std::process::ExitCode;

/// Trajectories of the stochastic processes.
const TRAJECTORIES: usize = 1_000_000;
/// Rows that a net is evaluated on.
const NET_ROWS: usize = 100_000;
/// Time steps of a run with a closed-form score, and with a net.
const STEPS: usize = 100;
const NET_STEPS: usize = 20;
/// Samples of a training step.
const BATCH: usize = 512;
const TRAINING_STEPS: usize = 200;
/// Samples of a statistic, and resamples of a bootstrap.
const SAMPLES: usize = 1_000_000;
const RESAMPLES: usize = 1000;
const REPEATS: usize = 3;

/// Nanoseconds per trajectory and step.
fn evolve<P, I>(process: &P, integrator: &I, grid: &TimeGrid, start: &Array2<f64>) -> f64
where
    P: Sync,
    I: Integrator<P> + Clone + Sync,
{
    let mut x = start.clone();
    best_of(REPEATS, start.len() * grid.len(), || {
        x.assign(start);
        let evolution = Evolution::new(process, integrator, grid, Noise::new(1, 0));
        evolution.run(x.view_mut(), &mut ()).expect("the model cannot fail");
    })
}

fn paper_net() -> Mlp {
    Mlp::new(MlpConfig::paper(), &mut Pcg64::seed_from_u64(1)).expect("the paper's net is valid")
}

/// Nanoseconds per step: embedding of every sample, loss, gradient, Adam.
fn train() -> f64 {
    let mut mlp = paper_net();
    let column = |low: f32, high: f32| -> Vec<f32> {
        (0..BATCH).map(|i| low + (high - low) * (i * 37 % BATCH) as f32 / BATCH as f32).collect()
    };
    let (x, coordinate, target, weight) =
        (column(-4.0, 4.0), column(1.0, 0.0), column(1.0, -1.0), column(0.1, 2.0));
    let batch = TrainingBatch { x: &x, coordinate: &coordinate, target: &target, weight: &weight };
    let mut gradient = vec![0.0; mlp.parameters().len()];
    let mut workspace = Workspace::new(&mlp);
    let mut adam = Adam::new(AdamConfig::default(), gradient.len());
    best_of(REPEATS, TRAINING_STEPS, || {
        for _ in 0..TRAINING_STEPS {
            loss_and_gradient(&mlp, batch, &mut workspace, &mut gradient);
            adam.step(1e-3, mlp.parameters_mut(), &gradient);
        }
    })
}

/// Exponential variates.
fn skewed() -> Vec<f64> {
    let mut rng = Pcg64::seed_from_u64(1);
    (0..SAMPLES).map(|_| -(1.0 - rng.random::<f64>()).ln()).collect()
}

/// Nanoseconds per sample.
fn moments() -> f64 {
    let x = skewed();
    best_of(REPEATS, SAMPLES, || {
        let leaves: Vec<_> = x.par_chunks(LEAF).map(Moments::<8>::of).collect();
        let mut all = PairwiseMoments::new();
        for leaf in leaves {
            all.push(leaf);
        }
        std::hint::black_box(all.total().cumulants());
    })
}

/// Nanoseconds per sample and resample.
fn resample() -> f64 {
    let (x, mut rng) = (skewed(), Pcg64::seed_from_u64(2));
    best_of(REPEATS, SAMPLES * RESAMPLES, || {
        bootstrap_cumulants::<8, _>(&x, RESAMPLES, &mut rng).expect("there are samples");
    })
}

/// Nanoseconds per measurement of a chain with `tau_int = 10`.
fn gamma_method() -> f64 {
    let mut state = 0.0;
    let mut next = |x: f64| {
        state = x + 19.0 / 21.0 * state;
        state
    };
    let chain: Vec<f64> = skewed().into_iter().map(&mut next).collect();
    best_of(REPEATS, SAMPLES, || {
        let mean = GammaMethod::default().mean(&[&chain]).expect("a finite chain");
        std::hint::black_box(mean);
    })
}

/// Nanoseconds per site and leapfrog step of whole trajectories.
fn trajectories(extent: usize, count: usize, trajectories: usize, steps: usize) -> f64 {
    let (action, mut chains) = chains(extent, count, 1);
    best_of(REPEATS, chains.fields.len() * steps * trajectories, || {
        chains.run(&action, &[&hmc(steps)], trajectories as u64);
    })
}

/// Nanoseconds per flipped site.
fn wolff() -> f64 {
    let (action, mut chains) = chains(32, 64, 100);
    let sites = chains.fields.len() as f64;
    let once = |_| {
        let start = std::time::Instant::now();
        let summary = chains.run(&action, &[&Wolff { clusters: 500 }], 1);
        start.elapsed().as_secs_f64() * 1e9 / (summary.acceptance[0] * sites)
    };
    (0..REPEATS).map(once).fold(f64::INFINITY, f64::min)
}

/// Nanoseconds per configuration.
fn perturbative() -> f64 {
    let work = Perturbative::new();
    let mut out = Array2::zeros(work.noised.dim());
    best_of(REPEATS, work.noised.nrows(), || work.score(&mut out))
}

/// Fields of a lattice net, and their extent.
const FIELDS: usize = 64;
const EXTENT: usize = 32;

/// Nanoseconds per field of a periodic convolution, or of both its gradients.
fn convolution(inputs: usize, outputs: usize, backward: bool) -> f64 {
    let random = |shape: &[usize]| {
        let normals = Tensor::randn(0f32, 1.0, shape, &Device::Cpu).expect("memory suffices");
        Var::from_tensor(&normals).expect("memory suffices")
    };
    let (x, kernel) = (random(&[FIELDS, inputs, EXTENT, EXTENT]), random(&[outputs, inputs, 3, 3]));
    if backward {
        let y = periodic_convolution(&x, &kernel).expect("shapes fit");
        best_of(REPEATS, FIELDS, || {
            std::hint::black_box(y.backward().expect("y depends on variables"));
        })
    } else {
        let (x, kernel) = (x.as_tensor().detach(), kernel.as_tensor().detach());
        best_of(REPEATS, FIELDS, || {
            std::hint::black_box(periodic_convolution(&x, &kernel).expect("shapes fit"));
        })
    }
}

fn lattice_net() -> PublishedUnet {
    PublishedUnet::new(PublishedUnetConfig::paper(), &mut Pcg64::seed_from_u64(1))
        .expect("the paper's net is valid")
}

/// Nanoseconds per field of the paper's lattice net as a score.
fn lattice_score() -> f64 {
    let score = PublishedScore::new(lattice_net(), schedule());
    let x = Array2::from_shape_fn((FIELDS, EXTENT * EXTENT), |(row, site)| ((row + 7 * site) as f64).sin());
    let mut out = Array2::zeros(x.dim());
    best_of(REPEATS, FIELDS, || score.score(x.view(), 0.5, out.view_mut()).expect("the fields fit"))
}

/// Nanoseconds per field of a training step of the paper's lattice net: loss, gradient, Adam.
fn train_lattice() -> f64 {
    let mut net = lattice_net();
    let mut batch = TimedFields::new(FIELDS, EXTENT * EXTENT);
    for (i, (x, noise)) in batch.x.iter_mut().zip(&mut batch.noise).enumerate() {
        (*x, *noise) = ((i as f32).sin(), (3.0 * i as f32).cos());
    }
    for (sample, time) in batch.time.iter_mut().enumerate() {
        *time = (sample + 1) as f32 / FIELDS as f32;
    }
    let mut gradient = vec![0.0; net.parameters().len()];
    let mut adam = Adam::new(AdamConfig::default(), gradient.len());
    best_of(REPEATS, FIELDS, || {
        net.loss_and_gradient(&batch, &mut (), &mut gradient);
        adam.step(1e-3, net.parameters_mut(), &gradient);
    })
}

/// The kernel `conv_INPUTS_OUTPUTS_WAY`.
fn named_convolution(kernel: &str) -> Option<f64> {
    let mut words = kernel.strip_prefix("conv_")?.split('_');
    let (inputs, outputs, way) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?);
    Some(convolution(inputs, outputs, way == "backward"))
}

fn time(kernel: &str) -> Option<f64> {
    Some(match kernel {
        "sde_forward_step" => {
            evolve(&forward(), &ExactTransition::default(), &grid(0.0, 1.0, STEPS), &spread(TRAJECTORIES))
        }
        "sde_backward_exact_score_step" => {
            evolve(&reverse(), &EulerMaruyama::new(), &grid(1.0, 0.0, STEPS), &spread(TRAJECTORIES))
        }
        "mlp_sampling_step" => {
            let process = Reverse { schedule: schedule(), score: DirectScore::new(paper_net()) };
            evolve(&process, &EulerMaruyama::new(), &grid(1.0, 0.0, NET_STEPS), &spread(NET_ROWS))
        }
        "mlp_training_step" => train(),
        "moments_to_order_8" => moments(),
        "bootstrap_of_8_cumulants" => resample(),
        "gamma_method" => gamma_method(),
        "hmc_32" => trajectories(32, 64, 20, 10),
        "hmc_32_paper" => trajectories(32, 64, 2, 100),
        "hmc_128" => trajectories(128, 16, 4, 10),
        "hmc_1024" => trajectories(1024, 16, 1, 10),
        "wolff_32" => wolff(),
        "perturbative_32" => perturbative(),
        "published_forward" => lattice_score(),
        "published_training_step" => train_lattice(),
        _ => return named_convolution(kernel),
    })
}

#[expect(clippy::print_stdout, reason = "the result of a command line tool")]
fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let threads = arguments.next().ok_or("usage: peer_kernels THREADS KERNEL...")?.parse()?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let mut times = Map::new();
    for kernel in arguments {
        if kernel == "perturbative_reference" {
            times.insert(kernel, pool.install(|| Perturbative::new().reference()));
            continue;
        }
        let nanoseconds = pool.install(|| time(&kernel)).ok_or_else(|| format!("no kernel {kernel}"))?;
        times.insert(kernel, Value::from(nanoseconds));
    }
    println!("{}", Value::Object(times));
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a command line tool says what went wrong")]
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer_kernels: {error}");
            ExitCode::FAILURE
        }
    }
}
