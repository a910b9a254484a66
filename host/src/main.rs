//! The `mute` command.

/// How many arenas the C library's allocator may make. By default it makes one for each thread, and what one thread frees of
/// another's stays resident: a receiver's peak differed by a quarter between transfers, and was higher by a third. Two are
/// as fast (docs/performance.md).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: core::ffi::c_int = 2;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "the C library's settings have no safe interface")]
fn set_up_memory() {
    // SAFETY: takes two numbers, and no other thread runs yet. If it fails the default stays.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, ARENAS) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn set_up_memory() {}

fn main() -> std::process::ExitCode {
    set_up_memory();
    mute::cli::main()
}
