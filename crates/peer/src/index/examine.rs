//! Compares files that were found with their rows, and hashes those that changed.

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use peral_model::pieces::PIECE;
use peral_runtime::Lock;
use peral_transfer::lists::ListStore;
use peral_wire::{ErrorCode, Failure};

use super::{steady::hash_steady, walk::Seen};
use crate::{
    db::{broken, pending::Indexed},
    library::Library,
    metrics::IndexMetrics,
};

/// Hashes are written to the database after so many bytes: a crash costs no more work than this.
const GROUP_BYTES: u64 = 256 << 20;

/// Result of a chunk.
#[derive(Debug, Default)]
pub struct Examined {
    /// Rows of files that exist.
    pub rows: Vec<i64>,
    /// Files to look at again soon.
    pub again: Vec<PathBuf>,
}

/// A file that was hashed, or why not.
type Hashed = Result<Indexed, NotHashed>;

struct NotHashed {
    path: PathBuf,
    failure: Failure,
}

/// Compares a chunk with its rows, hashes what changed and records it as pending.
pub async fn examine(
    library: Library,
    metrics: IndexMetrics,
    share: i64,
    chunk: Vec<Seen>,
) -> Result<Examined, Failure> {
    let known = library.db().known_files(chunk.iter().map(|seen| seen.path.as_str())).await?;
    let mut found =
        Examined { rows: known.values().map(|row| row.id).collect(), again: Vec::new() };
    let is_new = |seen: &Seen| known.get(&seen.path).is_none_or(|row| row.stamp != seen.stamp);
    let mut changed: Vec<Seen> = chunk.into_iter().filter(is_new).collect();
    // Small files first: a large one delays nothing else.
    changed.sort_by_key(|seen| std::cmp::Reverse(seen.stamp.size));
    while !changed.is_empty() {
        let (mut group, mut bytes) = (Vec::new(), 0);
        while bytes < GROUP_BYTES
            && let Some(seen) = changed.pop()
        {
            bytes += seen.stamp.size;
            group.push(seen);
        }
        let (lists, now_ms) = (library.lists().clone(), library.now_ms());
        let hashed = tokio::task::spawn_blocking(move || hash_group(&lists, share, group, now_ms))
            .await
            .map_err(broken)?;
        hashed.iter().flatten().for_each(|file| metrics.file(file.stamp.size));
        found.again.extend(write(&library, hashed).await?);
    }
    Ok(found)
}

/// Records what was hashed; returns the files to look at again.
async fn write(library: &Library, hashed: Vec<Hashed>) -> Result<Vec<PathBuf>, Failure> {
    let (mut indexed, mut again) = (Vec::new(), Vec::new());
    for file in hashed {
        match file {
            Ok(file) => indexed.push(file),
            Err(NotHashed { path, failure }) => match failure.code {
                ErrorCode::Changed => again.push(path),
                // Deleted since it was found.
                ErrorCode::NotFound if !path.exists() => {}
                code => library.note_unindexable(&path, code, failure.detail),
            },
        }
    }
    if !indexed.is_empty() {
        let went = library.db().index(indexed, library.now_ms()).await?;
        library.wake_ups().publish.notify_one();
        if went {
            library.wake_ups().deltas.notify_one();
        }
    }
    Ok(again)
}

/// Hashes files: those of one piece in parallel, a larger one by all threads together. Blocks.
fn hash_group(lists: &ListStore, share: i64, group: Vec<Seen>, now_ms: i64) -> Vec<Hashed> {
    let (small, large): (Vec<_>, Vec<_>) =
        group.into_iter().partition(|seen| seen.stamp.size <= PIECE);
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(small.len())));
    let work = || {
        let mut mine = Vec::new();
        while let Some(seen) = small.get(next.fetch_add(1, Ordering::Relaxed)) {
            mine.push(hash_one(lists, share, seen, now_ms));
        }
        done.locked().extend(mine);
    };
    let threads = std::thread::available_parallelism()
        .map_or(1, std::num::NonZero::get)
        .min(8)
        .min(small.len() / 16 + 1);
    if threads == 1 {
        work();
    } else {
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    }
    let mut done = done.into_value();
    done.extend(large.iter().map(|seen| hash_one(lists, share, seen, now_ms)));
    done
}

fn hash_one(lists: &ListStore, share: i64, seen: &Seen, now_ms: i64) -> Hashed {
    let (content, stamp) = hash_steady(lists, Path::new(&seen.path), now_ms)
        .map_err(|failure| NotHashed { path: PathBuf::from(&seen.path), failure })?;
    Ok(Indexed {
        path: seen.path.clone(),
        share,
        name: seen.name.clone(),
        stamp,
        hash: content.hash,
    })
}
