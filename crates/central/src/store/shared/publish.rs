//! Publishing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use async_trait::async_trait;
use futures::FutureExt;
use peral_model::{
    AccountId, FileId, Record, UploadId, Visibility,
    event::{Event, FilePublished},
};
use peral_wire::rest::{files::KEPT_VERSIONS, holdings::VersionRef};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Conn, Database, access, begin, bulk, events, peers, principals::Principal};
use crate::store::{
    Refusal, Result, StoreError,
    decide::{Current, Decision, Rights, Wanted, decide},
    publish::{BegunUpload, NewUpload, NewVersion, Publishes, Publishing, REPLAY_MS},
    replay::{Outcome, fingerprint, pack, unpack},
    rows::{VersionKey, VersionRow, hash, int, nat, new_id, visibility},
};

#[async_trait]
impl Publishes for Database {
    async fn publish(&self, publishing: Publishing) -> Result<Vec<Result<Vec<u8>, Refusal>>> {
        self.write(publishing, |c, publishing| publish(c, publishing).boxed()).await
    }
    async fn begin_upload(&self, upload: NewUpload) -> Result<BegunUpload> {
        self.write(upload, |c, upload| begin::begin(c, upload).boxed()).await
    }
}

async fn publish(c: &mut Conn, publishing: &Publishing) -> Result<Vec<Result<Vec<u8>, Refusal>>> {
    let account = peers::fence(c, publishing.writer).await?;
    let outcomes = match remembered(c, publishing).await? {
        Some(outcomes) => outcomes,
        None => {
            let mut batch = Batch::load(c, publishing, account).await?;
            let outcomes: Vec<Outcome> =
                publishing.versions.iter().map(|version| batch.take(publishing, version)).collect();
            batch.write(c, publishing).await?;
            remember(c, publishing, &outcomes).await?;
            outcomes
        }
    };
    records(c, outcomes).await
}

/// Takes the idempotency key, or gives the results that are kept under it.
async fn remembered(c: &mut Conn, publishing: &Publishing) -> Result<Option<Vec<Outcome>>> {
    let request = fingerprint(publishing);
    let peer = publishing.writer.peer.0;
    // Another publish under the same key is waited for here.
    let taken = sqlx::query(
        "INSERT INTO replays (peer, key, request, results, ends_ms) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (peer, key) DO UPDATE
         SET request = excluded.request, results = excluded.results, ends_ms = excluded.ends_ms
         WHERE replays.ends_ms <= $6",
    )
    .bind(peer)
    .bind(&publishing.key)
    .bind(&request)
    .bind(Vec::<u8>::new())
    .bind(publishing.now_ms + REPLAY_MS)
    .bind(publishing.now_ms)
    .execute(&mut *c)
    .await?;
    if taken.rows_affected() == 1 {
        return Ok(None);
    }
    let sql = "SELECT request, results FROM replays WHERE peer = $1 AND key = $2";
    let (before, results): (Vec<u8>, Vec<u8>) =
        sqlx::query_as(sql).bind(peer).bind(&publishing.key).fetch_one(c).await?;
    if before != request {
        return Err(Refusal::KeyReused.into());
    }
    let corrupt =
        || StoreError::Corrupt { table: "replays", column: "results", row: peer.to_string() };
    unpack(&results).map(Some).ok_or_else(corrupt)
}

async fn remember(c: &mut Conn, publishing: &Publishing, outcomes: &[Outcome]) -> Result<()> {
    let sql = "UPDATE replays SET results = $3 WHERE peer = $1 AND key = $2";
    sqlx::query(sql)
        .bind(publishing.writer.peer.0)
        .bind(&publishing.key)
        .bind(pack(outcomes))
        .execute(c)
        .await?;
    Ok(())
}

/// The records of what was published. One that has gone since (a result that is given again) was
/// removed.
async fn records(c: &mut Conn, outcomes: Vec<Outcome>) -> Result<Vec<Result<Vec<u8>, Refusal>>> {
    let keys: Vec<VersionKey> =
        outcomes.iter().flatten().map(|version| VersionKey::from(*version)).collect();
    let rows = if keys.is_empty() { Vec::new() } else { bulk::envelopes(c, &keys).await? };
    let records: HashMap<VersionKey, Vec<u8>> =
        rows.into_iter().map(|row| (row.key, row.record)).collect();
    let record =
        |version: VersionRef| records.get(&version.into()).cloned().ok_or(Refusal::Removed);
    Ok(outcomes.into_iter().map(|outcome| outcome.and_then(record)).collect())
}

/// An upload that a publish ends.
#[derive(FromRow)]
struct UploadRow {
    account: Uuid,
    admin: bool,
    disabled: bool,
    name: String,
    size: i64,
    public: bool,
    extras: String,
    replaces_file: Option<Uuid>,
    replaces_version: i64,
    done_file: Option<Uuid>,
    done_version: Option<i64>,
    done_hash: Option<Vec<u8>>,
}

