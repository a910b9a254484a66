//! What colluders see: they run the real router and write down what comes.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use mute_core::{
    LinkId, MessageId,
    wire::{Frame, Phase, SeekMode, Verified, Way},
};

use crate::{Behaviour, Network, NodeId};

/// What a copy that a colluder got says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Nothing is counted yet: a hidden flood, the stem of a walk.
    Hidden,
    /// Passed on so often since the counter started; 0: one that says nothing.
    Spread(u8),
    /// It follows scent.
    Directed,
    /// So many walkers, as a power of two.
    Roam(u8),
}

/// A copy that a colluder got.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    /// When, in microseconds of the run.
    pub(super) at: u64,
    pub(super) spy: NodeId,
    pub(super) from: NodeId,
    pub(super) what: What,
}

/// What all colluders saw, by session.
#[derive(Default)]
pub(super) struct Log {
    /// The ends of each link.
    pub(super) ends: Vec<(NodeId, NodeId)>,
    /// The session that runs; `None`: what comes is not looked at.
    pub(super) session: Option<usize>,
    pub(super) sights: Vec<Vec<Sight>>,
    /// The session of each message, so that one that lingers is not taken for the next.
    known: HashMap<MessageId, Option<usize>>,
    /// The first of each colluder's sights, and the session that it is of.
    first: HashMap<NodeId, usize>,
}

impl Log {
    pub(super) fn new(ends: Vec<(NodeId, NodeId)>) -> Self {
        Self { ends, ..Self::default() }
    }

    /// Another session, or none.
    pub(super) fn begin(&mut self, looked_at: bool) {
        self.session = looked_at.then_some(self.sights.len());
        if looked_at {
            self.sights.push(Vec::new());
        }
    }

    fn note(&mut self, at: u64, spy: NodeId, edge: usize, id: MessageId, what: What) {
        let session = *self.known.entry(id).or_insert(self.session);
        let (Some(session), Some((a, b))) = (session, self.ends.get(edge)) else {
            return;
        };
        let from = if *a == spy { *b } else { *a };
        // The first copy and all that come from where it began to spread, or before: later ones tell nothing more.
        let telling = !matches!(what, What::Spread(0 | 2..));
        let new = self.first.insert(spy, session) != Some(session);
        if new || telling {
            self.sights[session].push(Sight { at, spy, from, what });
        }
    }
}

/// A colluder.
pub(super) struct Spy {
    pub(super) log: Rc<RefCell<Log>>,
    /// It passes nothing on that is hidden, to see from where it spreads then.
    pub(super) drops: bool,
}

impl Behaviour for Spy {
    fn inbound(
        &mut self,
        net: &mut Network,
        node: NodeId,
        link: LinkId,
        frame: Frame<Verified>,
    ) -> Option<Frame<Verified>> {
        let seen = match &frame {
            Frame::Flood { phase, message } => Some((message.id(), flooded(*phase))),
            Frame::Seek { mode: SeekMode::Flood(phase), message } => Some((message.id(), flooded(*phase))),
            Frame::Seek { mode: SeekMode::Directed, message } => Some((message.id(), What::Directed)),
            Frame::Letter { message } => Some((message.id(), What::Directed)),
            Frame::Walk { way, message } => Some((message.id(), walking(*way))),
            _ => None,
        };
        let (id, what) = seen.unzip();
        if let (Some(id), Some(what)) = (id, what) {
            let at = net.clock().as_micros() as u64;
            self.log.borrow_mut().note(at, node, net.edge_of(link), id, what);
        }
        (!self.drops || what != Some(What::Hidden)).then_some(frame)
    }
}

fn flooded(phase: Phase) -> What {
    match phase {
        Phase::Hidden => What::Hidden,
        Phase::Counted(hops) => What::Spread(hops),
        Phase::Ending | Phase::Tail(_) => What::Spread(0),
    }
}

fn walking(way: Way) -> What {
    match way {
        Way::Stem => What::Hidden,
        Way::Roam(walkers_log2) => What::Roam(walkers_log2),
    }
}
