//! The store as a whole: its pulse, and what it forgets.

use async_trait::async_trait;
use futures::FutureExt;
use peral_model::NetworkId;
use uuid::Uuid;

use super::{Conn, Database};
use crate::store::{Connections, Result, Store};

/// For how long events are kept, in milliseconds.
const EVENTS_MS: i64 = 7 * 24 * 3_600_000;

/// What has ended, and by which statement it goes. Each takes a bounded bite, so that no lock is
/// held for long: the rest goes next time.
const ENDED: [&str; 8] = [
    "DELETE FROM nonces WHERE nonce IN (SELECT nonce FROM nonces WHERE ends_ms <= $1 LIMIT 10000)",
    "DELETE FROM replays WHERE (peer, key) IN (SELECT peer, key FROM replays WHERE ends_ms <= $1 \
     LIMIT 1000)",
    "DELETE FROM uploads WHERE id IN (SELECT id FROM uploads WHERE ends_ms <= $1 LIMIT 10000)",
    "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE ends_ms <= $1 LIMIT 10000)",
    "DELETE FROM api_tokens WHERE id IN (SELECT id FROM api_tokens WHERE ends_ms <= $1 LIMIT \
     10000)",
    "DELETE FROM join_tokens WHERE id IN (SELECT id FROM join_tokens WHERE ends_ms <= $1 LIMIT \
     10000)",
    "DELETE FROM revocations WHERE number IN (SELECT number FROM revocations WHERE until_ms <= $1 \
     LIMIT 10000)",
    "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE created_ms <= $1 ORDER BY \
     created_ms LIMIT 10000)",
];
/// The one of them that goes by age.
const OUTBOX: usize = ENDED.len() - 1;

#[async_trait]
impl Store for Database {
    fn network(&self) -> NetworkId {
        self.network
    }
    fn connections(&self) -> Connections {
        let (open, idle) = self
            .pools()
            .fold((0, 0), |(open, idle), pool| (open + pool.size(), idle + pool.num_idle()));
        Connections::new(open, idle)
    }
    async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(&mut *self.reader().await?).await?;
        if self.disk.is_full() {
            self.write((), |c, ()| probe(c).boxed()).await?;
        }
        Ok(())
    }
    async fn clean(&self, now_ms: i64) -> Result<u64> {
        let mut dropped = 0;
        for (index, sql) in ENDED.into_iter().enumerate() {
            let until_ms = if index == OUTBOX { now_ms - EVENTS_MS } else { now_ms };
            dropped += self
                .write((sql, until_ms), |c, (sql, until_ms)| drop_ended(c, sql, *until_ms).boxed())
                .await?;
        }
        Ok(dropped)
    }
    async fn close(&self) {
        for pool in self.pools() {
            pool.close().await;
        }
    }
}

/// Writes something that leaves no trace, to see whether it can.
async fn probe(c: &mut Conn) -> Result<()> {
    sqlx::query("INSERT INTO nonces (nonce, ends_ms) VALUES ($1, 0)")
        .bind(Uuid::new_v4().as_bytes().as_slice())
        .execute(&mut *c)
        .await?;
    sqlx::query("DELETE FROM nonces WHERE ends_ms = 0").execute(c).await?;
    Ok(())
}

async fn drop_ended(c: &mut Conn, sql: &'static str, until_ms: i64) -> Result<u64> {
    Ok(sqlx::query(sql).bind(until_ms).execute(c).await?.rows_affected())
}
