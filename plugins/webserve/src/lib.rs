//! Webserve: web sites at anonymous addresses.
//!
//! Publishing gives a folder an address of its own. Its files are streamed from disk as they are asked for, with the
//! meanings of HTTP (`answer`, pure) over a protocol of the network's own (`head`): one channel a request, where a body
//! that breaks off is never taken for a whole one. What is not a plain, visible file inside the folder is not there
//! (`path`), and folders are never listed.
//!
//! A visit goes `serve` → `head` → `answer` → `path`, `range`, `media`; a fetch `fetch` → `head` → `body` or `save`.

mod answer;
mod body;
mod commands;
mod fetch;
mod head;
mod media;
mod page;
mod path;
mod range;
mod save;
mod serve;
mod sites;

use crate::sites::Running;
use mute_plugin::futures::lock::Mutex;
use mute_plugin::{Commands, Limit, Plugin, Result, Signal, Stop};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The plugin.
struct Webserve {
    /// The sites that are being served, by name.
    running: RefCell<BTreeMap<String, Rc<Running>>>,
    /// Tells the service that one was started.
    started: Signal,
    /// Held while the list of sites is changed.
    changing: Mutex<()>,
    connections: Limit,
    requests: Limit,
}

impl Default for Webserve {
    fn default() -> Self {
        Self {
            running: RefCell::default(),
            started: Signal::default(),
            changing: Mutex::default(),
            connections: Limit::new(serve::CONNECTIONS),
            requests: Limit::new(serve::REQUESTS),
        }
    }
}

impl Plugin for Webserve {
    async fn run(self: Rc<Self>, stop: Stop) -> Result<()> {
        serve::run(self, stop).await
    }

    fn commands() -> Commands<Self> {
        commands::all()
    }
}

mute_plugin::plugin!(Webserve, commands);
