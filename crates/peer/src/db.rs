//! What a peer remembers, in a SQLite file of its own in the data folder.
//!
//! One connection writes, several read. Writing runs in tasks of its own, which a caller that goes
//! away cannot cut off in a transaction.

mod deltas;
pub(crate) mod files;
mod holding;
pub(crate) mod jobs;
pub(crate) mod pending;
pub(crate) mod records;
mod rights;
pub(crate) mod shares;

use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use peral_wire::{Failure, fail};
use sqlx::{
    Connection, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

const READERS: u32 = 4;
const BUSY: Duration = Duration::from_secs(20);

/// The peer's database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Db {
    read: SqlitePool,
    write: SqlitePool,
    /// The last write found no room.
    full: Arc<AtomicBool>,
}

/// A database error as others see it.
pub(crate) fn broken(error: impl std::fmt::Display) -> Failure {
    fail!(Internal, "the peer's own database failed: {error}")
}

/// SQLite's FULL, and what it says when its shared memory cannot grow.
fn is_full(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| matches!(code.as_ref(), "13" | "4874"))
}

impl Db {
    /// Opens the database file; creates it or migrates it where that is needed.
    ///
    /// # Errors
    /// INTERNAL, with what the database says.
    pub async fn open(path: &Path) -> Result<Self, Failure> {
        // SQLite gives its other files the rights of this one.
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(broken)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .busy_timeout(BUSY)
            .foreign_keys(true);
        let options =
            options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        let writing = options.clone().pragma("cache_size", "-16384");
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(writing)
            .await
            .map_err(broken)?;
        sqlx::migrate!("./migrations").run(&write).await.map_err(broken)?;
        let read = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.read_only(true).pragma("cache_size", "-4096"))
            .await
            .map_err(broken)?;
        Ok(Self { read, write, full: Arc::default() })
    }

    /// For statements that only read.
    pub(crate) fn reader(&self) -> &SqlitePool {
        &self.read
    }

    /// Runs `work` in one transaction, which is kept if it succeeds.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut SqliteConnection) -> BoxFuture<'a, sqlx::Result<T>>
            + Send
            + 'static,
    {
        let db = self.clone();
        let task = tokio::spawn(async move {
            let mut connection = db.write.acquire().await?;
            let (written, usable) = attempt(&mut connection, work).await;
            if !usable {
                connection.close().await.ok();
            }
            written
        });
        let written = task.await.map_err(broken)?;
        self.note(&written);
        written.map_err(|error| if is_full(&error) { full() } else { broken(error) })
    }

    /// Records whether the disk is full; the log says it once.
    fn note<T>(&self, written: &sqlx::Result<T>) {
        match written {
            Err(error) if is_full(error) => {
                if !self.full.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "the disk of the data folder is full; nothing new is \
                        stored until there is room");
                }
            }
            Ok(_) => {
                if self.full.swap(false, Ordering::Relaxed) {
                    tracing::info!("the data folder has room again");
                }
            }
            Err(_) => {}
        }
    }

    /// Why the database cannot be written. Tried again where the last write found the disk full.
    pub(crate) async fn trouble_writing(&self) -> Option<Failure> {
        if !self.full.load(Ordering::Relaxed) {
            return None;
        }
        let probed = self.write(|db| {
            Box::pin(async move {
                sqlx::query("INSERT INTO meta (key, value) VALUES ('probe', '')")
                    .execute(&mut *db)
                    .await?;
                sqlx::query("DELETE FROM meta WHERE key = 'probe'").execute(db).await.map(drop)
            })
        });
        probed.await.err()
    }

    /// The text that is stored under a key.
    pub(crate) async fn meta(&self, key: &str) -> Result<Option<String>, Failure> {
        sqlx::query_scalar("SELECT value FROM meta WHERE key = $1")
            .bind(key)
            .fetch_optional(&self.read)
            .await
            .map_err(broken)
    }

    /// Stores a text under a key.
    pub(crate) async fn set_meta(&self, key: &'static str, value: String) -> Result<(), Failure> {
        self.write(move |db| {
            Box::pin(async move {
                let text = "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO \
                    UPDATE SET value = excluded.value";
                sqlx::query(text).bind(key).bind(value).execute(db).await.map(drop)
            })
        })
        .await
    }

    /// Closes the database when running writes are done.
    pub(crate) async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

/// What others are told while the disk is full.
fn full() -> Failure {
    fail!(
        NoSpace,
        "the disk of this peer's data folder is full; nothing new can be stored until there is room"
    )
}

/// Runs a transaction. False next to its result: the connection may still be inside it, or think so,
/// and must not be used again. So it is after SQLite's FULL, which ends the transaction by itself:
/// ROLLBACK then fails, and sqlx 0.9.0 counts on a transaction that is not there.
async fn attempt<T, F>(connection: &mut SqliteConnection, work: F) -> (sqlx::Result<T>, bool)
where
    F: for<'a> FnOnce(&'a mut SqliteConnection) -> BoxFuture<'a, sqlx::Result<T>>,
{
    let mut transaction = match connection.begin_with("BEGIN IMMEDIATE").await {
        Ok(transaction) => transaction,
        Err(error) => return (Err(error), false),
    };
    match work(&mut transaction).await {
        Ok(value) => match transaction.commit().await {
            Ok(()) => (Ok(value), true),
            Err(error) => (Err(error), false),
        },
        Err(error) => (Err(error), transaction.rollback().await.is_ok()),
    }
}

/// Numbers of ours are at most 2^63-1, as the wire checks on entry; SQLite's are signed.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The other way.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The writer may not make its file larger, as on a full disk; a connection that is opened
    /// later may.
    async fn fill(db: &Db) {
        let mut writer = db.write.acquire().await.unwrap();
        let pages: i64 =
            sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *writer).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}")))
            .execute(&mut *writer)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_breaks_nothing_for_good() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&folder.path().join("peer.db")).await.unwrap();
        for key in ["a", "b", "c"] {
            assert!(db.trouble_writing().await.is_none());
            fill(&db).await;
            let full = db.set_meta(key, "x".repeat(1 << 20)).await.unwrap_err();
            assert_eq!(full.code, peral_wire::ErrorCode::NoSpace, "{full}");
            assert!(db.full.load(Ordering::Relaxed));
            assert!(db.trouble_writing().await.is_none(), "a small write finds room, and says so");
            db.set_meta(key, "x".repeat(1 << 20)).await.unwrap();
        }
    }
}
