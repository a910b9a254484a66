//! Commands on the command line, `mute <plugin> <command> …`.
//!
//! A command's required arguments are positional; the last may repeat. Others are options, `--name VALUE` or `--name`.
//! An argument called `folder` names a folder that the user grants by giving it: the command gets the grant's name.

use crate::bindings::commands::exports::mute::plugin::commands as host;
use crate::{Error, Output, Reader, Result, Stop};
use futures_util::future::LocalBoxFuture;
use std::future::Future;
use std::rc::Rc;
use std::str::FromStr;

/// How a command is described to the user.
pub struct Command {
    name: &'static str,
    about: &'static str,
    example: &'static str,
    arguments: Vec<host::Argument>,
}

impl Command {
    /// A command without arguments yet, and one line on what it does.
    pub fn new(name: &'static str, about: &'static str) -> Self {
        Self { name, about, example: "", arguments: Vec::new() }
    }

    /// A line that shows its use, as it is typed.
    #[must_use]
    pub fn example(self, example: &'static str) -> Self {
        Self { example, ..self }
    }

    /// A value that must be given.
    #[must_use]
    pub fn required(self, name: &str, about: &str) -> Self {
        self.argument(name, about, true, false, true)
    }

    /// One or more values; the last of the required arguments.
    #[must_use]
    pub fn required_many(self, name: &str, about: &str) -> Self {
        self.argument(name, about, true, true, true)
    }

    /// A value that may be given.
    #[must_use]
    pub fn optional(self, name: &str, about: &str) -> Self {
        self.argument(name, about, false, false, true)
    }

    /// Values that may be given, each by its own option.
    #[must_use]
    pub fn optional_many(self, name: &str, about: &str) -> Self {
        self.argument(name, about, false, true, true)
    }

    /// A switch.
    #[must_use]
    pub fn flag(self, name: &str, about: &str) -> Self {
        self.argument(name, about, false, false, false)
    }

    fn argument(mut self, name: &str, about: &str, required: bool, many: bool, takes_value: bool) -> Self {
        let (name, about) = (name.to_owned(), about.to_owned());
        self.arguments.push(host::Argument { name, about, required, many, takes_value });
        self
    }

    fn for_host(self) -> host::Command {
        let [name, about, example] = [self.name, self.about, self.example].map(str::to_owned);
        host::Command { name, about, example, arguments: self.arguments }
    }
}

type Handler<P> = Box<dyn Fn(Rc<P>, Call) -> LocalBoxFuture<'static, Result<()>>>;

/// A plugin's commands and the functions that do them.
pub struct Commands<P>(Vec<(Command, Handler<P>)>);

impl<P> Default for Commands<P> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<P: 'static> Commands<P> {
    /// No commands yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a command, done by an async function or closure.
    #[must_use]
    pub fn add<F>(mut self, command: Command, handler: impl Fn(Rc<P>, Call) -> F + 'static) -> Self
    where
        F: Future<Output = Result<()>> + 'static,
    {
        self.0.push((command, Box::new(move |plugin, call| Box::pin(handler(plugin, call)))));
        self
    }

    pub(crate) fn list(self) -> Vec<host::Command> {
        self.0.into_iter().map(|(command, _)| command.for_host()).collect()
    }

    /// Does the named command, until it ends or is cancelled.
    pub(crate) async fn invoke(self, plugin: Rc<P>, name: &str, call: Call) -> Result<()> {
        let found = self.0.iter().find(|(command, _)| command.name == name);
        let (command, handler) = found.ok_or_else(|| Error::not_found(format!("no command called {name:?}")))?;
        call.arguments.check(command)?;
        let cancelled = call.cancelled.clone();
        cancelled.or(handler(plugin, call)).await.unwrap_or_else(|| Err(Error::cancelled()))
    }
}

/// One use of a command.
pub struct Call {
    /// What the user gave.
    pub arguments: Arguments,
    /// Where results go.
    pub output: Output,
    /// What the user types or pipes in.
    pub input: Reader,
    /// Happens when the user cancels. The command's future is dropped then, so only long-lived helpers need it.
    pub cancelled: Stop,
}

