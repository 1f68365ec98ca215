//! Processes that share the work of one program.
//!
//! Every process runs the same program on the same numbers and so comes to the same state; only the work of long loops is cut into
//! shares, and what comes out is handed round. Since shares are put together in the order of the ranks, and everything random is
//! addressed by where it is used, results are the same bytes for any number of processes.

use std::fmt::Debug;
use std::ops::Range;

/// A group of processes, numbered by rank.
///
/// # Laws
/// - All members call [`gather`](Self::gather), [`collect`](Self::collect) and [`broadcast`](Self::broadcast) equally often, in the same
///   order.
/// - Messages come as they were sent, in the order of the ranks.
///
/// If a member dies, the others end as well rather than wait.
pub trait Communicator: Debug + Sync {
    /// The number of this process, below [`size`](Self::size).
    fn rank(&self) -> usize;

    /// Number of processes.
    fn size(&self) -> usize;

    /// Hands a message to all members, and returns those of all.
    fn gather(&self, message: &[u8]) -> Vec<Vec<u8>>;

    /// Hands a message to the first member, which gets those of all; the others get none.
    fn collect(&self, message: &[u8]) -> Vec<Vec<u8>> {
        let all = self.gather(message);
        if self.is_first() { all } else { Vec::new() }
    }

    /// Hands the message of the first member to all.
    fn broadcast(&self, message: &[u8]) -> Vec<u8> {
        self.gather(if self.is_first() { message } else { &[] }).swap_remove(0)
    }

    /// What this process does of `count` pieces of work: one range for each rank, in order, the first ones longer by one
    /// where the count does not divide.
    fn share(&self, count: usize) -> Range<usize> {
        share(count, self.rank(), self.size())
    }

    /// Whether this is the first process: the one that writes files.
    fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// [`gather`](Self::gather) of numbers, one after the other.
    fn gather_values(&self, values: &[f64]) -> Vec<f64> {
        joined(self.gather(&bytes(values)))
    }

    /// [`collect`](Self::collect) of numbers, one after the other.
    fn collect_values(&self, values: &[f64]) -> Vec<f64> {
        joined(self.collect(&bytes(values)))
    }
}

fn bytes(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The numbers of messages of [`bytes`].
fn joined(messages: Vec<Vec<u8>>) -> Vec<f64> {
    let value = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    messages.iter().flat_map(|message| message.chunks_exact(8).map(value)).collect()
}

/// Part number `part` of `parts` of `count` pieces of work, see [`Communicator::share`].
///
/// ```
/// let shares: Vec<_> = (0..3).map(|part| sde_core::share(11, part, 3)).collect();
/// assert_eq!(shares, [0..4, 4..8, 8..11]);
/// ```
pub fn share(count: usize, part: usize, parts: usize) -> Range<usize> {
    let (each, more) = (count / parts, count % parts);
    let start = part * each + part.min(more);
    start..start + each + usize::from(part < more)
}

/// One process that does everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Solo;

impl Communicator for Solo {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn gather(&self, message: &[u8]) -> Vec<Vec<u8>> {
        vec![message.to_vec()]
    }
}

/// A group of threads of one process, each with its own copy of everything: what a test of a program for many processes needs.
///
/// ```
/// use sde_core::{Communicator, Threads};
///
/// let found = Threads::run(3, |member| member.gather_values(&[member.rank() as f64]));
/// assert_eq!(found, vec![vec![0.0, 1.0, 2.0]; 3]);
///
/// let found = Threads::run(3, |member| member.collect_values(&[member.rank() as f64]));
/// assert_eq!(found, [vec![0.0, 1.0, 2.0], vec![], vec![]]);
/// let found = Threads::run(3, |member| member.broadcast(&[7 * member.rank() as u8 + 1]));
/// assert_eq!(found, vec![vec![1]; 3]);
/// ```
#[derive(Debug)]
pub struct Threads<'a> {
    rank: usize,
    board: &'a Board,
}

/// Messages of one round, and the barrier between rounds.
#[derive(Debug)]
struct Board {
    messages: std::sync::Mutex<Vec<Vec<u8>>>,
    barrier: std::sync::Barrier,
}

impl Threads<'_> {
    /// Runs `program` on `size` threads and returns what each of them has found.
    ///
    /// # Panics
    /// If `size` is zero, or if `program` panics. Members that wait for one that has panicked wait for ever.
    pub fn run<T: Send>(size: usize, program: impl Fn(&Threads<'_>) -> T + Sync) -> Vec<T> {
        let board = Board {
            messages: std::sync::Mutex::new(vec![Vec::new(); size]),
            barrier: std::sync::Barrier::new(size),
        };
        std::thread::scope(|scope| {
            let program = &program;
            let board = &board;
            let spawn = |rank| scope.spawn(move || program(&Threads { rank, board }));
            let members: Vec<_> = (0..size).map(spawn).collect();
            members.into_iter().map(|member| member.join().expect("a member panicked")).collect()
        })
    }
}

impl Communicator for Threads<'_> {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.board.messages.lock().expect("no member panics with the lock").len()
    }

    fn gather(&self, message: &[u8]) -> Vec<Vec<u8>> {
        let lock = || self.board.messages.lock().expect("no member panics with the lock");
        lock()[self.rank] = message.to_vec();
        self.board.barrier.wait();
        let all = lock().clone();
        // Nobody writes the next message before all have read.
        self.board.barrier.wait();
        all
    }
}
