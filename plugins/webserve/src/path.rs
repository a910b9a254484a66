//! From the target of a request to a path in the site's folder, and nowhere else.

/// What a target means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file, or a folder whose name lacks the `/` at its end; relative, without a `/` at either end.
    File(String),
    /// A folder: `""` is the site's own.
    Folder(String),
}

/// Why a target means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is no target: wrong percent-encoding, no UTF-8, control characters, a slash in disguise.
    Malformed,
    /// It could leave the folder, or names what is hidden. To a stranger there is no such file.
    Outside,
}

/// The place that a target names. What comes out has only names that are safe on every system: none is empty, hidden
/// (or `.`, `..`), or holds a separator of any system, a drive's or a stream's colon, or a control character.
pub(crate) fn decode_target(target: &str) -> Result<Place, Refused> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let path = path.strip_prefix('/').ok_or(Refused::Malformed)?;
    let (path, is_folder) = match path.strip_suffix('/') {
        Some(path) => (path, true),
        None => (path, path.is_empty()),
    };
    if path.is_empty() {
        // "//" is not "/": an empty name stands between.
        return if target.starts_with("//") { Err(Refused::Outside) } else { Ok(Place::Folder(String::new())) };
    }
    // Split before decoding, so that an encoded slash stays in its name, where it is refused.
    let names: Result<Vec<String>, Refused> = path.split('/').map(decode_name).collect();
    let path = names?.join("/");
    Ok(if is_folder { Place::Folder(path) } else { Place::File(path) })
}

fn decode_name(encoded: &str) -> Result<String, Refused> {
    let name = decode_percent(encoded).ok_or(Refused::Malformed)?;
    let name = String::from_utf8(name).map_err(|_| Refused::Malformed)?;
    if name.contains(|letter: char| letter.is_control() || letter == '/' || letter == '\\') {
        return Err(Refused::Malformed);
    }
    let is_safe = !name.is_empty() && !name.starts_with('.') && !name.contains(':');
    if is_safe { Ok(name) } else { Err(Refused::Outside) }
}

fn decode_percent(encoded: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
            decoded.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

/// The target of a folder, such as `/a%20b/`.
pub(crate) fn folder_target(path: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    format!("/{}/", encode_percent(path, keep))
}

/// A target as a user types it: what can't stand in one is percent-encoded, all else is left as it is.
pub(crate) fn typed_target(typed: &str) -> String {
    let path = typed.split('#').next().unwrap_or_default();
    encode_percent(if path.is_empty() { "/" } else { path }, |byte| (b'!'..=b'~').contains(&byte))
}

fn encode_percent(text: &str, keep: impl Fn(u8) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if keep(byte) {
            encoded.push(byte.into());
        } else {
            encoded.push('%');
            encoded.extend([byte >> 4, byte & 15].map(|half| char::from(b"0123456789ABCDEF"[usize::from(half)])));
        }
    }
    encoded
}

/// Whether a file may be saved under that name in the downloads folder: one that stays there, is seen there, and can be
/// typed.
pub(crate) fn is_file_name(name: &str) -> bool {
    decode_name(&encode_percent(name, |byte| byte.is_ascii_alphanumeric())).is_ok() && name.len() <= 200
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(path: &str) -> Result<Place, Refused> {
        Ok(Place::File(path.to_owned()))
    }

    fn folder(path: &str) -> Result<Place, Refused> {
        Ok(Place::Folder(path.to_owned()))
    }

    #[test]
    fn targets_name_places() {
        for (target, place) in [
            ("/", folder("")),
            ("/?q=/../x", folder("")),
            ("/a", file("a")),
            ("/a/", folder("a")),
            ("/a/b.html?x#y", file("a/b.html")),
            ("/a%20b/%C3%A9.txt", file("a b/é.txt")),
            ("/100%25", file("100%")),
            ("/a..b/c...", file("a..b/c...")),
        ] {
            assert_eq!(decode_target(target), place, "{target}");
        }
    }

    #[test]
    fn what_could_leave_the_folder_or_is_hidden_is_refused() {
        for target in [
            "/..",
            "/../etc/passwd",
            "/a/../../b",
            "/%2e%2e/x",
            "/.%2E/x",
            "/a/..",
            "/./a",
            "/.",
            "//",
            "//a",
            "/a//b",
            "/a//",
            "///",
            "/.git/config",
            "/a/.env",
            "/%2ehidden",
            "/C:/x",
            "/C%3a/x",
            "/file::$DATA",
            "/.../x",
        ] {
            assert_eq!(decode_target(target), Err(Refused::Outside), "{target}");
        }
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for target in [
            "",
            "a",
            "../a",
            "/%",
            "/%2",
            "/%zz",
            "/%+1",
            "/%00",
            "/a%00.html",
            "/%ff",
            "/%c0%ae",
            "/a%0ab",
            "/a%2fb",
            "/%2f",
            "/..%2f..%2fx",
            "/a%5cb",
            "/..\\x",
            "/%7f",
            "/%C2%9B",
        ] {
            assert_eq!(decode_target(target), Err(Refused::Malformed), "{target}");
        }
    }

    #[test]
    fn typed_targets_can_be_asked_for() {
        for (typed, target) in
            [("", "/"), ("/", "/"), ("/a b#c", "/a%20b"), ("/é?x=1", "/%C3%A9?x=1"), ("/%41", "/%41")]
        {
            assert_eq!(typed_target(typed), target);
        }
        assert_eq!(folder_target("a b/é%"), "/a%20b/%C3%A9%25/");
    }

    #[test]
    fn names_of_files_stay_in_their_folder() {
        for name in ["a.html", "photo 1.jpg", "é"] {
            assert!(is_file_name(name), "{name}");
        }
        let long = "x".repeat(201);
        for name in ["", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", ".bashrc", "a\0", "a\u{1b}", "C:x", &long] {
            assert!(!is_file_name(name), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn no_target_leaves_the_folder(target in "(/|%2[eEfF]|%5c|\\.|\\\\|%00|[ -~]|.){0,40}") {
            for target in [target.clone(), format!("/{target}")] {
                let Ok(Place::File(path) | Place::Folder(path)) = decode_target(&target) else { continue };
                prop_assert!(!path.starts_with('/') && !path.ends_with('/'));
                for name in path.split('/').filter(|_| !path.is_empty()) {
                    prop_assert!(!name.is_empty() && !name.starts_with('.'));
                    prop_assert!(!name.contains(['\\', ':', '\0']));
                }
            }
        }

        #[test]
        fn every_ordinary_path_can_be_asked_for(path in "[a-zé%? #][a-zé%?.# ]{0,10}(/[a-zé%?# ][a-zé%?.# ]{0,10}){0,3}") {
            let target = folder_target(&path);
            prop_assert_eq!(decode_target(&target), Ok(Place::Folder(path.clone())));
            prop_assert_eq!(decode_target(target.trim_end_matches('/')), Ok(Place::File(path)));
        }
    }
}
