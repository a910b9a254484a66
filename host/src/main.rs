//! The `mute` command.

fn main() -> std::process::ExitCode {
    mute::cli::main()
}
