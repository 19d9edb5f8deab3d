//! Time, injected: code that needs it takes a [`Clock`], and tests turn the hands.

use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Tells the time.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Milliseconds since 1970 (UTC). May step back when somebody sets the machine's clock.
    fn now_ms(&self) -> i64;

    /// Time since some fixed moment of this process; never steps back. For durations and deadlines.
    fn monotonic(&self) -> Duration;
}

/// A clock that several parts of a process share.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// The machine's clock; its monotonic time starts now.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// The machine's clock, to share.
    pub fn shared() -> SharedClock {
        Arc::new(Self::new())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where time comes from")]
    fn now_ms(&self) -> i64 {
        // A clock before 1970 or beyond the year 292 million is a broken machine: the nearest end
        // will do.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug, Default)]
pub struct MockClock {
    now_ms: AtomicI64,
    monotonic_ms: AtomicU64,
}

impl MockClock {
    /// A clock that shows these milliseconds since 1970.
    pub fn new(now_ms: i64) -> Self {
        Self { now_ms: AtomicI64::new(now_ms), monotonic_ms: AtomicU64::new(0) }
    }

    /// Sets the wall clock, forwards or back; monotonic time stays.
    pub fn set(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::SeqCst);
    }

    /// Lets time pass (whole milliseconds) on both clocks.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.now_ms.fetch_add(i64::try_from(by).unwrap_or(i64::MAX), Ordering::SeqCst);
        self.monotonic_ms.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for MockClock {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.monotonic_ms.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_set_back_leaves_monotonic_time_alone() {
        let clock = MockClock::new(5_000);
        clock.advance(Duration::from_secs(2));
        clock.set(1_000);
        assert_eq!((clock.now_ms(), clock.monotonic()), (1_000, Duration::from_secs(2)));
    }

    #[test]
    fn the_machines_clock_is_past_2020() {
        assert!(SystemClock::new().now_ms() > 1_577_836_800_000);
    }
}
