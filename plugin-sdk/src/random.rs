//! Randomness, fit for keys. It comes from the host.

use crate::Result;
use crate::bindings::plugin::mute::plugin::random as host;

/// That many random bytes, at most 64 KiB.
///
/// # Errors
/// [`crate::Error::TOO_LARGE`].
pub fn bytes(length: u32) -> Result<Vec<u8>> {
    Ok(host::bytes(length)?)
}

/// Random bytes.
///
/// # Errors
/// If the host has none.
pub fn array<const N: usize>() -> Result<[u8; N]> {
    let told = |_| crate::Error::internal("the host gave another number of random bytes");
    let length = u32::try_from(N).map_err(|_| crate::Error::too_large("random bytes"))?;
    bytes(length)?.try_into().map_err(told)
}

/// A random number.
///
/// # Errors
/// If the host has none.
pub fn number() -> Result<u64> {
    Ok(u64::from_le_bytes(array()?))
}
