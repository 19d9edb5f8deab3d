//! Records, and what is held of them.

use futures::TryStreamExt;
use peral_model::{ContentId, FileId, FileName, Record};
use peral_wire::{
    Failure, Sealed,
    envelope::{Sealable, envelope_from_bytes},
    rest::holdings::{BUCKETS, Delta, VersionRef, bucket_of, row_hash},
};
use serde_json::json;
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::{Db, broken, holding::HoldingRow, shares::visibility_number, signed, unsigned};

/// A record that comes from the database: it was verified before it went in.
pub fn stored(envelope: &[u8]) -> Result<Sealed<Record>, Failure> {
    let envelope = envelope_from_bytes(envelope).map_err(broken)?;
    Ok(Sealed { value: Record::decode(&envelope.body).map_err(broken)?, envelope })
}

fn row(record: &Sealed<Record>) -> serde_json::Value {
    let value = &record.value;
    let version = VersionRef { file: value.file, version: value.version };
    let bucket = bucket_of(version);
    json!({
        "file": value.file.0.simple().to_string(),
        "version": value.version,
        "name": value.name.as_str(),
        "hash": value.content.hash.to_string(),
        "owner": value.owner.0.simple().to_string(),
        "visibility": visibility_number(value.visibility),
        "serial": value.serial,
        "envelope": hex(&record.to_bytes()),
        "bucket": bucket,
    })
}

/// Lower-case hexadecimal, as SQLite's `unhex` reads it.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Many records as one parameter of a statement.
pub fn rows<'a>(records: impl IntoIterator<Item = &'a Sealed<Record>>) -> String {
    serde_json::Value::Array(records.into_iter().map(row).collect()).to_string()
}

/// Keeps records. Each for which there is a path is held whole from now on, with a delta where it
/// was not held before.
pub async fn hold(db: &mut SqliteConnection, rows: &str) -> sqlx::Result<()> {
    let deltas = "INSERT INTO deltas (file_id, version, held)
        SELECT DISTINCT unhex(value ->> 'file'), value ->> 'version', 1 FROM json_each($1)
        WHERE EXISTS (SELECT 1 FROM files f WHERE f.file_id = unhex(value ->> 'file') AND
            f.version = value ->> 'version')
            AND NOT EXISTS (SELECT 1 FROM records r WHERE r.file_id = unhex(value ->> 'file') AND
            r.version = value ->> 'version' AND r.held = 1)";
    sqlx::query(deltas).bind(rows).execute(&mut *db).await?;
    let records = "INSERT INTO records (file_id, version, name, hash, owner, visibility, serial,
        envelope, held, bucket)
        SELECT unhex(value ->> 'file'), value ->> 'version', value ->> 'name',
            unhex(value ->> 'hash'), unhex(value ->> 'owner'), value ->> 'visibility',
            value ->> 'serial', unhex(value ->> 'envelope'),
            EXISTS (SELECT 1 FROM files f WHERE f.file_id = unhex(value ->> 'file') AND f.version =
            value ->> 'version'), value ->> 'bucket'
        FROM json_each($1) WHERE true
        ON CONFLICT (file_id, version) DO UPDATE SET held = excluded.held,
            visibility = CASE WHEN excluded.serial >= serial THEN excluded.visibility ELSE
            visibility END,
            envelope = CASE WHEN excluded.serial >= serial THEN excluded.envelope ELSE envelope END,
            owner = CASE WHEN excluded.serial >= serial THEN excluded.owner ELSE owner END,
            serial = MAX(serial, excluded.serial)";
    sqlx::query(records).bind(rows).execute(db).await.map(drop)
}

/// Withdraws the holding of a version, unless another path still has it. True if this changed
/// something.
pub async fn release(db: &mut SqliteConnection, file: FileId, version: u64) -> sqlx::Result<bool> {
    let text = "UPDATE records SET held = 0 WHERE file_id = $1 AND version = $2 AND held > 0
        AND NOT EXISTS (SELECT 1 FROM files f WHERE f.file_id = $1 AND f.version = $2)";
    let changed = sqlx::query(text)
        .bind(file.0)
        .bind(signed(version))
        .execute(&mut *db)
        .await?
        .rows_affected()
        > 0;
    if changed {
        let text = "INSERT INTO deltas (file_id, version, held) VALUES ($1, $2, 0)";
        sqlx::query(text).bind(file.0).bind(signed(version)).execute(db).await?;
    }
    Ok(changed)
}

#[derive(FromRow)]
struct VersionRow {
    file_id: Uuid,
    version: i64,
}

impl VersionRow {
    fn version(&self) -> VersionRef {
        VersionRef { file: FileId(self.file_id), version: unsigned(self.version) }
    }
}

impl Db {
    /// The record of a version, if it is known here.
    ///
    /// # Errors
    /// INTERNAL.
    pub async fn record(
        &self,
        file: FileId,
        version: u64,
    ) -> Result<Option<Sealed<Record>>, Failure> {
        let text = "SELECT envelope FROM records WHERE file_id = $1 AND version = $2";
        let found: Option<Vec<u8>> = sqlx::query_scalar(text)
            .bind(file.0)
            .bind(signed(version))
            .fetch_optional(self.reader())
            .await
            .map_err(broken)?;
        found.as_deref().map(stored).transpose()
    }

