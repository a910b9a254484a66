//! Commands that plugins bring: the plugin describes them, the command line reads its arguments by that.

use std::{collections::BTreeSet, ffi::OsString, path::PathBuf};

use clap::{ArgAction, ArgMatches, Command, builder::PathBufValueParser};

use super::{args::Global, output::one_line};
use crate::{
    control::{Argument, PluginArgument, PluginCommand},
    error::{Error, Result},
};

/// An argument of this name is a local folder: made absolute here, granted to the plugin by the daemon.
pub const FOLDER: &str = "folder";
/// More commands than fit on a screen are a plugin's mistake.
const MAX_COMMANDS: usize = 64;
/// The same for arguments of one command.
const MAX_ARGUMENTS: usize = 16;
/// Names are typed.
const MAX_NAME_BYTES: usize = 32;
/// Descriptions are one line each.
const MAX_ABOUT_BYTES: usize = 400;
/// What every command has already.
const RESERVED: [&str; 5] = ["help", "home", "json", "quiet", "version"];

/// What the user wants of a plugin.
#[derive(Debug)]
pub(crate) struct Call {
    /// The command's name.
    pub(crate) command: String,
    /// Its arguments.
    pub(crate) arguments: Vec<Argument>,
    /// Flags of ours among them.
    pub(crate) global: Global,
}

/// The flags of ours among a plugin's arguments, before its commands are known: the home decides whom to ask.
pub(crate) fn scan(words: &[OsString], before: &Global) -> Global {
    let mut global = before.clone();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--") => break,
            Some("--json") => global.json = true,
            Some("--quiet" | "-q") => global.quiet = true,
            Some("--home") => global.home = words.next().map(PathBuf::from).or(global.home),
            Some(text) => {
                if let Some(home) = text.strip_prefix("--home=") {
                    global.home = Some(home.into());
                }
            }
            None => {}
        }
    }
    global
}

/// Reads the words after the plugin's name. An `Err` of clap is help as well as a mistake.
pub(crate) fn parse(plugin: &str, commands: &[PluginCommand], words: &[OsString]) -> Result<Result<Call, clap::Error>> {
    check(plugin, commands)?;
    let mut parser = parser(plugin, commands);
    let words = std::iter::once(OsString::from("mute")).chain(words.iter().cloned());
    // The first word stands for the program, whose name the parser knows better.
    let matches = match parser.try_get_matches_from_mut(words) {
        Ok(matches) => matches,
        Err(error) => return Ok(Err(error)),
    };
    let Some((name, matches)) = matches.subcommand() else { return Err(Error::usage("no command")) };
    let Some(command) = commands.iter().find(|command| command.name == name) else {
        return Err(Error::usage("no such command"));
    };
    let global = Global {
        home: matches.get_one::<PathBuf>("home").cloned(),
        json: matches.get_flag("json"),
        quiet: matches.get_flag("quiet"),
    };
    let mut arguments = Vec::new();
    for argument in &command.arguments {
        collect(argument, matches, &mut arguments)?;
    }
    Ok(Ok(Call { command: name.to_owned(), arguments, global }))
}

/// The values that the user gave to one argument.
fn collect(argument: &PluginArgument, matches: &ArgMatches, into: &mut Vec<Argument>) -> Result<()> {
    let name = &argument.name;
    if !argument.takes_value {
        for _ in 0..matches.get_count(name) {
            into.push(Argument { name: name.clone(), value: String::new() });
        }
        return Ok(());
    }
    for value in matches.get_many::<String>(name).into_iter().flatten() {
        let value = if name == FOLDER { absolute(value)? } else { value.clone() };
        into.push(Argument { name: name.clone(), value });
    }
    Ok(())
}

/// The folder as the daemon, which runs elsewhere, can find it.
fn absolute(folder: &str) -> Result<String> {
    let unreadable =
        |why: &dyn std::fmt::Display| Error::usage(format!("cannot read the folder {}: {why}", one_line(folder)));
    let path = std::fs::canonicalize(folder).map_err(|error| unreadable(&reason(&error)))?;
    std::fs::read_dir(&path).map_err(|error| unreadable(&reason(&error)))?;
    path.into_os_string().into_string().map_err(|_| unreadable(&"its path is not UTF-8"))
}

fn reason(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => "it does not exist",
        std::io::ErrorKind::NotADirectory => "it is not a folder",
        std::io::ErrorKind::PermissionDenied => "permission denied",
        _ => "the system refuses",
    }
}

