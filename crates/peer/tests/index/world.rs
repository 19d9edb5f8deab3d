//! A peer with a share, whose central is nowhere.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use peral_model::{AccountId, ContentId, FileId, FileName, NetworkId, PeerId, Record, Visibility};
use peral_peer::{
    DataDir, Db, FinishedDownload, Indexer, Library, Link, PendingRow, RegisteredPeer, Rights,
};
use peral_runtime::{SharedClock, SystemClock};
use peral_testkit::{
    files::write_settled,
    identity::{content_of, record_key, verifier},
    until,
};
use peral_transfer::Stamp;
use peral_wire::{Sealed, keys::SigningKey, rest::holdings::Extent};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub const OWNER: AccountId = AccountId(Uuid::from_u128(200));

pub struct World {
    pub library: Library,
    key: SigningKey,
    pub share: PathBuf,
    pub stop: CancellationToken,
    clock: SharedClock,
    _folder: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A peer with one share, whose indexer runs but whose central is nowhere.
pub async fn world(visibility: Visibility) -> World {
    world_at(visibility, SystemClock::shared()).await
}

/// The same with another clock.
pub async fn world_at(visibility: Visibility, clock: SharedClock) -> World {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let data = DataDir::open(&root.join("data")).unwrap();
    let db = Db::open(&data.file("peer.db")).await.unwrap();
    let key = record_key();
    let link = Link::new("https://central", clock.clone());
    link.set_registration(RegisteredPeer {
        peer: PeerId(Uuid::from_u128(1)),
        epoch: 1,
        account: OWNER,
        network: NetworkId(Uuid::from_u128(1)),
    });
    let rights =
        Rights::open(db.clone(), clock.clone(), link.clone(), verifier(&key)).await.unwrap();
    let library = Library::new(data, db, rights, link, clock.clone()).unwrap();
    let share = root.join("share");
    library.share(&share, "p", visibility).await.unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(Indexer::new(library.clone(), Duration::from_millis(500)).run(stop.clone()));
    World { library, key, share, stop, clock, _folder: folder }
}

impl World {
    /// Writes a file that looks as if it had been left alone for a while.
    pub fn write(&self, below: &str, bytes: &[u8]) -> PathBuf {
        write_settled(&self.share.join(below), bytes)
    }

    /// Names that wait to be published, with their contents.
    pub async fn pending(&self) -> Vec<(String, Vec<u8>)> {
        let rows = self.library.db().pending(0, OWNER.0, 1000).await.unwrap();
        let mut rows: Vec<_> = rows.into_iter().map(|row| (row.name, row.hash)).collect();
        rows.sort();
        rows
    }

    pub async fn until_pending(&self, expected: &[(&str, &[u8])]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), ContentId::of(bytes).to_vec()))
            .collect();
        until(&format!("{expected:?} wait to be published"), async || {
            let pending = self.pending().await;
            if pending == expected { Ok(()) } else { Err(pending) }
        })
        .await;
    }

    /// Waits until something waits to be published; the first of it.
    pub async fn until_some_pending(&self) -> PendingRow {
        until("something waits to be published", async || {
            self.library.db().pending(0, OWNER.0, 10).await.unwrap().into_iter().next()
        })
        .await
    }

    pub fn record(
        &self,
        name: &str,
        id: u128,
        version: u64,
        bytes: &[u8],
        visibility: Visibility,
        owner: AccountId,
    ) -> Sealed<Record> {
        let record = Record {
            file: FileId(Uuid::from_u128(id)),
            name: FileName::new(name).unwrap(),
            version,
            content: content_of(bytes),
            owner,
            visibility,
            serial: 1,
            published_ms: self.clock.now_ms(),
        };
        Sealed::seal(record, &self.key)
    }

    /// As a download into `path` would.
    pub async fn adopt(&self, record: Sealed<Record>, path: &Path) {
        let stamp = Stamp::of(&fs::File::open(path).unwrap()).unwrap();
        self.library.adopt(FinishedDownload { record, path: path.into(), stamp }).await.unwrap();
    }

    pub async fn deltas(&self) -> Vec<(u64, Extent)> {
        let log = self.library.db().deltas_after(0, 1000).await.unwrap();
        log.into_iter().map(|(_, delta)| (delta.version.version, delta.held)).collect()
    }
}
