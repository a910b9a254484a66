//! Text from strangers, made safe to show.
//!
//! A terminal obeys control characters, and a reader is deceived by marks that turn the direction of a line around or
//! that can't be seen. What is stored or compared stays as it came; what is shown goes through here.

/// What stands in place of a character that is not shown.
const REPLACEMENT: char = '\u{fffd}';

/// So many accents on one letter are more than any language needs; a pile of them runs over the lines around it.
const MARKS_MAX: usize = 4;

/// The text, harmless on a terminal: line ends (as line feeds) and tabs stay, other control characters, marks of direction
/// and invisible characters become U+FFFD, piles of accents are cut. The joiners that scripts and emoji need stay.
pub fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut marks = 0;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        marks = if is_mark(letter) { marks + 1 } else { 0 };
        match letter {
            _ if marks > MARKS_MAX => {}
            '\r' if letters.peek() == Some(&'\n') => {}
            '\n' | '\t' => shown.push(letter),
            _ if is_harmful(letter) => shown.push(REPLACEMENT),
            _ => shown.push(letter),
        }
    }
    shown
}

/// The same on one line: line feeds and tabs become spaces.
pub fn harmless_line(text: &str) -> String {
    harmless(text).replace(['\n', '\t'], " ")
}

fn is_harmful(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            // Directions, and what else changes how the text around is read.
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            // Separators of lines and paragraphs: a line that is not the writer's begins.
            | '\u{2028}' | '\u{2029}'
            // What can't be seen.
            | '\u{00ad}' | '\u{034f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' | '\u{200b}'
            | '\u{2060}'..='\u{2065}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

fn is_mark(letter: char) -> bool {
    matches!(letter,
        '\u{0300}'..='\u{036f}' | '\u{0483}'..='\u{0489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_terminals_obey_is_replaced() {
        assert_eq!(harmless("\u{1b}[2J\u{9b}1m\u{7}\r\u{7f}"), "\u{fffd}[2J\u{fffd}1m\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(harmless("pay \u{202e}eb\u{2066}"), "pay \u{fffd}eb\u{fffd}");
        assert_eq!(harmless("a\u{2028}b\u{200b}c\u{e0041}"), "a\u{fffd}b\u{fffd}c\u{fffd}");
    }

    #[test]
    fn honest_text_stays() {
        for text in ["two\nlines\tand a tab", "e\u{301}", "שלום", "नमस्ते", "👩\u{200d}🔬", "می\u{200c}خواهم", "日本語"]
        {
            assert_eq!(harmless(text), text);
        }
        assert_eq!(harmless_line("a\nb\tc"), "a b c");
        assert_eq!(harmless("a\r\nb\r\n"), "a\nb\n");
    }

    #[test]
    fn piles_of_accents_are_cut() {
        let pile = format!("a{}b", "\u{301}".repeat(1000));
        assert_eq!(harmless(&pile).chars().count(), 2 + MARKS_MAX);
    }

    proptest! {
        #[test]
        fn what_is_shown_is_harmless_and_no_longer(text in "\\PC*|[\\x00-\\u{2100}]*|.*") {
            let shown = harmless(&text);
            prop_assert!(!shown.chars().any(|letter| letter.is_control() && letter != '\n' && letter != '\t'));
            prop_assert!(shown.chars().count() <= text.chars().count());
            prop_assert_eq!(&harmless(&shown), &shown);
            prop_assert!(!harmless_line(&text).contains('\n'));
        }
    }
}
