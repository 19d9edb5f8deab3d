//! The bytes of an upload until they are whole. Everything here blocks but the sweep.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use peral_model::{
    Content, ContentId,
    pieces::{self, PIECE},
};
use peral_transfer::{
    hashing,
    lists::{ListStore, ListWriter},
};
use peral_wire::{Failure, fail};
use rustix::fs::OFlags;

use super::running::Hold;
use crate::{
    library::{Library, is_abandoned},
    rights::UPLOAD_LIFE_MS,
};

/// Pieces that are hashed again in one go.
const WINDOW: u64 = 512;

/// Bytes of an upload that are kept, as far as they are of use: whole pieces, or all.
pub(super) fn kept(path: &Path, size: u64) -> u64 {
    let length = fs::symlink_metadata(path).map_or(0, |found| found.len());
    if length >= size { size } else { length / PIECE * PIECE }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn wrong(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            fail!(NoSpace, "the disk of this peer is full; what came so far is kept for a day")
        }
        _ => fail!(Internal, "this peer cannot write the upload: {error}"),
    }
}

/// A file that grows piece by piece, with its piece list.
pub(super) struct Temp {
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
        let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(no_follow)
            .open(path)
            .map_err(wrong)?;
        file.set_len(offset).map_err(wrong)?;
        let list = lists.writer().map_err(wrong)?;
        let mut this = Self { path: path.to_owned(), file, size, next: 0, only: None, list, turn };
        let whole = if offset == size { pieces::count(size) } else { offset / PIECE };
        while this.next < whole {
            if this.turn.is_over() {
                return Err(fail!(Cancelled, "the stream of this upload is gone"));
            }
            let window = WINDOW.min(whole - this.next);
            for entry in hashing::hash_pieces(&this.file, size, this.next, window).map_err(wrong)? {
                this.note(entry)?;
            }
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
        let entry = entry.ok_or_else(|| {
            fail!(InvalidArgument, "piece {} has not the length that it must have", self.next)
        })?;
        self.file.write_all_at(bytes, self.next * PIECE).map_err(wrong)?;
        self.note(entry)
    }

    /// Does it all hash to what the sender says? What does not is of no use to anybody.
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
