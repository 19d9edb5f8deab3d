//! Limits in bytes per second.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use peral_runtime::Lock;
use tokio::time::Instant;

/// How much unused time counts: what an idle stream may send at once.
const BURST: Duration = Duration::from_millis(50);

const SECOND: u128 = 1_000_000_000;

/// A rate that several streams share: each take books the next free stretch of time, in the order
/// of the calls. It is exact over time, since it counts bytes and not ticks. (Crates for this count
/// cells of whole nanoseconds, too coarse for a gigabyte per second.)
#[derive(Debug, Clone)]
pub struct Rate {
    bytes_per_second: u64,
    next: Arc<Mutex<Option<Instant>>>,
}

impl Rate {
    /// A limit in bytes per second; 0 for none.
    pub fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second, next: Arc::default() }
    }

    /// The limit, if there is one.
    pub fn bytes_per_second(&self) -> Option<u64> {
        (self.bytes_per_second > 0).then_some(self.bytes_per_second)
    }

    /// Waits until `bytes` more may pass.
    pub async fn take(&self, bytes: u64) {
        if let Some(start) = self.book(bytes, Instant::now()) {
            tokio::time::sleep_until(start).await;
        }
    }

    /// When these bytes may pass; `None` for now.
    fn book(&self, bytes: u64, now: Instant) -> Option<Instant> {
        if self.bytes_per_second == 0 {
            return None;
        }
        let nanos = u128::from(bytes) * SECOND / u128::from(self.bytes_per_second);
        let length = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut next = self.next.locked();
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let start = next.map_or(earliest, |next| next.max(earliest));
        *next = Some(start.checked_add(length).unwrap_or(start));
        Some(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn streams_that_share_a_rate_keep_it_together() {
        for bytes_per_second in [50_000_000, 1_500_000_000, 300_000] {
            let rate = Rate::new(bytes_per_second);
            let start = Instant::now();
            let (piece, pieces) = (1 << 20, 600u64);
            let each = || async {
                for _ in 0..pieces / 3 {
                    rate.take(piece).await;
                }
            };
            tokio::join!(each(), each(), each());
            let expected = (piece * pieces) as f64 / bytes_per_second as f64;
            let ratio = start.elapsed().as_secs_f64() / expected;
            // The last piece may pass at the start of its stretch, and the burst comes on top.
            assert!((ratio - 1.0).abs() < 0.05 + 0.08 / expected, "{bytes_per_second}: {ratio}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_nobody_used_is_not_saved_up() {
        let rate = Rate::new(1_000);
        rate.take(1).await;
        tokio::time::advance(Duration::from_secs(3600)).await;
        let start = Instant::now();
        for _ in 0..10 {
            rate.take(100).await;
        }
        assert!(start.elapsed() >= Duration::from_millis(800), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn no_limit_never_waits() {
        let start = Instant::now();
        Rate::new(0).take(u64::MAX).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
