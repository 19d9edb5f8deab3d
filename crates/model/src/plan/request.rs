//! One request: the pieces that are still to come on it, and those of them that are still wanted
//! from it.

use std::{collections::VecDeque, ops::Range};

use super::types::SourceId;

#[derive(Debug)]
pub(super) struct Request {
    pub source: SourceId,
    pub suspect: bool,
    /// False once it is cancelled; it stays until the driver says that it ended.
    pub live: bool,
    /// Asked and not yet received, in the order asked.
    coming: VecDeque<u64>,
    /// So many of them, from the front, are wanted from here; the rest was given to another source.
    keep: usize,
}

impl Request {
    pub fn new(source: SourceId, pieces: &[u64], suspect: bool) -> Self {
        Self {
            source,
            suspect,
            live: true,
            coming: pieces.iter().copied().collect(),
            keep: pieces.len(),
        }
    }

    /// Takes a piece off those to come. False if it was not among them.
    pub fn receive(&mut self, piece: u64) -> bool {
        let Some(at) = self.coming.iter().position(|coming| *coming == piece) else { return false };
        self.coming.remove(at);
        if at < self.keep {
            self.keep -= 1;
        }
        true
    }

    /// Whether all pieces have arrived.
    pub fn is_complete(&self) -> bool {
        self.coming.is_empty()
    }

    /// The pieces that are to come from here, in the order asked; none of a cancelled request.
    pub fn kept(&self) -> impl DoubleEndedIterator<Item = u64> {
        let keep = if self.live { self.keep } else { 0 };
        self.coming.iter().take(keep).copied()
    }

    /// Gives the last wanted piece to another source.
    pub fn give_up_last(&mut self) {
        self.keep = self.keep.saturating_sub(1);
    }
}

/// Joins neighbours into ranges, in the order given.
pub(super) fn ranges(pieces: &[u64]) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for piece in pieces {
        match ranges.last_mut() {
            Some(range) if range.end == *piece => range.end += 1,
            _ => ranges.push(*piece..*piece + 1),
        }
    }
    ranges
}
