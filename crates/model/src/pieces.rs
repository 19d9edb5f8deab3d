//! Piece lists: the BLAKE3 subtree chaining values of a content's pieces.
//!
//! A piece is a complete subtree of the BLAKE3 tree (a power of two of 1 KiB chunks), so the list
//! of their chaining values folds to the content's hash and needs no proof of its own. Source: the
//! BLAKE3 paper, section 2.1 (tree shape), and `blake3::hazmat`.

use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root,
};

use crate::{Content, ContentId};

/// Bytes of a piece. A constant of the protocol version.
pub const PIECE: u64 = 1 << 20;

/// Bytes of a chaining value.
pub const ENTRY: usize = 32;

/// Number of pieces of a content of `size` bytes; an empty content has none.
pub fn count(size: u64) -> u64 {
    size.div_ceil(PIECE)
}

/// Number of entries of the piece list: none where the hash alone checks the content.
pub fn entries(size: u64) -> u64 {
    if size <= PIECE { 0 } else { count(size) }
}

/// Bytes of piece `index` of a content of `size` bytes; 0 past its end.
pub fn length(size: u64, index: u64) -> u64 {
    index.checked_mul(PIECE).map_or(0, |start| size.saturating_sub(start).min(PIECE))
}

/// Hashes one piece as it comes, in parts of any size.
pub struct PieceHasher {
    hasher: blake3::Hasher,
    whole: bool,
    /// Bytes still to come; nothing once there were too many. Checked here, since `blake3::hazmat`
    /// panics on input of a wrong length.
    left: Option<u64>,
}

impl PieceHasher {
    /// Begins piece `index` of a content of `size` bytes. An index behind the end begins a piece
    /// that nothing can finish.
    pub fn new(size: u64, index: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        let (whole, inside) = (size <= PIECE, index < count(size) || (size, index) == (0, 0));
        if inside && !whole {
            hasher.set_input_offset(index * PIECE);
        }
        Self { hasher, whole, left: inside.then(|| length(size, index)) }
    }

    /// Takes the next bytes of the piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.left = self.left.and_then(|left| left.checked_sub(bytes.len() as u64));
        if self.left.is_some() {
            self.hasher.update(bytes);
        }
    }

    /// The piece's entry; for a content of at most one piece, the content's hash. Nothing if the
    /// bytes were more or fewer than [`length`].
    pub fn finish(self) -> Option<[u8; ENTRY]> {
        (self.left == Some(0)).then(|| {
            if self.whole {
                *self.hasher.finalize().as_bytes()
            } else {
                self.hasher.finalize_non_root()
            }
        })
    }
}

/// The entry of a piece that is all in memory; nothing if it has not the length of the piece.
pub fn entry(size: u64, index: u64, bytes: &[u8]) -> Option<[u8; ENTRY]> {
    let mut hasher = PieceHasher::new(size, index);
    hasher.update(bytes);
    hasher.finish()
}

/// Folds piece entries, one at a time, in constant memory.
///
/// A stack of complete subtrees, merged as in a binary counter; the last piece may be short.
#[derive(Default, Clone)]
pub struct Fold {
    stack: Vec<(u32, ChainingValue)>,
    count: u64,
}

impl Fold {
    /// Takes the entry of the next piece.
    pub fn push(&mut self, entry: [u8; ENTRY]) {
        // Merging waits for the next entry: only then is it sure that the pair is not the root.
        self.settle();
        self.stack.push((0, entry));
        self.count += 1;
    }

    /// Merges equal heights at the top, as long as more input follows.
    fn settle(&mut self) {
        while let [.., (left_height, left), (right_height, right)] = self.stack.as_slice() {
            if left_height != right_height {
                break;
            }
            let merged = (left_height + 1, merge_subtrees_non_root(left, right, Mode::Hash));
            self.stack.truncate(self.stack.len() - 2);
            self.stack.push(merged);
        }
    }

