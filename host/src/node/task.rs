//! The node task.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use mute_core::{
    Event, Hop, Input, LinkId, NetworkId, Now, Output, PortId, Router, RouterConfig,
    neighbours::{DialFailure, NeighbourAddress, State},
    scheduler::{Ingress, Standing},
    wire::{Frame, Verified},
};
use quinn::Endpoint;
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    Command, NodeConfig, PortsStatus, StartError, Status,
    neighbours::{Admission, Neighbours, Note},
    port::{Outbox, Packet, PortCommand, PortShared, Ports},
    status::{LinkStatus, NeighbourState, NeighbourStatus},
    trails::Trails,
};
use crate::link::{
    self, Bound, CloseCode, DialError, Established, FromLink, Known, LinkEnd, LinkHandle, NodeKey, NodeSecret,
    PeerAddress, Released,
};

/// Batches from links that wait for the node: at most some 90 KB each, so 6 MB. Links wait when it is full.
const INBOX: usize = 64;

/// How much of the inbox is taken at once, before what comes of it is sent.
const TAKE: usize = 16;

/// The links that a router takes.
const MAX_LINKS: usize = 64;

/// While a queue is not nearly empty the router hears this often how full it is.
const LOAD_EVERY: Duration = Duration::from_millis(50);

/// How long neighbours may take to hear that we stop.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

/// A deadline for when there is none; tokio's clock reaches no further than some 70 years.
const FAR: Duration = Duration::from_secs(3600);

/// A link of this node.
struct Link {
    handle: LinkHandle,
    key: NodeKey,
    initiator: bool,
    /// Nobody has named it to this node: all such share at most half of a link.
    stranger: bool,
    /// What the router wants sent and is not queued yet.
    pending: Vec<(Ingress, Frame<Verified>)>,
    /// How full its queue was when the router last heard of it.
    level: u8,
}

/// The node: everything that the task owns.
pub(super) struct Node {
    key: NodeSecret,
    network: NetworkId,
    /// Messages whose signatures were checked, for all links.
    known: Known,
    started: Instant,
    endpoint: Endpoint,
    /// Tells when the socket is closed.
    released: Option<Released>,
    router: Router,
    neighbours: Neighbours,
    links: BTreeMap<LinkId, Link>,
    next_link: u64,
    /// When the router is next told of loads.
    load_due: Option<Instant>,
    ports: Arc<Ports>,
    open: BTreeMap<PortId, Arc<PortShared>>,
    trails: Trails,
    /// What closed ports have lost.
    closed_ports: PortsStatus,
    dials: JoinSet<(NodeKey, Result<Established, DialError>)>,
    to_node: mpsc::Sender<FromLink>,
    inbox: mpsc::Receiver<FromLink>,
}

/// Tells ports and their users that the node is gone, however it went.
impl Drop for Node {
    fn drop(&mut self) {
        self.ports.stop();
        for port in self.open.values() {
            port.abandon();
        }
    }
}

impl Node {
    /// Opens the socket. Must be called on a tokio runtime.
    pub(super) fn new(config: NodeConfig, ports: Arc<Ports>) -> Result<Self, StartError> {
        let started = Instant::now();
        let max_links = config.max_links.min(MAX_LINKS);
        let [mut seed, mut chances] = [[0; 32]; 2];
        getrandom::fill(&mut seed).map_err(StartError::Random)?;
        getrandom::fill(&mut chances).map_err(StartError::Random)?;
        let secrets = [*config.key.derive("mute/1 neighbours secret"), chances];
        let mut neighbours = Neighbours::new(config.key.key(), config.fixed_topology, max_links, secrets, now(started));
        for peer in config.peers {
            neighbours.add(peer, now(started))?;
        }
        for key in config.welcome {
            neighbours.welcome(key, now(started))?;
        }
        let router = RouterConfig {
            profile: config.profile,
            no_route_after: config.no_route_after,
            heard_until: config.heard_until,
            ..RouterConfig::new(config.network, seed, *config.key.derive("mute/1 router secret"))
        };
        let known = Known::new(config.network, *config.key.derive("mute/1 known messages"));
        let (to_node, inbox) = mpsc::channel(INBOX);
        let Bound { endpoint, released } = link::bind(&config.key, config.listen)?;
        Ok(Self {
            endpoint,
            released: Some(released),
            key: config.key,
            network: config.network,
            known,
            started,
            router: Router::new(router, now(started)),
            neighbours,
            links: BTreeMap::new(),
            next_link: 0,
            load_due: None,
            ports,
            open: BTreeMap::new(),
            trails: Trails::default(),
            closed_ports: PortsStatus::default(),
            dials: JoinSet::new(),
            to_node,
            inbox,
        })
    }

