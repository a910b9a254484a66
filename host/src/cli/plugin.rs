//! The commands about plugins, and those that plugins bring.

use std::{ffi::OsString, process::ExitCode, time::Duration};

use serde_json::json;

use super::{
    args::{Global, Plugin},
    client, interrupted,
    output::{Output, one_line, table},
    plugin_command, size, tell,
};
use crate::{
    control::{Argument, Client, PluginCommand, Reply, Request},
    error::{Error, Kind, Result},
    plugin::PluginInfo,
};

/// How long a plugin may take to end a command after Ctrl-C, before the command line goes without its word.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);

/// `mute plugin …`
pub(super) async fn manage(global: &Global, output: Output, command: Plugin) -> Result<()> {
    let mut client = client(global).await?;
    match command {
        Plugin::List => {
            let plugins = plugins(&mut client).await?;
            output.result(&plugins, || list(&plugins))
        }
        Plugin::Enable { plugin } => enable(&mut client, output, plugin, true).await,
        Plugin::Disable { plugin } => enable(&mut client, output, plugin, false).await,
        Plugin::Logs { plugin } => {
            for reply in client.call(&Request::PluginLogs { plugin }).await? {
                if let Reply::Text(line) = reply {
                    output.result(&json!({ "line": line }), || one_line(&line))?;
                }
            }
            Ok(())
        }
    }
}

async fn enable(client: &mut Client, output: Output, plugin: String, enabled: bool) -> Result<()> {
    client.call(&Request::EnablePlugin { plugin: plugin.clone(), enabled }).await?;
    let word = if enabled { "enabled" } else { "disabled" };
    output.result(&json!({ "plugin": plugin, "enabled": enabled }), || format!("{word} {}", one_line(&plugin)))
}

/// All plugins of the daemon.
async fn plugins(client: &mut Client) -> Result<Vec<PluginInfo>> {
    match client.call(&Request::Plugins).await?.pop() {
        Some(Reply::Plugins(plugins)) => Ok(plugins),
        _ => Err(Error::failure("the daemon did not say which plugins it has")),
    }
}

fn list(plugins: &[PluginInfo]) -> String {
    let rows: Vec<Vec<String>> = plugins
        .iter()
        .map(|plugin| {
            vec![
                one_line(&plugin.name),
                plugin.state.to_string(),
                size::bytes(plugin.memory_bytes),
                size::time(Duration::from_millis(plugin.cpu_ms)),
                plugin.connections.to_string(),
                format!("{} of {}", size::bytes(plugin.storage_used_bytes), size::bytes(plugin.storage_quota_bytes)),
                plugin.restarts.to_string(),
                one_line(plugin.last_error.as_deref().unwrap_or_default()),
            ]
        })
        .collect();
    if rows.is_empty() {
        "no plugins".into()
    } else {
        table(&["plugin", "state", "memory", "processor", "connections", "storage", "restarts", "last error"], &rows)
    }
}

/// `mute PLUGIN COMMAND …`
pub(super) async fn other(global: &Global, words: &[OsString]) -> Result<ExitCode> {
    let (plugin, words) = words.split_first().ok_or_else(|| Error::usage("no command"))?;
    let plugin = plugin.to_string_lossy().into_owned();
    let asked = plugin_command::scan(words, global);
    let mut client = client(&asked).await.map_err(|error| no_daemon(&plugin, error))?;
    let commands = commands(&mut client, &plugin).await?;
    let call = match plugin_command::parse(&plugin, &commands, words)? {
        Ok(call) => call,
        Err(error) => return Ok(tell(&error, asked.json)),
    };
    let output = Output::new(&Global {
        home: None,
        json: global.json || call.global.json,
        quiet: global.quiet || call.global.quiet,
    });
    let mut arguments = call.arguments;
    if output.is_json() {
        // Plugins yield both kinds of results in any case; one that saves the work for one of them looks for this.
        arguments.push(Argument { name: "json".into(), value: String::new() });
    }
    let request = Request::Invoke { plugin, command: call.command, arguments };
    follow(&mut client, output, &request).await?;
    Ok(ExitCode::SUCCESS)
}

/// Without a daemon nobody can say whether the word is a plugin's name or a mistake; say both.
fn no_daemon(word: &str, error: Error) -> Error {
    if error.kind() != Kind::NotRunning {
        return error;
    }
    let word = one_line(word);
    Error::new(
        Kind::NotRunning,
        format!("`{word}` is no command of mute's own (see `mute --help`), and no plugin can be asked: {error}"),
    )
}

async fn commands(client: &mut Client, plugin: &str) -> Result<Vec<PluginCommand>> {
    match client.call(&Request::Commands { plugin: plugin.into() }).await {
        Ok(mut replies) => match replies.pop() {
            Some(Reply::Commands(commands)) => Ok(commands),
            _ => Err(Error::failure("the daemon did not say which commands the plugin has")),
        },
        Err(error) if error.kind() == Kind::NotFound => {
            let names: Vec<String> = plugins(client).await?.into_iter().map(|plugin| one_line(&plugin.name)).collect();
            let message =
                format!("there is no command and no plugin `{}`; plugins: {}", one_line(plugin), names.join(", "));
            Err(Error::usage(message))
        }
        Err(error) => Err(error),
    }
}

/// Prints what a request yields as it comes. Ctrl-C cancels it, a second one leaves at once.
async fn follow(client: &mut Client, output: Output, request: &Request) -> Result<()> {
    client.send(request).await?;
    let mut progress = output.progress();
    let mut printed = Printed::default();
    // One listener for all the time: a signal between two would be lost.
    let mut interrupt = std::pin::pin!(interrupted());
    loop {
        tokio::select! {
            reply = client.next() => match reply? {
                Some(Reply::Progress(step)) => progress.show(&step),
                Some(reply) => {
                    progress.clear();
                    printed.print(output, reply)?;
                }
                None => return printed.finish(output),
            },
            () = &mut interrupt => break,
        }
    }
    drop(progress);
    client.send(&Request::Cancel).await?;
    let ending = async {
        loop {
            match client.next().await {
                Ok(Some(_)) => {}
                Ok(None) => break,
                // What it says now is why it ended early, which the user knows.
                Err(_) => break,
            }
        }
    };
    tokio::select! {
        _ = tokio::time::timeout(CANCEL_PATIENCE, ending) => {}
        () = interrupted() => {}
    }
    Err(Error::new(Kind::Cancelled, "cancelled"))
}

/// What a plugin has printed. One that has only texts is given as JSON all the same.
#[derive(Default)]
struct Printed {
    has_json: bool,
    texts: Vec<String>,
}

/// Texts kept for a script, at most; more belong into documents.
const MAX_TEXTS: usize = 10_000;

impl Printed {
    fn print(&mut self, output: Output, reply: Reply) -> Result<()> {
        match reply {
            Reply::Json(json) => {
                self.has_json = true;
                output.plugin_json(&json)
            }
            Reply::Text(text) => {
                if output.is_json() && self.texts.len() < MAX_TEXTS {
                    self.texts.push(text.clone());
                }
                output.plugin_text(&text)
            }
            _ => Ok(()),
        }
    }

    fn finish(self, output: Output) -> Result<()> {
        if output.is_json() && !self.has_json && !self.texts.is_empty() {
            return output.result(&json!({ "text": self.texts }), String::new);
        }
        Ok(())
    }
}
