//! Work in a child of this process, which is killed at any moment and begun again.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test tells its figures, and what it could not try"
)]

use std::env;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The folder that the child works in.
const FOLDER: &str = "KILLED_FOLDER";
const KILL: i32 = 9;
/// Kills of each run, before it may end by itself.
const KILLS: u64 = 2;

/// The folder of a child.
pub(crate) fn folder() -> PathBuf {
    env::var_os(FOLDER).expect("the other test sets it").into()
}

/// The ignored test `child` of this program.
fn child(folder: &Path) -> Child {
    let mut command = Command::new(env::current_exe().expect("a program"));
    command.args(["child", "--exact", "--ignored"]).env(FOLDER, folder);
    command.stdout(Stdio::null()).spawn().expect("a child")
}

/// Runs asked for by the environment.
fn asked_for() -> Option<u64> {
    env::var("KILLED_RUNS").ok().and_then(|runs| runs.parse().ok())
}

/// Runs the child in a folder of its own, kills it twice, or once if it ends before the second, lets it end, and hands the folder to
/// `check`, so many times: a few, or `KILLED_RUNS`. The first folder is that of a run which is not killed.
pub(crate) fn killed_runs(few: u64, check: impl Fn(&Path)) {
    let runs = asked_for().unwrap_or(few);
    let unbroken = tempfile::tempdir().expect("a folder");
    let start = Instant::now();
    assert!(child(unbroken.path()).wait().expect("an end").success());
    let mut length = start.elapsed();
    check(unbroken.path());
    // Moments anywhere in computing and in writing, by a generator of Lehmer's.
    let mut state = 104_729_u64;
    let mut moment = |length: Duration| {
        state = state.wrapping_mul(48_271) % 0x7fff_ffff;
        length.mul_f64((state % 1000) as f64 / 1000.0)
    };
    let mut kills = 0;
    for run in 0..runs {
        let kills_before = kills;
        // A run that was not killed at all is done again.
        while kills == kills_before {
            let folder = tempfile::tempdir().expect("a folder");
            for _ in 0..KILLS {
                let (mut child, moment) = (child(folder.path()), moment(length));
                thread::sleep(moment);
                child.kill().expect("a child that is not waited for");
                let status = child.wait().expect("an end");
                if status.success() {
                    // Faster than the first one: the machine has less to do by now.
                    length = length.min(moment);
                    break;
                }
                assert_eq!(status.signal(), Some(KILL), "run {run}: {status}");
                kills += 1;
            }
            assert!(
                child(folder.path()).wait().expect("an end").success(),
                "run {run} after {kills} kills in all"
            );
            check(folder.path());
        }
    }
    assert!(kills >= runs, "only {kills} kills in {runs} runs");
    println!("{runs} of {runs} runs with {kills} kills end as the unbroken one");
}

/// What a program asks of the operating system to make a file.
const CALLS: [&str; 5] = ["openat", "write", "fsync", "rename", "unlink"];

/// Kills the child at every call that makes a file, lets it end then, and hands the folder to `check`; at every 97th by default.
/// It takes `strace`, and a user who may trace.
pub(crate) fn killed_at_every_step(check: impl Fn(&Path)) {
    let probe = Command::new("strace").args(["-qq", "-o", "/dev/null", "-e", "trace=none", "true"]).status();
    if !probe.is_ok_and(|status| status.success()) {
        eprintln!("skipped: a program cannot be traced here");
        return;
    }
    let stride = if asked_for().is_some() { 1 } else { 97 };
    let mut kills = 0;
    for call in CALLS {
        for when in (1..).step_by(stride) {
            let folder = tempfile::tempdir().expect("a folder");
            let status = Command::new("strace")
                .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")])
                .args(["-e", &format!("inject={call}:signal=KILL:when={when}")])
                .arg(env::current_exe().expect("a program"))
                .args(["child", "--exact", "--ignored"])
                .env(FOLDER, folder.path())
                .stdout(Stdio::null())
                .status()
                .expect("it ran before");
            // It does not make as many such calls.
            if status.success() {
                break;
            }
            assert_eq!(status.signal(), Some(KILL), "{call} {when}: {status}");
            kills += 1;
            assert!(child(folder.path()).wait().expect("an end").success(), "killed at {call} {when}");
            check(folder.path());
        }
    }
    println!("killed at {kills} calls, one of {stride}: all end as the unbroken one");
}
