//! Hashing files: one read, in parallel over pieces, in bounded memory.
//!
//! Threads take the next piece of a window of pieces, read it in parts that stay in the processor's
//! cache, and put its entry into the window; full windows are folded in order. Synchronous: call it
//! from a blocking thread.

use std::{
    fs::File,
    io, iter,
    ops::Range,
    os::unix::fs::FileExt,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use peral_model::{
    ContentId,
    pieces::{self, ENTRY, Fold, PIECE, PieceHasher},
};
use peral_runtime::Lock;

/// Bytes read at a time: fits the second-level cache, so that hashing reads it from there.
const PART: usize = 128 << 10;
/// Pieces between two points where all threads meet.
const WINDOW: u64 = 512;
/// Most threads for one file.
const MAX_THREADS: usize = 16;

/// Splits pieces into runs, each of which is hashed in one go.
pub fn windows(pieces: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let mut left = pieces;
    iter::from_fn(move || {
        let window = left.start..left.end.min(left.start + WINDOW);
        left.start = window.end;
        (!window.is_empty()).then_some(window)
    })
}

/// Hashes the first `size` bytes of a file, and gives each entry of its piece list to `sink`, in
/// order.
///
/// # Errors
/// Reading fails, the file is shorter than `size`, or `sink` fails.
pub fn hash_file(
    file: &File,
    size: u64,
    mut sink: impl FnMut([u8; ENTRY]) -> io::Result<()>,
) -> io::Result<ContentId> {
    if pieces::entries(size) == 0 {
        return hash_piece(
            file,
            size,
            0,
            &mut vec![0; PART.min(usize::try_from(size).unwrap_or(PART))],
        )
        .map(ContentId);
    }
    let mut fold = Fold::default();
    for window in windows(0..pieces::count(size)) {
        for entry in hash_pieces(file, size, window.start, window.end - window.start)? {
            fold.push(entry);
            sink(entry)?;
        }
    }
    fold.finish().ok_or_else(|| io::Error::other("a piece list of fewer than two entries"))
}

/// The entries of some pieces of a content of `size` bytes; for a content of one piece, its hash.
///
/// # Errors
/// Reading fails, or the file is too short.
pub fn hash_pieces(file: &File, size: u64, first: u64, count: u64) -> io::Result<Vec<[u8; ENTRY]>> {
    let length = usize::try_from(count).map_err(io::Error::other)?;
    let entries = Mutex::new(vec![[0; ENTRY]; length]);
    let next = AtomicU64::new(0);
    let work = || -> io::Result<()> {
        let mut part = vec![0; PART];
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return Ok(());
            }
            let entry = hash_piece(file, size, first + at, &mut part)?;
            let mut entries = entries.locked();
            if let Some(place) = usize::try_from(at).ok().and_then(|at| entries.get_mut(at)) {
                *place = entry;
            }
        }
    };
    let threads = threads().min(length);
    if threads <= 1 {
        work()?;
    } else {
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let joined = running.into_iter().map(|thread| {
                thread.join().unwrap_or_else(|_| Err(io::Error::other("hashing panicked")))
            });
            // All are waited for, then the first failure counts.
            joined.collect::<Vec<_>>().into_iter().collect::<io::Result<()>>()
        })?;
    }
    Ok(entries.into_value())
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(MAX_THREADS)
}

fn hash_piece(file: &File, size: u64, index: u64, part: &mut [u8]) -> io::Result<[u8; ENTRY]> {
    let mut hasher = PieceHasher::new(size, index);
    let (mut at, end) = (index * PIECE, index * PIECE + pieces::length(size, index));
    while at < end {
        let length = part.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
        let bytes = &mut part[..length];
        file.read_exact_at(bytes, at)?;
        hasher.update(bytes);
        at += length as u64;
    }
    hasher.finish().ok_or_else(|| {
        io::Error::other(format!("there is no piece {index} in a content of {size} bytes"))
    })
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "tests")]
mod tests {
    use std::io::Write;

    use peral_model::Content;
    use proptest::prelude::*;

    use super::*;

    fn hashed(bytes: &[u8]) -> (ContentId, Vec<[u8; ENTRY]>) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let mut list = Vec::new();
        let push = |entry| {
            list.push(entry);
            Ok(())
        };
        (hash_file(&file, bytes.len() as u64, push).unwrap(), list)
    }

    fn sample(size: usize) -> Vec<u8> {
        (0..size).map(|i| (i.wrapping_mul(31) >> 3) as u8).collect()
    }

    #[test]
    fn the_hash_is_plain_blake3_and_the_list_proves_it() {
        let piece = PIECE as usize;
        for size in [
            0,
            1,
            1023,
            PART,
            PART + 1,
            piece - 1,
            piece,
            piece + 1,
            2 * piece,
            3 * piece + 17,
            9 * piece,
        ] {
            let bytes = sample(size);
            let (hash, list) = hashed(&bytes);
            assert_eq!(hash, ContentId::of(&bytes), "{size}");
            assert!(pieces::proves(&list, Content { hash, size: size as u64 }), "{size}");
        }
    }

    #[test]
    fn windows_are_all_pieces_once() {
        let all: Vec<_> = windows(3..2 * WINDOW + 4).collect();
        assert_eq!(
            all,
            [3..WINDOW + 3, WINDOW + 3..2 * WINDOW + 3, 2 * WINDOW + 3..2 * WINDOW + 4]
        );
        assert_eq!((windows(0..0).count(), windows(5..5).count()), (0, 0));
    }

    #[test]
    fn more_pieces_than_a_window_fold_alike() {
        let size = (WINDOW + 3) * PIECE + 5;
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        file.write_at(b"not only zeros", WINDOW * PIECE - 3).unwrap();
        let mut plain = blake3::Hasher::new();
        plain.update_reader(&file).unwrap();
        assert_eq!(hash_file(&file, size, |_| Ok(())).unwrap().0, *plain.finalize().as_bytes());
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(3 * PIECE).unwrap();
        assert!(hash_file(&file, 3 * PIECE + 1, |_| Ok(())).is_err());
        assert!(hash_file(&file, u64::MAX >> 1, |_| Ok(())).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn some_pieces_hash_as_they_do_in_the_whole(extra in 1usize..(2 << 20), first in 0u64..3) {
            let bytes = sample(2 * PIECE as usize + extra);
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            let (_, list) = hashed(&bytes);
            let count = pieces::count(bytes.len() as u64) - first.min(2);
            let some = hash_pieces(&file, bytes.len() as u64, first.min(2), count).unwrap();
            prop_assert_eq!(&some[..], &list[first.min(2) as usize..]);
        }
    }
}
