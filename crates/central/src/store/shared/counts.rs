//! Counting.

use async_trait::async_trait;
use sqlx::FromRow;

use super::{Conn, Database};
use crate::store::{CatalogueCounts, Counting, Result};

/// Peers in one pass over their leases, of which there are few; the rest as the database can do it
/// cheaply.
const COUNTS: &str = concat!(
    "SELECT count(*) FILTER (WHERE l.ends_ms > $1 AND l.state = 0) AS ready, count(*) FILTER
     (WHERE l.ends_ms > $1 AND l.state = 1) AS crowded,
     count(*) FILTER (WHERE l.ends_ms > $1 AND l.state = 2) AS leaving, count(*) FILTER (WHERE
     l.ends_ms <= $1) AS away, ",
    counted!("files WHERE removed_ms IS NULL", "files_name"),
    " AS files, ",
    counted!("versions", "versions_pkey"),
    " AS versions, ",
    counted!("holdings", "holdings_pkey"),
    " AS holdings FROM peers p JOIN leases l ON l.peer = p.id WHERE NOT p.revoked"
);

#[async_trait]
impl Counting for Database {
    async fn counts(&self, now_ms: i64) -> Result<CatalogueCounts> {
        get(&mut *self.reader().await?, now_ms).await
    }
}

#[derive(FromRow)]
struct CountsRow {
    ready: i64,
    crowded: i64,
    leaving: i64,
    away: i64,
    files: Option<i64>,
    versions: Option<i64>,
    holdings: Option<i64>,
}

async fn get(c: &mut Conn, now_ms: i64) -> Result<CatalogueCounts> {
    let row: CountsRow = sqlx::query_as(COUNTS).bind(now_ms).fetch_one(c).await?;
    // No count is negative.
    let [ready, full, leaving, away] =
        [row.ready, row.crowded, row.leaving, row.away].map(i64::unsigned_abs);
    let [files, versions, holdings] =
        [row.files, row.versions, row.holdings].map(|count| count.map(i64::unsigned_abs));
    Ok(CatalogueCounts { ready, full, leaving, away, files, versions, holdings })
}
