//! What a peer remembers, in a SQLite file of its own in the data folder.
//!
//! One connection writes, several read. Writing runs in tasks of its own, which a caller that goes away cannot cut off in a transaction.

pub mod deltas;
pub mod files;
pub mod jobs;
pub mod records;
pub mod rights;
pub mod shares;

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use futures::future::BoxFuture;
use peral_wire::{Failure, fail};
use sqlx::{
    SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

const READERS: u32 = 4;
const BUSY: Duration = Duration::from_secs(20);

/// The peer's database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Db {
    read: SqlitePool,
    write: SqlitePool,
}

/// A database error as others see it.
pub fn broken(error: impl std::fmt::Display) -> Failure {
    fail!(Internal, "the peer's own database fails: {error}")
}

impl Db {
    /// Opens the database file, making it or bringing it up to date.
    ///
    /// # Errors
    /// INTERNAL, with what the database says.
    pub async fn open(path: &Path) -> Result<Self, Failure> {
        // SQLite gives its other files the rights of this one.
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map_err(broken)?;
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).busy_timeout(BUSY).foreign_keys(true);
        let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        let writing = options.clone().pragma("cache_size", "-16384");
        let write = SqlitePoolOptions::new().max_connections(1).connect_with(writing).await.map_err(broken)?;
        sqlx::migrate!("./migrations").run(&write).await.map_err(broken)?;
        let read = SqlitePoolOptions::new().max_connections(READERS).connect_with(options.read_only(true).pragma("cache_size", "-4096")).await.map_err(broken)?;
        Ok(Self { read, write })
    }

    /// For statements that only read.
    pub fn reader(&self) -> &SqlitePool {
        &self.read
    }

    /// Runs `work` in one transaction, which is kept if it succeeds.
    ///
    /// # Errors
    /// INTERNAL, with what the database says.
    pub async fn write<T, F>(&self, work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut SqliteConnection) -> BoxFuture<'a, sqlx::Result<T>> + Send + 'static,
    {
        let pool = self.write.clone();
        let task = tokio::spawn(async move {
            let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
            let value = work(&mut transaction).await?;
            transaction.commit().await?;
            Ok(value)
        });
        task.await.map_err(broken)?.map_err(|error: sqlx::Error| broken(error))
    }

    /// A text that is kept under a key.
    ///
    /// # Errors
    /// INTERNAL, with what the database says.
    pub async fn meta(&self, key: &str) -> Result<Option<String>, Failure> {
        sqlx::query_scalar("SELECT value FROM meta WHERE key = $1").bind(key).fetch_optional(&self.read).await.map_err(broken)
    }

    /// Keeps a text under a key.
    ///
    /// # Errors
    /// INTERNAL, with what the database says.
    pub async fn set_meta(&self, key: &'static str, value: String) -> Result<(), Failure> {
        self.write(move |db| {
            Box::pin(async move {
                let text = "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
                sqlx::query(text).bind(key).bind(value).execute(db).await.map(drop)
            })
        })
        .await
    }

    /// Closes the database, after what is being written.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

/// Numbers of ours are at most 2^63-1, as the wire checks on entry; SQLite's are signed.
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The other way.
pub fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
