//! The store on Postgres.
//!
//! Here is what `shared` cannot say for both databases: connections, locks, statements over many
//! rows, and the conditions of a search.

/// Locks the rows of a SELECT against changes.
macro_rules! share {
    () => {
        " FOR SHARE"
    };
}
/// Locks the rows of a SELECT for a change of this transaction.
macro_rules! update {
    () => {
        " FOR NO KEY UPDATE"
    };
}
/// Locks the rows of one table of a SELECT for a change of this transaction.
macro_rules! lock_first {
    ($table:literal) => {
        concat!(" FOR NO KEY UPDATE OF ", $table)
    };
}
/// Counts the rows of a table that are in an index: itself up to 32 MiB of that, beyond it by what
/// autovacuum estimated last.
macro_rules! counted {
    ($rows:literal, $index:literal) => {
        concat!(
            "CASE WHEN pg_relation_size('",
            $index,
            "') < 33554432 THEN (SELECT count(*) FROM ",
            $rows,
            ") ELSE (SELECT CAST(reltuples AS bigint) FROM pg_class WHERE oid = '",
            $index,
            "'::regclass AND reltuples > 0) END"
        )
    };
}
/// Joins texts of several rows into one.
macro_rules! joined {
    ($text:literal) => {
        concat!("string_agg(", $text, ", '\u{1f}')")
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
