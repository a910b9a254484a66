//! Keeps: signs of life from both ends of a trail, and what they say of it.

use super::{
    Hop, Role, Router,
    limits::{
        BAD_KEEPS, EARLY_KEEP_INTERVAL, EARLY_KEEPS, KEEP_INTERVAL, KEEP_PATIENCE, LOSS_SAMPLE, NONE_ARRIVED,
        SILENCE_SAMPLE,
    },
    minute,
    scent::UNIT,
    stamps,
    timers::Timer,
    trails::{BindingId, Passed, Side, Towards},
};
use crate::{
    Address, Label, LinkId, TrailId, Violation,
    wire::{Frame, Keep, KeepReport, Signed, Verified},
};

impl Router {
    /// From now on this end sends Keeps. A trail between two ports of this node needs none.
    pub(super) fn start_keeps(&mut self, trail: TrailId) {
        if self.ends.get(&trail).is_some_and(|end| matches!(end.to, Side::Link { .. })) {
            let early = self.keeps_early(trail);
            let at = self.now.instant + self.between(if early { EARLY_KEEP_INTERVAL } else { KEEP_INTERVAL });
            self.timers.set(Timer::Keep(trail), at);
        }
    }

    /// Whether an end's next Keep comes early: the first two do, and the next few while nothing arrives although something was sent.
    fn keeps_early(&self, trail: TrailId) -> bool {
        let Some(end) = self.ends.get(&trail) else {
            return false;
        };
        let theirs = self.bindings.get(&end.binding).map_or(0, |binding| binding.end(end.role.other_end()).report.sent);
        let missing = self.received(end) == 0 && end.sent.max(theirs) > 0;
        end.keeps < EARLY_KEEPS[usize::from(missing)]
    }

    pub(super) fn keep_due(&mut self, trail: TrailId) {
        let stamp = self.stamp();
        let Some(end) = self.ends.get(&trail) else {
            return;
        };
        let Side::Link { link, label } = end.to else {
            return;
        };
        let Some(binding) = self.bindings.get(&end.binding) else {
            return;
        };
        let report = KeepReport { number: end.keeps + 1, received: self.received(end), sent: end.sent };
        let hop = Hop::Port(end.port);
        let Some(port) = self.ports.get(&end.port) else {
            return;
        };
        let key = end.key.as_ref().unwrap_or(&port.key);
        if let Ok(message) = Signed::<Keep, Verified>::sign(self.network, key, stamp, binding.seek, report) {
            let far = binding.end(end.role.other_end());
            let amount = arrived(report, far.report);
            let heals = heals(report, far.report, report);
            self.scent.strengthen(far.address, Hop::Link(link), amount, heals, self.now.instant);
            self.lay(message.author(), hop, 0);
            self.counters.keeps.passed(hop, 1);
            self.send(link, hop, Frame::Keep { label, message });
        }
        if let Some(end) = self.ends.get_mut(&trail) {
            end.keeps += 1;
        }
        self.start_keeps(trail);
    }

    pub(super) fn on_keep(&mut self, link: LinkId, label: Label, message: Signed<Keep, Verified>) {
        let Some((id, from)) = self.routes.get(&(link, label)).map(|route| (route.binding, route.end)) else {
            self.counters.drops.unknown_label += 1;
            return self.answer_close(link, label);
        };
        let Some(binding) = self.bindings.get(&id) else {
            return;
        };
        let (near, far, doubtful) = (binding.end(from), binding.end(from.other()), binding.doubtful);
        if message.seek() != binding.seek || message.author() != near.address {
            return self.violation(link, Violation::ForeignKeep);
        }
        let (report, stamp) = (message.report(), message.stamp());
        if !stamps::is_fresh(stamp.minute, minute(self.now)) {
            self.counters.drops.stale += 1;
            return;
        }
        if report.number <= near.report.number {
            self.counters.drops.duplicate += 1;
            return;
        }
        let (far_side, far_address, amount) = (far.side, far.address, arrived(report, far.report));
        let heals = heals(report, far.report, near.report);
        if !doubtful {
            self.lay(message.author(), Hop::Link(link), 0);
            self.scent.strengthen(far_address, far_side.hop(), amount, heals, self.now.instant);
        }
        let bad = self.take_report(id, from, report);
        if from == Towards::Seeker {
            self.confirm(id);
        }
        match far_side {
            Side::Link { link: next, label } => {
                self.counters.keeps.passed(Hop::Link(link), 1);
                self.send(next, Hop::Link(link), Frame::Keep { label, message });
            }
            Side::Port { port, trail } => {
                self.counters.keeps.delivered += 1;
                if bad {
                    self.bring_bad_news(port, trail);
                }
            }
        }
    }

