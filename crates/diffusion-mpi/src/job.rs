//! Programs that end on all processes, or on none.
#![expect(
    clippy::print_stderr,
    reason = "this is the layer of the programs: it reports failures to the user"
)]

use crate::World;
use examples::chain;
use sde_core::Communicator;
use std::error::Error;
use std::process::ExitCode;

/// Runs a program on all processes that were started together.
///
/// An error or a panic of one of them is printed and ends them all, with a status other than zero.
pub fn run(program: impl FnOnce(&World) -> Result<(), Box<dyn Error>>) -> ExitCode {
    let world = match World::join() {
        Ok(world) => world,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    // Whoever panics would otherwise wait for the others to end, and they for him to send.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
    let Err(error) = program(&world) else {
        return ExitCode::SUCCESS;
    };
    eprintln!("error on rank {}: {}", world.rank(), chain(&*error));
    world.abort(1)
}

/// Tells all processes whether the first one could do what it alone does, such as writing a file.
///
/// # Errors
/// On all processes alike, if it could not.
pub fn finish(
    world: &World,
    work: impl FnOnce() -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let failure = if world.is_first() { work().err() } else { None };
    let message = failure.map_or(String::new(), |error| chain(&*error));
    match String::from_utf8_lossy(&world.broadcast(message.as_bytes())) {
        message if message.is_empty() => Ok(()),
        message => Err(message.into()),
    }
}
