//! TLS of a link: 1.3 only, mutual authentication by raw public keys (RFC 7250), a key exchange that stands against
//! quantum computers, no resumption.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, ServerConfig,
    SignatureScheme,
    client::{
        AlwaysResolvesClientRawPublicKeys, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature_with_raw_key},
    pki_types::{
        CertificateDer, PrivatePkcs8KeyDer, ServerName, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer,
        UnixTime, alg_id,
    },
    server::{
        AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
};

use super::{NodeKey, NodeSecret};

/// What every link says in ALPN.
pub const ALPN: &[u8] = b"mute/1";

/// What every dialler names in SNI: always the same, so that it tells nothing.
pub const SERVER_NAME: &str = "mute";

/// What an Ed25519 SubjectPublicKeyInfo starts with (RFC 8410); the 32 bytes of the key follow.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What an Ed25519 private key in PKCS #8 starts with (RFC 8410); the 32 bytes of the seed follow.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Ed25519 and nothing else.
const SIGNATURES: WebPkiSupportedAlgorithms = {
    const ED25519: &[&dyn SignatureVerificationAlgorithm] = &[&Ed25519];
    WebPkiSupportedAlgorithms { all: ED25519, mapping: &[(SignatureScheme::ED25519, ED25519)] }
};

/// Ed25519 by aws-lc-rs, as a value that a constant can name.
#[derive(Debug)]
struct Ed25519;

impl SignatureVerificationAlgorithm for Ed25519 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), rustls::pki_types::InvalidSignature> {
        ::aws_lc_rs::signature::UnparsedPublicKey::new(&::aws_lc_rs::signature::ED25519, public_key)
            .verify(message, signature)
            .map_err(|_| rustls::pki_types::InvalidSignature)
    }

    fn public_key_alg_id(&self) -> rustls::pki_types::AlgorithmIdentifier {
        alg_id::ED25519
    }

    fn signature_alg_id(&self) -> rustls::pki_types::AlgorithmIdentifier {
        alg_id::ED25519
    }
}

/// The cryptography of links and of the streams inside MUTE. One key exchange, X25519 with ML-KEM-768: a neighbour that
/// could choose another could choose away what protects a recording of today from a computer of tomorrow. AES-128-GCM
/// first, for it is the fastest where the processor has it; ChaCha20 for processors that have not.
pub(crate) fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256,
            aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768],
        signature_verification_algorithms: SIGNATURES,
        ..aws_lc_rs::default_provider()
    }
}

/// The SubjectPublicKeyInfo of a node's key.
fn spki(key: &NodeKey) -> Vec<u8> {
    [&SPKI_PREFIX[..], &key.0].concat()
}

/// The key in a SubjectPublicKeyInfo, if it is exactly one of Ed25519.
pub(crate) fn node_key(spki: &[u8]) -> Option<NodeKey> {
    Some(NodeKey(spki.strip_prefix(&SPKI_PREFIX)?.try_into().ok()?))
}

/// What proves this node's key in a handshake.
fn certified(secret: &NodeSecret) -> Result<Arc<CertifiedKey>, Error> {
    let seed = secret.seed();
    let der = zeroize::Zeroizing::new([&PKCS8_PREFIX[..], seed.as_slice()].concat());
    let signer = aws_lc_rs::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(der.as_slice()))?;
    Ok(Arc::new(CertifiedKey::new(vec![CertificateDer::from(spki(&secret.key()))], signer)))
}

/// The dialler's side: proves `secret`, and that the other side is `expected`.
pub(crate) fn client(secret: &NodeSecret, expected: NodeKey) -> Result<ClientConfig, Error> {
    client_with(provider(), secret, expected)
}

/// The same with other cryptography.
pub(crate) fn client_with(
    provider: CryptoProvider,
    secret: &NodeSecret,
    expected: NodeKey,
) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(RawKeys { expected: Some(expected) }))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified(secret)?)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The listener's side: proves `secret`, and that the other side has some key; whether that one is welcome is decided
/// after the handshake.
pub(crate) fn server(secret: &NodeSecret) -> Result<ServerConfig, Error> {
    server_with(provider(), secret)
}

/// The same with other cryptography.
pub(crate) fn server_with(provider: CryptoProvider, secret: &NodeSecret) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(RawKeys { expected: None }))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified(secret)?)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// Accepts raw Ed25519 keys: one, or any.
#[derive(Debug)]
struct RawKeys {
    /// The only key to accept.
    expected: Option<NodeKey>,
}

