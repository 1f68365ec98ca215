//! Programs on one, two, three and four processes: the same bytes on any number of them, and a good end whatever happens to one.
//!
//! The tests start `mpirun` themselves. It takes more processes than there are cores.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod mpirun;
mod phi4;
mod score;
mod two_peak;
mod world;
