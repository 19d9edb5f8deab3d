//! SQLite's driver, and how its transactions run.

use sqlx::QueryBuilder;

pub(super) type Dialect = sqlx::Sqlite;
pub(super) type Conn = sqlx::SqliteConnection;
/// A statement that is put together: its text holds no input, all of that is bound.
pub(super) type Sql = QueryBuilder<Dialect>;

/// A transaction begins as a writer, so that it never has to become one against another.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";
/// How often a transaction that lost a race is run: writers wait for each other, so none loses one.
pub(super) const TRIES: u32 = 1;
