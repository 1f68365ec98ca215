//! A target, a drift, a schedule, a net and an observer of your own: `cargo run --release --example bring_your_own`.
//!
//! A periodic chain of double wells: relaxation, a score learned from it, and exact weights, beside the transfer matrix.

use diffusion::{FlowLikelihood, LogWeights, Prior};
use examples::{Args, Failure, Results, Row, check_writable, conclude, run};
use ndarray::{Array2, ArrayView1, ArrayViewMut1, Axis};
use rand::{Rng, SeedableRng};
use score_nets::candle_core::{Device, Result as Candle, Tensor, Var};
use score_nets::candle_nn::{AdamW, Optimizer};
use sde_core::{Batch, BatchMut, Coefficients, Drift, EvalError, NoiseSchedule, ScoreModel, Target};
use sde_core::{DensityFlow, DifferenceTrace, Noise, StochasticHeun, TimeGrid, Transition, integrate};

const SITES: usize = 8;
const KAPPA_2: f64 = 0.9; // of a site, about

fn neighbours(x: ArrayView1<'_, f64>, i: usize) -> f64 {
    x[(i + 1) % SITES] + x[(i + SITES - 1) % SITES]
}

/// The target: `S = sum_x [ (phi_x - phi_(x+1))^2 / 2 + (phi_x^2 - 1)^2 ]`.
struct Chain;

impl Target for Chain {
    fn sites(&self) -> usize {
        SITES
    }
    fn action(&self, x: Batch<'_>, mut out: ArrayViewMut1<'_, f64>) {
        for (x, out) in x.outer_iter().zip(&mut out) {
            let site = |i| x[i] * (x[i] - 0.5 * neighbours(x, i)) + (x[i] * x[i] - 1.0).powi(2);
            *out = (0..SITES).map(site).sum();
        }
    }
    fn force(&self, x: Batch<'_>, mut out: BatchMut<'_>) {
        for ((row, i), f) in out.indexed_iter_mut() {
            *f = neighbours(x.row(row), i) + x[(row, i)] * (2.0 - 4.0 * x[(row, i)].powi(2));
        }
    }
}

/// The drift: relaxation `dx = -dS/dx dt + sqrt(2) dW`.
impl Drift for Chain {
    fn drift(&self, x: Batch<'_>, _t: f64, out: BatchMut<'_>) -> Result<(), EvalError> {
        self.force(x, out);
        Ok(())
    }
    fn strength(&self, _t: f64) -> f64 {
        std::f64::consts::SQRT_2
    }
}

/// The schedule: `Xi(t) = 100 t^3`.
#[derive(Clone, Copy)]
struct Cubic;

impl NoiseSchedule for Cubic {
    fn coefficients(&self, t: f64) -> Coefficients {
        Coefficients { rate: 0.0, strength: 300f64.sqrt() * t }
    }
    fn transition(&self, s: f64, t: f64) -> Transition {
        Transition { mean_factor: 1.0, variance: 100.0 * (t - s) * (t * t + t * s + s * s) }
    }
}

/// The net: the same layers for every site, which see it, its neighbours and the noise, on top of the Gaussian score.
struct SiteNet([Var; 3]);

impl SiteNet {
    fn forward(&self, x: Batch<'_>, noise: impl Fn(usize) -> f64) -> Candle<Tensor> {
        let inputs = x.indexed_iter().flat_map(|((row, i), y)| {
            let v = KAPPA_2 + noise(row);
            [y / v, neighbours(x.row(row), i) / v, v.ln(), 1.0]
        });
        let (inputs, [a, b, c]) = (Tensor::from_iter(inputs, &Device::Cpu)?.reshape(((), 4))?, &self.0);
        let last = inputs.matmul(a)?.silu()?.matmul(b)?.silu()?.matmul(c)?;
        (last - inputs.narrow(1, 0, 1)?)?.reshape(x.dim())
    }

