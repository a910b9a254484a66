//! Replays of trails that the victim relayed: the Seek, the Trail and the Keeps, by two attackers, each at one of its sides.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use mute_core::{
    Address, Label, LinkId, MessageId, PortId,
    wire::{Frame, Seek, SeekMode, Signed, Stamp, Trail, Verified, Walk, Way},
};

use super::{ATTACKER, HONEST, PACE, Silent, Spoofing, VICTIM};
use crate::{Config, NETWORK, Network, NodeId, Record, Table, Topology};

/// Where the owners live: the victim's other honest neighbour.
const OWNERS: NodeId = 3;
/// The second attacker, who plays the owners' side.
const OTHER: NodeId = 4;

/// What reached the victim of a trail.
#[derive(Clone, Default)]
struct Heard {
    seek: Option<Signed<Seek, Verified>>,
    trail: Option<Signed<Trail, Verified>>,
    /// Of both ends, as they came.
    keeps: Vec<(NodeId, Frame<Verified>)>,
}

/// When the trails are replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// While they live.
    Alive,
    /// After the victim's restart.
    Restarted,
    /// The same, where the victim takes its second run for its first: the control.
    Forgetful,
}

/// What a replay came to.
#[derive(Clone, Copy, Debug, Default)]
struct Gained {
    /// Trails that the victim had relayed.
    relayed: u64,
    /// Those that the replays laid once more.
    bound: u64,
    /// Rows that the replays laid.
    rows: u64,
    /// Letters to owners and seekers that went to an attacker, after both had been heard of anew.
    drawn: u64,
    written: u64,
}

struct Trails {
    net: Network,
    heard: Rc<RefCell<BTreeMap<MessageId, Heard>>>,
    /// Labels that the victim chose, by its links.
    labels: Rc<RefCell<BTreeMap<(MessageId, LinkId), Label>>>,
    owners: Vec<Address>,
}

/// Lets all of them happen.
pub(super) fn run(record: &mut Record, broken: &mut Vec<String>, sizes: &Spoofing, seed: u64) {
    let mut table = Table::new(
        "replays of trails that the victim relayed",
        &["when", "trails", "laid again", "rows", "letters", "letters drawn"],
    );
    for when in [When::Alive, When::Restarted, When::Forgetful] {
        let gained = attack(when, sizes, seed, broken);
        table.row([
            format!("{when:?}").into(),
            gained.relayed.into(),
            gained.bound.into(),
            gained.rows.into(),
            gained.written.into(),
            gained.drawn.into(),
        ]);
        let (rows, drawn) = (gained.rows as f64, gained.drawn as f64);
        match when {
            When::Alive => {
                record.exactly("rows by replays of trails that live", "", rows, 0.0);
                record.exactly("letters that they draw", "", drawn, 0.0);
            }
            When::Restarted => {
                record.exactly(
                    "control: trails laid again after a restart",
                    "",
                    gained.bound as f64,
                    gained.relayed as f64,
                );
                record.exactly("rows by replays of trails after a restart", "", rows, 0.0);
                record.exactly("letters that these draw", "", drawn, 0.0);
            }
            When::Forgetful => {
                record.at_least(
                    "control: rows where a restart is taken for a first start",
                    "",
                    rows,
                    gained.relayed as f64,
                );
            }
        }
    }
    record.tables.push(table);
}

fn attack(when: When, sizes: &Spoofing, seed: u64, broken: &mut Vec<String>) -> Gained {
    let mut scene = Trails::new(when, sizes.authors, seed);
    let mut gained = Gained {
        relayed: scene.heard.borrow().values().filter(|heard| heard.trail.is_some()).count() as u64,
        ..Gained::default()
    };
    if when != When::Alive {
        scene.net.stop(VICTIM);
        // Without the honest ones, whose own routers would lay the trails anew, until nothing of the restart's time is left.
        for node in [HONEST, OWNERS] {
            scene.net.stop(node);
        }
        scene.net.start(VICTIM);
        scene.net.rest(Duration::from_secs(120));
    }
    let [rows, bindings] = scene.holds();
    scene.replay_trails();
    let after = scene.holds();
    scene.replay_keeps(1);
    gained.rows = scene.holds()[0].saturating_sub(rows);
    gained.bound = after[1].saturating_sub(bindings);
    if when != When::Alive {
        scene.net.start(OWNERS);
    }
    (gained.drawn, gained.written) = scene.write(sizes.letters);
    scene.net.finish();
    broken.extend(scene.net.checks.failures().0.iter().cloned());
    gained
}

