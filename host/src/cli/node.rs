//! The commands about the node itself.

use std::{process::ExitCode, time::Duration};

use serde_json::json;

use super::{
    args::{Global, Init, Peer, Run},
    client,
    output::{Output, one_line, table},
    size,
};
use crate::{
    config::Config,
    control::{Neighbour, Request, Status},
    error::{Context as _, Error, Result},
    home::Home,
};

/// `mute init`
pub(super) fn init(global: &Global, output: Output, init: &Init) -> Result<ExitCode> {
    let home = Home::find(global.home.as_deref())?;
    let mut config = Config::default();
    if let Some(network) = &init.network {
        config.network.clone_from(network);
    }
    if !init.listen.is_empty() {
        config.listen.clone_from(&init.listen);
    }
    config.check().map_err(|(key, problem)| Error::usage(format!("--{key}: {problem}")))?;
    home.create(&config.to_file())?;
    let key = crate::daemon::make_key(&home).context("cannot make the node's key")?;
    let value = json!({ "home": home.data_folder(), "config": home.config_file(), "key": key });
    output.result(&value, || {
        format!(
            "made a node in {}\n  settings  {}\n  key       {key}\nnext: mute run{}",
            home.data_folder().display(),
            home.config_file().display(),
            home.flag()
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// `mute run`
pub(super) async fn run(global: &Global, output: Output, run: &Run) -> Result<ExitCode> {
    let home = Home::find(global.home.as_deref())?;
    crate::daemon::run(home, output, run.with_parent).await?;
    Ok(ExitCode::SUCCESS)
}

/// `mute status`
pub(super) async fn status(global: &Global, output: Output) -> Result<()> {
    let status = client(global).await?.status().await?;
    output.result(&status, || describe(output, &status))
}

/// `mute stop`
pub(super) async fn stop(global: &Global, output: Output) -> Result<()> {
    client(global).await?.call(&Request::Stop).await?;
    output.result(&json!({ "stopping": true }), || "stopping".into())
}

/// `mute peer …`
pub(super) async fn peer(global: &Global, output: Output, peer: Peer) -> Result<()> {
    let mut client = client(global).await?;
    match peer {
        Peer::List => {
            let neighbours = client.status().await?.neighbours;
            output.result(&neighbours, || list(&neighbours))
        }
        Peer::Add { peer } => {
            client.call(&Request::AddPeer { peer: peer.clone() }).await?;
            output.result(&json!({ "added": peer }), || format!("added {}", one_line(&peer)))
        }
        Peer::Remove { key } => {
            client.call(&Request::RemovePeer { key: key.clone() }).await?;
            output.result(&json!({ "removed": key }), || format!("removed {}", one_line(&key)))
        }
    }
}

/// A node in a few lines: the verdict, its reason, the next step.
fn describe(output: Output, status: &Status) -> String {
    let linked = status.neighbours.iter().filter(|neighbour| neighbour.linked).count();
    let verdict = match (linked, status.neighbours.len()) {
        (0, 0) => "alone: it has no neighbour; add one with `mute peer add KEY@HOST:PORT`".to_owned(),
        (0, _) => "cut off: no neighbour answers; see `mute peer list`".to_owned(),
        (1, _) => "linked to 1 neighbour; with fewer than 2 honest ones nobody is anonymous".to_owned(),
        (linked, all) if linked == all => format!("linked to {linked} neighbours"),
        (linked, all) => format!("linked to {linked} of {all} neighbours"),
    };
    let listen: Vec<String> = status.listen.iter().map(ToString::to_string).collect();
    let resources = &status.resources;
    let mut text = format!(
        "{}\n  network    {}\n  key        {}\n  listens    {}\n  running    {}, {} of memory, {} of processor time\n",
        output.bold(&verdict),
        status.network,
        status.key,
        listen.join(", "),
        size::time(Duration::from_secs(status.uptime_s)),
        size::bytes(resources.resident_bytes),
        size::time(Duration::from_millis(resources.cpu_ms)),
    );
    let rows: Vec<Vec<String>> = status
        .counters
        .kinds
        .iter()
        .map(|(kind, counters)| {
            vec![
                kind.clone(),
                size::count(counters.received_frames),
                size::bytes(counters.received_bytes),
                size::count(counters.sent_frames),
                size::bytes(counters.sent_bytes),
                size::count(counters.dropped_frames),
            ]
        })
        .collect();
    text.push_str(&table(&["frames", "received", "bytes", "sent", "bytes", "dropped"], &rows));
    text
}

fn list(neighbours: &[Neighbour]) -> String {
    if neighbours.is_empty() {
        return "no neighbours; add one with `mute peer add KEY@HOST:PORT`".into();
    }
    let rows: Vec<Vec<String>> = neighbours
        .iter()
        .map(|neighbour| {
            let state = match (&neighbour.problem, neighbour.linked) {
                (_, true) => "linked".to_owned(),
                (Some(problem), false) => one_line(problem),
                (None, false) => "not linked".to_owned(),
            };
            let round_trip = if neighbour.linked {
                format!("{:.1} ms", Duration::from_micros(neighbour.round_trip_us).as_secs_f64() * 1e3)
            } else {
                String::new()
            };
            vec![
                neighbour.key.clone(),
                neighbour.address.map(|address| address.to_string()).unwrap_or_default(),
                state,
                round_trip,
                size::bytes(neighbour.sent_bytes),
                size::bytes(neighbour.received_bytes),
            ]
        })
        .collect();
    table(&["key", "address", "state", "round trip", "sent", "received"], &rows)
}
