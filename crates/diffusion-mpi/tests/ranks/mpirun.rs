//! Programs started by `mpirun`.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

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

/// Starts a job, kills one of its processes as soon as there is this file, and waits for the end, which must be a bad one.
pub(crate) fn kill_one(command: &mut Command, file: &Path) {
    let pause = || std::thread::sleep(Duration::from_millis(2));
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut job = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !file.exists() {
        assert!(job.try_wait().unwrap().is_none(), "the job has ended by itself");
        assert!(Instant::now() < deadline, "there is no {}", file.display());
        pause();
    }
    let victim = *children(job.id()).last().expect("mpirun has started processes");
    succeed(Command::new("kill").args(["-9", &victim.to_string()]));
    let status = loop {
        if let Some(status) = job.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "the job goes on without one of its processes");
        pause();
    };
    assert!(!status.success());
}

/// The processes that `parent` has started.
fn children(parent: u32) -> Vec<u32> {
    let output = Command::new("ps").args(["-o", "pid=", "--ppid", &parent.to_string()]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(|word| word.parse().unwrap()).collect()
}
