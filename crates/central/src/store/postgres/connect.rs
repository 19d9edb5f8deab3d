//! Connecting to Postgres.

use std::{str::FromStr, sync::Arc, time::Duration};

use peral_model::NetworkId;
use sqlx::{
    Connection,
    postgres::{PgConnectOptions, PgConnection, PgPoolOptions},
};
use uuid::Uuid;

use super::Database;
use crate::store::{
    GENERATION, Result, StoreError,
    common::Common,
    open::{check_generation, migration},
};

/// How long a statement may take, and how long it may wait for a lock.
const TIMEOUTS: [(&str, &str); 3] = [("statement_timeout", "20s"), ("lock_timeout", "8s"), ("idle_in_transaction_session_timeout", "30s")];
/// Each statement reads little by an index: what the planner could save by reading whole tables, it loses when it guesses wrong, and compiling
/// plans costs more than running them.
const PLANNER: [(&str, &str); 2] = [("enable_seqscan", "off"), ("jit", "off")];
/// How long a call waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(3);
/// After how long a connection that nobody used is asked whether it is still there.
const QUIET: Duration = Duration::from_secs(1);

impl Database {
    /// Connects, migrates, and reads the network's id.
    pub(in crate::store) async fn open(url: &str, connections: u32) -> Result<Self> {
        let options = PgConnectOptions::from_str(url)?.application_name("peral central");
        let network = migrate(&options).await?;
        let options = options.options(TIMEOUTS).options(PLANNER);
        let pool = PgPoolOptions::new().max_connections(connections.max(2)).acquire_timeout(ACQUIRE);
        // A connection in constant use need not be asked each time whether it is still there: that would be a round trip for each call.
        let pool = pool.test_before_acquire(false).before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > QUIET {
                    connection.ping().await?;
                }
                Ok(true)
            })
        });
        let pool = pool.connect_with(options).await?;
        Ok(Self { pool, network, common: Common::default(), room: Arc::default() })
    }
}

/// Brings the schema up to date, under sqlx's advisory lock, on a connection of its own that no timeout cuts.
async fn migrate(options: &PgConnectOptions) -> Result<NetworkId> {
    let mut connection = tokio::time::timeout(ACQUIRE, PgConnection::connect_with(options))
        .await
        .map_err(|_| StoreError::Unavailable("no answer to a connection".into()))??;
    let network = prepare(&mut connection).await;
    connection.close().await.ok();
    network
}

async fn prepare(connection: &mut PgConnection) -> Result<NetworkId> {
    let known: bool = sqlx::query_scalar("SELECT to_regclass('meta') IS NOT NULL").fetch_one(&mut *connection).await?;
    if known {
        let oldest = sqlx::query_scalar("SELECT oldest_central FROM meta").fetch_optional(&mut *connection).await?;
        check_generation(oldest.unwrap_or(0))?;
    }
    let mut migrations = sqlx::migrate!("migrations/postgres");
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
