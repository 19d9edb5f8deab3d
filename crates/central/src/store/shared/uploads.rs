//! Uploads, as a publish ends them.

use std::collections::{BTreeSet, HashMap};

use peral_model::{FileId, UploadId};
use peral_wire::rest::holdings::VersionRef;
use sqlx::FromRow;
use uuid::Uuid;

use super::{Conn, access, begin::Extras, principals::Principal};
use crate::store::{
    Refusal, Result, StoreError,
    publish::{NewVersion, Publishing},
    rows::int,
};

/// An upload that a publish ends.
#[derive(FromRow)]
pub(super) struct UploadRow {
    pub account: Uuid,
    pub admin: bool,
    disabled: bool,
    name: String,
    size: i64,
    pub public: bool,
    pub extras: String,
    replaces_file: Option<Uuid>,
    replaces_version: i64,
    done_file: Option<Uuid>,
    done_version: Option<i64>,
    done_hash: Option<Vec<u8>>,
}

impl UploadRow {
    /// Is this version what the upload is for? Gives what it led to, if it has ended already.
    pub(super) fn check(&self, version: &NewVersion) -> Result<Option<VersionRef>, Refusal> {
        if self.disabled {
            return Err(Refusal::Revoked);
        }
        if self.name != version.name.as_str() {
            return Err(Refusal::BadUpload);
        }
        if int(version.content.size) > self.size {
            return Err(Refusal::TooLarge);
        }
        match (self.done_file, self.done_version, &self.done_hash) {
            (None, ..) => Ok(None),
            (Some(file), Some(number), Some(hash)) if *hash == version.content.hash.to_vec() => {
                let number = u64::try_from(number).map_err(|_| Refusal::BadUpload)?;
                Ok(Some(VersionRef { file: FileId(file), version: number }))
            }
            _ => Err(Refusal::BadUpload),
        }
    }

    /// The version that it replaces.
    pub(super) fn replaces(&self) -> Option<VersionRef> {
        let version = u64::try_from(self.replaces_version).unwrap_or_default();
        self.replaces_file.map(|file| VersionRef { file: FileId(file), version })
    }
}

/// The uploads of this peer that a publish names.
pub(super) async fn load(
    c: &mut Conn,
    publishing: &Publishing,
) -> Result<HashMap<UploadId, UploadRow>> {
    let sql = concat!(
        "SELECT u.account, (u.admin AND a.admin) AS admin, a.disabled, u.name, u.size, u.public,
         u.extras, u.replaces_file, u.replaces_version,
         u.done_file, u.done_version, (SELECT v.hash FROM versions v WHERE v.file = u.done_file
         AND v.version = u.done_version) AS done_hash
         FROM uploads u JOIN accounts a ON a.id = u.account WHERE u.id = $1 AND u.peer = $2 AND
         u.ends_ms > $3",
        lock_first!("u")
    );
    let mut uploads = HashMap::new();
    let ids: BTreeSet<UploadId> =
        publishing.versions.iter().filter_map(|version| version.upload).collect();
    for id in ids {
        let query =
            sqlx::query_as(sql).bind(id.0).bind(publishing.writer.peer.0).bind(publishing.now_ms);
        if let Some(row) = query.fetch_optional(&mut *c).await? {
            uploads.insert(id, row);
        }
    }
    Ok(uploads)
}

/// Gives a new file the access list and the tags that its upload was begun with.
pub(super) async fn write_extras(c: &mut Conn, file: FileId, extras: &str) -> Result<()> {
    let corrupt =
        |_| StoreError::Corrupt { table: "uploads", column: "extras", row: file.to_string() };
    let extras: Extras = serde_json::from_str(extras).map_err(corrupt)?;
    for line in extras.access {
        let principal = Principal { id: line.principal, is_group: line.is_group };
        access::grant(c, file.0, principal, line.can_write).await?;
    }
    access::tag(c, file.0, &extras.tags).await
}

/// Ends an upload with the version that it led to.
pub(super) async fn end(c: &mut Conn, upload: UploadId, version: VersionRef) -> Result<()> {
    let sql = "UPDATE uploads SET done_file = $2, done_version = $3 WHERE id = $1";
    sqlx::query(sql)
        .bind(upload.0)
        .bind(version.file.0)
        .bind(int(version.version))
        .execute(c)
        .await?;
    Ok(())
}
