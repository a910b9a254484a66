//! Which messages may lay scent: those that this node cannot have seen before.
//!
//! While a node runs, [`Seen`](super::seen) says which those are. What its runs before this one saw is not kept: a set of all ids would have to be
//! written for every message to survive a crash. The stamps say it instead. A node lets nothing lay scent that is stamped further ahead of its clock
//! than [`SCENT_AHEAD`]; so whatever laid scent before a run ended is stamped no later than that after its end, and after the next start
//! lays none. What an identity of this node signs now is always new, and so is a Trail that answers a Seek which is.

use super::{
    limits::{SCENT_AHEAD, STAMP_MINUTES},
    minute,
};
use crate::{Now, wire::Stamp};

/// Which stamps lay scent.
pub(super) struct Stamps {
    /// The first minute that does.
    first: u32,
    /// A run came before this one.
    again: bool,
}

impl Stamps {
    /// `heard_until`: as [`RouterConfig::heard_until`](super::RouterConfig::heard_until).
    pub(super) fn new(heard_until: Option<u64>, now: Now) -> Self {
        // What is older than the start is no news either.
        let first = heard_until.map_or(0, |until| latest(until.min(now.unix_s)).saturating_add(1)).max(minute(now));
        Self { first, again: heard_until.is_some() }
    }

    /// A clock that was set back: else nothing would lay scent until it has caught up.
    pub(super) fn watch_clock(&mut self, now: Now) {
        let most = if self.again { latest(now.unix_s).saturating_add(1) } else { minute(now) };
        self.first = self.first.min(most);
    }

    /// Whether a message with this stamp may lay scent if it was not seen in this run.
    pub(super) fn lay(&self, stamp: Stamp, now: Now) -> bool {
        (self.first..=latest(now.unix_s)).contains(&stamp.minute)
    }
}

/// The last minute that lays scent at a time.
fn latest(unix_s: u64) -> u32 {
    u32::try_from(unix_s.saturating_add(SCENT_AHEAD.as_secs()) / 60).unwrap_or(u32::MAX)
}

/// Whether a stamp of minute `stamp` is accepted in minute `now`.
pub(super) fn is_fresh(stamp: u32, now: u32) -> bool {
    stamp.abs_diff(now) < STAMP_MINUTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instant;

    fn at(unix_s: u64) -> Now {
        Now { instant: Instant::default(), unix_s }
    }

    fn laying(stamps: &Stamps, now: u64) -> Vec<u32> {
        (0..200).filter(|minute| stamps.lay(Stamp { minute: *minute, random: 0 }, at(now))).collect()
    }

    #[test]
    fn a_first_run_lays_from_its_start_on() {
        let stamps = Stamps::new(None, at(6030));
        assert_eq!(laying(&stamps, 6030), [100, 101]);
        assert_eq!(laying(&stamps, 6000 + 119), [100, 101, 102]);
    }

    #[test]
    fn a_later_run_lays_nothing_that_one_before_may_have_heard() {
        for (ended, started) in [(6030, 6031), (6059, 6060), (6000, 6119), (6030, 9000), (7000, 6030)] {
            let (before, stamps) = (Stamps::new(None, at(0)), Stamps::new(Some(ended), at(started)));
            let heard = laying(&before, ended.min(started)).pop();
            for now in started..started + 400 {
                let lays = laying(&stamps, now);
                assert!(lays.iter().all(|minute| Some(*minute) > heard), "{lays:?}");
                assert!(
                    now < started + 2 * 60 || lays.contains(&((now / 60) as u32)),
                    "two minutes later all is as ever"
                );
            }
        }
        assert_eq!(laying(&Stamps::new(Some(6000), at(6180)), 6180), [103, 104], "it was away for long enough");
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_stop_it() {
        for heard_until in [None, Some(60_000)] {
            let mut stamps = Stamps::new(heard_until, at(60_000));
            stamps.watch_clock(at(6000));
            assert!(laying(&stamps, 6120).contains(&102));
        }
    }
}
