//! Panels that both schemes draw.

use cumulants::{Controlled, Estimate};
use diffusion::{FlowPoint, LawPoint};

use super::{Backward, Setup, model};
use crate::{Colour, Corner, Panel};

/// Subscripted and superscripted names of the orders.
const KAPPA: [(usize, &str); 3] = [(4, "κ₄"), (6, "κ₆"), (8, "κ₈")];
const MU: [(usize, &str); 3] = [(4, "μ₄"), (6, "μ₆"), (8, "μ₈")];

/// `10⁶` and the like; other numbers as they are.
fn power_of_ten(n: usize) -> String {
    let exponent = n.ilog10();
    if 10usize.pow(exponent) == n && (3..10).contains(&exponent) {
        let digit = ["³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"][exponent as usize - 3];
        format!("10{digit}")
    } else {
        n.to_string()
    }
}

/// A quantity along a flow, against `t`.
fn forward_curve(
    points: &[FlowPoint],
    of: impl Fn(&FlowPoint) -> (f64, f64),
) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let (values, errors): (Vec<f64>, Vec<f64>) = points.iter().map(of).unzip();
    (points.iter().map(|p| p.time).collect(), values, errors)
}

/// The same, against `tau = T - t`.
fn backward_curve(
    points: &[FlowPoint],
    of: impl Fn(&FlowPoint) -> (f64, f64),
) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let (t, values, errors) = forward_curve(points, of);
    (t.into_iter().map(|t| 1.0 - t).collect(), values, errors)
}

fn kappa(order: usize, scale: f64) -> impl Fn(&FlowPoint) -> (f64, f64) {
    move |p| (p.cumulants[order - 1].value / scale, p.cumulants[order - 1].error / scale.abs())
}

fn mu(order: usize) -> impl Fn(&FlowPoint) -> (f64, f64) {
    move |p| (p.moments[order - 1].value, p.moments[order - 1].error)
}

/// A quantity of the law of a backward process, against `tau = T - t`.
fn law_curve(run: &Backward, of: impl Fn(&LawPoint) -> f64) -> (Vec<f64>, Vec<f64>) {
    run.law.iter().map(|point| (1.0 - point.time, of(point))).unzip()
}

/// The exact cumulant at time `t` [3.23, 3.24].
fn exact_at(setup: &Setup, order: usize, t: f64) -> f64 {
    let kernel = setup.scheme.schedule.transition(0.0, t);
    let noise = if order == 2 { kernel.variance } else { 0.0 };
    model().cumulant(order as u32) * kernel.mean_factor.powi(order as i32) + noise
}

/// The exact cumulant at 201 times, over that of the target.
fn exact_kappa(setup: &Setup, order: usize) -> (Vec<f64>, Vec<f64>) {
    let times: Vec<f64> = (0..=200).map(|i| f64::from(i) / 200.0).collect();
    let unit = model().cumulant(order as u32);
    let values = times.iter().map(|&t| exact_at(setup, order, t) / unit).collect();
    (times, values)
}

/// Whether the scheme takes the higher cumulants to zero, as those with a drift do [3.16].
fn decays(setup: &Setup) -> bool {
    setup.scheme.schedule.transition(0.0, setup.scheme.schedule.horizon()).mean_factor < 1.0
}

/// `kappa_2` forwards and backwards, in units of the target's (Figs. 1 and 6).
pub fn second_cumulant(
    setup: &Setup,
    largest: &(usize, Vec<FlowPoint>),
    learned: &Backward,
    exact: &Backward,
) -> Vec<Panel> {
    let unit = model().cumulant(2);
    let (times, curve) = exact_kappa(setup, 2);
    let tau: Vec<f64> = times.iter().map(|t| 1.0 - t).collect();
    let (t, value, error) = forward_curve(&largest.1, kappa(2, unit));
    let forward = Panel::new("Forward", "t", "κ₂(t) / κ₂(0)")
        .markers(&format!("{} trajectories", power_of_ten(largest.0)), &t, &value, &error)
        .exact("exact", &times, &curve)
        .legend(Corner::TopLeft);
    let mut backward = Panel::new("Backward", "τ", "κ₂(τ) / κ₂(0)").x_range(0.0, 1.0);
    let mut zoom = Panel::new("", "", "").x_range(0.9, 1.0).y_range(0.95, 1.5).reference(1.0);
    for (name, run) in [("learned score", learned), ("exact score", exact)] {
        let (t, value, error) = backward_curve(&run.points, kappa(2, unit));
        let (tau, law) = law_curve(run, |p| p.cumulants[1] / unit);
        backward = backward.line(name, &tau, &law);
        zoom = zoom.markers("", &t, &value, &error);
    }
    let backward =
        backward.exact("exact", &tau, &curve).inset(zoom.exact("", &tau, &curve), Corner::TopRight);
    vec![forward, backward]
}

/// Moments 4, 6, 8 forwards and backwards (Fig. 2).
pub fn moments(forward: &[(usize, Vec<FlowPoint>)], learned: &Backward) -> Vec<Panel> {
    let mut panels = Vec::new();
    for (order, name) in MU {
        let mut panel = Panel::new(&format!("{name}, forward"), "t", name).log_y().legend(Corner::TopLeft);
        for (trajectories, points) in forward {
            let (t, value, _) = forward_curve(points, mu(order));
            panel = panel.line(&power_of_ten(*trajectories), &t, &value);
        }
        panels.push(panel.reference(model().moment(order as u32)));
    }
    for (order, name) in MU {
        let (t, value, error) = backward_curve(&learned.points, mu(order));
        let (tau, law) = law_curve(learned, |p| p.moments[order - 1]);
        let panel = Panel::new(&format!("{name}, backward"), "τ", name)
            .log_y()
            .markers("trajectories", &t, &value, &error)
            .line("density", &tau, &law)
            .legend(Corner::TopRight);
        panels.push(panel.reference(model().moment(order as u32)));
    }
    panels
}

