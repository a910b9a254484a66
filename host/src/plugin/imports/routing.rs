//! Identities: addresses that a plugin owns, and what it says and hears as them.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::stream::{BoxStream, Stream as _};
use mute_core::IdentityKey;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::{Access, Accessor, HasSelf, Resource, StreamReader};
use zeroize::Zeroizing;

use super::{
    Answer, address, check_name,
    connection::Connection,
    streams::{Items, Polled},
};
use crate::plugin::{
    bindings::mute::plugin::{
        routing::{HostConnectOptions, HostIdentity, HostIdentityWithStore, Message},
        types::Error,
    },
    code, limits, network,
    state::State,
};

/// An identity as a guest holds it.
pub struct Identity {
    inner: Arc<dyn network::Identity>,
    _place: OwnedSemaphorePermit,
}

/// How to connect, as a guest builds it.
pub struct ConnectOptions {
    options: network::ConnectOptions,
    _place: OwnedSemaphorePermit,
}

impl State {
    /// Brings a key to life in the network.
    async fn live(&mut self, key: IdentityKey) -> Result<Arc<dyn network::Identity>, Error> {
        self.host.network.identity(key).await.map_err(Error::from)
    }

    async fn open_named(&mut self, name: String) -> Result<Resource<Identity>, Error> {
        self.need_routing()?;
        let place = self.quotas.identities.take()?;
        let living = self.identities.get(&name).and_then(std::sync::Weak::upgrade);
        let inner = match living {
            Some(inner) => inner,
            None => {
                let (store, plugin) = (self.host.store.clone(), Arc::clone(&self.shared.name));
                let ring = name.clone();
                let key = on_disk(move || store.identity(&plugin, &ring)).await?;
                let inner = self.live(key).await?;
                self.identities.retain(|_, identity| identity.strong_count() > 0);
                self.identities.insert(name, Arc::downgrade(&inner));
                inner
            }
        };
        self.push(Identity { inner, _place: place })
    }

    async fn open_ephemeral(&mut self) -> Result<Resource<Identity>, Error> {
        self.need_routing()?;
        let place = self.quotas.identities.take()?;
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice())
            .map_err(|_| Error::new(code::INTERNAL, "the system has no random bytes"))?;
        let inner = self.live(IdentityKey::from_seed(&seed)).await?;
        self.push(Identity { inner, _place: place })
    }
}

/// Runs a step on the database in a thread that may wait for the disk.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, crate::store::StoreError> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Error::new(code::INTERNAL, "the disk operation failed"))?.map_err(Error::from)
}

impl HostIdentity for State {
    async fn open(&mut self, name: String) -> Answer<Resource<Identity>> {
        Ok(self.open_named(name).await)
    }

    async fn ephemeral(&mut self) -> Answer<Resource<Identity>> {
        Ok(self.open_ephemeral().await)
    }

    async fn names(&mut self) -> wasmtime::Result<Vec<String>> {
        if self.need_routing().is_err() {
            return Ok(Vec::new());
        }
        let (store, plugin) = (self.host.store.clone(), Arc::clone(&self.shared.name));
        // There is no way to answer with an error; a database that can't be read stops the rest of the node too.
        Ok(on_disk(move || store.identity_names(&plugin)).await.unwrap_or_default())
    }

    async fn retire(&mut self, name: String) -> Answer<()> {
        if let Err(error) = self.need_routing() {
            return Ok(Err(error));
        }
        self.identities.remove(&name);
        let (store, plugin) = (self.host.store.clone(), Arc::clone(&self.shared.name));
        let retired = on_disk(move || store.retire_identity(&plugin, &name)).await;
        Ok(retired.and_then(|was| if was { Ok(()) } else { Err(Error::new(code::NOT_FOUND, "no such identity")) }))
    }

