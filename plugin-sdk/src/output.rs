//! What a command puts out.

use crate::bindings::commands::exports::mute::plugin::commands as host;
use crate::{Error, Result};
use serde::Serialize;
use std::cell::RefCell;
use std::rc::Rc;
use wit_bindgen::StreamWriter;

/// Where a command's results go. Every result comes as a line for people and as a JSON document for programs; the host
/// shows the one that the user wants.
pub struct Output(Sink);

enum Sink {
    Host(StreamWriter<host::Output>),
    Kept(Rc<RefCell<Vec<Shown>>>),
}

/// One thing that a command put out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// A line for people.
    Text(String),
    /// A JSON document.
    Json(String),
    /// How far it is.
    Progress {
        /// Of what.
        label: String,
        /// So much is done.
        done: u64,
        /// Of so much, if known.
        total: Option<u64>,
        /// What is counted, such as `bytes`.
        unit: String,
    },
}

impl Output {
    pub(crate) fn to_host(stream: StreamWriter<host::Output>) -> Self {
        Self(Sink::Host(stream))
    }

    /// An output that keeps everything, for tests.
    pub fn kept() -> (Self, Rc<RefCell<Vec<Shown>>>) {
        let kept = Rc::default();
        (Self(Sink::Kept(Rc::clone(&kept))), kept)
    }

    /// A result, for people and for programs.
    ///
    /// # Errors
    /// [`Error::CANCELLED`] if the user has gone.
    pub async fn result<T: Serialize + ?Sized>(&mut self, text: impl Into<String>, json: &T) -> Result<()> {
        self.text(text).await?;
        self.json(json).await
    }

    /// A line for people only.
    ///
    /// # Errors
    /// [`Error::CANCELLED`] if the user has gone.
    pub async fn text(&mut self, text: impl Into<String>) -> Result<()> {
        self.show(Shown::Text(text.into())).await
    }

    /// A JSON document for programs only.
    ///
    /// # Errors
    /// [`Error::CANCELLED`] if the user has gone, [`Error::INTERNAL`] if the value can't be JSON.
    pub async fn json<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let json = serde_json::to_string(value).map_err(|error| Error::internal(format!("no JSON: {error}")))?;
        self.show(Shown::Json(json)).await
    }

    /// How far the command is.
    ///
    /// # Errors
    /// [`Error::CANCELLED`] if the user has gone.
    pub async fn progress(&mut self, label: &str, done: u64, total: Option<u64>, unit: &str) -> Result<()> {
        self.show(Shown::Progress { label: label.to_owned(), done, total, unit: unit.to_owned() }).await
    }

    async fn show(&mut self, shown: Shown) -> Result<()> {
        let stream = match &mut self.0 {
            Sink::Kept(kept) => {
                kept.borrow_mut().push(shown);
                return Ok(());
            }
            Sink::Host(stream) => stream,
        };
        let output = match shown {
            Shown::Text(text) => host::Output::Text(text),
            Shown::Json(json) => host::Output::Json(json),
            Shown::Progress { label, done, total, unit } => {
                host::Output::Progress(host::Step { label, done, total, unit })
            }
        };
        stream.write_one(output).await.map_or(Ok(()), |_| Err(Error::cancelled()))
    }
}
