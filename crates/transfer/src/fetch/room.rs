//! Room on a disk, checked before anything is written.

use std::path::Path;

use peral_wire::{Failure, fail};

/// What is reserved; dropping it gives it back.
pub type RoomGuard = Box<dyn Send + Sync>;

/// Knows how much room there is, and what others have reserved of it.
pub trait Room: Send + Sync + 'static {
    /// Reserves room for `bytes` more in a folder. Blocks.
    ///
    /// # Errors
    /// NO_SPACE.
    fn reserve(&self, folder: &Path, bytes: u64) -> Result<RoomGuard, Failure>;
}

/// What the file system says: for a process that writes alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiskRoom;

impl Room for DiskRoom {
    fn reserve(&self, folder: &Path, bytes: u64) -> Result<RoomGuard, Failure> {
        let found = rustix::fs::statvfs(folder).map_err(|error| {
            fail!(Internal, "the room in {} is not known: {error}", folder.display())
        })?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        if free < bytes {
            let folder = folder.display();
            return Err(fail!(
                NoSpace,
                "{folder} has room for {free} bytes and {bytes} are needed; make room there, or \
                 choose another folder"
            ));
        }
        Ok(Box::new(()))
    }
}
