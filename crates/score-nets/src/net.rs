//! What training, averaging and checkpoints ask of a net.

use crate::{
    BatchBuffer, Layout, Mlp, MlpConfig, NetError, Workspace, loss_and_gradient as mlp_loss_and_gradient,
};
use sde_core::Communicator;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// A net that can be trained: a flat vector of named parameters, and the gradient of a loss.
///
/// # Laws
/// - `parameters` has one value for each element of [`layout`](Self::layout), and any finite values are a net.
/// - [`loss_and_gradient`](Self::loss_and_gradient) gives the same bits for the same net and batch, whatever was in
///   the workspace and on any number of threads.
pub trait Net: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// What a checkpoint calls nets of this type.
    const KIND: &'static str;

    /// The architecture.
    type Config: Clone + Debug + PartialEq + Serialize + DeserializeOwned;

    /// The examples of one step.
    type Batch;

    /// Scratch memory, reused from batch to batch.
    type Workspace;

    /// Names, shapes and places of the parameters of an architecture.
    ///
    /// # Errors
    /// [`NetError`] if the architecture is out of its domain.
    fn layout(config: &Self::Config) -> Result<Layout, NetError>;

    /// A net from its flat parameter vector.
    ///
    /// # Errors
    /// [`NetError`] if the architecture is out of its domain, the length is wrong or a value is not finite.
    fn from_parameters(config: Self::Config, parameters: Vec<f32>) -> Result<Self, NetError>;

    /// The architecture.
    fn config(&self) -> &Self::Config;

    /// All parameters.
    fn parameters(&self) -> &[f32];

    /// All parameters, for an optimiser.
    fn parameters_mut(&mut self) -> &mut [f32];

    /// Scratch memory for nets of this architecture.
    fn workspace(&self) -> Self::Workspace;

    /// The mean loss of a batch; writes its gradient by every parameter.
    ///
    /// # Panics
    /// If the gradient does not have one element per parameter.
    fn loss_and_gradient(
        &self,
        batch: &Self::Batch,
        workspace: &mut Self::Workspace,
        gradient: &mut [f32],
    ) -> f32;

    /// The same on several processes with equal nets and batches, with the same bits on each for any number of them.
    ///
    /// As it stands each does all of the work. Nets that are large enough for it to pay cut it into shares.
    fn loss_and_gradient_on(
        &self,
        communicator: &dyn Communicator,
        batch: &Self::Batch,
        workspace: &mut Self::Workspace,
        gradient: &mut [f32],
    ) -> f32 {
        let _ = communicator;
        self.loss_and_gradient(batch, workspace, gradient)
    }
}

impl Net for Mlp {
    const KIND: &'static str = "mlp";

    type Config = MlpConfig;
    type Batch = BatchBuffer;
    type Workspace = Workspace;

    fn layout(config: &MlpConfig) -> Result<Layout, NetError> {
        config.validate()?;
        Ok(config.layout())
    }

    fn from_parameters(config: MlpConfig, parameters: Vec<f32>) -> Result<Self, NetError> {
        Self::from_parameters(config, parameters)
    }

    fn config(&self) -> &MlpConfig {
        self.config()
    }

    fn parameters(&self) -> &[f32] {
        self.parameters()
    }

    fn parameters_mut(&mut self) -> &mut [f32] {
        self.parameters_mut()
    }

    fn workspace(&self) -> Workspace {
        Workspace::new(self)
    }

    fn loss_and_gradient(&self, batch: &BatchBuffer, workspace: &mut Workspace, gradient: &mut [f32]) -> f32 {
        mlp_loss_and_gradient(self, batch.view(), workspace, gradient)
    }
}
