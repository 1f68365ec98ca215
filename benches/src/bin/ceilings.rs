//! What the machine can do at best, one thread: `cargo run --release -p benches --bin ceilings`.
//!
//! Fused multiply-adds without any memory, and streams through each level of it. Beside them, the steps of HMC as a part of
//! these: a leapfrog step takes nine vector operations a site (four additions, four multiplications, fused where possible,
//! and the drift) and, where the lattice does not stay in the cache, 40 bytes.

use benches::best_of;
use lattice_phi4::{Chains, Hmc, Lattice, Leap, Phi4};
use multiversion::multiversion;
use std::hint::black_box;

/// Operations of a site and step that occupy a floating-point pipe.
const OPERATIONS: f64 = 9.0;
/// Values in flight: enough to hide the latency of two pipes of the widest registers.
const LANES: usize = 96;
const ROUNDS: usize = 1 << 20;

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn multiply_adds(a: f64, b: f64) -> f64 {
    let mut x = [a; LANES];
    for _ in 0..ROUNDS {
        for x in &mut x {
            *x = x.mul_add(b, a);
        }
    }
    x.iter().sum()
}

/// `a += s b`: 24 bytes for each element.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn stream(a: &mut [f64], b: &[f64], s: f64) {
    for (a, b) in a.iter_mut().zip(b) {
        *a = b.mul_add(s, *a);
    }
}

/// Gigabytes a second through arrays of this size together.
fn bandwidth(bytes: usize) -> f64 {
    let n = bytes / 16;
    let (mut a, b) = (vec![1.0; n], vec![0.5; n]);
    let turns = (1 << 28) / bytes.min(1 << 26);
    let nanoseconds = best_of(5, turns * n, || {
        for _ in 0..turns {
            stream(black_box(&mut a), black_box(&b), 1e-9);
        }
    });
    24.0 / nanoseconds
}

/// Nanoseconds a site and step: whole trajectories of 100 steps.
fn steps(extent: usize, chains: usize) -> f64 {
    let lattice = Lattice::new(&[extent, extent]).expect("the extents are valid");
    let action = Phi4::new(lattice, 0.27, 0.022).expect("the couplings are valid");
    let hmc = Hmc::new(1.0, 100, Leap::Leapfrog).expect("the parameters are valid");
    let mut chains = Chains::hot(&action, chains, 1.0, 1);
    best_of(5, chains.fields.len() * 100, || {
        chains.run(&action, &[&hmc], 1);
    })
}

#[expect(clippy::print_stdout, reason = "the result of a command line tool")]
fn main() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread starts");
    pool.install(|| {
        let peak = best_of(5, ROUNDS * LANES, || {
            black_box(multiply_adds(black_box(1e-9), 0.5));
        })
        .recip();
        println!("{peak:.1} operations a nanosecond");
        for (level, bytes) in [("first-level cache", 32 << 10), ("second", 512 << 10), ("memory", 512 << 20)]
        {
            println!("{:.0} GB/s from the {level}", bandwidth(bytes));
        }
        for (extent, chains) in [(32, 64), (128, 16), (1024, 2)] {
            let time = steps(extent, chains);
            let part = 100.0 * OPERATIONS / time / peak;
            println!("HMC {extent} x {extent}: {time:.3} ns a site and step, {part:.0} % of the operations");
        }
    });
}
