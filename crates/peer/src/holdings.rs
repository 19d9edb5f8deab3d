//! Telling central what this peer holds: the numbered deltas of the log, and from time to time a
//! digest of all.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use peral_wire::{
    ErrorCode, Failure,
    rest::holdings::{Bucket, Deltas, Digest, MAX_ROWS},
};
use tokio_util::sync::CancellationToken;

use crate::{backoff::Backoff, library::Library};

/// All holdings are compared so often.
const DIGEST: Duration = Duration::from_secs(3600);

/// Tells central, until told to stop. `compare` asks for a comparison of all holdings now: at
/// registration, and when numbers do not fit.
pub async fn run(
    library: Library,
    compare: std::sync::Arc<tokio::sync::Notify>,
    stop: CancellationToken,
) {
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    let mut due = tokio::time::interval(DIGEST);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    due.reset();
    let mut wanted = false;
    loop {
        let pause = match tell(&library, &mut wanted).await {
            Ok(()) => {
                backoff.reset();
                None
            }
            Err(failure) if matches!(failure.code, ErrorCode::Superseded | ErrorCode::Revoked) => {
                None
            }
            Err(failure) => {
                tracing::warn!(code = %failure.code, reason = %failure, "telling central of holdings waits");
                Some(backoff.pause())
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = async { tokio::time::sleep(pause.unwrap_or(Duration::MAX)).await }, if pause.is_some() => {}
            () = library.kicks().deltas.notified(), if pause.is_none() => {}
            () = compare.notified() => wanted = true,
            _ = due.tick() => wanted = true,
        }
    }
}

/// Sends what is in the log, then compares if that is wanted.
async fn tell(library: &Library, wanted: &mut bool) -> Result<(), Failure> {
    if library.link().standing().is_none() {
        return Ok(());
    }
    library.link().check()?;
    send(library, wanted).await?;
    if *wanted {
        compare(library).await?;
        *wanted = false;
    }
    Ok(())
}

async fn send(library: &Library, wanted: &mut bool) -> Result<(), Failure> {
    loop {
        let acknowledged = library.acknowledged_delta();
        let log = library.db().deltas_after(acknowledged, MAX_ROWS).await?;
        let Some((first, _)) = log.first().copied() else { return Ok(()) };
        let deltas = Deltas { first, deltas: log.into_iter().map(|(_, delta)| delta).collect() };
        let catalogue = library.link().catalogue().await?;
        match catalogue.index(&deltas).await {
            Ok(answer) => acknowledge(library, answer.last_delta).await?,
            // The log does not reach back so far: a comparison mends what is between.
            Err(failure) if failure.code == ErrorCode::IndexGap => {
                tracing::info!(
                    acknowledged,
                    first,
                    "central misses deltas that are no longer in the log; all holdings are compared"
                );
                compare(library).await?;
                *wanted = false;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// Central has all up to this number.
///
/// # Errors
/// INTERNAL, when the database fails.
pub async fn acknowledge(library: &Library, last_delta: u64) -> Result<(), Failure> {
    library.db().trim_deltas(last_delta).await?;
    library.acknowledge(last_delta);
    Ok(())
}

/// Sends a digest of all holdings, and again the rows of each bucket that differs.
async fn compare(library: &Library) -> Result<(), Failure> {
    let (last_delta, words) = library.db().digest().await?;
    let buckets =
        STANDARD.encode(words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>());
    let catalogue = library.link().catalogue().await?;
    let answer = catalogue.digest(&Digest { last_delta, buckets }).await?;
    if !answer.differing.is_empty() {
        tracing::info!(
            buckets = answer.differing.len(),
            "some holdings differ from what central has, and are sent again"
        );
    }
    for bucket in answer.differing {
        send_bucket(library, last_delta, bucket).await?;
    }
    // Central's number is now this one. What was written meanwhile has higher ones and is told
    // next, some of it for the second time.
    acknowledge(library, last_delta).await
}

async fn send_bucket(library: &Library, last_delta: u64, bucket: u16) -> Result<(), Failure> {
    let (mut after, mut replace) = (None, true);
    loop {
        let rows = library.db().bucket(bucket, after, MAX_ROWS).await?;
        after = rows.last().map(|row| row.version);
        let whole = rows.len() < MAX_ROWS;
        let catalogue = library.link().catalogue().await?;
        catalogue.bucket(&Bucket { last_delta, bucket, replace, rows }).await?;
        if whole {
            return Ok(());
        }
        replace = false;
    }
}
