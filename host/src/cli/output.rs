//! What the user sees: results on standard output, messages and progress on standard error.

use std::io::{self, IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::args::Global;
use crate::{
    control::Step,
    error::{Context as _, Error, Kind, Result},
};

/// How to print.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    colour: bool,
    live: bool,
}

impl Output {
    /// As the user's flags and the terminal say.
    pub(crate) fn new(global: &Global) -> Self {
        let terminal = io::stderr().is_terminal();
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { json: global.json, quiet: global.quiet, colour: terminal && !no_colour, live: terminal && !global.quiet }
    }

    /// Whether the user wants no messages.
    pub(crate) fn is_quiet(self) -> bool {
        self.quiet
    }

    /// Whether standard error takes colours.
    pub(crate) fn is_coloured(self) -> bool {
        self.colour
    }

    /// Whether scripts read this.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Prints a result: `text` for people, `value` for scripts.
    pub(crate) fn result<T: Serialize>(self, value: &T, text: impl FnOnce() -> String) -> Result<()> {
        if self.json {
            let json = serde_json::to_string(value)
                .map_err(|error| Error::failure(format!("a result is no JSON: {error}")))?;
            print_line(&json)
        } else {
            print_line(text().trim_end_matches('\n'))
        }
    }

    /// Prints a line of a result that comes in parts, unless scripts read this.
    pub(crate) fn line(self, text: &str) -> Result<()> {
        if self.json { Ok(()) } else { print_line(text) }
    }

    /// Prints a text that a plugin made, unless scripts read this.
    pub(crate) fn plugin_text(self, text: &str) -> Result<()> {
        if self.json { Ok(()) } else { print_line(&harmless(text.trim_end_matches('\n'))) }
    }

