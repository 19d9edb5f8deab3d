//! How much of a version is held, as the database has it.

use peral_model::FileId;
use peral_wire::rest::holdings::{Delta, Extent, VersionRef};
use sqlx::FromRow;
use uuid::Uuid;

use super::unsigned;

/// A version, and the number in the column `held`.
#[derive(FromRow)]
pub struct HoldingRow {
    file_id: Uuid,
    version: i64,
    held: i64,
}

impl HoldingRow {
    /// As central is told.
    pub fn delta(&self) -> Delta {
        let version = VersionRef { file: FileId(self.file_id), version: unsigned(self.version) };
        let held = match self.held {
            0 => Extent::None,
            1 => Extent::All,
            _ => Extent::Part,
        };
        Delta { version, held }
    }
}
