//! What the demo found: read from the nodes' own counters, for people and for scripts.

use std::net::SocketAddr;

use mute_core::Profile;
use serde::Serialize;

use super::{ALICE, BOB, NAMES, Stage, network::RELAYS};
use crate::{
    cli::{Output, show_bytes, show_count, show_time, table},
    control::{Resources, Status},
    error::{Error, Result},
    link::{FrameKind, NodeKey},
};

/// One part of the demo.
#[derive(Debug, Serialize)]
pub(super) struct Scene {
    pub(super) name: &'static str,
    pub(super) what: String,
    pub(super) seconds: f64,
    /// What was transferred.
    pub(super) bytes: Option<u64>,
    /// How fast, in 10^6 bytes a second.
    pub(super) mb_per_s: Option<f64>,
}

/// What the scenes yielded.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) files: Vec<Delivered>,
    pub(super) messages: Vec<String>,
    pub(super) page: String,
}

/// A file that was downloaded.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) shared: [u8; 32],
    pub(super) downloaded: [u8; 32],
}

impl Serialize for Delivered {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut fields = serializer.serialize_struct("File", 4)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("size_bytes", &self.size)?;
        fields.serialize_field("sha256_shared", &hex(&self.shared))?;
        fields.serialize_field("sha256_downloaded", &hex(&self.downloaded))?;
        fields.end()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Everything that was found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    profile: Profile,
    seconds: f64,
    scenes: Vec<Scene>,
    files: Vec<Delivered>,
    messages: Vec<String>,
    page: String,
    ends: Vec<End>,
    relays: Vec<Relay>,
    links: Vec<Link>,
    processes: Vec<Process>,
}

/// One of the two ends, and whom it exchanges packets with.
#[derive(Debug, Serialize)]
struct End {
    name: &'static str,
    listens: SocketAddr,
    /// All sockets that it has a link with.
    sockets: Vec<SocketAddr>,
    other_end: SocketAddr,
    is_linked_with_other_end: bool,
    shares_neighbour_with_other_end: bool,
}

/// What a relay counted.
#[derive(Debug, Serialize)]
struct Relay {
    name: &'static str,
    /// Questions that it passed on: their words are readable, who asked is not in them.
    floods: u64,
    /// Searches for an address that it passed on.
    seeks: u64,
    /// Trails that it passed on.
    trails: u64,
    /// Letters that it passed on.
    letters: u64,
    /// Sealed packets that it passed on.
    data: u64,
    /// Their bytes.
    data_bytes: u64,
    /// Sealed packets that it could open, because they were for an identity of its own.
    data_opened: u64,
}

/// A link and what it carried in both directions.
#[derive(Debug, Serialize)]
struct Link {
    between: [&'static str; 2],
    sent_bytes: u64,
    received_bytes: u64,
}

/// What a node's process used.
#[derive(Debug, Serialize)]
struct Process {
    name: &'static str,
    #[serde(flatten)]
    resources: Resources,
}

impl Report {
    /// Reads the nodes' counters; an error where they don't show what the demo claims.
    pub(super) fn new(stage: &mut Stage, profile: Profile, outcome: Outcome, statuses: &[Status]) -> Result<Self> {
        let ends = vec![end(statuses, ALICE, BOB), end(statuses, BOB, ALICE)];
        if ends.iter().any(|end| end.is_linked_with_other_end || end.shares_neighbour_with_other_end) {
            return Err(Error::failure("the two ends are linked or share a neighbour"));
        }
        let relays: Vec<Relay> = RELAYS.map(|place| relay(place, &statuses[place])).collect();
        if let Some(relay) = relays.iter().find(|relay| relay.data_opened > 0) {
            return Err(Error::failure(format!("{} could open packets", relay.name)));
        }
        let sent: u64 = outcome.files.iter().map(|file| file.size).sum();
        if relays.iter().map(|relay| relay.data_bytes).sum::<u64>() < sent {
            return Err(Error::failure("the relays did not carry what was downloaded"));
        }
        Ok(Self {
            profile,
            seconds: stage.start.elapsed().as_secs_f64(),
            scenes: std::mem::take(&mut stage.scenes),
            files: outcome.files,
            messages: outcome.messages,
            page: outcome.page,
            ends,
            relays,
            links: links(statuses),
            processes: NAMES
                .into_iter()
                .zip(statuses)
                .map(|(name, status)| Process { name, resources: status.resources })
                .collect(),
        })
    }

