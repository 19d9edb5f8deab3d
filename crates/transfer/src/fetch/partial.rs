//! What is there of a file that is being fetched: its bytes and a journal, beside the target.
//! Everything here blocks.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{FileExt, MetadataExt, OpenOptionsExt},
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
use rustix::fs::{FallocateFlags, OFlags};

use super::place;
use crate::{disk, hashing, lists::PieceList, stamp::Stamp};

/// First bytes of a journal; hash and size follow, then one bit a piece.
const MAGIC: &[u8] = b"peral-part 1\n";
const HEAD: usize = MAGIC.len() + 32 + 8;
/// Most bytes of the target's name that go into the names beside it, so that they stay within what
/// file systems take.
const MAX_STEM: usize = 200;
/// Pieces that are hashed again in one go.
const WINDOW: u64 = 512;
/// How often, and at what distance, the lock is tried.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// A file on its way. One process at a time has it.
#[derive(Debug)]
pub(super) struct Partial {
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
            .ok_or_else(|| fail!(InvalidArgument, "{shown} is no path of a file"))?;
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
    pub fn open(target: &Path, content: Content) -> Result<Self, Failure> {
        let paths = Paths::of(target, &content)?;
        if !paths.folder.is_dir() {
            return Err(fail!(
                InvalidArgument,
                "the folder {} is not there; make it first",
                paths.folder.display()
            ));
        }
        let none =
            Bitmap::new(pieces::count(content.size)).map_err(|error| fail!(TooLarge, "{error}"))?;
        let file = open_locked(&paths.part)?;
        let journal = open_private(&paths.journal).map_err(disk::failed("open", &paths.journal))?;
        let claimed = read_journal(&journal, &content).unwrap_or_else(|| none.to_bytes());
        Ok(Self { paths, content, file, journal, claimed: Mutex::new(claimed) })
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
        let failed = disk::failed("write", &self.paths.part);
        let size = self.content.size;
        if self.file.metadata().map_err(&failed)?.len() > size {
            self.file.set_len(size).map_err(&failed)?;
        }
        let mut set_aside = size == 0;
        if size > 0 {
            match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, size)
                .map_err(io::Error::from)
            {
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::StorageFull
                            | io::ErrorKind::QuotaExceeded
                            | io::ErrorKind::FileTooLarge
                    ) =>
                {
                    return Err(failed(error));
                }
                // Not every file system can.
                Err(_) => self.file.set_len(size).map_err(&failed)?,
                Ok(()) => set_aside = true,
            }
        }
        self.write_journal().map_err(disk::failed("write", &self.paths.journal))?;
        Ok(set_aside)
    }

    /// Hashes again what the journal claims. What is not right is claimed no longer.
    pub fn verify(&self, list: &PieceList) -> Result<Bitmap, Failure> {
        let count = pieces::count(self.content.size);
        if count == 0 && self.content.hash != ContentId::of(&[]) {
            return Err(fail!(
                Integrity,
                "the record says that nothing hashes to {}, which is not so",
                self.content.hash
            ));
        }
        let mut claimed =
            Bitmap::from_bytes(count, &self.lock()).map_err(|error| fail!(Internal, "{error}"))?;
        let mut from = 0;
        while let Some(first) = claimed.next_present(from) {
            let end = claimed.next_missing(first).unwrap_or(count).min(first + WINDOW);
            let found = hashing::hash_pieces(&self.file, self.content.size, first, end - first)
                .unwrap_or_default();
            for index in first..end {
                let entry = list
                    .entry(index)
                    .map_err(|error| fail!(Internal, "the piece list cannot be read: {error}"))?;
                let at = usize::try_from(index - first).unwrap_or(usize::MAX);
                claimed.set(index, found.get(at) == Some(&entry));
            }
            from = end;
        }
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
        let mut at = index * PIECE;
        for part in parts {
            self.file.write_all_at(part, at).map_err(disk::failed("write", &self.paths.part))?;
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
        self.journal.write_all_at(&[*byte], HEAD as u64 + index / 8)
    }

    /// Puts the whole file in place.
    pub fn finish(&self, how: place::How) -> Result<Stamp, Failure> {
        let Paths { target, folder, part, journal } = &self.paths;
        place::put(&self.file, part, target, folder, how)?;
        // Only a hint, and for a file that is no longer beside the target.
        drop(fs::remove_file(journal));
        Stamp::of(&self.file).map_err(disk::failed("read", target))
    }

    fn write_journal(&self) -> io::Result<()> {
        let claimed = self.lock();
        let bytes =
            [MAGIC, &self.content.hash.0, &self.content.size.to_le_bytes(), &claimed].concat();
        self.journal.write_all_at(&bytes, 0)?;
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

/// A file of ours: nobody else reads it, and no symlink leads us elsewhere.
fn open_private(path: &Path) -> io::Result<File> {
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(no_follow)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is no regular file"))
    }
}

/// The same with a lock, for as long as it is open. A download that was just ended may need a
/// moment to let go.
fn open_locked(path: &Path) -> Result<File, Failure> {
    let mut tries = LOCK_TRIES;
    while tries > 0 {
        tries -= 1;
        let file = open_private(path).map_err(disk::failed("open", path))?;
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
        let there = fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()));
        let ours = file.metadata().map_err(disk::failed("read", path))?;
        if there == Some((ours.dev(), ours.ino())) {
            return Ok(file);
        }
    }
    Err(fail!(Busy, "other downloads write {} again and again", path.display()))
}
