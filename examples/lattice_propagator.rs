//! The propagator under noise, variance expanding: `cargo run --release --example lattice_propagator`.
//!
//! Noise is local, so it adds the same to every mode,
//!
//! ```text
//! G(x,y;t) = f^2 G(x,y) + Xi(t) delta_xy ,      G(p;t) = f^2 G(p) + Xi(t) ,      f = 1 ,            [5.9, 5.16]
//! ```
//!
//! and drowns them in the order of their strength: large momenta first, where `G` is small, the zero mode last. Backwards they
//! emerge in the opposite order. Both directions are measured in momentum shells. Forwards the formula is compared with the
//! same configurations before the noise, which leaves the error of the noise alone; backwards with the ensemble, with the errors
//! of both, although the score has been fitted to that ensemble and shares some of its fluctuation. With `--lambda 0` the field is free: the score is known, and everything is compared with
//!
//! ```text
//! G(p) = 1 / ( 2 [ 1 - 2 kappa sum_nu cos p_nu ] ) .
//! ```

use std::path::Path;
use std::time::Instant;

use cumulants::{Estimate, GammaEstimate, GammaMethod};
use examples::lattice::{
    CHECKPOINT, LatticeArgs, Protocol, SIGMA, Shells, draw, fit, forget, noise_levels, noised, sample,
    simulate, time_of,
};
use examples::{
    Colour, Corner, Curves, Failure, Figure, Panel, Results, Row, Unit, check_writable, conclude, run,
};
use lattice_phi4::{FieldPrior, Phi4, SpectralScore, Spectrum};
use ndarray::Array2;
use sde_core::Edm;

/// Configurations without `--configs`.
const CONFIGS: usize = 10_000;
/// Times of the paper's schedule that are measured, at the nearest noise level of the sampler, as far as it reaches.
const TIMES: [f64; 5] = [0.1, 0.25, 0.5, 0.75, 1.0];

/// Colours of the times.
const COLOURS: [Colour; 6] =
    [Colour::Blue, Colour::Sky, Colour::Green, Colour::Orange, Colour::Vermillion, Colour::Purple];

fn main() -> std::process::ExitCode {
    run("lattice_propagator", "The propagator of phi^4 along the forward and the backward process", work)
}

fn work(args: &LatticeArgs) -> Result<(), Failure> {
    let (out, seed) = (args.common.out(), args.common.seed);
    check_writable(out)?;
    let checkpoint = out.join(CHECKPOINT);
    let action = args.action()?;
    let mut results = args.results("lattice_propagator");

    let start = Instant::now();
    let configs = args.configs.unwrap_or(CONFIGS);
    let ensemble = simulate(&action, args.protocol, configs, seed, Some(&checkpoint))?;
    let fields = &ensemble.simulation.fields;
    let shells = Shells::new(action.lattice());
    let data = shells.propagator(fields.view());
    let target = estimates(&data, ensemble.per_chain)?;
    let seconds_data = start.elapsed().as_secs_f64();

    let start = Instant::now();
    let free = if args.lambda == 0.0 { Some(Spectrum::free(action.lattice(), args.hopping)?) } else { None };
    let mut backward = Vec::new();
    let generated = generate(&action, args.protocol, free.as_ref(), fields, seed, &mut |s, x| {
        backward.push((s, shells.propagator(x.view())));
    })?;
    backward.push((0.0, shells.propagator(generated.view())));
    let seconds_backward = start.elapsed().as_secs_f64();

    let exact = free.map(|free| shells.average(free.variances()));
    let of_time = |(stream, (s, rows)): (usize, &(f64, Array2<f64>))| {
        let x = shells.propagator(noised(fields, *s, seed, stream as u64).view());
        let forward = if exact.is_some() {
            estimates(&x, ensemble.per_chain)?
        } else {
            // Given the configurations, what the noise adds is independent from row to row.
            let added = estimates(&(&x - &data), x.nrows())?;
            let sum = |(g, added): (&GammaEstimate, GammaEstimate)| GammaEstimate {
                value: g.value + added.value,
                ..added
            };
            target.iter().zip(added).map(sum).collect()
        };
        Ok(Moment { t: time_of(*s), variance: s * s, forward, backward: estimates(rows, rows.nrows())? })
    };
    let moments = backward.iter().rev().enumerate().map(of_time).collect::<Result<Vec<_>, Failure>>()?;

    results = results
        .setting("configs", fields.nrows())
        .setting("seconds_data", seconds_data)
        .setting("seconds_backward", seconds_backward);
    let found = Found { p2: shells.momentum_squared(), target, exact, moments };
    found.push_rows(&mut results);
    found.save_curves(&out.join("propagator.csv"))?;
    let panels = vec![
        found.propagators(),
        found.half_noise(),
        found.ratio("Forward", 1, |moment, shell| moment.forward[shell].estimate()),
        found.ratio("Backward", 0, |moment, shell| {
            let Estimate { value, error } = moment.backward[shell].estimate();
            Estimate { value, error: error.hypot(found.start(shell).error) }
        }),
    ];
    Figure::grid(2, 2, panels).save(&out.join("propagator.svg"))?;
    conclude(results, out, "phi4_hmc")?;
    forget(&checkpoint)
}

