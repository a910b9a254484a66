//! What is always true of a router, checked by tests, fuzzers and the simulator.

use std::collections::BTreeMap;

use super::{
    Finding, Hop, Router, limits,
    ports::Owned,
    timers::Timer,
    trails::{Side, Towards},
};

impl Router {
    /// Panics if the tables contradict each other or hold more than they may.
    ///
    /// # Panics
    /// They do.
    pub fn assert_consistent(&self) {
        self.assert_bounds();
        self.assert_bindings();
        self.assert_ports();
        let mut seeks_of: BTreeMap<Hop, usize> = BTreeMap::new();
        for (id, entry) in &self.seeks {
            *seeks_of.entry(entry.hops[0]).or_default() += 1;
            assert!(entry.hops.len() <= limits::MAX_SEEK_HOPS);
            assert!(self.timers.is_set(Timer::Seek(*id)), "a seek that is never forgotten");
        }
        assert_eq!(seeks_of, self.seeks_of, "each hop is charged for its seeks");
        assert!(self.seen.len() == 0 || self.timers.is_set(Timer::Seen));
        assert!(self.reply_keys.is_empty() || self.timers.is_set(Timer::ReplyKeys));
        assert!(self.scent.next_expiry().is_none() || self.timers.is_set(Timer::Scent));
        let longest = self.waits.shape.longest_turnaround().max(self.waits.shape.jitter * 5);
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
        within("ids", live.seen, limits::MAX_SEEN);
        within("reply keys", live.reply_keys, limits::MAX_PORTS * limits::MAX_REPLY_KEYS_PER_PORT);
        within(
            "timers",
            live.timers,
            (live.bindings + live.trails + live.connections + live.seeks + live.ports) as usize + 3,
        );
    }

    fn assert_bindings(&self) {
        let (mut routes, mut ends) = (0, 0);
        let mut theirs = BTreeMap::new();
        let mut ours: BTreeMap<_, BTreeMap<Hop, usize>> = BTreeMap::new();
        for (id, binding) in &self.bindings {
            assert!(self.timers.is_set(Timer::Binding(*id)), "a binding that is never forgotten");
            for towards in [Towards::Seeker, Towards::Owner] {
                let other = binding.end(towards.other()).side;
                match binding.end(towards).side {
                    Side::Link { link, label } => {
                        routes += 1;
                        let route = self.routes.get(&(link, label)).expect("a binding's label has a route");
                        assert_eq!((route.binding, route.end, route.to()), (*id, towards, other));
                        match towards {
                            Towards::Owner => *theirs.entry(link).or_default() += 1usize,
                            Towards::Seeker => *ours.entry(link).or_default().entry(other.hop()).or_default() += 1,
                        }
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
            assert_eq!(theirs.remove(id).unwrap_or(0), link.theirs, "labels of the neighbour's choice");
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
            let mut owned: BTreeMap<Hop, Owned> = BTreeMap::new();
            for (trail, end) in self.ends.iter().filter(|(_, end)| end.port == *id) {
                let Some(charged) = end.charged else { continue };
                let owned = owned.entry(charged).or_default();
                owned.held += 1;
                if !end.may_send() {
                    owned.waiting.insert(*trail);
                }
            }
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
