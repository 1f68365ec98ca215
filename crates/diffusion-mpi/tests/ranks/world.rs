//! The laws of a communicator, kept by processes of MPI.

use crate::mpirun::{mpirun, succeed};
use diffusion_mpi::{World, WorldError};
use sde_core::Communicator;

/// What rank `rank` says: nothing, or up to 997 bytes.
fn message(rank: usize) -> Vec<u8> {
    let length = [0, 997, 1, 500][rank % 4];
    (0..length).map(|i| (i * 7 + rank) as u8).collect()
}

#[test]
#[ignore = "one of the processes that the next test starts"]
fn member() {
    let size: usize = std::env::var("EXPECTED_SIZE").unwrap().parse().unwrap();
    let mut world = World::join().unwrap();
    assert_eq!(World::join().unwrap_err(), WorldError::InUse);
    assert_eq!(world.size(), size);
    let expected: Vec<_> = (0..size).map(message).collect();
    // In one piece, in pieces that do not divide a message, and byte by byte.
    for at_once in [usize::MAX >> 33, 300 * size, 7 * size, 1] {
        world = world.at_once(at_once);
        assert_eq!(world.gather(&message(world.rank())), expected, "{at_once}");
        assert_eq!(world.gather(&[]), vec![Vec::<u8>::new(); size]);
        let collected = world.collect(&message(world.rank()));
        assert_eq!(collected, if world.is_first() { expected.clone() } else { Vec::new() }, "{at_once}");
        // What the others say is not heard, however long it is.
        assert_eq!(world.broadcast(&message(world.rank() + 1)), message(1), "{at_once}");
        assert!(world.broadcast(&message(world.rank())).is_empty());
    }
    let squares: Vec<f64> = world.share(11).map(|i| (i * i) as f64).collect();
    assert_eq!(world.gather_values(&squares), (0..11).map(|i| f64::from(i * i)).collect::<Vec<_>>());
    // From a thread of its own.
    let world = &world;
    let gathered =
        std::thread::scope(|scope| scope.spawn(move || world.gather(&message(world.rank()))).join());
    assert_eq!(gathered.unwrap(), expected);
}

#[test]
fn all_members_receive_the_messages_of_all() {
    let this = std::env::current_exe().unwrap();
    for size in 1..=4 {
        let mut command = mpirun(size, this.to_str().unwrap());
        succeed(
            command.args(["--exact", "world::member", "--ignored"]).env("EXPECTED_SIZE", size.to_string()),
        );
    }
}
