//! Panels that several lattice examples draw.

use diffusion::{Histogram, HistogramError};
use lattice_phi4::{Measurements, Primary};

use crate::{Corner, Panel};

/// Bins of a histogram.
const BINS: usize = 60;

/// Histograms of the magnetisation of named ensembles, normalised to one.
///
/// # Errors
/// If no magnetisation differs from zero.
pub fn magnetisation_panel(ensembles: &[(&str, &Measurements)]) -> Result<Panel, HistogramError> {
    let series = |measured: &Measurements| measured.series(Primary::Power(1)).to_vec();
    let largest =
        ensembles.iter().flat_map(|(_, measured)| series(measured)).fold(0.0, |a: f64, m| a.max(m.abs()));
    let mut panel = Panel::new("Magnetisation", "m", "p(m)").legend(Corner::TopRight);
    for (name, measured) in ensembles {
        let mut histogram = Histogram::new(-1.05 * largest, 1.05 * largest, BINS)?;
        histogram.add(&series(measured));
        let density: Vec<f64> = histogram.density().iter().map(|bin| bin.value).collect();
        panel = panel.steps(name, &histogram.edges(), &density);
    }
    Ok(panel)
}
