//! A plugin that answers every channel of every connection with what it receives.
//! `mute_plugin_build` makes the component of a crate like this one.

use mute_plugin::prelude::*;
use mute_plugin::{Limit, Permit};

/// So many connections at once are enough for an echo.
const CONNECTIONS: usize = 64;
/// Bytes echoed at a time.
const CHUNK: usize = 64 * 1024;

#[derive(Default)]
struct Echo;

impl Plugin for Echo {
    async fn run(self: Rc<Self>, stop: Stop) -> Result<()> {
        let mut incoming = Identity::open("echo")?.listen("echo/1")?;
        let limit = Limit::new(CONNECTIONS);
        while let Some(Some(connection)) = stop.or(incoming.next()).await {
            match limit.enter() {
                Some(permit) => spawn(serve(connection, permit)),
                None => connection.close(Error::BUSY, "too many connections"),
            }
        }
        Ok(())
    }
}

async fn serve(connection: Connection, _permit: Permit) {
    let mut channels = connection.accept();
    while let Some(channel) = channels.next().await {
        if let Err(error) = echo(channel).await {
            mute_plugin::debug!("a channel broke: {error}");
        }
    }
}

async fn echo(channel: Channel) -> Result<()> {
    let (mut writer, mut reader) = channel.split();
    while let Some(bytes) = reader.read(CHUNK).await? {
        writer.write_vec(bytes).await?;
    }
    writer.finish().await
}

mute_plugin::plugin!(Echo);

fn main() {}
