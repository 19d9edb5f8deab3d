//! Waiting for central, for a name or for a holder, none of which may be there yet.

use std::time::Duration;

use peral_runtime::{Backoff, Jitter};
use peral_wire::ErrorCode;

use crate::context::Context;

/// The first pause between two tries; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How often the same reason is noted.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// A time limit for tries, with growing pauses between them.
pub struct Patience<'a> {
    context: &'a Context,
    until: Duration,
    backoff: Backoff,
    said: Option<(Duration, String)>,
}

impl<'a> Patience<'a> {
    /// From now on.
    pub fn new(context: &'a Context, time: Duration) -> Self {
        let until = context.clock.monotonic() + time;
        let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE).with_jitter(Jitter::Equal);
        Self { context, until, backoff, said: None }
    }

    fn left(&self) -> Duration {
        self.until.saturating_sub(self.context.clock.monotonic())
    }

    /// Whether the time is over.
    pub fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// Waits before the next try, and notes the reason.
    pub async fn wait(&mut self, reason: &str) {
        let now = self.context.clock.monotonic();
        if self
            .said
            .as_ref()
            .is_none_or(|(then, before)| before != reason || now >= *then + SAY_AGAIN)
        {
            self.context.out.note(&format!(
                "retrying for up to {} s: {reason}",
                self.left().as_secs_f64().ceil()
            ));
            self.said = Some((now, reason.to_owned()));
        }
        tokio::time::sleep(self.backoff.next_pause().min(self.left())).await;
    }
}

/// Whether what failed can succeed later.
pub fn can_change(code: ErrorCode) -> bool {
    use ErrorCode::{Busy, DeadlineExceeded, NoSource, NotFound, RateLimited, Unavailable};
    matches!(code, NotFound | NoSource | Unavailable | DeadlineExceeded | Busy | RateLimited)
}
