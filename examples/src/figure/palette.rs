//! Colours that people with any colour vision can tell apart.

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
}
