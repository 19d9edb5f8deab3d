//! Which pieces of a content somebody has: one bit a piece.

use std::ops::Range;

/// Most pieces of a bitmap: 2^30, a content of 1 PiB. A size from a remote thus costs at most
/// 128 MiB.
pub const MAX_LEN: u64 = 1 << 30;

const WORD: u64 = 64;

/// A set of pieces out of a fixed number. 128 KiB for a content of 1 TiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bitmap {
    words: Vec<u64>,
    len: u64,
    count: u64,
}

/// Why bytes or a length are not a valid bitmap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBitmap {
    /// More than [`MAX_LEN`] pieces.
    #[error("a bitmap of {0} pieces is too long; the most is 2^30 (a content of 1 PiB)")]
    TooLong(u64),
    /// Not the number of pieces, or of bytes, that the content has.
    #[error("the bitmap has {found} {unit} where the content needs {expected}")]
    WrongLength {
        /// What is counted: pieces or bytes.
        unit: &'static str,
        /// How many there are.
        found: u64,
        /// How many there must be.
        expected: u64,
    },
    /// A bit is set behind the last piece.
    #[error("the bitmap has bits behind the last piece")]
    BitsBehindEnd,
}

impl Bitmap {
    /// No piece out of `len`.
    ///
    /// # Errors
    /// More than [`MAX_LEN`] pieces.
    pub fn new(len: u64) -> Result<Self, InvalidBitmap> {
        if len > MAX_LEN {
            return Err(InvalidBitmap::TooLong(len));
        }
        let words = usize::try_from(len.div_ceil(WORD)).map_err(|_| InvalidBitmap::TooLong(len))?;
        Ok(Self { words: vec![0; words], len, count: 0 })
    }

    /// Number of pieces that it covers.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it covers no piece.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether piece `index` is in it. False behind the end.
    pub fn get(&self, index: u64) -> bool {
        index < self.len && self.word(index / WORD) >> (index % WORD) & 1 == 1
    }

    /// Puts piece `index` in or takes it out, and says whether that changed anything. Behind the
    /// end nothing happens.
    pub fn set(&mut self, index: u64, there: bool) -> bool {
        if index >= self.len || self.get(index) == there {
            return false;
        }
        let Some(word) = usize::try_from(index / WORD).ok().and_then(|at| self.words.get_mut(at))
        else {
            return false;
        };
        *word ^= 1 << (index % WORD);
        self.count = if there { self.count + 1 } else { self.count - 1 };
        true
    }

    /// Number of pieces in it.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether all pieces are in it. True for an empty content.
    pub fn is_full(&self) -> bool {
        self.count == self.len
    }

    /// The first piece from `from` on that is not in it.
    pub fn next_missing(&self, from: u64) -> Option<u64> {
        self.next(from, u64::MAX)
    }

    /// The first piece from `from` on that is in it.
    pub fn next_present(&self, from: u64) -> Option<u64> {
        self.next(from, 0)
    }

