//! Rows, curves and tables of a two-peak run.

use std::path::Path;

use cumulants::{Controlled, Estimate};
use diffusion::{ControlledPoint, FlowPoint, LawPoint};

use super::model;
use crate::{CurveError, Curves, Row, Unit};

/// The orders that are reported: the odd ones vanish.
pub const CURVE_ORDERS: [usize; 4] = [2, 4, 6, 8];

/// One row per reported order: `kappa_n` of `cumulants` against the exact value of the target.
///
/// `extra` are further independent errors, added in quadrature: a learned score carries the fluctuation of its data
/// set beside that of the trajectories.
pub fn kappa_rows(
    source: &str,
    cumulants: &[Estimate; 8],
    extra: Option<&[Estimate; 8]>,
    paper: Option<&[f64; 4]>,
) -> Vec<Row> {
    let row = |(place, order): (usize, usize)| {
        let own = cumulants[order - 1];
        let error = own.error.hypot(extra.map_or(0.0, |extra| extra[order - 1].error));
        let row = Row::new(&format!("kappa_{order}"), source, own.value, error)
            .exact(model().cumulant(order as u32));
        match paper {
            Some(values) => row.paper(values[place]),
            None => row,
        }
    };
    CURVE_ORDERS.into_iter().enumerate().map(row).collect()
}

/// The cumulants of a law, which have no error of their own.
pub fn law_cumulants(point: &LawPoint) -> [Estimate; 8] {
    point.cumulants.map(|value| Estimate { value, error: 0.0 })
}

/// Writes the moments and cumulants of a law along a chain to a CSV file.
///
/// # Errors
/// [`CurveError`] if it cannot be written.
pub fn law_file(path: &Path, points: &[LawPoint]) -> Result<(), CurveError> {
    let mut curves = Curves::over("t", Unit::Time, points.iter().map(|p| p.time));
    for order in CURVE_ORDERS {
        let unit = Unit::Data(order as i32);
        curves.push(&format!("mu_{order}"), unit, points.iter().map(|p| p.moments[order - 1]));
        curves.push(&format!("kappa_{order}"), unit, points.iter().map(|p| p.cumulants[order - 1]));
    }
    curves.save(path)
}

/// Writes the moments and cumulants of a flow, with errors, to a CSV file.
///
/// # Errors
/// [`CurveError`] if it cannot be written.
pub fn curve_file(path: &Path, points: &[FlowPoint]) -> Result<(), CurveError> {
    let mut curves = Curves::over("t", Unit::Time, points.iter().map(|p| p.time));
    for order in CURVE_ORDERS {
        let unit = Unit::Data(order as i32);
        curves.push_estimates(&format!("mu_{order}"), unit, points.iter().map(|p| p.moments[order - 1]));
        curves.push_estimates(&format!("kappa_{order}"), unit, points.iter().map(|p| p.cumulants[order - 1]));
    }
    curves.save(path)
}

/// Writes cumulants with control variates, their errors, and by what factor the variance is reduced.
///
/// # Errors
/// [`CurveError`] if it cannot be written.
pub fn controlled_file(path: &Path, points: &[ControlledPoint]) -> Result<(), CurveError> {
    let mut curves = Curves::over("t", Unit::Time, points.iter().map(|p| p.time));
    for order in CURVE_ORDERS {
        let unit = Unit::Data(order as i32);
        let controlled = || points.iter().map(|point| &point.cumulants[order - 1]);
        curves.push_estimates(&format!("kappa_{order}"), unit, controlled().map(|c| c.estimate));
        curves.push(
            &format!("kappa_{order}_reduction"),
            Unit::One,
            controlled().map(Controlled::variance_reduction),
        );
    }
    curves.save(path)
}
