//! Which ways trails take: a look at what is sent, which no node has.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use mute_core::{LinkId, MessageId, wire::Frame};

use crate::{Network, app::NodeId};

/// The way of a trail from its owner to who sought it: each node that passed the Trail on, and over which of its links.
pub type Way = Vec<(NodeId, LinkId)>;

/// Notes over which links each Trail of a run comes.
#[derive(Clone, Default)]
pub struct Ways(Rc<RefCell<BTreeMap<MessageId, Way>>>);

impl Ways {
    /// Looks at all that this network sends from now on, as its [`Network::tap`].
    pub fn watch(net: &mut Network) -> Self {
        let ways = Self::default();
        let noted = ways.clone();
        net.tap = Some(Box::new(move |_, node, link, frame| {
            if let Frame::Trail { message, .. } = frame {
                noted.note(message.seek(), node, link);
            }
        }));
        ways
    }

    fn note(&self, seek: MessageId, node: NodeId, link: LinkId) {
        let mut ways = self.0.borrow_mut();
        let way = ways.entry(seek).or_default();
        // One that a node refused goes on from a node before it by another link.
        if let Some(again) = way.iter().position(|(at, _)| *at == node) {
            way.truncate(again);
        }
        way.push((node, link));
    }

    /// The way of the trail that answered this Seek. Asked once; empty if there is none, or both ends are at one node.
    pub fn take(&self, seek: MessageId) -> Way {
        self.0.borrow_mut().remove(&seek).unwrap_or_default()
    }
}
