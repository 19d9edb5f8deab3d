//! Reports holdings to central: the numbered deltas of the log, and from time to time a digest of
//! all.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use peral_runtime::{
    Backoff,
    work::{self, Worker},
};
use peral_wire::{
    ErrorCode, Failure,
    rest::holdings::{Bucket, Deltas, Digest, MAX_ROWS},
};
use tokio::{
    sync::Notify,
    time::{Interval, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::library::Library;

/// First and longest pause between two tries to reach central.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often all holdings are compared.
const DIGEST: Duration = Duration::from_secs(3600);

/// Reports until told to stop. `compare` asks for a comparison of all holdings now: at
/// registration, and when numbers do not match.
pub async fn run(library: Library, compare: Arc<Notify>, stop: CancellationToken) {
    let mut digest = tokio::time::interval(DIGEST);
    digest.set_missed_tick_behavior(MissedTickBehavior::Delay);
    digest.reset();
    let reporter = Reporter { library, compare, digest, wanted: false };
    work::run(reporter, Backoff::new(PAUSE, LONGEST_PAUSE), &stop).await;
}

struct Reporter {
    library: Library,
    compare: Arc<Notify>,
    digest: Interval,
    /// The next step compares all holdings.
    wanted: bool,
}

impl Worker for Reporter {
    type Error = Failure;

    async fn step(&mut self) -> Result<(), Failure> {
        match report(&self.library, &mut self.wanted).await {
            // This process has nothing to report any more, and trying again changes nothing.
            Err(failure) if matches!(failure.code, ErrorCode::Superseded | ErrorCode::Revoked) => {
                Ok(())
            }
            reported => reported,
        }
    }

    async fn due(&mut self) {
        let library = self.library.clone();
        tokio::select! {
            () = library.wake_ups().deltas.notified() => {}
            () = self.urgent() => {}
        }
    }

    async fn urgent(&mut self) {
        tokio::select! {
            () = self.compare.notified() => {}
            _ = self.digest.tick() => {}
        }
        self.wanted = true;
    }

    fn log(&self, failure: &Failure) {
        tracing::warn!(
            code = %failure.code,
            reason = %failure,
            "reporting holdings to central failed; retrying"
        );
    }
}

/// Sends what is in the log, then compares if that is due.
async fn report(library: &Library, wanted: &mut bool) -> Result<(), Failure> {
    if library.link().registration().is_none() {
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
            // The log does not reach back so far: a comparison closes the gap.
            Err(failure) if failure.code == ErrorCode::IndexGap => {
                tracing::info!(
                    acknowledged,
                    first,
                    "central misses deltas that are no longer in the log; comparing all holdings"
                );
                compare(library).await?;
                *wanted = false;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// Central has acknowledged all deltas up to this number.
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
            "some holdings differ from what central has; sending them again"
        );
    }
    for bucket in answer.differing {
        send_bucket(library, last_delta, bucket).await?;
    }
    // Central has this number now. What was written meanwhile has higher ones and is sent next, some
    // of it for the second time.
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