/// Means of the columns, rows of `per_chain` in a chain.
fn estimates(rows: &Array2<f64>, per_chain: usize) -> Result<Vec<GammaEstimate>, Failure> {
    let mean = |shell| {
        let series = rows.column(shell).to_vec();
        Ok(GammaMethod::default().mean(&series.chunks(per_chain).collect::<Vec<_>>())?)
    };
    (0..rows.ncols()).map(mean).collect()
}

/// Draws as many configurations as `fields` has: with the score of the free field, or with one fitted to `fields`. `watch`
/// sees those on their way at the noise levels nearest to [`TIMES`].
fn generate(
    action: &Phi4,
    protocol: Protocol,
    free: Option<&Spectrum>,
    fields: &Array2<f64>,
    seed: u64,
    watch: &mut dyn FnMut(f64, &Array2<f64>),
) -> Result<Array2<f64>, Failure> {
    let configs = fields.nrows();
    let nearest = |levels: &[f64]| {
        let below = &levels[..levels.len() - 1];
        TIMES.map(|t| {
            let distance = |s: f64| (time_of(s) - t).abs();
            below.iter().copied().fold(f64::INFINITY, |a, b| if distance(b) < distance(a) { b } else { a })
        })
    };
    if let Some(spectrum) = free {
        let levels = noise_levels(spectrum);
        let (chosen, highest) = (nearest(&levels), levels[levels.len() - 1]);
        let score = SpectralScore::new(spectrum, Edm::new(2.0 * highest)?);
        let mut watch = |s, x: &_| {
            if chosen.contains(&s) {
                watch(s, x);
            }
        };
        draw(spectrum, score, FieldPrior::Matched, &levels, configs, seed, &mut watch)
    } else {
        let model = fit(action, protocol, fields.view(), seed)?;
        let chosen = nearest(&noise_levels(model.model.spectrum()));
        sample(&model, configs, seed, &mut |s, x| {
            if chosen.contains(&s) {
                watch(s, x);
            }
        })
    }
}

/// The propagator at one time, by shell.
struct Moment {
    t: f64,
    /// `Xi(t)`.
    variance: f64,
    /// With the error of the noise alone, unless the closed form is known.
    forward: Vec<GammaEstimate>,
    backward: Vec<GammaEstimate>,
}

/// All that was measured, by shell.
struct Found<'a> {
    p2: &'a [f64],
    /// Of the ensemble.
    target: Vec<GammaEstimate>,
    /// The closed form, of a free field.
    exact: Option<Vec<f64>>,
    /// By ascending time; the first is `t = 0`.
    moments: Vec<Moment>,
}

