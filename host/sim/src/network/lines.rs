//! What happens on the lines: queues, rates, delays, losses.

use mute_core::{
    Hop, Input, LinkId,
    scheduler::Standing,
    wire::{Frame, Verified},
};

use super::{Network, nanos};
use crate::{
    app::NodeId,
    events::What,
    link::{line_time, parts, wire_bytes},
};

/// How often routers hear that a queue has emptied, in nanoseconds: as the daemon does it, every 50 ms.
const LOADS_EVERY: u64 = 50_000_000;

/// What a half may send in one turn of its node's shared upload, in bytes: one full packet.
const TURN_BYTES: i32 = 1500;

/// A frame is lost at most this often in a row; it has arrived then.
const MAX_LOSSES: u32 = 16;

impl Network {
    /// Queues a frame of a node for a neighbour, past any behaviour. `ingress`: where it came from, for fair queueing.
    pub fn transmit(&mut self, node: NodeId, link: LinkId, ingress: Hop, frame: Frame<Verified>) {
        let (at, generation) = parts(link);
        let Some(edge) = self.edges.get(at as usize / 2) else {
            return;
        };
        if !edge.up || edge.generation != generation || edge.ends[at as usize % 2] != node {
            return;
        }
        if let Some(trace) = &mut self.trace {
            trace.update(format!("{} {node} {}", self.clock, link.0).as_bytes());
            trace.update(&frame.encode_header());
            trace.update(&frame.body());
        }
        if let Some(tap) = &mut self.tap {
            tap(std::time::Duration::from_nanos(self.clock), node, link, &frame);
        }
        if self.config.lean_queues && self.bypass(node, at, &frame) {
            return self.launch(at, frame);
        }
        let now = self.now().instant;
        let standing = self.standing_of(node, ingress);
        let half = &mut self.halves[at as usize];
        let queue = &mut self.queues[at as usize];
        let charge = queue.charge(&frame);
        let expected = queue.bytes() + charge;
        queue.push(ingress, standing, frame, now);
        half.counters.pushed += charge as u64;
        half.counters.dropped += expected.saturating_sub(queue.bytes()) as u64;
        half.empty = queue.bytes() == 0;
        if self.nodes[node as usize].upload > 0 {
            if !half.in_ring {
                half.in_ring = true;
                half.deficit = 0;
                self.nodes[node as usize].ring.push_back(at);
            }
            self.serve_upload(node);
        } else {
            self.serve_line(at);
        }
        self.hear_load(node, at);
    }

    /// Whether a frame goes to its line past the empty queue; it is counted as if it had gone through.
    fn bypass(&mut self, node: NodeId, at: u32, frame: &Frame<Verified>) -> bool {
        let half = &mut self.halves[at as usize];
        let free = half.empty && half.free_at <= self.clock && self.nodes[node as usize].free_at <= self.clock;
        if free {
            let charge = self.queues[at as usize].charge(frame) as u64;
            half.counters.pushed += charge;
            half.counters.taken += charge;
        }
        free
    }

    /// How an ingress stands with a node.
    fn standing_of(&self, node: NodeId, ingress: Hop) -> Standing {
        let (Some(standing), Hop::Link(link)) = (&self.config.standing, ingress) else {
            return Standing::default();
        };
        let at = parts(link).0 as usize;
        self.edges.get(at / 2).map_or_else(Standing::default, |edge| standing(node, edge.ends[1 - at % 2]))
    }

    /// The router hears at once of a level that has changed.
    fn hear_load(&mut self, node: NodeId, at: u32) {
        let half = &mut self.halves[at as usize];
        let level = self.queues[at as usize].level();
        if level == half.level {
            return;
        }
        half.level = level;
        let link = crate::link::link_id(at, self.edges[at as usize / 2].generation);
        let now = self.now();
        let holder = &mut self.nodes[node as usize];
        if let Some(router) = &mut holder.router {
            router.handle(Input::Load { link, level }, now);
        }
        if level > 0 && !holder.loads_scheduled {
            holder.loads_scheduled = true;
            self.events.push(self.clock + LOADS_EVERY, What::Loads { node });
        }
    }

    /// Tells a router of the queues that were not nearly empty.
    pub(super) fn report_loads(&mut self, node: NodeId) {
        self.nodes[node as usize].loads_scheduled = false;
        for place in 0..self.nodes[node as usize].halves.len() {
            let half = self.nodes[node as usize].halves[place];
            self.hear_load(node, half);
        }
        let holder = &self.nodes[node as usize];
        if !holder.loads_scheduled && holder.halves.iter().any(|half| self.halves[*half as usize].level > 0) {
            self.nodes[node as usize].loads_scheduled = true;
            self.events.push(self.clock + LOADS_EVERY, What::Loads { node });
        }
    }

