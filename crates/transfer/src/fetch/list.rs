//! The piece list of what is fetched: from any source, believed only as a whole.

use std::time::Duration;

use peral_model::{Content, pieces, plan::SourceId};
use peral_runtime::{Backoff, Jitter};
use peral_wire::{Failure, PeerClient, fail, pb, peer::failed};
use tokio::time::{Instant, sleep, timeout};
use tonic::Streaming;

use super::{
    request::{FetchDeps, FetchRequest},
    swarm::Swarm,
};
use crate::{
    blocking::blocking,
    lists::{ListWriter, PieceList},
    progress::{Observer, Phase, Progress},
};

/// Until a source answers, and between two parts of a list.
const PATIENCE: Duration = Duration::from_secs(20);
/// First and longest pause between two rounds while all sources are away.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Fewest bytes of a list that a source may give in a second: while one is asked, all others wait.
const LEAST_RATE: u64 = 16 * 1024;

/// Why a source gave no list.
enum ListError {
    /// It cannot, for now or for good.
    Failed(Failure),
    /// What it sent does not fold to the content's hash.
    Lied(Failure),
    /// Our own disk.
    Ours(Failure),
}

impl From<Failure> for ListError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The list: as it is kept here, or from the first source that gives one that proves itself. Also
/// finds the first sources.
pub(super) async fn obtain(
    swarm: &mut Swarm,
    deps: &FetchDeps,
    request: &FetchRequest,
    observer: &dyn Observer,
) -> Result<PieceList, Failure> {
    let content = request.record.value.content;
    if let Some(list) = kept(deps, content).await? {
        return Ok(list);
    }
    let deadline = Instant::now() + request.wait;
    let mut backoff = Backoff::new(PAUSE, LONGEST_PAUSE).with_jitter(Jitter::Equal);
    let mut lie = None;
    let mut asked = false;
    loop {
        if asked || swarm.askable().is_empty() {
            look(swarm, observer).await?;
            asked = true;
        }
        for id in swarm.askable() {
            match from_source(swarm, id, deps, content).await {
                Ok(()) => {
                    return kept(deps, content).await?.ok_or_else(|| {
                        fail!(Internal, "the piece list of {} was lost", content.hash)
                    });
                }
                Err(ListError::Ours(failure)) => return Err(failure),
                Err(ListError::Failed(failure)) => swarm.failed(id, &failure),
                Err(ListError::Lied(failure)) => {
                    observer.note(&format!("{failure}; it is not asked again"));
                    if let Some(remote) = swarm.remote_mut(id) {
                        (remote.liar, remote.failure) = (true, Some(failure.clone()));
                    }
                    lie = Some(failure);
                }
            }
        }
        let hope = swarm.away > 0 || !swarm.askable().is_empty() || !asked;
        if Instant::now() >= deadline || !hope {
            return Err(lie.unwrap_or_else(|| swarm.no_source()));
        }
        asked = true;
        observer.progress(&Progress {
            phase: Phase::Waiting,
            done: 0,
            total: content.size,
            fetched: 0,
            sources: 0,
        });
        let left = deadline.saturating_duration_since(Instant::now());
        sleep(backoff.next_pause().min(left)).await;
    }
}

async fn kept(deps: &FetchDeps, content: Content) -> Result<Option<PieceList>, Failure> {
    let lists = deps.lists.clone();
    blocking(move || Ok(lists.open(&content))).await
}

/// Asks central. That it is away is a failure only where nobody is known otherwise.
async fn look(swarm: &mut Swarm, observer: &dyn Observer) -> Result<(), Failure> {
    match swarm.look().await {
        Ok(found) => {
            swarm.merge(&found);
        }
        Err(failure) if swarm.remotes.is_empty() => return Err(failure),
        Err(failure) => observer.note(&format!("central named no more sources: {failure}")),
    }
    Ok(())
}

async fn from_source(
    swarm: &Swarm,
    id: SourceId,
    deps: &FetchDeps,
    content: Content,
) -> Result<(), ListError> {
    let most = PATIENCE
        + Duration::from_secs(pieces::entries(content.size) * pieces::ENTRY as u64 / LEAST_RATE);
    let late =
        |_| fail!(DeadlineExceeded, "it did not give the piece list within {} s", most.as_secs());
    timeout(most, take(swarm, id, deps, content)).await.map_err(late)?
}

async fn take(
    swarm: &Swarm,
    id: SourceId,
    deps: &FetchDeps,
    content: Content,
) -> Result<(), ListError> {
    let Some(remote) = swarm.remote(id) else {
        return Err(fail!(Internal, "there is no source {}", id.0).into());
    };
    let client = deps.dialer.client(remote.peer, remote.address).await?;
    let mut parts = open(&client, swarm.file()).await?;
    let ours = |error: std::io::Error| {
        ListError::Ours(fail!(Internal, "the piece list cannot be written: {error}"))
    };
    let mut writer = deps.lists.writer().map_err(ours)?;
    let expected = pieces::entries(content.size);
    let lied = |what: &str| {
        ListError::Lied(fail!(
            Integrity,
            "{remote} sends a piece list that {what} {}",
            content.hash
        ))
    };
    while let Some(part) = next(&mut parts).await? {
        let (entries, rest) = part.entries.as_chunks::<{ pieces::ENTRY }>();
        // A part without entries would go on without end.
        if entries.is_empty()
            || !rest.is_empty()
            || writer.count() + entries.len() as u64 > expected
        {
            return Err(lied("has not the form of one of"));
        }
        push(&mut writer, entries).map_err(ours)?;
    }
    if writer.count() != expected {
        return Err(lied("has too few entries for"));
    }
    let finished = tokio::task::spawn_blocking(move || writer.finish(&content)).await;
    match finished.map_err(|error| ListError::Ours(fail!(Internal, "{error}")))? {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            Err(lied("does not fold to"))
        }
        Err(error) => Err(ours(error)),
        Ok(()) => Ok(()),
    }
}

fn push(writer: &mut ListWriter, entries: &[[u8; pieces::ENTRY]]) -> std::io::Result<()> {
    entries.iter().try_for_each(|entry| writer.push(*entry))
}

async fn open(
    client: &PeerClient,
    file: pb::FileRef,
) -> Result<Streaming<pb::PieceListPart>, Failure> {
    within(client.piece_list(file)).await?
}

async fn next(
    parts: &mut Streaming<pb::PieceListPart>,
) -> Result<Option<pb::PieceListPart>, Failure> {
    within(parts.message()).await?.map_err(failed)
}

async fn within<T>(call: impl Future<Output = T>) -> Result<T, Failure> {
    timeout(PATIENCE, call)
        .await
        .map_err(|_| fail!(DeadlineExceeded, "no answer within {} s", PATIENCE.as_secs()))
}
