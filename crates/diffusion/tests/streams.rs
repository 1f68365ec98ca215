//! The numbers that a seed gives, written down: *a change here needs a new major version*.
//!
//! Made of IEEE operations and fused multiply-adds in a fixed order, the bits are the same on every processor, for any number of
//! threads, and for any block size.

#![allow(clippy::unreadable_literal, reason = "numbers stand as they are printed")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../../sde-core/tests/streams/print.rs"]
mod print;

use diffusion::{CumulantFlow, Evolution, Histogram, Prior, draw};
use print::{Print, check, print};
use sde_core::{ChurnHeun, Edm, Noise, NormalSource, Reverse, ScoreFn, TimeGrid, TwoPeak};

#[test]
fn an_ensemble_and_its_cumulants() {
    let schedule = Edm::new(2.0).unwrap();
    let process = Reverse { schedule, score: ScoreFn(|x: f64, t: f64| -x / (1.0 + t * t)) };
    let grid = TimeGrid::explicit(&[2.0, 1.5, 1.0, 0.5, 0.25, 0.0]).unwrap();
    let prior = Prior::Matched { kappa_2: 1.0 };
    let data = draw(1500, 3, &Noise::new(1, 3), |noise, x| noise.fill(0, x));
    let peaks = draw(1500, 3, &Noise::new(1, 3), |noise, x| TwoPeak::new(1.0, 0.25).unwrap().fill(noise, x));
    let mut x = prior.draw(&schedule, 2.0, 1500, 3, &Noise::new(1, 1));
    let start = print(x.as_slice().unwrap());
    let mut flow = CumulantFlow::every(&grid, 2);
    let churn = ChurnHeun::default();
    Evolution::new(&process, &churn, &grid, Noise::new(1, 2)).run(x.view_mut(), &mut flow).unwrap();
    let points = flow.points();
    let cumulants: Vec<f64> =
        points.iter().flat_map(|point| point.cumulants.iter().flat_map(|k| [k.value, k.error])).collect();
    let mut histogram = Histogram::new(-3.0, 3.0, 16).unwrap();
    histogram.add(x.as_slice().unwrap());
    let counts: Vec<f64> = histogram.counts().iter().map(|&count| count as f64).collect();
    check(
        &[
            ("draw", print(data.as_slice().unwrap())),
            ("draw, two peaks", print(peaks.as_slice().unwrap())),
            ("prior", start),
            ("ensemble", print(x.as_slice().unwrap())),
            ("cumulants", print(&cumulants)),
            ("histogram", print(&counts)),
        ],
        &EXPECTED,
    );
}

const EXPECTED: [(&str, Print); 6] = [
    ("draw", (0.9595949336928649, 0x2237_dde5_1ef1_127f)),
    ("draw, two peaks", (1.239898733423216, 0xbacf_5ca8_7ce5_1535)),
    ("prior", (-0.05066937331411576, 0xd10c_6213_13b7_7209)),
    ("ensemble", (-0.9291921887951411, 0x166c_8c8a_b3dc_90c6)),
    ("cumulants", (0.04843714334470335, 0x9919_b280_2bc0_1144)),
    ("histogram", (23.0, 0x51ac_204d_5a5a_f5eb)),
];
