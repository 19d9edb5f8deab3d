//! What this peer holds.

mod adopt;
mod finished;
mod folders;
mod forget;
mod held;
mod keep;
mod land;
mod remove;
mod share;
mod space;
mod spool;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use peral_model::{Content, FileId, FileName, Record, UploadId};
use peral_runtime::{Lock, SharedClock};
use peral_transfer::{
    Registry,
    lists::{ListStore, PieceList},
};
use peral_wire::{ErrorCode, Failure, Sealed, fail};
use sqlx::FromRow;
use tokio::sync::{Mutex, Notify, watch};

pub use self::{
    finished::FinishedDownload,
    held::{Held, Offer},
    space::{Reservation, Space},
    spool::Spool,
};
pub(crate) use self::{
    folders::apart,
    spool::{is_abandoned, is_spooled},
};
use crate::{
    data::DataDir,
    db::{
        Db, broken,
        files::{FileRow, drop_row},
        records::stored,
        shares::ShareRow,
    },
    link::Link,
    rights::Rights,
};

/// Most rows of one listing.
pub const MAX_LIST: u32 = 1000;
/// Maximum number of paths that are remembered as not indexable, so that a folder of a million
/// invalid names does not fill the memory.
const MAX_UNINDEXABLE: usize = 1000;

/// Why a copy is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdraw {
    /// It is not what was indexed: it is indexed again.
    Changed,
    /// Its bytes do not hash to its content, though size, time and inode stayed.
    Integrity,
    /// It was removed from the catalogue.
    Removed,
}

/// Wakes the parts of a peer that do the work.
#[derive(Debug, Default)]
pub struct WakeUps {
    /// There is something to publish.
    pub publish: Notify,
    /// There is something to tell central of holdings.
    pub deltas: Notify,
    /// Shares are to be walked now.
    pub rescan: Notify,
}

struct Inner {
    data: DataDir,
    db: Db,
    lists: ListStore,
    registry: Registry,
    rights: Rights,
    link: Link,
    clock: SharedClock,
    space: Space,
    wake_ups: WakeUps,
    /// Held while a path and its row must not be seen apart.
    moves: Mutex<()>,
    /// Number of the last delta that central has.
    acknowledged: watch::Sender<u64>,
    /// Files that cannot be indexed and have no row, by path.
    unindexable: std::sync::Mutex<HashMap<PathBuf, Failure>>,
}

/// What this peer holds. Cheap to clone.
#[derive(Clone)]
pub struct Library(Arc<Inner>);

impl Library {
    /// The library in a data folder.
    ///
    /// # Errors
    /// INTERNAL, when the folder for piece lists cannot be made.
    pub fn new(
        data: DataDir,
        db: Db,
        rights: Rights,
        link: Link,
        clock: SharedClock,
    ) -> Result<Self, Failure> {
        let lists = ListStore::new(&data.lists()).map_err(|error| {
            fail!(Internal, "cannot create the folder for piece lists: {error}")
        })?;
        let space = Space::new(data.root());
        let wake_ups = WakeUps::default();
        let (moves, acknowledged, unindexable) =
            (Mutex::default(), watch::channel(0).0, std::sync::Mutex::default());
        Ok(Self(Arc::new(Inner {
            data,
            db,
            lists,
            registry: Registry::default(),
            rights,
            link,
            clock,
            space,
            wake_ups,
            moves,
            acknowledged,
            unindexable,
        })))
    }

    /// The peer's database.
    pub fn db(&self) -> &Db {
        &self.0.db
    }

    /// The data folder.
    pub fn data(&self) -> &DataDir {
        &self.0.data
    }

    /// Where piece lists are kept.
    pub fn lists(&self) -> &ListStore {
        &self.0.lists
    }

    /// File versions that are arriving.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// Who may have what.
    pub fn rights(&self) -> &Rights {
        &self.0.rights
    }

    /// The way to central.
    pub fn link(&self) -> &Link {
        &self.0.link
    }

    /// Room on the disk.
    pub fn space(&self) -> &Space {
        &self.0.space
    }

    /// Wakes the parts that do the work.
    pub fn wake_ups(&self) -> &WakeUps {
        &self.0.wake_ups
    }

    /// Promises room on the volume of the data folder.
    ///
    /// # Errors
    /// NO_SPACE.
    pub fn reserve(&self, bytes: u64) -> Result<Reservation, Failure> {
        self.0.space.reserve(bytes)
    }

