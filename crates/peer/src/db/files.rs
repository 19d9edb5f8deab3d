//! Local files: what is in the shares, and where downloads and uploads wrote.

use std::collections::HashMap;

use peral_model::{Content, ContentId, FileId, Record};
use peral_transfer::Stamp;
use peral_wire::{ErrorCode, Failure, Sealed, rest::holdings::VersionRef};
use serde_json::json;
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::{
    Db, broken,
    records::{hex, release},
    signed, unsigned,
};

/// To be published.
pub const PENDING: i64 = 0;
/// Held: it is a version of a file in the catalogue.
pub const HELD: i64 = 1;
/// Left out of the catalogue, with a code.
pub const TROUBLED: i64 = 2;

/// A file that was hashed and is to be published.
#[derive(Debug, Clone)]
pub struct Indexed {
    /// Absolute path.
    pub path: String,
    /// Number of its share.
    pub share: i64,
    /// Its name.
    pub name: String,
    /// What the disk said of it while it was read.
    pub stamp: Stamp,
    /// Its content.
    pub hash: ContentId,
}

/// A row of a file.
#[derive(Debug, Clone, FromRow)]
pub struct FileRow {
    /// Its number.
    pub id: i64,
    /// Absolute path.
    pub path: String,
    /// Number of its share, if it is in one.
    pub share: Option<i64>,
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: i64,
    /// Time of the last change, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Inode, as the disk numbers it.
    pub inode: i64,
    /// Device, as the disk numbers it.
    pub device: i64,
    /// Hash of the content.
    pub hash: Vec<u8>,
    /// [`PENDING`], [`HELD`] or [`TROUBLED`].
    pub state: i64,
    /// The file that it is a version of.
    pub file_id: Option<Uuid>,
    /// The version.
    pub version: Option<i64>,
    /// A download wrote it.
    pub fetched: bool,
    /// Why it is left out.
    pub code: Option<String>,
    /// Why it is left out, for a person.
    pub detail: Option<String>,
}

impl FileRow {
    /// What the disk said of it.
    pub fn stamp(&self) -> Stamp {
        Stamp {
            size: unsigned(self.size),
            mtime_ns: self.mtime_ns,
            inode: self.inode.cast_unsigned(),
            device: self.device.cast_unsigned(),
        }
    }

    /// Its content.
    ///
    /// # Errors
    /// INTERNAL, when the database holds no hash there.
    pub fn content(&self) -> Result<Content, Failure> {
        Ok(Content {
            hash: ContentId::from_bytes(&self.hash).map_err(broken)?,
            size: unsigned(self.size),
        })
    }

    /// The version that it is.
    pub fn version(&self) -> Option<VersionRef> {
        Some(VersionRef { file: FileId(self.file_id?), version: unsigned(self.version?) })
    }
}

/// A file that waits to be published, with what decides how.
#[derive(Debug, Clone, FromRow)]
pub struct PendingRow {
    /// Number of the file.
    pub id: i64,
    /// Absolute path.
    pub path: String,
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: i64,
    /// Hash of the content.
    pub hash: Vec<u8>,
    /// Visibility of its share.
    pub visibility: i64,
    /// The file that this peer last had under the name.
    pub had_file: Option<Uuid>,
    /// Its version.
    pub had_version: Option<i64>,
    /// A download wrote this content here, under another name than this.
    pub was_fetched: bool,
    /// Held for a private file of another name: how many of them.
    pub private_of_others: i64,
    /// How many of those do not belong to the account asked for.
    pub private_of_other_owners: i64,
}

/// Removes a row and withdraws what it held. True if a holding went.
///
/// # Errors
/// What the database says.
pub async fn drop_row(db: &mut SqliteConnection, id: i64) -> sqlx::Result<bool> {
    let text = "DELETE FROM files WHERE id = $1 RETURNING file_id, version";
    let gone: Option<(Option<Uuid>, Option<i64>)> =
        sqlx::query_as(text).bind(id).fetch_optional(&mut *db).await?;
    match gone {
        Some((Some(file), Some(version))) => release(db, FileId(file), unsigned(version)).await,
        _ => Ok(false),
    }
}

