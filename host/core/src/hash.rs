//! A keyed hasher, for tables whose keys neighbours choose.

use std::hash::{BuildHasher, Hasher};

/// Makes hashers with a router's secret key, so that nobody outside can find keys that collide. (The standard library's own
/// random state would make runs differ.)
#[derive(Clone)]
pub(crate) struct Keyed {
    keys: [u64; 2],
}

impl Keyed {
    pub(crate) fn new(keys: [u64; 2]) -> Self {
        Self { keys }
    }
}

impl BuildHasher for Keyed {
    type Hasher = Sip13;

    fn build_hasher(&self) -> Sip13 {
        let [k0, k1] = self.keys;
        Sip13 {
            v: [
                k0 ^ 0x736f_6d65_7073_6575,
                k1 ^ 0x646f_7261_6e64_6f6d,
                k0 ^ 0x6c79_6765_6e65_7261,
                k1 ^ 0x7465_6462_7974_6573,
            ],
            words: 0,
        }
    }
}

/// SipHash-1-3 over 64-bit words: what the standard library uses against collisions, for keys that are a few words long.
pub(crate) struct Sip13 {
    v: [u64; 4],
    words: u64,
}

impl Sip13 {
    fn round(&mut self) {
        let [v0, v1, v2, v3] = &mut self.v;
        *v0 = v0.wrapping_add(*v1);
        *v1 = v1.rotate_left(13) ^ *v0;
        *v0 = v0.rotate_left(32);
        *v2 = v2.wrapping_add(*v3);
        *v3 = v3.rotate_left(16) ^ *v2;
        *v0 = v0.wrapping_add(*v3);
        *v3 = v3.rotate_left(21) ^ *v0;
        *v2 = v2.wrapping_add(*v1);
        *v1 = v1.rotate_left(17) ^ *v2;
        *v2 = v2.rotate_left(32);
    }
}

impl Hasher for Sip13 {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.v[3] ^= word;
        self.round();
        self.v[0] ^= word;
        self.words += 1;
    }

    fn write_usize(&mut self, word: usize) {
        // The length before an array's bytes; the same on machines of every width.
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        let mut last = Self { v: self.v, words: self.words };
        // As in SipHash the last word holds the length in its highest byte.
        last.write_u64(self.words << 59);
        last.v[2] ^= 0xff;
        for _ in 0..3 {
            last.round();
        }
        last.v.iter().fold(0, |hash, word| hash ^ word)
    }
}

/// For keys that are hashes with a secret key already: the last eight bytes.
#[derive(Default)]
pub(crate) struct Through(u64);

impl Hasher for Through {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference vectors' key is 00 01 … 0f and their input 00 01 …; these are SipHash-1-3 of its first 0, 8 and 16 bytes.
    #[test]
    fn is_siphash_1_3() {
        let keyed = Keyed::new([0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]);
        let input: Vec<u8> = (0..16).collect();
        #[allow(deprecated, reason = "the standard library has no other SipHash with a key of one's own")]
        let reference = |rounds_2_4: &[u8]| {
            let mut sip = std::hash::SipHasher::new_with_keys(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
            sip.write(rounds_2_4);
            sip.finish()
        };
        let ours = |bytes: &[u8]| {
            let mut sip = keyed.build_hasher();
            sip.write(bytes);
            sip.finish()
        };
        assert_eq!(ours(&[]), 0xabac_0158_050f_c4dc);
        assert_ne!(ours(&input[..8]), ours(&input));
        assert_ne!(ours(&input), reference(&input), "1-3 is not 2-4");
        let other = Keyed::new([1, 2]).build_hasher().finish();
        assert_ne!(ours(&[]), other);
    }
}
