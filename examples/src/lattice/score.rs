//! The choice of a score: fitted, learned, or read from an earlier run.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use lattice_phi4::{DomainScore, FieldPrior, FittedScore, Phi4, SpectralScore, Spectrum};
use ndarray::Array2;
use score_nets::PublishedUnetConfig;
use sde_core::{Edm, ScoreModel};

use super::generate::{draw_rows, fit_magnetisation, from_paper_prior, learned_levels, sample_from};
use super::{
    LatticeArgs, MixedTarget, Model, Protocol, UnetArgs, fit, fit_gaussian, learn, learn_published,
    noise_levels, schedule,
};
use crate::{Failure, args::positive};

/// File of a fitted score in the folder of a run.
const SCORE: &str = "score.json";
/// File of a net in training.
const NET: &str = "net.safetensors";
/// Training steps without `--training-steps`.
const TRAINING_STEPS: usize = 4500;
/// Channels from the finest to the coarsest lattice of a net, each half as long as the one before.
const CHANNELS: [usize; 4] = [8, 16, 32, 32];
/// Noise at which the force ceases to say anything of domains.
const FADING: f64 = 1.0;

/// What a score is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ScoreKind {
    /// The Gaussian one: mean and propagator
    Spectral,
    /// With corrections from perturbation theory
    Perturbative,
    /// A net on top of the Gaussian one, or of that of fields in equilibrium within their domains
    Unet,
    /// The net of the paper, on its own
    Published,
}

/// Options of examples that learn a score.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct ScoreArgs {
    /// What the score is made of [default: perturbative]
    #[arg(long, value_name = "NAME", conflicts_with = "load")]
    pub score: Option<ScoreKind>,

    /// Sample with the score.json of an earlier run instead of fitting one
    #[arg(long, value_name = "FILE")]
    pub load: Option<PathBuf>,

    /// Training steps of a net, of 64 samples each [default: 4500]
    #[arg(long, value_name = "N", value_parser = positive, allow_negative_numbers = true)]
    pub training_steps: Option<usize>,
}

/// A score that fields can be drawn from.
pub enum Learned {
    /// Fitted: a few coefficients, or none.
    Fitted(Model),
    /// A net.
    Net {
        /// What its Gaussian part has, about zero.
        spectrum: Spectrum,
        /// The score.
        score: Box<dyn ScoreModel + Sync>,
    },
}

impl fmt::Debug for Learned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fitted(model) => f.debug_tuple("Fitted").field(model).finish(),
            Self::Net { spectrum, .. } => {
                f.debug_struct("Net").field("spectrum", spectrum).finish_non_exhaustive()
            }
        }
    }
}

impl ScoreArgs {
    /// Reads, fits or learns the score of an ensemble; what was fitted is written to the folder `out`, and a net in training
    /// goes on from there.
    ///
    /// # Errors
    /// [`ScoreFileError`](lattice_phi4::ScoreFileError) for a file that is damaged or of another theory, and for one of
    /// another protocol; those of fits and of training.
    pub fn obtain(
        &self,
        action: &Phi4,
        args: &LatticeArgs,
        fields: &Array2<f64>,
        out: &Path,
    ) -> Result<Learned, Failure> {
        let (protocol, seed) = (args.protocol, args.common.seed);
        if let Some(score) = self.loaded(action, protocol)? {
            return Ok(Learned::Fitted(score.model.into()));
        }
        let model = match self.score.unwrap_or(ScoreKind::Perturbative) {
            ScoreKind::Spectral => fit_gaussian(action, fields.view())?,
            ScoreKind::Perturbative => fit(action, protocol, fields.view(), seed)?,
            ScoreKind::Unet => return self.train(action, args, fields, out),
            ScoreKind::Published => {
                let spectrum = Spectrum::of_ensemble(action.lattice(), 0.0, fields.view())?;
                let checkpoint = out.join(NET);
                let score = learn_published(&spectrum, fields, self.steps(), seed, Some(&checkpoint))?;
                return Ok(Learned::Net { spectrum, score: Box::new(score) });
            }
        };
        let (protocol, model) = (protocol.name().to_owned(), (*model.model).clone());
        FittedScore { couplings: action.couplings(), protocol, model: model.clone() }
            .write(out.join(SCORE))?;
        Ok(Learned::Fitted(model.into()))
    }

    fn steps(&self) -> u64 {
        self.training_steps.unwrap_or(TRAINING_STEPS) as u64
    }

