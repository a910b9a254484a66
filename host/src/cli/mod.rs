//! The command line.
//!
//! Results go to standard output, everything else to standard error. With `--json` each result is one JSON document on a
//! line; these shapes are the interface for scripts and only ever grow:
//!
//! | command | document |
//! | --- | --- |
//! | any that fails | `{"error": {"kind", "message"}}`, kinds as in [`Kind`], and the kind's exit code |
//! | `init` | `{"home", "config", "key"}` |
//! | `status` | [`Status`](crate::control::Status) |
//! | `stop` | `{"stopping": true}` |
//! | `peer list` | a list of [`NeighbourStatus`](crate::node::NeighbourStatus) |
//! | `peer add`, `peer remove` | `{"added"}`, `{"removed"}` |
//! | `plugin list` | a list of [`PluginInfo`](crate::plugin::PluginInfo) |
//! | `plugin enable`, `plugin disable` | `{"plugin", "enabled"}` |
//! | `plugin logs` | `{"line"}` for each line |
//! | a plugin's command | the plugin's own documents, or `{"text": […]}` where it has none |
//! | `demo`, `bench` | one report |
//! | `sim` | a record for each seed |

mod args;
mod node;
mod output;
mod plugin;
mod plugin_command;
mod size;

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory as _, Parser as _, error::ErrorKind};

pub(crate) use args::{Bench, Demo, Global};
pub(crate) use output::{Output, one_line, table};
pub use plugin_command::FOLDER;
pub(crate) use size::{bytes as show_bytes, count as show_count, time as show_time};

use self::args::{Cli, Command};
use crate::{
    control::Client,
    error::{Error, Kind, Result},
    home::Home,
};

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    hide_panics();
    let words: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&words) {
        Ok(cli) => cli,
        Err(error) => return tell(&error, words.iter().any(|word| word == "--json")),
    };
    let mut output = Output::new(&cli.global);
    let result = match cli.command {
        Command::Sim { words } => {
            let json = cli.global.json.then(|| OsString::from("--json"));
            return mute_sim::main(json.into_iter().chain(words), &["sim"]);
        }
        Command::Init(init) => node::init(&cli.global, output, &init),
        Command::Run(run) => block_on(node::run(&cli.global, output, &run)),
        Command::BenchWorker(worker) => block_on(crate::bench::worker(worker.plain)),
        Command::Other(words) => {
            output = Output::new(&plugin_command::scan(words.get(1..).unwrap_or_default(), &cli.global));
            block_on(plugin::other(&cli.global, &words))
        }
        command => block_on(short(&cli.global, output, command)),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            // The reader of `mute … | head` has what it wanted.
            if error != output::reader_gone() {
                output.error(&error);
            }
            error.exit_code()
        }
    }
}

/// The commands that ask the daemon or make a network of their own; Ctrl-C ends them.
async fn short(global: &Global, output: Output, command: Command) -> Result<ExitCode> {
    let work = async {
        match command {
            Command::Status => node::status(global, output).await,
            Command::Stop => node::stop(global, output).await,
            Command::Peer(peer) => node::peer(global, output, peer).await,
            Command::Plugin(plugin) => plugin::manage(global, output, plugin).await,
            Command::Demo(demo) => crate::demo::run(output, &demo).await,
            Command::Bench(bench) => crate::bench::run(output, &bench).await,
            Command::Init(_) | Command::Run(_) | Command::Sim { .. } | Command::BenchWorker(_) | Command::Other(_) => {
                unreachable!("main keeps these to itself")
            }
        }
    };
    tokio::select! {
        result = work => result.map(|()| ExitCode::SUCCESS),
        () = interrupted() => Err(Error::new(Kind::Cancelled, "cancelled")),
    }
}

/// Resolves when the user presses Ctrl-C or the system asks the process to end.
pub(crate) async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        // Without handlers the signals end the process by themselves.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

/// A client of the daemon that the user means.
async fn client(global: &Global) -> Result<Client> {
    Client::connect(&Home::find(global.home.as_deref())?).await
}

/// Runs a command to its end. What it left to other threads is not waited for.
fn block_on<T>(command: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::failure(format!("the system gives no threads: {error}")))?;
    let result = runtime.block_on(command);
    runtime.shutdown_background();
    result
}

/// Prints what clap has to say: help as a result, a mistake as one line with its suggestion.
fn tell(error: &clap::Error, json: bool) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            let _ = error.print();
            ExitCode::from(Kind::Usage.exit_code())
        }
        _ => {
            let global = Global { json, ..Global::default() };
            let error = Error::usage(mistake(&error.render().to_string()));
            Output::new(&global).error(&error);
            error.exit_code()
        }
    }
}

/// Clap's account of a mistake, on one line: what is wrong, the tip, where to read more.
fn mistake(rendered: &str) -> String {
    let mut parts = Vec::new();
    for line in rendered.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with("Usage:") || line.starts_with("For more information") {
            continue;
        }
        let line = line.strip_prefix("error: ").unwrap_or(line);
        parts.push(line.strip_prefix("tip: ").unwrap_or(line));
    }
    let program = Cli::command().get_name().to_owned();
    let program = rendered.lines().find_map(|line| line.trim().strip_prefix("Usage: ")).map_or(program, |usage| {
        usage
            .split_whitespace()
            .take_while(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
            .filter(|word| !word.starts_with('-'))
            .collect::<Vec<_>>()
            .join(" ")
    });
    format!("{} (see `{program} --help`)", parts.join("; "))
}

/// A panic is our mistake; the user gets one line of it, and the log the place.
fn hide_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a panic");
        eprintln!("error: internal error at {place}; this is a bug in mute");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn all_words_after_sim_are_the_simulators() {
        for words in [&["--help"][..], &["loops", "--json", "--seed", "7"], &["bench", "--home", "x"]] {
            let cli = Cli::try_parse_from(["mute", "sim"].iter().chain(words)).unwrap();
            let Command::Sim { words: kept } = cli.command else { panic!("it is `sim`") };
            assert_eq!(kept, words);
        }
    }

    #[test]
    fn a_mistake_is_one_line_with_a_suggestion() {
        let error = Cli::try_parse_from(["mute", "peer", "lst"]).unwrap_err();
        let line = mistake(&error.render().to_string());
        assert!(
            line.contains("'lst'") && line.contains("'list'") && line.ends_with("(see `mute peer --help`)"),
            "{line}"
        );
        assert!(!line.contains('\n'));
        let error = Cli::try_parse_from(["mute", "demo", "--sahre", "x"]).unwrap_err();
        assert!(mistake(&error.render().to_string()).contains("--share"));
    }
}
