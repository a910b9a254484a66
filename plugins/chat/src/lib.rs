//! Chat: one-to-one messages between anonymous addresses.
//!
//! A message goes from sandbox to sandbox over an encrypted connection whose two ends have proven their addresses. It is
//! delivered once, and its receipt means that it is on the receiver's disk. It is delivered now or not at all: there is no
//! queue for those who are away yet. What strangers say is kept apart and bounded (`model`), and nobody's text reaches a
//! terminal as it came (`show`).
//!
//! From the command line to the wire: `commands` → `send` → `wire`; from the wire to the disk: `serve` → `desk` → `book`.

mod book;
mod commands;
mod desk;
mod feed;
mod guests;
mod model;
mod send;
mod serve;
mod show;
mod store;
mod wire;

use crate::desk::Desk;
use crate::guests::{Guests, Pace};
use crate::send::Turns;
use crate::store::HostStore;
use mute_plugin::{Commands, Connection, Identity, Plugin, Result, Stop};
use std::cell::OnceCell;
use std::rc::Rc;

/// The name of the plugin's one identity in its key ring.
const IDENTITY: &str = "chat";

/// The plugin.
struct Chat {
    desk: Rc<Desk<HostStore>>,
    identity: OnceCell<Rc<Identity>>,
    guests: Rc<Guests<Connection>>,
    /// The pace that all unknown addresses share.
    strangers: Rc<Pace>,
    turns: Turns,
}

impl Default for Chat {
    fn default() -> Self {
        Self {
            desk: Rc::default(),
            identity: OnceCell::new(),
            guests: Rc::default(),
            strangers: Rc::new(Pace::of_strangers()),
            turns: Turns::default(),
        }
    }
}

impl Chat {
    /// Our identity; made when it is first asked for.
    fn identity(&self) -> Result<Rc<Identity>> {
        if let Some(identity) = self.identity.get() {
            return Ok(Rc::clone(identity));
        }
        let identity = Rc::new(Identity::open(IDENTITY)?);
        Ok(Rc::clone(self.identity.get_or_init(|| identity)))
    }
}

impl Plugin for Chat {
    async fn run(self: Rc<Self>, stop: Stop) -> Result<()> {
        serve::run(self, stop).await
    }

    fn commands() -> Commands<Self> {
        commands::all()
    }
}

mute_plugin::plugin!(Chat, commands);