    fn address(&mut self, identity: Resource<Identity>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.table.get(&identity)?.inner.address().0.to_vec())
    }

    fn sign(&mut self, identity: Resource<Identity>, context: String, data: Vec<u8>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.table.get(&identity)?.inner.sign(&context, &data).to_vec())
    }

    fn drop(&mut self, identity: Resource<Identity>) -> wasmtime::Result<()> {
        self.table.delete(identity)?;
        Ok(())
    }
}

impl HostIdentityWithStore<State> for HasSelf<State> {
    async fn broadcast(
        accessor: &Accessor<State, Self>,
        identity: Resource<Identity>,
        topic: String,
        body: Vec<u8>,
    ) -> Answer<()> {
        let inner = living(accessor, &identity)?;
        if let Err(error) = check_message(&topic, &body) {
            return Ok(Err(error));
        }
        Ok(inner.broadcast(topic, body.into()).await.map_err(Error::from))
    }

    async fn send(
        accessor: &Accessor<State, Self>,
        identity: Resource<Identity>,
        to: Vec<u8>,
        topic: String,
        body: Vec<u8>,
    ) -> Answer<()> {
        let inner = living(accessor, &identity)?;
        let to = match address(&to).and_then(|to| check_message(&topic, &body).map(|()| to)) {
            Ok(to) => to,
            Err(error) => return Ok(Err(error)),
        };
        Ok(inner.send(to, topic, body.into()).await.map_err(Error::from))
    }

    fn broadcasts(
        mut host: Access<'_, State, Self>,
        identity: Resource<Identity>,
        topic: String,
    ) -> Answer<StreamReader<Message>> {
        let state = host.get();
        let inner = Arc::clone(&state.table.get(&identity)?.inner);
        let heard = check_name("topic", &topic).and_then(|()| Subscribed::new(state, || inner.broadcasts(&topic)));
        messages(&mut host, heard)
    }

    fn letters(
        mut host: Access<'_, State, Self>,
        identity: Resource<Identity>,
        topic: String,
    ) -> Answer<StreamReader<Message>> {
        let state = host.get();
        let inner = Arc::clone(&state.table.get(&identity)?.inner);
        let heard = check_name("topic", &topic).and_then(|()| Subscribed::new(state, || inner.letters(&topic)));
        messages(&mut host, heard)
    }

    async fn connect(
        accessor: &Accessor<State, Self>,
        identity: Resource<Identity>,
        to: Vec<u8>,
        options: Resource<ConnectOptions>,
    ) -> Answer<Resource<Connection>> {
        let (inner, options, place) = accessor.with(|mut access| {
            let state = access.get();
            let inner = Arc::clone(&state.table.get(&identity)?.inner);
            let options = state.table.get(&options)?.options.clone();
            Ok::<_, wasmtime::Error>((inner, options, state.quotas.connections.take()))
        })?;
        let ready = address(&to)
            .and_then(|to| check_name("protocol", &options.protocol).map(|()| to))
            .and_then(|to| place.map(|place| (to, place)));
        let (to, place) = match ready {
            Ok(ready) => ready,
            Err(error) => return Ok(Err(error)),
        };
        let timeout = options.timeout;
        let connected = tokio::time::timeout(timeout, inner.connect(to, options)).await;
        let connected = connected
            .unwrap_or_else(|_| Err(network::Error { code: code::TIMED_OUT, message: "no answer in time".to_owned() }));
        Ok(accessor.with(|mut access| {
            let state = access.get();
            let connection = Connection::new(state, connected?, place);
            state.push(connection)
        }))
    }

    fn listen(
        mut host: Access<'_, State, Self>,
        identity: Resource<Identity>,
        protocol: String,
    ) -> Answer<StreamReader<Resource<Connection>>> {
        let state = host.get();
        let inner = Arc::clone(&state.table.get(&identity)?.inner);
        let listening =
            check_name("protocol", &protocol).and_then(|()| Subscribed::new(state, || inner.listen(&protocol)));
        match listening {
            Ok(listening) => Ok(Ok(StreamReader::new(&mut host, Items::new(listening, place_connection))?)),
            Err(error) => Ok(Err(error)),
        }
    }
}

