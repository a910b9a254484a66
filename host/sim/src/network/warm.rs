//! Reading ahead. In a large network each event finds its node's memory cold, and a run is mostly waiting for it. The next few events are
//! known, so what they will read is read for all of them first: the processor then waits for it once, not for one after the other. Nothing is
//! changed by it.

use std::hint::black_box;

use mute_core::{
    LinkId, Router,
    wire::{Frame, Verified},
};

use super::Network;
use crate::{
    events::{AHEAD, What},
    link::link_id,
};

/// Networks of fewer nodes stay in the caches by themselves.
const LARGE: usize = 2000;

impl Network {
    /// Reads what the next few events will read.
    pub(super) fn warm(&self) {
        if self.nodes.len() < LARGE {
            return;
        }
        let arrivals = || {
            self.events.next().filter_map(|what| match what {
                What::Arrive { half } => Some(half as usize),
                _ => None,
            })
        };
        // One step of each before the next step of any: within a step nothing waits for anything.
        let touch = |half: usize| self.halves[half].free_at ^ u64::from(self.edges[half / 2].generation);
        black_box(arrivals().map(touch).fold(0, |all, one| all ^ one));
        let mut ahead: [Option<(LinkId, &Router, &Frame<Verified>)>; AHEAD] = [None; AHEAD];
        for (half, place) in arrivals().zip(&mut ahead) {
            let edge = &self.edges[half / 2];
            let node = edge.ends[1 - half % 2];
            let router = self.nodes[node as usize].router.as_deref();
            let frame = self.flights.peek(&self.halves[half]);
            *place =
                router.zip(frame).map(|(router, frame)| (link_id(half as u32 ^ 1, edge.generation), router, frame));
        }
        black_box(ahead.iter().flatten().map(|(_, _, frame)| frame.encoded_len()).sum::<usize>());
        for step in 0..Router::WARM_STEPS {
            black_box(
                ahead.iter().flatten().fold(0, |all, (link, router, frame)| all ^ router.warm(step, *link, frame)),
            );
        }
    }
}
