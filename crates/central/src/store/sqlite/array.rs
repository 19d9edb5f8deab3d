//! Many rows as one parameter: a JSON array, whose fields a statement takes by their names. Bytes
//! travel in it as hexadecimal digits.

use serde::Serialize;
use uuid::Uuid;

use crate::store::{Result, StoreError, rows::VersionKey};

/// An array with what `row` makes of each of these.
pub(super) fn array<'a, T, R: Serialize>(
    rows: &'a [T],
    row: impl Fn(&'a T) -> R,
) -> Result<String> {
    let rows: Vec<R> = rows.iter().map(row).collect();
    serde_json::to_string(&rows)
        .map_err(|error| StoreError::Database(sqlx::Error::Encode(error.into())))
}

pub(super) fn id(id: Uuid) -> String {
    hex::encode(id.as_bytes())
}

/// An array of ids.
pub(super) fn ids(ids: &[Uuid]) -> Result<String> {
    array(ids, |of| id(*of))
}

#[derive(Serialize)]
struct KeyItem {
    file: String,
    version: i64,
}

/// An array of objects with `file` and `version`.
pub(super) fn keys(keys: &[VersionKey]) -> Result<String> {
    array(keys, |key| KeyItem { file: id(key.file), version: key.version })
}
