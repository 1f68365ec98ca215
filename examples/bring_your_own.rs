//! A target, a drift, a schedule, a net and an observer of your own: `cargo run --release --example bring_your_own`.
//!
//! A periodic chain of double wells: its ensemble by relaxation, a score learned from it, what that generates, and the weights
//! that make it exact, all of it beside the transfer matrix.

use cumulants::Moments;
use diffusion::{FlowLikelihood, LogWeights, Prior};
use examples::{Args, Failure, Results, Row, check_writable, conclude, run};
use ndarray::{Array2, ArrayView1, ArrayViewMut1, Axis, s};
use score_nets::candle_core::{DType, Device, Result as Candle, Tensor};
use score_nets::candle_nn::{AdamW, Linear, Module, Optimizer, VarBuilder, VarMap, linear};
use sde_core::{
    Batch, BatchMut, Coefficients, DensityFlow, DifferenceTrace, Drift, EvalError, Noise, NoiseSchedule,
    NormalSource, Observer, ScoreModel, StochasticHeun, Target, TimeGrid, Transition, integrate,
};

const SITES: usize = 8;
const BATCH: usize = 64;
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
            let y = x[(row, i)];
            *f = neighbours(x.row(row), i) - 2.0 * y * (2.0 * y * y - 1.0);
        }
    }
}

/// The drift: relaxation `dx = -m dS/dx dt + sqrt(2 m) dW` with mobility `m`.
struct Relaxation(f64);

impl Drift for Relaxation {
    fn drift(&self, x: Batch<'_>, _t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
        Chain.force(x, out.view_mut());
        out *= self.0;
        Ok(())
    }
    fn strength(&self, _t: f64) -> f64 {
        (2.0 * self.0).sqrt()
    }
}

/// The schedule: `Xi(t) = a t^3`.
#[derive(Clone, Copy)]
struct Cubic(f64);

impl NoiseSchedule for Cubic {
    fn coefficients(&self, t: f64) -> Coefficients {
        Coefficients { rate: 0.0, strength: (3.0 * self.0).sqrt() * t }
    }
    fn transition(&self, s: f64, t: f64) -> Transition {
        Transition { mean_factor: 1.0, variance: self.0 * (t - s) * (t * t + t * s + s * s) }
    }
}

/// The net: the same layers for every site, which see it, its neighbours and the noise, on top of the Gaussian score.
struct SiteNet([Linear; 3], Cubic);

impl SiteNet {
    /// The score with noise of its own for every row.
    fn forward(&self, x: Batch<'_>, noise: &[f64]) -> Candle<Tensor> {
        let mut inputs = Vec::new();
        for ((row, i), y) in x.indexed_iter() {
            let v = KAPPA_2 + noise[row];
            inputs.extend([y / v, neighbours(x.row(row), i) / v, v.ln()].map(|input| input as f32));
        }
        let (inputs, [a, b, c]) = (Tensor::from_vec(inputs, (x.len(), 3), &Device::Cpu)?, &self.0);
        let hidden = b.forward(&a.forward(&inputs)?.silu()?)?.silu()?;
        (c.forward(&hidden)? - inputs.narrow(1, 0, 1)?)?.reshape(x.dim())
    }

    /// Denoising score matching: `s score = -z` on average, at 64 levels of noise at once.
    fn train(fields: &Array2<f64>, schedule: Cubic, steps: usize) -> Candle<Self> {
        let vars = VarMap::new();
        let part = |name| VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu).pp(name);
        let layers = [linear(3, 32, part("a"))?, linear(32, 32, part("b"))?, linear(32, 1, part("c"))?];
        let (net, mut adam) = (Self(layers, schedule), AdamW::new_lr(vars.all_vars(), 0.0)?);
        let noise: Vec<f64> = (1..=BATCH).map(|i| schedule.0 * (i as f64 / BATCH as f64).powi(6)).collect();
        let s = Array2::from_shape_fn((BATCH, SITES), |(i, _)| noise[i].sqrt());
        let tensor =
            |x: Array2<f64>| Tensor::from_iter(x.iter().map(|x| *x as f32), &Device::Cpu)?.reshape(x.dim());
        for step in 0..steps {
            let first = step % (fields.nrows() / BATCH) * BATCH;
            let mut z = Array2::zeros((BATCH, SITES));
            Noise::new(1, 3).block(step as u64, 0).fill(0, z.as_slice_mut().expect("it is new"));
            let x = &s * &z + fields.slice(s![first..first + BATCH, ..]);
            let wrong = ((net.forward(x.view(), &noise)? * tensor(s.clone())?)? + tensor(z)?)?;
            adam.set_learning_rate(5e-3 * (1.0 - step as f64 / steps as f64));
            adam.backward_step(&wrong.sqr()?.mean_all()?)?;
        }
        Ok(net)
    }
}

