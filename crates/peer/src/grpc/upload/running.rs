//! One stream at a time for each upload; the newest one counts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
};

use peral_model::UploadId;
use peral_runtime::Lock;
use peral_wire::{Failure, fail};
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Default)]
struct Upload {
    turn: Arc<tokio::sync::Mutex<()>>,
    newest: Mutex<CancellationToken>,
}

/// Uploads with a stream. An entry lives as long as one of its streams.
#[derive(Debug, Default)]
pub struct Running(Mutex<HashMap<UploadId, Weak<Upload>>>);

/// The turn of one stream. Dropping it ends the turn, once nothing holds it any longer.
#[derive(Debug)]
pub(in crate::grpc) struct Turn {
    held: Hold,
}

/// Keeps a turn: for what works in the bytes of an upload and cannot be broken off with its stream.
#[derive(Debug, Clone)]
pub(in crate::grpc) struct Hold {
    over: CancellationToken,
    _turn: Arc<(OwnedMutexGuard<()>, Arc<Upload>)>,
}

impl Running {
    /// Ends the stream that the upload has, if any, and waits until it has let go: a sender that
    /// comes again has given that one up.
    pub async fn enter(&self, id: UploadId) -> Result<Turn, Failure> {
        let upload = self.upload(id);
        let superseded = CancellationToken::new();
        let before = std::mem::replace(&mut *upload.newest.locked(), superseded.clone());
        before.cancel();
        let turn = tokio::select! {
            turn = Arc::clone(&upload.turn).lock_owned() => turn,
            () = superseded.cancelled() => return Err(fail!(Cancelled, "the same upload was begun again on another stream")),
        };
        Ok(Turn { held: Hold { over: superseded, _turn: Arc::new((turn, upload)) } })
    }

    fn upload(&self, id: UploadId) -> Arc<Upload> {
        let mut all = self.0.locked();
        if let Some(upload) = all.get(&id).and_then(Weak::upgrade) {
            return upload;
        }
        if all.len() == all.capacity() {
            all.retain(|_, upload| upload.strong_count() > 0);
        }
        let upload = Arc::new(Upload::default());
        all.insert(id, Arc::downgrade(&upload));
        upload
    }
}

impl Turn {
    /// Waits until a newer stream wants the upload.
    pub async fn superseded(&self) {
        self.held.over.cancelled().await;
    }

    /// Keeps the turn beyond the stream.
    pub fn hold(&self) -> Hold {
        self.held.clone()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.held.over.cancel();
    }
}

impl Hold {
    /// Is the stream gone that this works for?
    pub fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_newer_stream_ends_the_older_one() {
        let running = Running::default();
        let id = UploadId(Uuid::from_u128(1));
        let first = running.enter(id).await.unwrap();
        let other = running.enter(UploadId(Uuid::from_u128(2))).await.unwrap();
        let (second, ()) = tokio::join!(running.enter(id), async {
            first.superseded().await;
            drop(first);
        });
        assert!(second.is_ok() && !other.hold().is_over());
    }

    #[tokio::test]
    async fn a_turn_lasts_until_what_works_for_it_has_let_go() {
        let running = Running::default();
        let id = UploadId(Uuid::from_u128(1));
        let first = running.enter(id).await.unwrap();
        let working = first.hold();
        drop(first);
        assert!(working.is_over(), "it is told to end");
        let second = running.enter(id);
        tokio::pin!(second);
        assert!(futures::poll!(second.as_mut()).is_pending(), "the file is still written");
        drop(working);
        assert!(second.await.is_ok());
    }
}
