//! Reading the file that is uploaded: each byte once, hashed as it is read.

use std::{os::unix::fs::FileExt, sync::Arc, time::Duration};

use bytes::Bytes;
use peral_model::{
    ContentId,
    pieces::{self, ENTRY, Fold, PIECE},
};
use peral_wire::{Failure, fail, pb, pb::upload_file_request::Part};
use tokio::{sync::mpsc, time::Instant};

use super::{request::SendDeps, source::Sending};
use crate::{
    blocking::blocking,
    hashing,
    progress::{Observer, Phase, Progress},
};

/// Pieces hashed in one go, of those that the peer has.
const WINDOW: u64 = 64;
/// Progress is told at most so often.
const TELL: Duration = Duration::from_millis(100);

/// What is needed to read and send.
pub(super) struct Reader<'a> {
    pub sending: Arc<Sending>,
    pub deps: &'a SendDeps,
    pub observer: &'a dyn Observer,
    pub sender: mpsc::Sender<pb::UploadFileRequest>,
    pub offset: u64,
}

/// The hash of all, from the entries of its pieces.
#[derive(Default)]
struct Whole {
    fold: Fold,
    only: Option<[u8; ENTRY]>,
}

impl Whole {
    fn push(&mut self, entry: [u8; ENTRY]) {
        self.only = Some(entry);
        self.fold.push(entry);
    }

    /// Of one piece, its entry is the hash; of none, the hash of nothing.
    fn finish(self, size: u64) -> Option<ContentId> {
        match pieces::count(size) {
            0 => Some(ContentId::of(&[])),
            1 => self.only.map(ContentId),
            _ => self.fold.finish(),
        }
    }
}

/// Sends header, the pieces that the peer lacks, and the end. Gives the hash of the whole file.
pub(super) async fn read_all(
    reader: Reader<'_>,
    header: pb::UploadHeader,
) -> Result<ContentId, Failure> {
    let size = reader.sending.stamp.size;
    reader.send(Part::Header(header)).await?;
    let mut whole = Whole::default();
    let there = if reader.offset == size { pieces::count(size) } else { reader.offset / PIECE };
    let mut told = None;
    for first in (0..there).step_by(usize::try_from(WINDOW).unwrap_or(1)) {
        let (sending, count) = (Arc::clone(&reader.sending), WINDOW.min(there - first));
        let entries = blocking(move || {
            hashing::hash_pieces(&sending.file, size, first, count)
                .map_err(|error| sending.unreadable(&error))
        })
        .await?;
        entries.into_iter().for_each(|entry| whole.push(entry));
        reader.tell(&mut told, Phase::Hashing, (first + count) * PIECE);
    }
    for index in there..pieces::count(size) {
        let sending = Arc::clone(&reader.sending);
        let (bytes, entry) = blocking(move || sending.piece(index)).await?;
        whole.push(entry);
        reader.deps.limits.upload.take(bytes.len() as u64).await;
        reader.deps.metrics.sent.add(bytes.len() as u64);
        reader.send(Part::Piece(pb::Piece { index, data: bytes })).await?;
        reader.tell(&mut told, Phase::Moving, (index + 1) * PIECE);
    }
    reader.sending.check()?;
    let hash = whole
        .finish(size)
        .ok_or_else(|| fail!(Internal, "the hash of {} could not be made", reader.sending.shown))?;
    reader.send(Part::End(pb::UploadEnd { hash: hash.to_vec().into() })).await?;
    Ok(hash)
}

impl Reader<'_> {
    async fn send(&self, part: Part) -> Result<(), Failure> {
        let sent = self.sender.send(pb::UploadFileRequest { part: Some(part) }).await;
        sent.map_err(|_| fail!(Unavailable, "the peer takes no more of the upload"))
    }

    fn tell(&self, told: &mut Option<Instant>, phase: Phase, done: u64) {
        if told.is_none_or(|told| told.elapsed() >= TELL) {
            *told = Some(Instant::now());
            let total = self.sending.stamp.size;
            let done = done.min(total);
            self.observer.progress(&Progress {
                phase,
                done,
                total,
                fetched: done.saturating_sub(self.offset),
                sources: 1,
            });
        }
    }
}

impl Sending {
    fn unreadable(&self, error: &std::io::Error) -> Failure {
        // A file that became shorter says so best.
        self.check()
            .err()
            .unwrap_or_else(|| fail!(Internal, "{} cannot be read: {error}", self.shown))
    }

    /// Blocks.
    fn piece(&self, index: u64) -> Result<(Bytes, [u8; ENTRY]), Failure> {
        let size = self.stamp.size;
        let mut bytes = vec![0; usize::try_from(pieces::length(size, index)).unwrap_or(0)];
        self.file
            .read_exact_at(&mut bytes, index * PIECE)
            .map_err(|error| self.unreadable(&error))?;
        let entry = pieces::entry(size, index, &bytes)
            .ok_or_else(|| fail!(Internal, "piece {index} of {} has no entry", self.shown))?;
        Ok((bytes.into(), entry))
    }
}
