//! Programs started by `mpirun`.

use std::path::Path;
use std::process::{Command, Output};

/// `mpirun` with so many processes, on however few cores; with another MPI than Open MPI the variables mean nothing.
pub(crate) fn mpirun(processes: usize, program: &str) -> Command {
    let mut command = Command::new("mpirun");
    command
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .env("OMPI_MCA_rmaps_base_oversubscribe", "1")
        .env("OMPI_MCA_hwloc_base_binding_policy", "none")
        .args(["-n", &processes.to_string(), program]);
    command
}

/// Runs it to its end, which must be a good one.
pub(crate) fn succeed(command: &mut Command) -> Output {
    let output = command.output().expect("mpirun is installed");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// All of a file.
pub(crate) fn bytes(file: &Path) -> Vec<u8> {
    std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
