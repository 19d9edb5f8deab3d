//! Local files: what is in the shares, and where downloads and uploads wrote.

use std::collections::HashMap;

use peral_model::{Content, ContentId, FileId, Record};
use peral_transfer::Stamp;
use peral_wire::{Failure, Sealed, rest::holdings::VersionRef};
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::{Db, broken, records::release, signed, unsigned};

/// A row of a file.
#[derive(Debug, Clone, FromRow)]
pub struct FileRow {
    pub id: i64,
    /// Absolute path.
    pub path: String,
    /// Number of its share, if it is in one.
    pub share: Option<i64>,
    pub name: String,
    #[sqlx(flatten)]
    stamp: StampRow,
    hash: Vec<u8>,
    file_id: Option<Uuid>,
    pub version: Option<i64>,
    /// A download wrote it.
    pub fetched: bool,
    /// Why it is left out of the catalogue.
    pub code: Option<String>,
    /// The same for a person.
    pub detail: Option<String>,
}

impl FileRow {
    /// What the disk said of it when it was hashed.
    pub fn stamp(&self) -> Stamp {
        self.stamp.stamp()
    }

    /// Its content.
    pub fn content(&self) -> Result<Content, Failure> {
        Ok(Content {
            hash: ContentId::from_bytes(&self.hash).map_err(broken)?,
            size: self.stamp().size,
        })
    }

    /// The version that it is.
    pub fn version(&self) -> Option<VersionRef> {
        Some(VersionRef { file: FileId(self.file_id?), version: unsigned(self.version?) })
    }
}

#[derive(Debug, Clone, Copy, FromRow)]
struct StampRow {
    size: i64,
    mtime_ns: i64,
    inode: i64,
    device: i64,
}

impl StampRow {
    fn stamp(self) -> Stamp {
        Stamp {
            size: unsigned(self.size),
            mtime_ns: self.mtime_ns,
            inode: self.inode.cast_unsigned(),
            device: self.device.cast_unsigned(),
        }
    }
}

/// Number and stamp of a row.
#[derive(Debug, Clone, Copy)]
pub struct KnownFile {
    pub id: i64,
    pub stamp: Stamp,
}

#[derive(FromRow)]
struct KnownRow {
    path: String,
    id: i64,
    #[sqlx(flatten)]
    stamp: StampRow,
}

/// The version that a row held.
#[derive(FromRow)]
struct HeldVersion {
    file_id: Option<Uuid>,
    version: Option<i64>,
}

impl HeldVersion {
    /// Withdraws it, unless another path has it too. True if a holding went.
    async fn release(self, db: &mut SqliteConnection) -> sqlx::Result<bool> {
        match (self.file_id, self.version) {
            (Some(file), Some(version)) => release(db, FileId(file), unsigned(version)).await,
            _ => Ok(false),
        }
    }
}

/// Deletes a row and withdraws what it held. True if a holding went.
pub async fn drop_row(db: &mut SqliteConnection, id: i64) -> sqlx::Result<bool> {
    let text = "DELETE FROM files WHERE id = $1 RETURNING file_id, version";
    let gone: Option<HeldVersion> = sqlx::query_as(text).bind(id).fetch_optional(&mut *db).await?;
    match gone {
        Some(gone) => gone.release(db).await,
        None => Ok(false),
    }
}

/// A file on disk that is a version of the catalogue.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Absolute path.
    pub path: String,
    /// Number of the share that it is in.
    pub share: Option<i64>,
    pub stamp: Stamp,
    pub record: Sealed<Record>,
    /// A download wrote it.
    pub fetched: bool,
    /// It is the share's file of this name: the next publish replaces it.
    pub last_had: bool,
    pub now_ms: i64,
}

/// Writes the row of a path that is a known version, in place of what the path was before. Any
/// holding that went is withdrawn.
pub async fn put_held(db: &mut SqliteConnection, file: &Placed) -> sqlx::Result<()> {
    let before: Option<HeldVersion> =
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
    sqlx::query(text)
        .bind(&file.path)
        .bind(file.share)
        .bind(record.name.as_str())
        .bind(signed(stamp.size))
        .bind(stamp.mtime_ns)
        .bind(stamp.inode.cast_signed())
        .bind(stamp.device.cast_signed())
        .bind(record.content.hash.to_vec())
        .bind(record.file.0)
        .bind(signed(record.version))
        .bind(file.fetched)
        .bind(file.now_ms)
        .execute(&mut *db)
        .await?;
    if file.last_had {
        set_last_had(db, record).await?;
    }
    if let Some(before) = before {
        before.release(db).await?;
    }
    Ok(())
}