/// What the versions of a publish meet, and what becomes of it.
struct Batch {
    account: AccountId,
    uploads: HashMap<UploadId, UploadRow>,
    current: HashMap<String, Current>,
    rights: HashMap<(AccountId, FileId), Rights>,
    removed_files: HashSet<FileId>,
    removed_contents: HashSet<(String, Vec<u8>)>,
    made: BTreeSet<String>,
    advanced: BTreeSet<String>,
    versions: Vec<VersionRow>,
    ended: Vec<(UploadId, VersionRef)>,
    extras: Vec<(FileId, String)>,
}

impl Batch {
    async fn load(c: &mut Conn, publishing: &Publishing, account: AccountId) -> Result<Self> {
        let uploads = load_uploads(c, publishing).await?;
        let names: BTreeSet<&str> =
            publishing.versions.iter().map(|version| version.name.as_str()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let current: HashMap<String, Current> = load_current(c, &names).await?;
        let mut batch = Self {
            account,
            uploads,
            current,
            rights: HashMap::new(),
            removed_files: HashSet::new(),
            removed_contents: HashSet::new(),
            made: BTreeSet::new(),
            advanced: BTreeSet::new(),
            versions: Vec::new(),
            ended: Vec::new(),
            extras: Vec::new(),
        };
        batch.load_rights(c).await?;
        if publishing.versions.iter().any(|version| version.upload.is_none()) {
            let replaced: HashSet<Uuid> = publishing
                .versions
                .iter()
                .filter_map(|version| Some(version.replaces?.file.0))
                .collect();
            let replaced: Vec<Uuid> = replaced.into_iter().collect();
            for row in bulk::tombstones(c, &names, &replaced).await? {
                batch.removed_files.insert(FileId(row.id));
                batch.removed_contents.insert((row.name, row.hash));
            }
        }
        Ok(batch)
    }

    /// What the accounts that publish may do with files of others.
    async fn load_rights(&mut self, c: &mut Conn) -> Result<()> {
        let uploaders =
            self.uploads.values().map(|upload| (AccountId(upload.account), upload.admin));
        let accounts: BTreeMap<AccountId, bool> =
            uploaders.chain([(self.account, false)]).collect();
        for (account, _) in accounts {
            let foreign: Vec<Uuid> = self
                .current
                .values()
                .filter(|current| current.owner != account)
                .map(|current| current.file.0)
                .collect();
            if foreign.is_empty() {
                continue;
            }
            for (file, write) in bulk::rights(c, account.0, &foreign).await? {
                self.rights.insert((account, FileId(file)), Rights { read: true, write });
            }
        }
        Ok(())
    }

    /// Decides on one version, and remembers what is to be written.
    fn take(&mut self, publishing: &Publishing, version: &NewVersion) -> Outcome {
        let upload = match version.upload {
            None => None,
            Some(id) => match self.check_upload(id, version) {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => self.uploads.get(&id),
                Err(refusal) => return Err(refusal),
            },
        };
        let (account, admin, public, replaces) = match upload {
            None => {
                (self.account, false, version.visibility == Visibility::Public, version.replaces)
            }
            Some(row) => (AccountId(row.account), row.admin, row.public, replaced(row)),
        };
        let extras = upload.map(|upload| upload.extras.clone());
        let name = version.name.as_str();
        let wanted = Wanted {
            account,
            content: version.content,
            replaces,
            upload: version.upload.is_some(),
        };
        let current = self.current.get(name);
        let rights = match current {
            _ if admin => Rights { read: true, write: true },
            Some(current) => self.rights.get(&(account, current.file)).copied().unwrap_or_default(),
            None => Rights::default(),
        };
        let removed = replaces.is_some_and(|replaces| self.removed_files.contains(&replaces.file))
            || self.removed_contents.contains(&(name.to_owned(), version.content.hash.to_vec()));
        let next = match (decide(&wanted, current, rights, removed), current) {
            (Decision::Refuse(refusal), _) => return Err(refusal),
            (Decision::Same, Some(current)) => {
                return Ok(self.end(version.upload, reference(current)));
            }
            (Decision::Next, Some(current)) => Current {
                version: current.version + 1,
                content: version.content,
                ..current.clone()
            },
            _ => {
                let file = FileId(new_id(publishing.now_ms));
                self.made.insert(name.to_owned());
                self.extras.extend(extras.map(|extras| (file, extras)));
                Current {
                    file,
                    owner: account,
                    public,
                    serial: 1,
                    version: 1,
                    content: version.content,
                }
            }
        };
        if !self.made.contains(name) {
            self.advanced.insert(name.to_owned());
        }
        let made = reference(&next);
        self.versions.push(sign(publishing, version, &next));
        self.current.insert(name.to_owned(), next);
        Ok(self.end(version.upload, made))
    }

    fn end(&mut self, upload: Option<UploadId>, version: VersionRef) -> VersionRef {
        self.ended.extend(upload.map(|upload| (upload, version)));
        version
    }

    /// Is this version what the upload is for? Gives what it led to, if it has ended already.
    fn check_upload(
        &self,
        id: UploadId,
        version: &NewVersion,
    ) -> Result<Option<VersionRef>, Refusal> {
        let row = self.uploads.get(&id).ok_or(Refusal::BadUpload)?;
        if row.disabled {
            return Err(Refusal::Revoked);
        }
        if row.name != version.name.as_str() {
            return Err(Refusal::BadUpload);
        }
        if int(version.content.size) > row.size {
            return Err(Refusal::TooLarge);
        }
        match (row.done_file, row.done_version, &row.done_hash) {
            (None, ..) => Ok(None),
            (Some(file), Some(number), Some(hash)) if *hash == version.content.hash.to_vec() => {
                let number = u64::try_from(number).map_err(|_| Refusal::BadUpload)?;
                Ok(Some(VersionRef { file: FileId(file), version: number }))
            }
            _ => Err(Refusal::BadUpload),
        }
    }

    async fn write(&self, c: &mut Conn, publishing: &Publishing) -> Result<()> {
        let now_ms = publishing.now_ms;
        let made: Vec<(&str, &Current)> = self
            .made
            .iter()
            .filter_map(|name| Some((name.as_str(), self.current.get(name)?)))
            .collect();
        if !made.is_empty() && bulk::insert_files(c, &made, now_ms).await? < made.len() as u64 {
            // Somebody else took one of the names since they were read: decide again.
            return Err(StoreError::Raced);
        }
        let advanced: Vec<&Current> =
            self.advanced.iter().filter_map(|name| self.current.get(name)).collect();
        if !advanced.is_empty() {
            bulk::advance_files(c, &advanced, now_ms).await?;
        }
        if !self.versions.is_empty() {
            bulk::insert_versions(c, publishing.writer.peer.0, &self.versions, now_ms).await?;
            let published =
                |row: &VersionRow| FilePublished { file: row.file, version: row.version }.into();
            let events: Vec<Event> = self.versions.iter().map(published).collect();
            events::append(c, &events, now_ms).await?;
        }
        let full = |current: &&Current| current.version > KEPT_VERSIONS;
        let oldest = |current: &Current| VersionKey {
            file: current.file.0,
            version: int(current.version - KEPT_VERSIONS),
        };
        let old: Vec<VersionKey> = advanced.into_iter().filter(full).map(oldest).collect();
        if !old.is_empty() {
            bulk::drop_versions(c, &old).await?;
        }
        self.write_uploads(c).await
    }

    async fn write_uploads(&self, c: &mut Conn) -> Result<()> {
        for (file, extras) in &self.extras {
            let corrupt = |_| StoreError::Corrupt {
                table: "uploads",
                column: "extras",
                row: file.to_string(),
            };
            let extras: begin::Extras = serde_json::from_str(extras).map_err(corrupt)?;
            for line in extras.access {
                let principal = Principal { id: line.principal, is_group: line.is_group };
                access::grant(c, file.0, principal, line.can_write).await?;
            }
            access::tag(c, file.0, &extras.tags).await?;
        }
        for (upload, version) in &self.ended {
            let sql = "UPDATE uploads SET done_file = $2, done_version = $3 WHERE id = $1";
            sqlx::query(sql)
                .bind(upload.0)
                .bind(version.file.0)
                .bind(int(version.version))
                .execute(&mut *c)
                .await?;
        }
        Ok(())
    }
}

fn reference(current: &Current) -> VersionRef {
    VersionRef { file: current.file, version: current.version }
}

fn replaced(upload: &UploadRow) -> Option<VersionRef> {
    let version = u64::try_from(upload.replaces_version).unwrap_or_default();
    upload.replaces_file.map(|file| VersionRef { file: FileId(file), version })
}

fn sign(publishing: &Publishing, version: &NewVersion, current: &Current) -> VersionRow {
    let record = Record {
        file: current.file,
        name: version.name.clone(),
        version: current.version,
        content: current.content,
        owner: current.owner,
        visibility: visibility(current.public),
        serial: current.serial,
        published_ms: publishing.now_ms,
    };
    VersionRow {
        file: current.file,
        version: current.version,
        content: current.content,
        record: (publishing.seal)(&record),
    }
}

async fn load_uploads(
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

async fn load_current(c: &mut Conn, names: &[&str]) -> Result<HashMap<String, Current>> {
    let mut current = HashMap::with_capacity(names.len());
    for row in bulk::current(c, names).await? {
        let content = peral_model::Content {
            hash: hash(&row.hash, "files", row.id)?,
            size: nat(row.size, "files", "size", row.id)?,
        };
        let known = Current {
            file: FileId(row.id),
            owner: AccountId(row.owner),
            public: row.public,
            serial: nat(row.serial, "files", "serial", row.id)?,
            version: nat(row.version, "files", "version", row.id)?,
            content,
        };
        current.insert(row.name, known);
    }
    Ok(current)
}
