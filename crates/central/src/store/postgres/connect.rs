//! Connecting to Postgres.

use std::{str::FromStr, time::Duration};

use peral_model::NetworkId;
use sqlx::{
    Connection,
    postgres::{PgConnectOptions, PgConnection, PgPoolOptions},
};

use super::shared::{Database, prepare};
use crate::store::{Options, Result, StoreError};

const HAS_META: &str = "SELECT to_regclass('meta') IS NOT NULL";
/// How long a statement may take, and how long it may wait for a lock.
const TIMEOUTS: [(&str, &str); 3] = [
    ("statement_timeout", "20s"),
    ("lock_timeout", "8s"),
    ("idle_in_transaction_session_timeout", "30s"),
];
/// Each statement reads little by an index: what the planner could save by reading whole tables, it
/// loses when it guesses wrong, and compiling plans costs more than running them.
const PLANNER: [(&str, &str); 2] = [("enable_seqscan", "off"), ("jit", "off")];
/// How long a call waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(3);
/// After how long a connection that nobody used is asked whether it is still there.
const QUIET: Duration = Duration::from_secs(1);

/// Connects, migrates, and reads the network's id.
pub(in crate::store) async fn open(url: &str, how: &Options) -> Result<Database> {
    let options = PgConnectOptions::from_str(url)?.application_name("peral central");
    let network = migrate(&options, how.network).await?;
    let options = options.options(TIMEOUTS).options(PLANNER);
    let pool =
        PgPoolOptions::new().max_connections(how.connections.max(2)).acquire_timeout(ACQUIRE);
    // A connection in constant use need not be asked each time whether it is still there: that
    // would be a round trip for each call.
    let pool = pool.test_before_acquire(false).before_acquire(|connection, meta| {
        Box::pin(async move {
            if meta.idle_for > QUIET {
                connection.ping().await?;
            }
            Ok(true)
        })
    });
    let pool = pool.connect_with(options).await?;
    Ok(Database::new(pool, None, network))
}

/// Brings the schema up to date, under sqlx's advisory lock, on a connection of its own that no
/// timeout cuts.
async fn migrate(options: &PgConnectOptions, network: Option<NetworkId>) -> Result<NetworkId> {
    let mut connection =
        tokio::time::timeout(ACQUIRE, PgConnection::connect_with(options)).await.map_err(
            |_| StoreError::Unavailable("it did not answer the attempt to connect".into()),
        )??;
    let network =
        prepare(&mut connection, HAS_META, sqlx::migrate!("migrations/postgres"), network).await;
    connection.close().await.ok();
    network
}
