//! A net on top of perturbative scores, for all hopping parameters at once.

use lattice_phi4::{PerturbativeScore, Phi4};
use ndarray::Array2;
use rand::SeedableRng;
use rand_pcg::Pcg64;
use score_nets::{
    ConditionalBatches, ConditionalUnet, ConditionalUnetConfig, FieldBatches, FieldBatchesConfig,
    FieldScales, LatticeScore, OddUnetConfig,
};
use sde_core::Edm;

use super::training::settings;
use super::unet::PEAK;
use super::{MixedTarget, Model, UnetArgs, scales, schedule};
use crate::Failure;
use crate::training::trained;

/// Highest power of the hopping in the gains.
const DEGREE: usize = 2;
/// Samples of all ensembles together in a step.
const SAMPLES: usize = 64;
/// The coordinate of a hopping parameter: of order one between 0.21 and 0.27.
const CENTRE: f64 = 0.24;
const SPREAD: f64 = 0.03;

/// An ensemble in equilibrium, and the score that is to be corrected.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// What it is the ensemble of.
    pub action: &'a Phi4,
    /// Its configurations.
    pub fields: &'a Array2<f64>,
    /// The score on its own.
    pub model: &'a Model,
}

impl<'a> Member<'a> {
    /// What batches of it are made of.
    fn parts(&self) -> Result<(FieldScales, PerturbativeScore<Edm>, MixedTarget<'a>), Failure> {
        let spectrum = self.model.model.spectrum();
        Ok((scales(spectrum), self.model.score()?, MixedTarget::equilibrium(spectrum, self.action)))
    }
}

/// A net for all hopping parameters.
#[derive(Clone, Debug)]
pub struct Family(ConditionalUnet);

impl Family {
    /// Trains a net on ensembles of one size.
    ///
    /// # Errors
    /// Of an ensemble, or of a run that diverges.
    ///
    /// # Panics
    /// If there are no members.
    pub fn learn(members: &[Member<'_>], args: &UnetArgs) -> Result<Self, Failure> {
        let made = members.iter().map(Member::parts).collect::<Result<Vec<_>, _>>()?;
        let mut parts = Vec::new();
        for (number, (member, (scales, base, target))) in members.iter().zip(&made).enumerate() {
            let batches = FieldBatchesConfig {
                samples: SAMPLES.div_ceil(members.len()),
                seed: args.seed.wrapping_add(number as u64),
                ..FieldBatchesConfig::default()
            };
            let batches =
                FieldBatches::new(member.fields, base, scales.clone(), batches)?.with_target(target);
            parts.push((coordinate(member.action.hopping()), batches));
        }
        let unet = OddUnetConfig { channels: args.channels.clone(), ..OddUnetConfig::new(made[0].0.clone()) };
        let config = ConditionalUnetConfig { unet, degree: DEGREE };
        let fresh = || Ok(ConditionalUnet::new(config, &mut Pcg64::seed_from_u64(args.seed))?);
        Ok(Self(trained(ConditionalBatches::new(parts)?, fresh, settings(args.steps, PEAK), None)?))
    }

    /// The score of `model`, corrected for this hopping parameter; on any lattice.
    ///
    /// # Errors
    /// For a lattice that the net does not fit on.
    pub fn corrected(
        &self,
        model: &Model,
        hopping: f64,
    ) -> Result<LatticeScore<PerturbativeScore<Edm>, Edm>, Failure> {
        let spectrum = model.model.spectrum();
        let net = self.0.at(coordinate(hopping), scales(spectrum))?;
        Ok(LatticeScore::new(model.score()?, &net, schedule(spectrum)?))
    }
}

fn coordinate(hopping: f64) -> f64 {
    (hopping - CENTRE) / SPREAD
}
