//! Panels that several lattice examples draw.

use lattice_phi4::{Measurements, Primary};

use crate::{Corner, Panel};

/// Bins of a histogram.
const BINS: u32 = 60;

/// Histograms of the magnetisation of named ensembles, normalised to one.
pub fn magnetisation_panel(ensembles: &[(&str, &Measurements)]) -> Panel {
    let series = |measured: &Measurements| measured.series(Primary::Power(1)).to_vec();
    let largest =
        ensembles.iter().flat_map(|(_, measured)| series(measured)).fold(0.0, |a: f64, m| a.max(m.abs()));
    let (low, width) = (-1.05 * largest, 2.1 * largest / f64::from(BINS));
    let edges: Vec<f64> = (0..=BINS).map(|i| low + f64::from(i) * width).collect();
    let mut panel = Panel::new("Magnetisation", "m", "p(m)").legend(Corner::TopRight);
    for (name, measured) in ensembles {
        let m = series(measured);
        let mut density = vec![0.0; BINS as usize];
        for m in &m {
            let bin = ((m - low) / width).clamp(0.0, f64::from(BINS - 1)) as usize;
            density[bin] += 1.0 / (width * measured.len() as f64);
        }
        panel = panel.steps(name, &edges, &density);
    }
    panel
}
