//! Echoes what it receives, and does wrong what a command, or its value "mode", asks for.

mod misdeeds;
mod work;

use mute_plugin::prelude::*;

#[derive(Default)]
pub struct Specimen;

impl Plugin for Specimen {
    async fn run(self: Rc<Self>, stop: Stop) -> Result<()> {
        // Denied storage has no mode.
        let mode: Option<String> = storage::get("mode").await.unwrap_or_default();
        match mode.as_deref() {
            Some("return") => return Ok(()),
            Some("give-up") => return Err(Error::new(1001, "nothing to do here\x1b[2J")),
            Some("panic") => panic!("as the mode says"),
            Some("spin") => misdeeds::spin(),
            Some("eat") => misdeeds::eat(),
            Some("deaf") => std::future::pending().await,
            _ => {}
        }
        match Identity::open("echo") {
            Ok(identity) => work::echo(identity, &stop).await,
            Err(_) => {
                stop.wait().await;
                Ok(())
            }
        }
    }

    fn commands() -> Commands<Self> {
        let command = |name: &'static str, about: &'static str| Command::new(name, about);
        Commands::new()
            .add(command("address", "says where it echoes"), work::address)
            .add(
                command("transfer", "sends bytes to an echo and compares")
                    .required("to", "whom")
                    .required("bytes", "how many"),
                work::transfer,
            )
            .add(command("cut", "sends half of what it promised").required("to", "whom"), work::cut)
            .add(command("names", "lists its identities"), work::names)
            .add(command("shout", "echoes its input"), work::shout)
            .add(command("wait", "waits until it is cancelled"), work::wait)
            .add(
                command("file", "does one thing with a folder")
                    .required("op", "what")
                    .required("folder", "where")
                    .optional("path", "on what")
                    .optional("target", "to where"),
                work::file,
            )
            .add(
                command("store", "puts a value").required("key", "under what").required("bytes", "how many"),
                work::store,
            )
            .add(command("probe", "tries every interface"), work::probe)
            .add(command("spin", "never returns"), |_, _| async { misdeeds::spin() })
            .add(command("busy", "computes with pauses").required("ms", "how long"), misdeeds::busy)
            .add(command("panic", "panics"), |_, _| async { panic!("as it was told") })
            .add(command("eat", "takes memory"), |_, _| async { misdeeds::eat() })
            .add(command("hoard", "opens identities"), misdeeds::hoard)
            .add(command("options", "makes connect options"), misdeeds::options)
            .add(command("tasks", "starts tasks"), misdeeds::tasks)
            .add(command("flood", "logs a lot"), misdeeds::flood)
            .add(command("lie", "puts out what is no JSON"), misdeeds::lie)
    }
}

mute_plugin::plugin!(Specimen, commands);
