//! Places for strangers: how many there are, and who may have one beside whom.

use super::{
    Class, Group, NeighbourAddress, Neighbours, NodeKey, Rules, address::affinity, book::Origin,
    limits::PREFIXES_PER_PROVEN,
};

/// A stranger that wants a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) key: NodeKey,
    pub(super) class: Class,
    pub(super) address: NeighbourAddress,
    pub(super) origin: Origin,
    /// [`Neighbours::affinity`] of its address.
    pub(super) affinity: Option<u64>,
}

/// A place that is taken, by a link or by an attempt under way.
struct Taken {
    key: NodeKey,
    class: Class,
    group: Group,
    wide: Group,
    origin: Origin,
}

/// The places at one moment.
pub(super) struct Places<'a> {
    rules: &'a Rules,
    taken: Vec<Taken>,
    /// Places for chosen strangers, and for those that come.
    outbound: usize,
    inbound: usize,
    /// Who has a smaller affinity is a partner. `None`: everybody is.
    partners_below: Option<u64>,
}

impl Neighbours {
    /// The places as they are now.
    pub(super) fn places(&self) -> Places<'_> {
        let links = self.links.iter().map(|(key, held)| (*key, held.class, held.address, held.origin));
        let dials = self.dials.iter().map(|(key, dial)| (*key, dial.class, dial.address, dial.origin));
        let taken = links.chain(dials).map(|(key, class, address, origin)| Taken {
            key,
            class,
            group: address.group(),
            wide: address.wide_group(),
            origin,
        });
        let rules = &self.rules;
        let for_chosen = rules.least.saturating_add(rules.inbound_per_chosen.saturating_mul(self.chosen()));
        let partners_below = rules.partners.and_then(|partners| {
            let one = u64::MAX / self.prefixes().max(1) as u64;
            one.checked_mul(partners as u64)
        });
        Places {
            rules,
            taken: taken.collect(),
            outbound: rules.wanted(self.friends_linked()),
            inbound: rules.inbound.min(for_chosen),
            partners_below,
        }
    }

    /// A number for this node and one there, the same for both and for everybody who knows where they are. `None`: nothing can be said.
    pub(super) fn affinity(&self, address: NeighbourAddress) -> Option<u64> {
        affinity(self.at.group(), address.group())
    }

    /// How many prefixes there are, as far as this node knows: those that it was told of, as long as they are not many times those that it
    /// has reached.
    fn prefixes(&self) -> usize {
        let [all, proven] = self.book.prefixes();
        all.min(PREFIXES_PER_PROVEN * proven)
    }
}

impl Places<'_> {
    /// Whether there is a place, `without` one that would give way.
    ///
    /// A node may link with *partners* only: of the prefixes that it knows a few are, and for each other node others. So an adversary finds few of
    /// its prefixes welcome at any one node, wherever it dials; an honest node finds enough. Both sides know, so nobody dials in vain.
    pub(super) fn fit(&self, wish: &Wish, without: Option<NodeKey>) -> bool {
        let stranger = |below: u64| wish.affinity.is_some_and(|affinity| affinity >= below);
        if self.partners_below.is_some_and(stranger) {
            return false;
        }
        let (group, wide) = (wish.address.group(), wish.address.wide_group());
        let [mut all, mut outbound, mut inbound, mut prefix, mut provider, mut told] = [0_usize; 6];
        for taken in &self.taken {
            if taken.key == wish.key || without == Some(taken.key) {
                continue;
            }
            all += 1;
            if taken.class == Class::Friend {
                continue;
            }
            prefix += usize::from(taken.group == group);
            provider += usize::from(taken.wide == wide);
            if taken.class == Class::Outbound {
                outbound += 1;
                told += usize::from(taken.origin == wish.origin);
            } else {
                inbound += 1;
            }
        }
        let rules = self.rules;
        let class = match wish.class {
            _ if !rules.separate_slots => inbound + outbound < rules.inbound + rules.outbound,
            Class::Inbound => inbound < self.inbound,
            _ => outbound < self.outbound,
        };
        let prefixes = if group == Group::LOCAL {
            prefix < rules.local
        } else {
            prefix < rules.per_prefix && provider < rules.per_wide_prefix
        };
        let origin = wish.class == Class::Inbound || wish.origin == Origin::Given || told < rules.per_origin;
        all < rules.most && class && prefixes && origin
    }
}
