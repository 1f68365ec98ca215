//! What a panel shows, in data units.

use super::palette::Colour;

/// A corner of a panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corner {
    /// Upper left.
    TopLeft,
    /// Upper right.
    TopRight,
    /// Lower left.
    BottomLeft,
    /// Lower right.
    BottomRight,
}

/// One pair of axes and what is drawn between them.
///
/// Curves get the colours of the palette in turn; [`exact`](Self::exact) and [`reference`](Self::reference) do
/// not use one up, so an inset that repeats the curves of its panel repeats their colours. Curves with an empty
/// name stay out of the legend. Points that are not finite leave a gap.
#[derive(Clone, Debug)]
pub struct Panel {
    pub(super) title: String,
    pub(super) x_label: String,
    pub(super) y_label: String,
    pub(super) layers: Vec<Layer>,
    pub(super) x_range: Option<(f64, f64)>,
    pub(super) y_range: Option<(f64, f64)>,
    pub(super) log_x: bool,
    pub(super) log_y: bool,
    /// Whether a unit is as long on either axis.
    pub(super) equal_units: bool,
    pub(super) legend: Corner,
    pub(super) inset: Option<(Box<Panel>, Corner)>,
    curves: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) name: String,
    pub(super) colour: Colour,
    pub(super) shape: Shape,
}

#[derive(Clone, Debug)]
pub(super) enum Shape {
    Line {
        points: Vec<(f64, f64)>,
        dashed: bool,
    },
    /// `(x, y, error)`.
    Markers(Vec<(f64, f64, f64)>),
    /// `(x, low, high)`.
    Band(Vec<(f64, f64, f64)>),
    /// Corners of the outline of a histogram.
    Steps(Vec<(f64, f64)>),
    Reference(f64),
    /// Rows of grey cells from the top down, between 0 (black) and 1 (white).
    Map {
        width: usize,
        greys: Vec<f64>,
    },
}

impl Panel {
    /// Empty axes. Labels may be empty, and are Unicode: `κ₄`, `τ`.
    pub fn new(title: &str, x_label: &str, y_label: &str) -> Self {
        Self {
            title: title.into(),
            x_label: x_label.into(),
            y_label: y_label.into(),
            layers: Vec::new(),
            x_range: None,
            y_range: None,
            log_x: false,
            log_y: false,
            equal_units: false,
            legend: Corner::TopRight,
            inset: None,
            curves: 0,
        }
    }

    /// A line through the points `(x, y)` in the next colour.
    #[must_use]
    pub fn line(self, name: &str, x: &[f64], y: &[f64]) -> Self {
        let points = pairs(x, y);
        self.curve(name, Shape::Line { points, dashed: false })
    }

    /// Dots at the points `(x, y)` with vertical error bars, in the next colour; an error of zero draws no bar.
    #[must_use]
    pub fn markers(self, name: &str, x: &[f64], y: &[f64], errors: &[f64]) -> Self {
        assert_eq!(x.len(), errors.len(), "{name}: one error per point");
        let points = pairs(x, y).into_iter().zip(errors).map(|((x, y), &error)| (x, y, error)).collect();
        self.curve(name, Shape::Markers(points))
    }

    /// A histogram as an outline in the next colour: `heights[i]` from `edges[i]` to `edges[i + 1]`.
    #[must_use]
    pub fn steps(self, name: &str, edges: &[f64], heights: &[f64]) -> Self {
        assert_eq!(edges.len(), heights.len() + 1, "{name}: one edge more than heights");
        let mut corners = Vec::with_capacity(2 * edges.len());
        corners.push((edges[0], 0.0));
        for (edges, &height) in edges.windows(2).zip(heights) {
            corners.extend([(edges[0], height), (edges[1], height)]);
        }
        corners.push((edges[edges.len() - 1], 0.0));
        self.curve(name, Shape::Steps(corners))
    }

    /// A known curve: dashed and black, on top of what was added before it.
    #[must_use]
    pub fn exact(mut self, name: &str, x: &[f64], y: &[f64]) -> Self {
        let shape = Shape::Line { points: pairs(x, y), dashed: true };
        self.layers.push(Layer { name: name.into(), colour: Colour::Black, shape });
        self
    }

