//! The names of the curves, in a corner.

use kuva::render::render::Primitive;

use super::draw::{Frame, Style};
use super::panel::{Corner, Layer, Shape};
use super::shapes::{line, marker, rectangle, text, text_width};

const SWATCH: f64 = 22.0;
const GAP: f64 = 6.0;
const LEADING: f64 = 1.45;

/// Height of the legend, zero if no layer has a name.
pub(super) fn height(layers: &[Layer], style: &Style) -> f64 {
    LEADING * f64::from(style.legend) * named(layers).count() as f64
}

fn named(layers: &[Layer]) -> impl Iterator<Item = &Layer> {
    layers.iter().filter(|layer| !layer.name.is_empty())
}

/// Draws one line per named layer on a veil that keeps curves underneath from disturbing it.
pub(super) fn draw(layers: &[Layer], corner: Corner, frame: &Frame, style: &Style, out: &mut Vec<Primitive>) {
    let size = style.legend;
    let widest = named(layers).map(|layer| text_width(&layer.name, size)).fold(0.0, f64::max);
    let (width, row) = (SWATCH + GAP + widest, LEADING * f64::from(size));
    let height = self::height(layers, style);
    if height == 0.0 {
        return;
    }

    let (left, top) = frame.corner(corner, width, height, style.margin);
    out.push(rectangle(left - 4.0, top - 3.0, width + 8.0, height + 6.0, 0.8));
    for (index, layer) in named(layers).enumerate() {
        let middle = top + row * (index as f64 + 0.5);
        swatch(layer, left, middle, out);
        let baseline = middle + 0.36 * f64::from(size);
        out.push(text(&layer.name, left + SWATCH + GAP, baseline, size));
    }
}

fn swatch(layer: &Layer, left: f64, middle: f64, out: &mut Vec<Primitive>) {
    let colour = layer.colour.hex();
    if let Shape::Markers(_) = layer.shape {
        let centre = left + 0.5 * SWATCH;
        out.push(line((centre, middle - 6.0), (centre, middle + 6.0), colour, 1.2, None));
        out.push(marker(centre, middle, layer.colour));
        return;
    }
    let exact = matches!(layer.shape, Shape::Line { dashed: true, .. });
    let dashes = if exact { Some("5 3") } else { layer.colour.dashes() };
    out.push(line((left, middle), (left + SWATCH, middle), colour, 2.0, dashes));
}
