//! Shares.

use peral_model::{ShareId, Visibility};
use peral_wire::Failure;
use sqlx::FromRow;
use uuid::Uuid;

use super::{Db, broken};

/// A folder that this peer publishes.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ShareRow {
    /// The lowest is that of the first share.
    pub number: i64,
    pub id: Uuid,
    /// The folder, absolute and without symlinks.
    pub path: String,
    /// Put before each name, with a slash between.
    pub prefix: String,
    /// 1 public, 2 private.
    pub visibility: i64,
    /// The command line of the last start named it.
    pub configured: bool,
}

impl ShareRow {
    /// Its id.
    pub fn share_id(&self) -> ShareId {
        ShareId(self.id)
    }

    /// Who may read what it publishes under new names.
    pub fn visibility(&self) -> Visibility {
        visibility(self.visibility)
    }

    /// The name of a file by its path below the folder.
    pub fn name_of(&self, below: &str) -> String {
        if self.prefix.is_empty() { below.to_owned() } else { format!("{}/{below}", self.prefix) }
    }
}

/// Visibility as it is stored.
pub fn visibility(number: i64) -> Visibility {
    // Anything unexpected is private.
    if number == 1 { Visibility::Public } else { Visibility::Private }
}

/// The other way.
pub fn visibility_number(visibility: Visibility) -> i64 {
    match visibility {
        Visibility::Public => 1,
        Visibility::Private => 2,
    }
}

/// Files, bytes and pending files of a share.
#[derive(Debug, Clone, Copy, Default, FromRow)]
pub struct ShareCount {
    pub share: i64,
    /// Files that are held.
    pub files: i64,
    pub bytes: i64,
    /// Files that wait to be published.
    pub pending: i64,
}

impl Db {
    /// All shares, the first one first.
    pub(crate) async fn shares(&self) -> Result<Vec<ShareRow>, Failure> {
        sqlx::query_as(
            "SELECT number, id, path, prefix, visibility, configured FROM shares ORDER BY number",
        )
        .fetch_all(self.reader())
        .await
        .map_err(broken)
    }

    /// Adds a share, or changes prefix and visibility of one that is there.
    pub(crate) async fn add_share(
        &self,
        id: ShareId,
        path: String,
        prefix: String,
        visibility: Visibility,
        configured: bool,
    ) -> Result<ShareRow, Failure> {
        self.write(move |db| {
            Box::pin(async move {
                let insert = "INSERT INTO shares (id, path, prefix, visibility, configured)
                    VALUES ($1, $2, $3, $4, $5)
                    ON CONFLICT (path) DO UPDATE SET prefix = excluded.prefix, visibility =
                    excluded.visibility, configured = excluded.configured
                    RETURNING number, id, path, prefix, visibility, configured";
                let query = sqlx::query_as(insert)
                    .bind(id.0)
                    .bind(path)
                    .bind(prefix)
                    .bind(visibility_number(visibility));
                let query = query.bind(configured);
                query.fetch_one(db).await
            })
        })
        .await
    }

    /// Removes a share with the rows that it indexed, and withdraws their holdings. Downloads in it
    /// stay held. Private content that came from others, or by an upload of this peer's owner, is
    /// recorded: its files are still there, and only an upload may publish them again.
    pub(crate) async fn remove_share(
        &self,
        number: i64,
        owner: Option<Uuid>,
    ) -> Result<(), Failure> {
        self.write(move |db| {
            Box::pin(async move {
                let given = "INSERT OR IGNORE INTO fetched (hash) SELECT r.hash FROM files f JOIN
                    shares s ON s.number = f.share
                    JOIN records r ON r.file_id = f.file_id AND r.version = f.version
                    WHERE f.share = $1 AND f.size > 0 AND r.visibility = 2 AND (s.visibility = 1
                    OR r.owner <> $2)";
                sqlx::query(given).bind(number).bind(owner).execute(&mut *db).await?;
                sqlx::query("UPDATE files SET share = NULL WHERE share = $1 AND fetched = 1")
                    .bind(number)
                    .execute(&mut *db)
                    .await?;
                sqlx::query("DELETE FROM files WHERE share = $1")
                    .bind(number)
                    .execute(&mut *db)
                    .await?;
                let gone = "INSERT INTO deltas (file_id, version, held) SELECT r.file_id,
                    r.version, 0 FROM records r WHERE r.held > 0
                    AND NOT EXISTS (SELECT 1 FROM files f WHERE f.file_id = r.file_id AND
                    f.version = r.version)";
                sqlx::query(gone).execute(&mut *db).await?;
                let held = "UPDATE records SET held = 0 WHERE held > 0
                    AND NOT EXISTS (SELECT 1 FROM files f WHERE f.file_id = records.file_id AND
                    f.version = records.version)";
                sqlx::query(held).execute(&mut *db).await?;
                sqlx::query("DELETE FROM shares WHERE number = $1")
                    .bind(number)
                    .execute(db)
                    .await
                    .map(drop)
            })
        })
        .await
    }

    /// Counts of all shares.
    pub(crate) async fn share_counts(&self) -> Result<Vec<ShareCount>, Failure> {
        let text = "SELECT share, SUM(state = 1) AS files, SUM(CASE WHEN state = 1 THEN size ELSE
            0 END) AS bytes, SUM(state = 0) AS pending
            FROM files WHERE share IS NOT NULL GROUP BY share";
        sqlx::query_as(text).fetch_all(self.reader()).await.map_err(broken)
    }
}
