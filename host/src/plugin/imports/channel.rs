//! Channels: byte streams of a connection.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use wasmtime::component::{Access, Accessor, FutureReader, HasSelf, Resource, StreamReader};

use super::{
    Answer,
    bytes::{ChannelSink, ChannelSource, End, Half, was_reset},
    streams::Once,
};
use crate::plugin::{
    bindings::mute::plugin::{
        routing::{HostChannel, HostChannelWithStore},
        types::Error,
    },
    code, network,
    network::{Reader, Writer},
    state::State,
};

/// A channel as a guest holds it.
pub struct Channel {
    reader: Half<dyn Reader>,
    writer: Half<dyn Writer>,
    is_received: bool,
    is_sent: bool,
    place: Arc<OwnedSemaphorePermit>,
}

impl Channel {
    pub(super) fn new(channel: network::Channel, place: OwnedSemaphorePermit) -> Self {
        let network::Channel { writer, reader } = channel;
        Self {
            reader: Half::new(reader),
            writer: Half::new(writer),
            is_received: false,
            is_sent: false,
            place: Arc::new(place),
        }
    }
}

impl HostChannel for State {
    fn reset(&mut self, channel: Resource<Channel>, code: u32) -> wasmtime::Result<()> {
        let channel = self.table.get(&channel)?;
        channel.writer.reset(|writer| writer.reset(code));
        channel.reader.reset(|reader| reader.stop(code));
        Ok(())
    }

    fn drop(&mut self, channel: Resource<Channel>) -> wasmtime::Result<()> {
        // Streams that use a half keep it; a half that none uses resets its direction now.
        self.table.delete(channel)?;
        Ok(())
    }
}

impl HostChannelWithStore<State> for HasSelf<State> {
    fn receive(
        mut host: Access<'_, State, Self>,
        channel: Resource<Channel>,
    ) -> wasmtime::Result<(StreamReader<u8>, FutureReader<End>)> {
        let (sender, end) = oneshot::channel();
        let end = FutureReader::new(&mut host, ended(end))?;
        let channel = host.get().table.get_mut(&channel)?;
        if std::mem::replace(&mut channel.is_received, true) {
            // The first caller has the bytes; dropping it unsent would say "closed".
            let _ = sender.send(Err(Error::new(code::INVALID, "the channel's bytes are received already")));
            return Ok((StreamReader::new(&mut host, Vec::<u8>::new())?, end));
        }
        let source =
            ChannelSource { half: channel.reader.clone(), end: Some(sender), _place: Arc::clone(&channel.place) };
        Ok((StreamReader::new(&mut host, source)?, end))
    }

    async fn send(
        accessor: &Accessor<State, Self>,
        channel: Resource<Channel>,
        data: StreamReader<u8>,
        end: FutureReader<End>,
    ) -> Answer<()> {
        let begun = accessor.with(|mut access| begin_send(&mut access, &channel, data, end))?;
        Ok(match begun {
            Ok(sending) => sending.run().await,
            Err(error) => Err(error),
        })
    }
}

/// The end of a stream as the guest's future gets it.
pub(super) async fn ended(end: oneshot::Receiver<End>) -> wasmtime::Result<End> {
    Ok(end.await.unwrap_or_else(|_| Err(Error::new(code::CLOSED, "the stream ended without saying how"))))
}

/// Joins the guest's stream to the channel's writer.
fn begin_send(
    access: &mut Access<'_, State, HasSelf<State>>,
    channel: &Resource<Channel>,
    mut data: StreamReader<u8>,
    mut end: FutureReader<End>,
) -> wasmtime::Result<Result<Sending, Error>> {
    let channel = access.get().table.get_mut(channel)?;
    if std::mem::replace(&mut channel.is_sent, true) {
        data.close(&mut *access)?;
        end.close(&mut *access)?;
        return Ok(Err(Error::new(code::INVALID, "the channel's bytes are sent already")));
    }
    let (half, place) = (channel.writer.clone(), Arc::clone(&channel.place));
    let (sender, copied) = oneshot::channel();
    data.pipe(&mut *access, ChannelSink { half: half.clone(), end: Some(sender) })?;
    let (once, said) = Once::new();
    end.pipe(&mut *access, once)?;
    Ok(Ok(Sending { half, copied, said, _place: place }))
}

/// A channel's bytes on their way. Dropped before the end (the guest gave the call up), it resets the channel's direction.
struct Sending {
    half: Half<dyn Writer>,
    /// Resolves when the guest's stream has ended, or its bytes could not be sent.
    copied: oneshot::Receiver<End>,
    /// How the guest says that its bytes ended.
    said: oneshot::Receiver<End>,
    _place: Arc<OwnedSemaphorePermit>,
}

impl Sending {
    async fn run(mut self) -> Result<(), Error> {
        (&mut self.copied).await.unwrap_or_else(|_| Err(was_reset()))?;
        // The bytes are with the writer. Only the guest knows whether they were all: a future that is dropped says they weren't.
        let said = tokio::select! {
            said = &mut self.said => said,
            () = self.half.was_reset() => return Err(was_reset()),
        };
        match said {
            Ok(Ok(())) => self.finish().await,
            Ok(Err(error)) => {
                self.half.reset(|writer| writer.reset(error.code));
                Err(error.cleaned())
            }
            Err(_) => {
                self.half.reset(|writer| writer.reset(code::CANCELLED));
                Err(Error::new(code::CANCELLED, "the end was dropped without a word"))
            }
        }
    }

    async fn finish(&self) -> Result<(), Error> {
        let Some(mut writer) = self.half.take() else { return Err(was_reset()) };
        tokio::select! {
            finished = writer.finish() => finished.map_err(Error::from),
            // The writer is dropped unfinished, which resets it.
            () = self.half.was_reset() => Err(was_reset()),
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.half.reset(|writer| writer.reset(code::CANCELLED));
    }
}
