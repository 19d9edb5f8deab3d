//! Work that a process does by itself: again and again, until it is told to stop.
//!
//! Three shapes: [`run`] for work that is woken and can fail, [`repeat`] for a step with a pause,
//! [`retry`] for a call that must succeed once.

use std::{fmt::Display, future::Future, ops::ControlFlow, pin::pin, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;

/// Work in steps, for [`run`].
pub trait Worker: Send {
    /// Why a step failed.
    type Error: Display + Send;

    /// Does what there is to do now. It is not cut off when the worker is told to stop.
    fn step(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// After a step that succeeded: completes when there is something to do. Dropped when the
    /// worker is told to stop.
    fn due(&mut self) -> impl Future<Output = ()> + Send;

    /// After a step that failed: completes when the next step must come before the end of the
    /// pause. Dropped when the pause ends.
    fn urgent(&mut self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Logs why a step failed. Called once for a reason, until another step fails for another
    /// reason or succeeds.
    fn log(&self, error: &Self::Error);
}

/// Runs a worker until told to stop: after a success when it is due, after a failure when `backoff`
/// says so.
pub async fn run(mut worker: impl Worker, mut backoff: Backoff, stop: &CancellationToken) {
    let mut reason = Reason::default();
    while !stop.is_cancelled() {
        match worker.step().await {
            Ok(()) => {
                backoff.reset();
                reason.clear();
                stop.run_until_cancelled(worker.due()).await;
            }
            Err(error) => {
                if reason.is_new(&error) {
                    worker.log(&error);
                }
                let urgent = worker.urgent();
                let pause = sleep(backoff.next_pause());
                stop.run_until_cancelled(either(urgent, pause)).await;
            }
        }
    }
}

/// Does a step that cannot fail, again after the pause that it gives, until told to stop. A step
/// that runs then is not cut off.
pub async fn repeat<F>(stop: &CancellationToken, mut step: impl FnMut() -> F)
where
    F: Future<Output = Duration>,
{
    while !stop.is_cancelled() {
        let pause = step().await;
        stop.run_until_cancelled(sleep(pause)).await;
    }
}

/// Tries until a try breaks with a result. `log` is called for each new reason to continue.
pub async fn retry<T, R, F>(
    mut backoff: Backoff,
    mut attempt: impl FnMut() -> F,
    log: impl Fn(&R),
) -> T
where
    R: Display,
    F: Future<Output = ControlFlow<T, R>>,
{
    let mut last = Reason::default();
    loop {
        match attempt().await {
            ControlFlow::Break(done) => return done,
            ControlFlow::Continue(reason) => {
                if last.is_new(&reason) {
                    log(&reason);
                }
            }
        }
        sleep(backoff.next_pause()).await;
    }
}

async fn either(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    let (one, other) = (pin!(one), pin!(other));
    tokio::select! {
        () = one => {}
        () = other => {}
    }
}

/// Why the last step failed.
#[derive(Default)]
struct Reason(Option<String>);

impl Reason {
    fn is_new(&mut self, reason: &impl Display) -> bool {
        let reason = Some(reason.to_string());
        let new = self.0 != reason;
        self.0 = reason;
        new
    }

    fn clear(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::{sync::Notify, time::Instant};

    use super::*;
    use crate::lock::Lock;

    const PAUSE: Duration = Duration::from_secs(10);
    const LONGEST: Duration = Duration::from_secs(60);

    fn backoff() -> Backoff {
        Backoff::new(PAUSE, LONGEST).with_jitter(crate::backoff::Jitter::None)
    }

    /// What a piece of work did, in seconds since it began.
    #[derive(Clone)]
    struct Diary {
        began: Instant,
        steps: Arc<Mutex<Vec<u64>>>,
        logged: Arc<Mutex<Vec<&'static str>>>,
    }

    impl Diary {
        fn new() -> Self {
            Self { began: Instant::now(), steps: Arc::default(), logged: Arc::default() }
        }

        fn step(&self) {
            self.steps.locked().push(self.began.elapsed().as_secs());
        }

        fn steps(&self) -> Vec<u64> {
            self.steps.locked().clone()
        }

        fn logged(&self) -> Vec<&'static str> {
            self.logged.locked().clone()
        }
    }

    struct Steps {
        diary: Diary,
        results: std::vec::IntoIter<Result<(), &'static str>>,
        due: Arc<Notify>,
        urgent: Arc<Notify>,
        stop: CancellationToken,
    }

    impl Worker for Steps {
        type Error = &'static str;

        async fn step(&mut self) -> Result<(), &'static str> {
            self.diary.step();
            self.results.next().unwrap_or_else(|| {
                self.stop.cancel();
                Ok(())
            })
        }

        async fn due(&mut self) {
            self.due.notified().await;
        }

        async fn urgent(&mut self) {
            self.urgent.notified().await;
        }

        fn log(&self, error: &&'static str) {
            self.diary.logged.locked().push(error);
        }
    }

    /// Runs these steps in a task, and one more that ends the work. `acts` are notifications: when,
    /// in seconds, and whether it is the urgent one.
    async fn run_steps(results: Vec<Result<(), &'static str>>, acts: &[(u64, bool)]) -> Diary {
        let diary = Diary::new();
        let (due, urgent) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let stop = CancellationToken::new();
        let steps = Steps {
            diary: diary.clone(),
            results: results.into_iter(),
            due: Arc::clone(&due),
            urgent: Arc::clone(&urgent),
            stop: stop.clone(),
        };
        let task = tokio::spawn(async move { run(steps, backoff(), &stop).await });
        for (second, is_urgent) in acts {
            tokio::time::sleep_until(diary.began + Duration::from_secs(*second)).await;
            if *is_urgent { &urgent } else { &due }.notify_one();
        }
        task.await.unwrap();
        diary
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_success_the_next_step_waits_until_it_is_due() {
        let diary = run_steps(vec![Ok(()), Ok(())], &[(100, false), (5000, false)]).await;
        assert_eq!(diary.steps(), [0, 100, 5000]);
        assert!(diary.logged().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_pause_longer_and_longer_and_a_success_resets_the_pause() {
        let results = vec![Err("a"), Err("a"), Err("a"), Ok(()), Err("a")];
        let diary = run_steps(results, &[(1000, false)]).await;
        assert_eq!(diary.steps(), [0, 10, 30, 70, 1000, 1010]);
    }

    #[tokio::test(start_paused = true)]
    async fn only_an_urgent_wake_up_ends_a_pause() {
        let diary = run_steps(vec![Err("a"), Err("a")], &[(3, true), (4, false)]).await;
        assert_eq!(diary.steps(), [0, 3, 23]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reason_is_logged_once_until_it_changes() {
        let results = vec![Err("a"), Err("a"), Err("b"), Err("b"), Err("a"), Ok(()), Err("a")];
        let diary = run_steps(results, &[(1000, false)]).await;
        assert_eq!(diary.logged(), ["a", "b", "a", "a"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_a_pause_and_a_wait_but_not_a_step() {
        let stop = CancellationToken::new();
        let work = tokio::spawn({
            let stop = stop.clone();
            async move {
                let mut steps = 0;
                repeat(&stop, || {
                    steps += 1;
                    async {
                        sleep(PAUSE).await;
                        LONGEST
                    }
                })
                .await;
                steps
            }
        });
        sleep(PAUSE / 2).await;
        let stopped = Instant::now();
        stop.cancel();
        assert_eq!(work.await.unwrap(), 1);
        assert_eq!(stopped.elapsed(), PAUSE / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_is_repeated_after_the_pause_that_it_gives() {
        let (diary, stop) = (Diary::new(), CancellationToken::new());
        let mut pauses = [1, 20, 300].into_iter().map(Duration::from_secs);
        repeat(&stop, || {
            diary.step();
            let pause = pauses.next().unwrap_or_else(|| {
                stop.cancel();
                PAUSE
            });
            async move { pause }
        })
        .await;
        assert_eq!(diary.steps(), [0, 1, 21, 321]);
        assert_eq!(diary.began.elapsed().as_secs(), 321);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_tried_until_it_gives_a_result() {
        let diary = Diary::new();
        let task = tokio::spawn({
            let diary = diary.clone();
            async move {
                let mut tries = 0;
                let attempt = || {
                    diary.step();
                    tries += 1;
                    let result = match tries {
                        1 | 2 => ControlFlow::Continue("away"),
                        3 => ControlFlow::Continue("busy"),
                        _ => ControlFlow::Break("done"),
                    };
                    async move { result }
                };
                retry(backoff(), attempt, |reason| diary.logged.locked().push(reason)).await
            }
        });
        assert_eq!(task.await.unwrap(), "done");
        assert_eq!(diary.steps(), [0, 10, 30, 70]);
        assert_eq!(diary.logged(), ["away", "busy"]);
    }
}
