//! Where the packets of trails that end here go.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use mute_core::TrailId;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::port::{Packet, PortShared};

/// Packets of a trail that are kept until its port says where they go, in bytes: the first flight of a handshake.
const HELD_BYTES: usize = 64 << 10;

/// The same for all trails of the node.
const ALL_HELD_BYTES: usize = 4 << 20;

/// What the smallest packet is charged.
const LEAST_CHARGE_BYTES: usize = 128;

/// A trail that ends here.
struct Route {
    port: Arc<PortShared>,
    to: To,
}

/// Where a trail's packets go.
enum To {
    /// The port has not said so yet.
    Held(Vec<Packet>),
    Receiver(mpsc::Sender<Packet>),
}

/// All trails that end here.
#[derive(Default)]
pub(super) struct Trails {
    routes: HashMap<TrailId, Route>,
    held_bytes: usize,
}

fn charge(packet: &Packet) -> usize {
    packet.body.len().max(LEAST_CHARGE_BYTES)
}

impl Trails {
    /// A trail was laid to this port.
    pub(super) fn open(&mut self, trail: TrailId, port: Arc<PortShared>) {
        self.routes.insert(trail, Route { port, to: To::Held(Vec::new()) });
    }

    /// A trail has ended: its receiver hears the end of its packets.
    pub(super) fn close(&mut self, trail: TrailId) {
        if let Some(Route { to: To::Held(packets), .. }) = self.routes.remove(&trail) {
            self.held_bytes -= packets.iter().map(charge).sum::<usize>();
        }
    }

    /// A port is gone, and its trails with it.
    pub(super) fn close_port(&mut self, port: &Arc<PortShared>) {
        let of_port = |route: &Route| Arc::ptr_eq(&route.port, port);
        let gone: Vec<_> = self.routes.iter().filter(|(_, route)| of_port(route)).map(|(trail, _)| *trail).collect();
        for trail in gone {
            self.close(trail);
        }
    }

    /// The port says where a trail's packets go.
    pub(super) fn route(&mut self, trail: TrailId, port: &Arc<PortShared>, to: mpsc::Sender<Packet>) {
        let Some(route) = self.routes.get_mut(&trail).filter(|route| Arc::ptr_eq(&route.port, port)) else {
            return;
        };
        if let To::Held(packets) = std::mem::replace(&mut route.to, To::Receiver(to)) {
            self.held_bytes -= packets.iter().map(charge).sum::<usize>();
            for packet in packets {
                self.deliver(trail, packet);
            }
        }
    }

    /// A packet has arrived. What does not fit is lost and counted.
    pub(super) fn deliver(&mut self, trail: TrailId, packet: Packet) {
        let Some(route) = self.routes.get_mut(&trail) else {
            return;
        };
        let lost = match &mut route.to {
            To::Receiver(to) => matches!(to.try_send(packet), Err(TrySendError::Full(_))),
            To::Held(packets) => {
                let bytes = charge(&packet);
                let held: usize = packets.iter().map(charge).sum();
                let fits = held + bytes <= HELD_BYTES && self.held_bytes + bytes <= ALL_HELD_BYTES;
                if fits {
                    self.held_bytes += bytes;
                    packets.push(packet);
                }
                !fits
            }
        };
        if lost {
            route.port.lost_packets.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use mute_core::{Ecn, PortId};
    use tokio::sync::Semaphore;

    use super::*;
    use crate::node::port::Ports;

    fn port() -> Arc<PortShared> {
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("a place");
        Arc::new(PortShared::new(PortId(1), Arc::new(Ports::default()), place))
    }

    fn packet(length: usize) -> Packet {
        Packet { ecn: Ecn::Capable0, body: Bytes::from(vec![0; length]) }
    }

    #[test]
    fn packets_wait_for_their_receiver_within_bounds() {
        let (mut trails, port, trail) = (Trails::default(), port(), TrailId(1));
        trails.open(trail, Arc::clone(&port));
        for _ in 0..5 {
            trails.deliver(trail, packet(16 << 10));
        }
        assert_eq!(trails.held_bytes, HELD_BYTES);
        assert_eq!(port.lost_packets.load(Ordering::Relaxed), 1);
        let (to, mut receiver) = mpsc::channel(5);
        trails.route(trail, &port, to);
        assert_eq!(trails.held_bytes, 0);
        for length in [1, 2] {
            trails.deliver(trail, packet(length));
        }
        assert_eq!(port.lost_packets.load(Ordering::Relaxed), 2);
        let lengths: Vec<_> = std::iter::from_fn(|| receiver.try_recv().ok()).map(|packet| packet.body.len()).collect();
        assert_eq!(lengths, [16 << 10, 16 << 10, 16 << 10, 16 << 10, 1]);
        trails.close(trail);
        assert!(receiver.is_closed());
    }

    #[test]
    fn all_that_waits_is_bounded_and_given_back() {
        let (mut trails, port) = (Trails::default(), port());
        for trail in 0..100 {
            trails.open(TrailId(trail), Arc::clone(&port));
            trails.deliver(TrailId(trail), packet(60 << 10));
        }
        assert!(trails.held_bytes <= ALL_HELD_BYTES);
        assert!(port.lost_packets.load(Ordering::Relaxed) > 0);
        trails.close_port(&port);
        assert_eq!((trails.held_bytes, trails.routes.len()), (0, 0));
    }

    #[test]
    fn another_port_cannot_take_a_trail() {
        let (mut trails, ours, theirs) = (Trails::default(), port(), port());
        trails.open(TrailId(1), ours);
        let (to, receiver) = mpsc::channel(1);
        trails.route(TrailId(1), &theirs, to);
        trails.deliver(TrailId(1), packet(1));
        assert!(receiver.is_closed() && receiver.is_empty());
    }
}
