//! Panels that lattice examples draw: histograms of named ensembles, normalised to one.

use diffusion::{Histogram, HistogramError};
use lattice_phi4::{Measurements, Phi4, Primary};
use ndarray::{Array1, ArrayView2};
use sde_core::Target;

use crate::{Corner, Panel};

/// Bins of a histogram.
const BINS: usize = 60;
/// What is left free on either side of the data, in units of their range.
const MARGIN: f64 = 0.025;
/// Height of a panel in units of its largest bin: a peak may lie below the legend.
const HEADROOM: f64 = 1.3;

/// Histograms of the magnetisation, about zero.
///
/// # Errors
/// If no magnetisation differs from zero.
pub fn magnetisation_panel(ensembles: &[(&str, &Measurements)]) -> Result<Panel, HistogramError> {
    let series = |(name, measured): &(_, &Measurements)| (*name, measured.series(Primary::Power(1)).to_vec());
    let series: Vec<(&str, Vec<f64>)> = ensembles.iter().map(series).collect();
    let largest = series.iter().flat_map(|(_, m)| m).fold(0.0, |a: f64, m| a.max(m.abs()));
    histograms(Panel::new("Magnetisation", "m", "p(m)"), -largest, largest, &series)
}

/// Histograms of the action `S`, from configurations of shape `(configurations, sites)`.
///
/// # Errors
/// If all configurations have the same action, or one has none that is finite.
pub fn action_panel(
    action: &Phi4,
    ensembles: &[(&str, ArrayView2<'_, f64>)],
) -> Result<Panel, HistogramError> {
    let of_each = |(name, fields): &(_, ArrayView2<'_, f64>)| {
        let mut values = Array1::zeros(fields.nrows());
        action.action(fields.view(), values.view_mut());
        (*name, values.to_vec())
    };
    let series: Vec<(&str, Vec<f64>)> = ensembles.iter().map(of_each).collect();
    let all = || series.iter().flat_map(|(_, values)| values);
    let (low, high) = (
        all().fold(f64::INFINITY, |low, s| low.min(*s)),
        all().fold(f64::NEG_INFINITY, |high, s| high.max(*s)),
    );
    histograms(Panel::new("Action", "S", "p(S)"), low, high, &series)
}

/// Adds histograms of data between `low` and `high` to a panel.
fn histograms(
    panel: Panel,
    low: f64,
    high: f64,
    series: &[(&str, Vec<f64>)],
) -> Result<Panel, HistogramError> {
    let margin = MARGIN * (high - low);
    let empty = Histogram::new(low - margin, high + margin, BINS)?;
    let density = |values: &Vec<f64>| -> Vec<f64> {
        let mut histogram = empty.clone();
        histogram.add(values);
        histogram.density().iter().map(|bin| bin.value).collect()
    };
    let densities: Vec<Vec<f64>> = series.iter().map(|(_, values)| density(values)).collect();
    let top = densities.iter().flatten().fold(0.0, |top: f64, density| top.max(*density));
    let panel = panel.legend(Corner::TopRight).y_range(0.0, HEADROOM * top);
    let all = series.iter().zip(&densities);
    Ok(all.fold(panel, |panel, ((name, _), density)| panel.steps(name, &empty.edges(), density)))
}
