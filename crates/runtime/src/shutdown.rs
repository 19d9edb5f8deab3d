//! How a process ends: it drains, then stops, and gives its tasks time for both.

use std::{io, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long tasks may take to notice the kill before `finish` returns without them.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The end of a process, shared by all its parts.
///
/// *Draining* means: accept no new work, finish what runs. *Killed* means: stop at once.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// Neither draining nor killed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when the drain starts.
    pub fn draining(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled when everything must stop at once. Never before the drain has started.
    pub fn killed(&self) -> &CancellationToken {
        &self.hard
    }

    /// Starts the drain.
    pub fn drain(&self) {
        self.soft.cancel();
    }

    /// Stops everything at once.
    pub fn kill(&self) {
        self.soft.cancel();
        self.hard.cancel();
    }

    /// Starts a task that [`finish`](Self::finish) waits for.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tasks.spawn(task)
    }

    /// Starts the drain, waits for the tasks that were spawned here for at most `grace`, then kills
    /// what is left. Whether all tasks ended by themselves.
    pub async fn finish(&self, grace: Duration) -> bool {
        self.soft.cancel();
        self.tasks.close();
        let drained = tokio::select! {
            () = self.tasks.wait() => true,
            () = self.hard.cancelled() => false,
            () = tokio::time::sleep(grace) => false,
        };
        self.hard.cancel();
        if !drained && tokio::time::timeout(LAST_WORDS, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                tasks = self.tasks.len(),
                "some tasks did not end in time and are aborted"
            );
        }
        drained
    }

    /// From now on SIGTERM and SIGINT start the drain, and a second one kills.
    ///
    /// # Errors
    /// The signals cannot be caught.
    pub fn on_signals(&self) -> io::Result<()> {
        let (term, int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let this = self.clone();
        tokio::spawn(async move { this.obey(term, int).await });
        Ok(())
    }

    async fn obey(&self, mut term: Signal, mut int: Signal) {
        let mut next = async || {
            tokio::select! {
                _ = term.recv() => "SIGTERM",
                _ = int.recv() => "SIGINT",
            }
        };
        let name = next().await;
        tracing::info!(
            signal = name,
            "shutting down: accepting no new work, waiting for running work"
        );
        self.drain();
        let name = next().await;
        tracing::warn!(signal = name, "stopping at once");
        self.kill();
    }

    /// For a listener that must answer until the process ends: it sees only the kill, and `finish`
    /// does not wait for it.
    pub(crate) fn only_killed(&self) -> Self {
        Self { soft: self.hard.clone(), hard: self.hard.clone(), tasks: TaskTracker::new() }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn tasks_that_heed_the_drain_are_waited_for() {
        let shutdown = Shutdown::new();
        let soft = shutdown.draining().clone();
        let task = shutdown.spawn(async move { soft.cancelled().await });
        assert!(shutdown.finish(Duration::from_secs(20)).await);
        assert!(task.is_finished());
        assert!(shutdown.killed().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_never_ends_is_cut_off_after_the_grace() {
        let shutdown = Shutdown::new();
        let hard = shutdown.killed().clone();
        let task = shutdown.spawn(async move { hard.cancelled().await });
        let start = Instant::now();
        assert!(!shutdown.finish(Duration::from_millis(50)).await);
        assert_eq!(start.elapsed(), Duration::from_millis(50));
        assert!(task.is_finished(), "it was told to stop and had time for it");
    }

    #[tokio::test]
    async fn the_first_signal_drains_and_the_second_kills() {
        use rustix::process::{Signal, getpid, kill_process};
        let shutdown = Shutdown::new();
        shutdown.on_signals().unwrap();
        let patience = Duration::from_secs(20);
        kill_process(getpid(), Signal::TERM).unwrap();
        tokio::time::timeout(patience, shutdown.draining().cancelled()).await.unwrap();
        assert!(!shutdown.killed().is_cancelled());
        kill_process(getpid(), Signal::INT).unwrap();
        tokio::time::timeout(patience, shutdown.killed().cancelled()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_kill_ends_the_wait() {
        let shutdown = Shutdown::new();
        shutdown.spawn(std::future::pending::<()>());
        shutdown.kill();
        let start = Instant::now();
        assert!(!shutdown.finish(Duration::from_secs(60)).await);
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
