//! The store on SQLite: one file, one connection that writes, several that read.
//!
//! The modules under `shared` are compiled here and for Postgres from the same files, because most
//! statements are the same in both; what is not is here: connections, locks, statements over
//! arrays, and the conditions of a search.
#![expect(
    clippy::duplicate_mod,
    reason = "the same statements for two databases; the types that they run on differ"
)]

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
/// Counts the rows of a table, by reading an index of it.
macro_rules! counted {
    ($rows:literal, $index:literal) => {
        concat!("(SELECT count(*) FROM ", $rows, ")")
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

#[path = "shared/access.rs"]
mod access;
#[path = "shared/accounts.rs"]
mod accounts;
#[path = "shared/begin.rs"]
mod begin;
#[path = "shared/counts.rs"]
mod counts;
#[path = "shared/detail.rs"]
mod detail;
#[path = "shared/events.rs"]
mod events;
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
#[path = "shared/prepare.rs"]
mod prepare;
#[path = "shared/principals.rs"]
mod principals;
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

use std::sync::Arc;

use futures::future::BoxFuture;
use peral_model::NetworkId;
use sqlx::{Connection, Sqlite, SqlitePool, pool::PoolConnection};

use super::{Connections, Result, StoreError, common::Common, room::Room};

type Driver = Sqlite;
type Conn = sqlx::SqliteConnection;

/// A store in a SQLite file.
pub(super) struct Database {
    readers: SqlitePool,
    /// One connection: writers wait for it in order instead of being told BUSY.
    writer: SqlitePool,
    network: NetworkId,
    common: Common,
    room: Arc<Room>,
}

impl Database {
    fn count_connections(&self) -> Connections {
        Connections::new(
            self.readers.size() + self.writer.size(),
            self.readers.num_idle() + self.writer.num_idle(),
        )
    }

    /// Runs a transaction in a task of its own: dropping the caller does not stop it half-way,
    /// which in sqlx 0.9.0 could hand on a connection that is still inside it (its issue 4393). It
    /// begins as a writer, so that it never has to become one against another.
    async fn write<A, T, F>(&self, args: A, work: F) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> Fn(&'c mut Conn, &'c A) -> BoxFuture<'c, Result<T>> + Send + Sync + 'static,
    {
        let (pool, room) = (self.writer.clone(), Arc::clone(&self.room));
        let task = tokio::spawn(async move {
            let mut connection = pool.acquire().await?;
            let (written, usable) = attempt(&mut connection, &args, &work).await;
            room.note(&written);
            if !usable {
                connection.close().await.ok();
            }
            written
        });
        task.await.unwrap_or_else(|error| {
            Err(StoreError::Unavailable(format!("the transaction's task ended: {error}")))
        })
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

/// Runs a transaction. False beside its result: the connection may still be inside it, or think so,
/// and must not be used again. So it is after SQLite's FULL, which ends the transaction by itself:
/// ROLLBACK then fails, and sqlx 0.9.0 counts on a transaction that is not there.
async fn attempt<A, T, F>(connection: &mut Conn, args: &A, work: &F) -> (Result<T>, bool)
where
    F: for<'c> Fn(&'c mut Conn, &'c A) -> BoxFuture<'c, Result<T>>,
{
    let mut transaction = match connection.begin_with("BEGIN IMMEDIATE").await {
        Ok(transaction) => transaction,
        Err(error) => return (Err(error.into()), false),
    };
    match work(&mut transaction, args).await {
        Ok(value) => match transaction.commit().await {
            Ok(()) => (Ok(value), true),
            Err(error) => (Err(error.into()), false),
        },
        Err(error) => (Err(error), transaction.rollback().await.is_ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Options, Sessions, Store};

    /// The writer may not make its file larger, as on a full disk; a connection that is opened
    /// later may.
    async fn fill(store: &Database) {
        let mut writer = store.writer.acquire().await.unwrap();
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
        let options = Options { url: String::new(), connections: 2, network: None };
        let store = Database::open(folder.path().join("central.db").to_str().unwrap(), &options)
            .await
            .unwrap();
        for round in 0..3_u8 {
            fill(&store).await;
            let large = vec![round; 1 << 20];
            let full = store.use_nonce(&large, 1).await.unwrap_err();
            assert!(matches!(full, StoreError::Full(_)), "{full:?}");
            assert!(store.room.is_full());
            assert_eq!(peral_wire::Failure::from(full).code, peral_wire::ErrorCode::NoSpace);
            store.ping().await.unwrap();
            assert!(!store.room.is_full(), "the ping wrote something");
            assert!(store.use_nonce(&large, 1).await.unwrap(), "there is room again");
        }
    }
}