/// Whether the description makes sense: clap takes a wrong one for our mistake and panics.
fn check(plugin: &str, commands: &[PluginCommand]) -> Result<()> {
    let bad = |what: String| Error::failure(format!("the plugin {plugin} describes its commands badly: {what}"));
    if commands.len() > MAX_COMMANDS {
        return Err(bad(format!("more than {MAX_COMMANDS}")));
    }
    let mut names = BTreeSet::new();
    for command in commands {
        let name = one_line(&command.name);
        if !is_name(&command.name) || command.name == "help" || !names.insert(&command.name) {
            return Err(bad(format!("`{name}` cannot be a command's name")));
        }
        if command.arguments.len() > MAX_ARGUMENTS {
            return Err(bad(format!("`{name}` takes more than {MAX_ARGUMENTS} arguments")));
        }
        let mut arguments = BTreeSet::new();
        let last = command.arguments.iter().rposition(is_positional);
        for (place, argument) in command.arguments.iter().enumerate() {
            let shown = one_line(&argument.name);
            if !is_name(&argument.name) || RESERVED.contains(&&*argument.name) || !arguments.insert(&argument.name) {
                return Err(bad(format!("`{shown}` cannot be the name of an argument of `{name}`")));
            }
            if is_positional(argument) && argument.many && Some(place) != last {
                return Err(bad(format!("`{shown}` of `{name}` takes many values but is not the last")));
            }
        }
    }
    Ok(())
}

/// Whether an argument is given by its place: it takes a value and must be there. Others are options and flags.
fn is_positional(argument: &PluginArgument) -> bool {
    argument.takes_value && argument.required
}

fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME_BYTES
        && name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// A line of a stranger, fit for a help page.
fn about(text: &str) -> String {
    let mut text = one_line(text);
    if text.len() > MAX_ABOUT_BYTES {
        text.truncate(text.floor_char_boundary(MAX_ABOUT_BYTES));
        text.push('…');
    }
    text
}

