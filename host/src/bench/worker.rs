//! One process of a chain: it reads an order on each line of its standard input, does it, and writes the answer on a line
//! of its standard output. It ends with its input, so that it never outlives the benchmark.

use std::{
    io::{BufRead as _, Write as _},
    net::SocketAddr,
    process::ExitCode,
    time::Duration,
};

use mute_core::{Address, IdentityKey, NetworkId, Profile};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{plain::Plain, traffic::Stream};
use crate::{
    control::Resources,
    error::{Error, Result},
    link::{NodeKey, NodeSecret, PeerAddress},
    node::{self, Handle, NodeConfig},
    overlay::{ConnectOptions, Connection, Identity, Overlay},
    resources,
};

/// What both ends of a benchmark's connection call it.
const PROTOCOL: &str = "mute-bench/1";
/// How long a chain may take to carry its first stream.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a node is asked whether its links are up.
const POLL: Duration = Duration::from_millis(20);

/// What a worker is told to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Make a link to the next hop.
    Link {
        /// Its key.
        key: NodeKey,
        /// Where it listens.
        address: SocketAddr,
    },
    /// Answer, or carry, what comes from the hop before.
    Serve,
    /// Wait until this many links are up.
    AwaitLinks(usize),
    /// Connect to the far end; the address where the chain has addresses.
    Connect(Option<String>),
    /// Send so many bytes to the far end.
    Send(u64),
    /// Send so many small messages and wait for each to come back.
    Ping(u32),
    /// Say what the process used.
    Usage,
}

/// What a worker answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The first line: the worker is ready.
    Ready {
        /// Its key, for the hop before.
        key: NodeKey,
        /// Where it listens.
        address: SocketAddr,
        /// Its address, if it has one.
        identity: Option<String>,
    },
    /// It is done.
    Done,
    /// It took so many microseconds.
    Sent(u64),
    /// The round trips took so many microseconds each.
    Pings(Vec<u64>),
    /// What the process used.
    Usage(Resources),
    /// It failed, and why.
    Failed(String),
}

/// Runs `mute bench-worker`.
pub(crate) async fn run(plain: bool) -> Result<ExitCode> {
    let secret = NodeSecret::from_seed(&*seed()?);
    let key = secret.key();
    let (mut carrier, address, identity) = if plain {
        let plain = Plain::bind(secret)?;
        let address = plain.address()?;
        (Carrier::Plain(plain), address, None)
    } else {
        let mute = Mute::start(secret).await?;
        let address = mute.node.status().await.map_err(|error| Error::failure(error.to_string()))?.listen;
        let identity = mute.identity.address().to_string();
        (Carrier::Mute(mute), address, Some(identity))
    };
    say(&Answer::Ready { key, address, identity })?;
    let mut orders = orders();
    while let Some(order) = orders.recv().await {
        let answer = carrier.obey(order).await.unwrap_or_else(|error| Answer::Failed(error.to_string()));
        say(&answer)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn seed() -> Result<zeroize::Zeroizing<[u8; 32]>> {
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|error| Error::failure(format!("no random bytes: {error}")))?;
    Ok(seed)
}

fn say(answer: &Answer) -> Result<()> {
    let line = serde_json::to_string(answer).map_err(|error| Error::failure(error.to_string()))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|_| Error::failure("the parent has gone"))
}

/// The lines of standard input. A thread of their own reads them: the runtime's would keep the process from ending.
fn orders() -> mpsc::Receiver<Order> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Some(order) = line.ok().and_then(|line| serde_json::from_str(&line).ok()) else { break };
            if sender.blocking_send(order).is_err() {
                break;
            }
        }
    });
    receiver
}

enum Carrier {
    Plain(Plain),
    Mute(Mute),
}

impl Carrier {
    async fn obey(&mut self, order: Order) -> Result<Answer> {
        match order {
            Order::Link { key, address } => match self {
                Self::Plain(plain) => plain.link(key, address).await?,
                Self::Mute(mute) => mute.link(key, address).await?,
            },
            Order::Serve => match self {
                Self::Plain(plain) => plain.serve(),
                Self::Mute(mute) => mute.serve()?,
            },
            Order::AwaitLinks(count) => {
                if let Self::Mute(mute) = self {
                    mute.await_links(count).await?;
                }
            }
            Order::Connect(to) => {
                if let (Self::Mute(mute), Some(to)) = (self, to) {
                    mute.connect(&to).await?;
                }
            }
            Order::Send(bytes) => return Ok(Answer::Sent(micros(self.open().await?.send(bytes).await?))),
            Order::Ping(count) => {
                let times = self.open().await?.ping(count).await?;
                return Ok(Answer::Pings(times.into_iter().map(micros).collect()));
            }
            Order::Usage => return Ok(Answer::Usage(resources::own())),
        }
        Ok(Answer::Done)
    }

    async fn open(&self) -> Result<Stream> {
        match self {
            Self::Plain(plain) => plain.open().await,
            Self::Mute(mute) => mute.open().await,
        }
    }
}

fn micros(time: Duration) -> u64 {
    // 584,000 years fit.
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// A node with one identity and no plugins.
struct Mute {
    node: Handle,
    identity: Identity,
    connection: Option<Connection>,
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::failure(error.to_string())
}

impl Mute {
    async fn start(secret: NodeSecret) -> Result<Self> {
        let config = NodeConfig::new(secret, NetworkId::derive("mute bench", Profile::Fast), Profile::Fast);
        let node = node::start(config).await.map_err(failed)?;
        let identity = Overlay::new(node.clone()).identity(IdentityKey::from_seed(&*seed()?)).await.map_err(failed)?;
        Ok(Self { node, identity, connection: None })
    }

    async fn link(&self, key: NodeKey, address: SocketAddr) -> Result<()> {
        let peer = PeerAddress { key, host: address.ip().to_string(), port: address.port() };
        self.node.add_peer(peer).await.map_err(failed)
    }

    async fn await_links(&self, count: usize) -> Result<()> {
        let up = async {
            while self.node.status().await.map_err(failed)?.neighbours.iter().filter(|n| n.link.is_some()).count()
                < count
            {
                tokio::time::sleep(POLL).await;
            }
            Ok(())
        };
        tokio::time::timeout(CONNECT_TIMEOUT, up)
            .await
            .map_err(|_| Error::failure("the links did not come up in time"))?
    }

    fn serve(&self) -> Result<()> {
        let mut listener = self.identity.listen(PROTOCOL).map_err(failed)?;
        tokio::spawn(async move {
            while let Some(connection) = listener.next().await {
                tokio::spawn(async move {
                    while let Ok(channel) = connection.accept().await {
                        tokio::spawn(Stream::from(channel).answer());
                    }
                });
            }
        });
        Ok(())
    }

    async fn connect(&mut self, to: &str) -> Result<()> {
        let to: Address = to.parse().map_err(failed)?;
        let options =
            ConnectOptions { protocol: PROTOCOL.into(), show_identity: false, bulk: true, timeout: CONNECT_TIMEOUT };
        self.connection = Some(self.identity.connect(to, options).await.map_err(failed)?);
        Ok(())
    }

    async fn open(&self) -> Result<Stream> {
        let connection = self.connection.as_ref().ok_or_else(|| Error::failure("there is no connection"))?;
        connection.open().await.map(Stream::from).map_err(failed)
    }
}
