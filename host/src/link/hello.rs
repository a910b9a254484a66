//! The first message on a link, in both directions, at the head of the control stream.

use bytes::Bytes;
use mute_core::{
    NetworkId,
    scheduler::Lane,
    wire::{Decoded, Hello, LENGTH_PREFIX, LinkMessage, MAX_HELLO, VERSION, Violation, decode_frame},
};
use quinn::{Connection, ConnectionError, ReadError, ReadExactError, RecvStream, SendStream, WriteError};

use super::{CloseCode, lane::priority};

/// Why the first messages did not come to pass.
#[derive(Debug)]
pub(super) enum HelloError {
    /// The other side is at fault, or not one of us: close with this.
    Refused(CloseCode),
    /// The connection ended.
    Lost(ConnectionError),
}

/// What is said to whoever says something else than Hello first, or not all of it.
const OUT_OF_PLACE: HelloError = HelloError::Refused(CloseCode::Violation(Violation::OutOfPlace));

impl From<WriteError> for HelloError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::ConnectionLost(lost) => Self::Lost(lost),
            _ => OUT_OF_PLACE,
        }
    }
}

impl From<ReadExactError> for HelloError {
    fn from(error: ReadExactError) -> Self {
        match error {
            ReadExactError::ReadError(ReadError::ConnectionLost(lost)) => Self::Lost(lost),
            _ => OUT_OF_PLACE,
        }
    }
}

impl From<Violation> for HelloError {
    fn from(violation: Violation) -> Self {
        Self::Refused(CloseCode::Violation(violation))
    }
}

/// Opens the control stream and says Hello on it.
pub(super) async fn say(connection: &Connection, network: NetworkId) -> Result<SendStream, HelloError> {
    let mut stream = connection.open_uni().await.map_err(HelloError::Lost)?;
    // Fails only if the stream is closed already, which the write below tells.
    let _ = stream.set_priority(priority(Lane::CONTROL));
    stream.write_all(&[Lane::CONTROL.number()]).await?;
    stream.write_chunk(LinkMessage::Hello(Hello::new(network)).encode()).await?;
    Ok(stream)
}

/// Hears the other side's Hello on the first stream that it opens.
pub(super) async fn hear(connection: &Connection, network: NetworkId) -> Result<RecvStream, HelloError> {
    let mut stream = connection.accept_uni().await.map_err(HelloError::Lost)?;
    let mut head = [0; 1 + LENGTH_PREFIX];
    stream.read_exact(&mut head).await?;
    let [lane, length @ ..] = head;
    let length = usize::from(u16::from_be_bytes(length));
    // The kind and the body.
    if lane != Lane::CONTROL.number() || length > 1 + MAX_HELLO {
        return Err(OUT_OF_PLACE);
    }
    let mut frame = [0; 1 + MAX_HELLO];
    stream.read_exact(&mut frame[..length]).await?;
    check(&frame[..length], network)?;
    Ok(stream)
}

/// Whether a neighbour that says this first is one of us.
fn check(frame: &[u8], network: NetworkId) -> Result<(), Violation> {
    match decode_frame(Bytes::copy_from_slice(frame)).map_err(Violation::Malformed)? {
        Decoded::Link(LinkMessage::Hello(theirs)) if theirs.version != VERSION => Err(Violation::Version),
        Decoded::Link(LinkMessage::Hello(theirs)) if theirs.network != network => Err(Violation::WrongNetwork),
        Decoded::Link(LinkMessage::Hello(_)) => Ok(()),
        Decoded::Frame(_) | Decoded::Unknown => Err(Violation::OutOfPlace),
    }
}

#[cfg(test)]
mod tests {
    use mute_core::wire::kind;

    use super::*;

    const OURS: NetworkId = NetworkId([7; 16]);

    fn hello(hello: Hello) -> Vec<u8> {
        LinkMessage::Hello(hello).encode()[LENGTH_PREFIX..].to_vec()
    }

    #[test]
    fn each_mismatch_is_told_apart() {
        assert_eq!(check(&hello(Hello::new(OURS)), OURS), Ok(()));
        assert_eq!(check(&hello(Hello::new(NetworkId([8; 16]))), OURS), Err(Violation::WrongNetwork));
        assert_eq!(check(&hello(Hello { version: VERSION + 1, network: OURS }), OURS), Err(Violation::Version));
    }

    #[test]
    fn whatever_is_no_hello_is_refused() {
        let close = [&[kind::CLOSE][..], &[0; 8]].concat();
        assert_eq!(check(&close, OURS), Err(Violation::OutOfPlace));
        assert_eq!(check(&[u8::MAX], OURS), Err(Violation::OutOfPlace), "a kind that nobody knows");
        let whole = hello(Hello::new(OURS));
        for cut in 0..whole.len() {
            assert!(matches!(check(&whole[..cut], OURS), Err(Violation::Malformed(_))));
        }
    }
}
