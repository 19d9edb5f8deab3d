//! The store on SQLite: one file, one connection that writes, several that read.
//!
//! The modules under `shared` are compiled here and for Postgres from the same files, because most statements are the same in both; what is not
//! is here: connections, locks, statements over arrays, and the conditions of a search.
#![expect(clippy::duplicate_mod, reason = "the same statements for two databases; the types that they run on differ")]

/// Locks the rows of a SELECT against changes: here, a transaction that writes is alone anyway.
macro_rules! share {
    () => {
        ""
    };
}
/// As `share`.
macro_rules! update {
    () => {
        ""
    };
}
/// As `share`.
macro_rules! lock_first {
    ($table:literal) => {
        ""
    };
}
/// Joins texts of several rows into one.
macro_rules! joined {
    ($text:literal) => {
        concat!("group_concat(", $text, ", '\u{1f}')")
    };
}

mod bulk;
mod connect;
mod terms;

#[path = "shared/accounts.rs"]
mod accounts;
#[path = "shared/begin.rs"]
mod begin;
#[path = "shared/files.rs"]
mod files;
#[path = "shared/groups.rs"]
mod groups;
#[path = "shared/holdings.rs"]
mod holdings;
#[path = "shared/manage.rs"]
mod manage;
#[path = "shared/notices.rs"]
mod notices;
#[path = "shared/peers.rs"]
mod peers;
#[path = "shared/publish.rs"]
mod publish;
#[path = "shared/search.rs"]
mod search;
#[path = "shared/sessions.rs"]
mod sessions;
#[path = "shared/tokens.rs"]
mod tokens;
#[path = "shared/upkeep.rs"]
mod upkeep;

use futures::future::BoxFuture;
use peral_model::NetworkId;
use sqlx::{Sqlite, SqlitePool, pool::PoolConnection};

use super::{Connections, Result, StoreError, common::Common};

type Driver = Sqlite;
type Conn = sqlx::SqliteConnection;

/// A store in a SQLite file.
pub(super) struct Database {
    readers: SqlitePool,
    /// One connection: writers wait for it in order instead of being told BUSY.
    writer: SqlitePool,
    network: NetworkId,
    common: Common,
}

impl Database {
    fn count_connections(&self) -> Connections {
        Connections::new(self.readers.size() + self.writer.size(), self.readers.num_idle() + self.writer.num_idle())
    }

    /// Runs a transaction in a task of its own: dropping the caller does not stop it half-way, which in sqlx 0.9.0 could hand on a connection
    /// that is still inside it (its issue 4393). It begins as a writer, so that it never has to become one against another.
    async fn write<A, T, F>(&self, args: A, work: F) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> Fn(&'c mut Conn, &'c A) -> BoxFuture<'c, Result<T>> + Send + Sync + 'static,
    {
        let pool = self.writer.clone();
        let task = tokio::spawn(async move {
            let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
            match work(&mut transaction, &args).await {
                Ok(value) => {
                    transaction.commit().await?;
                    Ok(value)
                }
                Err(error) => {
                    // Where even this fails, the connection is broken and the pool throws it away.
                    transaction.rollback().await.ok();
                    Err(error)
                }
            }
        });
        task.await.unwrap_or_else(|error| Err(StoreError::Unavailable(format!("the transaction's task ended: {error}"))))
    }

    /// A connection for reading.
    async fn reader(&self) -> Result<PoolConnection<Driver>> {
        Ok(self.readers.acquire().await?)
    }

    async fn close_all(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
