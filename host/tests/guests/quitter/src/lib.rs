//! Returns at once.

use mute_plugin::prelude::*;

#[derive(Default)]
struct Quitter;

impl Plugin for Quitter {
    async fn run(self: Rc<Self>, _stop: Stop) -> Result<()> {
        Ok(())
    }
}

mute_plugin::plugin!(Quitter);
