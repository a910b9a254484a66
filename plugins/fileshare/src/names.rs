//! Names of files, which come from strangers.

use crate::hash::Hash;

/// Bytes of a name: file systems allow 255, and a part's name is longer than the file's.
pub(crate) const NAME_MAX: usize = 200;
/// Bytes of an extension that is kept when a name is cut.
const EXTENSION_MAX: usize = 20;
/// Hexadecimal digits of the hash in a part's name: enough that two downloads never meet in one file.
const PART_DIGITS: usize = 16;
/// What ends a part's name.
pub(crate) const PART: &str = ".part";

/// Names that Windows keeps for devices, whatever their extension.
const RESERVED: &[&str] = &[
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2",
    "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// A name that is safe for a file on any system: one component, not hidden, nothing invisible, not too long.
pub(crate) fn clean(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible: String = last.chars().filter(|c| !is_invisible(*c)).map(replaced).collect();
    let trimmed = visible.trim_start_matches(|c: char| c == '.' || c.is_whitespace());
    let mut clean = shortened(trimmed, "");
    if is_reserved(&clean) {
        clean = shortened(&format!("_{clean}"), "");
    }
    if clean.is_empty() { "file".to_owned() } else { clean }
}

/// The `number`th name for a file: `name (2).ext` for 2. Not longer than names may be.
pub(crate) fn numbered(name: &str, number: u32) -> String {
    if number <= 1 { name.to_owned() } else { shortened(name, &format!(" ({number})")) }
}

/// The name of the file that holds what has arrived of a download.
pub(crate) fn part(name: &str, hash: &Hash) -> String {
    format!("{name}.{}{PART}", &hash.to_string()[..PART_DIGITS])
}

/// Control characters, and those that turn or hide the text around them (`exe.gpj` shown as `jpg.exe`).
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn replaced(c: char) -> char {
    if matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*') { '_' } else { c }
}

fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    RESERVED.contains(&stem.as_str())
}

/// `name` with `suffix` before its extension, its stem cut to what fits.
fn shortened(name: &str, suffix: &str) -> String {
    let name = name.trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    let dot = name.rfind('.').filter(|dot| *dot > 0 && name.len() - dot <= EXTENSION_MAX);
    let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
    let room = NAME_MAX - extension.len() - suffix.len();
    let stem = &stem[..stem.floor_char_boundary(room)];
    let joined = format!("{stem}{suffix}{extension}");
    joined.trim_end_matches(|c: char| c == '.' || c.is_whitespace()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn assert_safe(name: &str) {
        assert!(!name.is_empty() && name.len() <= NAME_MAX, "{name:?}");
        assert!(!name.starts_with('.') && !name.ends_with('.') && name.trim() == name, "{name:?}");
        assert!(!name.chars().any(|c| "/\\:<>\"|?*".contains(c) || is_invisible(c)), "{name:?}");
        assert!(!is_reserved(name), "{name:?}");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_safe(name in any::<String>(), number in 1u32..2000) {
            assert_safe(&clean(&name));
            assert_safe(&numbered(&clean(&name), number));
            prop_assert_eq!(clean(&clean(&name)), clean(&name));
        }

        #[test]
        fn nasty_alphabets_are_safe(name in "[./\\\\ a:\u{202e}\u{0}ä]{0,300}", number in 1u32..2000) {
            assert_safe(&clean(&name));
            assert_safe(&numbered(&clean(&name), number));
        }
    }

    #[test]
    fn examples() {
        for (from, to) in [
            ("song.mp3", "song.mp3"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Windows\\x.dll", "x.dll"),
            (".bashrc", "bashrc"),
            ("..", "file"),
            ("", "file"),
            ("con.txt", "_con.txt"),
            ("NUL", "_NUL"),
            ("a\u{202e}gpj.exe", "agpj.exe"),
            ("what?.txt", "what_.txt"),
            ("trailing. . ", "trailing"),
            ("new\nline", "newline"),
        ] {
            assert_eq!(clean(from), to, "{from:?}");
        }
    }

    #[test]
    fn numbers_come_before_the_extension() {
        assert_eq!(numbered("a.tar.gz", 1), "a.tar.gz");
        assert_eq!(numbered("a.txt", 2), "a (2).txt");
        assert_eq!(numbered("a", 3), "a (3)");
        let long = clean(&format!("{}.txt", "ä".repeat(300)));
        assert!(long.ends_with("ä.txt") && numbered(&long, 12).ends_with("ä (12).txt"));
    }

    #[test]
    fn parts_are_told_apart_and_fit() {
        let long = clean(&"x".repeat(500));
        assert!(part(&long, &Hash([1; 32])).len() <= 255);
        assert_ne!(part("a", &Hash([1; 32])), part("a", &Hash([2; 32])));
    }
}
