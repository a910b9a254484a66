//! Connections: what carries channels between two addresses.

use std::{
    future::Future as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::{Access, Accessor, HasSelf, Resource, StreamReader};

use super::{
    Answer,
    channel::Channel,
    streams::{Items, Polled},
};
use crate::plugin::{
    bindings::mute::plugin::{
        routing::{ConnectionStats, HostConnection, HostConnectionWithStore},
        types::Error,
    },
    code, network,
    state::{Counted, State},
    status::clean,
};

/// A connection as a guest holds it.
pub struct Connection {
    inner: Arc<dyn network::Connection>,
    _place: OwnedSemaphorePermit,
    _counted: Counted,
}

impl Connection {
    pub(super) fn new(state: &State, inner: Arc<dyn network::Connection>, place: OwnedSemaphorePermit) -> Self {
        Self { inner, _place: place, _counted: Counted::new(&state.shared) }
    }
}

impl HostConnection for State {
    fn peer(&mut self, connection: Resource<Connection>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.table.get(&connection)?.inner.peer().0.to_vec())
    }

    fn peer_is_proven(&mut self, connection: Resource<Connection>) -> wasmtime::Result<bool> {
        Ok(self.table.get(&connection)?.inner.peer_is_proven())
    }

    fn stats(&mut self, connection: Resource<Connection>) -> wasmtime::Result<ConnectionStats> {
        let stats = self.table.get(&connection)?.inner.stats();
        Ok(ConnectionStats {
            round_trip_ms: u32::try_from(stats.round_trip.as_millis()).unwrap_or(u32::MAX),
            bytes_sent: stats.bytes_sent,
            bytes_received: stats.bytes_received,
            waiting_for: stats.waiting_for,
        })
    }

    fn close(&mut self, connection: Resource<Connection>, code: u32, reason: String) -> wasmtime::Result<()> {
        self.table.get(&connection)?.inner.close(code, &clean(&reason));
        Ok(())
    }

    fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl HostConnectionWithStore<State> for HasSelf<State> {
    async fn open(accessor: &Accessor<State, Self>, connection: Resource<Connection>) -> Answer<Resource<Channel>> {
        let (inner, place) = accessor.with(|mut access| {
            let state = access.get();
            let inner = Arc::clone(&state.table.get(&connection)?.inner);
            Ok::<_, wasmtime::Error>((inner, state.quotas.channels.take()))
        })?;
        let place = match place {
            Ok(place) => place,
            Err(error) => return Ok(Err(error)),
        };
        let opened = inner.open().await;
        Ok(accessor.with(|mut access| access.get().push(Channel::new(opened?, place))))
    }

    fn accept(
        mut host: Access<'_, State, Self>,
        connection: Resource<Connection>,
    ) -> wasmtime::Result<StreamReader<Resource<Channel>>> {
        let inner = Arc::clone(&host.get().table.get(&connection)?.inner);
        let channels = Items::new(Accepted { inner, accepting: None }, place_channel);
        StreamReader::new(&mut host, channels)
    }

    async fn closed(accessor: &Accessor<State, Self>, connection: Resource<Connection>) -> wasmtime::Result<Error> {
        let closed = accessor.with(|mut access| {
            let connection = access.get().table.get(&connection)?;
            Ok::<_, wasmtime::Error>(connection.inner.closed())
        })?;
        Ok(closed.await.into())
    }
}

/// Gives an incoming channel its place, or lets it go: the peer sees a reset.
fn place_channel(state: &mut State, mut channel: network::Channel) -> Option<Resource<Channel>> {
    let Some(place) = state.quotas.channels.try_take() else {
        channel.writer.reset(code::BUSY);
        channel.reader.stop(code::BUSY);
        return None;
    };
    state.push(Channel::new(channel, place)).ok()
}

/// The channels that the peer opens, until the connection ends.
struct Accepted {
    inner: Arc<dyn network::Connection>,
    accepting: Option<BoxFuture<'static, Result<network::Channel, network::Error>>>,
}

impl Polled for Accepted {
    type Item = network::Channel;

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<network::Channel>> {
        let accepting = self.accepting.get_or_insert_with(|| self.inner.accept());
        let accepted = std::task::ready!(Pin::new(accepting).poll(cx));
        self.accepting = None;
        Poll::Ready(accepted.ok())
    }
}
