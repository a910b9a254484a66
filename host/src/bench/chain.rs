//! A chain of worker processes, one more than it has links.

use std::{fmt, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{
    report::Round,
    worker::{Answer, Order},
};
use crate::{
    control::Resources,
    error::{Context as _, Error, Result},
};

/// What a chain is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// QUIC forwarders.
    Plain,
    /// Nodes of MUTE.
    Mute,
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain quic",
            Self::Mute => "mute",
        })
    }
}

/// A chain that is ready to carry.
pub(super) struct Chain {
    carrier: Carrier,
    /// From the sending end to the answering one.
    workers: Vec<Worker>,
}

impl Chain {
    /// Starts the processes and links each to the next.
    pub(super) async fn start(carrier: Carrier, links: usize) -> Result<Self> {
        let mut workers = Vec::new();
        for _ in 0..=links {
            workers.push(Worker::start(carrier).await?);
        }
        let mut chain = Self { carrier, workers };
        // From the far end: a plain forwarder serves once it knows its next hop.
        for place in (0..=links).rev() {
            if let Some(next) = chain.workers.get(place + 1) {
                let order = Order::Link { key: next.key, address: next.address };
                chain.workers[place].done(&order).await?;
            }
            if carrier == Carrier::Plain || place == links {
                chain.workers[place].done(&Order::Serve).await?;
            }
        }
        for (place, worker) in chain.workers.iter_mut().enumerate() {
            let expected = usize::from(place > 0) + usize::from(place < links);
            worker.done(&Order::AwaitLinks(expected)).await?;
        }
        let far = chain.workers[links].identity.clone();
        chain.workers[0].done(&Order::Connect(far)).await?;
        Ok(chain)
    }

    /// What the chain is made of.
    pub(super) fn carrier(&self) -> Carrier {
        self.carrier
    }

    /// Small messages, then bytes.
    pub(super) async fn round(&mut self, bytes: u64, pings: u32) -> Result<Round> {
        let sender = &mut self.workers[0];
        let Answer::Pings(mut pings_us) = sender.ask(&Order::Ping(pings)).await? else { return Err(unexpected()) };
        let Answer::Sent(time_us) = sender.ask(&Order::Send(bytes)).await? else { return Err(unexpected()) };
        pings_us.sort_unstable();
        Ok(Round { mb_per_s: bytes as f64 / time_us.max(1) as f64, pings_us })
    }

    /// Ends the processes; what each used, from the sending end to the answering one.
    pub(super) async fn finish(mut self) -> Result<Vec<Resources>> {
        let mut used = Vec::new();
        for worker in &mut self.workers {
            let Answer::Usage(resources) = worker.ask(&Order::Usage).await? else { return Err(unexpected()) };
            used.push(resources);
        }
        for worker in self.workers {
            drop(worker.orders);
            let mut process = worker.process;
            process.wait().await.context("a worker does not end")?;
        }
        Ok(used)
    }
}

fn unexpected() -> Error {
    Error::failure("a worker gave an answer that does not fit the order")
}

/// A worker process, as its parent has it. It ends when this is dropped.
struct Worker {
    process: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    key: crate::link::NodeKey,
    address: std::net::SocketAddr,
    identity: Option<String>,
}

impl Worker {
    async fn start(carrier: Carrier) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(program);
        command.arg("bench-worker");
        if carrier == Carrier::Plain {
            command.arg("--plain");
        }
        // In a group of its own, Ctrl-C reaches the parent alone, which ends it by closing its input.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).process_group(0);
        let mut process = command.spawn().context("cannot start a worker")?;
        let (Some(orders), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(Error::failure("a worker has no pipes"));
        };
        let mut answers = BufReader::new(answers).lines();
        match next(&mut answers).await? {
            Answer::Ready { key, address, identity } => Ok(Self { process, orders, answers, key, address, identity }),
            _ => Err(unexpected()),
        }
    }

    async fn ask(&mut self, order: &Order) -> Result<Answer> {
        let mut line = serde_json::to_string(order).map_err(|error| Error::failure(error.to_string()))?;
        line.push('\n');
        self.orders.write_all(line.as_bytes()).await.context("a worker has gone")?;
        next(&mut self.answers).await
    }

    async fn done(&mut self, order: &Order) -> Result<()> {
        match self.ask(order).await? {
            Answer::Done => Ok(()),
            _ => Err(unexpected()),
        }
    }
}

async fn next(answers: &mut Lines<BufReader<ChildStdout>>) -> Result<Answer> {
    let line = answers.next_line().await.context("a worker has gone")?;
    let line = line.ok_or_else(|| Error::failure("a worker has gone"))?;
    match serde_json::from_str(&line) {
        Ok(Answer::Failed(why)) => Err(Error::failure(why)),
        Ok(answer) => Ok(answer),
        Err(_) => Err(unexpected()),
    }
}
