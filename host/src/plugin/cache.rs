//! Compiled plugins, kept so that a start needs no compiler.
//!
//! What is kept is native code that will be run: a file is used only if its keyed hash, under a key that only the node's
//! database holds, says that this node wrote it for this component and this engine. Any doubt means compiling again.

use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions},
    hash::{Hash as _, Hasher},
    io::{Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use wasmtime::{Engine, component::Component};

use crate::store::{Store, StoreError};

/// The largest compiled component that is kept: native code is several times as large as wasm.
const CODE_BYTES: u64 = 256 * 1024 * 1024;
/// Files that are kept; the oldest go first.
const FILES: usize = 64;
/// The bytes of the keyed hash before the code.
const MAC_BYTES: usize = 32;
/// The setting that holds the key.
const KEY_SETTING: &str = "cache-key";

/// The folder of compiled plugins.
pub(super) struct Cache {
    folder: PathBuf,
    key: [u8; 32],
}

impl Cache {
    /// Opens or makes the folder, for its owner only.
    pub(super) fn open(folder: &Path, store: &Store) -> std::io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        std::fs::set_permissions(folder, Permissions::from_mode(0o700))?;
        let key = cache_key(store).map_err(std::io::Error::other)?;
        Ok(Self { folder: folder.to_owned(), key })
    }

    /// The compiled form of `component`, if this node kept it.
    pub(super) fn load(&self, engine: &Engine, component: &blake3::Hash) -> Option<Component> {
        let name = fingerprint(engine, component);
        let kept = read(&self.folder.join(name.to_hex().as_str()))?;
        let (mac, code) = kept.split_at_checked(MAC_BYTES)?;
        // `blake3::Hash` compares in constant time.
        if self.mac(&name, code) != blake3::Hash::from_slice(mac).ok()? {
            tracing::warn!("a compiled plugin in the cache was damaged: compiling it again");
            return None;
        }
        deserialize(engine, code)
    }

    /// Keeps a compiled component. Failing to costs only time at the next start.
    pub(super) fn keep(&self, engine: &Engine, component: &blake3::Hash, compiled: &Component) {
        if let Err(error) = self.try_keep(engine, component, compiled) {
            tracing::warn!(%error, "a compiled plugin could not be kept in the cache");
        }
    }

    fn try_keep(&self, engine: &Engine, component: &blake3::Hash, compiled: &Component) -> std::io::Result<()> {
        let code = compiled.serialize().map_err(std::io::Error::other)?;
        let name = fingerprint(engine, component);
        // A temporary file is 0600, and appears under its name only whole.
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(self.mac(&name, &code).as_bytes())?;
        file.write_all(&code)?;
        file.persist(self.folder.join(name.to_hex().as_str())).map_err(|error| error.error)?;
        self.prune()
    }

    /// Binds code to the component and the engine that it was compiled for.
    fn mac(&self, name: &blake3::Hash, code: &[u8]) -> blake3::Hash {
        let mut mac = blake3::Hasher::new_keyed(&self.key);
        mac.update(name.as_bytes()).update(code);
        mac.finalize()
    }

    /// Removes the oldest files beyond the bound.
    fn prune(&self) -> std::io::Result<()> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
        files.sort();
        for (_, path) in files.iter().take(files.len().saturating_sub(FILES)) {
            std::fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// The key of this node's cache; made on first use.
fn cache_key(store: &Store) -> Result<[u8; 32], StoreError> {
    if let Some(Ok(key)) = store.setting(KEY_SETTING)?.map(<[u8; 32]>::try_from) {
        return Ok(key);
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| StoreError::Failed(error.to_string()))?;
    store.set_setting(KEY_SETTING, Some(&key))?;
    Ok(key)
}

/// The name of a compiled component: the hash of its wasm and of all that shapes the engine's code.
fn fingerprint(engine: &Engine, component: &blake3::Hash) -> blake3::Hash {
    let mut hasher = Blake3(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.update(component.as_bytes()).finalize()
}

/// Lets `Hash` feed a hash that nobody can collide.
struct Blake3(blake3::Hasher);

impl Hasher for Blake3 {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0.finalize().as_bytes()[..8]);
        u64::from_le_bytes(first)
    }
}

/// A kept file, unless it is missing, somebody else may write to it, or it is too large.
fn read(path: &Path) -> Option<Vec<u8>> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path).ok()?;
    if !is_private(&file)? {
        return None;
    }
    let mut kept = Vec::new();
    file.take(CODE_BYTES + 1).read_to_end(&mut kept).ok()?;
    (kept.len() as u64 <= CODE_BYTES).then_some(kept)
}