/// Writes the row of a path that is a known version, in place of what the path was before. Any
/// holding that went is withdrawn.
///
/// # Errors
/// What the database says.
pub async fn put_held(db: &mut SqliteConnection, file: &Placed) -> sqlx::Result<()> {
    let before: Option<(Option<Uuid>, Option<i64>)> =
        sqlx::query_as("SELECT file_id, version FROM files WHERE path = $1")
            .bind(&file.path)
            .fetch_optional(&mut *db)
            .await?;
    let record = &file.record.value;
    let text = "INSERT INTO files (path, share, name, size, mtime_ns, inode, device, hash, state,
        file_id, version, fetched, used_ms)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $10, $11, $12)
        ON CONFLICT (path) DO UPDATE SET share = excluded.share, name = excluded.name, size =
        excluded.size, mtime_ns = excluded.mtime_ns,
            inode = excluded.inode, device = excluded.device, hash = excluded.hash, state = 1,
            file_id = excluded.file_id,
            version = excluded.version, fetched = excluded.fetched, code = NULL, detail = NULL,
            used_ms = excluded.used_ms";
    let stamp = &file.stamp;
    let query = sqlx::query(text)
        .bind(&file.path)
        .bind(file.share)
        .bind(record.name.as_str())
        .bind(signed(stamp.size))
        .bind(stamp.mtime_ns);
    let query = query
        .bind(stamp.inode.cast_signed())
        .bind(stamp.device.cast_signed())
        .bind(record.content.hash.to_vec())
        .bind(record.file.0);
    query
        .bind(signed(record.version))
        .bind(file.fetched)
        .bind(file.now_ms)
        .execute(&mut *db)
        .await?;
    if file.last_had {
        let text = "INSERT INTO names (name, file_id, version, hash) VALUES ($1, $2, $3, $4)
            ON CONFLICT (name) DO UPDATE SET file_id = excluded.file_id, version =
            excluded.version, hash = excluded.hash";
        let query = sqlx::query(text)
            .bind(record.name.as_str())
            .bind(record.file.0)
            .bind(signed(record.version));
        query.bind(record.content.hash.to_vec()).execute(&mut *db).await?;
    }
    if let Some((Some(file), Some(version))) = before {
        release(db, FileId(file), unsigned(version)).await?;
    }
    Ok(())
}

/// A file on disk that is a version of the catalogue.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Absolute path.
    pub path: String,
    /// Number of the share that it is in.
    pub share: Option<i64>,
    /// What the disk says of it.
    pub stamp: Stamp,
    /// Its record.
    pub record: Sealed<Record>,
    /// A download wrote it.
    pub fetched: bool,
    /// It is the share's file of this name: the next publish replaces it.
    pub last_had: bool,
    /// Now, in milliseconds since 1970.
    pub now_ms: i64,
}

impl Db {
    /// The row of a path.
    ///
    /// # Errors
    /// INTERNAL.
    pub async fn file_at(&self, path: &str) -> Result<Option<FileRow>, Failure> {
        let text = "SELECT id, path, share, name, size, mtime_ns, inode, device, hash, state, \
            file_id, version, fetched, code, detail FROM files WHERE path = $1";
        sqlx::query_as(text).bind(path).fetch_optional(self.reader()).await.map_err(broken)
    }

    /// Rows of a version.
    ///
    /// # Errors
    /// INTERNAL.
    pub async fn files_of(&self, file: FileId, version: u64) -> Result<Vec<FileRow>, Failure> {
        let text = "SELECT id, path, share, name, size, mtime_ns, inode, device, hash, state,
            file_id, version, fetched, code, detail FROM files
            WHERE file_id = $1 AND version = $2 ORDER BY share IS NULL, id LIMIT 16";
        sqlx::query_as(text)
            .bind(file.0)
            .bind(signed(version))
            .fetch_all(self.reader())
            .await
            .map_err(broken)
    }

    /// Rows of a share, in order of their number.
    ///
    /// # Errors
    /// INTERNAL.
    pub async fn files_in(
        &self,
        share: i64,
        after: i64,
        limit: u32,
    ) -> Result<Vec<FileRow>, Failure> {
        let text = "SELECT id, path, share, name, size, mtime_ns, inode, device, hash, state,
            file_id, version, fetched, code, detail FROM files
            WHERE share = $1 AND id > $2 ORDER BY id LIMIT $3";
        sqlx::query_as(text)
            .bind(share)
            .bind(after)
            .bind(limit)
            .fetch_all(self.reader())
            .await
            .map_err(broken)
    }

    /// Number of the newest row; 0 for none.
    ///
    /// # Errors
    /// INTERNAL.
    pub async fn newest_file(&self) -> Result<i64, Failure> {
        sqlx::query_scalar("SELECT COALESCE(MAX(id), 0) FROM files")
            .fetch_one(self.reader())
            .await
            .map_err(broken)
    }

