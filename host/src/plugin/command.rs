//! Commands that a plugin brings to the command line.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::{
    bindings::exports::mute::plugin::commands,
    bindings::mute::plugin::types,
    code, limits,
    status::{Shared, clean, clean_lines},
};

/// A command of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Its name: `mute PLUGIN NAME`.
    pub name: String,
    /// What it does, on one line.
    pub about: String,
    /// How it is used, for the help.
    pub example: String,
    /// What it takes.
    pub arguments: Vec<Argument>,
}

/// An argument of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// What it means, on one line.
    pub about: String,
    /// Whether it must be given.
    pub required: bool,
    /// Whether it may be given several times.
    pub many: bool,
    /// Whether it takes a value; else it is a flag.
    pub takes_value: bool,
}

/// What a command says while it runs. Its text holds no control characters but line ends and tabs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// For people.
    Text(String),
    /// For programs: one JSON value.
    Json(String),
    /// How far it is.
    Progress {
        /// Of what.
        label: String,
        /// How much is done.
        done: u64,
        /// Of how much, if it is known.
        total: Option<u64>,
        /// In what unit.
        unit: String,
    },
}

/// Why a command failed, or could not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// A code of `plugin.wit`; 1000 up are the plugin's own.
    pub code: u32,
    /// One line for people.
    pub message: String,
}

impl CallError {
    pub(super) fn new(code: u32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<types::Error> for CallError {
    fn from(error: types::Error) -> Self {
        let types::Error { code, message } = error.cleaned();
        Self { code, message }
    }
}

/// A command that runs. Dropping it cancels the command.
pub struct Invocation {
    pub(super) output: mpsc::Receiver<Output>,
    pub(super) end: oneshot::Receiver<Result<(), CallError>>,
    pub(super) cancel: Option<oneshot::Sender<()>>,
    pub(super) life: Life,
}

/// The life of a plugin that something was asked of.
#[derive(Clone)]
pub(super) struct Life {
    shared: Arc<Shared>,
    lives: u64,
}

impl Life {
    pub(super) fn of(shared: Arc<Shared>) -> Self {
        Self { lives: shared.lives(), shared }
    }

    /// Why it broke off what it was asked.
    pub(super) async fn broke_off(&self) -> CallError {
        let reason = self.shared.why_ended(self.lives).await;
        CallError::new(code::CLOSED, reason.unwrap_or_else(|| "the plugin was stopped".to_owned()))
    }
}

impl Invocation {
    /// What the command says next; `None` when it has said all. Then ask [`Invocation::end`].
    pub async fn next(&mut self) -> Option<Output> {
        self.output.recv().await
    }

    /// Asks the command to stop. It still says how it ended.
    pub fn cancel(&mut self) {
        if let Some(cancel) = self.cancel.take() {
            // It may have ended just now.
            let _ = cancel.send(());
        }
    }

    /// How the command ended.
    pub async fn end(self) -> Result<(), CallError> {
        match self.end.await {
            Ok(end) => end,
            Err(_) => Err(self.life.broke_off().await),
        }
    }
}

/// What is asked of a running instance.
pub(super) enum Call {
    /// Which commands it has.
    List(oneshot::Sender<Result<Vec<Command>, CallError>>),
    /// To run one.
    Invoke(Invoke),
}

/// A command to run, and where what it says goes.
pub(super) struct Invoke {
    pub(super) name: String,
    pub(super) arguments: Vec<(String, String)>,
    pub(super) input: mpsc::Receiver<Bytes>,
    pub(super) output: mpsc::Sender<Output>,
    pub(super) end: oneshot::Sender<Result<(), CallError>>,
    pub(super) cancelled: oneshot::Receiver<()>,
}

impl Invoke {
    pub(super) fn new(
        name: String,
        arguments: Vec<(String, String)>,
        input: mpsc::Receiver<Bytes>,
        life: Life,
    ) -> (Self, Invocation) {
        let (output, said) = mpsc::channel(limits::OUTPUT_ITEMS);
        let (end, ended) = oneshot::channel();
        let (cancel, cancelled) = oneshot::channel();
        let invocation = Invocation { output: said, end: ended, cancel: Some(cancel), life };
        (Self { name, arguments, input, output, end, cancelled }, invocation)
    }
}

/// A plugin's list of commands, cleaned and cut.
pub(super) fn cleaned(list: Vec<commands::Command>) -> Vec<Command> {
    let argument = |argument: commands::Argument| Argument {
        name: clean(&argument.name),
        about: clean(&argument.about),
        required: argument.required,
        many: argument.many,
        takes_value: argument.takes_value,
    };
    let command = |command: commands::Command| Command {
        name: clean(&command.name),
        about: clean(&command.about),
        example: clean(&command.example),
        arguments: command.arguments.into_iter().take(limits::COMMAND_LIST).map(argument).collect(),
    };
    list.into_iter().take(limits::COMMAND_LIST).map(command).collect()
}

impl From<commands::Output> for Output {
    fn from(output: commands::Output) -> Self {
        match output {
            commands::Output::Text(text) => Self::Text(clean_lines(&text)),
            commands::Output::Json(json) => {
                // What is no JSON, or so long that cutting would break it, is passed on as text: programs would choke on it.
                let is_json =
                    json.len() <= limits::OUTPUT_BYTES && serde_json::from_str::<serde::de::IgnoredAny>(&json).is_ok();
                if is_json { Self::Json(json) } else { Self::Text(clean_lines(&json)) }
            }
            commands::Output::Progress(step) => Self::Progress {
                label: clean(&step.label),
                done: step.done,
                total: step.total,
                unit: clean(&step.unit),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_that_lies_about_being_json_is_text() {
        let output = |text: &str| Output::from(commands::Output::Json(text.to_owned()));
        assert_eq!(output("{\"a\":[1]}"), Output::Json("{\"a\":[1]}".to_owned()));
        assert_eq!(output("{\"a\":"), Output::Text("{\"a\":".to_owned()));
        assert_eq!(output("\x1b[2J"), Output::Text("\u{fffd}[2J".to_owned()));
    }
}
