//! A net of leaky rectifiers at one noise level: a piecewise linear function of its input, as a table.
//!
//! A hidden unit is linear on either side of the point where its argument vanishes. The first layer has at most one
//! such kink a unit; between two of them the arguments of the second layer are straight lines, each with at most one
//! zero more. In between, the net is `slope x + intercept`. For the paper's 64 and 64 units that makes one or two
//! hundred pieces, found in one sweep from left to right, and then a row costs a look-up and a multiplication instead
//! of 4000 of them. Nothing is approximated: the table is the net, in double precision.

use crate::activation::LEAK;
use multiversion::multiversion;

/// Buckets of the look-up, even in `x / (1 + |x|)`.
const BUCKETS: usize = 1024;
/// Rows whose buckets are computed together.
const LANES: usize = 64;

/// The weights of a net with the noise level folded into the biases `c1`, `c2`.
pub(crate) struct Layers<'a> {
    pub(crate) w1: &'a [f32],
    pub(crate) c1: &'a [f64],
    /// Row by row.
    pub(crate) w2: &'a [f32],
    pub(crate) c2: &'a [f64],
    pub(crate) w3: &'a [f32],
    pub(crate) b3: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Line {
    slope: f64,
    intercept: f64,
}

/// Pieces from left to right.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Segments {
    /// Where piece `k` ends and `k + 1` begins; a NaN, which no input reaches, after the last.
    ends: Vec<f64>,
    lines: Vec<Line>,
    /// By bucket: the piece in which it begins, or an earlier one.
    first: Vec<u32>,
}

/// The slope of a rectifier whose argument is `a`.
fn slope(a: f64) -> f64 {
    if a > 0.0 { 1.0 } else { f64::from(LEAK) }
}

/// A point between `low` and `high`, either of which may be infinite.
fn inside(low: f64, high: f64) -> f64 {
    match (low.is_finite(), high.is_finite()) {
        (true, true) => 0.5 * (low + high),
        (true, false) => low + 1.0 + low.abs(),
        (false, true) => high - 1.0 - high.abs(),
        (false, false) => 0.0,
    }
}

impl Segments {
    /// Finds the pieces of a net.
    pub(crate) fn new(net: &Layers<'_>) -> Self {
        let width = net.w1.len();
        let mut kinks: Vec<(f64, usize)> = (0..width)
            .map(|unit| (-net.c1[unit] / f64::from(net.w1[unit]), unit))
            .filter(|(x, _)| x.is_finite())
            .collect();
        kinks.sort_by(|a, b| a.0.total_cmp(&b.0));

        // To the left of all kinks.
        let mut second =
            Second::new(net, inside(f64::NEG_INFINITY, kinks.first().map_or(f64::INFINITY, |k| k.0)));
        let mut ends = Vec::new();
        let mut lines = Vec::new();
        let mut low = f64::NEG_INFINITY;
        for place in 0..=kinks.len() {
            let high = kinks.get(place).map_or(f64::INFINITY, |kink| kink.0);
            let mut zeros = second.zeros(low, high);
            zeros.push(high);
            for end in zeros {
                if end > low {
                    lines.push(second.line(net, inside(low, end)));
                    ends.push(end);
                    low = end;
                }
            }
            if let Some(&(_, unit)) = kinks.get(place) {
                second.cross(net, unit);
            }
        }
        ends.pop();
        let buckets: Vec<usize> = ends.iter().map(|&end| bucket(end) as usize).collect();
        let before = |at: usize| buckets.iter().take_while(|&&bucket| bucket < at).count() as u32;
        let first = (0..BUCKETS).map(before).collect();
        ends.push(f64::NAN);
        Self { ends, lines, first }
    }