/// Cumulants 4, 6, 8 forwards in units of the target's (Figs. 4 and 7, above).
pub fn forward_cumulants(setup: &Setup, forward: &[(usize, Vec<FlowPoint>)]) -> Vec<Panel> {
    let (low, high, legend) =
        if decays(setup) { (-0.2, 1.2, Corner::TopRight) } else { (-1.0, 3.0, Corner::BottomLeft) };
    let panel = |(order, name): (usize, &str)| {
        let unit = model().cumulant(order as u32);
        let (times, curve) = exact_kappa(setup, order);
        let mut panel = Panel::new(&format!("{name}, forward"), "t", &format!("{name}(t) / exact"))
            .y_range(low, high)
            .legend(legend);
        for (trajectories, points) in forward {
            let (t, value, error) = forward_curve(points, kappa(order, unit));
            panel = panel.line(&power_of_ten(*trajectories), &t, &value).band(&t, &value, &error);
        }
        panel.exact("exact", &times, &curve)
    };
    KAPPA.into_iter().map(panel).collect()
}

/// Cumulants 4, 6, 8 backwards in units of the target's (Figs. 4, 5 and 7, below); in the inset the end of the way, in
/// units of the exact value at the same time.
pub fn backward_cumulants(setup: &Setup, runs: &[(&str, &Backward, Colour)]) -> Vec<Panel> {
    let (low, high, legend, inset) = if decays(setup) {
        (-0.7, 1.2, Corner::BottomRight, Corner::TopLeft)
    } else {
        (-2.5, 2.5, Corner::TopRight, Corner::BottomRight)
    };
    let panel = |(order, name): (usize, &str)| {
        let unit = model().cumulant(order as u32);
        let (times, curve) = exact_kappa(setup, order);
        let tau: Vec<f64> = times.iter().map(|t| 1.0 - t).collect();
        let mut panel = Panel::new(&format!("{name}, backward"), "τ", &format!("{name}(τ) / exact"))
            .y_range(low, high)
            .legend(legend);
        let mut zoom = Panel::new("", "", "").x_range(0.9, 1.0).y_range(0.96, 1.04).reference(1.0);
        for (label, run, colour) in runs {
            let (tau, value, error) = backward_curve(&run.points, kappa(order, unit));
            panel = panel.line(label, &tau, &value).colour(*colour).band(&tau, &value, &error);
            let (tau, value, error) =
                backward_curve(&run.points, |p| kappa(order, exact_at(setup, order, p.time))(p));
            zoom = zoom.line("", &tau, &value).colour(*colour).band(&tau, &value, &error);
            let (tau, law) = law_curve(run, |p| p.cumulants[order - 1] / unit);
            panel =
                panel.line(if runs.len() == 1 { "density" } else { "" }, &tau, &law).colour(Colour::Black);
            let (tau, law) = law_curve(run, |p| p.cumulants[order - 1] / exact_at(setup, order, p.time));
            zoom = zoom.line("", &tau, &law).colour(Colour::Black);
        }
        panel.exact("forward, exact", &tau, &curve).inset(zoom, inset)
    };
    KAPPA.into_iter().map(panel).collect()
}

/// Cumulants 4, 6, 8 backwards from trajectories alone, with control variates, and from the density; below, by what factor
/// control variates reduce the variance.
pub fn control_variates(run: &Backward) -> Vec<Panel> {
    let tau: Vec<f64> = run.controlled.iter().map(|point| 1.0 - point.time).collect();
    let above = KAPPA.into_iter().map(|(order, name)| {
        let unit = model().cumulant(order as u32);
        let scaled = |of: &dyn Fn(&Controlled) -> Estimate| -> (Vec<f64>, Vec<f64>) {
            run.controlled
                .iter()
                .map(|point| of(&point.cumulants[order - 1]))
                .map(|estimate| (estimate.value / unit, estimate.error / unit.abs()))
                .unzip()
        };
        let (plain, plain_error) = scaled(&|c| c.plain);
        let (value, error) = scaled(&|c| c.estimate);
        let (law_tau, law) = law_curve(run, |p| p.cumulants[order - 1] / unit);
        Panel::new(&format!("{name}, backward"), "τ", &format!("{name}(τ) / exact"))
            .y_range(-0.5, 2.0)
            .x_range(0.0, 0.6)
            .legend(Corner::BottomRight)
            .line("plain", &tau, &plain)
            .band(&tau, &plain, &plain_error)
            .markers("control variates", &tau, &value, &error)
            .line("density", &law_tau, &law)
            .colour(Colour::Black)
    });
    let below = KAPPA.into_iter().map(|(order, name)| {
        let factor: Vec<f64> =
            run.controlled.iter().map(|point| point.cumulants[order - 1].variance_reduction()).collect();
        Panel::new("", "τ", &format!("variance reduction of {name}"))
            .x_range(0.0, 0.6)
            .y_range(1.0, 1e7)
            .log_y()
            .line("", &tau, &factor)
    });
    above.chain(below).collect()
}
