//! Room on the disk: what is free, less what was promised.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use peral_wire::{ErrorCode, Failure, fail};

/// Kept free for the database and the journals.
const RESERVE: u64 = 64 << 20;

/// Counts what was promised and not yet written. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Space {
    folder: Arc<Path>,
    promised: Arc<AtomicU64>,
}

impl Space {
    /// The volume of this folder.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.into(), promised: Arc::default() }
    }

    /// Bytes that can still be promised.
    pub fn room(&self) -> u64 {
        free(&self.folder).unwrap_or(0).saturating_sub(RESERVE).saturating_sub(self.promised.load(Ordering::SeqCst))
    }

    /// Promises bytes on the volume of the data folder.
    ///
    /// # Errors
    /// NO_SPACE.
    pub fn reserve(&self, bytes: u64) -> Result<Reservation, Failure> {
        let folder = self.folder.to_path_buf();
        self.reserve_at(&folder, bytes).map_err(|failure| match failure.code {
            // Others ask for room here too, and no path goes over the network.
            ErrorCode::Internal => fail!(Internal, "the room on this peer's volume is not known"),
            _ => failure,
        })
    }

    /// Promises bytes on the volume of another folder. Promises are counted together: at worst somebody waits for room that there is.
    ///
    /// # Errors
    /// NO_SPACE.
    pub fn reserve_at(&self, folder: &Path, bytes: u64) -> Result<Reservation, Failure> {
        let free = free(folder).map_err(|error| fail!(Internal, "the room on the volume of {} is not known: {error}", folder.display()))?;
        let free = free.saturating_sub(RESERVE);
        let fits = |promised: u64| promised.checked_add(bytes).filter(|sum| *sum <= free);
        match self.promised.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits) {
            Ok(_) => Ok(Reservation { space: self.clone(), bytes }),
            Err(promised) => Err(fail!(NoSpace, "{bytes} bytes do not fit: {free} bytes are free here, and {promised} of them are promised")),
        }
    }
}

/// Bytes that are kept free for one transfer; given back when it is dropped.
#[derive(Debug)]
pub struct Reservation {
    space: Space,
    bytes: u64,
}

impl Reservation {
    /// So many of them were written, and are no longer free anyway.
    pub fn used(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.space.promised.fetch_sub(bytes, Ordering::SeqCst);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.space.promised.fetch_sub(self.bytes, Ordering::SeqCst);
    }
}

fn free(folder: &Path) -> std::io::Result<u64> {
    // The folder of a download's target need not be there yet.
    let existing: PathBuf = folder.ancestors().find(|path| path.exists()).unwrap_or(folder).to_path_buf();
    let found = rustix::fs::statvfs(&existing)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_promised_is_gone_until_it_is_given_back() {
        let temp = tempfile::tempdir().unwrap();
        let space = Space::new(temp.path());
        let half = space.room() / 2 + (1 << 30);
        let mut first = space.reserve(half).unwrap();
        assert_eq!(space.reserve(half).unwrap_err().code, ErrorCode::NoSpace);
        first.used(half - 1);
        drop(space.reserve(half).unwrap());
        drop(first);
        assert_eq!(space.promised.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn no_number_overflows() {
        let temp = tempfile::tempdir().unwrap();
        let space = Space::new(temp.path());
        let _one = space.reserve(1).unwrap();
        assert_eq!(space.reserve(u64::MAX).unwrap_err().code, ErrorCode::NoSpace);
    }
}
