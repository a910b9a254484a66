//! How routers are driven: as the daemon's node task does it.

use mute_core::{
    Event, Hop, Input, LinkId, Output, PortId,
    wire::{Decoded, Frame, LENGTH_PREFIX, Unverified, Verified, decode_frame},
};

use super::{Act, NETWORK, Network, Pending, Signatures, nanos};
use crate::{
    app::NodeId,
    events::{Nanos, What},
    link::{link_id, parts},
};

impl Network {
    /// Gives a node's router an input, and does what comes of it.
    pub fn input(&mut self, node: NodeId, input: Input) {
        let now = self.now();
        if let Some(router) = self.nodes.get_mut(node as usize).and_then(|node| node.router.as_mut()) {
            router.handle(input, now);
            self.drain(node);
        }
    }

    /// The first frame on a half arrives.
    pub(super) fn arrive(&mut self, at: u32) {
        let half = &mut self.halves[at as usize];
        // Otherwise the link went down, and came up again, since this was set.
        let Some((bytes, frame, next)) = self.flights.pop(half, self.clock) else {
            return;
        };
        half.counters.arrived += u64::from(bytes);
        if let Some(next) = next {
            self.events.push(next, What::Arrive { half: at });
        }
        let edge = &self.edges[at as usize / 2];
        let node = edge.ends[1 - at as usize % 2];
        let link = link_id(at ^ 1, edge.generation);
        self.intercept(node, link, frame);
    }

    /// A frame has arrived: past the node's behaviour to its router.
    fn intercept(&mut self, node: NodeId, link: LinkId, frame: Frame<Verified>) {
        let Some(mut behaviour) = self.nodes[node as usize].behaviour.take() else {
            return self.deliver(node, link, frame);
        };
        let frame = behaviour.inbound(self, node, link, frame);
        self.nodes[node as usize].behaviour.get_or_insert(behaviour);
        if let Some(frame) = frame {
            self.deliver(node, link, frame);
        }
    }

    /// Gives a frame to a node's router as if it came over a link of the node now, past any behaviour.
    pub fn deliver(&mut self, node: NodeId, link: LinkId, frame: Frame<Verified>) {
        self.stats.frames += 1;
        let frame = match self.config.signatures {
            Signatures::Stub => frame,
            Signatures::Real => {
                let mut bytes = bytes::BytesMut::with_capacity(frame.encoded_len());
                frame.write_header(&mut bytes);
                bytes.extend_from_slice(&frame.body());
                return self.deliver_bytes(node, link, bytes.freeze().slice(LENGTH_PREFIX..));
            }
        };
        self.input(node, Input::Frame { link, frame });
    }

    /// Gives a node what came as the bytes of one frame, without its length: they are read and verified as a link does, and what is wrong with
    /// them costs the neighbour its link.
    pub fn deliver_bytes(&mut self, node: NodeId, link: LinkId, bytes: bytes::Bytes) {
        let verify = |frame: Frame<Unverified>| match self.config.signatures {
            Signatures::Stub => frame.verify_stub(NETWORK),
            Signatures::Real => frame.verify(NETWORK),
        };
        match decode_frame(bytes) {
            Ok(Decoded::Frame(frame)) => match verify(frame) {
                Ok(frame) => self.input(node, Input::Frame { link, frame }),
                Err(_) => self.accuse(node, link),
            },
            Ok(Decoded::Link(_) | Decoded::Unknown) => {}
            Err(_) => self.accuse(node, link),
        }
    }

    /// [`Self::deliver`], later. What is still to come when the link goes down is lost.
    pub fn deliver_after(&mut self, after: std::time::Duration, node: NodeId, link: LinkId, frame: Frame<Verified>) {
        self.act_after(after, Act::Deliver { node, link, frame });
    }

    /// [`Self::transmit`], later.
    pub fn transmit_after(&mut self, after: std::time::Duration, node: NodeId, link: LinkId, frame: Frame<Verified>) {
        self.act_after(after, Act::Transmit { node, link, frame });
    }

