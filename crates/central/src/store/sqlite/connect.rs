//! Opening a SQLite file.

use std::{path::Path, sync::Arc, time::Duration};

use peral_model::NetworkId;
use sqlx::{
    SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
};
use uuid::Uuid;

use super::Database;
use crate::store::{
    GENERATION, Result,
    common::Common,
    open::{check_generation, migration},
};

/// How long a statement waits for another process that writes.
const BUSY: Duration = Duration::from_secs(5);
/// How long a call waits for a connection: a writer has the others before it.
const ACQUIRE: Duration = Duration::from_secs(10);

impl Database {
    /// Opens or makes the file, migrates, and reads the network's id.
    pub(in crate::store) async fn open(path: &str, connections: u32) -> Result<Self> {
        let writer = pool(options(path), 1).await?;
        let network = prepare(&mut *writer.acquire().await?).await?;
        let readers = pool(options(path).pragma("query_only", "ON"), connections.max(1)).await?;
        Ok(Self { readers, writer, network, common: Common::default(), room: Arc::default() })
    }
}

/// WAL, so that readers and the writer do not wait for each other; FULL, so that what was acknowledged is on the disk.
fn options(path: &str) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(Path::new(path))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", "-32768")
        .pragma("mmap_size", "268435456")
        .pragma("journal_size_limit", "67108864")
        .pragma("wal_autocheckpoint", "4000")
}

async fn pool(options: SqliteConnectOptions, connections: u32) -> Result<SqlitePool> {
    let pool = SqlitePoolOptions::new().max_connections(connections).min_connections(1).acquire_timeout(ACQUIRE).test_before_acquire(false);
    // A file that is closed and opened again loses its cache: connections stay.
    Ok(pool.idle_timeout(None).max_lifetime(None).connect_with(options).await?)
}

async fn prepare(connection: &mut SqliteConnection) -> Result<NetworkId> {
    let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'meta')").fetch_one(&mut *connection).await?;
    if known {
        let oldest = sqlx::query_scalar("SELECT oldest_central FROM meta").fetch_optional(&mut *connection).await?;
        check_generation(oldest.unwrap_or(0))?;
    }
    let mut migrations = sqlx::migrate!("migrations/sqlite");
    // A newer central may have added to the schema; whether this one may go on is for the check above.
    migrations.set_ignore_missing(true);
    // Not `run`: its future cannot be seen to be Send, so that nobody could spawn it.
    migrations.run_direct(None, &mut *connection, false).await.map_err(migration)?;
    let made = "INSERT INTO meta (one, network, generation, oldest_central) VALUES (TRUE, $1, $2, $2) ON CONFLICT DO NOTHING";
    sqlx::query(made).bind(Uuid::new_v4()).bind(GENERATION).execute(&mut *connection).await?;
    let (network, oldest): (Uuid, i64) = sqlx::query_as("SELECT network, oldest_central FROM meta").fetch_one(connection).await?;
    check_generation(oldest)?;
    Ok(NetworkId(network))
}