    /// Denoising score matching: `s score = -z` on average, at 64 levels of noise at once.
    fn train(fields: &Array2<f64>, steps: usize, seed: u64) -> Candle<Self> {
        let mut rng = rand_pcg::Pcg64::seed_from_u64(seed);
        let mut normals =
            |shape| Array2::from_shape_simple_fn(shape, || rng.sample(rand_distr::StandardNormal));
        let tensor = |x: &Array2<f64>| Tensor::from_iter(x.iter().copied(), &Device::Cpu)?.reshape(x.dim());
        let mut layer = |m: usize, n| Var::from_tensor(&tensor(&(normals((m, n)) / (m as f64).sqrt()))?);
        let net = Self([layer(4, 32)?, layer(32, 32)?, layer(32, 1)?]);
        let mut adam = AdamW::new_lr(net.0.to_vec(), 2e-3)?;
        let s = Array2::from_shape_fn((64, SITES), |(i, _)| 10.0 * ((i + 1) as f64 / 64.0).powi(3));
        for clean in fields.exact_chunks((64, SITES)).into_iter().cycle().take(steps) {
            let z = normals((64, SITES));
            let score = net.forward((&s * &z + clean).view(), |row| s[(row, 0)].powi(2))?;
            adam.backward_step(&((score * tensor(&s)?)? + tensor(&z)?)?.sqr()?.mean_all()?)?;
        }
        Ok(net)
    }
}

impl ScoreModel for SiteNet {
    fn score(&self, x: Batch<'_>, t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
        let score = self.forward(x, |_| Cubic.transition(0.0, t).variance).and_then(|s| s.to_vec2::<f64>());
        out.iter_mut().zip(score.map_err(EvalError::new)?.concat()).for_each(|(out, s)| *out = s);
        Ok(())
    }
}

/// `<phi^2>` and `ln Z` by the transfer matrix, on 201 points.
fn exact() -> (f64, f64) {
    let at = |i: usize| 0.03 * (i as f64 - 100.0);
    let well = |x: f64| 0.5 * (x * x - 1.0).powi(2);
    let element = |(i, j)| 0.03 * (-0.5 * (at(i) - at(j)).powi(2) - well(at(i)) - well(at(j))).exp();
    let power = (0..3).fold(Array2::from_shape_fn((201, 201), element), |m, _| m.dot(&m));
    let square: f64 = power.diag().iter().enumerate().map(|(i, p)| at(i).powi(2) * p).sum();
    (square / power.diag().sum(), power.diag().sum().ln())
}

fn work(args: &Args) -> Result<(), Failure> {
    check_writable(args.common.out())?;
    let (seed, rows) = (args.common.seed, args.trajectories.unwrap_or(20_000));
    let mut results = Results::new("bring_your_own", seed).setting("trajectories", rows);
    let (phi2, ln_z) = exact();
    // The observer: the mean square of the field as it relaxes.
    let mut watch = |step: usize, _t: f64, x: Batch<'_>| {
        if step.is_multiple_of(200) {
            let value = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
            results.push(Row::new("phi2", &format!("relaxing, step {step}"), value, 0.0));
        }
    };
    let (mut fields, mut rule) = (Array2::zeros((rows, SITES)), StochasticHeun::default());
    let (grid, noise) = (TimeGrid::uniform(0.0, 10.0, 1000)?, Noise::new(seed, 0));
    integrate(&Chain, &mut rule, &grid, fields.view_mut(), 0, &noise, &mut watch)?;
    let net = SiteNet::train(&fields, args.steps.unwrap_or(4000), seed)?;
    let prior = Prior::Matched { kappa_2: KAPPA_2 };
    let start = prior.draw(&Cubic, 1.0, rows / 4, SITES, &Noise::new(seed, 1));
    let flow = DensityFlow { schedule: Cubic, score: DifferenceTrace::new(net, 1e-2)? };
    let likelihood = FlowLikelihood { flow, prior_time: 1.0, tolerance: 1e-4.into() };
    let generated = likelihood.generate(start, |x| prior.log_density(&Cubic, 1.0, x))?;
    let weights = LogWeights::new(generated.log_weights(&Chain))?;
    weights.tail().check()?;
    let squares = generated.fields.map_axis(Axis(1), |x| x.dot(&x) / SITES as f64).to_vec();
    let (mean, z) = (weights.derived(&squares, 1, |mean| mean[0])?, weights.ln_mean());
    results.push(Row::new("phi2", "weighted", mean.value, mean.error).exact(phi2));
    results.push(Row::new("ln_z", "weighted", z.value, z.error).exact(ln_z));
    results.push(Row::new("ess_per_configuration", "weighted", weights.efficiency(), 0.0));
    conclude(results, args.common.out(), "two_peak_ve")
}

fn main() -> std::process::ExitCode {
    run("bring_your_own", "A target, a drift, a schedule, a net and an observer of your own", work)
}
