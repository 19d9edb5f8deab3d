//! Waiting for what is not there yet: central, the name, a holder.

use std::time::Duration;

use peral_wire::ErrorCode;

use crate::context::Context;

/// Between two tries; doubles.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// The same reason is said again so often.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// A time that tries may take, with growing pauses.
pub struct Patience<'a> {
    context: &'a Context,
    until: Duration,
    pause: Duration,
    said: Option<(Duration, String)>,
}

impl<'a> Patience<'a> {
    /// From now on.
    pub fn new(context: &'a Context, time: Duration) -> Self {
        Self { context, until: context.clock.monotonic() + time, pause: PAUSE, said: None }
    }

    fn left(&self) -> Duration {
        self.until.saturating_sub(self.context.clock.monotonic())
    }

    /// Is the time over?
    pub fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// Waits a while, and says for what.
    pub async fn wait(&mut self, reason: &str) {
        let now = self.context.clock.monotonic();
        if self
            .said
            .as_ref()
            .is_none_or(|(then, before)| before != reason || now >= *then + SAY_AGAIN)
        {
            self.context.out.note(&format!(
                "waiting, for {} s at most: {reason}",
                self.left().as_secs_f64().ceil()
            ));
            self.said = Some((now, reason.to_owned()));
        }
        tokio::time::sleep(self.pause.min(self.left())).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

/// Can what failed so be there a little later?
pub fn may_pass(code: ErrorCode) -> bool {
    use ErrorCode::{Busy, DeadlineExceeded, NoSource, NotFound, RateLimited, Unavailable};
    matches!(code, NotFound | NoSource | Unavailable | DeadlineExceeded | Busy | RateLimited)
}
