//! Places for panels, axes, curves and insets on the page.

use kuva::backend::svg::SvgBackend;
use kuva::render::render::{PathData, Primitive, Scene, TextAnchor};

use super::Colour;
use super::axis::Axis;
use super::legend;
use super::panel::{Corner, Layer, Panel, Shape};
use super::shapes::{cell, label, line, marker, rectangle, text_width};

/// Size of a panel with its labels, and what they take above and below the axes, in pixels.
const CELL: (f64, f64) = (410.0, 330.0);
const ABOVE: f64 = 36.0;
const BELOW: f64 = 52.0;
const FONTS: &str = "DejaVu Sans, Verdana, Arial, Helvetica, sans-serif";
const INK: &str = "#222222";
const TICK: f64 = 5.0;

/// Sizes that differ between a panel and its inset, in pixels.
pub(super) struct Style {
    pub(super) tick: u32,
    pub(super) legend: u32,
    pub(super) margin: f64,
    ticks: (usize, usize),
    stroke: f64,
}

const PANEL: Style = Style { tick: 12, legend: 12, margin: 14.0, ticks: (5, 5), stroke: 1.8 };
const INSET: Style = Style { tick: 10, legend: 10, margin: 8.0, ticks: (2, 3), stroke: 1.4 };

/// The rectangle between the axes.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Frame {
    /// Upper left corner of a box of this size in a corner of the frame.
    pub(super) fn corner(&self, corner: Corner, width: f64, height: f64, margin: f64) -> (f64, f64) {
        let (left, top) = (self.left + margin, self.top + margin);
        let (right, bottom) = (self.right - margin - width, self.bottom - margin - height);
        match corner {
            Corner::TopLeft => (left, top),
            Corner::TopRight => (right, top),
            Corner::BottomLeft => (left, bottom),
            Corner::BottomRight => (right, bottom),
        }
    }

    /// The largest frame about the same middle on which a unit is as long on the axis of length `x` as on that of length `y`.
    fn with_equal_units(self, x: f64, y: f64) -> Self {
        let (width, height) = (self.right - self.left, self.bottom - self.top);
        let unit = (width / x).min(height / y);
        let (dx, dy) = (0.5 * (width - unit * x), 0.5 * (height - unit * y));
        Self { left: self.left + dx, top: self.top + dy, right: self.right - dx, bottom: self.bottom - dy }
    }
}

/// All panels of a figure as one SVG text.
pub(super) fn svg(rows: usize, columns: usize, panels: &[Panel]) -> String {
    let (width, height) = (CELL.0 * columns as f64, CELL.1 * rows as f64);
    let mut scene = Scene::new(width, height);
    scene.font_family = Some(FONTS.to_owned());
    scene.text_color = Some(INK.to_owned());
    for (index, panel) in panels.iter().enumerate() {
        let (x, y) = (CELL.0 * (index % columns) as f64, CELL.1 * (index / columns) as f64);
        let mut frame =
            Frame { left: x + 74.0, top: y + ABOVE, right: x + CELL.0 - 18.0, bottom: y + CELL.1 - BELOW };
        if panel.equal_units {
            let length = |(first, last): (f64, f64)| (last - first).abs();
            frame = frame.with_equal_units(length(panel.x_ends()), length(panel.y_ends()));
        }
        labels(panel, &frame, &mut scene.elements);
        axes(panel, &frame, &PANEL, &mut scene);
        if let Some((inset, corner)) = &panel.inset {
            let frame =
                inset_frame(inset, *corner, &beside_legend(panel, *corner, &frame), &mut scene.elements);
            axes(inset, &frame, &INSET, &mut scene);
        }
        legend::draw(&panel.layers, panel.legend, &frame, &PANEL, &mut scene.elements);
    }
    // A view box lets the figure be scaled, which the library leaves out.
    let size = format!("<svg viewBox=\"0 0 {width} {height}\"");
    SvgBackend::new().with_pretty(true).render_scene(&scene).replacen("<svg", &size, 1)
}

/// The frame without the strip that a legend in the same corner takes.
fn beside_legend(panel: &Panel, corner: Corner, frame: &Frame) -> Frame {
    let height = legend::height(&panel.layers, &PANEL);
    if panel.legend != corner || height == 0.0 {
        return *frame;
    }
    match corner {
        Corner::TopLeft | Corner::TopRight => Frame { top: frame.top + height + PANEL.margin, ..*frame },
        Corner::BottomLeft | Corner::BottomRight => {
            Frame { bottom: frame.bottom - height - PANEL.margin, ..*frame }
        }
    }
}