    /// For people.
    pub(super) fn describe(&self, output: Output) -> String {
        let relays: Vec<Vec<String>> = self
            .relays
            .iter()
            .map(|relay| {
                let counts = [relay.floods, relay.seeks, relay.trails, relay.letters, relay.data].map(show_count);
                let rest = [show_bytes(relay.data_bytes), show_count(relay.data_opened)];
                std::iter::once(relay.name.to_owned()).chain(counts).chain(rest).collect()
            })
            .collect();
        let titles = ["relay", "questions", "seeks", "trails", "letters", "sealed packets", "bytes", "opened"];
        let links: Vec<Vec<String>> = self
            .links
            .iter()
            .map(|link| vec![link.between.join(" – "), show_bytes(link.sent_bytes), show_bytes(link.received_bytes)])
            .collect();
        let processes: Vec<Vec<String>> = self
            .processes
            .iter()
            .map(|process| {
                let used = &process.resources;
                let cpu = format!("{:.1} s", used.cpu_ms as f64 / 1e3);
                vec![process.name.to_owned(), cpu, show_bytes(used.peak_resident_bytes)]
            })
            .collect();
        let ends: Vec<String> = self.ends.iter().map(End::describe).collect();
        format!(
            "\n{}\n{}\n\n  A relay reads the words of a question, and a key that signs this one question and no other: not who asks.\n  \
             Downloads, messages and pages passed as sealed packets; `opened` are those that it could open.\n\n\
             {}\n{}\n\n{}\n{}\n\n{}\n{}\n\n  the page  {}\n  in all    {}",
            output.bold("What each relay could see, by its own counters"),
            table(&titles, &relays),
            output.bold("Whom the ends exchanged packets with, by their own lists of sockets"),
            ends.join("\n"),
            output.bold("Bytes on each link"),
            table(&["link", "there", "back"], &links),
            output.bold("What each process used"),
            table(&["node", "processor", "peak memory"], &processes),
            self.page,
            show_time(std::time::Duration::from_secs_f64(self.seconds)),
        )
    }
}

impl End {
    fn describe(&self) -> String {
        let sockets: Vec<String> = self.sockets.iter().map(ToString::to_string).collect();
        format!("  {:<6} {}   the other end, {}, is not among them", self.name, sockets.join(", "), self.other_end)
    }
}

fn neighbours(status: &Status) -> Vec<NodeKey> {
    status.node.neighbours.iter().filter(|neighbour| neighbour.link.is_some()).map(|neighbour| neighbour.key).collect()
}

fn end(statuses: &[Status], this: usize, other: usize) -> End {
    let (here, there) = (&statuses[this], &statuses[other]);
    let theirs = neighbours(there);
    let other_end = there.node.listen;
    End {
        name: NAMES[this],
        listens: here.node.listen,
        is_linked_with_other_end: here.node.remotes.contains(&other_end) || neighbours(here).contains(&there.node.key),
        shares_neighbour_with_other_end: neighbours(here).iter().any(|neighbour| theirs.contains(neighbour)),
        sockets: here.node.remotes.clone(),
        other_end,
    }
}

fn relay(place: usize, status: &Status) -> Relay {
    let router = &status.node.router;
    Relay {
        name: NAMES[place],
        floods: router.floods.relayed,
        seeks: router.seeks.relayed,
        trails: router.trails.relayed,
        letters: router.letters.relayed,
        data: router.data.relayed,
        data_bytes: router.data_bytes.relayed,
        data_opened: router.data.delivered,
    }
}

/// Every link once, as the side that comes first in the list of nodes counted it.
fn links(statuses: &[Status]) -> Vec<Link> {
    let mut links = Vec::new();
    for (place, status) in statuses.iter().enumerate() {
        for neighbour in &status.node.neighbours {
            let other = statuses.iter().position(|other| other.node.key == neighbour.key);
            let (Some(other), Some(link)) = (other, &neighbour.link) else { continue };
            if other > place {
                let all = |traffic: &std::collections::BTreeMap<FrameKind, crate::link::Traffic>| {
                    traffic.values().map(|traffic| traffic.bytes).sum()
                };
                links.push(Link {
                    between: [NAMES[place], NAMES[other]],
                    sent_bytes: all(&link.counters.sent),
                    received_bytes: all(&link.counters.received),
                });
            }
        }
    }
    links
}
