//! The indexer: what is in the shares, hashed once and again only when it changed.
//!
//! Events say where to look; regular walks find what events missed. Files that were found are
//! compared with their rows; changed ones are hashed and become pending. `publish` does the rest.

mod examine;
mod steady;
mod walk;
mod watch;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, Instant},
};

use futures::StreamExt;
use peral_wire::{ErrorCode, Failure};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::{
    examine::{Examined, examine},
    walk::{Unindexable, Walk},
    watch::Watcher,
};
pub(crate) use self::{steady::hash_when_steady, walk::SeenRows};
use crate::{db::shares::ShareRow, library::Library, metrics::IndexMetrics};

/// Files that are being written are looked at again after this.
const AGAIN: Duration = Duration::from_millis(1200);
/// A walk that failed, as on a full disk, is tried again after this.
const RETRY: Duration = Duration::from_secs(10);
/// A walk takes at most this part of the time: one in so many.
const WALK_SHARE: u32 = 20;
/// With more changed paths than this at a time, a walk is cheaper.
const MAX_PATHS: usize = 10_000;
/// Chunks that are worked on at a time: one is hashed while another is written to the database.
const CHUNKS: usize = 2;

/// Finds what is in the shares. One task.
pub struct Indexer {
    library: Library,
    rescan: Duration,
    /// Paths to look at again: they were being written.
    again: BTreeSet<PathBuf>,
    metrics: IndexMetrics,
}

impl Indexer {
    /// Walks all shares every `rescan` at the latest.
    pub fn new(library: Library, rescan: Duration) -> Self {
        Self { library, rescan, again: BTreeSet::new(), metrics: IndexMetrics::new() }
    }

    /// Runs until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let (events, mut changed) = mpsc::channel(64);
        let mut watcher = Watcher::new(events);
        let mut next = Instant::now();
        while !stop.is_cancelled() {
            let retry = !self.again.is_empty();
            let work = tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(next.into()) => None,
                () = self.library.wake_ups().rescan.notified() => None,
                paths = changed.recv() => paths.flatten(),
                () = tokio::time::sleep(AGAIN), if retry => Some(std::mem::take(&mut self.again)),
            };
            let start = Instant::now();
            let done = match work {
                Some(paths) if paths.len() <= MAX_PATHS => {
                    stop.run_until_cancelled(self.look_at(paths)).await
                }
                _ => {
                    let done = stop.run_until_cancelled(self.walk_all(&mut watcher)).await;
                    next = Instant::now() + self.rescan.max(start.elapsed() * WALK_SHARE);
                    done
                }
            };
            if let Some(Err(failure)) = done {
                tracing::warn!(code = %failure.code, reason = %failure, "indexing failed; the next rescan tries again");
                next = next.min(Instant::now() + RETRY.max(start.elapsed() * WALK_SHARE));
            }
        }
    }

    async fn walk_all(&mut self, watcher: &mut Watcher) -> Result<(), Failure> {
        let shares = self.library.shares().await?;
        watcher.watch(&shares).await;
        self.again.clear();
        self.library.forget_unindexable();
        for share in shares {
            self.walk(share).await?;
        }
        Ok(())
    }

    async fn walk(&mut self, share: ShareRow) -> Result<(), Failure> {
        let root = PathBuf::from(&share.path);
        if let Err(error) = tokio::fs::read_dir(&root).await {
            // The files of a volume that is not mounted are not gone.
            let detail = format!("the folder cannot be read: {error}");
            self.library.note_unindexable(&root, ErrorCode::Unavailable, detail);
            return Ok(());
        }
        let newest = self.library.db().newest_file().await?;
        let seen = self.take_in(&share, vec![root]).await?;
        self.library.forget_unseen(share.number, newest, &seen).await
    }

    async fn look_at(&mut self, paths: BTreeSet<PathBuf>) -> Result<(), Failure> {
        for share in self.library.shares().await? {
            let root = PathBuf::from(&share.path);
            let inside: Vec<PathBuf> =
                paths.iter().filter(|path| path.starts_with(&root)).cloned().collect();
            if inside.is_empty() {
                continue;
            }
            self.take_in(&share, inside.clone()).await?;
            for path in inside {
                self.library.forget_gone(&path).await?;
            }
        }
        Ok(())
    }

    /// Walks some paths of a share, and updates rows. Returns the rows of files that were seen.
    async fn take_in(&mut self, share: &ShareRow, from: Vec<PathBuf>) -> Result<SeenRows, Failure> {
        let (chunks, found) = mpsc::channel(CHUNKS);
        let walk = Walk::new(share.clone(), chunks);
        let walking = tokio::task::spawn_blocking(move || walk.run(&from));
        let found = tokio_stream::wrappers::ReceiverStream::new(found);
        let (library, metrics) = (self.library.clone(), self.metrics.clone());
        let mut examined = found
            .map(|chunk| examine(library.clone(), metrics.clone(), share.number, chunk))
            .buffered(CHUNKS);
        let mut seen = SeenRows::default();
        while let Some(done) = examined.next().await {
            let Examined { rows, again } = done?;
            rows.into_iter().for_each(|row| seen.add(row));
            if self.again.len() < MAX_PATHS {
                self.again.extend(again);
            }
            if !self.library.shares().await?.iter().any(|now| now.number == share.number) {
                // Removed, or it has another prefix: a walk of the present shares is due already.
                break;
            }
        }
        drop(examined);
        for Unindexable { path, code, detail } in walking.await.map_err(crate::db::broken)? {
            self.library.note_unindexable(&path, code, detail);
        }
        Ok(seen)
    }
}
