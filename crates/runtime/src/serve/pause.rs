//! Pauses of an accept loop.

use std::{io, time::Duration};

use crate::{Backoff, Jitter, Shutdown};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Pauses while accepting fails (no file descriptors, no memory): retrying at once would keep the
/// processor busy.
#[derive(Debug)]
pub(super) struct Pause {
    backoff: Backoff,
    failing: bool,
}

impl Default for Pause {
    fn default() -> Self {
        // The listener recovers alone: there is no crowd to spread out.
        let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE).with_jitter(Jitter::None);
        Self { backoff, failing: false }
    }
}

impl Pause {
    pub(super) async fn wait(&mut self, error: &io::Error, shutdown: &Shutdown) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(%error, "cannot accept connections; will retry");
        }
        tokio::select! {
            () = tokio::time::sleep(self.backoff.next_pause()) => {}
            () = shutdown.draining().cancelled() => {}
        }
    }

    pub(super) fn over(&mut self) {
        if std::mem::take(&mut self.failing) {
            self.backoff.reset();
            tracing::info!("accepting connections again");
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_a_bound_and_the_drain_ends_them() {
        let (mut pause, shutdown, error) =
            (Pause::default(), Shutdown::new(), io::Error::other("too many open files"));
        let mut lengths = Vec::new();
        for _ in 0..9 {
            let start = Instant::now();
            pause.wait(&error, &shutdown).await;
            lengths.push(start.elapsed().as_millis());
        }
        assert_eq!(lengths, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        pause.over();
        let start = Instant::now();
        pause.wait(&error, &shutdown).await;
        assert_eq!(start.elapsed(), FIRST_PAUSE);
        shutdown.drain();
        pause.wait(&error, &shutdown).await;
        assert_eq!(start.elapsed(), FIRST_PAUSE);
    }
}
