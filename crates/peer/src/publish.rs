//! Publishes pending files: they become versions in the catalogue, in batches, a few at a time.

mod batch;

use std::time::Duration;

use peral_runtime::{
    Backoff,
    work::{self, Worker},
};
use peral_wire::{ErrorCode, Failure};
use tokio::{task::JoinSet, time::Interval};
use tokio_util::sync::CancellationToken;

use self::batch::Batch;
use crate::library::Library;

/// Batches that are sent to central at a time: while it writes one, the next is read and the one
/// before is recorded.
const AT_A_TIME: usize = 3;
/// Files of one batch.
const BATCH: usize = peral_wire::rest::files::MAX_PUBLISH;
/// With more holdings than these not acknowledged by central, publishing waits: an upload waits for
/// its holding to be acknowledged, and must not wait behind too many others.
const MAX_UNACKNOWLEDGED: u64 = 5 * BATCH as u64;
/// First and longest pause between two tries to reach central.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often files are retried that were left out for reasons that may pass.
const RETRY: Duration = Duration::from_secs(3600);
/// These may pass without a change of the file.
const PASSING: &[ErrorCode] = &[
    ErrorCode::NameTaken,
    ErrorCode::Extent,
    ErrorCode::Forbidden,
    ErrorCode::Internal,
    ErrorCode::Busy,
    ErrorCode::Unavailable,
];

/// Publishes what the indexer finds, until told to stop.
pub async fn run(library: Library, stop: CancellationToken) {
    let retry = tokio::time::interval(RETRY);
    let publisher = Publisher { library, retry, retrying: false, stop: stop.clone() };
    work::run(publisher, Backoff::new(PAUSE, LONGEST_PAUSE), &stop).await;
}

struct Publisher {
    library: Library,
    retry: Interval,
    /// The next step begins with the files that were left out.
    retrying: bool,
    stop: CancellationToken,
}

impl Publisher {
    async fn retry_left_out(&self) {
        match self.library.db().retry_left_out(PASSING).await {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "retrying files that were left out"),
            Err(failure) => {
                tracing::warn!(reason = %failure, "cannot retry the files that were left out");
            }
        }
    }
}

impl Worker for Publisher {
    type Error = Failure;

    async fn step(&mut self) -> Result<(), Failure> {
        if std::mem::take(&mut self.retrying) {
            self.retry_left_out().await;
        }
        // Publishing may wait for central for long: the drain cuts it off.
        self.stop.run_until_cancelled(publish_all(&self.library)).await.unwrap_or(Ok(()))
    }

    async fn due(&mut self) {
        let library = self.library.clone();
        tokio::select! {
            () = library.wake_ups().publish.notified() => {}
            () = self.urgent() => {}
        }
    }

    async fn urgent(&mut self) {
        self.retry.tick().await;
        self.retrying = true;
    }

    fn log(&self, failure: &Failure) {
        tracing::warn!(code = %failure.code, reason = %failure, "publishing failed; retrying");
    }
}

/// Waits until central has acknowledged most holdings.
async fn acknowledged(library: &Library) -> Result<(), Failure> {
    let enough = library.db().last_delta().await?.saturating_sub(MAX_UNACKNOWLEDGED);
    let mut last = library.watch_acknowledged();
    last.wait_for(|number| *number >= enough).await.map(drop).map_err(crate::db::broken)
}

/// Publishes everything that is pending now.
async fn publish_all(library: &Library) -> Result<(), Failure> {
    let mut running = JoinSet::new();
    let mut after = 0;
    let mut more = true;
    while more || !running.is_empty() {
        if more && running.len() < AT_A_TIME {
            let Some(registration) = library.link().registration() else { return Ok(()) };
            library.link().check()?;
            acknowledged(library).await?;
            let rows = library.db().pending(after, registration.account.0, BATCH).await?;
            match rows.last() {
                Some(last) => after = last.id,
                None => more = false,
            }
            if !rows.is_empty() {
                // Dropped with the set, when told to stop.
                running.spawn(Batch::new(library.clone(), rows).publish());
            }
            continue;
        }
        if let Some(done) = running.join_next().await {
            done.map_err(crate::db::broken)??;
        }
    }
    Ok(())
}
