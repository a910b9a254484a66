//! The network of a trial: the target, its neighbours, whoever owns the address, and what all of them do anyway.

use std::{rc::Rc, time::Duration};

use mute_core::{Address, Defences, Event, Finding, Input, PortId, Role, Shape, Topic, TrailId};

use crate::{App, Config, LinkParams, Network, NodeId, Random, Timer, Topology};

/// What is asked: which of the two worlds this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum World {
    /// The target owns the address.
    Owns,
    /// The target relays to who owns it.
    Relays,
}

/// What a network of trials is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    /// What its profile adds.
    pub(super) shape: Shape,
    /// What it defends itself with.
    pub(super) defences: Defences,
    /// How addresses are found.
    pub(super) finding: Finding,
    /// How many hops the owner lies behind a target that relays.
    pub(super) behind: u32,
    /// What links are like.
    pub(super) link: LinkParams,
    /// A leak, planted to see whether the classifier finds it: an owner at the target itself takes so much longer to answer a letter.
    pub(super) plant: Duration,
    /// What the attackers do beyond asking.
    pub(super) moves: super::probes::Moves,
}

/// Honest nodes: the target and a small world around it.
pub(super) const HONEST: usize = 16;

/// Neighbours of each honest node among the honest ones.
const DEGREE: usize = 4;

/// The target.
pub(super) const TARGET: NodeId = 0;

/// An honest node whose only neighbour is the target, and who is connected to the address: so the target is one that passes on to it, if
/// not its owner. (Of one that has nothing to do with the address everybody can tell that it does not own it: no Seek follows scent there.)
const LEAF: NodeId = HONEST as NodeId;

/// The attackers' two nodes, whose only neighbour is the target: what they do elsewhere is told to them.
pub(super) const ATTACKERS: [NodeId; 2] = [LEAF + 1, LEAF + 2];

/// Connections among honest nodes: every other one is to the address in question.
const FLOWS: usize = 6;

/// They begin when the leaf is connected, which may take a second try, so long after each other.
const LEAF_FIRST: Duration = Duration::from_secs(12);
const CONNECT_GAP: Duration = Duration::from_millis(500);

/// Packets of such a connection lie so far apart.
const FLOW_GAP: Duration = Duration::from_secs(2);

/// Questions of honest nodes lie so far apart on average, in seconds.
const FLOOD_GAP: f64 = 8.0;

/// The first byte of a packet of the attackers: what the owner is to do with it.
pub(super) mod packet {
    /// Answer with a packet of the smallest class, as the streams' acknowledgements are.
    pub(in super::super) const ECHO: u8 = 0;
    /// Close the trail.
    pub(in super::super) const BYE: u8 = 1;
    /// Nothing.
    pub(in super::super) const SINK: u8 = 2;
}

/// What the smallest packet holds.
const SMALLEST: usize = mute_core::SIZE_CLASSES[0];

/// All honest nodes' applications.
pub(super) struct Life {
    owner: (NodeId, PortId),
    plant: Duration,
    random: Random,
    /// Which port is to connect to whom.
    connect: Vec<(PortId, Address)>,
    /// The seekers' ends of connections among honest nodes.
    flows: Vec<(NodeId, TrailId)>,
    ports: Vec<PortId>,
    /// Whom to answer late.
    late: Vec<Address>,
    /// Until when there are connections and questions.
    pub(super) busy_until: Duration,
}

/// What [`Life`]'s timers are for.
#[derive(Clone, Copy)]
enum Wake {
    Packet,
    Flood,
    Letter,
    Connect,
}

impl Wake {
    fn set(self, net: &mut Network, after: Duration, node: NodeId, token: u64) {
        net.set_timer(after, Timer { component: self as u16, node, token });
    }
}

impl App for Life {
    fn event(&mut self, net: &mut Network, node: NodeId, port: PortId, event: Event) {
        match event {
            Event::TrailOpened { trail, role: Role::Seeker { .. }, .. } => {
                self.flows.push((node, trail));
                Wake::Packet.set(net, FLOW_GAP, node, self.flows.len() as u64 - 1);
            }
            Event::Data { trail, body, .. } => match body.first() {
                Some(&packet::BYE) => net.input(node, Input::CloseTrail { trail }),
                Some(&packet::SINK) => {}
                _ => net.send_data(node, trail, vec![packet::SINK; SMALLEST]),
            },
            Event::Letter { from, .. } | Event::Heard { from, .. } if (node, port) == self.owner => {
                if node == TARGET && !self.plant.is_zero() {
                    self.late.push(from);
                    Wake::Letter.set(net, self.plant, node, self.late.len() as u64 - 1);
                } else {
                    net.letter(node, port, from, vec![0; 200]);
                }
            }
            _ => {}
        }
    }

