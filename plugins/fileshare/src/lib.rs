//! Share folders, search those of everybody in reach, and download: every 16 KiB is verified when it arrives.
//!
//! | file | holds |
//! | --- | --- |
//! | `actions.rs` | the commands |
//! | `scan.rs`, `index.rs` | what is shared, kept in step with the folders |
//! | `search.rs` | questions and answers |
//! | `upload.rs`, `transfer.rs`, `download.rs` | the two sides of a transfer |
//! | `tree.rs` | verification |
//! | `protocol.rs`, `hash.rs`, `link.rs`, `names.rs` | what others say, decoded and cleaned |
//! | `state.rs`, `ledger.rs`, `budget.rs` | what is kept |

mod actions;
mod budget;
mod download;
mod hash;
mod index;
mod ledger;
mod link;
mod names;
mod protocol;
mod scan;
mod search;
mod state;
mod transfer;
mod tree;
mod upload;

use mute_plugin::futures::future::try_join4;
use mute_plugin::prelude::*;
use state::State;

/// The plugin.
#[derive(Default)]
struct Fileshare {
    state: Rc<State>,
}

impl Plugin for Fileshare {
    async fn run(self: Rc<Self>, stop: Stop) -> Result<()> {
        let state = &self.state;
        let watch = scan::watch(Rc::clone(state), stop.clone());
        let answer = search::answer(Rc::clone(state), stop.clone());
        let serve = upload::serve(Rc::clone(state), stop.clone());
        let keep = async { stop.or(state.ledger.keep()).await.unwrap_or(Ok(())) };
        // The first that fails ends the others: the host starts all anew.
        try_join4(watch, answer, serve, keep).await?;
        state.ledger.uploads.flush().await
    }

    fn commands() -> Commands<Self> {
        actions::all()
    }
}

/// A size for people.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Tenths of a unit, each unit in turn.
    let (mut tenths, mut unit) = (u128::from(bytes) * 10 / 1024, 0);
    while tenths >= 10 * 1024 && unit + 1 < UNITS.len() {
        (tenths, unit) = (tenths / 1024, unit + 1);
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

mute_plugin::plugin!(Fileshare, commands);

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_read_well() {
        for (bytes, text) in [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB")]
        {
            assert_eq!(super::size(bytes), text);
        }
        assert_eq!(super::size(u64::MAX), "16383.9 PiB");
    }
}
