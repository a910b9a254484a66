//! The neighbours that the user added by hand, kept over restarts.

use crate::{
    error::{Error, Kind, Result},
    link::{NodeKey, PeerAddress},
    store::Store,
};

/// The setting that holds them, one a line.
const SETTING: &str = "peers";
/// As many as a node dials.
const MAX_PEERS: usize = 256;

/// The neighbours of earlier `mute peer add`.
pub(super) fn load(store: &Store) -> Result<Vec<PeerAddress>> {
    let stored = store.setting(SETTING).map_err(super::store_failed)?.unwrap_or_default();
    let text = String::from_utf8(stored).map_err(|_| damaged())?;
    text.lines().map(|line| line.parse().map_err(|_| damaged())).collect()
}

fn damaged() -> Error {
    Error::failure("the database is damaged: the list of neighbours cannot be read")
}

/// Keeps a neighbour, with this address if it had another.
pub(super) fn add(store: &Store, peer: &PeerAddress) -> Result<()> {
    let mut peers = load(store)?;
    peers.retain(|known| known.key != peer.key);
    if peers.len() >= MAX_PEERS {
        return Err(Error::new(Kind::Busy, format!("there are {MAX_PEERS} neighbours already: remove one first")));
    }
    peers.push(peer.clone());
    save(store, &peers)
}

/// Forgets a neighbour; whether there was one.
pub(super) fn remove(store: &Store, key: NodeKey) -> Result<bool> {
    let mut peers = load(store)?;
    let before = peers.len();
    peers.retain(|known| known.key != key);
    if peers.len() == before {
        return Ok(false);
    }
    save(store, &peers).map(|()| true)
}

fn save(store: &Store, peers: &[PeerAddress]) -> Result<()> {
    let text = peers.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    store.set_setting(SETTING, Some(text.as_bytes())).map_err(super::store_failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::NodeSecret;

    #[test]
    fn neighbours_are_kept_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("s")).unwrap();
        let peer =
            |seed: u8, port| PeerAddress { key: NodeSecret::from_seed(&[seed; 32]).key(), host: "::1".into(), port };
        assert_eq!(load(&store).unwrap(), []);
        add(&store, &peer(1, 1)).unwrap();
        add(&store, &peer(2, 2)).unwrap();
        add(&store, &peer(1, 3)).unwrap();
        assert_eq!(load(&store).unwrap(), [peer(2, 2), peer(1, 3)]);
        assert!(remove(&store, peer(2, 0).key).unwrap());
        assert!(!remove(&store, peer(2, 0).key).unwrap());
        assert_eq!(load(&store).unwrap(), [peer(1, 3)]);
    }
}
