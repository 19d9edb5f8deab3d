//! Files on their way into the catalogue: hashed and pending, published, or left out.

use peral_model::{ContentId, FileId, Record};
use peral_transfer::Stamp;
use peral_wire::{ErrorCode, Failure, Sealed};
use serde_json::{Value, json};
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::{
    Db, broken,
    records::{hex, hold, release, rows},
    signed, unsigned,
};

/// A file that was hashed and is to be published.
#[derive(Debug, Clone)]
pub struct Indexed {
    /// Absolute path.
    pub path: String,
    /// Number of its share.
    pub share: i64,
    /// Its name.
    pub name: String,
    /// What the disk said of it when it was hashed.
    pub stamp: Stamp,
    /// Hash of its content.
    pub hash: ContentId,
}

/// A file that waits to be published, with what decides how.
#[derive(Debug, Clone, FromRow)]
pub struct PendingRow {
    /// Number of the row.
    pub id: i64,
    /// Absolute path.
    pub path: String,
    /// The name to publish.
    pub name: String,
    /// Bytes.
    pub size: i64,
    /// The content's hash, 32 bytes.
    pub hash: Vec<u8>,
    /// Visibility of its share.
    pub visibility: i64,
    /// The file that this peer last had under the name.
    pub had_file: Option<Uuid>,
    /// The version of that file.
    pub had_version: Option<i64>,
    /// A download wrote this content here, under another name than this.
    pub was_fetched: bool,
    /// Held for a private file of another name: how many of them.
    pub private_of_others: i64,
    /// How many of those do not belong to the account asked for.
    pub private_of_other_owners: i64,
}

/// A file to leave out of the catalogue.
#[derive(Debug)]
pub struct LeftOut {
    /// Number of its row.
    pub id: i64,
    pub code: ErrorCode,
    /// Why, for a person.
    pub detail: String,
}

/// A file that central has published.
#[derive(Debug)]
pub struct Published {
    /// Number of its row.
    pub id: i64,
    pub record: Sealed<Record>,
}

/// Files that are not in the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct WaitingFiles {
    /// They wait to be published.
    pub pending: u64,
    pub left_out: u64,
}

#[derive(FromRow)]
struct WaitingRow {
    pending: i64,
    left_out: i64,
}

#[derive(FromRow)]
struct VersionRow {
    file_id: Uuid,
    version: i64,
}

