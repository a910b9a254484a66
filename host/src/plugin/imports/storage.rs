//! The plugin's values, over the node's database.

use std::sync::{Arc, atomic::Ordering};

use wasmtime::component::{Accessor, HasSelf};

use super::Answer;
use crate::{
    plugin::{
        bindings::mute::plugin::{
            storage::{Host, HostWithStore, Space},
            types::Error,
        },
        code,
        state::{Quota, State},
        status::Shared,
    },
    store::{Entry, Store, StoreError},
};

/// A way to the disk that holds nothing of the wasm store, so that it can be kept over an await.
struct Disk {
    store: Store,
    shared: Arc<Shared>,
    quota: Quota,
}

impl Disk {
    fn of<U: Send>(accessor: &Accessor<U, HasSelf<State>>) -> Result<Self, Error> {
        accessor.with(|mut access| {
            let state = access.get();
            state.need_storage()?;
            let (store, shared) = (state.host.store.clone(), Arc::clone(&state.shared));
            Ok(Self { store, shared, quota: state.quotas.disk.clone() })
        })
    }

    /// Runs `work` in a thread that may wait for the disk. The work ends even if the guest gives the call up: a put is then done
    /// or not, but never half.
    async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce(&Store, &Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Error> {
        let permit = self.quota.wait().await?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&self.store, &self.shared);
            drop(permit);
            result
        });
        let result = done.await.map_err(|_| Error::new(code::INTERNAL, "the disk operation failed"))?;
        result.map_err(Error::from)
    }
}

/// Runs `work` on the plugin's values, if it may.
async fn on_disk<U: Send, T: Send + 'static>(
    accessor: &Accessor<U, HasSelf<State>>,
    work: impl FnOnce(&Store, &Shared) -> Result<T, StoreError> + Send + 'static,
) -> Answer<T> {
    match Disk::of(accessor) {
        Ok(disk) => Ok(disk.run(work).await),
        Err(error) => Ok(Err(error)),
    }
}

impl Host for State {
    fn usage(&mut self) -> wasmtime::Result<Space> {
        if self.need_storage().is_err() {
            return Ok(Space { used_bytes: 0, quota_bytes: 0 });
        }
        Ok(Space {
            used_bytes: self.shared.storage_used.load(Ordering::Relaxed),
            quota_bytes: self.shared.grants.permissions.storage_quota_bytes,
        })
    }
}

impl<U: Send> HostWithStore<U> for HasSelf<State> {
    async fn get(accessor: &Accessor<U, Self>, key: String) -> Answer<Option<Vec<u8>>> {
        on_disk(accessor, move |store, plugin| store.value(&plugin.name, &key)).await
    }

    async fn put(accessor: &Accessor<U, Self>, entries: Vec<Entry>) -> Answer<()> {
        on_disk(accessor, move |store, plugin| {
            let quota = plugin.grants.permissions.storage_quota_bytes;
            let used = store.put(&plugin.name, &entries, quota)?;
            plugin.storage_used.store(used, Ordering::Relaxed);
            Ok(())
        })
        .await
    }

    async fn scan(
        accessor: &Accessor<U, Self>,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Answer<Vec<(String, Vec<u8>)>> {
        on_disk(accessor, move |store, plugin| {
            store.scan(&plugin.name, &prefix, after.as_deref(), limit.try_into().unwrap_or(usize::MAX))
        })
        .await
    }

    async fn delete_prefix(accessor: &Accessor<U, Self>, prefix: String) -> Answer<()> {
        on_disk(accessor, move |store, plugin| {
            let used = store.delete_prefix(&plugin.name, &prefix)?;
            plugin.storage_used.store(used, Ordering::Relaxed);
            Ok(())
        })
        .await
    }
}
