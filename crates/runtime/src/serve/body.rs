//! A deadline for request bodies that stop arriving.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};

/// The sender of a request body stopped sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no part of the request body arrived for {} s", .0.as_secs_f32())]
pub struct SlowBody(pub Duration);

pin_project! {
    /// A body that ends with [`SlowBody`] when no part of it arrives for a while. The time runs
    /// only while somebody waits for the next part, not while a handler works on the last one.
    #[derive(Debug)]
    pub struct BodyDeadline<B> {
        #[pin]
        inner: B,
        #[pin]
        timer: Sleep,
        timeout: Duration,
        waiting: bool,
    }
}

impl<B> BodyDeadline<B> {
    /// Adds the deadline to `inner`.
    pub fn new(inner: B, timeout: Duration) -> Self {
        Self { inner, timer: sleep(timeout), timeout, waiting: false }
    }
}

impl<B> Body for BodyDeadline<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let mut this = self.project();
        if let Poll::Ready(frame) = this.inner.poll_frame(cx) {
            *this.waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        if !*this.waiting {
            *this.waiting = true;
            this.timer.as_mut().reset(Instant::now() + *this.timeout);
        }
        ready!(this.timer.poll(cx));
        Poll::Ready(Some(Err(SlowBody(*this.timeout).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full, channel::Channel};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_frame_starts_the_time_anew_and_silence_ends_it() {
        let (mut sender, body) = Channel::<Bytes>::new(1);
        let mut body = std::pin::pin!(BodyDeadline::new(body, Duration::from_secs(30)));
        for _ in 0..3 {
            let (sent, frame) = tokio::join!(
                async {
                    tokio::time::sleep(Duration::from_secs(20)).await;
                    sender.send_data(Bytes::from_static(b"x")).await
                },
                body.frame()
            );
            sent.unwrap();
            frame.unwrap().unwrap();
        }
        // Between two reads the time does not run.
        tokio::time::sleep(Duration::from_secs(300)).await;
        let start = Instant::now();
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&SlowBody(Duration::from_secs(30))));
        assert_eq!(start.elapsed().as_secs(), 30);
    }

    #[tokio::test]
    async fn a_body_that_comes_passes_unchanged() {
        let body =
            BodyDeadline::new(Full::new(Bytes::from_static(b"whole")), Duration::from_secs(1));
        assert_eq!(body.size_hint().exact(), Some(5));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "whole");
    }
}
