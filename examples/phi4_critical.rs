//! The critical point of scalar `phi^4` in two dimensions: `cargo run --release --example phi4_critical`.
//!
//! Simulates lattices of several extents over a range of hopping parameters. The Binder cumulants of two extents cross where
//! the correlation length is infinite, up to corrections that fall with the extents; the susceptibility has its peak there.
//!
//! The action depends on the hopping through `nn` alone, so an ensemble at `kappa` is one at `kappa'` with weights
//! `exp(2 (kappa' - kappa) V nn)` (Ferrenberg and Swendsen, Phys. Rev. Lett. 61 (1988) 2635): the crossing is found on
//! continuous curves, without a fit.

use cumulants::{ChainError, Estimate, GammaMethod};
use examples::lattice::{Ensemble, Protocol, simulate};
use examples::{
    Common, Corner, Curves, Failure, Figure, Options, Panel, Results, Row, Unit, check_writable, conclude,
    run,
};
use lattice_phi4::{Lattice, Observable, Phi4, Primary};

/// Extents of the lattices.
const EXTENTS: [usize; 3] = [8, 16, 32];
/// Range of the scan, about the critical point at `lambda = 0.022`.
const RANGE: (f64, f64) = (0.255, 0.285);
/// Configurations of an ensemble that is reweighted, in units of those of the others.
const CENTRAL: usize = 4;
/// The ensembles that are reweighted, and how far.
const CENTRE: f64 = 0.2705;
const REACH: f64 = 0.0025;

/// Options, none of which is required.
#[derive(Clone, Debug, PartialEq, clap::Args)]
struct CriticalArgs {
    #[command(flatten)]
    common: Common,

    /// Coupling of the action
    #[arg(long, value_name = "LAMBDA", default_value_t = 0.022)]
    lambda: f64,

    /// Configurations of every ensemble
    #[arg(long, value_name = "N", default_value_t = 6400)]
    configs: usize,

    /// Hopping parameters in the scan
    #[arg(long, value_name = "N", default_value_t = 11)]
    points: usize,
}

impl Options for CriticalArgs {
    fn common(&mut self) -> &mut Common {
        &mut self.common
    }
}

fn main() -> std::process::ExitCode {
    run("phi4_critical", "The critical point of phi^4 in two dimensions, by Binder cumulants", work)
}

/// What is measured along the scan for one extent.
struct Scan {
    extent: usize,
    binder: Vec<Estimate>,
    susceptibility: Vec<Estimate>,
}

fn work(args: &CriticalArgs) -> Result<(), Failure> {
    let out = args.common.out();
    check_writable(out)?;
    let last = args.points.max(2) - 1;
    let hopping: Vec<f64> =
        (0..=last).map(|i| RANGE.0 + (RANGE.1 - RANGE.0) * i as f64 / last as f64).collect();
    let mut results = Results::new("phi4_critical", args.common.seed)
        .setting("lambda", args.lambda)
        .setting("configs", args.configs);
    let mut scans = Vec::new();
    for (place, extent) in EXTENTS.into_iter().enumerate() {
        let mut scan = Scan { extent, binder: Vec::new(), susceptibility: Vec::new() };
        for (point, &hopping) in hopping.iter().enumerate() {
            let action = Phi4::new(Lattice::new(&[extent, extent])?, hopping, args.lambda)?;
            // Ensembles of their own, or their fluctuations would be correlated.
            let seed = args.common.seed.wrapping_mul(1000).wrapping_add((place * 100 + point) as u64);
            let ensemble = simulate(&action, Protocol::Equilibrium, args.configs, seed, None)?;
            let estimate =
                |observable: Observable| observable.estimate(&action, &ensemble.measured, ensemble.per_chain);
            let (binder, chi) =
                (estimate(Observable::Binder)?, estimate(Observable::ConnectedSusceptibility)?);
            let source = format!("L={extent} hopping={hopping:.4}");
            for (name, found) in [("binder", &binder), ("susceptibility_connected", &chi)] {
                results.push(Row::new(name, &source, found.value, found.error).tau_int(found.tau_int));
            }
            scan.binder.push(binder.estimate());
            scan.susceptibility.push(chi.estimate());
        }
        scans.push(scan);
    }
    let mut centres = Vec::new();
    for extent in EXTENTS {
        let action = Phi4::new(Lattice::new(&[extent, extent])?, CENTRE, args.lambda)?;
        let seed = args.common.seed.wrapping_mul(1000).wrapping_add(900 + extent as u64);
        centres.push(simulate(&action, Protocol::Equilibrium, CENTRAL * args.configs, seed, None)?);
    }
    for (pair, extents) in centres.windows(2).zip(EXTENTS.windows(2)) {
        let source = format!("Binder, L={} and {}", extents[0], extents[1]);
        if let Some(found) = crossing(&pair[0], &pair[1])? {
            results.push(Row::new("critical_hopping", &source, found.value, found.error));
        }
    }
    figure(&hopping, &scans).save(&out.join("critical.svg"))?;
    let mut curves = Curves::over("hopping", Unit::One, &hopping);
    for scan in &scans {
        let extent = scan.extent;
        curves.push_estimates(&format!("binder_{extent}"), Unit::One, &scan.binder);
        curves.push_estimates(&format!("susceptibility_{extent}"), Unit::Lattice, &scan.susceptibility);
    }
    curves.save(&out.join("critical.csv"))?;
    conclude(results, out, "phi4_hmc")
}

