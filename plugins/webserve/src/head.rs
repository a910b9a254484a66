//! What stands before a body: the heads of requests and responses, the protocol `web/1`.
//!
//! One channel of a connection carries one request and one response, each a head in a frame. After the response's head its
//! body follows to the end of the channel; a channel that breaks off is no end. Names and meanings are those of HTTP.

use mute_plugin::{Error, Reader, Result, Writer, frame};
use serde::{Deserialize, Serialize};

/// The protocol's name.
pub(crate) const PROTOCOL: &str = "web/1";
/// The longest head, in bytes: what web servers allow.
const HEAD_MAX: usize = 8 * 1024;
/// The longest target of a request, in bytes.
pub(crate) const TARGET_MAX: usize = 2 * 1024;
/// Headers of one head; browsers send about fifteen.
const HEADERS_MAX: usize = 32;
/// The longest name of a header, in bytes.
const NAME_MAX: usize = 64;
/// The longest value of a header, in bytes.
const VALUE_MAX: usize = 2 * 1024;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query, percent-encoded, from the `/` on.
    pub(crate) target: String,
    #[serde(default)]
    pub(crate) headers: Headers,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Response {
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: Headers,
}

/// Headers by name, in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first value under that name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Adds one.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// Checks what a stranger sent: few, short, lower-case names, and values that can't be taken for further headers.
    fn check(&self) -> Result<()> {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_fine = |(name, value): &(String, String)| {
            (1..=NAME_MAX).contains(&name.len())
                && name.bytes().all(is_name)
                && value.len() <= VALUE_MAX
                && value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        };
        let is_ok = self.0.len() <= HEADERS_MAX && self.0.iter().all(is_fine);
        if is_ok { Ok(()) } else { Err(Error::invalid("a head with headers that are none")) }
    }
}

impl Request {
    /// Asks for a target.
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), headers: Headers::default() }
    }

    fn check(self) -> Result<Self> {
        let is_token =
            (1..=16).contains(&self.method.len()) && self.method.bytes().all(|byte| byte.is_ascii_uppercase());
        // Printable ASCII without spaces, as HTTP has it; the rest comes percent-encoded.
        let is_target = self.target.starts_with('/')
            && self.target.len() <= TARGET_MAX
            && self.target.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
        self.headers.check()?;
        if is_token && is_target { Ok(self) } else { Err(Error::invalid("a request that is none")) }
    }
}

impl Response {
    /// Without headers.
    #[cfg(test)]
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: Headers::default() }
    }

    /// How many bytes the body has, as the head says.
    pub(crate) fn length(&self) -> Option<u64> {
        self.headers.get("content-length").and_then(|length| length.parse().ok())
    }

    fn check(self) -> Result<Self> {
        self.headers.check()?;
        if (200..=599).contains(&self.status) { Ok(self) } else { Err(Error::invalid("a response without status")) }
    }
}

/// Receives a request.
pub(crate) async fn read_request(reader: &mut Reader) -> Result<Request> {
    let request = frame::read_frame::<Request>(reader, HEAD_MAX).await?;
    request.ok_or_else(|| Error::closed("the channel ended without a request"))?.check()
}

/// Receives a response's head.
pub(crate) async fn read_response(reader: &mut Reader) -> Result<Response> {
    let response = frame::read_frame::<Response>(reader, HEAD_MAX).await?;
    response.ok_or_else(|| Error::closed("the channel ended without a response"))?.check()
}

/// Sends a request, if it is one.
pub(crate) async fn write_request(writer: &mut Writer, request: Request) -> Result<()> {
    frame::write_frame(writer, &request.check()?, HEAD_MAX).await
}

/// Sends a response's head.
pub(crate) async fn write_response(writer: &mut Writer, response: Response) -> Result<()> {
    frame::write_frame(writer, &response.check()?, HEAD_MAX).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode_request(bytes: &[u8]) -> Result<Request> {
        frame::decode::<Request>(bytes)?.check()
    }

    fn decode_response(bytes: &[u8]) -> Result<Response> {
        frame::decode::<Response>(bytes)?.check()
    }

    fn headers() -> impl Strategy<Value = Headers> {
        prop::collection::vec(("[a-z0-9-]{1,64}", "[ -~]{0,100}"), 0..HEADERS_MAX).prop_map(Headers)
    }

    proptest! {
        #[test]
        fn there_and_back(method in "[A-Z]{1,16}", target in "/[!-~]{0,200}", headers in headers(), status in 200_u16..600) {
            let request = Request { method, target, headers: headers.clone() };
            let bytes = frame::encode(&request, 64 * 1024).unwrap();
            prop_assert_eq!(decode_request(&bytes).unwrap(), request);
            let response = Response { status, headers };
            let bytes = frame::encode(&response, 64 * 1024).unwrap();
            prop_assert_eq!(decode_response(&bytes).unwrap(), response);
        }

        #[test]
        fn hostile_bytes_never_panic(bytes: Vec<u8>) {
            let _ = decode_request(&bytes);
            let _ = decode_response(&bytes);
        }

        #[test]
        fn what_passes_is_within_the_bounds(method: String, target: String, pairs: Vec<(String, String)>, status: u16) {
            let headers = Headers(pairs);
            let bytes = frame::encode(&Request { method, target, headers: headers.clone() }, 1 << 20).unwrap();
            if let Ok(request) = decode_request(&bytes) {
                prop_assert!(request.target.starts_with('/') && !request.target.contains(char::is_whitespace));
                prop_assert!(!request.headers.0.iter().any(|(_, value)| value.contains(['\r', '\n'])));
            }
            let bytes = frame::encode(&Response { status, headers }, 1 << 20).unwrap();
            prop_assert!(decode_response(&bytes).is_err() || (200..=599).contains(&status));
        }
    }

    #[test]
    fn heads_that_are_none_are_refused() {
        let many = (0..=HEADERS_MAX).fold(Headers::default(), |headers, _| headers.with("a", "b"));
        for headers in [
            many,
            Headers::default().with("", "x"),
            Headers::default().with("Upper", "x"),
            Headers::default().with("a", "x\r\nset-cookie: y"),
            Headers::default().with("a", "é"),
            Headers::default().with("a", "x".repeat(VALUE_MAX + 1)),
        ] {
            assert!(Request { headers: headers.clone(), ..Request::new("GET", "/") }.check().is_err());
            assert!(Response { headers, ..Response::new(200) }.check().is_err());
        }
        for target in ["", "a", "http://x/", "/a b", "/\u{e9}", "/a\nb", &format!("/{}", "x".repeat(TARGET_MAX))] {
            assert!(Request::new("GET", target).check().is_err(), "{target:?}");
        }
        assert!(Request::new("get", "/").check().is_err() && Response::new(99).check().is_err());
    }
}
