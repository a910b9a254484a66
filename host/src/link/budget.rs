//! Budgets: how much of something a neighbour, or an IP address, may ask of us.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

/// A token bucket: `per_second` on average, `burst` at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenBucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    filled: Instant,
}

impl TokenBucket {
    /// A full bucket.
    pub(crate) fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        let burst = f64::from(burst);
        Self { per_second: f64::from(per_second), burst, tokens: burst, filled: now }
    }

    /// Takes a token, or tells how long until there is one.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        self.fill(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            Ok(())
        } else {
            Err(Duration::from_secs_f64((1.0 - self.tokens) / self.per_second))
        }
    }

    /// Whether nothing was taken for so long that it might as well be new.
    fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.tokens >= self.burst
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.burst);
        self.filled = now;
    }
}

/// Handshakes that an IP address may begin, on average. A neighbour that returns needs one; many nodes behind one
/// address, or a test on one machine, share these.
const ACCEPTS_PER_SECOND: u32 = 8;

/// Handshakes that an IP address may begin at once.
const ACCEPT_BURST: u32 = 64;

/// How many IP addresses are remembered. Beyond, the full buckets are forgotten, then all.
const MAX_ADDRESSES: usize = 4096;

/// How many handshakes each IP address begins. (The addresses may be forged: callers make them prove themselves by Retry
/// when it matters.)
#[derive(Debug, Default)]
pub(crate) struct AcceptRates {
    buckets: HashMap<IpAddr, TokenBucket>,
}

impl AcceptRates {
    /// Whether this address, as [`network_of`] has it, may begin another handshake.
    pub(crate) fn admit(&mut self, address: IpAddr, now: Instant) -> bool {
        if self.buckets.len() >= MAX_ADDRESSES {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
            if self.buckets.len() >= MAX_ADDRESSES {
                self.buckets.clear();
            }
        }
        let fresh = || TokenBucket::new(ACCEPTS_PER_SECOND, ACCEPT_BURST, now);
        self.buckets.entry(address).or_insert_with(fresh).take(now).is_ok()
    }
}

/// What one customer of a provider has: an address of version 4, a /64 of version 6.
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(10, 3, start);
        for _ in 0..3 {
            assert_eq!(bucket.take(start), Ok(()));
        }
        let wait = bucket.take(start).expect_err("it is empty");
        assert!((Duration::from_millis(99)..=Duration::from_millis(101)).contains(&wait));
        assert_eq!(bucket.take(start + Duration::from_millis(101)), Ok(()));
        assert!(bucket.take(start + Duration::from_millis(102)).is_err());
        assert!(!bucket.is_full(start + Duration::from_millis(200)));
        assert!(bucket.is_full(start + Duration::from_secs(1)));
    }

    #[test]
    fn an_address_that_asks_too_often_is_held_off_and_others_are_not() {
        let start = Instant::now();
        let mut rates = AcceptRates::default();
        let greedy = |n: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, n, 0, 0, 1]);
        let admitted = (0..1000).filter(|n| rates.admit(network_of(greedy(*n)), start)).count();
        assert_eq!(admitted, ACCEPT_BURST as usize);
        assert!(rates.admit(IpAddr::from([192, 0, 2, 1]), start));
        assert!(rates.admit(network_of(greedy(0)), start + Duration::from_secs(1)));
    }

    #[test]
    fn the_table_of_addresses_is_bounded() {
        let start = Instant::now();
        let mut rates = AcceptRates::default();
        for n in 0..20_000_u32 {
            rates.admit(IpAddr::V4(n.into()), start);
        }
        assert!(rates.buckets.len() <= MAX_ADDRESSES);
    }
}
