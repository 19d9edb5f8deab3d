//! Room on the disk: what is free, less what is reserved.

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use peral_transfer::fetch::{Room, RoomGuard};
use peral_wire::{Failure, fail};
use rustix::fs::StatVfsMountFlags;

/// Kept free for the database and the journals.
const RESERVE: u64 = 64 << 20;
/// A peer with fewer free bytes than this accepts no uploads.
const FULL: u64 = 256 << 20;

/// Counts what is reserved and not written yet. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Space {
    folder: Arc<Path>,
    reserved: Arc<AtomicU64>,
}

impl Space {
    /// The volume of this folder.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.into(), reserved: Arc::default() }
    }

    /// Bytes that can still be reserved.
    pub fn room(&self) -> u64 {
        free(&self.folder)
            .unwrap_or(0)
            .saturating_sub(RESERVE)
            .saturating_sub(self.reserved.load(Ordering::SeqCst))
    }

    /// Whether there is too little room for uploads.
    pub fn is_full(&self) -> bool {
        self.room() < FULL
    }

    /// Why the volume cannot be written at all, if so.
    pub fn trouble(&self) -> Option<String> {
        let folder = self.folder.display();
        match rustix::fs::statvfs(&*self.folder) {
            Ok(found) if found.f_flag.contains(StatVfsMountFlags::RDONLY) => {
                Some(format!("the volume of the data folder {folder} is read-only"))
            }
            Ok(_) => None,
            Err(error) => Some(format!(
                "cannot read the state of the volume of the data folder {folder}: {error}"
            )),
        }
    }

    /// Reserves bytes on the volume of the data folder.
    ///
    /// # Errors
    /// NO_SPACE.
    pub fn reserve(&self, bytes: u64) -> Result<Reservation, Failure> {
        // Others ask for room here too, and no path goes over the network.
        let reserved = self
            .try_reserve(&self.folder, bytes)
            .map_err(|_| fail!(Internal, "cannot tell how much room this peer's volume has"))?;
        reserved.map_err(|lack| fail!(NoSpace, "this peer has no room for {bytes} bytes: {lack}"))
    }

    /// Reserves bytes on the volume of another folder. Reservations are counted together: at worst a
    /// transfer waits for room that exists.
    ///
    /// # Errors
    /// NO_SPACE.
    pub fn reserve_at(&self, folder: &Path, bytes: u64) -> Result<Reservation, Failure> {
        let shown = folder.display();
        let reserved = self.try_reserve(folder, bytes).map_err(|error| {
            fail!(Internal, "cannot tell how much room the volume of {shown} has: {error}")
        })?;
        reserved.map_err(|lack| {
            fail!(
                NoSpace,
                "{shown} has no room for {bytes} bytes: {lack}; free some space, or choose another \
                 folder"
            )
        })
    }

    /// The inner error says how much there is.
    fn try_reserve(&self, folder: &Path, bytes: u64) -> io::Result<Result<Reservation, String>> {
        let free = free(folder)?;
        // Database and journals are on the volume of the data folder only.
        let kept = if device(folder)? == device(&self.folder)? { RESERVE } else { 0 };
        let fits = |reserved: u64| {
            reserved.checked_add(bytes).filter(|sum| *sum <= free.saturating_sub(kept))
        };
        Ok(match self.reserved.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits) {
            Ok(_) => Ok(Reservation { space: self.clone(), bytes }),
            Err(reserved) => Err(format!(
                "{free} bytes are free, {kept} of them reserved for the peer itself and \
                 {reserved} for other transfers"
            )),
        })
    }
}

/// Bytes that are reserved for one transfer; released when it is dropped.
#[derive(Debug)]
pub struct Reservation {
    space: Space,
    bytes: u64,
}

impl Reservation {
    /// These bytes were written, and need no reservation any more.
    pub fn used(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.space.reserved.fetch_sub(bytes, Ordering::SeqCst);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.space.reserved.fetch_sub(self.bytes, Ordering::SeqCst);
    }
}

/// The folder of a download's target need not exist yet.
fn existing(folder: &Path) -> &Path {
    folder.ancestors().find(|path| path.exists()).unwrap_or(folder)
}

fn device(folder: &Path) -> io::Result<u64> {
    Ok(existing(folder).metadata()?.dev())
}

fn free(folder: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(existing(folder))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// For downloads of the daemon: what the file system says, less what is reserved for others.
impl Room for Space {
    fn reserve(&self, folder: &Path, bytes: u64) -> Result<RoomGuard, Failure> {
        Ok(Box::new(self.reserve_at(folder, bytes)?))
    }
}

#[cfg(test)]
mod tests {
    use peral_wire::ErrorCode;

    use super::*;

    #[test]
    fn what_is_reserved_is_not_free_until_it_is_released() {
        let temp = tempfile::tempdir().unwrap();
        let space = Space::new(temp.path());
        let half = space.room() / 2 + (1 << 30);
        let mut first = space.reserve(half).unwrap();
        assert_eq!(space.reserve(half).unwrap_err().code, ErrorCode::NoSpace);
        let detail = space.reserve_at(temp.path(), half).unwrap_err().detail;
        assert!(
            detail.contains(temp.path().to_str().unwrap())
                && detail.contains(&format!("{half} for other transfers")),
            "{detail}"
        );
        first.used(half - 1);
        drop(space.reserve(half).unwrap());
        drop(first);
        assert_eq!(space.reserved.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_volume_with_little_room_is_full_until_there_is_more() {
        let temp = tempfile::tempdir().unwrap();
        let space = Space::new(temp.path());
        let most = space.reserve(space.room() - FULL / 2).unwrap();
        assert!(space.is_full() && space.trouble().is_none());
        drop(most);
        assert!(!space.is_full());
        assert!(
            Space::new(&temp.path().join("gone"))
                .trouble()
                .is_some_and(|trouble| trouble.contains("gone"))
        );
    }

    #[test]
    fn no_number_overflows() {
        let temp = tempfile::tempdir().unwrap();
        let space = Space::new(temp.path());
        let _one = space.reserve(1).unwrap();
        assert_eq!(space.reserve(u64::MAX).unwrap_err().code, ErrorCode::NoSpace);
    }
}
