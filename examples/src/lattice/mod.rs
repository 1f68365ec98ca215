//! What the lattice examples share: options, ensembles with their certificate, the table of observables, momentum
//! shells, noise, and scores.

mod correct;
mod cost;
mod ensemble;
mod family;
mod flow;
mod generate;
mod noising;
mod options;
mod panels;
mod published;
mod score;
mod shells;
mod table;
mod training;
mod unet;

pub use correct::correct;
pub use cost::{CHAINS, Cost, WATCHED, chain_cost, pilot_spectrum, scheduled};
pub use ensemble::{CHECKPOINT, Ensemble, forget, merge, simulate, simulate_shard};
pub use family::{Family, Member};
pub use flow::by_flow;
pub use generate::{
    Model, draw, draw_rows, fit, fit_gaussian, noise_levels, path_sampler, path_sampler_of, sample, schedule,
};
pub use noising::{SIGMA, noised, time_of};
pub use options::{LatticeArgs, Protocol, Size};
pub use panels::{action_panel, magnetisation_panel};
pub use published::{PublishedField, learn_published};
pub use score::{Learned, ScoreArgs, ScoreKind};
pub use shells::Shells;
pub use table::{Table, table};
pub use unet::{MixedTarget, UnetArgs, learn, scales};
