//! What a plugin's store holds on the host's side.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Instant,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::{ResourceLimiter, component::ResourceTable};

use super::{
    bindings::mute::plugin::types::Error,
    code, limits,
    network::{Identity, Network},
    status::Shared,
    watch::Watches,
};
use crate::store::Store;

/// What all plugins stand on.
pub(super) struct Host {
    pub(super) store: Store,
    pub(super) network: Arc<dyn Network>,
    pub(super) watches: Watches,
}

/// One kind of thing that a plugin may hold only so many of.
#[derive(Clone)]
pub(super) struct Quota {
    what: &'static str,
    permits: Arc<Semaphore>,
}

impl Quota {
    fn new(what: &'static str, most: usize) -> Self {
        Self { what, permits: Arc::new(Semaphore::new(most)) }
    }

    /// A place, given back when the value is dropped.
    pub(super) fn take(&self) -> Result<OwnedSemaphorePermit, Error> {
        self.try_take().ok_or_else(|| Error::new(code::QUOTA, format!("too many {} are open", self.what)))
    }

    pub(super) fn try_take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_owned().ok()
    }

    /// A place, as soon as there is one.
    pub(super) async fn wait(&self) -> Result<OwnedSemaphorePermit, Error> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        permit.map_err(|_| Error::new(code::CLOSED, "the plugin is stopping"))
    }
}

/// What one instance may hold, by kind.
pub(super) struct Quotas {
    pub(super) identities: Quota,
    pub(super) connections: Quota,
    pub(super) channels: Quota,
    pub(super) files: Quota,
    pub(super) options: Quota,
    pub(super) subscriptions: Quota,
    pub(super) disk: Quota,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            identities: Quota::new("identities", limits::IDENTITIES),
            connections: Quota::new("connections", limits::CONNECTIONS),
            channels: Quota::new("channels", limits::CHANNELS),
            files: Quota::new("files and folders", limits::FILES),
            options: Quota::new("connect options", limits::OPTIONS),
            subscriptions: Quota::new("subscriptions, listeners and watches", limits::SUBSCRIPTIONS),
            disk: Quota::new("disk operations", limits::DISK_TASKS),
        }
    }
}

/// The data of one plugin's store.
pub(super) struct State {
    pub(super) host: Arc<Host>,
    pub(super) shared: Arc<Shared>,
    pub(super) table: ResourceTable,
    pub(super) quotas: Quotas,
    pub(super) limiter: Limiter,
    /// Living named identities: opened twice, a name gives the same one.
    pub(super) identities: HashMap<String, Weak<dyn Identity>>,
    pub(super) started: Instant,
    /// Ticks that the guest took without returning to its event loop.
    pub(super) spin_ticks: Arc<AtomicU32>,
}

impl State {
    pub(super) fn new(host: Arc<Host>, shared: Arc<Shared>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::RESOURCES);
        Self {
            limiter: Limiter::new(Arc::clone(&shared)),
            host,
            shared,
            table,
            quotas: Quotas::default(),
            identities: HashMap::new(),
            started: Instant::now(),
            spin_ticks: Arc::default(),
        }
    }

    /// Puts a resource into the table; full is an error that the guest can handle.
    pub(super) fn push<T: Send + 'static>(&mut self, resource: T) -> Result<wasmtime::component::Resource<T>, Error> {
        let full = |_| Error::new(code::QUOTA, "too many resources are open");
        self.table.push(resource).map_err(full)
    }

    /// Stops a guest that used an interface without the permission.
    pub(super) fn need(&self, granted: bool, interface: &str) -> Result<(), Error> {
        if granted { Ok(()) } else { Err(Error::denied(interface)) }
    }

    pub(super) fn need_routing(&self) -> Result<(), Error> {
        self.need(self.shared.grants.permissions.routing, "routing")
    }

    pub(super) fn need_storage(&self) -> Result<(), Error> {
        self.need(self.shared.grants.permissions.storage, "storage")
    }

    pub(super) fn need_folders(&self) -> Result<(), Error> {
        self.need(self.shared.grants.permissions.folders, "folders")
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.shared.memory_bytes.store(0, Ordering::Relaxed);
    }
}

/// Bounds linear memory and tables, and remembers that memory was wanted in vain: that is then the reason of a trap.
pub(super) struct Limiter {
    shared: Arc<Shared>,
    memory_bytes: usize,
    /// The last growth, in case wasmtime then can't make it.
    growth_bytes: usize,
    refused: Arc<AtomicBool>,
}

impl Limiter {
    fn new(shared: Arc<Shared>) -> Self {
        Self { shared, memory_bytes: 0, growth_bytes: 0, refused: Arc::default() }
    }

    /// Set once memory was refused.
    pub(super) fn refused(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.refused)
    }

    fn set(&mut self, memory_bytes: usize) {
        self.memory_bytes = memory_bytes;
        self.shared.memory_bytes.store(memory_bytes as u64, Ordering::Relaxed);
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let total = self.memory_bytes.saturating_add(growth);
        if total > limits::MEMORY_BYTES {
            self.growth_bytes = 0;
            self.refused.store(true, Ordering::Relaxed);
            return Ok(false);
        }
        self.growth_bytes = growth;
        self.set(total);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        let growth = std::mem::take(&mut self.growth_bytes);
        self.set(self.memory_bytes.saturating_sub(growth));
        Ok(())
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= limits::TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        limits::INSTANCES
    }

    fn tables(&self) -> usize {
        limits::TABLES
    }

    fn memories(&self) -> usize {
        limits::MEMORIES
    }
}

/// Counts an open connection for as long as it lives.
pub(super) struct Counted(Arc<Shared>);

impl Counted {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        shared.connections.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Adds to a counter that never wraps in a lifetime.
pub(super) fn count(counter: &AtomicU64, bytes: usize) {
    counter.fetch_add(bytes as u64, Ordering::Relaxed);
}