/// What the user gave to a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments(Vec<(String, String)>);

/// What the host passes when the user wants output for programs.
const JSON: &str = "json";

impl Arguments {
    /// Arguments by name and value.
    pub fn new(given: Vec<(String, String)>) -> Self {
        Self(given)
    }

    /// The value given for `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values given for `name`, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The value given for `name`.
    ///
    /// # Errors
    /// [`Error::INVALID`] if there is none.
    pub fn required(&self, name: &str) -> Result<&str> {
        self.get(name).ok_or_else(|| Error::invalid(format!("{name} is missing")))
    }

    /// The value given for `name`, as whatever it shall be.
    ///
    /// # Errors
    /// [`Error::INVALID`] if it is not that.
    pub fn parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>>
    where
        T::Err: std::fmt::Display,
    {
        let parse = |text: &str| text.parse().map_err(|error| Error::invalid(format!("{name}: {error}")));
        self.get(name).map(parse).transpose()
    }

    /// Whether the switch `name` was given.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value != "false")
    }

    /// Whether the user wants output for programs. [`Output::result`] serves both, so few commands need to know.
    pub fn wants_json(&self) -> bool {
        self.flag(JSON)
    }

    fn check(&self, command: &Command) -> Result<()> {
        for (name, _) in &self.0 {
            let known = command.arguments.iter().find(|argument| argument.name == *name);
            if known.is_none() && name != JSON {
                return Err(Error::invalid(format!("{} takes no {name:?}", command.name)));
            }
            if known.is_some_and(|argument| !argument.many) && self.all(name).count() > 1 {
                return Err(Error::invalid(format!("{name} is given more than once")));
            }
        }
        let missing = command.arguments.iter().find(|argument| argument.required && self.get(&argument.name).is_none());
        missing.map_or(Ok(()), |argument| Err(Error::invalid(format!("{} is missing", argument.name))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Arguments {
        Arguments::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn arguments_are_checked_against_the_description() {
        let command = Command::new("search", "")
            .required_many("words", "")
            .optional("limit", "")
            .flag("all", "")
            .required("place", "");
        let refused = |pairs: &[(&str, &str)]| given(pairs).check(&command).unwrap_err().to_string();
        given(&[("words", "a"), ("words", "b"), ("place", "x"), ("all", ""), ("json", "true")])
            .check(&command)
            .unwrap();
        assert_eq!(refused(&[("place", "x")]), "words is missing");
        assert_eq!(refused(&[("words", "a"), ("place", "x"), ("colour", "red")]), "search takes no \"colour\"");
        assert_eq!(refused(&[("words", "a"), ("place", "x"), ("place", "y")]), "place is given more than once");
    }

    #[test]
    fn arguments_are_read() {
        let arguments = given(&[("words", "a"), ("words", "b"), ("limit", "7"), ("all", ""), ("json", "true")]);
        assert_eq!(arguments.all("words").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(arguments.parsed::<u8>("limit").unwrap(), Some(7));
        assert_eq!(arguments.parsed::<u8>("none").unwrap(), None);
        assert!(arguments.parsed::<u8>("words").unwrap_err().to_string().starts_with("words: "));
        assert!(arguments.flag("all") && arguments.wants_json() && !arguments.flag("none"));
        assert_eq!(arguments.required("none").unwrap_err().code(), Error::INVALID);
        assert!(!given(&[("json", "false")]).wants_json());
    }

    #[test]
    fn the_description_reaches_the_host() {
        let commands: Commands<()> = Commands::new()
            .add(Command::new("one", "does it").example("mute p one").flag("x", ""), |_, _| async { Ok(()) });
        let listed = commands.list();
        assert_eq!((listed[0].name.as_str(), listed[0].example.as_str()), ("one", "mute p one"));
        assert!(!listed[0].arguments[0].takes_value && !listed[0].arguments[0].required);
    }
}
