//! All processes of a job.

use mpi::Threading;
use mpi::datatype::PartitionMut;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{
    Communicator as _, CommunicatorCollectives as _, Destination as _, Root as _, Source as _,
};
use sde_core::Communicator;

/// All processes that were started together.
///
/// There is one of it in a process; MPI ends when it is dropped.
pub struct World {
    universe: Universe,
    rank: usize,
    size: usize,
    /// Most bytes that are sent at once, of all messages together: MPI counts in 32 bits.
    at_once: usize,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("rank", &self.rank).field("size", &self.size).finish_non_exhaustive()
    }
}

/// There is no MPI to work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorldError {
    /// A second world.
    #[error("MPI is in use by this process already")]
    InUse,
    /// The library was built for programs of one thread.
    #[error(
        "the MPI library can not be called from another thread than the first: found {found}, expected MPI_THREAD_SERIALIZED"
    )]
    Threads {
        /// What the library offers.
        found: &'static str,
    },
}

impl World {
    /// Joins the processes that were started together: one alone if there was no `mpirun`.
    ///
    /// # Errors
    /// [`WorldError`].
    pub fn join() -> Result<Self, WorldError> {
        let (universe, threads) =
            mpi::initialize_with_threading(Threading::Serialized).ok_or(WorldError::InUse)?;
        match threads {
            Threading::Single => return Err(WorldError::Threads { found: "MPI_THREAD_SINGLE" }),
            Threading::Funneled => return Err(WorldError::Threads { found: "MPI_THREAD_FUNNELED" }),
            Threading::Serialized | Threading::Multiple => {}
        }
        let world = universe.world();
        let (rank, size) = (world.rank() as usize, world.size() as usize);
        Ok(Self { universe, rank, size, at_once: i32::MAX as usize })
    }

    /// Sends at most so many bytes at once, of all messages together, and at least one of each: for tests of long messages.
    #[must_use]
    pub fn at_once(self, bytes: usize) -> Self {
        Self { at_once: bytes.max(1), ..self }
    }

    fn communicator(&self) -> SimpleCommunicator {
        self.universe.world()
    }

    /// Lengths of the messages of all.
    fn lengths(&self, message: &[u8]) -> Vec<usize> {
        let mut lengths = vec![0_u64; self.size];
        self.communicator().all_gather_into(&(message.len() as u64), &mut lengths[..]);
        lengths.into_iter().map(|length| length as usize).collect()
    }

    /// Ends all processes of the job, with this exit code.
    pub(crate) fn abort(&self, code: i32) -> ! {
        self.communicator().abort(code)
    }
}

impl Communicator for World {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn gather(&self, message: &[u8]) -> Vec<Vec<u8>> {
        let (world, lengths) = (self.communicator(), self.lengths(message));
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let mut messages: Vec<_> = lengths.iter().map(|length| Vec::with_capacity(*length)).collect();

        let piece = (self.at_once / self.size).max(1);
        let mut received = Vec::new();
        for start in (0..longest).step_by(piece) {
            let part = |length: usize| start.min(length)..(start + piece).min(length);
            let counts: Vec<i32> = lengths.iter().map(|length| part(*length).len() as i32).collect();
            let ends = counts.iter().scan(0, |end, count| {
                *end += count;
                Some(*end)
            });
            let starts: Vec<i32> = std::iter::once(0).chain(ends).take(self.size).collect();
            received.resize(counts.iter().map(|count| *count as usize).sum(), 0_u8);
            let mut partition = PartitionMut::new(&mut received[..], &counts[..], &starts[..]);
            world.all_gather_varcount_into(&message[part(message.len())], &mut partition);
            for ((message, start), count) in messages.iter_mut().zip(&starts).zip(&counts) {
                message.extend_from_slice(&received[*start as usize..][..*count as usize]);
            }
        }
        messages
    }

    fn collect(&self, message: &[u8]) -> Vec<Vec<u8>> {
        let (world, lengths) = (self.communicator(), self.lengths(message));
        if self.rank > 0 {
            for part in message.chunks(self.at_once) {
                world.process_at_rank(0).send(part);
            }
            return Vec::new();
        }
        let mut messages = vec![message.to_vec()];
        for (rank, length) in lengths.iter().enumerate().skip(1) {
            let mut message = vec![0_u8; *length];
            for part in message.chunks_mut(self.at_once) {
                world.process_at_rank(rank as i32).receive_into(part);
            }
            messages.push(message);
        }
        messages
    }

    fn broadcast(&self, message: &[u8]) -> Vec<u8> {
        let world = self.communicator();
        let first = world.process_at_rank(0);
        let mut length = message.len() as u64;
        first.broadcast_into(&mut length);
        let mut message = message.to_vec();
        message.resize(length as usize, 0);
        for part in message.chunks_mut(self.at_once) {
            first.broadcast_into(part);
        }
        message
    }
}
