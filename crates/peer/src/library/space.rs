//! Room on the disk: what is free, less what was promised.

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
/// With less room than this a peer takes no uploads: bytes.
const FULL: u64 = 256 << 20;

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
        free(&self.folder)
            .unwrap_or(0)
            .saturating_sub(RESERVE)
            .saturating_sub(self.promised.load(Ordering::SeqCst))
    }

    /// Is there too little room to take uploads?
    pub fn is_full(&self) -> bool {
        self.room() < FULL
    }

    /// What keeps the volume from being written at all, in words.
    pub fn trouble(&self) -> Option<String> {
        let folder = self.folder.display();
        match rustix::fs::statvfs(&*self.folder) {
            Ok(found) if found.f_flag.contains(StatVfsMountFlags::RDONLY) => {
                Some(format!("the volume of the data folder {folder} is read-only"))
            }
            Ok(_) => None,
            Err(error) => Some(format!("the data folder {folder} cannot be looked at: {error}")),
        }
    }

    /// Promises bytes on the volume of the data folder.
    ///
    /// # Errors
    /// NO_SPACE.
    pub fn reserve(&self, bytes: u64) -> Result<Reservation, Failure> {
        // Others ask for room here too, and no path goes over the network.
        let promised = self
            .promise(&self.folder, bytes)
            .map_err(|_| fail!(Internal, "the room on this peer's volume is not known"))?;
        promised.map_err(|lack| fail!(NoSpace, "this peer has no room for {bytes} bytes: {lack}"))
    }

    /// Promises bytes on the volume of another folder. Promises are counted together: at worst
    /// somebody waits for room that there is.
    ///
    /// # Errors
    /// NO_SPACE.
    pub fn reserve_at(&self, folder: &Path, bytes: u64) -> Result<Reservation, Failure> {
        let shown = folder.display();
        let promised = self.promise(folder, bytes).map_err(|error| {
            fail!(Internal, "the room on the volume of {shown} is not known: {error}")
        })?;
        promised.map_err(|lack| {
            fail!(
                NoSpace,
                "{shown} has no room for {bytes} bytes: {lack}; make room there, or choose \
            another folder"
            )
        })
    }

    /// The inner error says what there is.
    fn promise(&self, folder: &Path, bytes: u64) -> io::Result<Result<Reservation, String>> {
        let free = free(folder)?;
        // Database and journals are on the volume of the data folder only.
        let kept = if device(folder)? == device(&self.folder)? { RESERVE } else { 0 };
        let fits = |promised: u64| {
            promised.checked_add(bytes).filter(|sum| *sum <= free.saturating_sub(kept))
        };
        Ok(match self.promised.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits) {
            Ok(_) => Ok(Reservation { space: self.clone(), bytes }),
            Err(promised) => Err(format!(
                "{free} bytes are free, {kept} of them are kept for the peer itself and \
                 {promised} promised to other transfers"
            )),
        })
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

/// The folder of a download's target need not be there yet.
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

/// For downloads of the daemon: what the file system says, less what was promised to others.
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
    fn what_is_promised_is_gone_until_it_is_given_back() {
        let temp = tempfile::tempdir().unwrap();
        let space = Space::new(temp.path());
        let half = space.room() / 2 + (1 << 30);
        let mut first = space.reserve(half).unwrap();
        assert_eq!(space.reserve(half).unwrap_err().code, ErrorCode::NoSpace);
        let told = space.reserve_at(temp.path(), half).unwrap_err().detail;
        assert!(
            told.contains(temp.path().to_str().unwrap())
                && told.contains(&format!("{half} promised")),
            "{told}"
        );
        first.used(half - 1);
        drop(space.reserve(half).unwrap());
        drop(first);
        assert_eq!(space.promised.load(Ordering::SeqCst), 0);
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
