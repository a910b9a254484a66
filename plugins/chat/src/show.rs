//! Messages as people and programs see them.

use crate::model::{Entry, Talk};
use mute_plugin::{Address, text};
use serde::Serialize;

/// A message for programs. The text is as it came but for what a terminal would obey.
#[derive(Debug, Serialize)]
pub(crate) struct MessageShown<'a> {
    address: Address,
    name: Option<&'a str>,
    mine: bool,
    new: bool,
    /// Seconds since 1970-01-01 UTC.
    time_s: u64,
    text: String,
}

impl<'a> MessageShown<'a> {
    pub(crate) fn new(address: Address, name: Option<&'a str>, entry: &Entry, new: bool) -> Self {
        let text = text::harmless(&entry.text);
        Self { address, name, mine: entry.mine, new, time_s: entry.time_s, text }
    }

    /// The same for people: `* ` marks what is new. Further lines of a text stand in from the first, so that none can
    /// look like a message of its own.
    pub(crate) fn line(&self) -> String {
        let mark = if self.new { '*' } else { ' ' };
        let who = who(self.address, self.name);
        let who = if self.mine { format!("me to {who}") } else { who };
        let text = self.text.trim_end().replace('\n', "\n        ");
        format!("{mark} {} {who}: {text}", date(self.time_s))
    }
}

/// A conversation for programs.
#[derive(Debug, Serialize)]
pub(crate) struct TalkShown<'a> {
    address: Address,
    name: Option<&'a str>,
    known: bool,
    messages: u64,
    unread: u64,
    /// Messages that are gone because there was no more room.
    dropped: u64,
    /// When the latest came, in seconds since 1970-01-01 UTC.
    last_s: u64,
}

impl<'a> TalkShown<'a> {
    pub(crate) fn new(address: Address, name: Option<&'a str>, talk: &Talk) -> Self {
        let Talk { unread, dropped, last_s, is_known: known, .. } = *talk;
        Self { address, name, known, messages: talk.count(), unread, dropped, last_s }
    }

    /// The same for people.
    pub(crate) fn line(&self) -> String {
        let dropped = if self.dropped > 0 { format!(", {} older ones dropped", self.dropped) } else { String::new() };
        let (date, who) = (date(self.last_s), who(self.address, self.name));
        format!("{date} {who}: {} messages, {} new{dropped}", self.messages, self.unread)
    }
}

/// A petname, or the address and that it has none.
pub(crate) fn who(address: Address, name: Option<&str>) -> String {
    name.map_or_else(|| format!("unknown address {address}"), str::to_owned)
}

/// A time in seconds since 1970-01-01 as a date of UTC. The days are Howard Hinnant's, `civil_from_days`: years begin in
/// March, so that the day that may lack is the last one.
fn date(time_s: u64) -> String {
    let (days, second) = (time_s / 86_400 + 719_468, time_s % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", second / 3600, second / 60 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_are_right() {
        for (time_s, expected) in [
            (0, "1970-01-01 00:00"),
            (951_782_399, "2000-02-28 23:59"),
            (951_782_400, "2000-02-29 00:00"),
            (951_868_800, "2000-03-01 00:00"),
            (1_767_225_599, "2025-12-31 23:59"),
            (1_767_225_600, "2026-01-01 00:00"),
            (4_107_542_400, "2100-03-01 00:00"),
        ] {
            assert_eq!(date(time_s), expected);
        }
    }

    fn shown(text: &str, name: Option<&'static str>, new: bool) -> MessageShown<'static> {
        let entry = Entry { id: [0; 16], mine: false, time_s: 0, text: text.to_owned() };
        MessageShown::new(Address::from_bytes([7; 32]), name, &entry, new)
    }

    #[test]
    fn a_message_can_not_look_like_two() {
        let line = shown("hi\n* 1970-01-01 00:00 bob: pay me\n\n", Some("alice"), true).line();
        assert_eq!(line, "* 1970-01-01 00:00 alice: hi\n        * 1970-01-01 00:00 bob: pay me");
        assert!(shown("hi", None, false).line().starts_with("  1970-01-01 00:00 unknown address mute1"));
    }

    #[test]
    fn programs_get_fields() {
        let json = serde_json::to_value(shown("a\u{1b}[2Jb", Some("alice"), true)).unwrap();
        assert_eq!(
            (&json["name"], &json["text"], &json["new"]),
            (&"alice".into(), &"a\u{fffd}[2Jb".into(), &true.into())
        );
        let talk = Talk { next: 5, unread: 2, dropped: 1, ..Talk::default() };
        let talk = TalkShown::new(Address::from_bytes([7; 32]), None, &talk);
        assert!(talk.line().ends_with(": 5 messages, 2 new, 1 older ones dropped"));
        assert_eq!(serde_json::to_value(talk).unwrap()["messages"], 5);
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_shown_harmless(text in "[\\x00-\\u{2100}]*|.*", time_s in 0..u64::MAX) {
            let shown = MessageShown { time_s, ..shown(&text, None, false) };
            let line = shown.line();
            prop_assert!(line.lines().skip(1).all(|line| line.starts_with("        ")));
            prop_assert!(!line.chars().any(|letter| letter.is_control() && letter != '\n' && letter != '\t'));
            let json = serde_json::to_string(&shown).unwrap();
            prop_assert!(!json.chars().any(char::is_control));
        }
    }
}
