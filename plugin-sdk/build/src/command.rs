//! Child processes: none runs in an environment meant for another, none runs for ever.

use crate::{Error, Result};
use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often a child with a time limit is looked at; short beside anything it does.
const POLL: Duration = Duration::from_millis(50);

/// Variables of cargo that are the user's settings about network and machine, and so hold for a nested cargo too.
/// All others tell of the outer build: its flags, wrappers, target folder, profile and package.
const KEPT: &[&str] = &["CARGO_BUILD_JOBS", "CARGO_HOME", "CARGO_MAKEFLAGS"];
/// The same, by prefix.
const KEPT_PREFIXES: &[&str] =
    &["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_", "CARGO_SOURCE_", "CARGO_TERM_"];
/// What cargo tells a build script, beside the `CARGO_` ones.
const BUILD_SCRIPT: &[&str] = &["DEBUG", "HOST", "NUM_JOBS", "OPT_LEVEL", "OUT_DIR", "PROFILE", "TARGET"];

/// Whether a variable of the outer cargo must not reach a nested one. `RUSTUP_TOOLCHAIN` may: both are to use one toolchain.
pub(crate) fn belongs_to_outer_build(name: &str) -> bool {
    if KEPT.contains(&name) || KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return false;
    }
    let foreign = ["CARGO", "RUSTC", "RUSTDOC", "RUSTFLAGS", "DEP_", "__CARGO"];
    BUILD_SCRIPT.contains(&name) || foreign.iter().any(|prefix| name.starts_with(prefix))
}

/// A command that sees nothing of the build it is started from.
pub(crate) fn clean(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(belongs_to_outer_build) {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Runs a command that answers at once from this machine; its trimmed standard output.
pub(crate) fn answer(mut command: Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let told = |why: String| Error::new(format!("{name}: {why}"));
    let done = command.output().map_err(|error| told(error.to_string()))?;
    if !done.status.success() {
        return Err(told(last_line(&done.stderr).unwrap_or_else(|| done.status.to_string())));
    }
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

/// Runs a command for at most `limit`, its standard error passed on, its standard output hidden (a build script's is cargo's).
pub(crate) fn run_for(mut command: Command, limit: Duration) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let told = |why: String| Error::new(format!("{name}: {why}"));
    let mut child = command.stdout(Stdio::null()).spawn().map_err(|error| told(error.to_string()))?;
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait().map_err(|error| told(error.to_string()))? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(told(status.to_string())),
            None if Instant::now() >= deadline => {
                // Either may fail only because the child ended meanwhile, which is what we want.
                let _ = child.kill();
                let _ = child.wait();
                return Err(told(format!("no end after {} s", limit.as_secs())));
            }
            None => std::thread::sleep(POLL),
        }
    }
}

fn last_line(stderr: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(stderr);
    text.lines().rev().find(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn settings_pass_and_the_outer_build_does_not() {
        for name in ["CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_MAKEFLAGS", "PATH", "RUSTUP_TOOLCHAIN", "RUSTUP_HOME"] {
            assert!(!belongs_to_outer_build(name), "{name}");
        }
        for name in [
            "CARGO",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_TARGET",
            "CARGO_PROFILE_RELEASE_LTO",
            "CARGO_FEATURE_X",
            "RUSTFLAGS",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTC_BOOTSTRAP",
            "OUT_DIR",
            "TARGET",
            "DEP_Z_ROOT",
        ] {
            assert!(belongs_to_outer_build(name), "{name}");
        }
    }

    #[test]
    fn a_child_that_hangs_is_ended() {
        let mut sleep = clean("sleep");
        sleep.arg("60");
        let start = Instant::now();
        let error = run_for(sleep, Duration::from_millis(200)).unwrap_err().to_string();
        assert!(error.contains("no end after"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn failures_are_told() {
        assert!(run_for(clean("false"), Duration::from_secs(10)).is_err());
        let mut shell = clean("sh");
        shell.args(["-c", "echo first >&2; echo why >&2; exit 3"]);
        assert_eq!(answer(shell).unwrap_err().to_string(), "sh: why");
        assert!(answer(clean("no-such-program-here")).is_err());
    }
}