fn parser(plugin: &str, commands: &[PluginCommand]) -> Command {
    let examples: Vec<String> =
        commands.iter().map(|command| about(&command.example)).filter(|text| !text.is_empty()).collect();
    let mut parser = Command::new(plugin.to_owned())
        .bin_name(format!("mute {plugin}"))
        .about(format!("Commands of the plugin {plugin}"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(
            clap::Arg::new("home")
                .long("home")
                .value_name("DIR")
                .global(true)
                .value_parser(PathBufValueParser::new())
                .help("Keep everything of the node in this folder"),
        )
        .arg(
            clap::Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .global(true)
                .help("Print results as JSON, one document a line"),
        )
        .arg(
            clap::Arg::new("quiet")
                .long("quiet")
                .short('q')
                .action(ArgAction::SetTrue)
                .global(true)
                .help("Print no messages and no progress"),
        );
    if !examples.is_empty() {
        parser = parser.after_help(format!("Examples:\n  {}", examples.join("\n  ")));
    }
    for command in commands {
        let mut sub = Command::new(command.name.clone()).about(about(&command.about));
        if !command.example.is_empty() {
            sub = sub.after_help(format!("Example:\n  {}", about(&command.example)));
        }
        parser = parser.subcommand(sub.args(command.arguments.iter().map(argument)));
    }
    parser
}

fn argument(argument: &PluginArgument) -> clap::Arg {
    let arg = clap::Arg::new(argument.name.clone()).help(about(&argument.about));
    if !argument.takes_value {
        return arg.long(argument.name.clone()).action(ArgAction::Count);
    }
    let arg = arg.value_name(argument.name.to_uppercase());
    let arg = if argument.many { arg.action(ArgAction::Append) } else { arg };
    match (argument.required, argument.many) {
        (true, true) => arg.required(true).num_args(1..),
        (true, false) => arg.required(true),
        (false, _) => arg.long(argument.name.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argument(name: &str, required: bool, many: bool, takes_value: bool) -> PluginArgument {
        PluginArgument { name: name.into(), about: String::new(), required, many, takes_value }
    }

    fn search() -> Vec<PluginCommand> {
        vec![PluginCommand {
            name: "search".into(),
            about: "Ask for files".into(),
            example: "mute fileshare search blue train".into(),
            arguments: vec![
                argument("first", true, false, true),
                argument("words", true, true, true),
                argument("kind", false, true, true),
                argument("mine", false, false, false),
            ],
        }]
    }

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn arguments_are_read_as_the_plugin_describes_them() {
        let call =
            parse("x", &search(), &words("search --kind a b --mine c d --json --kind e --home /h")).unwrap().unwrap();
        let given: Vec<_> = call.arguments.iter().map(|a| (a.name.as_str(), a.value.as_str())).collect();
        assert_eq!(given, [("first", "b"), ("words", "c"), ("words", "d"), ("kind", "a"), ("kind", "e"), ("mine", "")]);
        assert!(call.global.json && !call.global.quiet);
        assert_eq!(call.global.home.unwrap(), PathBuf::from("/h"));
    }

    #[test]
    fn mistakes_are_told_with_a_suggestion_and_help_with_the_example() {
        let error = parse("x", &search(), &words("serch a b")).unwrap().unwrap_err().to_string();
        assert!(error.contains("'search'"), "{error}");
        assert!(parse("x", &search(), &words("search a")).unwrap().is_err());
        let error = parse("x", &search(), &words("search a b --kin")).unwrap().unwrap_err().to_string();
        assert!(error.contains("--kind"), "{error}");
        let help = parse("x", &search(), &words("search --help")).unwrap().unwrap_err();
        assert!(!help.use_stderr() && help.to_string().contains("mute fileshare search blue train"));
        assert!(help.to_string().contains("mute x search"), "{help}");
    }

    #[test]
    fn our_flags_are_found_before_the_commands_are_known() {
        let global = scan(&words("search a --home /x --json -- --quiet"), &Global::default());
        assert_eq!((global.home, global.json, global.quiet), (Some("/x".into()), true, false));
    }

    #[test]
    fn a_bad_description_is_refused() {
        let with = |change: &dyn Fn(&mut PluginCommand)| {
            let mut commands = search();
            change(&mut commands[0]);
            check("x", &commands)
        };
        assert!(with(&|_| {}).is_ok());
        for name in ["", "Help", "help", "a b", "-x", "\u{1b}[2J", &"a".repeat(33)] {
            assert!(with(&|command| command.name = name.into()).is_err(), "{name:?}");
        }
        for name in ["json", "home", "first", "é", "--x"] {
            assert!(with(&|command| command.arguments[2].name = name.into()).is_err(), "{name:?}");
        }
        assert!(with(&|command| command.arguments[0].many = true).is_err());
        assert!(with(&|command| command.arguments = vec![argument("a", false, false, true); 99]).is_err());
        assert!(check("x", &[search(), search()].concat()).is_err());
    }

    #[test]
    fn a_folder_is_made_absolute_and_must_be_readable() {
        let commands = [PluginCommand {
            name: "share".into(),
            arguments: vec![argument(FOLDER, true, false, true)],
            ..PluginCommand::default()
        }];
        let call = parse("x", &commands, &words("share .")).unwrap().unwrap();
        assert!(call.arguments[0].value.starts_with('/'));
        for missing in ["share /nonexistent", "share /etc/passwd"] {
            let error = parse("x", &commands, &words(missing)).unwrap_err();
            assert!(error.to_string().starts_with("cannot read the folder"), "{error}");
        }
    }

    mod any {
        use proptest::prelude::*;

        use super::*;

        fn descriptions() -> impl Strategy<Value = Vec<PluginCommand>> {
            let name = prop_oneof!["[a-c]{0,2}", ".{0,4}", Just("json".to_owned()), Just(FOLDER.to_owned())];
            let flags = (any::<bool>(), any::<bool>(), any::<bool>());
            let argument = (name.clone(), ".{0,20}", flags).prop_map(|(name, about, (required, many, takes_value))| {
                PluginArgument { name, about, required, many, takes_value }
            });
            let arguments = proptest::collection::vec(argument, 0..5);
            let command = (name, ".{0,20}", ".{0,20}", arguments)
                .prop_map(|(name, about, example, arguments)| PluginCommand { name, about, example, arguments });
            proptest::collection::vec(command, 0..4)
        }

        proptest! {
            /// Whatever a plugin says of its commands and a user types: an error at worst.
            #[test]
            fn descriptions_never_panic(commands in descriptions(), typed in proptest::collection::vec("[a-c-]{0,4}|--[a-c]{1,2}|.{0,5}", 0..5)) {
                let typed: Vec<OsString> = typed.into_iter().map(OsString::from).collect();
                let _ = parse("x", &commands, &typed);
                if let Some(command) = commands.first() {
                    let mut named = vec![OsString::from(&command.name)];
                    named.extend(typed);
                    let _ = parse("x", &commands, &named);
                }
            }
        }
    }
}
