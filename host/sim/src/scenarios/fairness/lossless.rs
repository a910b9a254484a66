//! A control: a network that loses nothing, since every node sends on only what the next has room for.
//!
//! Each node has places for a few packets of others. A packet leaves when the next node has one, and gives up its own when it does. A ring of full nodes then waits
//! for ever; that is why MUTE's queues drop, and give no credit over routes.

use std::{cell::RefCell, collections::VecDeque, rc::Rc, time::Duration};

use mute_core::{
    Hop, LinkId,
    wire::{Frame, Verified},
};

use crate::{Behaviour, Network, NodeId, QueueKind};

/// Under the credits nothing is ever dropped.
pub(super) const QUEUE: QueueKind = QueueKind::Fifo { mark: usize::MAX, limit: usize::MAX };

/// Places of a node for others' packets.
const PLACES: usize = 8;

/// How often a node that waits looks for a place.
const POLL: Duration = Duration::from_millis(20);

/// The free places of all nodes.
type Places = Rc<RefCell<Vec<usize>>>;

struct Credit {
    places: Places,
    waiting: VecDeque<(LinkId, NodeId, Hop, Frame<Verified>)>,
    polls: bool,
}

/// Puts credits around all nodes.
pub(super) fn around_all(net: &mut Network) {
    let places: Places = Rc::new(RefCell::new(vec![PLACES; net.len()]));
    for node in 0..net.len() as NodeId {
        let credit = Credit { places: places.clone(), waiting: VecDeque::new(), polls: false };
        net.set_behaviour(node, Some(Box::new(credit)));
    }
}

impl Credit {
    /// Takes a place at the next node, and leaves the one here if it had one.
    fn moves(&self, node: NodeId, next: NodeId, ingress: Hop) -> bool {
        let mut places = self.places.borrow_mut();
        if places[next as usize] == 0 {
            return false;
        }
        places[next as usize] -= 1;
        if matches!(ingress, Hop::Link(_)) {
            places[node as usize] += 1;
        }
        true
    }
}

impl Behaviour for Credit {
    /// A packet that has come is at its end or goes on at once, so its place is free until [`Self::outbound`] takes it again.
    fn inbound(
        &mut self,
        _net: &mut Network,
        node: NodeId,
        _link: LinkId,
        frame: Frame<Verified>,
    ) -> Option<Frame<Verified>> {
        if matches!(frame, Frame::Data { .. }) {
            self.places.borrow_mut()[node as usize] += 1;
        }
        Some(frame)
    }

    fn outbound(
        &mut self,
        net: &mut Network,
        node: NodeId,
        link: LinkId,
        ingress: Hop,
        frame: Frame<Verified>,
    ) -> Option<Frame<Verified>> {
        if !matches!(frame, Frame::Data { .. }) {
            return Some(frame);
        }
        if matches!(ingress, Hop::Link(_)) {
            self.places.borrow_mut()[node as usize] -= 1;
        }
        let (next, _) = net.links(node).into_iter().find(|(_, at)| *at == link)?;
        if self.waiting.is_empty() && self.moves(node, next, ingress) {
            return Some(frame);
        }
        self.waiting.push_back((link, next, ingress, frame));
        if !self.polls {
            self.polls = true;
            net.set_behaviour_timer(POLL, node, 0);
        }
        None
    }

    fn timer(&mut self, net: &mut Network, node: NodeId, _token: u64) {
        for _ in 0..self.waiting.len() {
            let Some((link, next, ingress, frame)) = self.waiting.pop_front() else {
                break;
            };
            if self.moves(node, next, ingress) {
                net.transmit(node, link, ingress, frame);
            } else {
                self.waiting.push_back((link, next, ingress, frame));
            }
        }
        self.polls = !self.waiting.is_empty();
        if self.polls {
            net.set_behaviour_timer(POLL, node, 0);
        }
    }
}
