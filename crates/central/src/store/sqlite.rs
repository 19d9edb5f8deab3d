//! The store on SQLite: one file, one connection that writes, several that read.
//!
//! Here is what `shared` cannot say for both databases: connections, locks, statements over many
//! rows, and the conditions of a search.
#![expect(
    clippy::duplicate_mod,
    reason = "the same statements for two databases; the types that they run on differ"
)]

/// Locks the rows of a SELECT against changes: here, a transaction that writes is alone anyway.
macro_rules! share {
    () => {
        ""
    };
}
/// As `share`.
macro_rules! update {
    () => {
        ""
    };
}
/// As `share`.
macro_rules! lock_first {
    ($table:literal) => {
        ""
    };
}
/// Counts the rows of a table, by reading an index of it.
macro_rules! counted {
    ($rows:literal, $index:literal) => {
        concat!("(SELECT count(*) FROM ", $rows, ")")
    };
}
/// Joins texts of several rows into one.
macro_rules! joined {
    ($text:literal) => {
        concat!("group_concat(", $text, ", '\u{1f}')")
    };
}

mod array;
mod bulk;
mod connect;
mod driver;
mod reports;
#[path = "shared/mod.rs"]
mod shared;
mod terms;

pub(super) use connect::open;
#[cfg(test)]
use shared::Database;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Options, Sessions, Store, StoreError};

    /// The writer may not make its file larger, as on a full disk; a connection that is opened
    /// later may.
    async fn fill(store: &Database) {
        let mut writer = store.writers().acquire().await.unwrap();
        let pages: i64 =
            sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *writer).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}")))
            .execute(&mut *writer)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_breaks_nothing_for_good() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { url: String::new(), connections: 2, network: None };
        let store = connect::open(folder.path().join("central.db").to_str().unwrap(), &options)
            .await
            .unwrap();
        for round in 0..3_u8 {
            fill(&store).await;
            let large = vec![round; 1 << 20];
            let full = store.use_nonce(&large, 1).await.unwrap_err();
            assert!(matches!(full, StoreError::Full(_)), "{full:?}");
            assert!(store.disk.is_full());
            assert_eq!(peral_wire::Failure::from(full).code, peral_wire::ErrorCode::NoSpace);
            store.ping().await.unwrap();
            assert!(!store.disk.is_full(), "the ping wrote something");
            assert!(store.use_nonce(&large, 1).await.unwrap(), "there is room again");
        }
    }
}
