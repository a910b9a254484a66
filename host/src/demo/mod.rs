//! `mute demo`: a private network of six nodes as separate processes on this machine, shown at work on real files.

mod files;
mod network;
mod report;
mod scenes;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

pub(crate) use files::write_random;
pub(crate) use network::{ALICE, BOB, NAMES, Network};
pub(crate) use scenes::{compare, download, search, share};

use mute_core::Profile;

use self::report::{Report, Scene};
use crate::{
    cli::{Demo, Output, show_time},
    error::{Context as _, Error, Result},
};

/// The picture of the network.
const MAP: &str = concat!(
    "           ┌── relay 1 ──┬── relay 3 ──┐\n",
    "   alice ──┤             ╳             ├── bob\n",
    "           └── relay 2 ──┴── relay 4 ──┘"
);

/// Runs `mute demo`.
pub(crate) async fn run(output: Output, demo: &Demo) -> Result<()> {
    let share = demo.share.as_deref().map(readable_folder).transpose()?;
    let folder = scratch()?;
    let result = play(output, demo, share.as_deref(), folder.path()).await;
    match result {
        // The folder goes when this function ends, also when Ctrl-C drops it in the middle.
        Ok(()) => Ok(()),
        Err(error) => {
            let kept = folder.keep();
            Err(Error::new(error.kind(), format!("{error}; the nodes' logs are in {}", kept.display())))
        }
    }
}

/// A folder of this run's own. It is closed to others and goes when dropped.
pub(crate) fn scratch() -> Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix("mute-demo-").tempdir().context("cannot make a folder for the demo")
}

fn readable_folder(folder: &Path) -> Result<PathBuf> {
    let cannot = format!("cannot read the folder {}", folder.display());
    let path = folder.canonicalize().context(&cannot)?;
    std::fs::read_dir(&path).context(&cannot)?;
    Ok(path)
}

async fn play(output: Output, demo: &Demo, share: Option<&Path>, folder: &Path) -> Result<()> {
    let mut stage = Stage { output, start: Instant::now(), scenes: Vec::new() };
    output
        .line(&output.bold(
            "A private network on this machine: two ends and four relays, six processes, real QUIC between them",
        ))?;
    output.line(&format!("\n{MAP}\n"))?;
    output.line(&format!("{}\n", about(demo.profile)))?;
    let what = format!("six nodes start, profile {}", demo.profile);
    let mut network = stage.scene("network", &what, Network::start(folder, demo.profile)).await?;
    let outcome = scenes::all(&mut stage, &network, share, folder).await;
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            network.stop().await;
            return Err(error);
        }
    };
    let report = Report::new(&mut stage, demo.profile, outcome, &network.statuses().await?)?;
    output.result(&report, || report.describe(output))?;
    if demo.keep {
        output.message(&how_to_use(&network));
        network.until_one_ends().await?;
    }
    network.stop().await;
    Ok(())
}

/// What the network adds, and how to see the other profile.
fn about(profile: Profile) -> &'static str {
    match profile {
        Profile::Fast => {
            "profile fast: nothing is delayed or padded; see what `mute init` makes with --profile balanced"
        }
        Profile::Balanced => {
            "profile balanced: addresses answer late, so that no neighbour knows where they live; it takes longer"
        }
    }
}

/// What to type while the network runs.
fn how_to_use(network: &Network) -> String {
    let program = std::env::current_exe().map_or_else(|_| "mute".into(), |path| path.display().to_string());
    let home = |place: usize| network.hosts[place].home.data_folder().display().to_string();
    format!(
        "\nThe network runs until you press Ctrl-C here. In another terminal:\n  {program} --home {} fileshare search tide\n  {program} --home {} status\n  {program} --home {} --help",
        home(BOB),
        home(2),
        home(ALICE),
    )
}

/// Tells of each scene as it is played.
pub(crate) struct Stage {
    output: Output,
    start: Instant,
    scenes: Vec<Scene>,
}

impl Stage {
    /// Plays a scene. Its failure says which one it was.
    async fn scene<T>(&mut self, name: &'static str, what: &str, play: impl Future<Output = Result<T>>) -> Result<T> {
        let started = Instant::now();
        let mut progress = self.output.progress();
        progress.show(&crate::control::Step { label: what.into(), ..Default::default() });
        let result = play.await.context(format_args!("the demo failed at {name} ({what})"))?;
        drop(progress);
        self.done(name, what, started.elapsed(), None)?;
        Ok(result)
    }

    /// Notes a scene that has been played.
    fn done(&mut self, name: &'static str, what: &str, time: Duration, bytes: Option<u64>) -> Result<()> {
        let rate = bytes.map(|bytes| bytes as f64 / 1e6 / time.as_secs_f64().max(1e-6));
        let shown_rate = rate.map(|rate| format!(", {rate:.0} MB/s")).unwrap_or_default();
        let timing = self.output.dim(&format!("{}{shown_rate}", show_time(time)));
        self.output.line(&format!("{} {name:<9} {what}  {timing}", self.output.green("✓")))?;
        self.scenes.push(Scene { name, what: what.to_owned(), seconds: time.as_secs_f64(), bytes, mb_per_s: rate });
        Ok(())
    }
}
