//! The options of the lattice examples.

use std::str::FromStr;

use lattice_phi4::{Lattice, Phi4};

use crate::args::positive;
use crate::{Common, Failure, Options, Results};

/// The extents of a lattice: `32` for 32 x 32, or `16x2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size(pub Vec<usize>);

/// A word is no size.
#[derive(Debug, thiserror::Error)]
#[error("must be an extent like 32, or extents like 16x2, each at least 2")]
pub struct SizeError;

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(word: &str) -> Result<Self, SizeError> {
        let mut extents: Vec<usize> =
            word.split('x').map(str::parse).collect::<Result<_, _>>().map_err(|_| SizeError)?;
        if extents.len() == 1 {
            extents.push(extents[0]);
        }
        if extents.iter().all(|&extent| extent >= 2) { Ok(Self(extents)) } else { Err(SizeError) }
    }
}

/// How configurations are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    /// HMC and Wolff clusters, after hot and cold starts have met
    Equilibrium,
    /// As published: a configuration after 129 trajectories from noise
    Paper,
}

impl Protocol {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Equilibrium => "equilibrium",
            Self::Paper => "paper",
        }
    }
}

/// Options of the lattice examples; none is required.
#[derive(Clone, Debug, PartialEq, clap::Args)]
pub struct LatticeArgs {
    /// Those of every example.
    #[command(flatten)]
    pub common: Common,

    /// Extents of the lattice: 32 for 32 x 32, or 16x2
    #[arg(long, value_name = "L", default_value = "32")]
    pub size: Size,

    /// Hopping parameter of the action
    #[arg(long, value_name = "KAPPA", default_value_t = 0.27, allow_negative_numbers = true)]
    pub hopping: f64,

    /// Coupling of the action
    #[arg(long, value_name = "LAMBDA", default_value_t = 0.022, allow_negative_numbers = true)]
    pub lambda: f64,

    /// How the ensemble is made
    #[arg(long, value_name = "NAME", default_value = "equilibrium")]
    pub protocol: Protocol,

    /// Configurations
    #[arg(long, value_name = "N", value_parser = positive, allow_negative_numbers = true)]
    pub configs: Option<usize>,
}

impl Options for LatticeArgs {
    fn common(&mut self) -> &mut Common {
        &mut self.common
    }
}

impl LatticeArgs {
    /// Results that say what was asked for.
    pub fn results(&self, example: &str) -> Results {
        Results::new(example, self.common.seed)
            .setting("hopping", self.hopping)
            .setting("lambda", self.lambda)
            .setting("size", self.size.0.clone())
            .setting("protocol", self.protocol.name())
    }

    /// `kappa_n` of the normalised fields in Table 2 of the paper, if this is its ensemble.
    pub fn published(&self, order: usize) -> Option<f64> {
        const KAPPA: [f64; 4] = [0.3960, -0.2946, 0.9012, -5.869];
        let same = self.protocol == Protocol::Paper
            && self.size.0 == [32, 32]
            && (self.hopping, self.lambda) == (0.4, 0.022);
        if same { KAPPA.get(order / 2 - 1).copied() } else { None }
    }

    /// The action with these parameters.
    ///
    /// # Errors
    /// Parameters for which there is none.
    pub fn action(&self) -> Result<Phi4, Failure> {
        Ok(Phi4::new(Lattice::new(&self.size.0)?, self.hopping, self.lambda)?)
    }
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn sizes() {
        assert_eq!("32".parse::<Size>().unwrap(), Size(vec![32, 32]));
        assert_eq!("16x2".parse::<Size>().unwrap(), Size(vec![16, 2]));
        for word in ["", "1", "4x1", "x", "4x", "-3", "4.5"] {
            assert!(word.parse::<Size>().is_err(), "{word}");
        }
    }
}
