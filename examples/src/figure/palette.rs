//! Colours that people with any colour vision can tell apart, and for prints without colour a marker and a stroke for each.

/// The palette of Okabe and Ito (2008) in the order of use, with black kept for exact curves.
///
/// Yellow is left out: lines in it vanish on white paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// `#0072B2`
    Blue,
    /// `#D55E00`
    Vermillion,
    /// `#009E73`
    Green,
    /// `#CC79A7`
    Purple,
    /// `#E69F00`
    Orange,
    /// `#56B4E9`
    Sky,
    /// `#000000`
    Black,
    /// `#7F7F7F`
    Grey,
}

impl Colour {
    /// The colour of the `index`-th curve of a panel.
    pub(crate) fn of_curve(index: usize) -> Self {
        use Colour::{Blue, Green, Orange, Purple, Sky, Vermillion};
        [Blue, Vermillion, Green, Purple, Orange, Sky][index % 6]
    }

    pub(crate) fn hex(self) -> &'static str {
        match self {
            Self::Blue => "#0072B2",
            Self::Vermillion => "#D55E00",
            Self::Green => "#009E73",
            Self::Purple => "#CC79A7",
            Self::Orange => "#E69F00",
            Self::Sky => "#56B4E9",
            Self::Black => "#000000",
            Self::Grey => "#7F7F7F",
        }
    }

    /// Lengths of the strokes and gaps of a curve; none for one that is drawn through.
    pub(crate) fn dashes(self) -> Option<&'static str> {
        match self {
            Self::Blue | Self::Black | Self::Grey => None,
            Self::Vermillion => Some("9 3"),
            Self::Green => Some("2 2"),
            Self::Purple => Some("9 3 2 3"),
            Self::Orange => Some("5 2"),
            Self::Sky => Some("9 2 2 2 2 2"),
        }
    }

    /// Corners of the marker about its middle, in units of its size, and whether it is filled; a circle if there are none.
    pub(crate) fn marker(self) -> (&'static [(f64, f64)], bool) {
        match self {
            Self::Blue | Self::Black | Self::Grey => (&[], true),
            Self::Vermillion => (&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)], true),
            Self::Green => (&[(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)], true),
            Self::Purple => (&[(0.0, -1.3), (1.0, 0.0), (0.0, 1.3), (-1.0, 0.0)], true),
            Self::Orange => (&[(0.0, 1.2), (1.1, -0.8), (-1.1, -0.8)], false),
            Self::Sky => (&[], false),
        }
    }
}