    fn timer(&mut self, net: &mut Network, timer: Timer) {
        let Timer { component, node, token } = timer;
        if component == Wake::Letter as u16 {
            return net.letter(node, self.owner.1, self.late[token as usize], vec![0; 200]);
        }
        if component == Wake::Connect as u16 {
            let (port, target) = self.connect[token as usize];
            net.connect(node, port, target);
            return;
        }
        if net.clock() > self.busy_until {
            return;
        }
        if component == Wake::Packet as u16 {
            let (node, trail) = self.flows[token as usize];
            net.send_data(node, trail, vec![packet::ECHO; SMALLEST]);
            Wake::Packet.set(net, FLOW_GAP, node, token);
        } else if component == Wake::Flood as u16 {
            let asker = self.random.below(HONEST);
            let body = self.random.bits().to_be_bytes().to_vec();
            net.broadcast(asker as NodeId, self.ports[asker], Topic::of("town"), body);
            let after = Duration::from_secs_f64(self.random.exponential(FLOOD_GAP));
            Wake::Flood.set(net, after, 0, 0);
        }
    }
}

/// The topic that the owner of the address answers questions of.
pub(super) fn topic() -> Topic {
    Topic::of("two worlds")
}

/// A network at its start, its life, and the address in question.
pub(super) fn build(seed: u64, world: World, setting: &Setting) -> (Network, Life, Address) {
    let mut topology = Topology::random_regular(HONEST, DEGREE, seed);
    topology.nodes += 1 + ATTACKERS.len();
    topology.edges.push((LEAF, TARGET));
    // One of them has dialled the target, the other was dialled.
    topology.edges.extend([(ATTACKERS[0], TARGET), (TARGET, ATTACKERS[1])]);
    let (shape, finding) = ((setting.shape, setting.defences), setting.finding);
    let config = Config {
        link: setting.link,
        reshape: Some(Rc::new(move |_| shape)),
        router: Some(Rc::new(move |_, config| config.finding = finding)),
        ..Config::new(seed)
    };
    let mut net = Network::new(config, &topology);
    let mut random = Random::new(seed, "town");
    let elsewhere = behind(&topology, setting.behind);
    let owner = if world == World::Owns { TARGET } else { elsewhere };
    let ports: Vec<PortId> = (0..=LEAF).map(|node| net.open(node, 0).0).collect();
    // The address is the same in both worlds.
    let (port, key) = (PortId(net.number()), net.key(TARGET, 1));
    let address = key.address();
    net.input(owner, Input::OpenPort { port, key });
    net.input(owner, Input::Listen { port, listening: true });
    net.subscribe(owner, port, topic());
    let asked_for = !setting.moves.cold;
    if asked_for {
        net.connect(LEAF, ports[LEAF as usize], address);
    }
    let mut others: Vec<NodeId> = (1..HONEST as NodeId).filter(|node| *node != elsewhere).collect();
    random.shuffle(&mut others);
    let mut connect = Vec::new();
    for flow in 0..FLOWS {
        let (from, to) = (others[flow], others[flow + FLOWS]);
        let target = if flow % 2 == 0 && asked_for { address } else { net.address(to, 0) };
        Wake::Connect.set(&mut net, LEAF_FIRST + CONNECT_GAP * flow as u32, from, flow as u64);
        connect.push((ports[from as usize], target));
    }
    let life = Life {
        owner: (owner, port),
        plant: setting.plant,
        random,
        connect,
        flows: Vec::new(),
        ports,
        late: Vec::new(),
        busy_until: Duration::ZERO,
    };
    Wake::Flood.set(&mut net, Duration::from_millis(500), 0, 0);
    (net, life, address)
}

/// The first node that lies so many hops behind the target, or as far as there is one.
fn behind(topology: &Topology, hops: u32) -> NodeId {
    let distances = Topology::distances(&topology.neighbours(), TARGET);
    let honest = (1..HONEST as NodeId).filter_map(|node| Some((distances[node as usize]?, node)));
    honest
        .filter(|(distance, _)| *distance <= hops)
        .max_by_key(|(distance, node)| (*distance, std::cmp::Reverse(*node)))
        .map_or(1, |(_, node)| node)
}