    /// Writes the net's answer to `scale * x` for every element of `x`.
    pub(crate) fn evaluate(&self, scale: f64, x: &[f64], out: &mut [f64]) {
        let mut buckets = [0; LANES];
        for (x, out) in x.chunks(LANES).zip(out.chunks_mut(LANES)) {
            buckets_of(scale, x, &mut buckets);
            for ((x, out), &bucket) in x.iter().zip(out).zip(&buckets) {
                let x = scale * x;
                let mut piece = self.first[bucket as usize] as usize;
                while x >= self.ends[piece] {
                    piece += 1;
                }
                let Line { slope, intercept } = self.lines[piece];
                *out = slope.mul_add(x, intercept);
            }
        }
    }
}

/// The bucket of an input; a NaN goes into the first.
#[inline(always)]
#[expect(clippy::inline_always, reason = "must be compiled with the instruction set of its caller")]
fn bucket(x: f64) -> i32 {
    let half = 0.5 * BUCKETS as f64;
    ((x / (1.0 + x.abs())).mul_add(half, half) as i32).clamp(0, BUCKETS as i32 - 1)
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn buckets_of(scale: f64, x: &[f64], buckets: &mut [i32; LANES]) {
    for (at, x) in buckets.iter_mut().zip(x) {
        *at = bucket(scale * x);
    }
}

/// The second layer between two kinks of the first: its arguments are `rise x + level`.
struct Second {
    /// Whether each unit of the first layer is above zero.
    above: Vec<bool>,
    rise: Vec<f64>,
    level: Vec<f64>,
}

impl Second {
    /// Around `x`, which is no kink.
    fn new(net: &Layers<'_>, x: f64) -> Self {
        let arguments: Vec<f64> = net.w1.iter().zip(net.c1).map(|(&w, c)| f64::from(w) * x + c).collect();
        let above = arguments.iter().map(|&a| a > 0.0).collect();
        let sum = |row: &[f32], of: &dyn Fn(usize) -> f64| -> f64 {
            row.iter().enumerate().map(|(j, &w)| f64::from(w) * slope(arguments[j]) * of(j)).sum()
        };
        let rows = || net.w2.chunks_exact(net.w1.len());
        Self {
            above,
            rise: rows().map(|row| sum(row, &|j| f64::from(net.w1[j]))).collect(),
            level: rows().zip(net.c2).map(|(row, c)| c + sum(row, &|j| net.c1[j])).collect(),
        }
    }

    /// Past the kink of a unit of the first layer.
    fn cross(&mut self, net: &Layers<'_>, unit: usize) {
        let jump = if self.above[unit] { -1.0 } else { 1.0 } * (1.0 - f64::from(LEAK));
        self.above[unit] = !self.above[unit];
        let (rise, level) = (jump * f64::from(net.w1[unit]), jump * net.c1[unit]);
        let column = net.w2[unit..].iter().step_by(net.w1.len());
        for ((p, q), &w) in self.rise.iter_mut().zip(&mut self.level).zip(column) {
            *p += f64::from(w) * rise;
            *q += f64::from(w) * level;
        }
    }

    /// Where arguments vanish between `low` and `high`, in order.
    fn zeros(&self, low: f64, high: f64) -> Vec<f64> {
        let zeros = self.rise.iter().zip(&self.level).map(|(rise, level)| -level / rise);
        let mut zeros: Vec<f64> = zeros.filter(|&x| low < x && x < high).collect();
        zeros.sort_by(f64::total_cmp);
        zeros
    }

    /// The net around `x`, which is no kink of either layer.
    fn line(&self, net: &Layers<'_>, x: f64) -> Line {
        let mut line = Line { slope: 0.0, intercept: net.b3 };
        for ((rise, level), &w) in self.rise.iter().zip(&self.level).zip(net.w3) {
            let factor = f64::from(w) * slope(rise * x + level);
            line.slope += factor * rise;
            line.intercept += factor * level;
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Weights of a net of `width` units, owned.
    #[derive(Debug)]
    struct Net {
        w1: Vec<f32>,
        c1: Vec<f64>,
        w2: Vec<f32>,
        c2: Vec<f64>,
        w3: Vec<f32>,
    }

    impl Net {
        fn layers(&self) -> Layers<'_> {
            let Self { w1, c1, w2, c2, w3 } = self;
            Layers { w1, c1, w2, c2, w3, b3: 0.125 }
        }

        /// Layer by layer, and the sum of the magnitudes of all terms: what rounding is relative to. Near a kink of the first layer
        /// the terms of its unit cancel, and what is left is rounding of the terms.
        fn answer(&self, x: f64) -> (f64, f64) {
            let leaky = |a: f64| a * slope(a);
            let layer = self.w1.iter().zip(&self.c1).map(|(&w, c)| (f64::from(w) * x, c));
            let h: Vec<(f64, f64)> = layer.map(|(a, c)| (leaky(a + c), a.abs() + c.abs())).collect();
            let mut answer = (0.125, 0.125);
            for ((row, c), &w3) in self.w2.chunks_exact(h.len()).zip(&self.c2).zip(&self.w3) {
                let terms =
                    row.iter().zip(&h).map(|(&w, (h, size))| (f64::from(w) * h, f64::from(w).abs() * size));
                let (sum, size) = terms.fold((*c, c.abs()), |(s, m), (t, size)| (s + t, m + size));
                answer.0 += f64::from(w3) * leaky(sum);
                answer.1 += f64::from(w3).abs() * size;
            }
            answer
        }
    }

    fn net() -> impl Strategy<Value = Net> {
        let unit = -1.0f32..1.0;
        let rough = prop_oneof![8 => unit.clone(), 1 => Just(0.0f32), 1 => -1e-6f32..1e-6, 1 => -1e3f32..1e3];
        let shift = prop_oneof![8 => -2.0..2.0, 1 => Just(0.0), 1 => -1e3..1e3];
        let width = 12;
        (
            prop::collection::vec(rough.clone(), width),
            prop::collection::vec(shift.clone(), width),
            prop::collection::vec(rough, width * width),
            prop::collection::vec(shift, width),
            prop::collection::vec(unit, width),
        )
            .prop_map(|(w1, c1, w2, c2, w3)| Net { w1, c1, w2, c2, w3 })
    }

    proptest! {
        #[test]
        fn the_table_is_the_net(net in net(), far in -1e6f64..1e6, near in -3.0f64..3.0, scale in 0.1f64..2.0) {
            let segments = Segments::new(&net.layers());
            let mut x = vec![far, near, 0.0, 1e-300, 1e5];
            // Every kink, and either side of it.
            for &end in &segments.ends[..segments.ends.len() - 1] {
                x.extend([end, end.next_up(), end.next_down(), end * (1.0 + 1e-9)].map(|x| x / scale));
            }
            let mut out = vec![0.0; x.len()];
            segments.evaluate(scale, &x, &mut out);
            for (x, out) in x.into_iter().zip(out) {
                let (exact, size) = net.answer(scale * x);
                prop_assert!((out - exact).abs() <= 1e-12 * size, "{x}: {out} {exact}");
            }
        }
    }

    #[test]
    fn inputs_that_are_no_numbers_stay_so() {
        let net = Net { w1: vec![1.0], c1: vec![0.0], w2: vec![1.0], c2: vec![0.0], w3: vec![1.0] };
        let mut out = [0.0; 3];
        Segments::new(&net.layers()).evaluate(1.0, &[f64::NAN, f64::INFINITY, f64::NEG_INFINITY], &mut out);
        assert!(out[0].is_nan());
        assert_eq!(out[1..], [f64::INFINITY, f64::NEG_INFINITY]);
    }

    #[test]
    fn a_net_without_kinks_is_one_line() {
        let net = Net { w1: vec![0.0], c1: vec![2.0], w2: vec![3.0], c2: vec![-1.0], w3: vec![0.5] };
        let segments = Segments::new(&net.layers());
        assert_eq!(segments.lines, [Line { slope: 0.0, intercept: 2.625 }]);
    }
}