    pub(super) fn line_free(&mut self, at: u32) {
        self.halves[at as usize].scheduled = false;
        self.serve_line(at);
    }

    /// Puts on a half's own line what it has room for.
    fn serve_line(&mut self, at: u32) {
        loop {
            let half = &mut self.halves[at as usize];
            if half.free_at > self.clock {
                if !half.scheduled && !half.empty {
                    half.scheduled = true;
                    self.events.push(half.free_at, What::Line { half: at });
                }
                return;
            }
            let Some(frame) = self.take(at) else {
                return;
            };
            self.launch(at, frame);
        }
    }

    /// The next frame of a queue; what the queue drops by itself is counted.
    fn take(&mut self, at: u32) -> Option<Frame<Verified>> {
        let now = self.now().instant;
        let half = &mut self.halves[at as usize];
        let queue = &mut self.queues[at as usize];
        let before = queue.bytes();
        let frame = queue.pop(now);
        let taken = frame.as_ref().map_or(0, |frame| queue.charge(frame));
        let left = queue.bytes();
        half.counters.taken += taken as u64;
        half.counters.dropped += before.saturating_sub(left + taken) as u64;
        half.empty = left == 0;
        if half.empty && self.config.lean_queues {
            queue.shrink();
        }
        frame
    }

    pub(super) fn upload_free(&mut self, node: NodeId) {
        self.nodes[node as usize].upload_scheduled = false;
        self.serve_upload(node);
    }

    /// Puts on a node's lines what its upload has room for: deficit round robin over the links that wait, as their congestion control shares
    /// one uplink.
    fn serve_upload(&mut self, node: NodeId) {
        let mut blocked = 0;
        let mut first_free = u64::MAX;
        loop {
            let holder = &mut self.nodes[node as usize];
            let wait = if holder.ring.is_empty() {
                return;
            } else if holder.free_at > self.clock {
                Some(holder.free_at)
            } else if blocked >= holder.ring.len() {
                Some(first_free)
            } else {
                None
            };
            if let Some(at) = wait {
                if !holder.upload_scheduled {
                    holder.upload_scheduled = true;
                    self.events.push(at, What::Upload { node });
                }
                return;
            }
            let Some(at) = holder.ring.front().copied() else {
                return;
            };
            let half = &mut self.halves[at as usize];
            if half.empty {
                half.in_ring = false;
                holder.ring.pop_front();
            } else if half.free_at > self.clock {
                first_free = first_free.min(half.free_at);
                blocked += 1;
                holder.ring.rotate_left(1);
            } else if half.deficit <= 0 {
                half.deficit += TURN_BYTES;
                blocked = 0;
                holder.ring.rotate_left(1);
            } else if let Some(frame) = self.take(at) {
                blocked = 0;
                let bytes = wire_bytes(frame.encoded_len());
                self.halves[at as usize].deficit -= bytes as i32;
                self.launch(at, frame);
            } else {
                // The queue dropped all that it held.
                self.halves[at as usize].in_ring = false;
                self.nodes[node as usize].ring.pop_front();
            }
        }
    }

    /// Puts a frame on a line that is free.
    fn launch(&mut self, at: u32, frame: Frame<Verified>) {
        let edge = &self.edges[at as usize / 2];
        let (params, node) = (self.kinds[edge.kind as usize], edge.ends[at as usize % 2]);
        let bytes = wire_bytes(frame.encoded_len());
        let mut copies = 1;
        if params.loss > 0.0 {
            while copies <= MAX_LOSSES && self.losses.chance(params.loss) {
                copies += 1;
            }
        }
        let lost = copies > 1 && !params.retransmit;
        if lost {
            copies = 1;
        }
        let sent = bytes * u64::from(copies);
        let holder = &mut self.nodes[node as usize];
        holder.free_at = self.clock + line_time(sent, holder.upload);
        let half = &mut self.halves[at as usize];
        half.free_at = self.clock + line_time(sent, params.rate);
        let done = half.free_at.max(holder.free_at);
        half.counters.sent += bytes;
        half.counters.resent += sent - bytes;
        half.counters.frames += 1;
        if lost {
            half.counters.lost += bytes;
            return;
        }
        let (delay, jitter) = (nanos(params.delay), nanos(params.jitter));
        let late = if jitter > 0 { self.losses.below(jitter as usize) as u64 } else { 0 };
        let arrives = done + delay + late + 2 * delay * u64::from(copies - 1);
        let arrives = arrives.max(half.last_arrival);
        half.last_arrival = arrives;
        if self.flights.push(half, arrives, bytes as u32, frame) {
            self.events.push(arrives, What::Arrive { half: at });
        }
    }
}
