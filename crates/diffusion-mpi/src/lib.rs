//! Many processes for one job, by the Message Passing Interface.
//!
//! The other crates share their work through a [`Communicator`](sde_core::Communicator), and do not know what stands behind it. Here it
//! is MPI, through the bindings of the crate `mpi`: [`World`] is all processes that `mpirun` has started. A program is a closure that every
//! one of them runs:
//!
//! ```no_run
//! use sde_core::Communicator;
//!
//! fn main() -> std::process::ExitCode {
//!     diffusion_mpi::run(|world| {
//!         let squares: Vec<f64> = world.share(10).map(|i| (i * i) as f64).collect();
//!         assert_eq!(world.gather_values(&squares).iter().sum::<f64>(), 285.0);
//!         Ok(())
//!     })
//! }
//! ```
//!
//! Nothing is ever added up by the library, whose sums depend on how many processes there are: pieces are gathered, and each process adds
//! them up in the order of their numbers. A process that fails or dies ends the job: the others are ended as well rather than
//! left to wait.
//!
//! Three programs are built on this. `two_peak_mpi` runs the forward or the backward process of the two-peak model, `phi4_mpi` makes an
//! ensemble of lattice fields, and `score_mpi` trains a net on one and samples from it; the last two leave checkpoints from which any
//! number of processes can go on.

mod job;
mod world;

pub use job::{finish, run};
pub use world::{World, WorldError};
