//! A relay's own view, for the test that searches it: every frame as this node has it decrypted from its links. Only in
//! builds with the feature `relay-view`, and only when `MUTE_RELAY_VIEW` names a file.
//!
//! Each record is the length of what follows (4 bytes), the link (8), the direction (1: 0 in, 1 out), the frame without its
//! length prefix; integers are big-endian.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    sync::{Mutex, OnceLock, PoisonError},
};

use mute_core::LinkId;

/// Which way a frame went.
#[derive(Clone, Copy)]
pub(super) enum Way {
    In = 0,
    Out = 1,
}

/// The file, opened when the first frame comes.
static VIEW: OnceLock<Option<Mutex<File>>> = OnceLock::new();

fn open() -> Option<Mutex<File>> {
    let path = std::env::var_os("MUTE_RELAY_VIEW")?;
    match OpenOptions::new().create(true).append(true).open(path) {
        Ok(file) => Some(Mutex::new(file)),
        Err(error) => {
            tracing::error!(%error, "the relay's view cannot be written");
            None
        }
    }
}

/// Appends a frame, given in parts.
pub(super) fn record(link: LinkId, way: Way, parts: &[&[u8]]) {
    let Some(file) = VIEW.get_or_init(open) else {
        return;
    };
    let body = parts.concat();
    let length = (8 + 1 + body.len()) as u32;
    let record = [&length.to_be_bytes()[..], &link.0.to_be_bytes(), &[way as u8], &body].concat();
    if let Err(error) = file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&record) {
        tracing::error!(%error, "the relay's view cannot be written");
    }
}
