//! Streams and letters without their seals, for the test that searches what a relay sees: only a search that finds everything here
//! means something when it finds nothing elsewhere. Only in builds with the feature `relay-view`, and only when
//! `MUTE_UNSEALED` is set in the environment of both ends.
//!
//! Three seals are left out: that of letters, that of a trail's packets, and within it that of QUIC, by a cipher suite
//! that changes nothing.
//! QUIC's very first packets keep theirs, whose keys everybody can derive.

use std::sync::LazyLock;

use rustls::{
    CipherSuite, CipherSuiteCommon, Error, SupportedCipherSuite, Tls13CipherSuite,
    crypto::{
        CryptoProvider,
        aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        cipher::{AeadKey, Iv},
    },
    quic::{Algorithm, HeaderProtectionKey, PacketKey, Tag},
};

/// The length of every tag of QUIC.
const TAG: usize = 16;

/// Whether seals are to be left out.
pub(super) fn is_wanted() -> bool {
    static WANTED: LazyLock<bool> = LazyLock::new(|| std::env::var_os("MUTE_UNSEALED").is_some());
    *WANTED
}

/// A cipher suite that changes nothing, under the number of a real one, and first in the list.
pub(super) fn provider(provider: CryptoProvider) -> CryptoProvider {
    static SUITE: LazyLock<Option<Tls13CipherSuite>> = LazyLock::new(|| {
        let real = TLS13_CHACHA20_POLY1305_SHA256.tls13()?;
        let common = CipherSuiteCommon {
            suite: CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
            hash_provider: real.common.hash_provider,
            confidentiality_limit: u64::MAX,
        };
        Some(Tls13CipherSuite { common, hkdf_provider: real.hkdf_provider, aead_alg: real.aead_alg, quic: Some(&Open) })
    });
    let open = SUITE.as_ref().map(SupportedCipherSuite::Tls13);
    let rest =
        provider.cipher_suites.into_iter().filter(|suite| suite.suite() != CipherSuite::TLS13_CHACHA20_POLY1305_SHA256);
    CryptoProvider { cipher_suites: open.into_iter().chain(rest).collect(), ..provider }
}

/// The cipher that changes nothing.
struct Open;

impl Algorithm for Open {
    fn packet_key(&self, _: AeadKey, _: Iv) -> Box<dyn PacketKey> {
        Box::new(Self)
    }

    fn header_protection_key(&self, _: AeadKey) -> Box<dyn HeaderProtectionKey> {
        Box::new(Self)
    }

    fn aead_key_len(&self) -> usize {
        32
    }
}

impl PacketKey for Open {
    fn encrypt_in_place(&self, _: u64, _: &[u8], _: &mut [u8]) -> Result<Tag, Error> {
        Ok(Tag::from(&[0; TAG][..]))
    }

    fn decrypt_in_place<'a>(&self, _: u64, _: &[u8], payload: &'a mut [u8]) -> Result<&'a [u8], Error> {
        let length = payload.len().checked_sub(TAG).ok_or(Error::DecryptError)?;
        Ok(&payload[..length])
    }

    fn tag_len(&self) -> usize {
        TAG
    }

    fn confidentiality_limit(&self) -> u64 {
        u64::MAX
    }

    fn integrity_limit(&self) -> u64 {
        u64::MAX
    }
}

impl HeaderProtectionKey for Open {
    fn encrypt_in_place(&self, _: &[u8], _: &mut u8, _: &mut [u8]) -> Result<(), Error> {
        Ok(())
    }

    fn decrypt_in_place(&self, _: &[u8], _: &mut u8, _: &mut [u8]) -> Result<(), Error> {
        Ok(())
    }

    fn sample_len(&self) -> usize {
        TAG
    }
}
