//! Hashing again what is said to be there.

use std::{fs::File, io};

use peral_model::{Bitmap, pieces::ENTRY};

use crate::hashing;

/// Hashes the claimed pieces of a content of `size` bytes again. Those that are not `expected` are
/// claimed no longer, and neither are those that cannot be read.
///
/// # Errors
/// Those of `expected`.
pub fn recheck(
    file: &File,
    size: u64,
    claimed: &mut Bitmap,
    expected: impl Fn(u64) -> io::Result<[u8; ENTRY]>,
) -> io::Result<()> {
    let mut from = 0;
    while let Some(first) = claimed.next_present(from) {
        let run = first..claimed.next_missing(first).unwrap_or_else(|| claimed.len());
        from = run.end;
        for window in hashing::windows(run) {
            let found = hashing::hash_pieces(file, size, window.start, window.end - window.start);
            let mut found = found.unwrap_or_default().into_iter();
            for index in window {
                let right = expected(index)?;
                claimed.set(index, found.next() == Some(right));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use peral_model::pieces::{self, PIECE};

    use super::*;

    #[test]
    fn only_what_is_right_is_claimed_on() {
        let size = 5 * PIECE + 9;
        let file = tempfile::tempfile().unwrap();
        file.set_len(4 * PIECE).unwrap();
        let zeros = pieces::entry(size, 1, &vec![0; 1 << 20]).unwrap();
        let mut claimed = Bitmap::new(pieces::count(size)).unwrap();
        for index in [1, 2, 4] {
            claimed.set(index, true);
        }
        let expected = |index| Ok(if index == 2 { [0; ENTRY] } else { zeros });
        recheck(&file, size, &mut claimed, expected).unwrap();
        let kept: Vec<u64> = (0..pieces::count(size)).filter(|index| claimed.get(*index)).collect();
        assert_eq!(kept, [1], "the second is wrong, the fourth cannot be read");
        let broken = |_| Err(io::Error::other("no list"));
        assert!(recheck(&file, size, &mut claimed, broken).is_err());
    }
}
