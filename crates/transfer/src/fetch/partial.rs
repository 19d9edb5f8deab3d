//! What is there of a file that is being fetched: its bytes and a journal, beside the target.
//! Everything here blocks.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, TryLockError},
    io,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{FileExt, MetadataExt},
    },
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use bytes::Bytes;
use peral_model::{
    Bitmap, Content, ContentId,
    pieces::{self, PIECE},
};
use peral_runtime::Lock;
use peral_wire::{Failure, fail};

use super::place;
use crate::{
    disk::{self, Disk},
    lists::PieceList,
    stamp::Stamp,
};

/// First bytes of a journal; hash and size follow, then one bit a piece.
const MAGIC: &[u8] = b"peral-part 1\n";
const HEAD: usize = MAGIC.len() + 32 + 8;
/// Most bytes of the target's name that go into the names beside it, so that they stay within what
/// file systems take.
const MAX_STEM: usize = 200;
/// How often, and at what distance, the lock is tried.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// A file on its way. One process at a time has it.
#[derive(Debug)]
pub(super) struct Partial {
    disk: Disk,
    paths: Paths,
    content: Content,
    file: File,
    journal: File,
    /// The bits of the journal.
    claimed: Mutex<Vec<u8>>,
}

#[derive(Debug, Clone)]
struct Paths {
    target: PathBuf,
    folder: PathBuf,
    part: PathBuf,
    journal: PathBuf,
}

impl Paths {
    fn of(target: &Path, content: &Content) -> Result<Self, Failure> {
        let shown = target.display();
        let name = target
            .file_name()
            .ok_or_else(|| fail!(InvalidArgument, "{shown} is not the path of a file"))?;
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let hash: String = content.hash.to_string().chars().take(8).collect();
        let beside = |kind: &str| folder.join(beside(name, &hash, kind));
        Ok(Self {
            target: target.to_owned(),
            part: beside("part"),
            journal: beside("journal"),
            folder,
        })
    }
}

/// The name of a helper file beside the target.
fn beside(name: &OsStr, hash: &str, kind: &str) -> OsString {
    let stem = name.as_bytes().get(..MAX_STEM).unwrap_or(name.as_bytes());
    OsString::from_vec([b".", stem, b".", hash.as_bytes(), b".", kind.as_bytes()].concat())
}