impl ScoreModel for SiteNet {
    fn score(&self, x: Batch<'_>, t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
        let noise = vec![self.1.transition(0.0, t).variance; x.nrows()];
        let score = self.forward(x, &noise).and_then(|score| score.flatten_all()?.to_vec1::<f32>());
        out.iter_mut().zip(score.map_err(EvalError::new)?).for_each(|(out, s)| *out = f64::from(s));
        Ok(())
    }
}

/// The observer, of a chain as it relaxes: the mean square of the field after every step.
#[derive(Default)]
struct MeanSquare(Vec<f64>);

impl Observer for MeanSquare {
    fn observe(&mut self, _step: usize, _t: f64, x: Batch<'_>) {
        self.0.push(x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64);
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
    let (seed, rows) = (args.common.seed, args.trajectories.unwrap_or(20_000).max(1000));
    let mut results = Results::new("bring_your_own", seed).setting("trajectories", rows);
    let (phi2, ln_z) = exact();
    let squares = |x: &Array2<f64>| x.map_axis(Axis(1), |x| x.dot(&x) / SITES as f64).to_vec();
    let plain = |source: &str, x: &Array2<f64>| {
        let moments = Moments::<2>::of(&squares(x));
        let error = (moments.cumulant(2) / x.nrows() as f64).sqrt();
        Row::new("phi2", source, moments.mean(), error).exact(phi2)
    };

    let (mut fields, mut watch) = (Array2::zeros((rows, SITES)), MeanSquare::default());
    let (grid, noise) = (TimeGrid::uniform(0.0, 5.0, 1000)?, Noise::new(seed, 0));
    let (process, mut rule) = (Relaxation(2.0), StochasticHeun::default());
    integrate(&process, &mut rule, &grid, fields.view_mut(), 0, &noise, &mut watch)?;
    for step in (0..1000).step_by(200) {
        results.push(Row::new("phi2", &format!("relaxing, step {step}"), watch.0[step], 0.0));
    }
    results.push(plain("relaxation", &fields));

    let schedule = Cubic(100.0);
    let net = SiteNet::train(&fields, schedule, args.steps.unwrap_or(4000))?;
    let (prior, noise) = (Prior::Matched { kappa_2: KAPPA_2 }, Noise::new(seed, 1));
    let flow = DensityFlow { schedule, score: DifferenceTrace::new(net, 1e-2)? };
    let likelihood = FlowLikelihood { flow, prior_time: 1.0, tolerance: 1e-4.into() };
    let start = prior.draw(&schedule, 1.0, rows / 4, SITES, &noise);
    let generated = likelihood.generate(start, |x| prior.log_density(&schedule, 1.0, x))?;
    results.push(plain("generated", &generated.fields));

    let weights = LogWeights::new(generated.log_weights(&Chain))?;
    weights.tail().check()?;
    let (mean, z) = (weights.derived(&squares(&generated.fields), 1, |mean| mean[0])?, weights.ln_mean());
    results.push(Row::new("phi2", "weighted", mean.value, mean.error).exact(phi2));
    results.push(Row::new("ln_z", "weighted", z.value, z.error).exact(ln_z));
    results.push(Row::new("ess_per_configuration", "weighted", weights.efficiency(), 0.0));
    conclude(results, args.common.out(), "two_peak_ve")
}

fn main() -> std::process::ExitCode {
    run("bring_your_own", "A target, a drift, a schedule, a net and an observer of your own", work)
}