    /// The band `y ± errors` in the colour of the curve before it.
    #[must_use]
    pub fn band(mut self, x: &[f64], y: &[f64], errors: &[f64]) -> Self {
        assert_eq!(x.len(), errors.len(), "one error per point of a band");
        let points = pairs(x, y).into_iter().zip(errors).map(|((x, y), e)| (x, y - e, y + e)).collect();
        let colour = self.layers.last().map_or(Colour::of_curve(0), |layer| layer.colour);
        self.layers.push(Layer { name: String::new(), colour, shape: Shape::Band(points) });
        self
    }

    /// A field on a square lattice as a picture: rows of `width` values, the first on top, from black at `-limit` to white at
    /// `limit`. Its cells are squares.
    ///
    /// # Panics
    /// Unless the rows are whole.
    #[must_use]
    pub fn map(mut self, width: usize, values: &[f64], limit: f64) -> Self {
        assert!(values.len().is_multiple_of(width), "rows of {width} values");
        let greys = values.iter().map(|value| (0.5 + 0.5 * value / limit).clamp(0.0, 1.0)).collect();
        let shape = Shape::Map { width, greys };
        self.layers.push(Layer { name: String::new(), colour: Colour::Black, shape });
        self.equal_units = true;
        let height = values.len() / width;
        self.x_range(0.0, width as f64).y_range(height as f64, 0.0)
    }

    /// A thin dashed horizontal line.
    #[must_use]
    pub fn reference(mut self, y: f64) -> Self {
        self.layers.push(Layer { name: String::new(), colour: Colour::Black, shape: Shape::Reference(y) });
        self
    }

    /// Changes the colour of the last layer.
    #[must_use]
    pub fn colour(mut self, colour: Colour) -> Self {
        if let Some(layer) = self.layers.last_mut() {
            layer.colour = colour;
        }
        self
    }

    /// Fixes the horizontal range; a first end above the second turns the axis round. Ends that no axis can have,
    /// such as NaN, or zero on a logarithmic axis, leave the range to the data.
    #[must_use]
    pub fn x_range(mut self, first: f64, last: f64) -> Self {
        self.x_range = Some((first, last));
        self
    }

    /// Fixes the vertical range, as [`x_range`](Self::x_range); what lies outside is cut off.
    #[must_use]
    pub fn y_range(mut self, low: f64, high: f64) -> Self {
        self.y_range = Some((low, high));
        self
    }

    /// Makes the horizontal axis logarithmic; points at zero and below leave a gap.
    #[must_use]
    pub fn log_x(mut self) -> Self {
        self.log_x = true;
        self
    }

    /// Makes the vertical axis logarithmic; points at zero and below leave a gap.
    #[must_use]
    pub fn log_y(mut self) -> Self {
        self.log_y = true;
        self
    }

    /// Puts the legend into a corner; upper right otherwise.
    #[must_use]
    pub fn legend(mut self, corner: Corner) -> Self {
        self.legend = corner;
        self
    }

    /// Puts small axes of their own into a corner, next to the legend if that is there too; their title, labels
    /// and legend are left out.
    #[must_use]
    pub fn inset(mut self, panel: Self, corner: Corner) -> Self {
        self.inset = Some((Box::new(panel), corner));
        self
    }

    fn curve(mut self, name: &str, shape: Shape) -> Self {
        self.layers.push(Layer { name: name.into(), colour: Colour::of_curve(self.curves), shape });
        self.curves += 1;
        self
    }

    /// Ends of the horizontal axis: as fixed, or where the data begin and end.
    pub(super) fn x_ends(&self) -> (f64, f64) {
        self.x_range.filter(|&range| drawable(range, self.log_x)).unwrap_or_else(|| {
            let xs = self.layers.iter().flat_map(|layer| layer.shape.extent()).map(|(x, _)| x);
            ends(xs, self.log_x).unwrap_or((0.0, 1.0))
        })
    }

