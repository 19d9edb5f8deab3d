//! Postgres' driver, and how its transactions run.

use sqlx::QueryBuilder;

pub(super) type Dialect = sqlx::Postgres;
pub(super) type Conn = sqlx::PgConnection;
/// A statement that is put together: its text holds no input, all of that is bound.
pub(super) type Sql = QueryBuilder<Dialect>;

pub(super) const BEGIN: &str = "BEGIN";
/// How often a transaction that lost a race is run.
pub(super) const TRIES: u32 = 8;