/// Records which version the share last had of a name.
async fn set_last_had(db: &mut SqliteConnection, record: &Record) -> sqlx::Result<()> {
    let text = "INSERT INTO names (name, file_id, version, hash) VALUES ($1, $2, $3, $4)
        ON CONFLICT (name) DO UPDATE SET file_id = excluded.file_id, version =
        excluded.version, hash = excluded.hash";
    sqlx::query(text)
        .bind(record.name.as_str())
        .bind(record.file.0)
        .bind(signed(record.version))
        .bind(record.content.hash.to_vec())
        .execute(db)
        .await
        .map(drop)
}

/// Selects rows as [`FileRow`].
macro_rules! select {
    ($which:literal) => {
        concat!(
            "SELECT id, path, share, name, size, mtime_ns, inode, device, hash, file_id, version, \
             fetched, code, detail FROM files ",
            $which
        )
    };
}

impl Db {
    /// The row of a path.
    pub(crate) async fn file_at(&self, path: &str) -> Result<Option<FileRow>, Failure> {
        sqlx::query_as(select!("WHERE path = $1"))
            .bind(path)
            .fetch_optional(self.reader())
            .await
            .map_err(broken)
    }

    /// Rows of a version.
    pub(crate) async fn files_of(
        &self,
        file: FileId,
        version: u64,
    ) -> Result<Vec<FileRow>, Failure> {
        let text =
            select!("WHERE file_id = $1 AND version = $2 ORDER BY share IS NULL, id LIMIT 16");
        sqlx::query_as(text)
            .bind(file.0)
            .bind(signed(version))
            .fetch_all(self.reader())
            .await
            .map_err(broken)
    }

    /// Rows of all versions of a file.
    pub(crate) async fn files_of_any_version(&self, file: FileId) -> Result<Vec<FileRow>, Failure> {
        sqlx::query_as(select!("WHERE file_id = $1 ORDER BY id LIMIT 10000"))
            .bind(file.0)
            .fetch_all(self.reader())
            .await
            .map_err(broken)
    }

    /// Rows of a share, in order of their number.
    pub(crate) async fn files_in(
        &self,
        share: i64,
        after: i64,
        limit: u32,
    ) -> Result<Vec<FileRow>, Failure> {
        sqlx::query_as(select!("WHERE share = $1 AND id > $2 ORDER BY id LIMIT $3"))
            .bind(share)
            .bind(after)
            .bind(limit)
            .fetch_all(self.reader())
            .await
            .map_err(broken)
    }

    /// Rows at a path and below it, the first 10,000.
    pub(crate) async fn files_below(&self, path: &str) -> Result<Vec<FileRow>, Failure> {
        // `0` is the character after `/`.
        let text =
            select!("WHERE path = $1 OR (path > $1 || '/' AND path < $1 || '0') LIMIT 10000");
        sqlx::query_as(text).bind(path).fetch_all(self.reader()).await.map_err(broken)
    }

    /// Rows that are left out of the catalogue, the first `limit`.
    ///
    /// # Errors
    /// INTERNAL.
    pub async fn troubles(&self, limit: u32) -> Result<Vec<FileRow>, Failure> {
        sqlx::query_as(select!("WHERE state = 2 ORDER BY id LIMIT $1"))
            .bind(limit)
            .fetch_all(self.reader())
            .await
            .map_err(broken)
    }

    /// Number of the newest row; 0 for none.
    pub(crate) async fn newest_file(&self) -> Result<i64, Failure> {
        sqlx::query_scalar("SELECT COALESCE(MAX(id), 0) FROM files")
            .fetch_one(self.reader())
            .await
            .map_err(broken)
    }

    /// The rows at these paths.
    pub(crate) async fn known_files<'a>(
        &self,
        paths: impl Iterator<Item = &'a str>,
    ) -> Result<HashMap<String, KnownFile>, Failure> {
        let paths = serde_json::Value::Array(paths.map(Into::into).collect()).to_string();
        let text = "SELECT f.path, f.id, f.size, f.mtime_ns, f.inode, f.device FROM json_each($1) \
            p JOIN files f ON f.path = p.value";
        let rows: Vec<KnownRow> =
            sqlx::query_as(text).bind(paths).fetch_all(self.reader()).await.map_err(broken)?;
        let known = |row: KnownRow| (row.path, KnownFile { id: row.id, stamp: row.stamp.stamp() });
        Ok(rows.into_iter().map(known).collect())
    }
}
