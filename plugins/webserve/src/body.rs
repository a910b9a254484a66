//! A body as text, line by line.

use mute_plugin::{Error, Result};

/// The longest line that is shown: the host takes 1 MiB at a time, and a byte may become two in JSON.
const LINE_MAX: usize = 256 * 1024;

/// Makes text of a body's bytes as they come, whole lines at a time.
#[derive(Default)]
pub(crate) struct Lines {
    /// The line that has not ended yet.
    rest: Vec<u8>,
}

impl Lines {
    /// The lines that end in `bytes`, with all their line ends; empty if none does.
    ///
    /// # Errors
    /// [`Error::INVALID`] if it is no text, [`Error::TOO_LARGE`] if a line is too long to show.
    pub(crate) fn decode(&mut self, bytes: &[u8]) -> Result<String> {
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let (ended, rest) = bytes.split_at(end);
        let lines = if ended.is_empty() { Vec::new() } else { [&std::mem::take(&mut self.rest), ended].concat() };
        self.rest.extend_from_slice(rest);
        if self.rest.len() > LINE_MAX {
            return Err(Error::too_large("it has a line too long to show; --output FILE saves it"));
        }
        text(lines)
    }

    /// The last line, if it has no end.
    ///
    /// # Errors
    /// [`Error::INVALID`] if it is no text.
    pub(crate) fn finish(self) -> Result<String> {
        text(self.rest)
    }
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| Error::invalid("it is no text; --output FILE saves it"))
}

/// What is to be printed for these lines, by a host that ends each print with one line end of its own.
pub(crate) fn prints(lines: &str) -> impl Iterator<Item = &str> {
    let text = lines.trim_end_matches('\n');
    // One line end is the print's own; each further one is an empty line. A piece that is nothing but line ends has no
    // text that the first could belong to.
    let ends = lines.len() - text.len();
    let blank = if text.is_empty() { ends } else { ends.saturating_sub(1) };
    let first = (!text.is_empty()).then_some(text);
    first.into_iter().chain(std::iter::repeat_n("", blank))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_come_whole() {
        let mut lines = Lines::default();
        assert_eq!(lines.decode(b"one\ntw").unwrap(), "one\n");
        assert_eq!(lines.decode(b"o \xc3").unwrap(), "");
        assert_eq!(lines.decode(b"\xa9\n\nthree").unwrap(), "two é\n\n");
        assert_eq!(lines.finish().unwrap(), "three");
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert_eq!(Lines::default().decode(b"\xff\n").unwrap_err().code(), Error::INVALID);
        let mut lines = Lines::default();
        lines.decode(b"\xc3").unwrap();
        assert_eq!(lines.finish().unwrap_err().code(), Error::INVALID);
        let mut lines = Lines::default();
        assert_eq!(lines.decode(&[b'x'; LINE_MAX + 1]).unwrap_err().code(), Error::TOO_LARGE);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_however_it_is_cut(body in "[ab\\né]{0,60}", cuts in prop::collection::vec(1_usize..9, 1..60)) {
            let mut lines = Lines::default();
            let (mut rest, mut pieces) = (body.as_bytes(), Vec::new());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, after) = rest.split_at((*cut).min(rest.len()));
                pieces.push(lines.decode(chunk).unwrap());
                rest = after;
            }
            pieces.push(lines.finish().unwrap());
            prop_assert_eq!(pieces.concat(), body.clone());
            let mut printed = String::new();
            for print in pieces.iter().flat_map(|piece| prints(piece)) {
                printed.push_str(print);
                printed.push('\n');
            }
            let is_ended = body.is_empty() || body.ends_with('\n');
            prop_assert_eq!(printed, if is_ended { body } else { format!("{body}\n") });
        }
    }
}