/// Whether a file is a plain one that only its owner can change.
fn is_private(file: &File) -> Option<bool> {
    let metadata = file.metadata().ok()?;
    Some(metadata.is_file() && metadata.permissions().mode() & 0o022 == 0)
}

/// Native code as a component.
#[expect(unsafe_code, reason = "loading compiled code is what the cache is for; see the safety comment")]
fn deserialize(engine: &Engine, code: &[u8]) -> Option<Component> {
    // SAFETY: `deserialize` runs what it is given, so it must be what `Component::serialize` returned. The caller has checked
    // a keyed hash over these very bytes, whose key only this node's database (0600) holds, and only `keep` makes such hashes,
    // over what `serialize` returned. The bytes are in our own memory: nobody changes them after the check. The hash covers the
    // engine's compatibility hash, and wasmtime checks its version and settings once more and fails on a mismatch.
    let component = unsafe { Component::deserialize(engine, code) };
    component.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest component: the empty one.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn cache() -> (tempfile::TempDir, Cache, Engine) {
        let home = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(&home.path().join("mute.redb")).expect("a store");
        let cache = Cache::open(&home.path().join("cache"), &store).expect("a cache");
        (home, cache, Engine::default())
    }

    fn only_file(cache: &Cache) -> PathBuf {
        let mut files = std::fs::read_dir(&cache.folder).expect("listed");
        let file = files.next().expect("one file").expect("read").path();
        assert!(files.next().is_none());
        file
    }

    #[test]
    fn what_was_kept_is_found_and_anything_changed_is_not() {
        let (_home, cache, engine) = cache();
        let hash = blake3::hash(EMPTY);
        assert!(cache.load(&engine, &hash).is_none());
        let compiled = Component::new(&engine, EMPTY).expect("compiles");
        cache.keep(&engine, &hash, &compiled);
        assert!(cache.load(&engine, &hash).is_some());
        assert!(cache.load(&engine, &blake3::hash(b"another")).is_none());

        let file = only_file(&cache);
        let good = std::fs::read(&file).expect("read");
        for place in [0, MAC_BYTES, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[place] ^= 1;
            std::fs::write(&file, &bad).expect("written");
            assert!(cache.load(&engine, &hash).is_none(), "byte {place}");
        }
        std::fs::write(&file, &good[..good.len() - 1]).expect("written");
        assert!(cache.load(&engine, &hash).is_none());
        std::fs::write(&file, b"short").expect("written");
        assert!(cache.load(&engine, &hash).is_none());
        std::fs::write(&file, &good).expect("written");
        assert!(cache.load(&engine, &hash).is_some());

        std::fs::set_permissions(&file, Permissions::from_mode(0o666)).expect("opened to all");
        assert!(cache.load(&engine, &hash).is_none());
    }

    #[test]
    fn another_components_code_under_this_name_is_not_run() {
        let (_home, cache, engine) = cache();
        let compiled = Component::new(&engine, EMPTY).expect("compiles");
        cache.keep(&engine, &blake3::hash(b"one"), &compiled);
        let file = only_file(&cache);
        let other = fingerprint(&engine, &blake3::hash(b"two"));
        std::fs::rename(&file, cache.folder.join(other.to_hex().as_str())).expect("moved");
        assert!(cache.load(&engine, &blake3::hash(b"two")).is_none());
    }

    #[test]
    fn another_engine_compiles_anew() {
        let (_home, cache, engine) = cache();
        let hash = blake3::hash(EMPTY);
        cache.keep(&engine, &hash, &Component::new(&engine, EMPTY).expect("compiles"));
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let other = Engine::new(&config).expect("an engine");
        assert!(cache.load(&other, &hash).is_none());
    }
}
