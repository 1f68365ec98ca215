//! The two-peak model, variance preserving (the paper's DDPM): Figures 6 and 7 and a row of Table 1.
//!
//! `cargo run --release --example two_peak_vp`: as `two_peak_ve`, with a drift. The cumulants now vanish towards the end
//! of the forward process, `kappa_n f^n` [3.24], and come back in the backward one.

use examples::two_peak::{
    Scheme, Setup, TwoPeakArgs, backward_cumulants, forward_cumulants, second_cumulant, study,
};
use examples::{Colour, Failure, Figure, check_writable, conclude, run};

fn main() -> std::process::ExitCode {
    run(
        "two_peak_vp",
        "The two-peak model, variance preserving (DDPM): Figures 6, 7 and a row of Table 1",
        work,
    )
}

fn work(all: &TwoPeakArgs) -> Result<(), Failure> {
    let args = &all.args;
    check_writable(args.common.out())?;
    let setup = Setup::new(Scheme::variance_preserving()?, args, &all.parts)?;
    let Some(study) = study(&setup, args)? else {
        return Ok(());
    };
    let largest = &study.forward[study.forward.len() - 1];
    Figure::grid(1, 2, second_cumulant(&setup, largest, &study.backward, &study.exact))
        .save(&args.common.out().join("figure6.svg"))?;
    let mut panels = forward_cumulants(&setup, &study.forward);
    panels.extend(backward_cumulants(
        &setup,
        &[("learned score", &study.backward, Colour::Blue), ("exact score", &study.exact, Colour::Orange)],
    ));
    Figure::grid(2, 3, panels).save(&args.common.out().join("figure7.svg"))?;
    conclude(study.results, args.common.out(), "gaussian_target")
}
