//! Rows, curves and tables of a two-peak run.

use std::path::Path;

use cumulants::{Controlled, Estimate};
use diffusion::{ControlledPoint, FlowPoint, LawPoint};

use super::model;
use crate::{Failure, Row, write_csv};

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
/// [`CurveError`](crate::CurveError) if it cannot be written.
pub fn law_file(path: &Path, points: &[LawPoint]) -> Result<(), Failure> {
    let mut columns = vec![("t".to_owned(), points.iter().map(|p| p.time).collect::<Vec<f64>>())];
    for order in CURVE_ORDERS {
        columns.push((format!("mu_{order}"), points.iter().map(|p| p.moments[order - 1]).collect()));
        columns.push((format!("kappa_{order}"), points.iter().map(|p| p.cumulants[order - 1]).collect()));
    }
    write_columns(path, &columns)
}

/// Writes the moments and cumulants of a flow, with errors, to a CSV file.
///
/// # Errors
/// [`CurveError`](crate::CurveError) if it cannot be written.
pub fn curve_file(path: &Path, points: &[FlowPoint]) -> Result<(), Failure> {
    let mut columns = vec![("t".to_owned(), points.iter().map(|p| p.time).collect::<Vec<f64>>())];
    for order in CURVE_ORDERS {
        let pick = |of: &dyn Fn(&FlowPoint) -> f64| points.iter().map(of).collect();
        columns.push((format!("mu_{order}"), pick(&|p| p.moments[order - 1].value)));
        columns.push((format!("mu_{order}_error"), pick(&|p| p.moments[order - 1].error)));
        columns.push((format!("kappa_{order}"), pick(&|p| p.cumulants[order - 1].value)));
        columns.push((format!("kappa_{order}_error"), pick(&|p| p.cumulants[order - 1].error)));
    }
    write_columns(path, &columns)
}

/// Writes cumulants with control variates, their errors, and by what factor the variance is reduced.
///
/// # Errors
/// [`CurveError`](crate::CurveError) if it cannot be written.
pub fn controlled_file(path: &Path, points: &[ControlledPoint]) -> Result<(), Failure> {
    let mut columns = vec![("t".to_owned(), points.iter().map(|p| p.time).collect::<Vec<f64>>())];
    for order in CURVE_ORDERS {
        let pick = |of: &dyn Fn(&Controlled) -> f64| {
            points.iter().map(|point| of(&point.cumulants[order - 1])).collect()
        };
        columns.push((format!("kappa_{order}"), pick(&|c| c.estimate.value)));
        columns.push((format!("kappa_{order}_error"), pick(&|c| c.estimate.error)));
        columns.push((format!("kappa_{order}_reduction"), pick(&Controlled::variance_reduction)));
    }
    write_columns(path, &columns)
}

fn write_columns(path: &Path, columns: &[(String, Vec<f64>)]) -> Result<(), Failure> {
    let columns: Vec<(&str, &[f64])> =
        columns.iter().map(|(name, v)| (name.as_str(), v.as_slice())).collect();
    Ok(write_csv(path, &columns)?)
}
