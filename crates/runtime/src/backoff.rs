//! Pauses between tries: they double up to a bound, with jitter.
//!
//! The crate `backon` was weighed for this: its jitter only adds to a pause, so that the longest
//! one passes its bound and a first failure never comes back at once, and its iterators cannot be
//! reset.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::SmallRng};

/// How much of a pause is random. Without it, all peers that lost the same central come back at the
/// same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jitter {
    /// Each pause is exactly its bound.
    None,
    /// Between half of the bound and the bound.
    Equal,
    /// Between zero and the bound.
    Full,
}

/// How long to wait before the next try. The bound of a pause starts small and doubles.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
    jitter: Jitter,
    random: SmallRng,
}

impl Backoff {
    /// Pauses with full jitter, whose bound goes from `first` to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        let random = SmallRng::seed_from_u64(rand::random());
        Self { first, longest, next: first, jitter: Jitter::Full, random }
    }

    /// Pauses of the same length.
    pub fn constant(pause: Duration) -> Self {
        Self::new(pause, pause).with_jitter(Jitter::None)
    }

    /// The same with another jitter.
    #[must_use]
    pub fn with_jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// The same pauses in each run, for tests.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.random = SmallRng::seed_from_u64(seed);
        self
    }

    /// After a success: the next pause is a short one again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }

    /// The next pause, longer than the one before as long as the bound allows it.
    pub fn next_pause(&mut self) -> Duration {
        let bound = self.next;
        self.next = (bound * 2).min(self.longest);
        match self.jitter {
            Jitter::None => bound,
            Jitter::Equal => bound.mul_f64(self.random.random_range(0.5..=1.0)),
            Jitter::Full => bound.mul_f64(self.random.random_range(0.0..=1.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(1);

    fn bounds() -> impl Iterator<Item = Duration> {
        [100, 200, 400, 800, 1000, 1000].into_iter().map(Duration::from_millis)
    }

    #[test]
    fn pauses_stay_below_a_bound_that_doubles() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        for bound in bounds() {
            assert!(backoff.next_pause() <= bound);
        }
        backoff.reset();
        assert!(backoff.next_pause() <= FIRST);
    }

    #[test]
    fn equal_jitter_keeps_half_of_the_bound() {
        let mut backoff = Backoff::new(FIRST, LONGEST).with_jitter(Jitter::Equal);
        for bound in bounds() {
            let pause = backoff.next_pause();
            assert!(bound / 2 <= pause && pause <= bound, "{pause:?} of {bound:?}");
        }
    }

    #[test]
    fn without_jitter_a_pause_is_its_bound() {
        let mut backoff = Backoff::new(FIRST, LONGEST).with_jitter(Jitter::None);
        assert!(bounds().all(|bound| backoff.next_pause() == bound));
        let mut same = Backoff::constant(FIRST);
        assert_eq!([same.next_pause(), same.next_pause()], [FIRST; 2]);
    }

    #[test]
    fn a_seed_decides_the_pauses_and_two_seeds_differ() {
        let pauses = |seed| {
            let mut backoff = Backoff::new(FIRST, LONGEST).with_seed(seed);
            bounds().map(|_| backoff.next_pause()).collect::<Vec<_>>()
        };
        assert_eq!(pauses(1), pauses(1));
        assert_ne!(pauses(1), pauses(2));
    }
}
