//! Keeps: signs of life from both ends of a trail, and what they say of it.

use super::{
    Hop, Role, Router,
    limits::{BAD_KEEPS, KEEP_INTERVAL, LOSS_SAMPLE},
    minute,
    scent::UNIT,
    seen,
    timers::Timer,
    trails::{Side, Towards},
};
use crate::{
    Label, LinkId, TrailId, Violation,
    wire::{Frame, Keep, KeepReport, Signed, Verified},
};

impl Router {
    /// From now on this end sends Keeps. A trail between two ports of this node needs none.
    pub(super) fn start_keeps(&mut self, trail: TrailId) {
        if self.ends.get(&trail).is_some_and(|end| matches!(end.to, Side::Link { .. })) {
            let at = self.now.instant + self.between(KEEP_INTERVAL);
            self.timers.set(Timer::Keep(trail), at);
        }
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
            let far = binding.end(if end.role == Role::Owner { Towards::Seeker } else { Towards::Owner });
            let amount = arrived(report, far.report);
            self.scent.strengthen(far.address, Hop::Link(link), amount, self.now.instant);
            self.lay(message.author(), hop, 0, stamp);
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
        let (near, far) = (binding.end(from), binding.end(from.other()));
        if message.seek() != binding.seek || message.author() != near.address {
            return self.violation(link, Violation::ForeignKeep);
        }
        let (report, stamp) = (message.report(), message.stamp());
        if !seen::is_fresh(stamp.minute, minute(self.now)) {
            self.counters.drops.stale += 1;
            return;
        }
        if report.number <= near.report.number {
            self.counters.drops.duplicate += 1;
            return;
        }
        let (side, far_side, far_address, amount) = (near.side, far.side, far.address, arrived(report, far.report));
        self.lay(message.author(), Hop::Link(link), 0, stamp);
        self.scent.strengthen(far_address, far_side.hop(), amount, self.now.instant);
        let deadline = self.keep_deadline(&side);
        if let Some(binding) = self.bindings.get_mut(&id) {
            let near = binding.end_mut(from);
            (near.report, near.deadline) = (report, deadline);
        }
        self.watch_binding(id);
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
                self.bring_report(port, trail, report);
            }
        }
    }

    /// A seeker whose trail loses more than half of either direction seeks anew, as a flood. Only the seeker renews, so it
    /// judges both directions by the counts of both ends.
    pub(super) fn judge(&mut self, trail: TrailId, theirs: KeepReport) {
        let Some(end) = self.ends.get(&trail) else {
            return;
        };
        let Role::Seeker { connection } = end.role else {
            return;
        };
        let (sent, received) = (end.sent, self.received(end));
        let last = &end.at_last_keep;
        let lossy = |sent: u64, received: u64| sent >= LOSS_SAMPLE && received < sent / 2;
        let bad = lossy(sent - last.sent, theirs.received.saturating_sub(last.theirs.received))
            || lossy(theirs.sent.saturating_sub(last.theirs.sent), received - last.received);
        let Some(end) = self.ends.get_mut(&trail) else {
            return;
        };
        let last = &mut end.at_last_keep;
        (last.theirs, last.sent, last.received) = (theirs, sent, received);
        last.bad = if bad { last.bad.saturating_add(1) } else { 0 };
        if last.bad == BAD_KEEPS {
            self.seek_elsewhere(connection, trail);
        }
    }
}

/// What a Keep is worth to the other end's scent: in proportion to what of its packets arrived; a little where nothing was sent.
fn arrived(report: KeepReport, far: KeepReport) -> u32 {
    if far.sent == 0 {
        return UNIT / 4;
    }
    let part = u128::from(report.received.min(far.sent)) * u128::from(UNIT) / u128::from(far.sent);
    u32::try_from(part).unwrap_or(UNIT)
}
