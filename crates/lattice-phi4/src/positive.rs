//! Small systems with a symmetric positive matrix: those of regressions and of Newton's method.

/// A symmetric positive matrix, scaled to a unit diagonal with a ridge on it, and its lower factor `L`: `L L^T`.
#[derive(Clone, Debug)]
pub(crate) struct Positive {
    matrix: Vec<Vec<f64>>,
    scale: Vec<f64>,
    factor: Vec<Vec<f64>>,
}

impl Positive {
    /// Factorises `matrix`, with a ridge in units of its diagonal. If it is not positive, all that follows is NaN.
    pub(crate) fn new(matrix: &[Vec<f64>], ridge: f64) -> Self {
        let n = matrix.len();
        let scale: Vec<f64> = (0..n).map(|i| matrix[i][i].sqrt()).collect();
        let entry =
            |i: usize, j: usize| matrix[i][j] / (scale[i] * scale[j]) + if i == j { ridge } else { 0.0 };
        let matrix: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| entry(i, j)).collect()).collect();
        let mut l = vec![vec![0.0; n]; n];
        for i in 0..n {
            for j in 0..=i {
                let rest = matrix[i][j] - (0..j).map(|k| l[i][k] * l[j][k]).sum::<f64>();
                l[i][j] = if i == j { rest.sqrt() } else { rest / l[j][j] };
            }
        }
        Self { matrix, scale, factor: l }
    }

    /// Solves `matrix . solution = right`.
    pub(crate) fn solve(&self, right: &[f64]) -> Vec<f64> {
        let solution = self.substitute(right.iter().zip(&self.scale).map(|(b, s)| b / s).collect());
        solution.iter().zip(&self.scale).map(|(x, s)| x / s).collect()
    }

    /// Condition number of the scaled matrix, in the norm of column sums; one of no columns.
    pub(crate) fn condition(&self) -> f64 {
        let n = self.matrix.len();
        let norm = |column: &dyn Fn(usize) -> Vec<f64>| {
            (0..n).map(|j| column(j).iter().map(|x| x.abs()).sum::<f64>()).fold(0.0, f64::max)
        };
        let own = norm(&|j| (0..n).map(|i| self.matrix[i][j]).collect());
        let inverse = norm(&|j| self.substitute((0..n).map(|i| f64::from(u8::from(i == j))).collect()));
        if n == 0 { 1.0 } else { own * inverse }
    }

    /// Solves `L L^T . x = b`, forwards and back.
    fn substitute(&self, mut b: Vec<f64>) -> Vec<f64> {
        let (n, l) = (b.len(), &self.factor);
        for i in 0..n {
            b[i] = (b[i] - (0..i).map(|k| l[i][k] * b[k]).sum::<f64>()) / l[i][i];
        }
        for i in (0..n).rev() {
            b[i] = (b[i] - (i + 1..n).map(|k| l[k][i] * b[k]).sum::<f64>()) / l[i][i];
        }
        b
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn a_system_with_a_known_answer() {
        let matrix = [vec![4.0, 2.0, 0.0], vec![2.0, 10.0, 3.0], vec![0.0, 3.0, 5.0]];
        let exact = [1.0, -2.0, 3.0];
        let right: Vec<f64> =
            matrix.iter().map(|row| row.iter().zip(&exact).map(|(a, x)| a * x).sum()).collect();
        for (found, exact) in Positive::new(&matrix, 0.0).solve(&right).iter().zip(exact) {
            assert_relative_eq!(*found, exact, max_relative = 1e-14);
        }
    }

    #[test]
    fn condition_numbers_are_those_of_the_scaled_matrix() {
        // Correlation 3/5: column sums 8/5, and (1 + 3/5) / (1 - 9/25) of the inverse.
        let positive = Positive::new(&[vec![100.0, 0.6], vec![0.6, 0.01]], 0.0);
        assert_relative_eq!(positive.condition(), 1.6 * 2.5, max_relative = 1e-14);
        assert_eq!(Positive::new(&[], 0.0).condition(), 1.0);
        assert!(Positive::new(&[vec![1.0, 2.0], vec![2.0, 1.0]], 0.0).solve(&[1.0, 1.0])[0].is_nan());
    }
}
