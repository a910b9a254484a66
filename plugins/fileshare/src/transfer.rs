//! The receiving side of a transfer: nothing that it hands on is unverified.

use crate::hash::Hash;
use crate::protocol::{CONTROL_MAX, Reply, Request};
use crate::tree::{self, Shape, VALUE, Value};
use mute_plugin::frame::{read_frame, write_frame};
use mute_plugin::{Address, ConnectOptions, Connection, Error, Identity, Reader, Result, Writer, time};
use std::time::Duration;

/// How long connecting may take; a seek that is flooded crosses the network and back.
const CONNECT: Duration = Duration::from_secs(30);
/// How long nothing may arrive before the source counts as gone.
const STALL: Duration = Duration::from_secs(60);

/// What went wrong, by whose fault: that decides what to do next.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The way to the source broke; it may work again.
    Way(Error),
    /// The source does not have the file, or sends something else: never ask it again.
    Source(Error),
    /// It is on this side, such as a full disk: no source helps.
    Here(Error),
}

impl From<Error> for Trouble {
    /// An error of a connection. Its code may be the source's choice, so none is taken for a fault of this side.
    fn from(error: Error) -> Self {
        match error.code() {
            Error::INVALID | Error::TOO_LARGE | Error::NOT_FOUND => Self::Source(error),
            _ => Self::Way(error),
        }
    }
}

/// A source to which we are connected.
pub(crate) struct Source {
    /// Ends when dropped.
    _connection: Connection,
    writer: Writer,
    reader: Reader,
}

impl Source {
    /// Connects; the source sees a one-time address of ours.
    pub(crate) async fn connect(identity: &Identity, address: Address, protocol: &str) -> Result<Self, Trouble> {
        let options = ConnectOptions::new(protocol).bulk().timeout(CONNECT);
        let connection = identity.connect(address, &options).await?;
        let (writer, reader) = connection.open().await?.split();
        Ok(Self { _connection: connection, writer, reader })
    }

    /// A file's shape and the values of its blocks, verified against its hash.
    pub(crate) async fn tree(&mut self, hash: Hash, expected: Option<u64>) -> Result<(Shape, Vec<Value>), Trouble> {
        let size = self.ask(Request::Tree(hash)).await?;
        if expected.is_some_and(|expected| expected != size) {
            return Err(Trouble::Source(Error::invalid("the source has a file of another size")));
        }
        let shape = Shape::of(size).ok_or_else(|| Trouble::Source(Error::too_large("a file of more than 256 GiB")))?;
        // 8 MiB at most; grows with what arrives, not with what the source claims.
        let length = shape.blocks() * VALUE;
        let mut bytes = Vec::new();
        while bytes.len() < length {
            bytes = self.more(bytes, length, tree::BLOCK).await?;
        }
        let values = tree::from_bytes(&bytes);
        if tree::file_hash(&values) != hash {
            return Err(lies("values that are not of this file"));
        }
        Ok((shape, values))
    }

    /// Asks for the blocks from one on.
    pub(crate) async fn start(&mut self, hash: Hash, shape: Shape, from: usize) -> Result<(), Trouble> {
        if self.ask(Request::Blocks(hash, from as u64)).await? == shape.size() {
            return Ok(());
        }
        Err(Trouble::Source(Error::invalid("the source has a file of another size")))
    }

    /// The next block, every group of it verified as it arrives; in `buffer`, which is given for its memory.
    pub(crate) async fn block(
        &mut self,
        shape: Shape,
        block: usize,
        value: &Value,
        mut buffer: Vec<u8>,
    ) -> Result<Vec<u8>, Trouble> {
        let mut list = vec![0; shape.groups(block) * VALUE];
        within(STALL, self.reader.read_exact(&mut list)).await?;
        let groups = tree::from_bytes(&list);
        if shape.block_value(&groups) != *value {
            return Err(lies("values that are not of this file"));
        }
        buffer.clear();
        let length = shape.block_len(block);
        buffer.reserve_exact(length);
        let mut verifier = Verifier { shape, block, groups, verified: 0 };
        // The single group of an empty file is verified too.
        verifier.verify(&buffer)?;
        while buffer.len() < length {
            buffer = self.more(buffer, length, length).await?;
            verifier.verify(&buffer)?;
        }
        Ok(buffer)
    }