    /// Rows at a path and below it, the first 10,000.
    ///
    /// # Errors
    /// INTERNAL.
    pub async fn files_below(&self, path: &str) -> Result<Vec<FileRow>, Failure> {
        // `0` is the character after `/`.
        let text = "SELECT id, path, share, name, size, mtime_ns, inode, device, hash, state,
            file_id, version, fetched, code, detail FROM files
            WHERE path = $1 OR (path > $1 || '/' AND path < $1 || '0') LIMIT 10000";
        sqlx::query_as(text).bind(path).fetch_all(self.reader()).await.map_err(broken)
    }

    /// Numbers and stamps of the rows at these paths.
    ///
    /// # Errors
    /// INTERNAL.
    pub async fn stamps<'a>(
        &self,
        paths: impl Iterator<Item = &'a str>,
    ) -> Result<HashMap<String, (i64, Stamp)>, Failure> {
        let paths = serde_json::Value::Array(paths.map(Into::into).collect()).to_string();
        let text = "SELECT f.path, f.id, f.size, f.mtime_ns, f.inode, f.device FROM json_each($1) \
            p JOIN files f ON f.path = p.value";
        let rows: Vec<(String, i64, i64, i64, i64, i64)> =
            sqlx::query_as(text).bind(paths).fetch_all(self.reader()).await.map_err(broken)?;
        let entry =
            |(path, id, size, mtime_ns, inode, device): (String, i64, i64, i64, i64, i64)| {
                (
                    path,
                    (
                        id,
                        Stamp {
                            size: unsigned(size),
                            mtime_ns,
                            inode: inode.cast_unsigned(),
                            device: device.cast_unsigned(),
                        },
                    ),
                )
            };
        Ok(rows.into_iter().map(entry).collect())
    }

    /// Rows with a trouble, the first `limit`.
    ///
    /// # Errors
    /// INTERNAL.
    pub async fn troubles(&self, limit: u32) -> Result<Vec<FileRow>, Failure> {
        let text = "SELECT id, path, share, name, size, mtime_ns, inode, device, hash, state,
            file_id, version, fetched, code, detail FROM files
            WHERE state = 2 ORDER BY id LIMIT $1";
        sqlx::query_as(text).bind(limit).fetch_all(self.reader()).await.map_err(broken)
    }

    /// Rows of all versions of a file.
    ///
    /// # Errors
    /// INTERNAL.
    pub async fn files_of_any_version(&self, file: FileId) -> Result<Vec<FileRow>, Failure> {
        let text = "SELECT id, path, share, name, size, mtime_ns, inode, device, hash, state,
            file_id, version, fetched, code, detail FROM files
            WHERE file_id = $1 ORDER BY id LIMIT 10000";
        sqlx::query_as(text).bind(file.0).fetch_all(self.reader()).await.map_err(broken)
    }

    /// Keeps files that were hashed as pending, but for those of shares that are gone. A row that
    /// is there with the same stamp stays as it is: somebody else wrote it meanwhile. What a
    /// changed path held is withdrawn. Says if a holding went.
    ///
    /// # Errors
    /// INTERNAL.
    pub async fn index(&self, files: Vec<Indexed>, now_ms: i64) -> Result<bool, Failure> {
        self.write(move |db| Box::pin(index(db, files, now_ms))).await
    }

    /// The next files to publish.
    ///
    /// # Errors
    /// INTERNAL.
    pub async fn pending(
        &self,
        after: i64,
        owner: Uuid,
        limit: usize,
    ) -> Result<Vec<PendingRow>, Failure> {
        let text = "SELECT f.id, f.path, f.name, f.size, f.hash, s.visibility, n.file_id AS
            had_file, n.version AS had_version,
                EXISTS (SELECT 1 FROM fetched x WHERE x.hash = f.hash)
                    AND NOT EXISTS (SELECT 1 FROM records r WHERE r.file_id = n.file_id AND
                    r.hash = f.hash) AS was_fetched,
                (SELECT COUNT(*) FROM records r WHERE r.hash = f.hash AND r.visibility = 2 AND
                r.held > 0 AND r.name <> f.name) AS private_of_others,
                (SELECT COUNT(*) FROM records r WHERE r.hash = f.hash AND r.visibility = 2 AND
                r.held > 0 AND r.name <> f.name AND r.owner <> $2)
                    AS private_of_other_owners
            FROM files f JOIN shares s ON s.number = f.share LEFT JOIN names n ON n.name = f.name
            WHERE f.state = 0 AND f.id > $1 ORDER BY f.id LIMIT $3";
        let query = sqlx::query_as(text)
            .bind(after)
            .bind(owner)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        query.fetch_all(self.reader()).await.map_err(broken)
    }

    /// Leaves files out of the catalogue, with a code and a reason each; those that changed
    /// meanwhile stay as they are.
    ///
    /// # Errors
    /// INTERNAL.
    pub async fn trouble(&self, files: Vec<(i64, ErrorCode, String)>) -> Result<(), Failure> {
        let rows = serde_json::Value::Array(
            files
                .into_iter()
                .map(|(id, code, detail)| json!([id, code.as_str(), detail]))
                .collect(),
        )
        .to_string();
        self.write(move |db| {
            Box::pin(async move {
                let text = "UPDATE files SET state = 2, code = t.value ->> 1, detail = t.value \
                    ->> 2 FROM json_each($1) t WHERE files.id = t.value ->> 0 AND state = 0";
                sqlx::query(text).bind(rows).execute(db).await.map(drop)
            })
        })
        .await
    }

    /// Publishes again what was left out with one of these codes.
    ///
    /// # Errors
    /// INTERNAL.
    pub async fn retry_troubles(&self, codes: &'static [ErrorCode]) -> Result<u64, Failure> {
        let codes =
            serde_json::Value::Array(codes.iter().map(|code| code.as_str().into()).collect())
                .to_string();
        self.write(move |db| {
            Box::pin(async move {
                let text = "UPDATE files SET state = 0, code = NULL, detail = NULL WHERE state = \
                    2 AND hash <> X'' AND code IN (SELECT value FROM json_each($1))";
                Ok(sqlx::query(text).bind(codes).execute(db).await?.rows_affected())
            })
        })
        .await
    }

    /// Notes that a content comes, or came, by a download.
    ///
    /// # Errors
    /// INTERNAL.
    pub async fn note_fetched(&self, hash: ContentId) -> Result<(), Failure> {
        self.write(move |db| {
            Box::pin(async move {
                sqlx::query("INSERT OR IGNORE INTO fetched (hash) VALUES ($1)")
                    .bind(hash.to_vec())
                    .execute(db)
                    .await
                    .map(drop)
            })
        })
        .await
    }
}