/// The Binder cumulant at `CENTRE + shift`.
fn reweighted(ensemble: &Ensemble, shift: f64) -> Result<Estimate, ChainError> {
    let measured = &ensemble.measured;
    let volume = measured.lattice().volume() as f64;
    let columns = measured.columns(&[Primary::Neighbours, Primary::M2, Primary::M4]);
    let mean = columns.column(0).mean().unwrap_or(0.0);
    let weighted: Vec<f64> = columns
        .outer_iter()
        .flat_map(|row| {
            // The mean in the exponent only keeps the numbers small.
            let weight = (2.0 * shift * volume * (row[0] - mean)).exp();
            [weight, weight * row[1], weight * row[2]]
        })
        .collect();
    let chains: Vec<&[f64]> = weighted.chunks(3 * ensemble.per_chain).collect();
    let binder = |m: &[f64]| 1.0 - m[2] * m[0] / (3.0 * m[1] * m[1]);
    Ok(GammaMethod::default().derived(&chains, 3, binder)?.estimate())
}

/// The hopping at which two Binder cumulants are equal, if it is within reach.
fn crossing(small: &Ensemble, large: &Ensemble) -> Result<Option<Estimate>, ChainError> {
    let difference = |shift: f64| -> Result<Estimate, ChainError> {
        let (a, b) = (reweighted(small, shift)?, reweighted(large, shift)?);
        Ok(Estimate { value: b.value - a.value, error: a.error.hypot(b.error) })
    };
    let (mut low, mut high) = (-REACH, REACH);
    if difference(low)?.value >= 0.0 || difference(high)?.value <= 0.0 {
        return Ok(None);
    }
    for _ in 0..30 {
        let middle = 0.5 * (low + high);
        if difference(middle)?.value < 0.0 { low = middle } else { high = middle }
    }
    let root = 0.5 * (low + high);
    let step = 0.1 * REACH;
    let slope = (difference(root + step)?.value - difference(root - step)?.value) / (2.0 * step);
    Ok(Some(Estimate { value: CENTRE + root, error: difference(root)?.error / slope }))
}

fn figure(hopping: &[f64], scans: &[Scan]) -> Figure {
    let mut binder = Panel::new("Binder cumulant", "κ", "U₄").legend(Corner::TopLeft);
    let mut chi = Panel::new("Connected susceptibility", "κ", "χ").log_y().legend(Corner::TopLeft);
    for scan in scans {
        let name = format!("L = {}", scan.extent);
        let curve = |estimates: &[Estimate]| -> (Vec<f64>, Vec<f64>) {
            (estimates.iter().map(|e| e.value).collect(), estimates.iter().map(|e| e.error).collect())
        };
        let (value, error) = curve(&scan.binder);
        binder = binder.markers(&name, hopping, &value, &error);
        let (value, error) = curve(&scan.susceptibility);
        chi = chi.markers(&name, hopping, &value, &error);
    }
    Figure::grid(1, 2, vec![binder, chi])
}