    async fn ask(&mut self, request: Request) -> Result<u64, Trouble> {
        within(STALL, write_frame(&mut self.writer, &request, CONTROL_MAX)).await?;
        let reply: Option<Reply> = within(STALL, read_frame(&mut self.reader, CONTROL_MAX)).await?;
        let reply = reply.ok_or_else(|| Trouble::Way(Error::closed("the source closed the channel")))?;
        Ok(reply.size()?)
    }

    /// Some more of `length` bytes in all, at most `step`.
    async fn more(&mut self, bytes: Vec<u8>, length: usize, step: usize) -> Result<Vec<u8>, Trouble> {
        let before = bytes.len();
        let bytes = within(STALL, self.reader.append(bytes, (length - before).min(step))).await?;
        if bytes.len() == before {
            return Err(Trouble::Way(Error::closed("the source ended in the midst of the file")));
        }
        Ok(bytes)
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T, Trouble> {
    match time::timeout(limit, work).await {
        Some(result) => Ok(result?),
        None => Err(Trouble::Way(Error::new(Error::TIMED_OUT, "nothing comes from the source"))),
    }
}

fn lies(what: &str) -> Trouble {
    Trouble::Source(Error::invalid(format!("the source sends {what}")))
}

/// Verifies a block's groups one after the other.
struct Verifier {
    shape: Shape,
    block: usize,
    groups: Vec<Value>,
    /// Groups verified.
    verified: usize,
}

impl Verifier {
    /// Verifies all groups that have arrived in full.
    fn verify(&mut self, arrived: &[u8]) -> Result<(), Trouble> {
        while let Some(value) = self.groups.get(self.verified) {
            let end = self.shape.group_end(self.block, self.verified);
            let start = (self.verified * tree::GROUP).min(end);
            let Some(content) = arrived.get(start..end) else { return Ok(()) };
            if self.shape.group_value(self.block, self.verified, content) != *value {
                return Err(lies("bytes that are not of this file"));
            }
            self.verified += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn arrive(content: &[u8], wrong: Option<usize>, cuts: &[usize]) -> Result<usize, Trouble> {
        let shape = Shape::of(content.len() as u64).unwrap();
        let groups = shape.group_values(0, content);
        let mut sent = content.to_vec();
        if let Some(wrong) = wrong {
            sent[wrong] ^= 1;
        }
        let mut verifier = Verifier { shape, block: 0, groups, verified: 0 };
        for cut in cuts.iter().map(|cut| cut % (sent.len() + 1)).collect::<std::collections::BTreeSet<_>>() {
            verifier.verify(&sent[..cut])?;
            assert!(verifier.verified == shape.groups(0) || verifier.verified * tree::GROUP <= cut);
        }
        verifier.verify(&sent)?;
        Ok(verifier.verified)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn groups_are_verified_however_they_arrive(size in 0usize..tree::BLOCK + 1, cuts: Vec<usize>) {
            let content: Vec<u8> = (0..size).map(|at| at as u8).collect();
            prop_assert_eq!(arrive(&content, None, &cuts).unwrap(), size.div_ceil(tree::GROUP).max(1));
        }

        #[test]
        fn one_wrong_bit_is_the_sources_fault(size in 1usize..200_000, at: prop::sample::Index, cuts: Vec<usize>) {
            let content = vec![9; size];
            prop_assert!(matches!(arrive(&content, Some(at.index(size)), &cuts), Err(Trouble::Source(_))));
        }
    }

    #[test]
    fn errors_are_sorted_by_fault() {
        for code in [Error::NO_ROUTE, Error::CLOSED, Error::BUSY, Error::DENIED, Error::QUOTA, Error::PLUGIN, u32::MAX]
        {
            assert!(matches!(Trouble::from(Error::new(code, "")), Trouble::Way(_)), "{code}");
        }
        for code in [Error::NOT_FOUND, Error::INVALID, Error::TOO_LARGE] {
            assert!(matches!(Trouble::from(Error::new(code, "")), Trouble::Source(_)), "{code}");
        }
    }
}