/// Makes room for an inset with its tick labels and returns what is between its axes.
fn inset_frame(inset: &Panel, corner: Corner, outer: &Frame, out: &mut Vec<Primitive>) -> Frame {
    let labels = axis_y(inset, outer).ticks(INSET.ticks.1).major;
    let widest = labels.iter().map(|(_, label)| text_width(label, INSET.tick)).fold(0.0, f64::max);
    let (left, below, right, above) = (widest + 10.0, 22.0, 20.0, 10.0);
    let (width, height) = (0.42 * (outer.right - outer.left), 0.36 * (CELL.1 - ABOVE - BELOW));
    let (x, y) = outer.corner(corner, left + width + right, above + height + below, 4.0);
    out.push(rectangle(x, y, left + width + right, above + height + below, 1.0));
    Frame { left: x + left, top: y + above, right: x + left + width, bottom: y + above + height }
}

fn axis_x(panel: &Panel, frame: &Frame) -> Axis {
    let (first, last) = panel.x_ends();
    Axis { first, last, start: frame.left, end: frame.right, log: panel.log_x }
}

fn axis_y(panel: &Panel, frame: &Frame) -> Axis {
    let (first, last) = panel.y_ends();
    Axis { first, last, start: frame.bottom, end: frame.top, log: panel.log_y }
}

/// Title and names of the axes.
fn labels(panel: &Panel, frame: &Frame, out: &mut Vec<Primitive>) {
    let (x, y) = (0.5 * (frame.left + frame.right), 0.5 * (frame.top + frame.bottom));
    out.push(label(&panel.title, x, frame.top - 13.0, 14, TextAnchor::Middle, None));
    out.push(label(&panel.x_label, x, frame.bottom + 40.0, 14, TextAnchor::Middle, None));
    out.push(label(&panel.y_label, frame.left - 54.0, y, 14, TextAnchor::Middle, Some(-90.0)));
}

/// Curves, cut off at the frame, then the frame with its marks.
fn axes(panel: &Panel, frame: &Frame, style: &Style, scene: &mut Scene) {
    let (x, y) = (axis_x(panel, frame), axis_y(panel, frame));
    let Frame { left, top, right, bottom } = *frame;
    let id = format!("frame-{}", scene.defs.len());
    let (width, height) = (right - left, bottom - top);
    scene.defs.push(format!(
        "<clipPath id=\"{id}\"><rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\"/></clipPath>"
    ));
    let out = &mut scene.elements;
    out.push(Primitive::ClipStart { x: left, y: top, width, height, id });
    // Sharp joins would make spikes out of noise.
    let extra_attrs = Some("stroke-linejoin=\"round\"".to_owned());
    out.push(Primitive::GroupStart { transform: None, title: None, extra_attrs });
    // Bands lie below all curves.
    let (bands, curves): (Vec<&Layer>, Vec<&Layer>) =
        panel.layers.iter().partition(|layer| matches!(layer.shape, Shape::Band(_)));
    for layer in bands.into_iter().chain(curves) {
        clipped(layer, &x, &y, style, out);
    }
    out.push(Primitive::GroupEnd);
    out.push(Primitive::ClipEnd);

    let corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
    for side in corners.windows(2) {
        out.push(line(side[0], side[1], INK, 1.0, None));
    }
    marks(&x, &y, frame, style, out);
    for layer in &panel.layers {
        if let Shape::Markers(points) = &layer.shape {
            markers(points, &x, &y, layer.colour, out);
        }
    }
}

fn marks(x: &Axis, y: &Axis, frame: &Frame, style: &Style, out: &mut Vec<Primitive>) {
    let Frame { left, top, right, bottom } = *frame;
    let (horizontal, vertical) = (x.ticks(style.ticks.0), y.ticks(style.ticks.1));
    let major = horizontal.major.iter().map(|(place, _)| (*place, TICK));
    for (place, length) in major.chain(horizontal.minor.iter().map(|&place| (place, 0.6 * TICK))) {
        out.push(line((place, bottom), (place, bottom - length), INK, 1.0, None));
        out.push(line((place, top), (place, top + length), INK, 1.0, None));
    }
    let major = vertical.major.iter().map(|(place, _)| (*place, TICK));
    for (place, length) in major.chain(vertical.minor.iter().map(|&place| (place, 0.6 * TICK))) {
        out.push(line((left, place), (left + length, place), INK, 1.0, None));
        out.push(line((right, place), (right - length, place), INK, 1.0, None));
    }
    let size = f64::from(style.tick);
    for (place, words) in &horizontal.major {
        out.push(label(words, *place, bottom + 1.35 * size, style.tick, TextAnchor::Middle, None));
    }
    for (place, words) in &vertical.major {
        out.push(label(words, left - 6.0, place + 0.36 * size, style.tick, TextAnchor::End, None));
    }
    if let Some(factor) = &horizontal.factor {
        out.push(label(factor, right, bottom + 2.7 * size, style.tick, TextAnchor::End, None));
    }
    if let Some(factor) = &vertical.factor {
        out.push(label(factor, left, top - 0.4 * size, style.tick, TextAnchor::Start, None));
    }
}