    /// Number of entries taken.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The hash that the entries fold to; nothing for fewer than two of them.
    pub fn finish(mut self) -> Option<ContentId> {
        let (_, mut right) = self.stack.pop()?;
        while let Some((_, left)) = self.stack.pop() {
            if self.stack.is_empty() {
                return Some(ContentId(*merge_subtrees_root(&left, &right, Mode::Hash).as_bytes()));
            }
            right = merge_subtrees_non_root(&left, &right, Mode::Hash);
        }
        None
    }
}

/// Does this list belong to this content? A content of at most one piece has an empty list.
pub fn proves(list: &[[u8; ENTRY]], content: Content) -> bool {
    if list.len() as u64 != entries(content.size) {
        return false;
    }
    if list.is_empty() {
        return true;
    }
    let mut fold = Fold::default();
    list.iter().for_each(|entry| fold.push(*entry));
    fold.finish() == Some(content.hash)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::cast_possible_truncation, reason = "small numbers in tests")]

    use proptest::prelude::*;

    use super::*;

    fn list(bytes: &[u8]) -> Vec<[u8; ENTRY]> {
        let size = bytes.len() as u64;
        bytes
            .chunks(PIECE as usize)
            .enumerate()
            .map(|(i, piece)| entry(size, i as u64, piece).unwrap())
            .collect()
    }

    fn sample(size: usize) -> Vec<u8> {
        (0..size).map(|i| (i % 251) as u8).collect()
    }

    #[test]
    fn a_list_folds_to_the_plain_hash() {
        let piece = PIECE as usize;
        for size in [
            piece + 1,
            2 * piece,
            2 * piece + 1,
            3 * piece,
            4 * piece - 1,
            5 * piece + 7,
            7 * piece,
            8 * piece,
            9 * piece + 1024,
        ] {
            let bytes = sample(size);
            let content = Content { hash: ContentId::of(&bytes), size: size as u64 };
            assert!(proves(&list(&bytes), content), "{size}");
        }
    }

    #[test]
    fn one_piece_is_checked_by_the_hash() {
        for size in [0, 1, 1024, 1025, PIECE as usize] {
            let bytes = sample(size);
            assert_eq!(entry(size as u64, 0, &bytes), Some(ContentId::of(&bytes).0));
            assert_eq!(entries(size as u64), 0);
        }
    }

    #[test]
    fn sizes_at_the_edges() {
        assert_eq!((count(0), count(1), count(PIECE), count(PIECE + 1)), (0, 1, 1, 2));
        assert_eq!(
            (length(PIECE + 1, 0), length(PIECE + 1, 1), length(PIECE + 1, 2)),
            (PIECE, 1, 0)
        );
        assert_eq!(length(u64::MAX, u64::MAX), 0);
    }

    #[test]
    fn a_piece_of_a_wrong_length_has_no_entry() {
        let size = 2 * PIECE + 5;
        let bytes = sample(PIECE as usize + 1);
        for (index, length) in [
            (0, 0),
            (0, 5),
            (0, PIECE + 1),
            (1, PIECE + 1),
            (2, 0),
            (2, 4),
            (2, 6),
            (3, 0),
            (3, 5),
            (1 << 44, 1),
            (u64::MAX, 0),
        ] {
            assert_eq!(
                entry(size, index, &bytes[..length as usize]),
                None,
                "piece {index} of {length} bytes"
            );
        }
        assert_eq!(
            (entry(0, 1, &[]), entry(3, 0, b"ab"), entry(3, 0, b"abcd"), entry(0, 0, b"a")),
            (None, None, None, None)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_other_list_proves_nothing(pieces in 2usize..6, at in 0usize..6, bit in 0u8..8) {
            let bytes = sample(pieces * PIECE as usize - 3);
            let content = Content { hash: ContentId::of(&bytes), size: bytes.len() as u64 };
            let mut entries = list(&bytes);
            prop_assert!(proves(&entries, content));
            entries[at % pieces][7] ^= 1 << bit;
            prop_assert!(!proves(&entries, content));
            entries.pop();
            prop_assert!(!proves(&entries, content));
        }
    }
}
