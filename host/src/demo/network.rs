//! Six nodes as processes of their own, linked in a fixed way on loopback.

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use mute_core::Profile;
use tokio::{
    process::{Child, ChildStdin, Command},
    time::{Instant, sleep},
};

use crate::{
    config::{Config, Level},
    control::{Argument, Client, Reply, Request, Status, Step},
    error::{Context as _, Error, Kind, Result},
    home::Home,
};

/// The nodes: two ends and four relays.
pub(crate) const NAMES: [&str; 6] = ["alice", "relay 1", "relay 2", "relay 3", "relay 4", "bob"];
/// The place of one end.
pub(crate) const ALICE: usize = 0;
/// The place of the other end.
pub(crate) const BOB: usize = 5;
/// The places of the relays.
pub(crate) const RELAYS: std::ops::Range<usize> = 1..5;
/// Who dials whom. Alice knows relays 1 and 2, Bob relays 3 and 4: three links apart at least, no common neighbour.
const LINKS: [(usize, usize); 8] = [(0, 1), (0, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 5), (4, 5)];

/// How long a node may take to start. Plugins are compiled at the first start, by six nodes at once.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// How long links and plugins may take to come up once all nodes run.
const LINK_PATIENCE: Duration = Duration::from_secs(60);
/// How long a node may take to end before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(15);
/// How often a node is asked whether it is there yet.
const POLL: Duration = Duration::from_millis(50);

/// A running network. Dropping it kills the processes.
pub(crate) struct Network {
    /// In the order of [`NAMES`].
    pub(crate) hosts: Vec<Host>,
}

/// One node of it.
pub(crate) struct Host {
    /// Its name, one of [`NAMES`].
    pub(crate) name: &'static str,
    /// Its folder.
    pub(crate) home: Home,
    process: Child,
    /// The node ends when this closes, however the demo ends.
    lifeline: ChildStdin,
}

/// What a command of a plugin yielded.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Its JSON documents.
    pub(crate) json: Vec<serde_json::Value>,
}

impl Network {
    /// Makes six homes under `folder` and runs a node in each, all linked when this returns.
    pub(crate) async fn start(folder: &Path, profile: Profile) -> Result<Self> {
        let homes = NAMES
            .iter()
            .map(|name| Home::find(Some(&folder.join(name.replace(' ', "-")))))
            .collect::<Result<Vec<_>>>()?;
        let keys = make_homes(&homes, profile)?;
        let mut hosts = Vec::new();
        for (name, home) in NAMES.into_iter().zip(homes) {
            hosts.push(Host::spawn(name, home)?);
        }
        let mut network = Self { hosts };
        network.link(&keys).await?;
        Ok(network)
    }

    /// Waits for all nodes, tells each whom to dial, waits for the links and for the ends' plugins.
    async fn link(&mut self, keys: &[String]) -> Result<()> {
        let mut addresses = Vec::new();
        for host in &mut self.hosts {
            addresses.push(host.wait_until_ready().await?.node.listen);
        }
        for (from, to) in LINKS {
            let peer = format!("{}@{}", keys[to], addresses[to]);
            self.hosts[from].call(&Request::AddPeer { peer }).await?;
        }
        let deadline = Instant::now() + LINK_PATIENCE;
        for place in 0..self.hosts.len() {
            let expected = LINKS.iter().filter(|(from, to)| *from == place || *to == place).count();
            self.hosts[place].wait_for_links(expected, deadline).await?;
        }
        for end in [ALICE, BOB] {
            self.hosts[end].wait_for_plugins(deadline).await?;
        }
        Ok(())
    }

    /// Asks every node how it is.
    pub(crate) async fn statuses(&self) -> Result<Vec<Status>> {
        let mut statuses = Vec::new();
        for host in &self.hosts {
            statuses.push(host.status().await?);
        }
        Ok(statuses)
    }

