//! The two-peak model, variance expanding: Figures 1 to 5 and a row of Table 1.
//!
//! `cargo run --release --example two_peak_ve` draws the data set, trains the score net, runs the forward process and
//! the backward process with the learned and the exact score, and prints the cumulants beside the exact values.

use diffusion::Histogram;
use examples::two_peak::{
    Scheme, Setup, TwoPeakArgs, backward_cumulants, control_variates, forward_cumulants, model, moments,
    second_cumulant, study,
};
use examples::{Colour, Corner, Failure, Figure, Panel, check_writable, conclude, run};

fn main() -> std::process::ExitCode {
    run("two_peak_ve", "The two-peak model, variance expanding: Figures 1 to 5 and a row of Table 1", work)
}

fn work(all: &TwoPeakArgs) -> Result<(), Failure> {
    let args = &all.args;
    check_writable(args.common.out())?;
    let setup = Setup::new(Scheme::variance_expanding()?, args, &all.parts)?;
    let Some(study) = study(&setup, args)? else {
        return Ok(());
    };
    let save = |number: u32, rows, columns, panels| {
        Figure::grid(rows, columns, panels).save(&args.common.out().join(format!("figure{number}.svg")))
    };
    let largest = &study.forward[study.forward.len() - 1];
    save(1, 1, 2, second_cumulant(&setup, largest, &study.backward, &study.exact))?;
    save(2, 2, 3, moments(&study.forward, &study.backward))?;
    save(3, 1, 1, vec![histogram(&study.learned.data, &study.backward.end)?])?;
    let mut panels = forward_cumulants(&setup, &study.forward);
    panels.extend(backward_cumulants(&setup, &[("learned score", &study.backward, Colour::Blue)]));
    save(4, 2, 3, panels)?;
    save(5, 1, 3, backward_cumulants(&setup, &[("exact score", &study.exact, Colour::Orange)]))?;
    if !study.backward.controlled.is_empty() {
        let panels = control_variates(&study.backward);
        Figure::grid(2, 3, panels).save(&args.common.out().join("control_variates.svg"))?;
    }
    conclude(study.results, args.common.out(), "two_peak_vp")
}

/// The density of the data, of the trajectories' ends, and of the model (Fig. 3).
fn histogram(data: &[f64], end: &[f64]) -> Result<Panel, Failure> {
    let mut panel = Panel::new("Distribution", "x", "p(x)").legend(Corner::TopRight);
    for (name, values) in [("Data", data), ("Diffusion", end)] {
        let mut histogram = Histogram::new(-2.5, 2.5, 100)?;
        histogram.add(values);
        let density: Vec<f64> = histogram.density().iter().map(|bin| bin.value).collect();
        panel = panel.steps(name, &histogram.edges(), &density);
    }
    let x: Vec<f64> = (0..=500).map(|i| f64::from(i) / 100.0 - 2.5).collect();
    let density: Vec<f64> = x.iter().map(|&x| model().density(x)).collect();
    Ok(panel.exact("exact", &x, &density))
}