/// A layer that ends at the frame: all but markers.
fn clipped(layer: &Layer, x: &Axis, y: &Axis, style: &Style, out: &mut Vec<Primitive>) {
    let colour = layer.colour.hex();
    match &layer.shape {
        Shape::Line { points, dashed } => {
            let dashes = if *dashed { Some("6 4") } else { layer.colour.dashes() };
            polyline(points, x, y, colour, style.stroke, dashes, out);
        }
        Shape::Steps(points) => {
            polyline(points, x, y, colour, style.stroke, layer.colour.dashes(), out);
        }
        Shape::Band(points) => band(points, x, y, colour, out),
        Shape::Reference(value) => {
            if let Some(place) = y.place(*value) {
                out.push(line((x.start, place), (x.end, place), colour, 1.0, Some("3 3")));
            }
        }
        Shape::Map { width, greys } => map(*width, greys, x, y, out),
        Shape::Markers(_) => {}
    }
}

/// Markers lie on top of the frame, whole, and only those whose middle is inside; their bars end at the frame.
fn markers(points: &[(f64, f64, f64)], x: &Axis, y: &Axis, colour: Colour, out: &mut Vec<Primitive>) {
    for &(abscissa, value, error) in points {
        let inside =
            |axis: &Axis, place: &f64| (axis.start.min(axis.end)..=axis.start.max(axis.end)).contains(place);
        let centre = x.place(abscissa).filter(|place| inside(x, place));
        let middle = y.place(value).filter(|place| inside(y, place));
        let (Some(centre), Some(middle)) = (centre, middle) else { continue };
        if error > 0.0 {
            // On a logarithmic axis the lower end may have no place.
            let low = y.place(value - error).map_or(y.start, |place| place.min(y.start));
            let high = y.place(value + error).map_or(y.end, |place| place.max(y.end));
            out.push(line((centre, low), (centre, high), colour.hex(), 1.2, None));
        }
        out.push(marker(centre, middle, colour));
    }
}

/// Cells of a row that have the same grey are one rectangle.
fn map(width: usize, greys: &[f64], x: &Axis, y: &Axis, out: &mut Vec<Primitive>) {
    let shade = |grey: &f64| (grey * (SHADES - 1.0)).round() as u8;
    for (row, greys) in greys.chunks(width).enumerate() {
        let mut column = 0;
        for run in greys.chunk_by(|a, b| shade(a) == shade(b)) {
            let end = column + run.len();
            let corner = (x.place(column as f64), y.place(row as f64));
            let other = (x.place(end as f64), y.place(row as f64 + 1.0));
            if let ((Some(left), Some(top)), (Some(right), Some(bottom))) = (corner, other) {
                let level = (f64::from(shade(&run[0])) * 255.0 / (SHADES - 1.0)) as u8;
                // A little overlap hides the seams.
                out.push(cell(left, top, right - left + 0.4, bottom - top + 0.4, level));
            }
            column = end;
        }
    }
}

/// Shades of a map.
const SHADES: f64 = 24.0;

fn polyline(
    points: &[(f64, f64)],
    x: &Axis,
    y: &Axis,
    colour: &str,
    stroke_width: f64,
    dashes: Option<&str>,
    out: &mut Vec<Primitive>,
) {
    let places: Vec<_> = points.iter().map(|&(a, b)| x.place(a).zip(y.place(b))).collect();
    for run in places.split(Option::is_none).filter(|run| run.len() > 1) {
        out.push(Primitive::PolyLine {
            points: run.iter().flatten().copied().collect(),
            stroke: colour.into(),
            stroke_width,
            stroke_dasharray: dashes.map(str::to_owned),
        });
    }
}

fn band(points: &[(f64, f64, f64)], x: &Axis, y: &Axis, colour: &str, out: &mut Vec<Primitive>) {
    let places: Vec<_> =
        points.iter().map(|&(a, low, high)| Some((x.place(a)?, y.place(low)?, y.place(high)?))).collect();
    for run in places.split(Option::is_none).filter(|run| run.len() > 1) {
        let there = run.iter().flatten().map(|&(a, low, _)| (a, low));
        let back = run.iter().rev().flatten().map(|&(a, _, high)| (a, high));
        let outline: Vec<String> = there.chain(back).map(|(a, b)| format!("{a:.2} {b:.2}")).collect();
        out.push(Primitive::Path(Box::new(PathData {
            d: format!("M {} Z", outline.join(" L ")),
            fill: Some(colour.into()),
            stroke: "none".into(),
            stroke_width: 0.0,
            opacity: Some(0.2),
            stroke_dasharray: None,
        })));
    }
}
