//! Neighbours, as far as routing knows them.

use super::{
    Close, Hop, Output, Router,
    budget::{Budgets, CloseLimit},
    limits::MAX_LINKS,
    seen::HopNumber,
    shares::Shares,
    trails::{BindingId, Side},
};
use crate::{Instant, Label, LinkId, NeighbourId, Violation, wire::Frame};

/// A neighbour.
pub(super) struct Link {
    pub(super) number: HopNumber,
    /// Whose it is.
    pub(super) neighbour: NeighbourId,
    /// Whether this node dialled: the lowest bit of the labels that it chooses.
    pub(super) initiator: bool,
    /// How full the queue towards it is, 0 to 3.
    pub(super) load: u8,
    pub(super) budgets: Budgets,
    pub(super) closes: CloseLimit,
    /// Trails under labels of its choice, by where their other sides lie.
    pub(super) theirs: Shares<BindingId>,
    /// Trails under labels of ours, by the same.
    pub(super) ours: Shares<BindingId>,
}

impl Link {
    pub(super) fn new(number: HopNumber, neighbour: NeighbourId, initiator: bool, now: Instant) -> Self {
        Self {
            number,
            neighbour,
            initiator,
            load: 0,
            budgets: Budgets::new(now),
            closes: CloseLimit::new(now),
            theirs: Shares::default(),
            ours: Shares::default(),
        }
    }

    /// Whether a label that the neighbour sent says that the neighbour chose it.
    pub(super) fn may_be_theirs(&self, label: Label) -> bool {
        (label.0 & 1 == 1) != self.initiator
    }
}

impl Router {
    pub(super) fn link_up(&mut self, link: LinkId, neighbour: NeighbourId, initiator: bool) {
        if self.links.len() < MAX_LINKS && !self.links.contains_key(&link) {
            let number = self.number_hop(Hop::Link(link));
            self.links.insert(link, Link::new(number, neighbour, initiator, self.now.instant));
            if self.links.len() == 1 {
                let ports: Vec<_> = self.ports.keys().copied().collect();
                ports.into_iter().for_each(|port| self.walk_soon(port));
            }
            self.hasten_connections();
        }
    }

    pub(super) fn link_down(&mut self, link: LinkId) {
        let Some(gone) = self.links.remove(&link) else {
            return;
        };
        self.numbers.remove(&gone.number);
        self.scent.forget_hop(Hop::Link(link), self.now.instant);
        for id in self.bindings_at(|side| matches!(side, Side::Link { link: at, .. } if *at == link)) {
            self.break_from(id, |side| matches!(side, Side::Link { link: at, .. } if *at == link), Close::LinkLost);
        }
        self.forget_lost_seeks();
        self.hidden_lost(link);
    }

    pub(super) fn load(&mut self, link: LinkId, level: u8) {
        if let Some(link) = self.links.get_mut(&link) {
            link.load = level.min(3);
        }
    }

    /// The neighbour broke the protocol: it is told with a code, and its link is gone.
    pub(super) fn violation(&mut self, link: LinkId, violation: Violation) {
        self.counters.violations += 1;
        self.outputs.push_back(Output::Violation { link, violation });
        self.link_down(link);
    }

    /// Answers something on a label that names nothing.
    pub(super) fn answer_close(&mut self, link: LinkId, label: Label) {
        let now = self.now.instant;
        let Some(neighbour) = self.links.get_mut(&link) else {
            return;
        };
        if neighbour.closes.may_answer(label, now) {
            self.send_close(link, label, Hop::Link(link));
        } else {
            self.counters.closes_held += 1;
        }
    }

    /// Closes a label that names a trail.
    pub(super) fn close_label(&mut self, link: LinkId, label: Label, ingress: Hop) {
        let now = self.now.instant;
        if let Some(neighbour) = self.links.get_mut(&link) {
            neighbour.closes.closed(label, now);
            self.send_close(link, label, ingress);
        }
    }

    fn send_close(&mut self, link: LinkId, label: Label, ingress: Hop) {
        self.counters.closes_sent += 1;
        self.send(link, ingress, Frame::Close { label });
    }

    /// A number for a new hop: the next that none has. (There are far fewer links and ports than numbers.)
    pub(super) fn number_hop(&mut self, hop: Hop) -> HopNumber {
        while self.numbers.contains_key(&self.next_hop) {
            self.next_hop = self.next_hop.wrapping_add(1);
        }
        let number = self.next_hop;
        self.next_hop = number.wrapping_add(1);
        self.numbers.insert(number, hop);
        number
    }

    /// Whose number this is, if it is there yet.
    pub(super) fn hop_of(&self, number: HopNumber) -> Option<Hop> {
        self.numbers.get(&number).copied()
    }

    pub(super) fn hop_number(&self, hop: Hop) -> Option<HopNumber> {
        match hop {
            Hop::Link(link) => self.links.get(&link).map(|link| link.number),
            Hop::Port(port) => self.ports.get(&port).map(|port| port.number),
        }
    }

    pub(super) fn budgets(&mut self, hop: Hop) -> Option<&mut Budgets> {
        match hop {
            Hop::Link(link) => self.links.get_mut(&link).map(|link| &mut link.budgets),
            Hop::Port(port) => self.ports.get_mut(&port).map(|port| &mut port.budgets),
        }
    }
}
