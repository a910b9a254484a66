//! Relays that lie: what they swallow, and what they do to be chosen.

use std::collections::{BTreeMap, BTreeSet};

use mute_core::{
    Hop, Label, LinkId, MessageId,
    wire::{Frame, Keep, Phase, SeekMode, Signed, Verified},
};
use serde::Serialize;

use crate::{Behaviour, Network, NodeId, Random};

/// Packets of each trail that a lure lets pass: five seconds of talk, more than the first Keeps of a trail wait for.
const LURE_PACKETS: u32 = 20;

/// The share of packets that [`Lie::Part`] swallows: more than the half from which on a loss counts as a failure.
const PART: f64 = 0.7;

/// What a liar swallows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Lie {
    /// Data.
    Data,
    /// Data that answers: what goes the first way over two of its links passes, what comes back does not.
    Answers,
    /// Seven packets of ten.
    Part,
    /// Data after the first packets of each trail.
    Lure,
    /// Data and Keeps.
    Keeps,
    /// Data; in place of each Keep it sends the first one again.
    OldKeeps,
    /// All but what attracts: Floods, flooded Seeks and Trails pass.
    Directed,
    /// Everything.
    All,
}

impl Lie {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Data, Self::Answers, Self::Part, Self::Lure, Self::Keeps, Self::OldKeeps, Self::Directed, Self::All];
}

/// What liars do to be on every way: the first to bring each Seek, whatever its phase says, and a flood of each that was directed.
pub(super) struct Liar {
    lie: Lie,
    /// It sends every Seek to all.
    eager: bool,
    /// Seeks that it has sent to all.
    seeks: BTreeSet<MessageId>,
    /// Of two links, the one that Data came from first.
    first: BTreeMap<[LinkId; 2], LinkId>,
    packets: BTreeMap<(LinkId, Label), u32>,
    keeps: BTreeMap<(LinkId, Label), Signed<Keep, Verified>>,
    random: Random,
}

impl Liar {
    pub(super) fn new(lie: Lie, eager: bool, seed: u64, node: NodeId) -> Self {
        Self {
            lie,
            eager,
            seeks: BTreeSet::new(),
            first: BTreeMap::new(),
            packets: BTreeMap::new(),
            keeps: BTreeMap::new(),
            random: Random::numbered(seed, "liar", u64::from(node)),
        }
    }

    /// Whether a packet that came by one link passes to another.
    fn passes(&mut self, from: LinkId, to: LinkId, label: Label) -> bool {
        match self.lie {
            Lie::Data | Lie::Keeps | Lie::OldKeeps | Lie::Directed | Lie::All => false,
            Lie::Answers => *self.first.entry([from.min(to), from.max(to)]).or_insert(from) == from,
            Lie::Part => !self.random.chance(PART),
            Lie::Lure => {
                let passed = self.packets.entry((to, label)).or_default();
                *passed += 1;
                *passed <= LURE_PACKETS
            }
        }
    }
}

impl Behaviour for Liar {
    fn inbound(
        &mut self,
        net: &mut Network,
        node: NodeId,
        link: LinkId,
        frame: Frame<Verified>,
    ) -> Option<Frame<Verified>> {
        if self.lie == Lie::All {
            return None;
        }
        if let Frame::Seek { message, .. } = &frame
            && self.eager
            && self.seeks.insert(message.id())
        {
            for (_, to) in net.links(node) {
                if to != link {
                    let mode = SeekMode::Flood(Phase::Counted(1));
                    net.transmit(node, to, Hop::Link(link), Frame::Seek { mode, message: message.clone() });
                }
            }
        }
        Some(frame)
    }

    fn outbound(
        &mut self,
        _: &mut Network,
        _: NodeId,
        link: LinkId,
        ingress: Hop,
        frame: Frame<Verified>,
    ) -> Option<Frame<Verified>> {
        let Hop::Link(from) = ingress else {
            return Some(frame);
        };
        match frame {
            _ if self.lie == Lie::All => None,
            // It has sent it to all.
            Frame::Seek { .. } if self.eager => None,
            Frame::Data { label, .. } => self.passes(from, link, label).then_some(frame),
            Frame::Keep { label, message } => match self.lie {
                Lie::Keeps | Lie::Directed => None,
                Lie::OldKeeps => {
                    let message = self.keeps.entry((link, label)).or_insert(message).clone();
                    Some(Frame::Keep { label, message })
                }
                _ => Some(Frame::Keep { label, message }),
            },
            Frame::Close { .. } | Frame::Letter { .. } | Frame::Seek { mode: SeekMode::Directed, .. }
                if self.lie == Lie::Directed =>
            {
                None
            }
            frame => Some(frame),
        }
    }
}