    /// Takes newer records of versions that are known here; others are left out.
    pub(crate) async fn renew_records(&self, records: &[Sealed<Record>]) -> Result<(), Failure> {
        let rows = rows(records);
        self.write(move |db| {
            Box::pin(async move {
                let text = "UPDATE records SET visibility = n.value ->> 'visibility', serial =
                    n.value ->> 'serial', envelope = unhex(n.value ->> 'envelope'), owner =
                    unhex(n.value ->> 'owner')
                    FROM json_each($1) n
                    WHERE file_id = unhex(n.value ->> 'file') AND version = n.value ->> 'version'
                    AND serial < n.value ->> 'serial'";
                sqlx::query(text).bind(rows).execute(db).await.map(drop)
            })
        })
        .await
    }

    /// Deletes records of versions that are neither held nor last had; the highest serials stay.
    pub(crate) async fn tidy_records(&self) -> Result<u64, Failure> {
        self.write(move |db| {
            Box::pin(async move {
                let serials = "INSERT INTO serials (file_id, serial) SELECT file_id, MAX(serial)
                    FROM records WHERE held = 0 GROUP BY file_id
                    ON CONFLICT (file_id) DO UPDATE SET serial = MAX(serial, excluded.serial)";
                sqlx::query(serials).execute(&mut *db).await?;
                let records = "DELETE FROM records WHERE held = 0
                    AND NOT EXISTS (SELECT 1 FROM names n WHERE n.name = records.name AND
                    n.file_id = records.file_id AND n.version = records.version)
                    AND NOT EXISTS (SELECT 1 FROM uploads u WHERE u.file_id = records.file_id AND
                    u.version = records.version)";
                Ok(sqlx::query(records).execute(db).await?.rows_affected())
            })
        })
        .await
    }

    /// Whether any path holds this content and it has more than one piece.
    pub(crate) async fn is_listed(&self, hash: ContentId) -> Result<bool, Failure> {
        let text = "SELECT EXISTS (SELECT 1 FROM files WHERE hash = $1 AND size > 1048576)";
        sqlx::query_scalar(text).bind(hash.to_vec()).fetch_one(self.reader()).await.map_err(broken)
    }

    /// Number of file versions that are held.
    pub(crate) async fn versions_held(&self) -> Result<u64, Failure> {
        sqlx::query_scalar("SELECT COUNT(*) FROM records WHERE held > 0")
            .fetch_one(self.reader())
            .await
            .map(unsigned)
            .map_err(broken)
    }

    /// The version that this peer last had of a name.
    ///
    /// # Errors
    /// INTERNAL.
    pub async fn last_had(&self, name: &FileName) -> Result<Option<VersionRef>, Failure> {
        let text = "SELECT file_id, version FROM names WHERE name = $1";
        let found: Option<VersionRow> = sqlx::query_as(text)
            .bind(name.as_str())
            .fetch_optional(self.reader())
            .await
            .map_err(broken)?;
        Ok(found.map(|row| row.version()))
    }

    /// Holdings in a bucket after a version, in order; at most `limit`.
    pub(crate) async fn bucket(
        &self,
        bucket: u16,
        after: Option<VersionRef>,
        limit: usize,
    ) -> Result<Vec<Delta>, Failure> {
        let after = after.unwrap_or(VersionRef { file: FileId(Uuid::nil()), version: 0 });
        let text = "SELECT file_id, version, held FROM records WHERE bucket = $1 AND held > 0 AND
            (file_id, version) > ($2, $3)
            ORDER BY file_id, version LIMIT $4";
        let query = sqlx::query_as::<_, HoldingRow>(text)
            .bind(bucket)
            .bind(after.file.0)
            .bind(signed(after.version));
        let rows = query
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(self.reader())
            .await
            .map_err(broken)?;
        Ok(rows.iter().map(HoldingRow::delta).collect())
    }

    /// The XOR of the row hashes in each bucket, and the number of the last delta that is in it.
    pub(crate) async fn digest(&self) -> Result<(u64, Vec<u64>), Failure> {
        let mut words = vec![0u64; BUCKETS];
        let mut transaction = self.reader().begin().await.map_err(broken)?;
        let last: i64 = sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'deltas'")
            .fetch_one(&mut *transaction)
            .await
            .map_err(broken)?;
        let text = "SELECT file_id, version, held FROM records WHERE held > 0";
        let mut rows = sqlx::query_as::<_, HoldingRow>(text).fetch(&mut *transaction);
        while let Some(row) = rows.try_next().await.map_err(broken)? {
            let (bucket, hash) = row_hash(&row.delta());
            if let Some(word) = words.get_mut(usize::from(bucket)) {
                *word ^= hash;
            }
        }
        Ok((unsigned(last), words))
    }
}
