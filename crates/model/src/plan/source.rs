//! What a plan knows about one source: its state, and how fast it is.

use std::time::Duration;

use super::types::{Have, Locality, PlanConfig};
use crate::pieces::PIECE;

/// Seconds of work after which an old measurement has lost two thirds of its weight.
const MEMORY: f64 = 4.0;
/// Shortest time in seconds that a rate is taken from.
const SHORTEST: f64 = 1e-3;

/// Whether a source may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SourceState {
    /// It may.
    Ready,
    /// It may, from this time on.
    Away(Duration),
    /// Not unless it joins again.
    Gone,
    /// Never again: it lied, broke the protocol, or its file changed.
    Out,
}

#[derive(Debug)]
pub(super) struct TrackedSource {
    pub have: Have,
    pub locality: Locality,
    pub state: SourceState,
    /// Failures since the last piece.
    pub failures: u32,
    /// It has sent a bad piece while it was trusted; the next one bans it.
    pub struck: bool,
    /// The bad piece that is requested again before any other.
    pub doubt: Option<u64>,
    /// Asked last.
    pub slow: bool,
    pub meter: RateMeter,
    /// Verified bytes.
    pub delivered: u64,
    /// [`super::Plan::freed`] at the time when nothing was found for it.
    pub fruitless: Option<u64>,
}

impl TrackedSource {
    pub fn new(have: Have, locality: Locality, now: Duration) -> Self {
        let meter = RateMeter { bytes: 0.0, seconds: 0.0, last: now };
        Self {
            have,
            locality,
            state: SourceState::Ready,
            failures: 0,
            struck: false,
            doubt: None,
            slow: false,
            meter,
            delivered: 0,
            fruitless: None,
        }
    }

    /// Part of the swarm: there, or expected back.
    pub fn counts(&self) -> bool {
        matches!(self.state, SourceState::Ready | SourceState::Away(_))
    }

    /// The back-off after the failure just counted; `jitter` from 0 to 1 spreads it over its second
    /// half.
    pub fn back_off(&self, config: &PlanConfig, jitter: f64) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(16);
        let whole = config.back_off.saturating_mul(1 << doublings).min(config.max_back_off);
        whole.mul_f64(0.5 + jitter / 2.0)
    }
}

/// Measures what a source delivers while it is asked for something.
#[derive(Debug)]
pub(super) struct RateMeter {
    bytes: f64,
    seconds: f64,
    /// The last piece, or the request that ended its idleness.
    last: Duration,
}

impl RateMeter {
    /// The source was idle and is asked now.
    pub fn begin(&mut self, now: Duration) {
        self.last = now;
    }

    /// A piece of `length` bytes is there.
    pub fn piece(&mut self, length: u64, now: Duration) {
        let seconds = self.silence(now).as_secs_f64();
        let fade = (-seconds / MEMORY).exp();
        self.bytes = self.bytes * fade + length as f64;
        self.seconds = self.seconds * fade + seconds;
        self.last = now;
    }

    /// Since when it sends nothing, while it is asked.
    pub fn last(&self) -> Duration {
        self.last
    }

    /// How long it has sent nothing, while it is asked.
    pub fn silence(&self, now: Duration) -> Duration {
        now.saturating_sub(self.last)
    }

    /// Bytes a second up to the last piece; nothing before the first one.
    pub fn rate(&self) -> Option<f64> {
        (self.bytes > 0.0).then(|| self.bytes / self.seconds.max(SHORTEST))
    }

    /// Bytes a second at most, if the next piece came now: falls while it is silent.
    pub fn rate_at(&self, now: Duration) -> f64 {
        let best = (self.bytes + PIECE as f64)
            / (self.seconds + self.silence(now).as_secs_f64()).max(SHORTEST);
        self.rate().map_or(best, |rate| rate.min(best))
    }
}
