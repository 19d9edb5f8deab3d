//! Files that were found, against the rows that are kept of them: what changed is hashed.

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
    db::{broken, files::Indexed},
    library::Library,
    metrics,
};

/// Bytes after which what was hashed is written down, so that a crash costs no more.
const GROUP_BYTES: u64 = 256 << 20;

/// What a chunk came to.
#[derive(Debug, Default)]
pub struct Found {
    /// Rows of files that are there.
    pub rows: Vec<i64>,
    /// Files to look at again soon.
    pub again: Vec<PathBuf>,
}

type Outcome = Result<Indexed, (PathBuf, Failure)>;

/// Compares a chunk with its rows, hashes what changed and writes it down as pending.
///
/// # Errors
/// INTERNAL, when the database fails.
pub async fn examine(
    library: Library,
    counted: metrics::Indexed,
    share: i64,
    chunk: Vec<Seen>,
) -> Result<Found, Failure> {
    let known = library.db().stamps(chunk.iter().map(|seen| seen.path.as_str())).await?;
    let mut found =
        Found { rows: known.values().map(|(row, _)| *row).collect(), again: Vec::new() };
    let is_new = |seen: &Seen| known.get(&seen.path).is_none_or(|(_, stamp)| *stamp != seen.stamp);
    let mut changed: Vec<Seen> = chunk.into_iter().filter(is_new).collect();
    // Small files first: a large one holds up nothing else.
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
        hashed.iter().flatten().for_each(|file| counted.file(file.stamp.size));
        found.again.extend(write(&library, hashed).await?);
    }
    Ok(found)
}

/// Writes down what was hashed; gives what is to be looked at again.
async fn write(library: &Library, hashed: Vec<Outcome>) -> Result<Vec<PathBuf>, Failure> {
    let (mut indexed, mut again) = (Vec::new(), Vec::new());
    for outcome in hashed {
        match outcome {
            Ok(file) => indexed.push(file),
            Err((path, failure)) => match failure.code {
                ErrorCode::Changed => again.push(path),
                // Gone since it was found.
                ErrorCode::NotFound if !path.exists() => {}
                code => library.note(&path, Some((code, failure.detail))),
            },
        }
    }
    if !indexed.is_empty() {
        let went = library.db().index(indexed, library.now_ms()).await?;
        library.kicks().publish.notify_one();
        if went {
            library.kicks().deltas.notify_one();
        }
    }
    Ok(again)
}

/// Hashes files: those of one piece side by side, a larger one by all threads together. Blocks.
fn hash_group(lists: &ListStore, share: i64, group: Vec<Seen>, now_ms: i64) -> Vec<Outcome> {
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

fn hash_one(lists: &ListStore, share: i64, seen: &Seen, now_ms: i64) -> Outcome {
    let (content, stamp) = hash_steady(lists, Path::new(&seen.path), now_ms)
        .map_err(|failure| (PathBuf::from(&seen.path), failure))?;
    Ok(Indexed {
        path: seen.path.clone(),
        share,
        name: seen.name.clone(),
        stamp,
        hash: content.hash,
    })
}
