//! Which free pieces to ask of a source: the next ones where everybody has all, else the rarest of
//! those it has.

use super::types::Have;
use crate::Bitmap;

/// Steps of rarity that are told apart.
const LEVELS: usize = 8;

/// How many of the sources with a part have each piece. Sources with the whole content do not
/// count.
#[derive(Debug, Default)]
pub(super) struct Rarity {
    /// Empty until the first such source joins: two bytes a piece.
    counts: Vec<u16>,
    sources: usize,
}

impl Rarity {
    /// Whether any source has only a part.
    pub fn matters(&self) -> bool {
        self.sources > 0
    }

    /// A source with these pieces comes (`by` 1) or goes (`by` -1).
    pub fn change(&mut self, bitmap: &Bitmap, by: i16) {
        self.sources = self.sources.saturating_add_signed(by.into());
        if self.counts.is_empty() {
            self.counts = (0..bitmap.len()).map(|_| 0).collect();
        }
        let mut next = bitmap.next_present(0);
        while let Some(piece) = next {
            self.add(piece, by);
            next = bitmap.next_present(piece + 1);
        }
    }

    /// One of them has one piece more.
    pub fn one_more(&mut self, piece: u64) {
        self.add(piece, 1);
    }

    fn add(&mut self, piece: u64, by: i16) {
        if let Some(count) = usize::try_from(piece).ok().and_then(|at| self.counts.get_mut(at)) {
            *count = count.saturating_add_signed(by);
        }
    }

    fn of(&self, piece: u64) -> u16 {
        usize::try_from(piece).ok().and_then(|at| self.counts.get(at)).copied().unwrap_or(0)
    }
}

/// The first `want` pieces that are not taken.
pub(super) fn next(taken: &Bitmap, want: usize) -> Vec<u64> {
    taken.iter_missing().flatten().take(want).collect()
}

/// Up to `want` pieces out of `have` that are not taken, the rarest first, those of like rarity
/// from `start` on and round. Without a `rarity` all are alike.
pub(super) fn rarest(
    taken: &Bitmap,
    have: &Have,
    rarity: Option<&Rarity>,
    start: u64,
    want: usize,
) -> Vec<u64> {
    let Some(rarity) = rarity else { return free(taken, have, start).take(want).collect() };
    let least = free(taken, have, start).map(|piece| rarity.of(piece)).min().unwrap_or(0);
    let mut levels: [Vec<u64>; LEVELS] = Default::default();
    for piece in free(taken, have, start) {
        let level = usize::from(rarity.of(piece) - least).min(LEVELS - 1);
        if let Some(found) = levels.get_mut(level).filter(|found| found.len() < want) {
            found.push(piece);
        }
        if levels[0].len() >= want {
            break;
        }
    }
    levels.into_iter().flatten().take(want).collect()
}

/// The pieces out of `have` that are not taken, from `start` on and round.
fn free<'a>(taken: &'a Bitmap, have: &'a Have, start: u64) -> impl Iterator<Item = u64> + 'a {
    let missing = |from: u64, to: u64| {
        let mut at = from;
        std::iter::from_fn(move || {
            let piece = taken.next_missing(at).filter(|piece| *piece < to)?;
            at = piece + 1;
            Some(piece)
        })
    };
    missing(start, taken.len()).chain(missing(0, start)).filter(|piece| have.has(*piece))
}
