//! Coins that a node throws once and for ever: repeating a question teaches nothing about them.

/// Draws that hang on a secret, the same for the same arguments, over restarts.
pub(super) struct Coins {
    key: [u8; 32],
}

impl Coins {
    /// Those of one purpose. `context`: as [`blake3::derive_key`] has it.
    pub(super) fn new(context: &str, secret: &[u8; 32]) -> Self {
        Self { key: blake3::derive_key(context, secret) }
    }

    /// The draw for these arguments. Callers see to it that no two lists of them are the same bytes when put together.
    pub(super) fn draw(&self, arguments: &[&[u8]]) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for argument in arguments {
            hasher.update(argument);
        }
        hasher.finalize().as_bytes().first_chunk().map_or(0, |draw| u64::from_be_bytes(*draw))
    }
}
