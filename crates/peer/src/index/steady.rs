//! Hashing files that others may be writing.

use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

use peral_model::Content;
use peral_transfer::{Stamp, disk::open_plain, lists::ListStore};
use peral_wire::{Failure, fail};

/// A file that changed less than this ago may still be written, without a change of its mtime.
const SETTLE_MS: i64 = 1000;
/// How long a caller that asked for one file waits for it to settle.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether nobody writes this file, as far as its mtime tells. An mtime in the future comes from a
/// wrong clock, and is not waited for.
pub fn is_settled(stamp: &Stamp, now_ms: i64) -> bool {
    !(0..SETTLE_MS).contains(&(now_ms - stamp.mtime_ns / 1_000_000))
}

/// Hashes a file that nobody writes meanwhile. Blocks.
///
/// # Errors
/// CHANGED when it is being written: try again later. NOT_FOUND when it does not exist or is not a
/// regular file. INTERNAL.
pub fn hash_steady(
    lists: &ListStore,
    path: &Path,
    now_ms: i64,
) -> Result<(Content, Stamp), Failure> {
    let file = open_plain(path)
        .map_err(|error| fail!(NotFound, "{} cannot be opened: {error}", path.display()))?;
    let unread = |error: io::Error| fail!(Internal, "{} cannot be read: {error}", path.display());
    let before = Stamp::of(&file).map_err(unread)?;
    let busy = || {
        fail!(
            Changed,
            "{} is being written; it is indexed when it no longer changes",
            path.display()
        )
    };
    if !is_settled(&before, now_ms) {
        return Err(busy());
    }
    let hashed = lists.hash(&file, before.size);
    let after = Stamp::of(&file).map_err(unread)?;
    match hashed {
        // What was read may be half old, half new.
        _ if before != after => Err(busy()),
        Ok(content) => Ok((content, after)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(busy()),
        Err(error) => Err(unread(error)),
    }
}

/// As [`hash_steady`], but tries again for a few seconds while the file is being written. Blocks.
///
/// # Errors
/// As [`hash_steady`].
pub fn hash_when_steady(
    lists: &ListStore,
    path: &Path,
    clock: &dyn peral_runtime::Clock,
) -> Result<(Content, Stamp), Failure> {
    let end = Instant::now() + PATIENCE;
    loop {
        match hash_steady(lists, path, clock.now_ms()) {
            Err(failure)
                if failure.code == peral_wire::ErrorCode::Changed && Instant::now() < end =>
            {
                std::thread::sleep(Duration::from_millis(200));
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use peral_model::ContentId;
    use peral_wire::ErrorCode;

    use super::*;

    #[test]
    fn a_file_is_hashed_when_it_has_settled() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        let lists = ListStore::new(&root.join("lists")).unwrap();
        let path = root.join("file");
        fs::write(&path, b"content").unwrap();
        let written_ms = Stamp::of(&fs::File::open(&path).unwrap()).unwrap().mtime_ns / 1_000_000;
        assert_eq!(
            hash_steady(&lists, &path, written_ms + 500).unwrap_err().code,
            ErrorCode::Changed
        );
        let (content, stamp) = hash_steady(&lists, &path, written_ms + 1500).unwrap();
        assert_eq!((content.hash, content.size, stamp.size), (ContentId::of(b"content"), 7, 7));
        assert!(
            hash_steady(&lists, &path, written_ms - 100_000).is_ok(),
            "an mtime in the future is not waited for"
        );
        assert_eq!(
            hash_steady(&lists, &root.join("absent"), 0).unwrap_err().code,
            ErrorCode::NotFound
        );
    }
}