    /// The runs of pieces that are not in it, in rising order.
    pub fn iter_missing(&self) -> impl Iterator<Item = Range<u64>> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let first = self.next_missing(from)?;
            let end = self.next_present(first).unwrap_or(self.len);
            from = end;
            Some(first..end)
        })
    }

    /// One bit a piece, the lowest bit of a byte first; the last byte is filled up with zeros.
    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes = self.words.iter().flat_map(|word| word.to_le_bytes());
        bytes.take(self.words.len() * 8 - self.padding()).collect()
    }

    /// Reads what [`Self::to_bytes`] wrote for a content of `len` pieces.
    ///
    /// # Errors
    /// Too long, another number of bytes than `len` pieces take, or bits behind the last piece.
    pub fn from_bytes(len: u64, bytes: &[u8]) -> Result<Self, InvalidBitmap> {
        if len > MAX_LEN {
            return Err(InvalidBitmap::TooLong(len));
        }
        if bytes.len() as u64 != len.div_ceil(8) {
            return Err(InvalidBitmap::WrongLength {
                unit: "bytes",
                found: bytes.len() as u64,
                expected: len.div_ceil(8),
            });
        }
        if !len.is_multiple_of(8) && bytes.last().is_some_and(|last| last >> (len % 8) != 0) {
            return Err(InvalidBitmap::BitsBehindEnd);
        }
        let word =
            |part: &[u8]| part.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        let words: Vec<u64> = bytes.chunks(8).map(word).collect();
        let count = words.iter().map(|word| u64::from(word.count_ones())).sum();
        Ok(Self { words, len, count })
    }

    /// Bytes of the last word that stand for no piece.
    fn padding(&self) -> usize {
        match self.len % WORD {
            0 => 0,
            used => (0..8u64).filter(|byte| byte * 8 >= used).count(),
        }
    }

    fn word(&self, at: u64) -> u64 {
        usize::try_from(at).ok().and_then(|at| self.words.get(at)).copied().unwrap_or(0)
    }

    /// The first index from `from` on whose bit, turned over by `mask`, is set.
    fn next(&self, from: u64, mask: u64) -> Option<u64> {
        if from >= self.len {
            return None;
        }
        let mut skip = u64::MAX << (from % WORD);
        for at in from / WORD..self.len.div_ceil(WORD) {
            let found = (self.word(at) ^ mask) & skip;
            if found != 0 {
                let index = at * WORD + u64::from(found.trailing_zeros());
                return (index < self.len).then_some(index);
            }
            skip = u64::MAX;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_length_from_a_stranger_costs_nothing() {
        assert_eq!(Bitmap::new(1 << 43), Err(InvalidBitmap::TooLong(1 << 43)));
        assert_eq!(Bitmap::from_bytes(u64::MAX, &[]), Err(InvalidBitmap::TooLong(u64::MAX)));
        assert_eq!(
            Bitmap::from_bytes(9, &[0]),
            Err(InvalidBitmap::WrongLength { unit: "bytes", found: 1, expected: 2 })
        );
        assert_eq!(Bitmap::from_bytes(9, &[0, 2]), Err(InvalidBitmap::BitsBehindEnd));
    }

    #[test]
    fn an_empty_content_is_full() {
        let bitmap = Bitmap::new(0).unwrap();
        assert!(
            bitmap.is_empty()
                && bitmap.is_full()
                && bitmap.iter_missing().next().is_none()
                && bitmap.to_bytes().is_empty()
        );
    }

    proptest! {
        #[test]
        fn it_is_a_set(
            len in 0u64..300,
            changes in prop::collection::vec((0u64..320, any::<bool>()), 0..200),
        ) {
            let mut bitmap = Bitmap::new(len).unwrap();
            let mut set = BTreeSet::new();
            for (index, there) in changes {
                let mut change =
                    || if there { set.insert(index) } else { set.remove(&index) };
                let changed = index < len && change();
                prop_assert_eq!(bitmap.set(index, there), changed);
            }
            prop_assert_eq!(bitmap.count(), set.len() as u64);
            prop_assert_eq!(bitmap.is_full(), set.len() as u64 == len);
            prop_assert!((0..400).all(|index| bitmap.get(index) == set.contains(&index)));
            let missing: Vec<u64> = bitmap.iter_missing().flatten().collect();
            let absent: Vec<u64> = (0..len).filter(|index| !set.contains(index)).collect();
            prop_assert_eq!(missing, absent);
            for from in 0..310 {
                prop_assert_eq!(bitmap.next_present(from), set.range(from..).next().copied());
                let missing = (from..len).find(|index| !set.contains(index));
                prop_assert_eq!(bitmap.next_missing(from), missing);
            }
            prop_assert_eq!(Bitmap::from_bytes(len, &bitmap.to_bytes()), Ok(bitmap));
        }

        #[test]
        fn any_bytes_are_read_as_they_are_or_refused(
            len in 0u64..200,
            bytes in prop::collection::vec(any::<u8>(), 0..30),
        ) {
            if let Ok(bitmap) = Bitmap::from_bytes(len, &bytes) {
                prop_assert_eq!(bitmap.to_bytes(), bytes);
            }
        }
    }
}
