//! The command line: one enum for all scenarios.

use std::{ffi::OsString, ops::Range, path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::{
    record::Record,
    runner,
    scenarios::{attacks, bench, fairness, find, join, life, loops, restart, sanity, scale, seed_table},
};

/// Networks of thousands of MUTE's routers on a virtual clock.
#[derive(Debug, Parser)]
#[command(name = "mute-sim", version, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) run: Run,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How a scenario is run.
#[derive(Args, Clone, Debug)]
pub(crate) struct Run {
    /// The seed: the same one gives the same output.
    #[arg(long, global = true, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,
    /// Several seeds, from A up to but not including B, and their means.
    #[arg(long, global = true, value_name = "A..B", value_parser = seeds)]
    pub(crate) seeds: Option<Range<u64>>,
    /// How many of them run at once, each in a process of its own.
    #[arg(long, global = true, default_value_t = 1, value_name = "N")]
    pub(crate) jobs: usize,
    /// Print a JSON record for each seed, one a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Add what depends on the machine: events a second, memory.
    #[arg(long, global = true)]
    pub(crate) timing: bool,
}

/// What can be simulated.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// What adversaries try, and what the router lets them have.
    Attacks(attacks::Attacks),
    /// How fast the engine is, and how large a node.
    Bench(bench::Bench),
    /// Who gets how much of a link that more is asked of than it has.
    Fairness(fairness::Fairness),
    /// Walks against floods for finding addresses, at equal bytes.
    Find(find::Find),
    /// Nodes join by the neighbour policy, among an adversary's.
    Join(join::Join),
    /// An ordinary day: searches that are answered, talks with contacts, all at once.
    Life(life::Life),
    /// A ring of scent for an address that is gone falls silent.
    Loops(loops::Loops),
    /// What a node's restart costs those who ask it, and those whose answers it passes on.
    Restart(restart::Restart),
    /// Lines, rings and grids: connect, talk, lose a relay.
    Sanity(sanity::Sanity),
    /// 10² to 10⁵ nodes: floods and connections, what grows and what does not.
    Scale(scale::Scale),
    /// The scalability model of MUTE's author, by the real router and queues.
    SeedTable(seed_table::SeedTable),
    /// Put the JSON records of many seeds together.
    Merge {
        /// Files of records, one a line; `-`: standard input.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Make a page with plots of JSON records, to be read in a browser.
    Report {
        /// Files of records, one a line; `-`: standard input.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Where the page goes.
        #[arg(long, short, default_value = "report.html", value_name = "FILE")]
        output: PathBuf,
    },
}

impl Command {
    /// Runs the scenario once. `None`: it is not one.
    pub(crate) fn scenario(&self, seed: u64) -> Option<Record> {
        Some(match self {
            Self::Attacks(attacks) => attacks.run(seed),
            Self::Bench(bench) => bench.run(seed),
            Self::Fairness(fairness) => fairness.run(seed),
            Self::Find(find) => find.run(seed),
            Self::Join(join) => join.run(seed),
            Self::Life(life) => life.run(seed),
            Self::Loops(loops) => loops.run(seed),
            Self::Restart(restart) => restart.run(seed),
            Self::Sanity(sanity) => sanity.run(seed),
            Self::Scale(scale) => scale.run(seed),
            Self::SeedTable(seed_table) => seed_table.run(seed),
            Self::Merge { .. } | Self::Report { .. } => return None,
        })
    }
}

/// What a scenario is, as its help says. `name`: its commands' names with blanks between.
pub(crate) fn about(name: &str) -> Option<String> {
    let mut command = Cli::command();
    for word in name.split(' ') {
        command = command.find_subcommand(word)?.clone();
    }
    Some(command.get_long_about().or(command.get_about())?.to_string())
}

/// Runs the command line of the simulator. `words`: without the program's name. `prefix`: what a process of this program needs before
/// them to get here.
pub fn main(words: impl IntoIterator<Item = OsString>, prefix: &[&str]) -> ExitCode {
    let words: Vec<OsString> = words.into_iter().collect();
    let name = std::iter::once(OsString::from("mute-sim"));
    let cli = match Cli::try_parse_from(name.chain(words.iter().cloned())) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match runner::run(&cli, &words, prefix) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let parse = |text: &str| text.parse::<u64>().map_err(|error| error.to_string());
    let (from, to) = text.split_once("..").ok_or("two numbers with .. between them")?;
    let (from, to) = (parse(from)?, parse(to)?);
    if from < to { Ok(from..to) } else { Err("the first must be below the second".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
        assert_eq!(seeds("3..7"), Ok(3..7));
        assert!(seeds("7..3").is_err() && seeds("7").is_err());
        assert!(about("loops").is_some() && about("attacks spoofing").is_some() && about("nothing").is_none());
    }
}