/// Removes what is there of a file that will not be fetched any more. A running download keeps its
/// own until it ends.
///
/// # Errors
/// INTERNAL, when the disk refuses.
pub fn discard(target: &Path, content: &Content) -> Result<(), Failure> {
    let paths = Paths::of(target, content)?;
    for path in [&paths.part, &paths.journal] {
        match fs::remove_file(path) {
            Err(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Err(disk::failed("remove", path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

impl Partial {
    /// Opens what is there beside the target, or begins it.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, FORBIDDEN, BUSY, TOO_LARGE, INTERNAL.
    pub fn open(disk: Disk, target: &Path, content: Content) -> Result<Self, Failure> {
        let paths = Paths::of(target, &content)?;
        if !paths.folder.is_dir() {
            return Err(fail!(
                InvalidArgument,
                "the folder {} does not exist; create it first",
                paths.folder.display()
            ));
        }
        let none =
            Bitmap::new(pieces::count(content.size)).map_err(|error| fail!(TooLarge, "{error}"))?;
        let file = open_locked(&paths.part)?;
        let journal =
            disk::open_private(&paths.journal).map_err(disk::failed("open", &paths.journal))?;
        let claimed = read_journal(&journal, &content).unwrap_or_else(|| none.to_bytes());
        Ok(Self { disk, paths, content, file, journal, claimed: Mutex::new(claimed) })
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.paths.folder
    }

    /// Bytes that the disk has not set aside for it yet.
    pub fn needed(&self) -> Result<u64, Failure> {
        let found = self.file.metadata().map_err(disk::failed("read", &self.paths.part))?;
        // Blocks are counted by 512 bytes everywhere.
        Ok(self.content.size.saturating_sub(found.blocks().saturating_mul(512)))
    }

    /// Gives the file its length, and sets the room aside where the file system can: says whether
    /// it could.
    pub fn allocate(&self) -> Result<bool, Failure> {
        let set_aside = self
            .disk
            .allocate(&self.file, self.content.size)
            .map_err(disk::failed("write", &self.paths.part))?;
        self.write_journal().map_err(disk::failed("write", &self.paths.journal))?;
        Ok(set_aside)
    }

    /// Hashes again what the journal claims. What is not right is claimed no longer.
    pub fn verify(&self, list: &PieceList) -> Result<Bitmap, Failure> {
        let count = pieces::count(self.content.size);
        if count == 0 && self.content.hash != ContentId::of(&[]) {
            return Err(fail!(
                Integrity,
                "the record says that an empty file hashes to {}, which is wrong",
                self.content.hash
            ));
        }
        let mut claimed =
            Bitmap::from_bytes(count, &self.lock()).map_err(|error| fail!(Internal, "{error}"))?;
        disk::recheck(&self.file, self.content.size, &mut claimed, |index| list.entry(index))
            .map_err(|error| fail!(Internal, "the piece list cannot be read: {error}"))?;
        *self.lock() = claimed.to_bytes();
        self.write_journal().map_err(disk::failed("write", &self.paths.journal))?;
        Ok(claimed)
    }

    /// Where its bytes are.
    pub fn path(&self) -> &Path {
        &self.paths.part
    }

    /// A second handle of its bytes, for reading.
    pub fn reader(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Writes a verified piece, and claims it.
    pub fn write(&self, index: u64, parts: &[Bytes]) -> Result<(), Failure> {
        let failed = disk::failed("write", &self.paths.part);
        let mut at = index * PIECE;
        for part in parts {
            self.disk.write_at(&self.file, part, at).map_err(&failed)?;
            at += part.len() as u64;
        }
        self.claim(index).map_err(disk::failed("write", &self.paths.journal))
    }

    fn claim(&self, index: u64) -> io::Result<()> {
        let mut claimed = self.lock();
        let Some(byte) = usize::try_from(index / 8).ok().and_then(|at| claimed.get_mut(at)) else {
            return Ok(());
        };
        *byte |= 1 << (index % 8);
        self.disk.write_at(&self.journal, &[*byte], HEAD as u64 + index / 8)
    }

    /// Puts the whole file in place.
    pub fn finish(&self, how: place::How) -> Result<Stamp, Failure> {
        let Paths { target, folder, part, journal } = &self.paths;
        place::put(&self.disk, &self.file, part, target, folder, how)?;
        // Only a hint, and for a file that is no longer beside the target.
        drop(fs::remove_file(journal));
        Stamp::of(&self.file).map_err(disk::failed("read", target))
    }

    fn write_journal(&self) -> io::Result<()> {
        let claimed = self.lock();
        let bytes =
            [MAGIC, &self.content.hash.0, &self.content.size.to_le_bytes(), &claimed].concat();
        self.disk.write_at(&self.journal, &bytes, 0)?;
        self.journal.set_len(bytes.len() as u64)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.claimed.locked()
    }
}

impl Drop for Partial {
    /// Without a verified piece there is nothing to go on with: nothing stays beside the target.
    /// The lock is still held.
    fn drop(&mut self) {
        let Paths { part, journal, .. } = &self.paths;
        if self.lock().iter().any(|bits| *bits != 0) || !is_at(&self.file, part) {
            return;
        }
        for path in [journal, part] {
            if let Err(error) = fs::remove_file(path) {
                tracing::debug!(path = %path.display(), %error, "what a download without a piece left cannot be removed");
            }
        }
    }
}

/// Is this open file the one that has this name?
fn is_at(file: &File, path: &Path) -> bool {
    let place = |found: fs::Metadata| (found.dev(), found.ino());
    fs::symlink_metadata(path).ok().map(place) == file.metadata().ok().map(place)
}

/// The bits of a journal of this content; nothing if it is of another one, or damaged.
fn read_journal(journal: &File, content: &Content) -> Option<Vec<u8>> {
    let bits = usize::try_from(pieces::count(content.size).div_ceil(8)).ok()?;
    if journal.metadata().ok()?.len() != (HEAD + bits) as u64 {
        return None;
    }
    let mut bytes = vec![0; HEAD + bits];
    journal.read_exact_at(&mut bytes, 0).ok()?;
    let (head, claimed) = bytes.split_at_checked(HEAD)?;
    let expected = [MAGIC, &content.hash.0, &content.size.to_le_bytes()].concat();
    let whole =
        head == expected && Bitmap::from_bytes(pieces::count(content.size), claimed).is_ok();
    whole.then(|| claimed.to_vec())
}

/// Opens a file of ours, locked for as long as it is open. A download that was just ended may need
/// a moment to let go.
fn open_locked(path: &Path) -> Result<File, Failure> {
    let mut tries = LOCK_TRIES;
    while tries > 0 {
        tries -= 1;
        let file = disk::open_private(path).map_err(disk::failed("open", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if tries > 0 => {
                std::thread::sleep(LOCK_PAUSE);
                continue;
            }
            Err(TryLockError::WouldBlock) => {
                return Err(fail!(
                    Busy,
                    "another download writes {}; wait for it, or end it",
                    path.display()
                ));
            }
            Err(TryLockError::Error(error)) => return Err(disk::failed("lock", path)(error)),
        }
        // Between opening and locking, another download may have put it in place.
        if is_at(&file, path) {
            return Ok(file);
        }
    }
    Err(fail!(
        Busy,
        "other downloads keep writing {}; try again when they have ended",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use peral_wire::ErrorCode;
    use tempfile::TempDir;

    use super::*;
    use crate::{disk::Operation, lists::ListStore};

    const OLD: &[u8] = b"what was there";
    const OVERWRITE: place::How = place::How { overwrite: true, private: false };

    /// A target that holds something else, and the content that is fetched to it.
    struct Target {
        folder: TempDir,
        _lists: TempDir,
        list: PieceList,
        bytes: Vec<u8>,
    }

    impl Target {
        fn new() -> Self {
            let (folder, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let bytes: Vec<u8> = (0..(3 << 18) + 5u32).flat_map(u32::to_le_bytes).collect();
            let lists = ListStore::new(kept.path()).unwrap();
            let source = kept.path().join("source");
            fs::write(&source, &bytes).unwrap();
            let content = lists.hash(&File::open(&source).unwrap(), bytes.len() as u64).unwrap();
            let list = lists.open(&content).unwrap();
            fs::write(folder.path().join("file"), OLD).unwrap();
            Self { folder, _lists: kept, list, bytes }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("file")
        }

        /// Fetches what is missing; gives the number of pieces that were there.
        fn fetch(&self, disk: Disk) -> Result<u64, Failure> {
            let partial = Partial::open(disk, &self.path(), self.list.content())?;
            partial.allocate()?;
            let there = partial.verify(&self.list)?;
            for index in (0..there.len()).filter(|index| !there.get(*index)) {
                let from = usize::try_from(index * PIECE).unwrap();
                let until = self.bytes.len().min(from + usize::try_from(PIECE).unwrap());
                partial.write(index, &[Bytes::copy_from_slice(&self.bytes[from..until])])?;
            }
            partial.finish(OVERWRITE)?;
            Ok(there.count())
        }

        fn names(&self) -> usize {
            fs::read_dir(self.folder.path()).unwrap().count()
        }

        /// The file is there, and nothing beside it.
        fn is_fetched(&self) {
            assert!(fs::read(self.path()).unwrap() == self.bytes, "the bytes differ");
            assert_eq!(self.names(), 1);
        }
    }

    fn failing(fails: Operation, kind: io::ErrorKind) -> Disk {
        failing_after(0, fails, kind)
    }

    fn failing_after(good: u32, fails: Operation, kind: io::ErrorKind) -> Disk {
        let done = AtomicU32::new(0);
        Disk::failing(move |operation| {
            if operation == fails && done.fetch_add(1, Ordering::Relaxed) >= good {
                Err(kind.into())
            } else {
                Ok(())
            }
        })
    }

    #[test]
    fn a_disk_that_is_full_half_way_keeps_what_came() {
        let target = Target::new();
        // The journal is written twice, then piece and journal for each piece.
        let disk = failing_after(5, Operation::Write, io::ErrorKind::StorageFull);
        assert_eq!(target.fetch(disk).unwrap_err().code, ErrorCode::NoSpace);
        assert_eq!(fs::read(target.path()).unwrap(), OLD);
        assert_eq!(target.fetch(Disk::default()).unwrap(), 1, "one piece needs no second time");
        target.is_fetched();
    }

    #[test]
    fn without_room_nothing_is_left() {
        let target = Target::new();
        let disk = failing(Operation::Allocate, io::ErrorKind::QuotaExceeded);
        assert_eq!(target.fetch(disk).unwrap_err().code, ErrorCode::NoSpace);
        assert_eq!((fs::read(target.path()).unwrap().as_slice(), target.names()), (OLD, 1));
        assert_eq!(target.fetch(Disk::default()).unwrap(), 0);
        target.is_fetched();
    }

    #[test]
    fn what_cannot_be_made_durable_or_renamed_is_not_in_place() {
        for (operation, kind, code) in [
            (Operation::Sync, io::ErrorKind::Other, ErrorCode::Internal),
            (Operation::Sync, io::ErrorKind::StorageFull, ErrorCode::NoSpace),
            (Operation::Rename, io::ErrorKind::Other, ErrorCode::Internal),
            (Operation::Rename, io::ErrorKind::ReadOnlyFilesystem, ErrorCode::Forbidden),
        ] {
            let target = Target::new();
            let failed = target.fetch(failing(operation, kind)).unwrap_err();
            assert_eq!(failed.code, code, "{operation:?}: {failed}");
            assert_eq!(fs::read(target.path()).unwrap(), OLD);
            assert_eq!(target.fetch(Disk::default()).unwrap(), 4, "all pieces came before");
            target.is_fetched();
        }
    }
}
