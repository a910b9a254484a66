//! An end that lies: an owner whose Keeps say that nothing arrived and that much was sent. Whom does it cost anything?

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use bytes::Bytes;
use mute_core::{
    Address, Event, Hop, IdentityKey, LinkId, PortId, Profile, Role, TrailId,
    wire::{Frame, Keep, KeepReport, Signed, Verified},
};

use crate::{App, Behaviour, Config, NETWORK, Network, NodeId, Record, Timer, Topology};

/// Until the first trails are laid.
const PEACE: Duration = Duration::from_secs(15);

/// How long they talk then.
const TIME: Duration = Duration::from_secs(300);

/// Between two packets of each.
const PACKET_EVERY: Duration = Duration::from_millis(250);

/// The packets' size.
const PACKET: usize = 256;

/// Rows and columns of the grid.
const SIDE: usize = 4;

/// An owner that signs false Keeps.
struct Liar {
    key: IdentityKey,
}

impl Behaviour for Liar {
    fn outbound(
        &mut self,
        _: &mut Network,
        _: NodeId,
        _: LinkId,
        ingress: Hop,
        frame: Frame<Verified>,
    ) -> Option<Frame<Verified>> {
        let (Frame::Keep { label, message }, Hop::Port(_)) = (&frame, ingress) else {
            return Some(frame);
        };
        let number = message.report().number;
        let report = KeepReport { number, received: 0, sent: 1_000_000 * u64::from(number) };
        let message =
            Signed::<Keep, Verified>::sign(NETWORK, &self.key, message.stamp(), message.seek(), report).ok()?;
        Some(Frame::Keep { label: *label, message })
    }
}

/// Seekers that send, and owners that answer.
#[derive(Default)]
struct Talks {
    seekers: BTreeMap<NodeId, Option<TrailId>>,
    sent: BTreeMap<NodeId, u64>,
    answered: BTreeMap<NodeId, u64>,
}

impl App for Talks {
    fn event(&mut self, net: &mut Network, node: NodeId, _: PortId, event: Event) {
        match event {
            Event::TrailOpened { trail, role: Role::Seeker { .. }, .. } => {
                self.seekers.insert(node, Some(trail));
            }
            Event::Data { .. } if self.seekers.contains_key(&node) => *self.answered.entry(node).or_default() += 1,
            Event::Data { trail, body, .. } => net.send_data(node, trail, body),
            _ => {}
        }
    }

    fn timer(&mut self, net: &mut Network, timer: Timer) {
        if let Some(Some(trail)) = self.seekers.get(&timer.node) {
            net.send_data(timer.node, *trail, Bytes::from_static(&[0; PACKET]));
            *self.sent.entry(timer.node).or_default() += 1;
        }
        net.set_timer(PACKET_EVERY, timer);
    }
}

/// Seeks for an owner, and packets to it that were answered, of all.
struct Found {
    seeks: u64,
    answered: f64,
}

/// Two seekers at one corner of a grid, two owners at the other, one of which may lie: what became of the liar's connection, and of the other.
fn talk(profile: Profile, seed: u64, lies: bool) -> [Found; 2] {
    let config = Config { router: Some(Rc::new(move |_, config| config.profile = profile)), ..Config::new(seed) };
    let mut net = Network::new(config, &Topology::grid(SIDE, SIDE));
    let last = (SIDE * SIDE - 1) as NodeId;
    let seeks: Rc<RefCell<BTreeMap<(NodeId, Address), std::collections::BTreeSet<_>>>> = Rc::default();
    let of_tap = Rc::clone(&seeks);
    net.tap = Some(Box::new(move |_, node, _, frame| {
        if let Frame::Seek { message, .. } = frame {
            of_tap.borrow_mut().entry((node, message.target())).or_default().insert(message.id());
        }
    }));
    // The seekers share all that lies between, and so do the owners' nodes.
    let (pairs, mut talks) = ([(0, last), (1, last - 1)], Talks::default());
    let mut targets: Vec<Address> = Vec::new();
    for (seeker, owner) in pairs {
        let (port, _) = net.open(seeker, 0);
        let (_, target) = net.open(owner, 0);
        targets.push(target);
        talks.seekers.insert(seeker, None);
        net.connect(seeker, port, target);
        net.set_timer(Duration::ZERO, Timer { component: 0, node: seeker, token: 0 });
    }
    if lies {
        let key = net.key(last, 0);
        net.set_behaviour(last, Some(Box::new(Liar { key })));
    }
    net.run(&mut talks, PEACE);
    seeks.borrow_mut().clear();
    net.run(&mut talks, PEACE + TIME);
    [0, 1].map(|pair| {
        let (seeker, target) = (pairs[pair].0, targets[pair]);
        let count = |of: &BTreeMap<NodeId, u64>| of.get(&seeker).copied().unwrap_or(0) as f64;
        Found {
            seeks: seeks.borrow().get(&(seeker, target)).map_or(0, |seeks| seeks.len() as u64),
            answered: count(&talks.answered) / count(&talks.sent).max(1.0),
        }
    })
}

/// Puts the figures and the verdict on a record.
pub(super) fn run(record: &mut Record, profile: Profile, seed: u64) {
    let [honest, _] = talk(profile, seed, false);
    let [liar, other] = talk(profile, seed, true);
    record.exactly("further Seeks for an owner that says the truth, in 300 s", "", honest.seeks as f64, 0.0);
    record.figure("further Seeks for an owner whose Keeps lie, in 300 s", "", liar.seeks as f64);
    record.check("the lie is believed by its own seeker", liar.seeks > honest.seeks, format!("{} Seeks", liar.seeks));
    record.exactly("further Seeks for another owner by the same relays", "", other.seeks as f64, 0.0);
    record.at_least("its packets that are answered", "", other.answered, 0.99);
}
