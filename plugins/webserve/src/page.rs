//! The pages that we make ourselves, and what a status means.

/// What a status means, in a few words; for the user of `fetch` too.
pub(crate) fn meaning(status: u16) -> &'static str {
    match status {
        301 | 302 | 303 | 307 | 308 => "the page has moved",
        400 => "the site does not understand the request",
        404 => "the site has no such page",
        405 => "the site only lets pages be read",
        410 => "the page is gone",
        416 => "the page has no such part",
        503 => "the site's folder can not be read at the moment",
        500.. => "the site has a fault",
        _ => "the site refuses",
    }
}

/// A page that says so. Nothing of the request is in it, so nothing in it needs escaping.
pub(crate) fn refusal(status: u16) -> String {
    let meaning = meaning(status);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{status}</title>\n<h1>{status}</h1>\n\
         <p>{meaning}</p>\n</html>\n"
    )
}
