//! Who is at the other end: an address is the raw public key of its TLS.
//!
//! The mechanics (TLS 1.3, raw Ed25519 keys on both sides, X25519MLKEM768, no resumption) are those of a link, with
//! other keys. A client that does not show its identity proves a one-time key instead, so that all handshakes look alike.

use mute_core::{Address, IdentityKey};

use super::Error;
use crate::link::{NodeKey, NodeSecret, tls};

/// A key for one connection.
pub(crate) fn one_time_key() -> Result<IdentityKey, Error> {
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|_| Error::internal("the system gives no random numbers"))?;
    Ok(IdentityKey::from_seed(&seed))
}

/// The cryptography: that of links.
fn provider() -> rustls::crypto::CryptoProvider {
    #[cfg(feature = "relay-view")]
    if super::unsealed::is_wanted() {
        return super::unsealed::provider(tls::provider());
    }
    tls::provider()
}

/// The dialling side: proves `key`, and that the other side is `to`.
pub(crate) fn client(key: &IdentityKey, to: Address) -> Result<rustls::ClientConfig, Error> {
    tls::client_with(provider(), &secret(key), NodeKey(to.0)).map_err(|_| unusable())
}

/// The listening side: proves `key`, and that the other side has some key.
pub(crate) fn server(key: &IdentityKey) -> Result<rustls::ServerConfig, Error> {
    tls::server_with(provider(), &secret(key)).map_err(|_| unusable())
}

/// The address that the peer has proven in the handshake.
pub(crate) fn peer(connection: &quinn::Connection) -> Option<Address> {
    let identity = connection.peer_identity()?;
    let keys = identity.downcast_ref::<Vec<rustls::pki_types::CertificateDer<'_>>>()?;
    let [key] = keys.as_slice() else { return None };
    tls::node_key(key).map(|key| Address(key.0))
}

fn secret(key: &IdentityKey) -> NodeSecret {
    NodeSecret::from_seed(&key.seed())
}

fn unusable() -> Error {
    Error::internal("the cryptographic library refuses a key")
}
