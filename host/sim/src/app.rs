//! What runs on top of the routers, and around them: a scenario's own code.

use mute_core::{
    Event, Hop, LinkId, PortId,
    wire::{Frame, Verified},
};

use crate::Network;

/// A node's number, from 0.
pub type NodeId = u32;

/// What a scenario set to be woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// Which part of the scenario set it, so that parts can share one [`App`].
    pub component: u16,
    /// The node that it is about, or anything.
    pub node: NodeId,
    /// Anything.
    pub token: u64,
}

/// A scenario: it hears what every node's ports learn, and its own timers. One value stands for all nodes.
pub trait App {
    /// A port learned something.
    fn event(&mut self, net: &mut Network, node: NodeId, port: PortId, event: Event);

    /// A timer of [`Network::set_timer`] is due.
    fn timer(&mut self, _net: &mut Network, _timer: Timer) {}

    /// A node has started (again): its router knows nothing and has no port.
    fn started(&mut self, _net: &mut Network, _node: NodeId) {}

    /// A node is gone.
    fn stopped(&mut self, _net: &mut Network, _node: NodeId) {}
}

/// Nothing runs on top.
impl App for () {
    fn event(&mut self, _: &mut Network, _: NodeId, _: PortId, _: Event) {}
}

/// What lies around a node's router and misbehaves: it sees every frame that comes and goes, and may keep it, change it, make others, and use all of
/// [`Network`]. The router within is the real one.
pub trait Behaviour {
    /// A frame from a neighbour. `Some`: what the router gets of it, now.
    fn inbound(
        &mut self,
        _net: &mut Network,
        _node: NodeId,
        _link: LinkId,
        frame: Frame<Verified>,
    ) -> Option<Frame<Verified>> {
        Some(frame)
    }

    /// A frame of the router for a neighbour. `Some`: what is sent of it, now.
    fn outbound(
        &mut self,
        _net: &mut Network,
        _node: NodeId,
        _link: LinkId,
        _ingress: Hop,
        frame: Frame<Verified>,
    ) -> Option<Frame<Verified>> {
        Some(frame)
    }

    /// A timer of [`Network::set_behaviour_timer`] is due.
    fn timer(&mut self, _net: &mut Network, _node: NodeId, _token: u64) {}
}

/// A node that takes its time: what comes waits before its router sees it.
pub struct Slow {
    /// How long.
    pub lag: std::time::Duration,
}

impl Behaviour for Slow {
    fn inbound(
        &mut self,
        net: &mut Network,
        node: NodeId,
        link: LinkId,
        frame: Frame<Verified>,
    ) -> Option<Frame<Verified>> {
        net.deliver_after(self.lag, node, link, frame);
        None
    }
}

/// A black hole: it takes part in all that is control, and drops Data that it should relay.
pub struct BlackHole;

impl Behaviour for BlackHole {
    fn outbound(
        &mut self,
        _net: &mut Network,
        _node: NodeId,
        _link: LinkId,
        ingress: Hop,
        frame: Frame<Verified>,
    ) -> Option<Frame<Verified>> {
        (!matches!((&frame, ingress), (Frame::Data { .. }, Hop::Link(_)))).then_some(frame)
    }
}