    /// Waits until one of the nodes ends, which none should do by itself.
    pub(crate) async fn until_one_ends(&mut self) -> Result<()> {
        loop {
            for host in &mut self.hosts {
                if let Ok(Some(_)) = host.process.try_wait() {
                    return Err(Error::failure(format!("{} ended: {}", host.name, host.last_words())));
                }
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Ends all nodes; kills those that don't end by themselves.
    pub(crate) async fn stop(self) {
        let mut processes = Vec::new();
        for host in self.hosts {
            drop(host.lifeline);
            processes.push(host.process);
        }
        let deadline = Instant::now() + STOP_PATIENCE;
        for mut process in processes {
            if tokio::time::timeout_at(deadline, process.wait()).await.is_err() {
                // Gone in the meantime, at worst.
                let _ = process.kill().await;
            }
        }
    }
}

/// Makes the homes, each welcoming those that dial it; their keys. Relays only relay: they run no plugins.
fn make_homes(homes: &[Home], profile: Profile) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    for (place, home) in homes.iter().enumerate() {
        home.create("")?;
        keys.push(crate::daemon::make_key(home)?);
        if RELAYS.contains(&place) {
            crate::daemon::disable_plugins(home)?;
        }
    }
    for (place, home) in homes.iter().enumerate() {
        let mut config = Config {
            network: "mute demo".into(),
            profile,
            listen: ([127, 0, 0, 1], 0).into(),
            fixed_neighbours: true,
            welcome: LINKS.iter().filter(|(_, to)| *to == place).map(|(from, _)| keys[*from].clone()).collect(),
            ..Config::default()
        };
        config.log.level = Level::Info;
        let path = home.config_file();
        // The file exists with its owner's permissions; its content is replaced.
        std::fs::write(&path, config.to_file()).context(format_args!("cannot write {}", path.display()))?;
    }
    Ok(keys)
}

impl Host {
    fn spawn(name: &'static str, home: Home) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let errors = home.data_folder().join("stderr.log");
        let errors = OpenOptions::new().create(true).append(true).open(&errors).context("cannot write a node's log")?;
        let mut command = Command::new(program);
        command.arg("--home").arg(home.data_folder()).args(["--quiet", "run", "--with-parent"]);
        // In a group of its own, Ctrl-C reaches the demo alone, which then ends it in order.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(errors).kill_on_drop(true).process_group(0);
        let mut process = command.spawn().context("cannot start a node")?;
        let Some(lifeline) = process.stdin.take() else {
            return Err(Error::failure(format!("{name} has no pipe")));
        };
        Ok(Self { name, home, process, lifeline })
    }

    async fn wait_until_ready(&mut self) -> Result<Status> {
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            match self.status().await {
                Err(error) if error.kind() == Kind::NotRunning => {}
                other => return other.context(self.name),
            }
            if let Ok(Some(_)) = self.process.try_wait() {
                return Err(Error::failure(format!("{} ended: {}", self.name, self.last_words())));
            }
            if Instant::now() > deadline {
                return Err(Error::failure(format!("{} did not start in time", self.name)));
            }
            sleep(POLL).await;
        }
    }

    /// The last line that the node's process wrote.
    fn last_words(&self) -> String {
        let text = std::fs::read_to_string(self.home.data_folder().join("stderr.log")).unwrap_or_default();
        text.lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .unwrap_or("it said nothing")
            .trim_start_matches("error: ")
            .to_owned()
    }

    async fn wait_for_links(&self, expected: usize, deadline: Instant) -> Result<()> {
        loop {
            let linked =
                self.status().await?.node.neighbours.iter().filter(|neighbour| neighbour.link.is_some()).count();
            if linked >= expected {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::failure(format!("{} has {linked} of {expected} links", self.name)));
            }
            sleep(POLL).await;
        }
    }

    async fn wait_for_plugins(&self, deadline: Instant) -> Result<()> {
        loop {
            let Some(Reply::Plugins(plugins)) = self.call(&Request::Plugins).await?.pop() else {
                return Err(crate::control::unexpected());
            };
            let late = plugins.iter().find(|plugin| plugin.state != crate::plugin::PluginState::Running);
            let Some(late) = late else { return Ok(()) };
            if Instant::now() > deadline {
                let why = late.last_error.clone().unwrap_or_else(|| late.state.to_string());
                return Err(Error::failure(format!("the plugin {} of {} does not run: {why}", late.name, self.name)));
            }
            sleep(POLL).await;
        }
    }

    /// How the node is.
    pub(crate) async fn status(&self) -> Result<Status> {
        Client::connect(&self.home).await?.status().await
    }

    async fn call(&self, request: &Request) -> Result<Vec<Reply>> {
        Client::connect(&self.home).await?.call(request).await.context(self.name)
    }

    /// Runs a command of a plugin, as the command line would; `progress` hears how far it is.
    pub(crate) async fn invoke(
        &self,
        plugin: &str,
        command: &str,
        arguments: &[(&str, &str)],
        mut progress: impl FnMut(&Step),
    ) -> Result<Answer> {
        let arguments =
            arguments.iter().map(|(name, value)| Argument { name: (*name).into(), value: (*value).into() }).collect();
        let request = Request::Invoke { plugin: plugin.into(), command: command.into(), arguments };
        let mut client = Client::connect(&self.home).await?;
        client.send(&request).await?;
        let mut answer = Answer::default();
        while let Some(reply) = client.next().await.context(self.name)? {
            match reply {
                Reply::Json(json) => answer.json.push(
                    serde_json::from_str(&json)
                        .map_err(|_| Error::failure(format!("{plugin} {command} printed no JSON")))?,
                ),
                Reply::Progress(step) => progress(&step),
                _ => {}
            }
        }
        Ok(answer)
    }

    /// Where the node puts what it receives.
    pub(crate) fn downloads(&self) -> PathBuf {
        self.home.downloads_folder()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_are_three_links_apart_and_share_no_neighbour() {
        let neighbours = |place: usize| -> Vec<usize> {
            let other =
                |(from, to): &(usize, usize)| if *from == place { Some(*to) } else { (*to == place).then_some(*from) };
            LINKS.iter().filter_map(other).collect()
        };
        let (alices, bobs) = (neighbours(ALICE), neighbours(BOB));
        assert!(!alices.contains(&BOB) && alices.iter().all(|neighbour| !bobs.contains(neighbour)));
        // Whichever single relay is lost, there is a way left.
        for lost in RELAYS {
            let mut reached = vec![ALICE];
            let mut next = 0;
            while let Some(&place) = reached.get(next) {
                next += 1;
                for neighbour in neighbours(place) {
                    if neighbour != lost && !reached.contains(&neighbour) {
                        reached.push(neighbour);
                    }
                }
            }
            assert!(reached.contains(&BOB));
        }
    }
}
