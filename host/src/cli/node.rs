//! The commands about the node itself.

use std::{
    collections::BTreeMap,
    process::ExitCode,
    time::{Duration, Instant},
};

use mute_core::Profile;
use serde_json::json;

use super::{
    args::{Global, Init, Peer, Run},
    client,
    output::{Output, one_line, table},
    size,
};
use crate::{
    config::Config,
    control::{Reply, Request, Status},
    error::{Context as _, Error, Result},
    home::Home,
    link::{FrameKind, Traffic},
    node::{NeighbourState, NeighbourStatus},
};

/// How long `mute stop` waits for the daemon's end: plugins are given some seconds to finish.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
/// How often it looks.
const STOP_POLL: Duration = Duration::from_millis(50);

/// `mute init`
pub(super) fn init(global: &Global, output: Output, init: &Init) -> Result<ExitCode> {
    let home = Home::find(global.home.as_deref())?;
    let mut config = Config::default();
    if let Some(network) = &init.network {
        config.network.clone_from(network);
    }
    if let Some(profile) = init.profile {
        config.profile = profile;
    }
    if let Some(listen) = init.listen {
        config.listen = listen;
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
    let home = Home::find(global.home.as_deref())?;
    let deadline = Instant::now() + STOP_PATIENCE;
    // The lock is the daemon's to its last moment: once it is free, another may start.
    while home.lock().is_err() {
        if Instant::now() > deadline {
            return Err(Error::failure("the daemon was asked to stop and has not done so yet"));
        }
        tokio::time::sleep(STOP_POLL).await;
    }
    output.result(&json!({ "stopped": true }), || "stopped".into())
}

/// `mute peer …`
pub(super) async fn peer(global: &Global, output: Output, peer: Peer) -> Result<()> {
    let mut client = client(global).await?;
    match peer {
        Peer::List => {
            let neighbours = client.status().await?.node.neighbours;
            output.result(&neighbours, || list(&neighbours))
        }
        Peer::Add { peer } => {
            client.call(&Request::AddPeer { peer: peer.clone() }).await?;
            output.result(&json!({ "added": peer }), || format!("added {}", one_line(&peer)))
        }
        Peer::Remove { key } => {
            for reply in client.call(&Request::RemovePeer { key: key.clone() }).await? {
                if let Reply::Text(note) = reply {
                    output.message(&one_line(&note));
                }
            }
            output.result(&json!({ "removed": key }), || format!("removed {}", one_line(&key)))
        }
    }
}

/// A node in a few lines: the verdict, its reason, the next step.
fn describe(output: Output, status: &Status) -> String {
    let node = &status.node;
    let linked = node.neighbours.iter().filter(|neighbour| neighbour.link.is_some()).count();
    let verdict = match (linked, node.neighbours.len()) {
        (0, 0) => "alone: it has no neighbour; add one with `mute peer add KEY@HOST:PORT`".to_owned(),
        (0, _) => "cut off: no neighbour answers; see `mute peer list`".to_owned(),
        (1, _) => "linked to 1 neighbour; with fewer than 2 honest ones nobody is anonymous".to_owned(),
        (linked, all) if linked == all => format!("linked to {linked} neighbours"),
        (linked, all) => format!("linked to {linked} of {all} neighbours"),
    };
    let resources = &status.resources;
    let mut text = format!(
        "{}\n  network    {}\n  profile    {}\n  key        {}\n  listens    {}\n  running    {}, {} of memory, {} of processor time\n",
        output.bold(&verdict),
        one_line(&status.network),
        profile(status.profile),
        node.key,
        node.listen,
        size::time(Duration::from_secs(node.uptime_s)),
        size::bytes(resources.resident_bytes),
        size::time(Duration::from_millis(resources.cpu_ms)),
    );
    let router = &node.router;
    let rows = [
        ("floods", router.floods),
        ("seeks", router.seeks),
        ("trails", router.trails),
        ("keeps", router.keeps),
        ("letters", router.letters),
        ("data", router.data),
        ("data, bytes", router.data_bytes),
    ]
    .map(|(kind, traffic)| {
        let counts = [traffic.relayed, traffic.sent, traffic.delivered].map(size::count);
        std::iter::once(kind.to_owned()).chain(counts).collect()
    });
    text.push_str(&table(&["messages", "relayed", "sent", "received"], &rows));
    text
}

/// What a network adds, in a line.
fn profile(profile: Profile) -> &'static str {
    match profile {
        Profile::Fast => "fast: no delays, no padding; a neighbour that measures can tell what lives here",
        Profile::Balanced => "balanced: addresses answer late by a time of their own, packets have one of four sizes",
    }
}

fn list(neighbours: &[NeighbourStatus]) -> String {
    if neighbours.is_empty() {
        return "no neighbours; add one with `mute peer add KEY@HOST:PORT`".into();
    }
    let rows: Vec<Vec<String>> = neighbours.iter().map(row).collect();
    table(&["key", "address", "state", "round trip", "sent", "received"], &rows)
}

fn row(neighbour: &NeighbourStatus) -> Vec<String> {
    let mut state = match neighbour.state {
        NeighbourState::Up => "linked",
        NeighbourState::Dialling => "dialling",
        NeighbourState::BackingOff => "waiting to dial again",
        NeighbourState::Banned => "banned for a while",
        NeighbourState::Down => "not linked",
    }
    .to_owned();
    let Some(link) = &neighbour.link else {
        if let Some(end) = &neighbour.last_end {
            state = format!("{state}: {}", one_line(end));
        }
        let address = neighbour.dialled_at.clone().unwrap_or_default();
        return vec![neighbour.key.to_string(), one_line(&address), state];
    };
    let bytes =
        |traffic: &BTreeMap<FrameKind, Traffic>| size::bytes(traffic.values().map(|traffic| traffic.bytes).sum());
    vec![
        neighbour.key.to_string(),
        link.remote.to_string(),
        state,
        format!("{:.1} ms", Duration::from_micros(link.round_trip_us).as_secs_f64() * 1e3),
        bytes(&link.counters.sent),
        bytes(&link.counters.received),
    ]
}
