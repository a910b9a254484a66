//! Who there is: honest nodes at their providers, and an adversary's in few prefixes.

use mute_core::neighbours::{Host, NeighbourAddress, NodeKey};

use crate::{app::NodeId, random::Random};

/// Providers of honest nodes; how many nodes each has follows Zipf's law, as customers of providers do.
const PROVIDERS: usize = 1000;

/// The port that all listen on: it decides nothing.
const PORT: u16 = 4848;

/// One node of the population.
#[derive(Clone, Copy, Debug)]
pub(super) struct Person {
    pub(super) host: Host,
    pub(super) adversary: bool,
    /// Whether others can dial it.
    pub(super) reachable: bool,
}

/// What the population is drawn from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Census {
    pub(super) honest: usize,
    pub(super) adversaries: usize,
    /// The adversary's /24s, spread evenly over so many /16s.
    pub(super) prefixes: usize,
    pub(super) providers: usize,
    /// The share of honest nodes that others can dial.
    pub(super) reachable: f64,
}

impl Census {
    /// The honest ones first, then the adversary's. The first `known` are always reachable.
    pub(super) fn draw(&self, known: usize, seed: u64) -> Vec<Person> {
        let mut random = Random::new(seed, "population");
        let mut sum = 0.0;
        let harmonic: Vec<f64> = (0..PROVIDERS)
            .map(|place| {
                sum += 1.0 / (place + 1) as f64;
                sum
            })
            .collect();
        let mut people = Vec::with_capacity(self.honest + self.adversaries);
        for node in 0..self.honest {
            let draw = random.unit() * sum;
            let provider = harmonic.partition_point(|below| *below <= draw).min(PROVIDERS - 1);
            let bits = random.bits();
            let ip = [20 + (provider >> 8) as u8, provider as u8, bits as u8, (bits >> 8) as u8];
            let reachable = random.chance(self.reachable) || node < known;
            people.push(Person { host: host(node, ip, &mut random), adversary: false, reachable });
        }
        for number in 0..self.adversaries {
            let prefix = number % self.prefixes.max(1);
            let (provider, line) = (prefix % self.providers.max(1), prefix / self.providers.max(1));
            let ip =
                [60 + (provider >> 8) as u8 % 40, provider as u8, line as u8, (number / self.prefixes.max(1)) as u8];
            let node = self.honest + number;
            people.push(Person { host: host(node, ip, &mut random), adversary: true, reachable: true });
        }
        people
    }
}

fn host(node: usize, ip: [u8; 4], random: &mut Random) -> Host {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&random.bits().to_be_bytes());
    // The last bytes say who it is, so that looking a key up needs no table. The policy does not look at them.
    key[28..].copy_from_slice(&(node as u32).to_be_bytes());
    Host { key: NodeKey(key), address: NeighbourAddress::at((ip, PORT).into()) }
}

/// A host that there is not, somewhere. It passes for one that nobody runs.
pub(super) fn invented(random: &mut Random) -> Host {
    let bits = random.bits();
    // Beyond the providers of anybody who exists.
    let ip = [110 + (bits >> 24) as u8 % 10, (bits >> 16) as u8, (bits >> 8) as u8, bits as u8];
    host(NOBODY as usize, ip, random)
}

/// Who has a key that nobody has.
pub(super) const NOBODY: NodeId = NodeId::MAX;

/// Who has this key.
pub(super) fn node_of(key: NodeKey) -> NodeId {
    let mut number = [0; 4];
    number.copy_from_slice(&key.0[28..]);
    NodeId::from_be_bytes(number)
}

/// The port that all listen on.
pub(super) const fn port() -> u16 {
    PORT
}
