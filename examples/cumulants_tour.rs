//! Cumulants of a column of numbers, with errors: `cargo run --release --example cumulants_tour -- --data FILE --column 2`.
//!
//! The column is taken as a time series: the Gamma method finds its autocorrelation time, and the errors of binned and of
//! independent data are printed beside its own, so that one sees what ignoring correlations would have cost. The figure
//! shows the error of the mean against the size of blocks, and the density with its Edgeworth series. Without a file the
//! data are `x = y + c (y^2 - 1)` of an autoregressive `y`, whose cumulants are known.

use std::path::{Path, PathBuf};

use cumulants::{GammaMethod, HermiteSeries, Moments, blocking, bootstrap_cumulants, jackknife_cumulants};
use diffusion::Histogram;
use examples::{
    Common, Corner, Curves, Failure, Figure, Options, Panel, Results, Row, Unit, check_writable, conclude,
    read_column, run,
};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

/// Orders of cumulants.
const ORDER: usize = 6;
/// Bins of the jackknife, and resamples of the bootstrap.
const BINS: usize = 128;
const RESAMPLES: usize = 1000;

/// The demonstration: `y` with autocorrelation `A^t`, of which `tau_int = (1 + A) / (1 - A) / 2`.
const A: f64 = 0.8;
const C: f64 = 0.05;
const LENGTH: usize = 200_000;

#[derive(Clone, Debug, clap::Args)]
struct Tour {
    #[command(flatten)]
    common: Common,

    /// File of numbers: .npy or .npz of NumPy, else comma-separated values
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,

    /// Column of the file, by name or by number from 0; of .npz the name of an array
    #[arg(long, value_name = "NAME", default_value = "0")]
    column: String,
}

impl Options for Tour {
    fn common(&mut self) -> &mut Common {
        &mut self.common
    }
}

fn main() -> std::process::ExitCode {
    run("cumulants_tour", "Cumulants of a column of numbers, with errors", work)
}

fn work(args: &Tour) -> Result<(), Failure> {
    let out = args.common.out();
    check_writable(out)?;
    let mut rng = Pcg64::seed_from_u64(args.common.seed);
    let (x, exact) = match &args.data {
        // Enough for all bins to be filled.
        Some(path) => (read_column(path, &args.column, 2 * BINS)?, None),
        None => (demonstration(&mut rng), Some(demonstration_cumulants())),
    };
    let results = Results::new("cumulants_tour", args.common.seed).setting("values", x.len());

    let chain = GammaMethod::default().cumulants::<ORDER>(&[&x])?;
    let bins: Vec<Moments<ORDER>> = x.chunks(x.len().div_ceil(BINS)).map(Moments::of).collect();
    let binned = jackknife_cumulants(&bins)?;
    let independent = bootstrap_cumulants::<ORDER, _>(&x, RESAMPLES, &mut rng)?;
    let rows = (0..ORDER).flat_map(|k| {
        let row = |source: &str, value: f64, error: f64| {
            let row = Row::new(&format!("kappa_{}", k + 1), source, value, error);
            exact.iter().fold(row, |row, exact| row.exact(exact[k]))
        };
        [
            row("Gamma method", chain[k].value, chain[k].error).tau_int(chain[k].tau_int),
            row("jackknife of bins", binned[k].value, binned[k].error),
            row("bootstrap, as if independent", independent[k].value, independent[k].error),
        ]
    });
    let results = rows.fold(results, |mut results, row| {
        results.push(row);
        results
    });

    let panels = vec![block_panel(&x, chain[0].error, out)?, density_panel(&x, &chain.map(|k| k.value))?];
    Figure::grid(1, 2, panels).save(&out.join("cumulants_tour.svg"))?;
    conclude(results, out, "two_peak_ve")
}

/// A chain whose cumulants are known.
fn demonstration(rng: &mut Pcg64) -> Vec<f64> {
    let mut normal = || rng.sample::<f64, _>(rand_distr::StandardNormal);
    let mut y = normal();
    let mut next = || {
        y = A * y + (1.0 - A * A).sqrt() * normal();
        C.mul_add(y * y - 1.0, y)
    };
    (0..LENGTH).map(|_| next()).collect()
}

/// `W[J] = -c J - log(1 - 2 c J) / 2 + J^2 / (2 (1 - 2 c J))`, so `kappa_n = 2^(n-1) (n-1)! c^n + n! (2 c)^(n-2) / 2`.
fn demonstration_cumulants() -> [f64; ORDER] {
    let mut factorial = 1.0;
    std::array::from_fn(|k| {
        let n = k as i32 + 1;
        let before = factorial;
        factorial *= f64::from(n);
        if n == 1 { 0.0 } else { 0.5 * ((2.0 * C).powi(n) * before + factorial * (2.0 * C).powi(n - 2)) }
    })
}

/// The error of the mean against the size of blocks.
fn block_panel(x: &[f64], gamma: f64, out: &Path) -> Result<Panel, Failure> {
    let blocks = blocking(x)?;
    let columns =
        |of: &dyn Fn(&cumulants::BlockSize) -> f64| blocks.sizes.iter().map(of).collect::<Vec<f64>>();
    let (size, error) = (columns(&|s| s.size as f64), columns(&|s| s.error));
    let error_of_error = columns(&|s| s.error_of_error);
    let mut curves = Curves::over("size", Unit::Measurements, &size);
    curves.push("error", Unit::Data(1), &error);
    curves.push("its_error", Unit::Data(1), &error_of_error);
    curves.save(&out.join("blocks.csv"))?;
    let ends = [size[0], size[size.len() - 1]];
    let chosen = blocks.sizes[blocks.chosen];
    Ok(Panel::new("Error of the mean", "block size", "error")
        .log_x()
        .markers("blocks", &size, &error, &error_of_error)
        .markers("chosen", &[chosen.size as f64], &[chosen.error], &[0.0])
        .exact("Gamma method", &ends, &[gamma; 2])
        .legend(Corner::BottomRight))
}

/// The histogram, the normal density with the same variance, and the Edgeworth series.
fn density_panel(x: &[f64], kappa: &[f64; ORDER]) -> Result<Panel, Failure> {
    let width = kappa[1].sqrt();
    let (low, high) = (kappa[0] - 4.0 * width, kappa[0] + 4.0 * width);
    let mut histogram = Histogram::new(low, high, 80)?;
    histogram.add(x);
    let heights: Vec<f64> = histogram.density().iter().map(|density| density.value).collect();
    let points: Vec<f64> = (0..=200).map(|i| low + (high - low) * f64::from(i) / 200.0).collect();
    let curve = |orders: usize| -> Result<Vec<f64>, Failure> {
        let series = HermiteSeries::edgeworth(&kappa[..orders])?;
        Ok(points.iter().map(|x| series.density(*x)).collect())
    };
    Ok(Panel::new("Density", "x", "P(x)")
        .steps("histogram", &histogram.edges(), &heights)
        .line("normal", &points, &curve(2)?)
        .line("Edgeworth to κ₆", &points, &curve(ORDER)?)
        .legend(Corner::TopRight))
}
