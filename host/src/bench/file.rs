//! `mute bench --file`: whole files through the demo's network, and what each process needed of the machine's memory.

use std::time::Instant;

use mute_core::Profile;
use serde::Serialize;

use crate::{
    cli::{Output, show_bytes, table},
    control::{Resources, Step},
    demo::{self, ALICE, BOB, NAMES, Network},
    error::{Context as _, Error, Result},
};

/// What no process may exceed, whatever the file's size.
const MAX_PEAK_BYTES: u64 = 256 << 20;
/// How much more a larger file may need than the first one.
const MAX_GROWTH: f64 = 1.1;

/// One file's way.
#[derive(Debug, Serialize)]
struct Run {
    size_bytes: u64,
    /// From the link to the verified file.
    seconds: f64,
    mb_per_s: f64,
    processes: Vec<Process>,
}

#[derive(Debug, Serialize)]
struct Process {
    name: &'static str,
    #[serde(flatten)]
    resources: Resources,
    /// Its peak memory as a share of what the same part in the network took with the first file.
    growth: f64,
}

impl Run {
    /// The peak memory of who had the same part as the process at `place`: an end's own; of relays the largest one's, since
    /// trails choose by which relays a file goes.
    fn peak_of_part(&self, place: usize) -> u64 {
        let is_end = |place: usize| matches!(place, ALICE | BOB);
        let same = |other: usize| if is_end(place) { other == place } else { !is_end(other) };
        let peaks = self.processes.iter().enumerate().filter(|(other, _)| same(*other));
        peaks.map(|(_, process)| process.resources.peak_resident_bytes).max().unwrap_or(0)
    }
}

/// Runs one network for each size, so that each peak is that size's own.
pub(super) async fn run(output: Output, sizes: &[u64]) -> Result<()> {
    let mut runs: Vec<Run> = Vec::new();
    for &size in sizes {
        let folder = demo::scratch()?;
        let run = transfer(output, size, folder.path(), runs.first()).await.context(show_bytes(size))?;
        runs.push(run);
    }
    output.result(&runs, || describe(&runs))?;
    let processes = || runs.iter().flat_map(|run| &run.processes);
    if let Some(process) = processes().find(|process| process.resources.peak_resident_bytes > MAX_PEAK_BYTES) {
        let peak = show_bytes(process.resources.peak_resident_bytes);
        return Err(Error::failure(format!("{} took {peak} of memory", process.name)));
    }
    if let Some(process) = processes().find(|process| process.growth > MAX_GROWTH) {
        return Err(Error::failure(format!(
            "{} took {:.2} times the memory for the larger file",
            process.name, process.growth
        )));
    }
    Ok(())
}

async fn transfer(output: Output, size: u64, folder: &std::path::Path, first: Option<&Run>) -> Result<Run> {
    output.message(&format!("{}: making the file, starting six nodes", show_bytes(size)));
    let shared = folder.join("large");
    crate::home::make_private_folder(&shared)?;
    let path = shared.join("large-file.bin");
    let made = tokio::task::spawn_blocking(move || demo::write_random(&path, size)).await;
    let file = made.map_err(|error| Error::failure(error.to_string()))??;
    let network = Network::start(folder, Profile::Fast).await?;
    let (alice, bob) = (&network.hosts[ALICE], &network.hosts[BOB]);
    demo::share(alice, &shared).await?;
    let mut links = demo::search(bob, "large file", std::slice::from_ref(&file)).await?;
    let link = links.pop().ok_or_else(|| Error::failure("the search found nothing"))?;
    let mut progress = output.progress();
    let show = |step: &Step| progress.show(&Step { label: "download".into(), ..step.clone() });
    let started = Instant::now();
    let path = demo::download(bob, &link, &file, show).await?;
    let seconds = started.elapsed().as_secs_f64();
    drop(progress);
    demo::compare(file, &path).await?;
    let statuses = network.statuses().await?;
    network.stop().await;
    let processes = NAMES.into_iter().zip(statuses).enumerate().map(|(place, (name, status))| {
        let peak = status.resources.peak_resident_bytes as f64;
        let growth = first.map_or(1.0, |run| peak / run.peak_of_part(place).max(1) as f64);
        Process { name, resources: status.resources, growth }
    });
    Ok(Run { size_bytes: size, seconds, mb_per_s: size as f64 / 1e6 / seconds, processes: processes.collect() })
}

fn describe(runs: &[Run]) -> String {
    let mut text =
        String::from("a file from disk to disk through the demo's network, verified; peak memory of each process\n");
    let mut titles = vec!["file", "MB/s"];
    titles.extend(NAMES);
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            let peaks = run.processes.iter().map(|process| show_bytes(process.resources.peak_resident_bytes));
            [show_bytes(run.size_bytes), format!("{:.0}", run.mb_per_s)].into_iter().chain(peaks).collect()
        })
        .collect();
    text.push_str(&table(&titles, &rows));
    text
}