    fn act_after(&mut self, after: std::time::Duration, act: Act) {
        let place = match self.free_acts.pop() {
            Some(place) => {
                self.acts[place as usize] = Some(act);
                place
            }
            None => {
                self.acts.push(Some(act));
                self.acts.len() as u32 - 1
            }
        };
        self.events.push(self.clock + nanos(after), What::Act { place });
    }

    pub(super) fn act(&mut self, place: u32) {
        self.free_acts.push(place);
        match self.acts[place as usize].take() {
            Some(Act::Transmit { node, link, frame }) => self.transmit(node, link, Hop::Link(link), frame),
            Some(Act::Deliver { node, link, frame }) => {
                let (half, generation) = parts(link);
                if self.edges[half as usize / 2].up && self.edges[half as usize / 2].generation == generation {
                    self.deliver(node, link, frame);
                }
            }
            None => {}
        }
    }

    pub(super) fn behaviour_timer(&mut self, node: NodeId, token: u64) {
        if let Some(mut behaviour) = self.nodes[node as usize].behaviour.take() {
            behaviour.timer(self, node, token);
            self.nodes[node as usize].behaviour.get_or_insert(behaviour);
        }
    }

    /// A node's router may be due.
    pub(super) fn tick(&mut self, node: NodeId) {
        let now = self.now();
        let at = &mut self.nodes[node as usize];
        if at.tick_at != self.clock {
            return;
        }
        at.tick_at = Nanos::MAX;
        let Some(router) = &mut at.router else {
            return;
        };
        if router.next_deadline().is_some_and(|deadline| deadline <= now.instant) {
            self.stats.ticks += 1;
            router.tick(now);
        }
        self.drain(node);
    }

    /// Does what a router wants done, and sees to it that it is woken.
    pub(super) fn drain(&mut self, node: NodeId) {
        while let Some(output) = self.nodes[node as usize].router.as_mut().and_then(|router| router.poll()) {
            match output {
                Output::Send { link, ingress, frame } => self.send(node, link, ingress, frame),
                Output::Event { port, event } => self.port_event(node, port, event),
                Output::Violation { link, .. } => self.accuse(node, link),
            }
        }
        let at = &mut self.nodes[node as usize];
        let deadline = at.router.as_ref().and_then(|router| router.next_deadline());
        if let Some(deadline) = deadline {
            let due = nanos(deadline.since_origin()).max(self.clock);
            // One that is set for earlier will find that it is not due, and be set anew.
            if due < at.tick_at {
                at.tick_at = due;
                self.events.push(due, What::Tick { node });
            }
        }
    }

    fn send(&mut self, node: NodeId, link: LinkId, ingress: Hop, frame: Frame<Verified>) {
        let Some(mut behaviour) = self.nodes[node as usize].behaviour.take() else {
            return self.transmit(node, link, ingress, frame);
        };
        let frame = behaviour.outbound(self, node, link, ingress, frame);
        self.nodes[node as usize].behaviour.get_or_insert(behaviour);
        if let Some(frame) = frame {
            self.transmit(node, link, ingress, frame);
        }
    }

    fn port_event(&mut self, node: NodeId, port: PortId, event: Event) {
        if let Some(trace) = &mut self.trace {
            trace.update(format!("{} {node} {} {event:?}", self.clock, port.0).as_bytes());
        }
        let incarnation = self.nodes[node as usize].incarnation;
        self.checks.learned(node, incarnation, port, &event);
        self.pending.push_back(Pending::Event { node, port, event });
    }

    /// A router says that a neighbour broke the protocol: the link is closed.
    fn accuse(&mut self, node: NodeId, link: LinkId) {
        self.stats.violations += 1;
        let (half, generation) = parts(link);
        let edge = &self.edges[half as usize / 2];
        let honest = edge.ends.iter().all(|end| self.nodes[*end as usize].behaviour.is_none());
        if honest {
            self.checks.fail(format!("node {node} accuses an honest neighbour at {:?}", self.clock()));
        }
        if edge.up && edge.generation == generation {
            self.link_down(half as usize / 2);
        }
    }
}