impl RawKeys {
    /// The form of the key, and whether it is the expected one. That it is the other side's own, its signature shows.
    fn check_key(&self, spki: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<(), Error> {
        let key = node_key(spki).ok_or(CertificateError::BadEncoding)?;
        if !others.is_empty() {
            return Err(CertificateError::BadEncoding.into());
        }
        match self.expected {
            Some(expected) if expected != key => Err(CertificateError::ApplicationVerificationFailure.into()),
            _ => Ok(()),
        }
    }

    fn check_signature(
        message: &[u8],
        spki: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature_with_raw_key(
            message,
            &SubjectPublicKeyInfoDer::from(spki.as_ref()),
            signature,
            &SIGNATURES,
        )
    }
}

/// What is said to whoever tries TLS 1.2, which cannot come up to here.
const TLS12: Error = Error::PeerIncompatible(PeerIncompatible::Tls13RequiredForQuic);

impl ServerCertVerifier for RawKeys {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check_key(end_entity, intermediates).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(TLS12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        spki: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::check_signature(message, spki, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SIGNATURES.supported_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for RawKeys {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check_key(end_entity, intermediates).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(TLS12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        spki: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::check_signature(message, spki, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SIGNATURES.supported_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use rustls::{NamedGroup, quic};

    use super::*;

    /// Carries the handshake's bytes between the two sides until neither has more to say.
    fn handshake(client: ClientConfig, server: ServerConfig) -> Result<[quic::Connection; 2], Error> {
        let name = ServerName::try_from(SERVER_NAME).expect("a DNS name");
        let client = quic::ClientConnection::new(Arc::new(client), quic::Version::V1, name, vec![])?;
        let server = quic::ServerConnection::new(Arc::new(server), quic::Version::V1, vec![])?;
        let mut sides = [quic::Connection::from(client), quic::Connection::from(server)];
        let mut silent = 0;
        for turn in (0..2).cycle() {
            silent += 1;
            // What is said under different keys is heard apart.
            loop {
                let mut said = Vec::new();
                let new_keys = sides[turn].write_hs(&mut said).is_some();
                if !said.is_empty() {
                    sides[1 - turn].read_hs(&said)?;
                    silent = 0;
                }
                if !new_keys {
                    break;
                }
            }
            if silent == 2 {
                break;
            }
        }
        Ok(sides)
    }

    fn secret(seed: u8) -> NodeSecret {
        NodeSecret::from_seed(&[seed; 32])
    }

    #[test]
    fn both_sides_prove_their_keys_by_a_hybrid_key_exchange() {
        let [client, server] = handshake(
            client(&secret(1), secret(2).key()).expect("a configuration"),
            super::server(&secret(2)).expect("a configuration"),
        )
        .expect("a handshake");
        for (side, peer) in [(&client, 2), (&server, 1)] {
            assert!(!side.is_handshaking());
            let group = side.negotiated_key_exchange_group().expect("a key exchange").name();
            assert_eq!(group, NamedGroup::X25519MLKEM768);
            assert_eq!(side.alpn_protocol(), Some(ALPN));
            let keys = side.peer_certificates().expect("the peer's key");
            assert_eq!(keys.len(), 1);
            assert_eq!(node_key(&keys[0]), Some(secret(peer).key()));
        }
    }

    #[test]
    fn another_key_than_the_expected_is_refused() {
        let client = client(&secret(1), secret(3).key()).expect("a configuration");
        let server = super::server(&secret(2)).expect("a configuration");
        let refused = handshake(client, server).expect_err("no handshake");
        assert_eq!(refused, CertificateError::ApplicationVerificationFailure.into());
    }

    #[test]
    fn a_key_without_its_secret_is_refused() {
        let mut impostor = client(&secret(1), secret(2).key()).expect("a configuration");
        let stolen = CertifiedKey::new(
            vec![CertificateDer::from(spki(&secret(3).key()))],
            certified(&secret(1)).expect("a key").key.clone(),
        );
        impostor.client_auth_cert_resolver = Arc::new(AlwaysResolvesClientRawPublicKeys::new(Arc::new(stolen)));
        let server = super::server(&secret(2)).expect("a configuration");
        let refused = handshake(impostor, server).expect_err("no handshake");
        assert_eq!(refused, CertificateError::BadSignature.into());
    }

    #[test]
    fn a_key_exchange_without_the_hybrid_is_refused() {
        let mut weak = client(&secret(1), secret(2).key()).expect("a configuration");
        let classical = CryptoProvider { kx_groups: vec![aws_lc_rs::kx_group::X25519], ..provider() };
        weak = {
            let mut config = ClientConfig::builder_with_provider(Arc::new(classical))
                .with_protocol_versions(&[&rustls::version::TLS13])
                .expect("TLS 1.3")
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(RawKeys { expected: None }))
                .with_client_cert_resolver(weak.client_auth_cert_resolver.clone());
            config.alpn_protocols = vec![ALPN.to_vec()];
            config
        };
        let server = super::server(&secret(2)).expect("a configuration");
        assert!(handshake(weak, server).is_err());
    }

    #[test]
    fn only_ed25519_keys_of_exact_form_are_keys() {
        let good = spki(&secret(1).key());
        assert_eq!(node_key(&good), Some(secret(1).key()));
        assert_eq!(node_key(&good[..43]), None);
        assert_eq!(node_key(&[&good[..], &[0]].concat()), None);
        let mut x25519 = good;
        x25519[8] = 0x6e;
        assert_eq!(node_key(&x25519), None);
    }
}
