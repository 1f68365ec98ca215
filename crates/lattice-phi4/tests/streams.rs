//! The numbers that a seed gives, written down: *a change here needs a new major version*.
//!
//! Proposals are made of IEEE operations and fused multiply-adds in a fixed order, decisions of an exponential that only has to
//! be right to rounding: the bits are the same on every processor, but for the updates with Fourier transforms, which are compared to
//! twelve digits.

#![allow(clippy::unreadable_literal, reason = "numbers stand as they are printed")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../../sde-core/tests/streams/print.rs"]
mod print;

use lattice_phi4::{
    Chains, FourierHmc, Hmc, Lattice, Leap, Metropolis, Overrelaxation, Phi4, Production, Run, Spectrum,
    Start, SwendsenWang, Update, Wolff, equilibrium, paper,
};
use print::{Print, check, print};

fn action(extents: &[usize]) -> Phi4 {
    Phi4::new(Lattice::new(extents).unwrap(), 0.25, 0.022).unwrap()
}

/// Ten chains after so many sweeps.
fn chain(action: &Phi4, update: &dyn Update, sweeps: u64) -> Vec<f64> {
    let mut chains = Chains::hot(action, 10, 1.0, 7);
    chains.run(action, &[update], sweeps);
    chains.fields.into_raw_vec_and_offset().0
}

#[test]
fn updates() {
    let (square, cube) = (action(&[4, 6]), action(&[4, 4, 4]));
    let of = |action: &Phi4, update: &dyn Update| print(&chain(action, update, 5));
    let hmc = |leap| Hmc::new(1.0, 4, leap).unwrap();
    check(
        &[
            ("Hmc, leapfrog", of(&square, &hmc(Leap::Leapfrog))),
            ("Hmc, Omelyan", of(&square, &hmc(Leap::Omelyan))),
            ("Hmc, force gradient", of(&square, &hmc(Leap::ForceGradient))),
            ("Hmc, nested", of(&square, &hmc(Leap::Nested { inner: 3 }))),
            ("Hmc, three dimensions", of(&cube, &hmc(Leap::Omelyan))),
            ("Hmc, one step", of(&square, &Hmc::mala(0.2).unwrap())),
            ("Metropolis", of(&square, &Metropolis::new(1.0, 2).unwrap())),
            ("Overrelaxation", of(&square, &Overrelaxation)),
            ("Wolff", of(&square, &Wolff { clusters: 3 })),
            ("SwendsenWang", of(&square, &SwendsenWang)),
        ],
        &UPDATES,
    );
}

#[test]
fn fourier_acceleration() {
    let action = action(&[4, 6]);
    let spectrum = Spectrum::free(action.lattice(), 0.2).unwrap();
    let found = chain(&action, &FourierHmc::new(1.0, 4, &spectrum).unwrap(), 1)[..4].to_vec();
    let near = found.iter().zip(FOURIER).all(|(found, expected)| (found / expected - 1.0).abs() < 1e-12);
    assert!(near, "{found:?}");
}

#[test]
fn protocols() {
    let action = action(&[4, 6]);
    let equilibrium = equilibrium(&action, 128, 3, &mut |_, _| ()).unwrap();
    let paper = paper(&action, 8, Start::Hot, 3, &mut |_, _| ()).unwrap();
    let mut begun = Run::equilibrium(128, 3).begin(&action).unwrap();
    begun.advance(&action).unwrap();
    check(
        &[
            ("equilibrium", print(equilibrium.fields.as_slice().unwrap())),
            ("equilibrium, energy errors", print(&equilibrium.energy_errors)),
            ("paper", print(paper.fields.as_slice().unwrap())),
            ("production", print(Production::finish(begun).fields.as_slice().unwrap())),
        ],
        &PROTOCOLS,
    );
}

const UPDATES: [(&str, Print); 10] = [
    ("Hmc, leapfrog", (0.8506001994313209, 0xc74c_4d97_85dd_c91f)),
    ("Hmc, Omelyan", (0.7614529598377578, 0x692a_bfd9_ac14_2f5a)),
    ("Hmc, force gradient", (0.7622724183024752, 0xb44c_881f_1c4e_fe07)),
    ("Hmc, nested", (0.7365967436940007, 0x6e2b_ef66_3893_f8cc)),
    ("Hmc, three dimensions", (-0.2321516459666834, 0xf52d_cea2_15f3_1b5b)),
    ("Hmc, one step", (1.1251189980136849, 0x3011_e129_77d2_7cc6)),
    ("Metropolis", (0.18110886974188745, 0x2760_00df_80a1_d473)),
    ("Overrelaxation", (-0.2220797620701679, 0xa42b_6f28_d375_3587)),
    ("Wolff", (-0.8159875067950108, 0x8bc0_7fce_edb2_70e2)),
    ("SwendsenWang", (-0.8159875067950108, 0x3b20_dedb_50c8_ac62)),
];

const FOURIER: [f64; 4] = [0.7194546460623609, 0.8522944035012621, -0.7817890515325997, -0.21036346542967624];

const PROTOCOLS: [(&str, Print); 4] = [
    ("equilibrium", (0.7517691649090927, 0xa1db_f286_ec05_a563)),
    ("equilibrium, energy errors", (-0.07802091557043767, 0xccdc_2342_8ad0_efbb)),
    ("paper", (0.2927634698586356, 0x3ada_f499_30bb_164d)),
    ("production", (0.7517691649090927, 0xbf62_84b2_fd60_5efe)),
];
