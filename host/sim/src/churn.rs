//! Nodes that come and go: sessions and absences by chance.

use std::time::Duration;

use crate::{
    Network,
    app::{NodeId, Timer},
    random::{Random, weibull_scale},
};

/// How nodes come and go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChurnParams {
    /// The mean session.
    pub session: Duration,
    /// The Weibull shape of sessions; below 1 most are short, and who has stayed stays longer.
    pub shape: f64,
    /// The mean absence, exponential.
    pub absence: Duration,
    /// The share of leavings that are crashes: without a goodbye.
    pub crashes: f64,
}

impl Default for ChurnParams {
    /// Sessions as measured in Gnutella (Stutzbach and Rejaie 2006 found Weibull with shapes about 0.38; mean 42.4 minutes), absences as
    /// long on average, every other leaving without a goodbye.
    fn default() -> Self {
        Self { session: Duration::from_secs(2544), shape: 0.38, absence: Duration::from_secs(2544), crashes: 0.5 }
    }
}

/// The coming and going of some nodes: a part of a scenario's [`App`](crate::App), which hands it timers and opens ports when nodes start.
pub struct Churn {
    params: ChurnParams,
    random: Random,
    scale: f64,
    /// Nodes that left.
    pub left: u64,
    /// Nodes that returned.
    pub returned: u64,
}

impl Churn {
    /// The [`Timer::component`] of its timers.
    pub const COMPONENT: u16 = u16::MAX - 1;

    /// Lets these nodes come and go from now on. A run starts in the middle of things: who is there at the start has the rest of a session that
    /// began before (which is longer than a fresh one, since long sessions are met more often).
    pub fn start(net: &mut Network, params: ChurnParams, seed: u64, nodes: impl IntoIterator<Item = NodeId>) -> Self {
        let scale = weibull_scale(params.shape, params.session.as_secs_f64());
        let mut churn = Self { params, random: Random::new(seed, "churn"), scale, left: 0, returned: 0 };
        for node in nodes {
            let rest = churn.rest_of_session();
            churn.wake(net, node, rest);
        }
        churn
    }

    /// A timer is due. `false`: it is not one of these.
    pub fn timer(&mut self, net: &mut Network, timer: Timer) -> bool {
        if timer.component != Self::COMPONENT {
            return false;
        }
        let node = timer.node;
        let after = if net.runs(node) {
            self.left += 1;
            if self.random.chance(self.params.crashes) {
                net.crash(node)
            } else {
                net.stop(node)
            }
            self.random.exponential(self.params.absence.as_secs_f64())
        } else {
            self.returned += 1;
            net.start(node);
            self.random.weibull(self.params.shape, self.scale)
        };
        self.wake(net, node, after);
        true
    }

    fn wake(&self, net: &mut Network, node: NodeId, after: f64) {
        net.set_timer(Duration::from_secs_f64(after), Timer { component: Self::COMPONENT, node, token: 0 });
    }

    /// What is left of a session that is met at a random time: a session drawn with the weight of its length, and a random part of it. If X is
    /// Weibull of shape k, (X / scale)^k under that weight is Gamma of shape 1 + 1/k.
    fn rest_of_session(&mut self) -> f64 {
        let session = self.scale * self.random.gamma(1.0 + 1.0 / self.params.shape).powf(1.0 / self.params.shape);
        session * self.random.unit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{App, Config, Topology};

    struct Only(Option<Churn>);

    impl App for Only {
        fn event(&mut self, _: &mut Network, _: NodeId, _: mute_core::PortId, _: mute_core::Event) {}

        fn timer(&mut self, net: &mut Network, timer: Timer) {
            if let Some(churn) = &mut self.0 {
                churn.timer(net, timer);
            }
        }
    }

    #[test]
    fn half_are_there_when_absences_are_as_long_as_sessions() {
        let mut net = Network::new(Config::new(3), &Topology::random_regular(400, 4, 3));
        let churn = Churn::start(&mut net, ChurnParams::default(), 3, 0..400);
        let mut app = Only(Some(churn));
        let mut there = Vec::new();
        for hour in 2..40 {
            net.run(&mut app, Duration::from_secs(3600 * hour));
            there.push((0..400).filter(|node| net.runs(*node)).count() as f64 / 400.0);
        }
        let mean = there.iter().sum::<f64>() / there.len() as f64;
        assert!((0.45..0.55).contains(&mean), "{mean}");
        net.finish();
        assert_eq!(net.checks.failures(), (&[][..], 0));
    }
}