impl Trails {
    /// A network in which the victim relays so many trails, and somebody writes down what it hears of them.
    fn new(when: When, trails: u32, seed: u64) -> Self {
        let topology = Topology::joined(5, [HONEST, ATTACKER, OWNERS, OTHER].map(|node| (VICTIM, node)));
        let mut config = Config::new(seed);
        if when == When::Forgetful {
            config.router = Some(Rc::new(|_, config| config.heard_until = None));
        }
        let mut net = Network::new(config, &topology);
        for attacker in [ATTACKER, OTHER] {
            net.set_behaviour(attacker, Some(Box::new(Silent)));
        }
        let heard: Rc<RefCell<BTreeMap<MessageId, Heard>>> = Rc::default();
        let labels: Rc<RefCell<BTreeMap<(MessageId, LinkId), Label>>> = Rc::default();
        let (of_tap, labels_of_tap) = (Rc::clone(&heard), Rc::clone(&labels));
        net.tap = Some(Box::new(move |_, node, link, frame| {
            let mut heard = of_tap.borrow_mut();
            match frame {
                Frame::Seek { message, .. } if node == HONEST => {
                    heard.entry(message.id()).or_default().seek = Some(message.clone());
                }
                Frame::Trail { message, .. } if node == OWNERS => {
                    heard.entry(message.seek()).or_default().trail = Some(message.clone());
                }
                Frame::Trail { message, label } if node == VICTIM => {
                    labels_of_tap.borrow_mut().insert((message.seek(), link), *label);
                }
                Frame::Keep { message, .. } if node == HONEST || node == OWNERS => {
                    heard.entry(message.seek()).or_default().keeps.push((node, frame.clone()));
                }
                _ => {}
            }
        }));
        // All within one minute.
        net.rest(Duration::from_secs(65 - net.now().unix_s % 60));
        let (port, _) = net.open(HONEST, 0);
        let mut owners = Vec::new();
        for number in 0..trails {
            let (_, owner) = net.open(OWNERS, number);
            owners.push(owner);
            net.connect(HONEST, port, owner);
            net.rest(PACE);
        }
        // Two Keeps of each end.
        net.rest(Duration::from_secs(15));
        Self { net, heard, labels, owners }
    }

    fn link(&self, neighbour: NodeId) -> Option<LinkId> {
        self.net.links(VICTIM).into_iter().find(|(other, _)| *other == neighbour).map(|(_, link)| link)
    }

    /// Rows and bindings at the victim.
    fn holds(&self) -> [u64; 2] {
        let live = self.net.router(VICTIM).map(|router| router.counters().live);
        live.map_or([0; 2], |live| [live.scent_rows, live.bindings])
    }

    /// What was heard of all trails, by its Seek.
    fn heard(&self) -> Vec<(MessageId, Heard)> {
        self.heard.borrow().iter().map(|(id, heard)| (*id, heard.clone())).collect()
    }

    /// One attacker says the Seeks, the other the Trails.
    fn replay_trails(&mut self) {
        for (place, (_, heard)) in self.heard().into_iter().enumerate() {
            let (Some(from), Some(to), Some(seek), Some(trail)) =
                (self.link(ATTACKER), self.link(OTHER), heard.seek, heard.trail)
            else {
                continue;
            };
            self.net.deliver(VICTIM, from, Frame::Seek { mode: SeekMode::Directed, message: seek });
            // The victim dials: its neighbours' labels are even.
            let label = Label(2 * place as u64);
            self.net.deliver(VICTIM, to, Frame::Trail { label, message: trail });
            self.net.rest(PACE);
        }
    }

    /// Each says the Keeps of its end: the first so many.
    fn replay_keeps(&mut self, first: usize) {
        for (place, (seek, heard)) in self.heard().into_iter().enumerate() {
            // Where none was bound, one that names nothing.
            let chosen = self.link(ATTACKER).and_then(|link| self.labels.borrow().get(&(seek, link)).copied());
            let label = chosen.unwrap_or(Label(1));
            for (end, by, label) in [(HONEST, ATTACKER, label), (OWNERS, OTHER, Label(2 * place as u64))] {
                let keeps = heard.keeps.iter().filter(|(node, _)| *node == end).take(first);
                for (_, keep) in keeps {
                    if let (Some(link), Frame::Keep { message, .. }) = (self.link(by), keep) {
                        self.net.deliver(VICTIM, link, Frame::Keep { label, message: message.clone() });
                    }
                }
            }
        }
        self.net.rest(PACE);
    }

    /// The owners are heard of anew, by their own way; all Keeps are said once more; then the victim writes to them. How many letters go to an
    /// attacker, of how many.
    fn write(&mut self, letters: u32) -> (u64, u64) {
        let minute = (self.net.now().unix_s / 60) as u32;
        for number in 0..self.owners.len() as u32 {
            let (key, stamp) = (self.net.key(OWNERS, number), Stamp { minute, random: 1 << 40 });
            if let (Some(link), Ok(message)) = (self.link(OWNERS), Signed::<Walk, Verified>::sign(NETWORK, &key, stamp))
            {
                self.net.deliver(VICTIM, link, Frame::Walk { way: Way::Roam(0), message });
            }
        }
        self.replay_keeps(usize::MAX);
        let (port, _): (PortId, _) = self.net.open(VICTIM, 0);
        let attackers = [ATTACKER, OTHER].map(|node| self.link(node));
        let drawn = Rc::new(RefCell::new(0u64));
        let of_tap = Rc::clone(&drawn);
        self.net.tap = Some(Box::new(move |_, node, link, frame| {
            if node == VICTIM && attackers.contains(&Some(link)) && matches!(frame, Frame::Letter { .. }) {
                *of_tap.borrow_mut() += 1;
            }
        }));
        for _ in 0..letters {
            for owner in self.owners.clone() {
                self.net.letter(VICTIM, port, owner, "sealed");
                self.net.rest(PACE);
            }
        }
        self.net.tap = None;
        let drawn = *drawn.borrow();
        (drawn, u64::from(letters) * self.owners.len() as u64)
    }
}
