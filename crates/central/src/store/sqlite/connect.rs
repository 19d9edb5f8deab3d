//! Opening a SQLite file.

use std::{path::Path, time::Duration};

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::shared::{Database, prepare};
use crate::store::{Options, Result};

const HAS_META: &str = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'meta')";
/// How long a statement waits for another process that writes.
const BUSY: Duration = Duration::from_secs(5);
/// How long a call waits for a connection: a writer has the others before it.
const ACQUIRE: Duration = Duration::from_secs(10);

/// Opens or makes the file, migrates, and reads the network's id.
pub(in crate::store) async fn open(path: &str, how: &Options) -> Result<Database> {
    let writer = pool(options(path), 1).await?;
    let network = prepare(
        &mut *writer.acquire().await?,
        HAS_META,
        sqlx::migrate!("migrations/sqlite"),
        how.network,
    )
    .await?;
    let readers = pool(options(path).pragma("query_only", "ON"), how.connections.max(1)).await?;
    Ok(Database::new(readers, Some(writer), network))
}

/// WAL, so that readers and the writer do not wait for each other; FULL, so that what was
/// acknowledged is on the disk.
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
    let pool = SqlitePoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(ACQUIRE)
        .test_before_acquire(false);
    // A file that is closed and opened again loses its cache: connections stay.
    Ok(pool.idle_timeout(None).max_lifetime(None).connect_with(options).await?)
}
