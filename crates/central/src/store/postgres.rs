//! The store on Postgres.
//!
//! The modules under `shared` are compiled here and for SQLite from the same files, because most
//! statements are the same in both; what is not is here: connections, locks, statements over
//! arrays, and the conditions of a search.

/// Locks the rows of a SELECT against changes.
macro_rules! share {
    () => {
        " FOR SHARE"
    };
}
/// Locks the rows of a SELECT for a change of this transaction.
macro_rules! update {
    () => {
        " FOR NO KEY UPDATE"
    };
}
/// Locks the rows of one table of a SELECT for a change of this transaction.
macro_rules! lock_first {
    ($table:literal) => {
        concat!(" FOR NO KEY UPDATE OF ", $table)
    };
}
/// Counts the rows of a table that are in an index: itself up to 32 MiB of that, beyond it by what
/// autovacuum estimated last.
macro_rules! counted {
    ($rows:literal, $index:literal) => {
        concat!(
            "CASE WHEN pg_relation_size('",
            $index,
            "') < 33554432 THEN (SELECT count(*) FROM ",
            $rows,
            ") ELSE (SELECT CAST(reltuples AS bigint) FROM pg_class WHERE oid = '",
            $index,
            "'::regclass AND reltuples > 0) END"
        )
    };
}
/// Joins texts of several rows into one.
macro_rules! joined {
    ($text:literal) => {
        concat!("string_agg(", $text, ", '\u{1f}')")
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

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use peral_model::NetworkId;
use sqlx::{Connection, PgPool, Postgres, pool::PoolConnection};

use super::{Connections, Result, StoreError, common::Common, room::Room};

type Driver = Postgres;
type Conn = sqlx::PgConnection;

/// How often a transaction that lost a race is run.
const TRIES: u32 = 8;

/// A store on Postgres.
pub(super) struct Database {
    pool: PgPool,
    network: NetworkId,
    common: Common,
    room: Arc<Room>,
}

impl Database {
    fn count_connections(&self) -> Connections {
        Connections::new(self.pool.size(), self.pool.num_idle())
    }

    /// Runs a transaction, again where it lost a race, in a task of its own: dropping the caller
    /// does not stop it half-way, which in sqlx 0.9.0 could hand on a connection that is still
    /// inside it (its issue 4393).
    async fn write<A, T, F>(&self, args: A, work: F) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> Fn(&'c mut Conn, &'c A) -> BoxFuture<'c, Result<T>> + Send + Sync + 'static,
    {
        let (pool, room) = (self.pool.clone(), Arc::clone(&self.room));
        let task = tokio::spawn(async move {
            let mut tries = 1;
            loop {
                match attempt(&pool, &args, &work).await {
                    Err(StoreError::Raced) if tries < TRIES => {
                        tokio::time::sleep(pause(tries)).await;
                    }
                    other => {
                        room.note(&other);
                        return other;
                    }
                }
                tries += 1;
            }
        });
        task.await.unwrap_or_else(|error| {
            Err(StoreError::Unavailable(format!("the transaction's task ended: {error}")))
        })
    }

    /// A connection for reading.
    async fn reader(&self) -> Result<PoolConnection<Driver>> {
        Ok(self.pool.acquire().await?)
    }

    async fn close_all(&self) {
        self.pool.close().await;
    }
}

async fn attempt<A, T, F>(pool: &PgPool, args: &A, work: &F) -> Result<T>
where
    F: for<'c> Fn(&'c mut Conn, &'c A) -> BoxFuture<'c, Result<T>>,
{
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    let (written, usable) = match work(&mut transaction, args).await {
        Ok(value) => match transaction.commit().await {
            Ok(()) => (Ok(value), true),
            Err(error) => (Err(error.into()), false),
        },
        Err(error) => (Err(error), transaction.rollback().await.is_ok()),
    };
    if !usable {
        // It may still be inside the transaction, or think so.
        connection.close().await.ok();
    }
    written
}

/// Longer with each try, and never the same for two that met.
fn pause(tries: u32) -> Duration {
    Duration::from_millis(rand::random_range(1..=10 * u64::from(tries)))
}