impl Db {
    /// Keeps files that were hashed as pending, but for those of shares that are gone. A row that
    /// is there with the same stamp stays as it is: somebody else wrote it meanwhile. What a
    /// changed path held is withdrawn. True if a holding went.
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
        sqlx::query_as(text)
            .bind(after)
            .bind(owner)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(self.reader())
            .await
            .map_err(broken)
    }

    /// Records what was published: what the peer last had of each name, the rows that did not
    /// change meanwhile, and their holdings.
    pub(crate) async fn set_published(&self, published: &[Published]) -> Result<(), Failure> {
        let records = rows(published.iter().map(|file| &file.record));
        let files = published.iter().map(|file| {
            let value = &file.record.value;
            json!({
                "id": file.id,
                "file": value.file.0.simple().to_string(),
                "version": value.version,
                "hash": hex(&value.content.hash.0),
                "name": value.name.as_str(),
            })
        });
        let files = Value::Array(files.collect()).to_string();
        self.write(move |db| {
            Box::pin(async move {
                let names = "INSERT INTO names (name, file_id, version, hash)
                    SELECT value ->> 'name', unhex(value ->> 'file'), value ->> 'version',
                    unhex(value ->> 'hash') FROM json_each($1) WHERE true
                    ON CONFLICT (name) DO UPDATE SET file_id = excluded.file_id, version =
                    excluded.version, hash = excluded.hash";
                sqlx::query(names).bind(&files).execute(&mut *db).await?;
                let held = "UPDATE files SET state = 1, file_id = unhex(n.value ->> 'file'),
                    version = n.value ->> 'version', code = NULL, detail = NULL
                    FROM json_each($1) n WHERE files.id = n.value ->> 'id' AND state = 0 AND hash =
                    unhex(n.value ->> 'hash')";
                sqlx::query(held).bind(&files).execute(&mut *db).await?;
                hold(db, &records).await
            })
        })
        .await
    }

    /// Leaves files out of the catalogue; those that changed meanwhile stay as they are.
    pub(crate) async fn leave_out(&self, files: &[LeftOut]) -> Result<(), Failure> {
        let row = |file: &LeftOut| json!({ "id": file.id, "code": file.code.as_str(), "detail": file.detail });
        let rows = Value::Array(files.iter().map(row).collect()).to_string();
        self.write(move |db| {
            Box::pin(async move {
                let text = "UPDATE files SET state = 2, code = n.value ->> 'code', detail =
                    n.value ->> 'detail'
                    FROM json_each($1) n WHERE files.id = n.value ->> 'id' AND state = 0";
                sqlx::query(text).bind(rows).execute(db).await.map(drop)
            })
        })
        .await
    }

    /// Publishes again what was left out with one of these codes. Gives their number.
    pub(crate) async fn retry_left_out(&self, codes: &'static [ErrorCode]) -> Result<u64, Failure> {
        let codes =
            Value::Array(codes.iter().map(|code| code.as_str().into()).collect()).to_string();
        self.write(move |db| {
            Box::pin(async move {
                let text = "UPDATE files SET state = 0, code = NULL, detail = NULL WHERE state = \
                    2 AND hash <> X'' AND code IN (SELECT value FROM json_each($1))";
                Ok(sqlx::query(text).bind(codes).execute(db).await?.rows_affected())
            })
        })
        .await
    }

    /// Files that are not in the catalogue. Each number comes from an index of only those.
    pub(crate) async fn waiting_files(&self) -> Result<WaitingFiles, Failure> {
        let text = "SELECT (SELECT COUNT(*) FROM files WHERE state = 0) AS pending, (SELECT \
            COUNT(*) FROM files WHERE state = 2) AS left_out";
        let row: WaitingRow =
            sqlx::query_as(text).fetch_one(self.reader()).await.map_err(broken)?;
        Ok(WaitingFiles { pending: unsigned(row.pending), left_out: unsigned(row.left_out) })
    }

    /// Records that a content comes, or came, by a download.
    pub(crate) async fn note_fetched(&self, hash: ContentId) -> Result<(), Failure> {
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

fn indexed_row(file: &Indexed) -> Value {
    let stamp = &file.stamp;
    json!({
        "path": file.path,
        "share": file.share,
        "name": file.name,
        "size": signed(stamp.size),
        "mtime_ns": stamp.mtime_ns,
        "inode": stamp.inode.cast_signed(),
        "device": stamp.device.cast_signed(),
        "hash": hex(&file.hash.0),
    })
}

async fn index(
    db: &mut SqliteConnection,
    mut files: Vec<Indexed>,
    now_ms: i64,
) -> sqlx::Result<bool> {
    // A share that was removed, or got another prefix, since the walk began: its names are no
    // longer these.
    let shares: Vec<i64> =
        sqlx::query_scalar("SELECT number FROM shares").fetch_all(&mut *db).await?;
    files.retain(|file| shares.contains(&file.share));
    let rows = Value::Array(files.iter().map(indexed_row).collect()).to_string();
    // Touched, but the same bytes: only the stamp is new.
    let touched = "UPDATE files SET size = n.value ->> 'size', mtime_ns = n.value ->> 'mtime_ns',
        inode = n.value ->> 'inode', device = n.value ->> 'device'
        FROM json_each($1) n WHERE files.path = n.value ->> 'path' AND state = 1 AND hash =
        unhex(n.value ->> 'hash')";
    sqlx::query(touched).bind(&rows).execute(&mut *db).await?;
    let changed = "SELECT f.file_id, f.version FROM json_each($1) n JOIN files f ON f.path =
        n.value ->> 'path'
        WHERE f.file_id IS NOT NULL AND NOT (f.size = n.value ->> 'size' AND f.mtime_ns =
        n.value ->> 'mtime_ns' AND f.inode = n.value ->> 'inode' AND f.device = n.value ->>
        'device')";
    let held: Vec<VersionRow> = sqlx::query_as(changed).bind(&rows).fetch_all(&mut *db).await?;
    let text = "INSERT INTO files (path, share, name, size, mtime_ns, inode, device, hash, state,
        fetched, used_ms)
        SELECT value ->> 'path', value ->> 'share', value ->> 'name', value ->> 'size',
        value ->> 'mtime_ns', value ->> 'inode', value ->> 'device', unhex(value ->> 'hash'), 0,
        0, $2 FROM json_each($1) WHERE true
        ON CONFLICT (path) DO UPDATE SET share = excluded.share, name = excluded.name, size =
        excluded.size, mtime_ns = excluded.mtime_ns,
            inode = excluded.inode, device = excluded.device, hash = excluded.hash, state = 0,
            file_id = NULL, version = NULL, fetched = 0,
            code = NULL, detail = NULL, used_ms = excluded.used_ms
        WHERE NOT (size = excluded.size AND mtime_ns = excluded.mtime_ns AND inode =
        excluded.inode AND device = excluded.device)";
    sqlx::query(text).bind(&rows).bind(now_ms).execute(&mut *db).await?;
    let mut went = false;
    for row in held {
        went |= release(db, FileId(row.file_id), unsigned(row.version)).await?;
    }
    Ok(went)
}