    fn train(
        &self,
        action: &Phi4,
        args: &LatticeArgs,
        fields: &Array2<f64>,
        out: &Path,
    ) -> Result<Learned, Failure> {
        let spectrum = Spectrum::of_ensemble(action.lattice(), 0.0, fields.view())?;
        // As often as all extents can be halved.
        let halvings = action.lattice().extents().iter().map(|extent| extent.trailing_zeros()).min();
        let levels = (halvings.unwrap_or(0) as usize).clamp(1, CHANNELS.len());
        let settings =
            UnetArgs { channels: CHANNELS[..levels].to_vec(), steps: self.steps(), seed: args.common.seed };
        let (edm, checkpoint) = (schedule(&spectrum)?, out.join(NET));
        let score: Box<dyn ScoreModel + Sync> = match args.protocol {
            Protocol::Equilibrium => {
                let gaussian = SpectralScore::new(&spectrum, edm);
                let target = MixedTarget::equilibrium(&spectrum, action);
                Box::new(learn(&spectrum, gaussian, fields, &target, &settings, Some(&checkpoint))?)
            }
            Protocol::Paper => {
                let magnetisation = fit_magnetisation(spectrum.clone(), fields.view(), args.common.seed)?;
                let base = DomainScore::new(action, magnetisation.score()?, edm)?;
                let target = MixedTarget::domains(action, FADING);
                Box::new(learn(&spectrum, base, fields, &target, &settings, Some(&checkpoint))?)
            }
        };
        Ok(Learned::Net { spectrum, score })
    }

    /// Refuses what is known to be impossible before anything is computed.
    ///
    /// # Errors
    /// For training steps without a net, for a net on a lattice that it is not made for, for domains without two minima of
    /// the potential, and for a file that [`obtain`](Self::obtain) could not use.
    pub fn check(&self, action: &Phi4, protocol: Protocol) -> Result<(), Failure> {
        let net = matches!(self.score, Some(ScoreKind::Unet | ScoreKind::Published));
        if self.training_steps.is_some() && !net {
            return Err(
                "--training-steps: only nets are trained, ask for one with --score unet or published".into(),
            );
        }
        let extents = action.lattice().extents();
        match self.score {
            Some(ScoreKind::Unet) if extents.len() != 2 => {
                return Err(
                    format!("--score unet: the net is for two dimensions, not for {extents:?}").into()
                );
            }
            Some(ScoreKind::Unet) if protocol == Protocol::Paper => {
                let base = SpectralScore::new(&Spectrum::free(action.lattice(), 0.0)?, Edm::new(1.0)?);
                DomainScore::new(action, base, Edm::new(1.0)?)?;
            }
            Some(ScoreKind::Published) if extents != PublishedUnetConfig::paper().extents => {
                return Err(
                    format!("--score published: the net is for 32 x 32 sites, not for {extents:?}").into()
                );
            }
            _ => {}
        }
        self.loaded(action, protocol).map(|_| ())
    }

    fn loaded(&self, action: &Phi4, protocol: Protocol) -> Result<Option<FittedScore>, Failure> {
        let Some(path) = &self.load else { return Ok(None) };
        let score = FittedScore::read_for(path, action)?;
        if score.protocol == protocol.name() {
            Ok(Some(score))
        } else {
            let (path, expected, found) = (path.display(), protocol.name(), &score.protocol);
            Err(format!("{path}: protocol: expected {expected}, found {found}").into())
        }
    }
}

impl Learned {
    /// Mean and propagator.
    pub fn spectrum(&self) -> &Spectrum {
        match self {
            Self::Fitted(model) => model.model.spectrum(),
            Self::Net { spectrum, .. } => spectrum,
        }
    }

    /// The score; its time is the noise.
    ///
    /// # Errors
    /// If a variance of the field is not a number.
    pub fn score(&self) -> Result<Box<dyn ScoreModel + '_>, Failure> {
        Ok(match self {
            Self::Fitted(model) => Box::new(model.score()?),
            Self::Net { score, .. } => Box::new(score),
        })
    }

    /// Whether it describes one sign of the magnetisation.
    pub fn ordered(&self) -> bool {
        matches!(self, Self::Fitted(model) if model.ordered)
    }

    /// Standard deviations of the noise, ascending, through which [`sample`](Self::sample) comes: with the paper's prior up to where
    /// its process ends.
    ///
    /// # Errors
    /// None: the paper's schedule is in its domain.
    pub fn noise_levels(&self, prior: FieldPrior) -> Result<Vec<f64>, Failure> {
        let levels = match self {
            Self::Fitted(model) => noise_levels(model.model.spectrum()),
            Self::Net { spectrum, .. } => learned_levels(spectrum),
        };
        Ok(if prior == FieldPrior::Noise { from_paper_prior(&levels)? } else { levels })
    }

    /// Draws these `rows` of all configurations from a prior, which must begin where a [`Share`](diffusion::Share) does; `watch` sees
    /// them on their way, with the noise they have, after every one of the [`noise_levels`](Self::noise_levels).
    ///
    /// # Errors
    /// Of the score.
    pub fn sample(
        &self,
        prior: FieldPrior,
        rows: Range<usize>,
        seed: u64,
        watch: &mut dyn FnMut(f64, &Array2<f64>),
    ) -> Result<Array2<f64>, Failure> {
        let levels = self.noise_levels(prior)?;
        match self {
            Self::Fitted(model) => sample_from(model, prior, &levels, rows, seed, watch),
            Self::Net { spectrum, score } => draw_rows(spectrum, &**score, prior, &levels, rows, seed, watch),
        }
    }
}
