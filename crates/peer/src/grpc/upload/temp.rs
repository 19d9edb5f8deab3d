//! The bytes of an upload until they are whole. Everything here blocks but the sweep.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use peral_model::{
    Content, ContentId,
    pieces::{self, PIECE},
};
use peral_transfer::{
    disk::{self, Disk},
    hashing,
    lists::{ListStore, ListWriter},
};
use peral_wire::{Failure, fail};

use super::running::Hold;
use crate::{
    library::{Library, is_abandoned},
    rights::UPLOAD_LIFE_MS,
};

/// Bytes of an upload that are here and can be used: whole pieces, or all.
pub(super) fn kept(path: &Path, size: u64) -> u64 {
    let length = fs::symlink_metadata(path).map_or(0, |found| found.len());
    if length >= size { size } else { length / PIECE * PIECE }
}

fn wrong(error: io::Error) -> Failure {
    if disk::is_full(&error) {
        fail!(NoSpace, "the disk of this peer is full; what came so far is kept for a day")
    } else {
        disk::refused("write the upload")(error)
    }
}

/// A file that grows piece by piece, with its piece list.
pub(super) struct Temp {
    disk: Disk,
    path: PathBuf,
    file: File,
    size: u64,
    next: u64,
    /// The hash of a content of one piece.
    only: Option<[u8; pieces::ENTRY]>,
    list: ListWriter,
    /// No other stream of the upload touches the file as long as this does.
    turn: Hold,
}

impl Temp {
    /// Opens what is there and cuts it at `offset`; what stays is hashed again.
    pub fn open(
        disk: Disk,
        path: &Path,
        lists: &ListStore,
        size: u64,
        offset: u64,
        turn: Hold,
    ) -> Result<Self, Failure> {
        let there = kept(path, size);
        if offset > there || (offset != size && !offset.is_multiple_of(PIECE)) {
            return Err(fail!(
                InvalidArgument,
                "the upload cannot go on at byte {offset}: this peer has {there} bytes of it"
            ));
        }
        let file = disk::open_private(path).map_err(wrong)?;
        file.set_len(offset).map_err(wrong)?;
        let list = lists.writer().map_err(wrong)?;
        let path = path.to_owned();
        let mut this = Self { disk, path, file, size, next: 0, only: None, list, turn };
        let whole = if offset == size { pieces::count(size) } else { offset / PIECE };
        for window in hashing::windows(0..whole) {
            if this.turn.is_over() {
                return Err(fail!(Cancelled, "the stream of this upload is gone"));
            }
            let count = window.end - window.start;
            let entries = hashing::hash_pieces(&this.file, size, window.start, count);
            entries.map_err(wrong)?.into_iter().try_for_each(|entry| this.note(entry))?;
        }
        Ok(this)
    }

    /// The next piece to come.
    pub fn next(&self) -> u64 {
        self.next
    }

    fn note(&mut self, entry: [u8; pieces::ENTRY]) -> Result<(), Failure> {
        if pieces::entries(self.size) == 0 {
            self.only = Some(entry);
        } else {
            self.list.push(entry).map_err(wrong)?;
        }
        self.next += 1;
        Ok(())
    }

    /// Takes the next piece.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let entry = pieces::entry(self.size, self.next, bytes);
        let entry = entry
            .ok_or_else(|| fail!(InvalidArgument, "piece {} has the wrong length", self.next))?;
        self.disk.write_at(&self.file, bytes, self.next * PIECE).map_err(wrong)?;
        self.note(entry)
    }

    /// Refuses bytes that do not hash to what the sender says, and removes them.
    pub fn finish(self, content: Content) -> Result<(), Failure> {
        let agreed = if pieces::entries(self.size) == 0 {
            self.only.map_or_else(|| ContentId::of(&[]), ContentId) == content.hash
        } else {
            match self.list.finish(&content) {
                Ok(()) => true,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => false,
                Err(error) => return Err(wrong(error)),
            }
        };
        if !agreed {
            drop(fs::remove_file(&self.path));
            return Err(fail!(
                Integrity,
                "what came of the upload does not hash to {}; send it again from its beginning",
                content.hash
            ));
        }
        Ok(())
    }
}

/// Removes what nobody has taken up again for a day, and at once what a killed command has left.
pub(in crate::grpc) async fn sweep(library: &Library, now_ms: i64) -> Result<(), Failure> {
    let before_ms = now_ms - UPLOAD_LIFE_MS;
    let folder = library.data().uploads();
    let swept = move || {
        for entry in fs::read_dir(&folder).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            let changed = entry.metadata().and_then(|found| found.modified()).map_err(wrong)?;
            let changed_ms = changed
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
            if changed_ms < before_ms || is_abandoned(&entry.path()) {
                tracing::info!(upload = %entry.file_name().to_string_lossy(), "an upload that nobody took up again is removed");
                fs::remove_file(entry.path()).map_err(wrong)?;
            }
        }
        Ok(())
    };
    peral_transfer::blocking(swept).await?;
    library.db().forget_uploads(before_ms).await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use peral_model::UploadId;
    use peral_transfer::disk::Operation;
    use peral_wire::ErrorCode;

    use super::{super::running::Running, *};

    /// Fails from the second write on.
    fn full_after_one() -> Disk {
        let written = AtomicU32::new(0);
        Disk::failing(move |operation| {
            if operation == Operation::Write && written.fetch_add(1, Ordering::Relaxed) > 0 {
                Err(io::ErrorKind::StorageFull.into())
            } else {
                Ok(())
            }
        })
    }

    #[tokio::test]
    async fn a_disk_that_is_full_half_way_keeps_what_came() {
        let folder = tempfile::tempdir().unwrap();
        let lists = ListStore::new(&folder.path().join("lists")).unwrap();
        let path = folder.path().join("upload");
        let bytes: Vec<u8> = (0..(3 << 18) + 5u32).flat_map(u32::to_le_bytes).collect();
        let content = Content { hash: ContentId::of(&bytes), size: bytes.len() as u64 };
        let turn = Running::default().enter(UploadId(uuid::Uuid::nil())).await.unwrap();
        let take = |disk: Disk, offset: u64| -> Result<(), Failure> {
            let mut temp = Temp::open(disk, &path, &lists, content.size, offset, turn.hold())?;
            let rest = &bytes[usize::try_from(offset).unwrap()..];
            rest.chunks(usize::try_from(PIECE).unwrap()).try_for_each(|piece| temp.push(piece))?;
            temp.finish(content)
        };
        assert_eq!(take(full_after_one(), 0).unwrap_err().code, ErrorCode::NoSpace);
        assert_eq!((kept(&path, content.size), lists.open(&content).is_some()), (PIECE, false));
        take(Disk::default(), PIECE).unwrap();
        assert!(fs::read(&path).unwrap() == bytes, "the bytes differ");
        assert!(lists.open(&content).is_some());
    }
}