impl Found<'_> {
    /// `G(p)` that the formula starts from: the closed form, or else the ensemble's.
    fn start(&self, shell: usize) -> Estimate {
        let closed = |exact: &Vec<f64>| Estimate { value: exact[shell], error: 0.0 };
        self.exact.as_ref().map_or(self.target[shell].estimate(), closed)
    }

    /// The time at which there is as much noise in a shell as field, `Xi(t) = G(p)`.
    fn half_noise_time(&self, shell: usize) -> Estimate {
        let Estimate { value, error } = self.start(shell);
        // dt / dXi = 1 / g(t)^2, and Xi = (g^2 - 1) / (2 ln sigma)
        let t = time_of(value.sqrt());
        Estimate { value: t, error: error / (2.0 * SIGMA.ln() * t).exp() }
    }

    fn push_rows(&self, results: &mut Results) {
        let row = |shell: usize, source: &str, g: &GammaEstimate| {
            Row::new(&format!("propagator_shell_{shell}"), source, g.value, g.error)
        };
        let against = |row: Row, shell: usize, variance: f64, error: f64| match &self.exact {
            Some(exact) => row.exact(exact[shell] + variance),
            None => row.target(self.target[shell].value + variance, error),
        };
        for (shell, g) in self.target.iter().enumerate() {
            let row = row(shell, "target", g).tau_int(g.tau_int);
            results.push(if self.exact.is_some() { against(row, shell, 0.0, 0.0) } else { row });
        }
        for shell in 0..self.p2.len() {
            let time = self.half_noise_time(shell);
            let quantity = format!("half_noise_time_shell_{shell}");
            results.push(Row::new(&quantity, "target", time.value, time.error));
        }
        for moment in &self.moments[1..] {
            let source = format!("forward t={:.4}", moment.t);
            for (shell, g) in moment.forward.iter().enumerate() {
                results.push(against(row(shell, &source, g), shell, moment.variance, 0.0));
            }
        }
        for moment in self.moments.iter().rev() {
            let source = format!("backward t={:.4}", moment.t);
            for (shell, g) in moment.backward.iter().enumerate() {
                let error = self.target[shell].error;
                results.push(against(row(shell, &source, g), shell, moment.variance, error));
            }
        }
    }

    fn save_curves(&self, path: &Path) -> Result<(), Failure> {
        let mut curves = Curves::over("p_squared", Unit::Lattice, self.p2);
        for moment in &self.moments {
            for (name, g) in [("forward", &moment.forward), ("backward", &moment.backward)] {
                let name = format!("{name}_{:.4}", moment.t);
                curves.push_estimates(&name, Unit::Lattice, g.iter().map(GammaEstimate::estimate));
            }
        }
        Ok(curves.save(path)?)
    }

    /// Forward lines and backward dots; the zero mode has no place on a logarithmic axis.
    fn propagators(&self) -> Panel {
        let mut panel = Panel::new("Forward (lines), backward (dots)", "p²", "G(p;t)")
            .log_x()
            .log_y()
            .legend(Corner::BottomLeft);
        for (moment, colour) in self.moments.iter().zip(COLOURS).rev() {
            let forward: Vec<f64> = moment.forward.iter().map(|g| g.value).collect();
            let (backward, error): (Vec<f64>, Vec<f64>) =
                moment.backward.iter().map(|g| (g.value, g.error)).unzip();
            panel = panel.line(&format!("t = {:.2}", moment.t), self.p2, &forward).colour(colour);
            panel = panel.markers("", self.p2, &backward, &error).colour(colour);
        }
        panel
    }

    fn half_noise(&self) -> Panel {
        let times: Vec<Estimate> = (0..self.p2.len()).map(|shell| self.half_noise_time(shell)).collect();
        let (t, error): (Vec<f64>, Vec<f64>) = times.iter().map(|time| (time.value, time.error)).unzip();
        let last = self.p2[self.p2.len() - 1];
        Panel::new("Half noise, Ξ(t) = G(p)", "p²", "t")
            .markers("", self.p2, &t, &error)
            .x_range(-0.04 * last, 1.04 * last)
            .reference(1.0)
    }

    /// `G(p;t) / (G(p) + Xi(t))` by shell, all times from the `first` on side by side.
    fn ratio(&self, title: &str, first: usize, of: impl Fn(&Moment, usize) -> Estimate) -> Panel {
        let shells = self.p2.len();
        let last = self.p2[shells - 1].sqrt();
        let apart = last / (shells - 1) as f64;
        let mut panel =
            Panel::new(title, "|p|", "G(p;t) / (G(p) + Ξ(t))").x_range(-apart, last + apart).reference(1.0);
        let middle = 0.5 * (self.moments.len() - 1) as f64;
        for (place, (moment, colour)) in self.moments.iter().zip(COLOURS).enumerate().skip(first) {
            let (mut x, mut ratio, mut error) = (Vec::new(), Vec::new(), Vec::new());
            for shell in 0..shells {
                let (unit, g) = (self.start(shell).value + moment.variance, of(moment, shell));
                x.push(self.p2[shell].sqrt() + 0.12 * apart * (place as f64 - middle));
                ratio.push(g.value / unit);
                error.push(g.error / unit);
            }
            panel = panel.markers("", &x, &ratio, &error).colour(colour);
        }
        panel
    }
}