    /// Is there room for uploads? To be asked before the first byte of one is written.
    ///
    /// # Errors
    /// NO_SPACE.
    pub fn has_room(&self) -> Result<(), Failure> {
        if self.0.space.is_full() {
            Err(fail!(
                NoSpace,
                "the volume of this peer is full; it accepts no uploads until there is more room"
            ))
        } else {
            Ok(())
        }
    }

    /// A file version that is held whole.
    ///
    /// # Errors
    /// INTERNAL, when the database fails.
    pub async fn find(&self, file: FileId, version: u64) -> Result<Option<Held>, Failure> {
        let Some(record) = self.0.db.record(file, version).await? else { return Ok(None) };
        let rows = self.0.db.files_of(file, version).await?;
        Ok(rows.into_iter().next().map(|row| held(&row, record)))
    }

    /// A file version that can be served: held whole, or arriving.
    ///
    /// # Errors
    /// INTERNAL, when the database fails.
    pub async fn offer(&self, file: FileId, version: u64) -> Result<Option<Offer>, Failure> {
        Ok(match self.find(file, version).await? {
            Some(held) => Some(Offer::Whole(Box::new(held))),
            None => self.0.registry.find(file, version).map(Offer::Arriving),
        })
    }

    /// The newest version that is held of a name.
    ///
    /// # Errors
    /// INTERNAL, when the database fails.
    pub async fn find_name(&self, name: &FileName) -> Result<Option<Held>, Failure> {
        let text = "SELECT file_id, version FROM files WHERE name = $1 AND state = 1 ORDER BY \
            version DESC LIMIT 1";
        let found: Option<(uuid::Uuid, i64)> = sqlx::query_as(text)
            .bind(name.as_str())
            .fetch_optional(self.0.db.reader())
            .await
            .map_err(broken)?;
        match found {
            Some((file, version)) => self.find(FileId(file), crate::db::unsigned(version)).await,
            None => Ok(None),
        }
    }

    /// What is held under names with this prefix, after a name, in byte order; at most `limit` and
    /// 1,000. A name may come more than once, with several versions; a page never ends
    /// between them, but for a name of more than a page. Versions whose rights have changed since
    /// their records were signed are left out: nobody here knows who may see them.
    ///
    /// # Errors
    /// INTERNAL, when the database fails.
    pub async fn list(&self, prefix: &str, after: &str, limit: u32) -> Result<Vec<Held>, Failure> {
        let text = "SELECT f.id, f.path, f.share, f.name, f.size, f.mtime_ns, f.inode, f.device,
            f.hash, f.state, f.file_id, f.version, f.fetched,
                f.code, f.detail, r.envelope
            FROM files f JOIN records r ON r.file_id = f.file_id AND r.version = f.version
            WHERE f.state = 1 AND f.name >= $1 AND f.name > $2 AND substr(f.name, 1, length($1))
            = $1
                AND r.serial >= COALESCE((SELECT s.serial FROM serials s WHERE s.file_id =
                r.file_id), 0)
                AND NOT EXISTS (SELECT 1 FROM records o WHERE o.file_id = r.file_id AND o.serial
                > r.serial)
            ORDER BY f.name, f.version DESC LIMIT $3";
        let query = sqlx::query_as::<_, ListedRow>(text).bind(prefix).bind(after);
        let limit = limit.min(MAX_LIST);
        let mut rows = query.bind(limit + 1).fetch_all(self.0.db.reader()).await.map_err(broken)?;
        let limit = limit as usize;
        if let Some(next) = rows.get(limit).map(|row| row.file.name.clone()) {
            let whole =
                rows.iter().position(|row| row.file.name == next).filter(|whole| *whole > 0);
            rows.truncate(whole.unwrap_or(limit));
        }
        rows.into_iter().map(|row| Ok(held(&row.file, stored(&row.envelope)?))).collect()
    }

