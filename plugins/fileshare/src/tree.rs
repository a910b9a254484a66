//! BLAKE3's own tree, cut at two heights, so that every piece of a file is verified when it arrives.
//!
//! A file is blocks of 1 MiB, a block is groups of 16 KiB. The value of each is the chaining value of its subtree. The
//! values of all blocks (32 bytes a MiB) fold to the file's hash; those of a block's groups fold to the block's value.
//! A sharer keeps only the blocks' values: the groups' come from hashing the block when it is sent, which shows at the
//! same time whether the file is still what the index says.

use crate::hash::Hash;
use blake3::hazmat::{HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};
use blake3::{CHUNK_LEN, Hasher};

/// Bytes of a group: what is verified at once.
pub(crate) const GROUP: usize = 16 * CHUNK_LEN;
/// Bytes of a block: what is read, sent and written at once. Large enough that calls to the host cost nothing beside it.
pub(crate) const BLOCK: usize = 64 * GROUP;
/// Blocks of a file: their values are held in memory while it is sent or received, 8 MiB.
pub(crate) const BLOCKS_MAX: usize = 256 * 1024;
/// Bytes of the largest file: 256 GiB.
pub(crate) const FILE_MAX: u64 = BLOCKS_MAX as u64 * BLOCK as u64;

/// The value of a subtree.
pub(crate) type Value = [u8; 32];
/// Bytes of a value.
pub(crate) const VALUE: usize = 32;

/// How a file of some size is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    size: u64,
}

impl Shape {
    /// The shape of a file of `size` bytes, at most [`FILE_MAX`].
    pub(crate) fn of(size: u64) -> Option<Self> {
        (size <= FILE_MAX).then_some(Self { size })
    }

    /// Bytes of the file.
    pub(crate) fn size(self) -> u64 {
        self.size
    }

    /// How many blocks it has. An empty file has one, empty.
    pub(crate) fn blocks(self) -> usize {
        // At most BLOCKS_MAX.
        self.size.div_ceil(BLOCK as u64).max(1) as usize
    }

    /// Where a block starts.
    pub(crate) fn offset(self, block: usize) -> u64 {
        block as u64 * BLOCK as u64
    }

    /// Bytes of a block; 0 beyond the last.
    pub(crate) fn block_len(self, block: usize) -> usize {
        self.size.saturating_sub(self.offset(block)).min(BLOCK as u64) as usize
    }

    /// How many groups a block has.
    pub(crate) fn groups(self, block: usize) -> usize {
        self.block_len(block).div_ceil(GROUP).max(1)
    }

    /// Where within its block a group ends.
    pub(crate) fn group_end(self, block: usize, group: usize) -> usize {
        ((group + 1) * GROUP).min(self.block_len(block))
    }

    /// The value of a group with this content.
    pub(crate) fn group_value(self, block: usize, group: usize, content: &[u8]) -> Value {
        let mut hasher = Hasher::new();
        if self.size <= GROUP as u64 {
            // The only group is the root.
            return *hasher.update(content).finalize().as_bytes();
        }
        hasher.set_input_offset(self.offset(block) + (group * GROUP) as u64);
        hasher.update(content).finalize_non_root()
    }

    /// The values of the groups of a block with this content.
    pub(crate) fn group_values(self, block: usize, content: &[u8]) -> Vec<Value> {
        let mut start = 0;
        let value = |group| {
            let end = self.group_end(block, group).min(content.len());
            let value = self.group_value(block, group, &content[start.min(end)..end]);
            start = end;
            value
        };
        (0..self.groups(block)).map(value).collect()
    }

    /// The value of a block whose groups have these.
    pub(crate) fn block_value(self, groups: &[Value]) -> Value {
        fold(groups, self.size <= BLOCK as u64)
    }
}

/// The hash of a file whose blocks have these values.
pub(crate) fn file_hash(blocks: &[Value]) -> Hash {
    Hash(fold(blocks, true))
}

