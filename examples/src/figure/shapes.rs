//! The shapes that figures are made of, in pixels.

use kuva::render::render::{PathData, Primitive, TextAnchor};

use super::Colour;

/// The marker of a colour.
pub(super) fn marker(cx: f64, cy: f64, colour: Colour) -> Primitive {
    let (corners, filled) = colour.marker();
    let ink = colour.hex();
    let (fill, stroke, width) = if filled { (ink, None, 0.0) } else { ("white", Some(ink), 1.3) };
    if corners.is_empty() {
        let (fill, stroke) = (fill.into(), stroke.map(Into::into));
        let stroke_width = Some(width).filter(|_| !filled);
        return Primitive::Circle { cx, cy, r: MARKER, fill, fill_opacity: None, stroke, stroke_width };
    }
    let places: Vec<String> =
        corners.iter().map(|(x, y)| format!("{:.2} {:.2}", cx + MARKER * x, cy + MARKER * y)).collect();
    Primitive::Path(Box::new(PathData {
        d: format!("M {} Z", places.join(" L ")),
        fill: Some(fill.into()),
        stroke: stroke.unwrap_or("none").into(),
        stroke_width: width,
        opacity: None,
        stroke_dasharray: None,
    }))
}

/// Size of a marker, the radius of a circle.
const MARKER: f64 = 2.8;

/// A straight line; `dashes` are lengths of strokes and gaps.
pub(super) fn line(
    from: (f64, f64),
    to: (f64, f64),
    colour: &str,
    width: f64,
    dashes: Option<&str>,
) -> Primitive {
    Primitive::Line {
        x1: from.0,
        y1: from.1,
        x2: to.0,
        y2: to.1,
        stroke: colour.into(),
        stroke_width: width,
        stroke_dasharray: dashes.map(str::to_owned),
    }
}

/// A white veil.
pub(super) fn rectangle(x: f64, y: f64, width: f64, height: f64, opacity: f64) -> Primitive {
    let fill = "white".into();
    Primitive::Rect { x, y, width, height, fill, stroke: None, stroke_width: None, opacity: Some(opacity) }
}

/// A rectangle in one shade of grey, 255 for white.
pub(super) fn cell(x: f64, y: f64, width: f64, height: f64, grey: u8) -> Primitive {
    let fill = format!("#{grey:02x}{grey:02x}{grey:02x}").as_str().into();
    Primitive::Rect { x, y, width, height, fill, stroke: None, stroke_width: None, opacity: None }
}

/// A text that starts at `x`.
pub(super) fn text(words: &str, x: f64, y: f64, size: u32) -> Primitive {
    label(words, x, y, size, TextAnchor::Start, None)
}

/// A text placed by its baseline, turned by `rotate` degrees.
pub(super) fn label(
    words: &str,
    x: f64,
    y: f64,
    size: u32,
    anchor: TextAnchor,
    rotate: Option<f64>,
) -> Primitive {
    Primitive::Text { x, y, content: words.into(), size, anchor, rotate, bold: false, color: None }
}

/// Width of a text in the first of the fonts, to within a few percent.
pub(super) fn text_width(words: &str, size: u32) -> f64 {
    let narrow = |letter: char| " .,:;'|()ijlftr₀₁₂₃₄₅₆₇₈₉⁰¹²³⁴⁵⁶⁷⁸⁹⁻".contains(letter);
    let wide = |letter: char| letter.is_ascii_uppercase() || "mwκΞ×=±".contains(letter);
    let ems = words.chars().map(|letter| match letter {
        _ if narrow(letter) => 0.38,
        _ if wide(letter) => 0.76,
        _ => 0.62,
    });
    f64::from(size) * ems.sum::<f64>()
}
