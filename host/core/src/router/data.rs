//! The fast path: Data follows its label. One look-up a frame, no allocation, no signature; scent is not touched.

use bytes::Bytes;

use super::{
    Event, Hop, Output, Role, Router,
    delays::Matter,
    limits::MAX_OUTPUTS,
    ports::Port,
    trails::{BindingId, Side, Towards},
};
use crate::{
    Ecn, IdentityKey, Label, LinkId, PortId, TrailId, Violation,
    wire::{Frame, MAX_DATA_BODY},
};

/// What to do with Data that comes on a label.
pub(super) struct Route {
    pub(super) binding: BindingId,
    /// The end that it comes from.
    pub(super) end: Towards,
    to: Side,
    /// How much came.
    pub(super) packets: u64,
}

impl Route {
    pub(super) fn new(binding: BindingId, end: Towards, to: Side) -> Self {
        Self { binding, end, to, packets: 0 }
    }
}

#[cfg(any(feature = "fuzzing", feature = "simulation"))]
impl Route {
    pub(super) fn to(&self) -> Side {
        self.to
    }
}

/// An end of a trail at a port.
pub(super) struct End {
    pub(super) port: PortId,
    pub(super) binding: BindingId,
    pub(super) to: Side,
    pub(super) role: Role,
    /// Packets that went out.
    pub(super) sent: u64,
    /// Packets that its port has heard, where its route does not count them: from another port of this node, or by a port that waits.
    pub(super) heard: u64,
    /// An owner's first packet could overtake the Trail, so it waits for one from the seeker.
    pub(super) may_send: bool,
    /// Signs this end's Keeps; an owner's are signed by the port's own key.
    pub(super) key: Option<IdentityKey>,
    /// How many Keeps it sent.
    pub(super) keeps: u32,
    /// The hop whose share of a port's trails it takes.
    pub(super) charged: Option<Hop>,
    /// Its port has no use for it, and knows nothing of it.
    pub(super) unwanted: bool,
}

impl End {
    pub(super) fn new(port: PortId, binding: BindingId, to: Side, role: Role, key: Option<IdentityKey>) -> Self {
        Self {
            port,
            binding,
            to,
            role,
            sent: 0,
            heard: 0,
            may_send: role != Role::Owner,
            key,
            keeps: 0,
            charged: None,
            unwanted: false,
        }
    }
}

impl Router {
    pub(super) fn data_from_link(&mut self, link: LinkId, label: Label, ecn: Ecn, body: Bytes) {
        if !self.waits.shape.allows(body.len()) {
            // An honest neighbour passes on only what it would let in itself.
            return self.violation(link, Violation::DataSize);
        }
        let Some(route) = self.routes.get_mut(&(link, label)) else {
            self.counters.drops.unknown_label += 1;
            return self.answer_close(link, label);
        };
        let (to, first) = (route.to, route.packets == 0);
        route.packets += 1;
        if self.outputs.len() >= MAX_OUTPUTS {
            self.counters.drops.full += 1;
            return;
        }
        let bytes = body.len() as u64;
        match to {
            Side::Link { link: next, label } => {
                self.counters.data.relayed += 1;
                self.counters.data_bytes.relayed += bytes;
                let frame = Frame::Data { label, ecn, body };
                self.outputs.push_back(Output::Send { link: next, ingress: Hop::Link(link), frame });
            }
            Side::Port { port, trail } => {
                self.counters.data.delivered += 1;
                self.counters.data_bytes.delivered += bytes;
                self.tell(port, Hop::Link(link), Matter::Packet, Event::Data { trail, ecn, body });
            }
        }
        if first {
            self.first_packet(link, label);
        }
    }

    pub(super) fn data_from_port(&mut self, trail: TrailId, ecn: Ecn, body: Bytes) {
        if body.is_empty() || body.len() > MAX_DATA_BODY || !self.waits.shape.allows(body.len()) {
            self.counters.drops.invalid += 1;
            return;
        }
        let Some(end) = self.ends.get_mut(&trail) else {
            self.counters.drops.unknown_label += 1;
            return;
        };
        if !end.may_send {
            self.counters.drops.early += 1;
            return;
        }
        if self.outputs.len() >= MAX_OUTPUTS {
            self.counters.drops.full += 1;
            return;
        }
        end.sent += 1;
        let (to, ingress) = (end.to, Hop::Port(end.port));
        let bytes = body.len() as u64;
        match to {
            Side::Link { link, label } => {
                self.counters.data.sent += 1;
                self.counters.data_bytes.sent += bytes;
                self.outputs.push_back(Output::Send { link, ingress, frame: Frame::Data { label, ecn, body } });
            }
            Side::Port { port, trail } => {
                self.counters.data.delivered += 1;
                self.counters.data_bytes.delivered += bytes;
                self.arrived_here(trail);
                self.tell(port, ingress, Matter::Packet, Event::Data { trail, ecn, body });
            }
        }
    }

    /// The first packet on a label. From the seeker it proves that the whole trail is bound: it needs no further hop, and its owner may send.
    fn first_packet(&mut self, link: LinkId, label: Label) {
        let Some(route) = self.routes.get(&(link, label)) else {
            return;
        };
        if route.end == Towards::Seeker {
            self.confirm(route.binding);
        }
    }

    /// Something came from the seeker's side of a trail.
    pub(super) fn confirm(&mut self, binding: BindingId) {
        let Some(binding) = self.bindings.get_mut(&binding) else {
            return;
        };
        binding.offer = None;
        if let Side::Port { trail, .. } = binding.end(Towards::Owner).side {
            self.let_send(trail);
        }
    }

    /// A packet from another port of this node.
    fn arrived_here(&mut self, trail: TrailId) {
        let Some(end) = self.ends.get_mut(&trail) else {
            return;
        };
        if !self.ports.get(&end.port).is_some_and(Port::waits) {
            end.heard += 1;
        }
        if !end.may_send {
            self.let_send(trail);
        }
    }

    /// A packet that waited has reached its port.
    pub(super) fn count_heard(&mut self, trail: TrailId) {
        if let Some(end) = self.ends.get_mut(&trail) {
            end.heard += 1;
        }
    }

    /// An owner's end may send from now on.
    fn let_send(&mut self, trail: TrailId) {
        let Some(end) = self.ends.get_mut(&trail) else {
            return;
        };
        end.may_send = true;
    }

    /// What comes from the owner's side goes to another side now.
    pub(super) fn redirect(&mut self, owner: Side, seeker: Side) {
        match owner {
            Side::Link { link, label } => {
                if let Some(route) = self.routes.get_mut(&(link, label)) {
                    route.to = seeker;
                }
            }
            Side::Port { trail, .. } => {
                if let Some(end) = self.ends.get_mut(&trail) {
                    end.to = seeker;
                }
            }
        }
    }

    /// The packets that arrived at an end.
    pub(super) fn received(&self, end: &End) -> u64 {
        match end.to {
            Side::Link { link, label } if !self.ports.get(&end.port).is_some_and(Port::waits) => {
                self.routes.get(&(link, label)).map_or(0, |route| route.packets)
            }
            _ => end.heard,
        }
    }
}