/// The living identity behind a guest's handle.
fn living(
    accessor: &Accessor<State, HasSelf<State>>,
    identity: &Resource<Identity>,
) -> wasmtime::Result<Arc<dyn network::Identity>> {
    accessor.with(|mut access| Ok(Arc::clone(&access.get().table.get(identity)?.inner)))
}

/// The bounds of a broadcast or letter.
fn check_message(topic: &str, body: &[u8]) -> Result<(), Error> {
    check_name("topic", topic)?;
    if body.len() > limits::MESSAGE_BYTES {
        let message = format!("a message has at most {} bytes", limits::MESSAGE_BYTES);
        return Err(Error::new(code::TOO_LARGE, message));
    }
    Ok(())
}

/// The guest's stream of a subscription, if there is one.
fn messages(
    host: &mut Access<'_, State, HasSelf<State>>,
    heard: Result<Subscribed<network::Message>, Error>,
) -> Answer<StreamReader<Message>> {
    let into = |_: &mut State, message: network::Message| {
        let network::Message { sender, topic, id, body } = message;
        Some(Message { sender: sender.0.to_vec(), topic, id: id.to_vec(), body: body.to_vec() })
    };
    match heard {
        Ok(heard) => Ok(Ok(StreamReader::new(host, Items::new(heard, into))?)),
        Err(error) => Ok(Err(error)),
    }
}

/// Gives an incoming connection its place, or turns it away.
fn place_connection(state: &mut State, inner: Arc<dyn network::Connection>) -> Option<Resource<Connection>> {
    let Some(place) = state.quotas.connections.try_take() else {
        inner.close(code::BUSY, "too many connections");
        return None;
    };
    let connection = Connection::new(state, inner, place);
    state.push(connection).ok()
}

/// A stream of the network that holds its place among the plugin's subscriptions.
struct Subscribed<T: 'static> {
    stream: BoxStream<'static, T>,
    _place: OwnedSemaphorePermit,
}

impl<T> Subscribed<T> {
    fn new(
        state: &State,
        subscribe: impl FnOnce() -> Result<BoxStream<'static, T>, network::Error>,
    ) -> Result<Self, Error> {
        let place = state.quotas.subscriptions.take()?;
        Ok(Self { stream: subscribe()?, _place: place })
    }
}

impl<T: Send + 'static> Polled for Subscribed<T> {
    type Item = T;

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.stream).poll_next(cx)
    }
}

impl HostConnectOptions for State {
    fn new(&mut self, protocol: String) -> wasmtime::Result<Resource<ConnectOptions>> {
        // A constructor can't answer with an error: a name that is too long is refused when it is used, and who hoards options
        // is stopped.
        let protocol = if protocol.len() > limits::NAME_BYTES { String::new() } else { protocol };
        let place = self.quotas.options.try_take();
        let place =
            place.ok_or_else(|| wasmtime::format_err!("it holds more than {} connect options", limits::OPTIONS))?;
        let timeout = limits::CONNECT_TIMEOUT;
        let options = network::ConnectOptions { protocol, show_identity: false, bulk: false, timeout };
        Ok(self.table.push(ConnectOptions { options, _place: place })?)
    }

    fn set_show_identity(&mut self, options: Resource<ConnectOptions>, show: bool) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.options.show_identity = show;
        Ok(())
    }

    fn set_urgency(&mut self, options: Resource<ConnectOptions>, urgency: u8) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.options.bulk = urgency != 0;
        Ok(())
    }

    fn set_timeout_ms(&mut self, options: Resource<ConnectOptions>, timeout_ms: u32) -> wasmtime::Result<()> {
        let timeout = Duration::from_millis(timeout_ms.into()).min(limits::CONNECT_MOST);
        self.table.get_mut(&options)?.options.timeout = timeout;
        Ok(())
    }

    fn drop(&mut self, options: Resource<ConnectOptions>) -> wasmtime::Result<()> {
        self.table.delete(options)?;
        Ok(())
    }
}
