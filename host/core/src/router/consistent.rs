//! What is always true of a router, checked by tests, fuzzers and the simulator.

use std::collections::BTreeMap;

use super::{
    Finding, Hop, Router, limits,
    shares::Shares,
    timers::Timer,
    trails::{BindingId, Side, Towards},
};
use crate::LinkId;

/// What a test may break, to see that [`Router::assert_consistent`] notices.
#[cfg(feature = "simulation")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// One link more than there may be.
    Bound,
    /// A port that is charged for a connection that it does not have.
    Charge,
    /// Ids that are never forgotten.
    Timer,
}

impl Router {
    /// Breaks what must be true of it.
    #[cfg(feature = "simulation")]
    pub fn break_with(&mut self, fault: Fault) {
        match fault {
            Fault::Bound => {
                for link in (0..=limits::MAX_LINKS as u64).map(|link| LinkId(u64::MAX - link)) {
                    let number = self.number_hop(Hop::Link(link));
                    let neighbour = crate::NeighbourId(link.0);
                    self.links.insert(link, super::links::Link::new(number, neighbour, false, self.now.instant));
                }
            }
            Fault::Charge => self.ports.values_mut().for_each(|port| port.connections += 1),
            Fault::Timer => self.timers.cancel(Timer::Seen),
        }
    }

    /// Panics if the tables contradict each other or hold more than they may.
    ///
    /// # Panics
    /// They do.
    pub fn assert_consistent(&self) {
        self.assert_bounds();
        self.assert_bindings();
        self.assert_ports();
        self.hidden.assert_consistent(|timer| self.timers.is_set(timer));
        self.seeks.assert_consistent();
        assert!(self.seeks.len() == 0 || self.timers.is_set(Timer::Seeks), "a seek that is never forgotten");
        let hops = self.links.keys().map(|link| Hop::Link(*link)).chain(self.ports.keys().map(|port| Hop::Port(*port)));
        assert!(hops.clone().all(|hop| self.hop_number(hop).and_then(|number| self.hop_of(number)) == Some(hop)));
        assert_eq!(hops.count(), self.numbers.len());
        self.seen.assert_consistent();
        assert!(self.seen.is_empty() || self.timers.is_set(Timer::Seen));
        assert!(self.reply_keys.is_empty() || self.timers.is_set(Timer::ReplyKeys));
        assert!(self.scent.next_expiry().is_none() || self.timers.is_set(Timer::Scent));
        let shape = &self.waits.shape;
        let longest = shape.longest_turnaround().max(shape.jitter * 5).max(limits::OTHER_WAY_PATIENCE);
        self.delays.assert_consistent(self.now.instant, longest);
        self.scent.assert_consistent(&|hop| self.hop_number(hop).is_some());
    }

    fn assert_bounds(&self) {
        let live = self.counters().live;
        let within = |what: &str, held: u64, bound: usize| assert!(held <= bound as u64, "{held} {what}");
        within("links", live.links, limits::MAX_LINKS);
        within("ports", live.ports, limits::MAX_PORTS);
        within("bindings", live.bindings, limits::MAX_BINDINGS);
        within("trails", live.trails, 2 * limits::MAX_BINDINGS);
        within("connections", live.connections, limits::MAX_PORTS * limits::MAX_CONNECTIONS_PER_PORT);
        within("rows", live.scent_rows, limits::MAX_ROWS);
        within("seeks", live.seeks, limits::MAX_SEEKS);
        within("hidden messages", live.hidden, limits::MAX_HIDDEN);
        within("ids", live.seen, limits::MAX_SEEN);
        within("reply keys", live.reply_keys, limits::MAX_PORTS * limits::MAX_REPLY_KEYS_PER_PORT);
        within(
            "timers",
            live.timers,
            (live.bindings + live.trails + live.connections + live.hidden + live.ports) as usize + 4,
        );
    }

    fn assert_bindings(&self) {
        let (mut routes, mut ends) = (0, 0);
        let mut theirs: BTreeMap<LinkId, Shares<BindingId>> = BTreeMap::new();
        let mut ours: BTreeMap<LinkId, Shares<BindingId>> = BTreeMap::new();
        for (id, binding) in &self.bindings {
            assert!(self.timers.is_set(Timer::Binding(*id)), "a binding that is never forgotten");
            for towards in [Towards::Seeker, Towards::Owner] {
                let other = binding.end(towards.other()).side;
                match binding.end(towards).side {
                    Side::Link { link, label } => {
                        routes += 1;
                        let route = self.routes.get(&(link, label)).expect("a binding's label has a route");
                        assert_eq!((route.binding, route.end, route.to()), (*id, towards, other));
                        let labels = if towards == Towards::Owner { &mut theirs } else { &mut ours };
                        labels.entry(link).or_default().insert(other.hop(), *id);
                    }
                    Side::Port { port, trail } => {
                        ends += 1;
                        let end = self.ends.get(&trail).expect("a binding's end is there");
                        assert_eq!((end.binding, end.port, end.to), (*id, port, other));
                        assert!(self.ports.contains_key(&port));
                    }
                }
            }
        }
        assert_eq!((routes, ends), (self.routes.len(), self.ends.len()), "nothing without its binding");
        for (id, link) in &self.links {
            link.theirs.assert_consistent();
            link.ours.assert_consistent();
            assert!(link.theirs.len() <= limits::MAX_LABELS && link.ours.len() <= limits::MAX_LABELS);
            assert_eq!(theirs.remove(id).unwrap_or_default(), link.theirs, "labels of the neighbour's choice");
            assert_eq!(ours.remove(id).unwrap_or_default(), link.ours, "labels of ours");
        }
        assert!(theirs.is_empty() && ours.is_empty(), "a label of a link that is gone");
    }

    fn assert_ports(&self) {
        assert_eq!(self.owners.len(), self.ports.len());
        for (id, port) in &self.ports {
            assert_eq!(self.owners.get(&port.address), Some(id));
            let walks = port.listening && self.finding == Finding::Walks;
            assert_eq!(self.timers.is_set(Timer::Walk(*id)), walks, "who listens walks");
            let connections = self.connections.values().filter(|connection| connection.port == *id).count();
            assert_eq!(connections, port.connections);
            let mut owned = Shares::default();
            for (trail, end) in self.ends.iter().filter(|(_, end)| end.port == *id) {
                if let Some(charged) = end.charged {
                    owned.insert(charged, *trail);
                }
            }
            assert!(port.owned.len() <= limits::MAX_OWNED_TRAILS_PER_PORT);
            assert_eq!(owned, port.owned, "each hop is charged for its trails");
        }
        for (id, connection) in &self.connections {
            assert!(self.timers.is_set(Timer::Connection(*id)), "a connection that is never looked after");
            for trail in connection.trails() {
                assert!(self.ends.contains_key(&trail), "a connection's trail is there");
            }
        }
        assert!(self.topics.values().flatten().all(|port| self.ports.contains_key(port)));
        assert!(self.reply_keys.values().all(|key| self.ports.contains_key(&key.port)));
    }
}
