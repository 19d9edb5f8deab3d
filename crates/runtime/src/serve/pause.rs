//! Pauses of an accept loop.

use std::{io, time::Duration};

use crate::Shutdown;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Pauses that grow while accepting fails (no file descriptors, no memory): retrying at once would
/// only burn the processor.
#[derive(Debug, Default)]
pub(super) struct Pause {
    last: Option<Duration>,
}

impl Pause {
    pub(super) async fn wait(&mut self, error: &io::Error, shutdown: &Shutdown) {
        let next = self.last.map_or(FIRST_PAUSE, |last| (last * 2).min(LONGEST_PAUSE));
        if self.last.is_none() {
            tracing::error!(%error, "no connection can be accepted: trying again until one can");
        }
        self.last = Some(next);
        tokio::select! {
            () = tokio::time::sleep(next) => {}
            () = shutdown.draining().cancelled() => {}
        }
    }

    pub(super) fn over(&mut self) {
        if self.last.take().is_some() {
            tracing::info!("connections are accepted again");
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