    /// Ends of the vertical axis: as fixed, or of the data between the ends of the horizontal one, with some air.
    pub(super) fn y_ends(&self) -> (f64, f64) {
        if let Some(range) = self.y_range.filter(|&range| drawable(range, self.log_y)) {
            return range;
        }
        let (first, last) = self.x_ends();
        let (left, right) = (first.min(last), first.max(last));
        let visible = self.layers.iter().flat_map(|layer| layer.shape.extent());
        // A reference line has no x: it is seen everywhere.
        let ys = visible.filter(|(x, _)| x.is_nan() || (left..=right).contains(x)).map(|(_, y)| y);
        let Some((low, high)) = ends(ys, self.log_y) else { return (0.0, 1.0) };
        if self.log_y {
            let air = (high / low).powf(0.05);
            return (low / air, high * air);
        }
        let air = 0.05 * (high - low);
        let histogram = self.layers.iter().any(|layer| matches!(layer.shape, Shape::Steps(_)));
        (if histogram && low == 0.0 { 0.0 } else { low - air }, high + air)
    }
}

impl Shape {
    /// All points that should be seen.
    fn extent(&self) -> Vec<(f64, f64)> {
        match self {
            Self::Line { points, .. } | Self::Steps(points) => points.clone(),
            Self::Markers(points) => points.iter().flat_map(|&(x, y, e)| [(x, y - e), (x, y + e)]).collect(),
            Self::Band(points) => points.iter().flat_map(|&(x, low, high)| [(x, low), (x, high)]).collect(),
            Self::Reference(y) => vec![(f64::NAN, *y)],
            Self::Map { .. } => Vec::new(),
        }
    }
}

fn pairs(x: &[f64], y: &[f64]) -> Vec<(f64, f64)> {
    assert_eq!(x.len(), y.len(), "a curve has as many abscissae as ordinates");
    x.iter().copied().zip(y.iter().copied()).collect()
}

/// Whether a number has a place on some axis: huge ones would overflow in the length of the axis.
fn placeable(number: f64, log: bool) -> bool {
    number.abs() < 1e200 && (!log || number > 1e-200)
}

/// Whether an axis can have these ends.
fn drawable((first, last): (f64, f64), log: bool) -> bool {
    placeable(first, log) && placeable(last, log) && first != last
}

/// Smallest and largest usable number, moved apart if they are the same.
fn ends(numbers: impl Iterator<Item = f64>, log: bool) -> Option<(f64, f64)> {
    let usable = numbers.filter(|&number| placeable(number, log));
    let (low, high) = usable
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), number| (low.min(number), high.max(number)));
    if low > high {
        return None;
    }
    if low < high {
        return Some((low, high));
    }
    let apart = if low == 0.0 { 1.0 } else { 0.5 * low.abs() };
    Some((low - apart, low + apart))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_the_visible_data() {
        let panel = Panel::new("", "", "").line("", &[0.0, 1.0, 2.0], &[1.0, 3.0, f64::NAN]).reference(5.0);
        assert_eq!(panel.x_ends(), (0.0, 2.0));
        assert_eq!(panel.y_ends(), (0.8, 5.2));
        assert_eq!(panel.clone().x_range(0.0, 0.5).y_ends(), (0.8, 5.2));
        assert_eq!(panel.y_range(-1.0, 1.0).y_ends(), (-1.0, 1.0));
        assert_eq!(Panel::new("", "", "").y_ends(), (0.0, 1.0));
    }

    #[test]
    fn impossible_ranges_give_way_to_the_data() {
        let panel = Panel::new("", "", "").line("", &[1.0, 2.0], &[1e-3, 10.0]).log_x();
        assert_eq!(panel.clone().x_range(0.0, 5.0).x_ends(), (1.0, 2.0));
        assert_eq!(panel.clone().x_range(f64::NAN, 5.0).x_ends(), (1.0, 2.0));
        assert_eq!(panel.clone().x_range(5.0, 5.0).x_ends(), (1.0, 2.0));
        assert_eq!(panel.x_range(5.0, 0.5).x_ends(), (5.0, 0.5));
        let huge = Panel::new("", "", "").line("", &[0.0, 1.0, 2.0], &[f64::MAX, 1.0, 3.0]);
        assert_eq!(huge.y_ends(), (0.9, 3.1));
    }

    #[test]
    fn an_inset_repeats_the_colours_of_its_panel() {
        let panel = Panel::new("", "", "").exact("", &[], &[]).line("", &[], &[]).band(&[], &[], &[]);
        let colours: Vec<Colour> = panel.line("", &[], &[]).layers.iter().map(|layer| layer.colour).collect();
        assert_eq!(colours, [Colour::Black, Colour::Blue, Colour::Blue, Colour::Vermillion]);
    }
}