    /// Remembers what an end reports, and compares it with what passed here: what does not add up was lost between this node and that end.
    /// Whether the trail has proved bad now.
    fn take_report(&mut self, id: BindingId, from: Towards, report: KeepReport) -> bool {
        let deadline = self.now.instant + KEEP_PATIENCE;
        let passed = self.passed(id, from);
        let Some(binding) = self.bindings.get_mut(&id) else {
            return false;
        };
        let near = binding.end_mut(from);
        // What was sent before the last Keep has had its time; of twice as many some should be here even if the Keep was faster.
        let swallowed = near.report.sent.max(report.sent / 2) >= NONE_ARRIVED && passed.from == 0;
        let nothing = swallowed || near.passed.to >= NONE_ARRIVED && report.received == 0;
        let lossy = lossy(near.report.sent, report.sent, near.passed.from, passed.from)
            || lossy(near.passed.to, passed.to, near.report.received, report.received);
        near.lossy = if lossy && near.report.number > 0 { near.lossy.saturating_add(1) } else { 0 };
        let bad = self.waits.defences.judge_trails && (nothing || near.lossy == BAD_KEEPS);
        (near.report, near.passed, near.heard, near.deadline) = (report, passed, self.now.instant, Some(deadline));
        let (address, hop) = (near.address, near.side.hop());
        if bad {
            self.shun(address, hop);
        }
        self.watch_binding(id);
        bad
    }

    /// A trail of `address` through `hop` proved bad.
    pub(super) fn shun(&mut self, address: Address, hop: Hop) {
        if self.waits.defences.shun_bad_hops {
            self.scent.fail(address, hop, self.now.instant);
        } else {
            self.scent.weaken(address, hop);
        }
    }

    /// What has passed here from and to an end.
    fn passed(&self, id: BindingId, end: Towards) -> Passed {
        let Some(binding) = self.bindings.get(&id) else {
            return Passed::default();
        };
        let from = |side: Side| match side {
            Side::Link { link, label } => self.routes.get(&(link, label)).map_or(0, |route| route.packets),
            Side::Port { trail, .. } => self.ends.get(&trail).map_or(0, |end| end.sent),
        };
        Passed { from: from(binding.end(end).side), to: from(binding.end(end.other()).side) }
    }

    /// A trail has proved bad. A seeker seeks anew, and not along the scent, which led here. (Only the seeker renews: what the owner's
    /// Keep shows tells of both directions.)
    pub(super) fn hear_bad_news(&mut self, trail: TrailId) {
        if let Some(Role::Seeker { connection }) = self.ends.get(&trail).map(|end| end.role) {
            self.seek_elsewhere(connection, trail);
        }
    }
}

/// Whether of what was sent between two Keeps under half arrived, or nothing at all, and enough was sent for that to mean anything.
fn lossy(sent_before: u64, sent: u64, arrived_before: u64, arrived: u64) -> bool {
    let (sent, arrived) = (sent.saturating_sub(sent_before), arrived.saturating_sub(arrived_before));
    sent >= LOSS_SAMPLE && arrived < sent / 2 || sent >= SILENCE_SAMPLE && arrived == 0
}

impl Role {
    /// Where the other end of its trail lies.
    fn other_end(self) -> Towards {
        match self {
            Self::Owner => Towards::Seeker,
            Self::Seeker { .. } => Towards::Owner,
        }
    }
}

/// Whether a Keep shows that a trail works: half of what either end had sent by its last Keep has reached the other. One way alone is not enough,
/// else who swallows answers is healed by the Keeps that say that questions arrive; nor are the first seconds, in which a lure lets all pass.
fn heals(report: KeepReport, far: KeepReport, before: KeepReport) -> bool {
    report.number > EARLY_KEEPS[0] && far.sent > 0 && report.received >= far.sent / 2 && far.received >= before.sent / 2
}

/// What a Keep is worth to the other end's scent: in proportion to what of its packets arrived; a little where nothing was sent.
fn arrived(report: KeepReport, far: KeepReport) -> u32 {
    if far.sent == 0 {
        return UNIT / 4;
    }
    let part = u128::from(report.received.min(far.sent)) * u128::from(UNIT) / u128::from(far.sent);
    u32::try_from(part).unwrap_or(UNIT)
}