    /// Prints a JSON document that a plugin made, if scripts read this.
    pub(crate) fn plugin_json(self, text: &str) -> Result<()> {
        if !self.json {
            return Ok(());
        }
        // Parsed, so that it is one document on one line whatever the plugin wrote.
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|_| Error::failure("the plugin printed something that is no JSON"))?;
        print_line(&value.to_string())
    }

    /// Says something beside the results.
    pub(crate) fn message(self, text: &str) {
        if !self.quiet {
            // A closed standard error is the user's wish.
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// Says why the command failed.
    pub(crate) fn error(self, error: &Error) {
        if self.json {
            let value = serde_json::json!({ "error": { "kind": error.kind(), "message": error.to_string() } });
            let _ = print_line(&value.to_string());
        }
        let _ = writeln!(io::stderr(), "{} {}", self.red("error:"), one_line(&error.to_string()));
    }

    /// A progress bar, which only a terminal gets to see.
    pub(crate) fn progress(self) -> Progress {
        let target = if self.live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Progress { bar: ProgressBar::with_draw_target(None, target), shown: None, colour: self.colour }
    }

    /// `text` in green, on a terminal that likes colours.
    pub(crate) fn green(self, text: &str) -> String {
        self.painted(text, "32")
    }

    /// `text` in bold.
    pub(crate) fn bold(self, text: &str) -> String {
        self.painted(text, "1")
    }

    /// `text` dimmed.
    pub(crate) fn dim(self, text: &str) -> String {
        self.painted(text, "2")
    }

    fn red(self, text: &str) -> String {
        self.painted(text, "1;31")
    }

    fn painted(self, text: &str, code: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A progress bar that takes the shape its steps have.
pub(crate) struct Progress {
    bar: ProgressBar,
    shown: Option<Shape>,
    colour: bool,
}

impl Progress {
    /// Shows how far it is.
    pub(crate) fn show(&mut self, step: &Step) {
        let shape = match (step.total.is_some(), step.unit.as_str()) {
            (true, "bytes") => Shape::BytesOf,
            (true, _) => Shape::CountOf,
            (false, "bytes") => Shape::Bytes,
            (false, "") => Shape::Busy,
            (false, _) => Shape::Count,
        };
        if self.shown != Some(shape) {
            self.shown = Some(shape);
            self.bar.set_style(style(shape, self.colour));
            self.bar.enable_steady_tick(std::time::Duration::from_millis(120));
        }
        if let Some(total) = step.total {
            self.bar.set_length(total);
        }
        self.bar.set_position(step.done);
        self.bar.set_message(one_line(&step.label));
    }

    /// Takes it off the screen.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// What a progress bar shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Bytes of a known total, and their rate.
    BytesOf,
    /// A count of a known total.
    CountOf,
    /// Bytes and their rate.
    Bytes,
    /// A count.
    Count,
    /// That something goes on.
    Busy,
}

fn style(shape: Shape, colour: bool) -> ProgressStyle {
    let bar = if colour { "{bar:28.cyan/dim}" } else { "{bar:28}" };
    let template = match shape {
        Shape::BytesOf => {
            format!("  {{msg}} {bar} {{decimal_bytes}}/{{decimal_total_bytes}} {{decimal_bytes_per_sec}}")
        }
        Shape::CountOf => format!("  {{msg}} {bar} {{pos}}/{{len}}"),
        Shape::Bytes => "  {spinner} {msg} {decimal_bytes} {decimal_bytes_per_sec}".to_owned(),
        Shape::Count => "  {spinner} {msg} {pos}".to_owned(),
        Shape::Busy => "  {spinner} {msg}".to_owned(),
    };
    // The templates are ours; if one had a mistake, indicatif's own would do.
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─")
}

/// Prints a line of results. A reader that has gone (`mute … | head`) ends the command quietly.
fn print_line(line: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(reader_gone()),
        other => other.context("cannot print"),
    }
}

/// The error of printing to a reader that has gone, which has no need to hear of it.
pub(super) fn reader_gone() -> Error {
    Error::new(Kind::Cancelled, "nobody reads the results")
}

/// The text of a stranger without what could drive the terminal: control characters other than tab and newline.
pub(crate) fn harmless(text: &str) -> String {
    let is_harmful = |letter: char| {
        (letter.is_control() && !matches!(letter, '\n' | '\t'))
            // Marks that turn the direction of the text around, so that it reads as something else.
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|letter| if is_harmful(letter) { '\u{fffd}' } else { letter }).collect()
}

/// The same on one line.
pub(crate) fn one_line(text: &str) -> String {
    harmless(text).replace(['\n', '\t'], " ")
}

/// Columns of text under their titles, each as wide as it must be; numbers to the right.
pub(crate) fn table(titles: &[&str], rows: &[Vec<String>]) -> String {
    let width = |text: &str| console_width(text);
    let widths: Vec<usize> = (0..titles.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell));
            cells.chain([width(titles[column])]).max().unwrap_or(0)
        })
        .collect();
    let is_number = |column: usize| {
        let mut cells = rows.iter().filter_map(|row| row.get(column)).peekable();
        cells.peek().is_some()
            && cells.all(|cell| cell.is_empty() || cell.starts_with(|letter: char| letter.is_ascii_digit()))
    };
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::from(" ");
        for (column, cell) in cells.enumerate() {
            let gap = " ".repeat(widths[column].saturating_sub(width(cell)));
            let parts = if is_number(column) { [gap.as_str(), cell] } else { [cell, gap.as_str()] };
            text.push(' ');
            text.extend(parts);
            text.push(' ');
        }
        text.trim_end().to_owned()
    };
    let mut text = line(&mut titles.iter().copied());
    for row in rows {
        text.push('\n');
        text.push_str(&line(&mut row.iter().take(titles.len()).map(String::as_str)));
    }
    text
}

/// Columns that a text takes: one a character is right for what we print.
fn console_width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_text_cannot_drive_the_terminal() {
        assert_eq!(harmless("a\x1b[2Jb\u{9b}c\u{202e}d\r\n\te"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd}\n\te");
        assert_eq!(one_line("a\nb"), "a b");
    }

    #[test]
    fn tables_line_up() {
        let rows = [vec!["relay".into(), "7".into()], vec!["x".into(), "1,000".into()]];
        assert_eq!(table(&["node", "bytes"], &rows), "  node   bytes\n  relay      7\n  x      1,000");
    }
}
