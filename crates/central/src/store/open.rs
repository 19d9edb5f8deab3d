//! Opening a database: which kind it is, and whether this central may use it.

use std::sync::Arc;

use super::{Options, Result, SharedStore, StoreError, postgres, sqlite};

/// Opens the database and brings its schema up to date, one central at a time.
///
/// # Errors
/// Unavailable while the database is away: the caller waits and tries again. Everything else needs
/// a person.
pub async fn open(options: &Options) -> Result<SharedStore> {
    let url = options.url.trim();
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return Ok(Arc::new(sqlite::open(path, options).await?));
    }
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        return Ok(Arc::new(postgres::open(url, options).await?));
    }
    // The URL may hold a password: it is not repeated.
    let reason = "the database URL must begin with sqlite: or postgres:";
    Err(StoreError::Database(sqlx::Error::Configuration(reason.into())))
}
