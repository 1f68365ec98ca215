//! Figures: panels in a grid, saved as SVG.
//!
//! A [`Panel`] says what is drawn, in data units; `axis`, `legend` and `draw` turn it into `shapes`. Only these
//! know the drawing library, so that it can be replaced without touching an example.

mod axis;
mod draw;
mod legend;
mod palette;
mod panel;
mod shapes;

use std::path::Path;

pub use palette::Colour;
pub use panel::{Corner, Panel};

use crate::atomic::{FileError, write_atomically};

/// Panels in rows and columns.
#[derive(Clone, Debug)]
pub struct Figure {
    columns: usize,
    rows: usize,
    panels: Vec<Panel>,
}

impl Figure {
    /// A grid of `rows` x `columns` panels, given row by row; a last row may be short.
    ///
    /// # Panics
    /// If there are more panels than places.
    pub fn grid(rows: usize, columns: usize, panels: Vec<Panel>) -> Self {
        assert!(panels.len() <= rows * columns, "{} panels in a {rows} x {columns} grid", panels.len());
        Self { columns, rows, panels }
    }

    /// The figure as SVG text.
    ///
    /// ```
    /// use examples::{Corner, Figure, Panel};
    ///
    /// let t = [0.0, 0.5, 1.0];
    /// let zoom = Panel::new("", "", "").line("", &t, &[1.0, 1.01, 1.3]).x_range(0.0, 0.5);
    /// let panel = Panel::new("Forward process", "t", "κ₄(t) / κ₄(0)")
    ///     .line("10⁵ trajectories", &t, &[1.0, 1.01, 1.3])
    ///     .band(&t, &[1.0, 1.01, 1.3], &[0.01, 0.02, 0.2])
    ///     .reference(1.0)
    ///     .y_range(0.0, 2.0)
    ///     .legend(Corner::BottomLeft)
    ///     .inset(zoom, Corner::TopLeft);
    /// assert!(Figure::grid(1, 1, vec![panel]).svg().starts_with("<svg"));
    /// ```
    pub fn svg(&self) -> String {
        draw::svg(self.rows, self.columns, &self.panels)
    }

    /// Writes the figure as SVG, all of it or nothing.
    ///
    /// # Errors
    /// [`FileError::File`] if it cannot be written, with an earlier file left as it was.
    pub fn save(&self, path: &Path) -> Result<(), FileError> {
        let svg = self.svg();
        write_atomically(path, |out| out.write_all(svg.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_points_leave_gaps_in_a_sound_picture() {
        let (x, y) = ([0.0, 1.0, 2.0, 3.0, 4.0], [1.0, f64::NAN, 1e300, -1.0, f64::INFINITY]);
        let panel = |name: &str| Panel::new("a < b & c", "t", "κ₄").line(name, &x, &y).band(&x, &y, &y);
        let zoom = panel("").markers("", &x, &y, &y).log_y();
        let svg =
            Figure::grid(1, 2, vec![panel("p").log_x().y_range(0.0, 2.0).inset(zoom, Corner::TopLeft)]).svg();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert!(svg.contains("a &lt; b &amp; c"));
        assert_eq!(svg.matches("<g").count(), svg.matches("</g>").count());
        assert_eq!(svg.matches("<clipPath").count(), 2);
    }

    #[test]
    fn cells_of_a_map_that_are_the_same_are_one() {
        let svg = |values: &[f64]| Figure::grid(1, 1, vec![Panel::new("", "", "").map(3, values, 1.0)]).svg();
        let whites = |svg: &str| svg.matches("#ffffff").count();
        assert_eq!(whites(&svg(&[1.0, 5.0, -1.0, 1.0, -1.0, 1.0])), 3);
        assert_eq!(svg(&[f64::NAN; 6]).matches("NaN").count(), 0);
    }

    #[test]
    fn cells_of_a_map_are_squares() {
        for (width, height) in [(3, 3), (7, 2), (2, 16)] {
            let panel = Panel::new("", "", "").map(width, &vec![0.0; width * height], 1.0);
            let svg = Figure::grid(1, 1, vec![panel]).svg();
            let between_axes = svg.split("<clipPath").nth(1).unwrap();
            let number = |name: &str| -> f64 {
                between_axes
                    .split(&format!(" {name}=\""))
                    .nth(1)
                    .unwrap()
                    .split('"')
                    .next()
                    .unwrap()
                    .parse()
                    .unwrap()
            };
            let (x, y) = (number("width") / width as f64, number("height") / height as f64);
            assert!((x / y - 1.0).abs() < 1e-12, "{x} {y}");
        }
    }

    #[test]
    fn equal_figures_are_equal_texts() {
        let figure =
            Figure::grid(1, 1, vec![Panel::new("", "", "").steps("data", &[0.0, 0.5, 1.0], &[0.7, 1.3])]);
        assert_eq!(figure.svg(), figure.svg());
    }

    #[test]
    fn a_figure_that_cannot_be_saved_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Figure::grid(1, 1, vec![]).save(&folder.path().join("no/figure1.svg")).unwrap_err();
        assert!(error.to_string().contains("figure1.svg"), "{error}");
    }
}
