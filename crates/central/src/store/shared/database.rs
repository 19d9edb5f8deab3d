//! A store in a database: its connections, and how transactions run on them.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use peral_model::NetworkId;
use peral_runtime::Backoff;
use sqlx::{Connection, Pool, pool::PoolConnection};

use super::{BEGIN, Conn, Dialect, TRIES};
use crate::store::{Result, StoreError, common::Common, fault::DiskWatch};

/// The bounds of the pauses between the tries of a transaction that lost a race.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(80);

/// A store in a database.
pub(in crate::store) struct Database {
    pub(super) network: NetworkId,
    pub(super) common: Common,
    pub(in crate::store) disk: Arc<DiskWatch>,
    readers: Pool<Dialect>,
    writers: Option<Pool<Dialect>>,
}

impl Database {
    /// A store that reads by these connections, and writes by them too where it has no others.
    pub(in crate::store) fn new(
        readers: Pool<Dialect>,
        writers: Option<Pool<Dialect>>,
        network: NetworkId,
    ) -> Self {
        Self { network, common: Common::default(), disk: Arc::default(), readers, writers }
    }

    /// The connections that write.
    pub(in crate::store) fn writers(&self) -> &Pool<Dialect> {
        self.writers.as_ref().unwrap_or(&self.readers)
    }

    /// All its connections.
    pub(super) fn pools(&self) -> impl Iterator<Item = &Pool<Dialect>> {
        [&self.readers].into_iter().chain(&self.writers)
    }

    /// A connection for reading.
    pub(super) async fn reader(&self) -> Result<PoolConnection<Dialect>> {
        Ok(self.readers.acquire().await?)
    }

    /// Runs a transaction, again where it lost a race, in a task of its own: dropping the caller
    /// does not stop it half-way, which in sqlx 0.9.0 could hand on a connection that is still
    /// inside it (its issue 4393).
    pub(super) async fn write<A, T, F>(&self, args: A, work: F) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> Fn(&'c mut Conn, &'c A) -> BoxFuture<'c, Result<T>> + Send + Sync + 'static,
    {
        let (pool, disk) = (self.writers().clone(), Arc::clone(&self.disk));
        let task = tokio::spawn(async move {
            let mut tries = 1;
            let mut pauses = Backoff::new(SHORTEST, LONGEST);
            let written = loop {
                match attempt(&pool, &args, &work).await {
                    Err(StoreError::Raced) if tries < TRIES => {
                        tokio::time::sleep(pauses.next_pause()).await;
                    }
                    other => break other,
                }
                tries += 1;
            };
            disk.note(&written);
            written
        });
        task.await.unwrap_or_else(|error| {
            Err(StoreError::Unavailable(format!("the task of the transaction failed: {error}")))
        })
    }
}

async fn attempt<A, T, F>(pool: &Pool<Dialect>, args: &A, work: &F) -> Result<T>
where
    F: for<'c> Fn(&'c mut Conn, &'c A) -> BoxFuture<'c, Result<T>>,
{
    let mut connection = pool.acquire().await?;
    let (written, usable) = transact(&mut connection, args, work).await;
    if !usable {
        connection.close().await.ok();
    }
    written
}

/// Runs a transaction. False beside its result: the connection may still be inside it, or think so,
/// and must not be used again. So it is after SQLite's FULL, which ends the transaction by itself:
/// ROLLBACK then fails, and sqlx 0.9.0 counts on a transaction that is not there.
async fn transact<A, T, F>(connection: &mut Conn, args: &A, work: &F) -> (Result<T>, bool)
where
    F: for<'c> Fn(&'c mut Conn, &'c A) -> BoxFuture<'c, Result<T>>,
{
    let mut transaction = match connection.begin_with(BEGIN).await {
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
