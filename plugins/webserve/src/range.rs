//! Versions of a file, and parts of it: `ETag`, `If-None-Match`, `Range`, `If-Range` of HTTP.

/// The tag of a file's version: changes when the file does.
pub(crate) fn etag(size: u64, modified_ms: u64) -> String {
    format!("\"{size:x}-{modified_ms:x}\"")
}

/// Whether one of the tags in an `If-None-Match` is the file's.
pub(crate) fn has_tag(if_none_match: &str, etag: &str) -> bool {
    let mut tags = if_none_match.split(',').map(|tag| tag.trim());
    // Weak comparison, as HTTP asks for here.
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// What of a file is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All: no range, several, or a unit that we don't know; HTTP lets a server ignore them.
    Whole,
    /// `length` bytes, at least one, from `offset` on.
    Range { offset: u64, length: u64 },
    /// Nothing that is there.
    Unsatisfiable,
}

/// The part of a file of `size` bytes that a `Range` asks for.
pub(crate) fn decode_range(range: &str, size: u64) -> Part {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Part::Whole;
    };
    match (first.is_empty(), last.is_empty(), number(first), number(last)) {
        (false, _, Some(first), last) if last.is_some_and(|last| last < first) => Part::Whole,
        (false, is_open, Some(first), last) if is_open || last.is_some() => {
            let end = last.map_or(size, |last| last.saturating_add(1).min(size));
            if first < end { Part::Range { offset: first, length: end - first } } else { Part::Unsatisfiable }
        }
        (true, false, _, Some(count)) => {
            let length = count.min(size);
            if length > 0 { Part::Range { offset: size - length, length } } else { Part::Unsatisfiable }
        }
        _ => Part::Whole,
    }
}

/// Digits only: `parse` alone would take a sign.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_read() {
        let part = |offset, length| Part::Range { offset, length };
        for (range, expected) in [
            ("bytes=0-99", part(0, 10)),
            ("bytes=0-0", part(0, 1)),
            ("bytes=3-5", part(3, 3)),
            ("bytes=9-", part(9, 1)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-99", part(0, 10)),
            ("bytes=5-18446744073709551615", part(5, 5)),
            ("bytes=10-", Part::Unsatisfiable),
            ("bytes=10-20", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=5-3", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=99999999999999999999-", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("", Part::Whole),
        ] {
            assert_eq!(decode_range(range, 10), expected, "{range}");
        }
        assert_eq!(decode_range("bytes=0-", 0), Part::Unsatisfiable);
    }

    #[test]
    fn tags_tell_versions_apart() {
        let tag = etag(16, 255);
        assert_eq!(tag, "\"10-ff\"");
        assert!(has_tag("\"x\", W/\"10-ff\"", &tag) && has_tag("*", &tag) && has_tag(&tag, &tag));
        assert!(!has_tag("", &tag) && !has_tag("10-ff", &tag) && !has_tag("\"10-fe\"", &tag));
    }

    proptest! {
        #[test]
        fn a_part_is_always_within_the_file(range in "bytes=[0-9]{0,20}-[0-9]{0,20}|.{0,30}", size: u64) {
            if let Part::Range { offset, length } = decode_range(&range, size) {
                prop_assert!(length > 0 && offset.checked_add(length).is_some_and(|end| end <= size));
            }
        }
    }
}
