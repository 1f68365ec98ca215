//! The linear combinations that integrators are made of, in place.
//!
//! They are loops of fused multiply-adds over contiguous slices. Compiled for the oldest processors of an
//! architecture each of those is a call into libm, ten times the price of a whole vectorised normal variate;
//! so they stand here, compiled for several instruction sets, and integrators call them.

use multiversion::multiversion;

/// `x <- a u + scale x`.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn add(x: &mut [f64], scale: f64, a: f64, u: &[f64]) {
    for (x, u) in x.iter_mut().zip(u) {
        *x = a.mul_add(*u, scale * *x);
    }
}

/// `x <- a u + ( b v + scale x )`.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn add_two(x: &mut [f64], scale: f64, a: f64, u: &[f64], b: f64, v: &[f64]) {
    for (x, (u, v)) in x.iter_mut().zip(u.iter().zip(v)) {
        *x = a.mul_add(*u, b.mul_add(*v, scale * *x));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_gets_the_scalar_result() {
        let value = |seed: f64, i: usize| (seed * (i as f64 + 0.7)).sin();
        let (scale, a, b) = (0.9, -1.3, 1e-3);
        for length in 0..70 {
            let [x, u, v] = [1.1, 2.3, 3.7].map(|s| (0..length).map(|i| value(s, i)).collect::<Vec<_>>());
            let (mut one, mut two) = (x.clone(), x.clone());
            add(&mut one, scale, a, &u);
            add_two(&mut two, scale, a, &u, b, &v);
            for i in 0..length {
                assert_eq!(one[i], a.mul_add(u[i], scale * x[i]));
                assert_eq!(two[i], a.mul_add(u[i], b.mul_add(v[i], scale * x[i])));
            }
        }
    }
}
