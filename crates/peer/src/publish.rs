//! The indexer's half that talks: pending files become versions in the catalogue, in batches, a few
//! at a time.

mod batch;

use std::time::Duration;

use peral_wire::{ErrorCode, Failure};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::batch::Batch;
use crate::{backoff::Backoff, library::Library};

/// Batches that are with central at a time: while it writes one, the next is read and the one
/// before is noted.
const AT_A_TIME: usize = 3;
/// Files of one batch.
const BATCH: usize = peral_wire::rest::files::MAX_PUBLISH;
/// With more holdings than these untold, publishing waits: who uploads meanwhile waits for its
/// holding to be told.
const MAX_UNTOLD: u64 = 5 * BATCH as u64;
/// What was left out for reasons that may pass is tried again so often.
const RETRY: Duration = Duration::from_secs(3600);
/// Reasons that may pass without a change of the file.
const PASSING: &[ErrorCode] = &[
    ErrorCode::NameTaken,
    ErrorCode::Held,
    ErrorCode::Forbidden,
    ErrorCode::Internal,
    ErrorCode::Busy,
    ErrorCode::Unavailable,
];

/// Publishes what the indexer finds, until told to stop.
pub async fn run(library: Library, stop: CancellationToken) {
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    let mut retry = tokio::time::interval(RETRY);
    while !stop.is_cancelled() {
        let Some(done) = stop.run_until_cancelled(publish_all(&library)).await else { return };
        let pause = match done {
            Ok(()) => {
                backoff.reset();
                None
            }
            Err(failure) => {
                tracing::warn!(code = %failure.code, reason = %failure, "publishing waits");
                Some(backoff.pause())
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = async { tokio::time::sleep(pause.unwrap_or(Duration::MAX)).await }, if pause.is_some() => {}
            () = library.kicks().publish.notified(), if pause.is_none() => {}
            _ = retry.tick() => match library.db().retry_troubles(PASSING).await {
                Ok(0) => {}
                Ok(files) => tracing::info!(files, "files that were left out are tried again"),
                Err(failure) => tracing::warn!(reason = %failure, "files that were left out are not tried again"),
            },
        }
    }
}

/// Waits until most holdings are told.
async fn told(library: &Library) -> Result<(), Failure> {
    let enough = library.db().last_delta().await?.saturating_sub(MAX_UNTOLD);
    let mut acknowledged = library.watch_acknowledged();
    acknowledged.wait_for(|number| *number >= enough).await.map(drop).map_err(crate::db::broken)
}

/// Publishes all that is pending now.
async fn publish_all(library: &Library) -> Result<(), Failure> {
    let mut running = JoinSet::new();
    let mut after = 0;
    let mut more = true;
    while more || !running.is_empty() {
        if more && running.len() < AT_A_TIME {
            let Some(standing) = library.link().standing() else { return Ok(()) };
            library.link().check()?;
            told(library).await?;
            let rows = library.db().pending(after, standing.account.0, BATCH).await?;
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
