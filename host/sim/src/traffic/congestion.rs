//! How much a sender may have under way.

use crate::events::Nanos;

/// Which law the window follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// RFC 9438, as the daemon's streams do.
    #[default]
    Cubic,
    /// RFC 9002, appendix B.
    NewReno,
}

/// CUBIC's constants (RFC 9438): its scale in packets per cubic second, and what is left of the window after congestion.
const CUBIC_C: f64 = 0.4;
const CUBIC_BETA: f64 = 0.7;

/// NewReno's: half is left.
const RENO_BETA: f64 = 0.5;

/// The smallest window, in packets.
const MIN_PACKETS: f64 = 2.0;

/// A congestion window.
#[derive(Debug)]
pub(super) struct Window {
    algorithm: Algorithm,
    packet: f64,
    /// In bytes.
    pub(super) window: f64,
    threshold: f64,
    /// Packets sent before count for the last congestion event.
    recovery: Option<Nanos>,
    /// CUBIC: the window before the last event in packets; when its curve began, and how many seconds it takes to get back there.
    before: f64,
    epoch: Option<(Nanos, f64)>,
    /// CUBIC: what NewReno would have, in packets.
    friendly: f64,
}

impl Window {
    pub(super) fn new(algorithm: Algorithm, packet: u64, initial_packets: u32) -> Self {
        let packet = packet as f64;
        Self {
            algorithm,
            packet,
            window: packet * f64::from(initial_packets),
            threshold: f64::INFINITY,
            recovery: None,
            before: 0.0,
            epoch: None,
            friendly: 0.0,
        }
    }

    /// Bytes were acknowledged, of a packet sent at `sent`, while the window was what limited the sender.
    pub(super) fn acked(&mut self, bytes: u64, sent: Nanos, now: Nanos, rtt: Nanos) {
        if self.recovery.is_some_and(|start| sent <= start) {
            return;
        }
        let bytes = bytes as f64;
        if self.window < self.threshold {
            self.window += bytes;
            return;
        }
        match self.algorithm {
            Algorithm::NewReno => self.window += self.packet * bytes / self.window,
            Algorithm::Cubic => self.cubic(bytes, now, rtt),
        }
    }

    fn cubic(&mut self, bytes: f64, now: Nanos, rtt: Nanos) {
        let packets = self.window / self.packet;
        let (epoch, k) = *self.epoch.get_or_insert_with(|| {
            self.before = self.before.max(packets);
            self.friendly = packets;
            (now, ((self.before - packets) / CUBIC_C).cbrt())
        });
        let at = ((now - epoch) + rtt) as f64 / 1e9;
        let target = (CUBIC_C * (at - k).powi(3) + self.before).clamp(packets, 1.5 * packets);
        let alpha = 3.0 * (1.0 - CUBIC_BETA) / (1.0 + CUBIC_BETA);
        self.friendly += alpha * bytes / self.window;
        let grown = packets + (target - packets) * bytes / self.window;
        self.window = grown.max(self.friendly) * self.packet;
    }

    /// A packet sent at `sent` was lost, or met congestion. Counts once a round trip.
    pub(super) fn congested(&mut self, sent: Nanos, now: Nanos) -> bool {
        if self.recovery.is_some_and(|start| sent <= start) {
            return false;
        }
        self.recovery = Some(now);
        let packets = self.window / self.packet;
        let beta = match self.algorithm {
            Algorithm::NewReno => RENO_BETA,
            Algorithm::Cubic => {
                // Fast convergence: a window that did not get back where it was leaves room for others.
                self.before = if packets < self.before { packets * (1.0 + CUBIC_BETA) / 2.0 } else { packets };
                self.epoch = None;
                CUBIC_BETA
            }
        };
        self.window = (self.window * beta).max(MIN_PACKETS * self.packet);
        self.threshold = self.window;
        true
    }

    /// Nothing came back for so long that all that is known is void.
    pub(super) fn collapsed(&mut self) {
        self.threshold = (self.window / 2.0).max(MIN_PACKETS * self.packet);
        self.window = MIN_PACKETS * self.packet;
        self.recovery = None;
        self.epoch = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    #[test]
    fn doubles_each_round_trip_and_then_grows_slowly() {
        for algorithm in [Algorithm::Cubic, Algorithm::NewReno] {
            let mut window = Window::new(algorithm, 1000, 10);
            window.acked(10_000, SECOND, SECOND, SECOND / 10);
            assert_eq!(window.window, 20_000.0);
            assert!(window.congested(SECOND, 2 * SECOND));
            assert!(!window.congested(SECOND, 2 * SECOND), "once a round trip");
            let left = window.window;
            assert!(left == 10_000.0 || (left - 14_000.0).abs() < 1e-6, "{left}");
            window.acked(10_000, 3 * SECOND, 3 * SECOND, SECOND / 10);
            assert!(window.window > left && window.window < left + 2500.0, "{}", window.window);
        }
    }

    #[test]
    fn cubic_comes_back_to_where_it_was_and_goes_beyond() {
        let mut window = Window::new(Algorithm::Cubic, 1000, 100);
        window.congested(1, 2);
        assert!((window.window - 70_000.0).abs() < 1.0);
        let (mut now, rtt) = (2, SECOND / 10);
        let k = ((100.0 * 0.3 / 0.4f64).cbrt() * 10.0) as u64;
        for _ in 0..k {
            now += rtt;
            window.acked(window.window as u64, now, now, rtt);
        }
        assert!((95_000.0..105_000.0).contains(&window.window), "{}", window.window);
        for _ in 0..40 {
            now += rtt;
            window.acked(window.window as u64, now, now, rtt);
        }
        assert!(window.window > 120_000.0, "{}", window.window);
    }
}