    /// Runs until it is told to stop, or nobody is left who could tell it anything.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Command>) {
        let accepting = tokio::spawn(link::accept(self.endpoint.clone(), self.network, self.to_node.clone()));
        let ports = Arc::clone(&self.ports);
        let mut batches = Vec::with_capacity(TAKE);
        let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
        // Whether all handles are gone, so that only ports can still want something.
        let mut orphaned = false;
        let stopped = loop {
            if orphaned {
                self.hear_ports();
                if self.open.is_empty() {
                    break None;
                }
            }
            let deadline = self.settle();
            if timer.deadline() != deadline.into() {
                timer.as_mut().reset(deadline.into());
            }
            tokio::select! {
                _ = self.inbox.recv_many(&mut batches, TAKE) => {
                    for batch in batches.drain(..) {
                        self.hear_link(batch);
                    }
                }
                () = ports.rung() => self.hear_ports(),
                request = requests.recv(), if !orphaned => match request {
                    Some(Command::Stop(done)) => break Some(done),
                    Some(request) => self.request(request),
                    None => orphaned = true,
                },
                Some(dialled) = self.dials.join_next() => match dialled {
                    Ok((key, outcome)) => self.dialled(key, outcome),
                    Err(error) => tracing::error!(%error, "an attempt to dial has failed"),
                },
                () = &mut timer => {}
            }
        };
        accepting.abort();
        self.dials.shutdown().await;
        self.leave().await;
        let released = self.released.take();
        drop(self);
        if let Some(released) = released {
            released.wait(LEAVE_TIMEOUT).await;
        }
        if let Some(done) = stopped {
            // Fails only if nobody waits any more.
            let _ = done.send(());
        }
    }

    /// Does what is due, hands out what the router wants done and returns when something is due next.
    fn settle(&mut self) -> Instant {
        let at = Instant::now();
        let now = now(self.started);
        if self.router.next_deadline().is_some_and(|deadline| deadline <= now.instant) {
            self.router.tick(now);
        }
        self.hand_out();
        self.flush(now);
        self.report_loads(at, now);
        for peer in self.neighbours.due(now) {
            self.dial(peer);
        }
        let on_clock = |deadline: mute_core::Instant| self.started.checked_add(deadline.since_origin());
        let router = self.router.next_deadline().and_then(on_clock);
        let deadlines = [router, self.neighbours.next_deadline().and_then(on_clock), self.load_due];
        deadlines.into_iter().flatten().fold(at + FAR, Instant::min)
    }

    /// Gives the router an input and hands out what comes of it.
    fn handle(&mut self, input: Input, now: Now) {
        self.router.handle(input, now);
        self.hand_out();
    }

    fn hand_out(&mut self) {
        while let Some(output) = self.router.poll() {
            match output {
                Output::Send { link, ingress, frame } => {
                    let ingress = self.ingress(ingress);
                    if let Some(link) = self.links.get_mut(&link) {
                        link.pending.push((ingress, frame));
                    }
                }
                Output::Event { port, event } => self.event(port, event),
                Output::Violation { link, violation } => {
                    self.end_link(link, CloseCode::Violation(violation), LinkEnd::Violation(violation));
                }
            }
        }
    }

    /// How what comes from a hop is treated in queues.
    fn ingress(&self, hop: Hop) -> Ingress {
        let stranger = match hop {
            Hop::Link(link) => self.links.get(&link).is_some_and(|link| link.stranger),
            Hop::Port(_) => false,
        };
        Ingress { hop, standing: Standing { stranger, ..Standing::default() } }
    }

    /// Puts what the router wants sent into the queues: each is locked, and its writer woken, once.
    fn flush(&mut self, now: Now) {
        for (id, link) in &mut self.links {
            if !link.pending.is_empty() {
                let level = link.handle.queue(&mut link.pending);
                if level != std::mem::replace(&mut link.level, level) {
                    self.router.handle(Input::Load { link: *id, level }, now);
                }
            }
        }
    }

    /// Tells the router how full the queues are that were not nearly empty.
    fn report_loads(&mut self, at: Instant, now: Now) {
        if self.load_due.is_some_and(|due| due <= at) {
            self.load_due = None;
            for (id, link) in &mut self.links {
                let level = link.handle.level();
                if level != std::mem::replace(&mut link.level, level) {
                    self.router.handle(Input::Load { link: *id, level }, now);
                }
            }
        }
        if self.load_due.is_none() && self.links.values().any(|link| link.level > 0) {
            self.load_due = Some(at + LOAD_EVERY);
        }
    }

    /// Something for an identity.
    fn event(&mut self, port: PortId, event: Event) {
        let Some(shared) = self.open.get(&port) else {
            return;
        };
        match &event {
            Event::TrailOpened { trail, .. } => self.trails.open(*trail, Arc::clone(shared)),
            Event::TrailClosed { trail, .. } => self.trails.close(*trail),
            _ => {}
        }
        if let Event::Data { trail, ecn, body } = event {
            return self.trails.deliver(trail, Packet { ecn, body });
        }
        if shared.deliver(event).is_err() {
            tracing::warn!("an identity reads nothing of what it is told: it is closed");
            self.closed_ports.stuck += 1;
            self.close_port(port);
        }
    }

    fn hear_link(&mut self, news: FromLink) {
        match news {
            FromLink::Frames { link, frames } => {
                let now = now(self.started);
                for frame in frames {
                    self.handle(Input::Frame { link, frame }, now);
                }
                self.flush(now);
            }
            FromLink::Established(established) => self.established(established),
            FromLink::Down { link, end } => self.link_down(link, end),
        }
    }

    /// A connection has come up: keeps it or closes it.
    fn established(&mut self, established: Established) {
        let now = now(self.started);
        let (key, initiator) = (established.key, established.dialled);
        let from = NeighbourAddress::at(established.connection.remote_address());
        let id = LinkId(self.next_link);
        self.next_link += 1;
        let (stranger, closes) = match self.neighbours.admit(key, from, id, initiator, now) {
            Admission::Keep { stranger, closes } => (stranger, closes),
            Admission::Refuse(code) => return established.connection.close(code.code().into(), b""),
        };
        for (old, code) in closes {
            if let Some(gone) = self.drop_link(old, code).filter(|gone| gone.key != key) {
                self.neighbours.gave_way(gone.key, now);
            }
        }
        let handle = link::spawn(id, established, self.known.clone(), self.to_node.clone());
        self.links.insert(id, Link { handle, key, initiator, stranger, pending: Vec::new(), level: 0 });
        let neighbour = self.key.neighbour_id(key);
        self.handle(Input::LinkUp { link: id, neighbour, initiator }, now);
        tracing::info!(links = self.links.len(), "a link is up");
    }

    /// A link has ended by itself.
    fn link_down(&mut self, id: LinkId, end: LinkEnd) {
        let code = match end {
            LinkEnd::Violation(violation) => CloseCode::Violation(violation),
            _ => CloseCode::GoingAway,
        };
        self.end_link(id, code, end);
    }

    /// Ends a link, if it has not ended already, and remembers why.
    fn end_link(&mut self, id: LinkId, code: CloseCode, end: LinkEnd) {
        let Some(link) = self.drop_link(id, code) else {
            return;
        };
        let offence = matches!(end, LinkEnd::Violation(_) | LinkEnd::Quic);
        self.neighbours.down(link.key, id, end.to_string(), offence, now(self.started));
        tracing::info!(reason = %end, links = self.links.len(), "a link has ended");
    }

    /// Closes a link and tells the router.
    fn drop_link(&mut self, id: LinkId, code: CloseCode) -> Option<Link> {
        let link = self.links.remove(&id)?;
        link.handle.close(code);
        self.handle(Input::LinkDown { link: id }, now(self.started));
        Some(link)
    }

    fn dial(&mut self, peer: PeerAddress) {
        let (endpoint, secret, network) = (self.endpoint.clone(), self.key.clone(), self.network);
        self.dials.spawn(async move { (peer.key, link::dial(&endpoint, &secret, network, &peer).await) });
    }

    fn dialled(&mut self, key: NodeKey, outcome: Result<Established, DialError>) {
        match outcome {
            Ok(established) => self.established(established),
            Err(error) => {
                tracing::debug!(%error, "an attempt to dial came to nothing");
                let failure = match error {
                    DialError::Identity => DialFailure::Impostor,
                    DialError::Refused(_) => DialFailure::Refused,
                    _ => DialFailure::Unreachable,
                };
                self.neighbours.dial_failed(key, failure, error.to_string(), now(self.started));
            }
        }
    }

    /// Takes what ports have said: commands first, then packets.
    fn hear_ports(&mut self) {
        let mut said = Outbox::default();
        for port in self.ports.take_ready() {
            port.take(&mut said);
            let now = now(self.started);
            for command in said.commands.drain(..) {
                self.port_command(&port, command, now);
            }
            for (trail, Packet { ecn, body }) in said.packets.drain(..) {
                self.handle(Input::Data { trail, ecn, body }, now);
            }
        }
    }

    fn port_command(&mut self, shared: &Arc<PortShared>, command: PortCommand, now: Now) {
        let port = shared.id;
        let input = match command {
            PortCommand::Open(key, events) => {
                tokio::spawn(Arc::clone(shared).carry(events));
                self.open.insert(port, Arc::clone(shared));
                Input::OpenPort { port, key }
            }
            PortCommand::Listen(listening) => Input::Listen { port, listening },
            PortCommand::Subscribe(topic) => Input::Subscribe { port, topic },
            PortCommand::Unsubscribe(topic) => Input::Unsubscribe { port, topic },
            PortCommand::Broadcast(topic, body) => Input::Broadcast { port, topic, body },
            PortCommand::Letter(to, sealed) => Input::Letter { port, to, sealed },
            PortCommand::Connect(connection, target) => Input::Connect { port, connection, target },
            PortCommand::Disconnect(connection) => Input::Disconnect { connection },
            PortCommand::CloseTrail(trail) => {
                self.trails.close(trail);
                Input::CloseTrail { trail }
            }
            PortCommand::RoutePackets(trail, to) => return self.trails.route(trail, shared, to),
            PortCommand::Close => return self.close_port(port),
        };
        self.handle(input, now);
    }

    fn close_port(&mut self, port: PortId) {
        let Some(shared) = self.open.remove(&port) else {
            return;
        };
        shared.close();
        self.trails.close_port(&shared);
        self.closed_ports.lost_messages += shared.lost_messages.load(Ordering::Relaxed);
        self.closed_ports.lost_packets += shared.lost_packets.load(Ordering::Relaxed);
        self.handle(Input::ClosePort { port }, now(self.started));
    }

    fn request(&mut self, request: Command) {
        // Replies fail only if nobody waits for them any more.
        match request {
            Command::Status(reply) => drop(reply.send(self.status())),
            Command::AddPeer(peer, reply) => drop(reply.send(self.neighbours.add(peer, now(self.started)))),
            Command::RemovePeer(key, reply) => {
                let removed = self.neighbours.remove(key);
                if let Some(Some(link)) = removed {
                    self.drop_link(link, CloseCode::NotWelcome);
                }
                let _ = reply.send(removed.is_some());
            }
            // Taken by the caller, which stops.
            Command::Stop(_) => {}
        }
    }

    /// Closes trails, then links, then the socket; waits a moment for the neighbours to hear it.
    async fn leave(&mut self) {
        let ports: Vec<_> = self.open.keys().copied().collect();
        for port in ports {
            self.close_port(port);
        }
        self.settle();
        for link in self.links.values() {
            link.handle.finish();
        }
        let until = tokio::time::Instant::now() + LEAVE_TIMEOUT;
        while !self.links.is_empty() {
            match tokio::time::timeout_at(until, self.inbox.recv()).await {
                Ok(Some(FromLink::Down { link, .. })) => drop(self.links.remove(&link)),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
        self.endpoint.close(CloseCode::GoingAway.code().into(), b"");
        // The socket is closed in any case when the last of it is dropped.
        let _ = tokio::time::timeout(LEAVE_TIMEOUT, self.endpoint.wait_idle()).await;
    }

    fn status(&self) -> Status {
        let mut ports = PortsStatus { open: self.open.len() as u64, ..self.closed_ports };
        for port in self.open.values() {
            ports.lost_messages += port.lost_messages.load(Ordering::Relaxed);
            ports.lost_packets += port.lost_packets.load(Ordering::Relaxed);
        }
        let unbound = ([0, 0, 0, 0], 0).into();
        Status {
            key: self.key.key(),
            network: self.network.0.iter().map(|byte| format!("{byte:02x}")).collect(),
            // A socket that is bound has an address.
            listen: self.endpoint.local_addr().unwrap_or(unbound),
            uptime_s: self.started.elapsed().as_secs(),
            neighbours: self.neighbour_statuses(now(self.started)),
            remotes: self.links.values().map(|link| link.handle.remote_address()).collect(),
            router: self.router.counters(),
            ports,
        }
    }

    fn neighbour_statuses(&self, now: Now) -> Vec<NeighbourStatus> {
        let status = |(key, state, note): (NodeKey, State, &Note)| NeighbourStatus {
            key,
            dialled_at: note.peer.as_ref().map(PeerAddress::place),
            state: match state {
                State::Up { .. } => NeighbourState::Up,
                State::Banned(_) => NeighbourState::Banned,
                State::Dialling => NeighbourState::Dialling,
                State::Waiting(_) => NeighbourState::BackingOff,
                State::Down => NeighbourState::Down,
            },
            since_s: now.instant.saturating_since(note.since).as_secs(),
            last_end: note.last_end.clone(),
            link: match state {
                State::Up { link, .. } => self.links.get(&link).map(link_status),
                _ => None,
            },
        };
        self.neighbours.iter(now).map(status).collect()
    }
}

fn link_status(link: &Link) -> LinkStatus {
    LinkStatus {
        initiator: link.initiator,
        remote: link.handle.remote_address(),
        round_trip_us: u64::try_from(link.handle.round_trip().as_micros()).unwrap_or(u64::MAX),
        queued_bytes: link.handle.queued_bytes() as u64,
        counters: link.handle.counters(),
    }
}

/// The time for the router, whose clock starts with the node. A wall clock before 1970 counts as 1970.
fn now(started: Instant) -> Now {
    Now {
        instant: mute_core::Instant::from_origin(started.elapsed()),
        unix_s: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
    }
}
