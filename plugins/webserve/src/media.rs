//! Types of files.

/// Types by the end of a name, sorted by it; what is not here is sent as bytes that mean nothing.
const TYPES: &[(&str, &str)] = &[
    ("aac", "audio/aac"),
    ("apng", "image/apng"),
    ("atom", "application/atom+xml"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("epub", "application/epub+zip"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("m4a", "audio/mp4"),
    ("map", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("opus", "audio/ogg"),
    ("otf", "font/otf"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("rss", "application/rss+xml"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("ttf", "font/ttf"),
    ("txt", "text/plain; charset=utf-8"),
    ("vtt", "text/vtt; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xhtml", "application/xhtml+xml"),
    ("xml", "application/xml"),
    ("zip", "application/zip"),
];

/// The type of the pages that we make ourselves.
pub(crate) const HTML: &str = "text/html; charset=utf-8";

/// The type of a file, by its name.
pub(crate) fn type_of(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or_default();
    let end = name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).unwrap_or_default();
    let known = TYPES.binary_search_by(|(known, _)| (*known).cmp(&end));
    known.ok().and_then(|index| TYPES.get(index)).map_or("application/octet-stream", |(_, media)| media)
}

/// Whether people can read a body of that type.
pub(crate) fn is_text(media: &str) -> bool {
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media.starts_with("text/")
        || media.ends_with("+xml")
        || media.ends_with("+json")
        || ["application/json", "application/xml", "application/javascript"].contains(&media.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_searched() {
        assert!(TYPES.is_sorted_by(|one, other| one.0 < other.0));
        assert!(TYPES.iter().all(|(end, media)| type_of(&format!("x.{end}")) == *media));
    }

    #[test]
    fn types_go_by_the_end_of_the_name() {
        for (path, media) in [
            ("index.html", HTML),
            ("a.b/PHOTO.JPG", "image/jpeg"),
            ("x.tar.gz", "application/gzip"),
            ("README", "application/octet-stream"),
            ("a.html/b", "application/octet-stream"),
            ("x.", "application/octet-stream"),
            ("html", "application/octet-stream"),
        ] {
            assert_eq!(type_of(path), media, "{path}");
        }
    }

    #[test]
    fn readable_types_are_known() {
        for media in [HTML, "TEXT/PLAIN", "application/json", "image/svg+xml", "application/ld+json; x"] {
            assert!(is_text(media), "{media}");
        }
        for media in ["image/png", "application/octet-stream", "", "application/pdf"] {
            assert!(!is_text(media), "{media}");
        }
    }
}
