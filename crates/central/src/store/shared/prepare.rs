//! A schema that is up to date, and the network that it is of.

use peral_model::NetworkId;
use sqlx::migrate::{MigrateError, Migrator};
use uuid::Uuid;

use super::Conn;
use crate::store::{GENERATION, Result, StoreError};

/// Migrates, unless the database asks for a newer central. `has_meta` asks whether it was migrated
/// before. A new database becomes one of the network that is given, or of a new one.
pub(in crate::store) async fn prepare(
    c: &mut Conn,
    has_meta: &'static str,
    mut migrations: Migrator,
    network: Option<NetworkId>,
) -> Result<NetworkId> {
    let known: bool = sqlx::query_scalar(has_meta).fetch_one(&mut *c).await?;
    if known {
        let oldest =
            sqlx::query_scalar("SELECT oldest_central FROM meta").fetch_optional(&mut *c).await?;
        check_generation(oldest.unwrap_or(0))?;
    }
    // A newer central may have added to the schema; whether this one may go on is for the check
    // above.
    migrations.set_ignore_missing(true);
    // Not `run`: its future cannot be seen to be Send, so that nobody could spawn it.
    migrations.run_direct(None, &mut *c, false).await.map_err(migration)?;
    let made = "INSERT INTO meta (one, network, generation, oldest_central) VALUES (TRUE, $1, $2, \
        $2) ON CONFLICT DO NOTHING";
    let new = network.map_or_else(Uuid::new_v4, |network| network.0);
    sqlx::query(made).bind(new).bind(GENERATION).execute(&mut *c).await?;
    let (network, oldest): (Uuid, i64) =
        sqlx::query_as("SELECT network, oldest_central FROM meta").fetch_one(c).await?;
    check_generation(oldest)?;
    Ok(NetworkId(network))
}

/// Refuses a database that asks for a newer central.
fn check_generation(oldest: i64) -> Result<()> {
    if oldest > GENERATION {
        return Err(StoreError::TooOld { needed: oldest, own: GENERATION });
    }
    Ok(())
}

/// What stopped a migration: the database that went away, or the migration itself.
fn migration(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            match error.into() {
                StoreError::Database(error) => StoreError::Migration(MigrateError::Execute(error)),
                other => other,
            }
        }
        other => StoreError::Migration(other),
    }
}