async fn index(
    db: &mut SqliteConnection,
    mut files: Vec<Indexed>,
    now_ms: i64,
) -> sqlx::Result<bool> {
    // A share that went, or has another prefix now, since the walk began: its names are no longer
    // these.
    let shares: Vec<i64> =
        sqlx::query_scalar("SELECT number FROM shares").fetch_all(&mut *db).await?;
    files.retain(|file| shares.contains(&file.share));
    let row = |file: &Indexed| {
        let stamp = &file.stamp;
        json!([
            file.path,
            file.share,
            file.name,
            stamp.size,
            stamp.mtime_ns,
            stamp.inode.cast_signed(),
            stamp.device.cast_signed(),
            hex(&file.hash.0)
        ])
    };
    let rows = serde_json::Value::Array(files.iter().map(row).collect()).to_string();
    // Touched, but the same bytes: only the stamp is new.
    let touched = "UPDATE files SET size = n.value ->> 3, mtime_ns = n.value ->> 4, inode =
        n.value ->> 5, device = n.value ->> 6
        FROM json_each($1) n WHERE files.path = n.value ->> 0 AND state = 1 AND hash =
        unhex(n.value ->> 7)";
    sqlx::query(touched).bind(&rows).execute(&mut *db).await?;
    let changed = "SELECT f.file_id, f.version FROM json_each($1) n JOIN files f ON f.path =
        n.value ->> 0
        WHERE f.file_id IS NOT NULL AND NOT (f.size = n.value ->> 3 AND f.mtime_ns = n.value ->>
        4 AND f.inode = n.value ->> 5 AND f.device = n.value ->> 6)";
    let held: Vec<(Uuid, i64)> = sqlx::query_as(changed).bind(&rows).fetch_all(&mut *db).await?;
    let text = "INSERT INTO files (path, share, name, size, mtime_ns, inode, device, hash, state,
        fetched, used_ms)
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
        value ->> 6, unhex(value ->> 7), 0, 0, $2
        FROM json_each($1) WHERE true
        ON CONFLICT (path) DO UPDATE SET share = excluded.share, name = excluded.name, size =
        excluded.size, mtime_ns = excluded.mtime_ns,
            inode = excluded.inode, device = excluded.device, hash = excluded.hash, state = 0,
            file_id = NULL, version = NULL, fetched = 0,
            code = NULL, detail = NULL, used_ms = excluded.used_ms
        WHERE NOT (size = excluded.size AND mtime_ns = excluded.mtime_ns AND inode =
        excluded.inode AND device = excluded.device)";
    sqlx::query(text).bind(&rows).bind(now_ms).execute(&mut *db).await?;
    let mut went = false;
    for (file, version) in held {
        went |= release(db, FileId(file), unsigned(version)).await?;
    }
    Ok(went)
}
