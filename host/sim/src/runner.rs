//! Runs scenarios: one seed, several one after the other, or several at once in processes of their own.

use std::{
    ffi::OsString,
    io::{BufRead as _, BufReader, Error, Read, Result},
    path::Path,
    process::{Child, Command as Process, Stdio},
};

use crate::{
    cli::{self, Cli, Command},
    merge::merge,
    record::Record,
    report,
};

/// Does what the command line asks for. `false`: a check failed.
pub(crate) fn run(cli: &Cli, words: &[OsString], prefix: &[&str]) -> Result<bool> {
    let records = match (&cli.command, &cli.run.seeds) {
        (Command::Merge { files } | Command::Report { files, .. }, _) => read_all(files)?,
        (command, None) => command.scenario(cli.run.seed).map(|record| finished(cli, record)).into_iter().collect(),
        (_, Some(seeds)) if cli.run.jobs > 1 => in_processes(cli, seeds.clone().collect(), words, prefix)?,
        (command, Some(seeds)) => {
            let one = |seed| command.scenario(seed).map(|record| finished(cli, record));
            seeds.clone().filter_map(one).collect()
        }
    };
    let passed = records.iter().all(Record::passed);
    if let Command::Report { output, .. } = &cli.command {
        let page = report::page(records, cli::about).map_err(Error::other)?;
        std::fs::write(output, page)
            .map_err(|error| Error::new(error.kind(), format!("{}: {error}", output.display())))?;
        return Ok(true);
    }
    print(cli, records)?;
    Ok(passed)
}

/// Leaves out what depends on the machine, unless it was asked for or is what the scenario is about.
fn finished(cli: &Cli, mut record: Record) -> Record {
    if !cli.run.timing && !matches!(cli.command, Command::Bench(_)) {
        record.machine.clear();
    }
    record
}

fn print(cli: &Cli, records: Vec<Record>) -> Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    if cli.run.json {
        for record in &records {
            writeln!(out, "{}", serde_json::to_string(record)?)?;
        }
    } else if let [record] = records.as_slice() {
        write!(out, "{}", record.render())?;
    } else {
        for merged in merge(records) {
            writeln!(out, "{}", merged.render())?;
        }
    }
    out.flush()
}

fn read_all(files: &[std::path::PathBuf]) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for file in files {
        let wrong = |error: Error| Error::new(error.kind(), format!("{}: {error}", file.display()));
        let reader: Box<dyn Read> = match file {
            file if file == Path::new("-") => Box::new(std::io::stdin()),
            file => Box::new(std::fs::File::open(file).map_err(wrong)?),
        };
        for (number, line) in BufReader::new(reader).lines().enumerate() {
            let line = line.map_err(wrong)?;
            if !line.trim().is_empty() {
                let record = serde_json::from_str(&line);
                let record = record.map_err(|error| Error::other(format!("line {}: {error}", number + 1)));
                records.push(record.map_err(wrong)?);
            }
        }
    }
    Ok(records)
}

/// Each seed in a process of its own, `jobs` at a time; the records in the order of the seeds.
fn in_processes(cli: &Cli, seeds: Vec<u64>, words: &[OsString], prefix: &[&str]) -> Result<Vec<Record>> {
    let program = std::env::current_exe()?;
    let start = |seed: u64| -> Result<Child> {
        let mut process = Process::new(&program);
        process.args(prefix).args(without_seeds(words)).args(["--json", "--seed", &seed.to_string()]);
        process.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()
    };
    let mut records = Vec::new();
    // The children of a batch print one line each when they end, which fits any pipe's buffer or waits for its turn.
    for batch in seeds.chunks(cli.run.jobs) {
        let children = batch.iter().map(|seed| start(*seed)).collect::<Result<Vec<Child>>>()?;
        for (child, seed) in children.into_iter().zip(batch) {
            let output = child.wait_with_output()?;
            let text = String::from_utf8_lossy(&output.stdout);
            let record = serde_json::from_str(text.trim());
            records.push(record.map_err(|_| Error::other(format!("seed {seed} ended without a record")))?);
        }
    }
    Ok(records)
}

/// The words of a command line without `--seeds`, `--seed`, `--jobs` and `--json`.
fn without_seeds(words: &[OsString]) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if matches!(&*text, "--seeds" | "--seed" | "--jobs") {
            words.next();
        } else if text != "--json" && !["--seeds=", "--seed=", "--jobs="].iter().any(|start| text.starts_with(start)) {
            kept.push(word.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_gets_all_but_the_seeds() {
        let words = ["bench", "--seeds", "1..5", "--nodes", "7", "--jobs=3", "--json"].map(OsString::from);
        assert_eq!(without_seeds(&words), ["bench", "--nodes", "7"]);
    }
}