    /// The piece list of what is held, made again from the file where it is missing.
    ///
    /// # Errors
    /// CHANGED when the file is not what was indexed; INTEGRITY when its bytes are not, though it
    /// looks so; INTERNAL.
    pub async fn piece_list(&self, held: &Held) -> Result<PieceList, Failure> {
        let (lists, of) = (self.0.lists.clone(), held.clone());
        let made =
            tokio::task::spawn_blocking(move || make_list(&lists, &of)).await.map_err(broken)?;
        if let Err(failure) = &made {
            match failure.code {
                ErrorCode::Changed => self.withdraw(held, Withdraw::Changed).await?,
                ErrorCode::Integrity => self.withdraw(held, Withdraw::Integrity).await?,
                _ => {}
            }
        }
        made
    }

    /// The piece list of what is offered.
    ///
    /// # Errors
    /// As [`Self::piece_list`].
    pub async fn list_of(&self, offer: &Offer) -> Result<PieceList, Failure> {
        match offer {
            Offer::Whole(held) => self.piece_list(held).await,
            Offer::Arriving(holder) => holder
                .list()
                .cloned()
                .ok_or_else(|| fail!(Internal, "a file that arrives has no piece list")),
        }
    }

    /// Where the bytes of an upload go until they are whole.
    pub fn upload_temp(&self, upload: UploadId) -> PathBuf {
        self.0.data.uploads().join(upload.to_string())
    }

    /// Shares, the first one first.
    ///
    /// # Errors
    /// INTERNAL, when the database fails.
    pub async fn shares(&self) -> Result<Vec<ShareRow>, Failure> {
        self.0.db.shares().await
    }

    /// The share that a path is in, and the name that it has there.
    pub(crate) async fn share_of(
        &self,
        path: &Path,
    ) -> Result<Option<(ShareRow, String)>, Failure> {
        let below = |share: ShareRow| {
            let below = path.strip_prefix(&share.path).ok()?.to_str()?;
            let name = share.name_of(below);
            (!below.is_empty()).then_some((share, name))
        };
        Ok(self.shares().await?.into_iter().find_map(below))
    }

    /// Number of the last delta that central has.
    pub(crate) fn acknowledged_delta(&self) -> u64 {
        *self.0.acknowledged.borrow()
    }

    /// Central has all deltas up to this number.
    pub(crate) fn acknowledge(&self, number: u64) {
        self.0.acknowledged.send_replace(number);
    }

    /// The number of the last delta that central has, as it rises.
    pub(crate) fn watch_acknowledged(&self) -> watch::Receiver<u64> {
        self.0.acknowledged.subscribe()
    }

    /// The time, in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        self.0.clock.now_ms()
    }

    /// Files that cannot be indexed and have no row, by path.
    pub(crate) fn unindexable(&self) -> HashMap<PathBuf, Failure> {
        self.0.unindexable.locked().clone()
    }

    /// Waits until central has all deltas written until now.
    ///
    /// # Errors
    /// INTERNAL, when the database fails. The caller sets the deadline.
    pub async fn acknowledged(&self) -> Result<(), Failure> {
        let last = self.0.db.last_delta().await?;
        self.0.wake_ups.deltas.notify_one();
        self.0
            .acknowledged
            .subscribe()
            .wait_for(|number| *number >= last)
            .await
            .map(drop)
            .map_err(broken)
    }

    /// Forgets a row and what it held.
    pub(crate) async fn forget_row(&self, id: i64) -> Result<(), Failure> {
        let went = self.0.db.write(move |db| Box::pin(drop_row(db, id))).await?;
        if went {
            self.0.wake_ups.deltas.notify_one();
        }
        Ok(())
    }
}

#[derive(FromRow)]
struct ListedRow {
    #[sqlx(flatten)]
    file: FileRow,
    envelope: Vec<u8>,
}

fn held(row: &FileRow, record: Sealed<Record>) -> Held {
    Held { record, path: PathBuf::from(&row.path), stamp: row.stamp(), fetched: row.fetched }
}

fn make_list(lists: &ListStore, held: &Held) -> Result<PieceList, Failure> {
    let content: Content = held.record.value.content;
    if let Some(list) = lists.open(&content) {
        return Ok(list);
    }
    let file = held.open()?;
    let hashed = lists
        .hash(file.file(), content.size)
        .map_err(|error| fail!(Internal, "a piece list cannot be made: {error}"))?;
    file.check()?;
    if hashed != content {
        return Err(fail!(
            Integrity,
            "the copy of {} on this peer no longer hashes to its content; ask another",
            held.record.value.name
        ));
    }
    lists.open(&content).ok_or_else(|| fail!(Internal, "a piece list that was just made is gone"))
}
