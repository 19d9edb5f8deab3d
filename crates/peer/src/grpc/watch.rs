//! Ends streams whose receiver stopped reading: others need the memory that they hold.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, Weak},
    task::{Context, Poll},
};

use futures::{Stream, StreamExt, stream::BoxStream};
use peral_runtime::Lock;
use peral_transfer::limits::IDLE;
use peral_wire::{Failure, fail};
use tokio::time::{Instant, sleep_until};

struct Shared<T> {
    /// `None` once it was ended.
    stream: Option<BoxStream<'static, Result<T, Failure>>>,
    /// Since when the next item could have been asked for.
    waiting: Option<Instant>,
}

/// A stream that drops its source when the next item is not asked for in time. Time in which the
/// source is slow does not count.
struct Watched<T>(Arc<Mutex<Shared<T>>>);

/// Watches a stream until it is dropped.
pub(super) fn watched<T: Send + 'static>(
    stream: impl Stream<Item = Result<T, Failure>> + Send + 'static,
) -> impl Stream<Item = Result<T, Failure>> + Send + 'static {
    let state = Arc::new(Mutex::new(Shared {
        stream: Some(stream.boxed()),
        waiting: Some(Instant::now()),
    }));
    tokio::spawn(watch(Arc::downgrade(&state)));
    Watched(state)
}

async fn watch<T>(state: Weak<Mutex<Shared<T>>>) {
    loop {
        let Some(shared) = state.upgrade() else { return };
        let next = {
            let mut state = shared.locked();
            let now = Instant::now();
            let end = state.waiting.map_or(now + IDLE, |since| since + IDLE);
            if end <= now {
                state.stream = None;
                return;
            }
            end
        };
        drop(shared);
        sleep_until(next).await;
    }
}

impl<T> Stream for Watched<T> {
    type Item = Result<T, Failure>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.0.locked();
        let Some(stream) = &mut state.stream else {
            return Poll::Ready(Some(Err(fail!(
                DeadlineExceeded,
                "the receiver read nothing for {} s",
                IDLE.as_secs()
            ))));
        };
        let polled = stream.poll_next_unpin(cx);
        state.waiting = polled.is_ready().then(Instant::now);
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::stream;
    use peral_wire::ErrorCode;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_is_not_taken_ends() {
        let held = Arc::new(());
        let source = Arc::clone(&held);
        let mut watched =
            Box::pin(watched(stream::repeat_with(move || Ok(Arc::strong_count(&source)))));
        watched.next().await.unwrap().unwrap();
        tokio::time::sleep(IDLE * 2 + Duration::from_secs(1)).await;
        assert_eq!(Arc::strong_count(&held), 1, "its source is given back");
        assert_eq!(watched.next().await.unwrap().unwrap_err().code, ErrorCode::DeadlineExceeded);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_source_is_waited_for() {
        let slow = stream::unfold((), |()| async {
            tokio::time::sleep(IDLE * 5).await;
            Some((Ok::<_, Failure>(1), ()))
        });
        let mut watched = Box::pin(watched(slow));
        assert_eq!(watched.next().await.unwrap(), Ok(1));
        assert_eq!(watched.next().await.unwrap(), Ok(1));
    }
}
