//! Seeded randomness: a stream for each purpose, so that one more draw here changes nothing there.

use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};
use rand_core::Rng as _;

/// A stream of random numbers that a seed and a purpose name.
#[derive(Clone)]
pub struct Random(ChaCha8Rng);

/// 32 bytes that a run's seed, a purpose and a number name: keys, router seeds, the seeds of streams.
pub fn derive(seed: u64, purpose: &str, number: u64) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("mute simulation");
    hasher.update(&seed.to_le_bytes());
    hasher.update(&number.to_le_bytes());
    hasher.update(purpose.as_bytes());
    *hasher.finalize().as_bytes()
}

impl Random {
    /// The stream of `purpose` in the run of `seed`.
    pub fn new(seed: u64, purpose: &str) -> Self {
        Self::numbered(seed, purpose, 0)
    }

    /// The `number`th stream of `purpose` in the run of `seed`.
    pub fn numbered(seed: u64, purpose: &str, number: u64) -> Self {
        Self(ChaCha8Rng::from_seed(derive(seed, purpose, number)))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// An integer below `bound`, evenly (by multiplication; the bias is below 2⁻³² for the bounds of a simulation). 0 if the
    /// bound is.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// A number in [0, 1), evenly.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whether something of this probability happens.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Exponential, with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Weibull, with this shape and scale.
    pub fn weibull(&mut self, shape: f64, scale: f64) -> f64 {
        scale * (-(1.0 - self.unit()).ln()).powf(1.0 / shape)
    }

    /// Normal, with mean 0 and variance 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (2.0 * std::f64::consts::PI * self.unit()).cos()
    }

    /// Gamma, with this shape (at least 1) and scale 1 (Marsaglia and Tsang 2000).
    pub fn gamma(&mut self, shape: f64) -> f64 {
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && (1.0 - self.unit()).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }

    /// An element, evenly.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    /// Puts a list into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            let other = self.below(last + 1);
            list.swap(last, other);
        }
    }
}

/// Weibull's scale for a mean: mean / Γ(1 + 1/shape).
pub fn weibull_scale(shape: f64, mean: f64) -> f64 {
    mean / gamma(1.0 + 1.0 / shape)
}

/// The gamma function, by Lanczos' approximation (g = 7, n = 9), good to 10⁻¹³ for what is over 0.5.
fn gamma(x: f64) -> f64 {
    const LANCZOS: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let sum: f64 = LANCZOS.iter().enumerate().skip(1).fold(LANCZOS[0], |sum, (n, c)| sum + c / (x + n as f64));
    let t = x + 7.5;
    (2.0 * std::f64::consts::PI).sqrt() * t.powf(x + 0.5) * (-t).exp() * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_purpose_name_a_stream() {
        let draws = |seed, purpose| (0..8).map(|_| Random::new(seed, purpose).bits()).collect::<Vec<_>>();
        assert_eq!(draws(1, "a"), draws(1, "a"));
        assert_ne!(draws(1, "a"), draws(1, "b"));
        assert_ne!(draws(1, "a"), draws(2, "a"));
    }

    #[test]
    fn laws_have_their_means() {
        let mut random = Random::new(1, "means");
        let mut mean =
            |draw: &mut dyn FnMut(&mut Random) -> f64| (0..200_000).map(|_| draw(&mut random)).sum::<f64>() / 200_000.0;
        assert!((mean(&mut |random| random.exponential(3.0)) - 3.0).abs() < 0.05);
        assert!((mean(&mut |random| random.below(10) as f64) - 4.5).abs() < 0.05);
        let scale = weibull_scale(0.38, 42.4);
        let weibull = mean(&mut |random| random.weibull(0.38, scale));
        assert!((weibull - 42.4).abs() < 2.5, "{weibull}");
        assert!((mean(&mut |random| random.gamma(3.6)) - 3.6).abs() < 0.03);
        assert!(mean(&mut Random::normal).abs() < 0.01);
        assert!((gamma(5.0) - 24.0).abs() < 1e-9);
    }

    #[test]
    fn a_shuffle_loses_nothing() {
        let mut list: Vec<u32> = (0..100).collect();
        Random::new(1, "shuffle").shuffle(&mut list);
        assert_ne!(list, (0..100).collect::<Vec<_>>());
        list.sort_unstable();
        assert_eq!(list, (0..100).collect::<Vec<_>>());
    }
}