/// The value of the subtree over these neighbours, of which only the last may be smaller than the others.
fn fold(values: &[Value], root: bool) -> Value {
    match values {
        [] => [0; VALUE],
        // The root of a file with one piece was finalised as such.
        [value] => *value,
        _ => {
            // The left side is the largest power of two that leaves something to the right.
            let half = values.len().next_power_of_two() / 2;
            let (left, right) = values.split_at(half);
            let (left, right) = (fold(left, false), fold(right, false));
            if root {
                *merge_subtrees_root(&left, &right, Mode::Hash).as_bytes()
            } else {
                merge_subtrees_non_root(&left, &right, Mode::Hash)
            }
        }
    }
}

/// Values as they travel and are stored: one after the other.
pub(crate) fn to_bytes(values: &[Value]) -> Vec<u8> {
    values.concat()
}

/// The values in these bytes; a rest is dropped.
pub(crate) fn from_bytes(bytes: &[u8]) -> Vec<Value> {
    bytes.as_chunks::<VALUE>().0.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content(size: usize) -> Vec<u8> {
        (0..size).map(|at| (at * 31 % 251) as u8 ^ (at >> 13) as u8).collect()
    }

    fn block_values(shape: Shape, content: &[u8]) -> Vec<Value> {
        let block = |block| {
            let start = shape.offset(block) as usize;
            shape.block_value(&shape.group_values(block, &content[start..start + shape.block_len(block)]))
        };
        (0..shape.blocks()).map(block).collect()
    }

    fn check(size: usize) {
        let content = content(size);
        let shape = Shape::of(size as u64).unwrap();
        let blocks = block_values(shape, &content);
        assert_eq!(file_hash(&blocks).0, *blake3::hash(&content).as_bytes(), "{size}");
        assert_eq!(from_bytes(&to_bytes(&blocks)), blocks);
    }

    #[test]
    fn the_tree_is_that_of_blake3_at_every_edge() {
        for edge in [0, CHUNK_LEN, GROUP, 2 * GROUP, 3 * GROUP, BLOCK, 2 * BLOCK, 3 * BLOCK, 5 * BLOCK] {
            for size in [edge.saturating_sub(1), edge, edge + 1, edge + GROUP] {
                check(size);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_tree_is_that_of_blake3(size in 0usize..4 * BLOCK) {
            check(size);
        }

        #[test]
        fn one_wrong_bit_shows(size in 1usize..3 * BLOCK, at: prop::sample::Index) {
            let mut content = content(size);
            let shape = Shape::of(size as u64).unwrap();
            let before = block_values(shape, &content);
            let at = at.index(size);
            content[at] ^= 1;
            let after = block_values(shape, &content);
            for (block, (before, after)) in before.iter().zip(&after).enumerate() {
                prop_assert_eq!(before == after, block != at / BLOCK);
            }
        }
    }

    #[test]
    fn shapes_are_bounded() {
        assert!(Shape::of(FILE_MAX + 1).is_none() && Shape::of(u64::MAX).is_none());
        let largest = Shape::of(FILE_MAX).unwrap();
        assert_eq!((largest.blocks(), largest.block_len(BLOCKS_MAX - 1)), (BLOCKS_MAX, BLOCK));
        assert_eq!((largest.block_len(BLOCKS_MAX), largest.block_len(usize::MAX >> 24)), (0, 0));
        let empty = Shape::of(0).unwrap();
        assert_eq!((empty.blocks(), empty.groups(0), empty.block_len(0)), (1, 1, 0));
    }

    #[test]
    fn another_size_gives_another_hash() {
        // A list of values says nothing of another size: the last piece commits to its length.
        let content = content(BLOCK + 5);
        let shape = Shape::of(content.len() as u64).unwrap();
        let longer = Shape::of(content.len() as u64 + 1).unwrap();
        assert_ne!(
            longer.block_value(&longer.group_values(1, &[&content[BLOCK..], &[0]].concat())),
            block_values(shape, &content)[1]
        );
    }
}
