//! What a publish decides, from what its versions meet.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use peral_model::{
    AccountId, Content, FileId, Record, UploadId, Visibility,
    event::{Event, FilePublished},
};
use peral_wire::rest::{files::KEPT_VERSIONS, holdings::VersionRef};
use uuid::Uuid;

use super::{
    Conn, bulk, events,
    uploads::{self, UploadRow},
};
use crate::store::{
    Refusal, Result, StoreError,
    decide::{Current, Decision, FileRights, Proposal, decide},
    publish::{NewVersion, Publishing},
    replay::VersionResult,
    rows::{VersionKey, VersionRow, hash, int, nat, new_id, visibility},
};

/// What the versions of a publish meet, and what becomes of it.
pub(super) struct Publication {
    account: AccountId,
    uploads: HashMap<UploadId, UploadRow>,
    current: HashMap<String, Current>,
    rights: HashMap<(AccountId, FileId), FileRights>,
    removed_files: HashSet<FileId>,
    removed_contents: HashSet<(String, Vec<u8>)>,
    made: BTreeSet<String>,
    advanced: BTreeSet<String>,
    versions: Vec<VersionRow>,
    ended: Vec<(UploadId, VersionRef)>,
    extras: Vec<(FileId, String)>,
}

/// For whom a version is published, and as what.
struct Behalf {
    account: AccountId,
    admin: bool,
    public: bool,
    replaces: Option<VersionRef>,
    /// Access list and tags of a new file.
    extras: Option<String>,
}

impl Publication {
    pub(super) async fn load(
        c: &mut Conn,
        publishing: &Publishing,
        account: AccountId,
    ) -> Result<Self> {
        let uploads = uploads::load(c, publishing).await?;
        let names: BTreeSet<&str> =
            publishing.versions.iter().map(|version| version.name.as_str()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let current: HashMap<String, Current> = load_current(c, &names).await?;
        let mut publication = Self {
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
        publication.load_rights(c).await?;
        if publishing.versions.iter().any(|version| version.upload.is_none()) {
            let replaced: HashSet<Uuid> = publishing
                .versions
                .iter()
                .filter_map(|version| Some(version.replaces?.file.0))
                .collect();
            let replaced: Vec<Uuid> = replaced.into_iter().collect();
            for row in bulk::tombstones(c, &names, &replaced).await? {
                publication.removed_files.insert(FileId(row.id));
                publication.removed_contents.insert((row.name, row.hash));
            }
        }
        Ok(publication)
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
                self.rights.insert((account, FileId(file)), FileRights { read: true, write });
            }
        }
        Ok(())
    }

    /// Decides on one version, and remembers what is to be written.
    pub(super) fn take(&mut self, publishing: &Publishing, version: &NewVersion) -> VersionResult {
        if let Some(id) = version.upload {
            let upload = self.uploads.get(&id).ok_or(Refusal::BadUpload)?;
            if let Some(done) = upload.check(version)? {
                return Ok(done);
            }
        }
        let behalf = self.behalf(version);
        let name = version.name.as_str();
        let current = self.current.get(name);
        let next = match (self.decide(version, &behalf, current), current) {
            (Decision::Refuse(refusal), _) => return Err(refusal),
            (Decision::Same, Some(current)) => {
                return Ok(self.end(version.upload, reference(current)));
            }
            (Decision::Next, Some(current)) => Current {
                version: current.version + 1,
                content: version.content,
                ..current.clone()
            },
            _ => self.create(publishing, version, behalf),
        };
        if !self.made.contains(name) {
            self.advanced.insert(name.to_owned());
        }
        let made = reference(&next);
        self.versions.push(sign(publishing, version, &next));
        self.current.insert(name.to_owned(), next);
        Ok(self.end(version.upload, made))
    }

    /// For whom a version is published: the peer's account, or that of its upload.
    fn behalf(&self, version: &NewVersion) -> Behalf {
        match version.upload.and_then(|id| self.uploads.get(&id)) {
            None => Behalf {
                account: self.account,
                admin: false,
                public: version.visibility == Visibility::Public,
                replaces: version.replaces,
                extras: None,
            },
            Some(upload) => Behalf {
                account: AccountId(upload.account),
                admin: upload.admin,
                public: upload.public,
                replaces: upload.replaces(),
                extras: Some(upload.extras.clone()),
            },
        }
    }

    fn decide(&self, version: &NewVersion, behalf: &Behalf, current: Option<&Current>) -> Decision {
        let proposal = Proposal {
            account: behalf.account,
            content: version.content,
            replaces: behalf.replaces,
            upload: version.upload.is_some(),
        };
        let rights = match current {
            _ if behalf.admin => FileRights { read: true, write: true },
            Some(current) => {
                self.rights.get(&(behalf.account, current.file)).copied().unwrap_or_default()
            }
            None => FileRights::default(),
        };
        let content = (version.name.as_str().to_owned(), version.content.hash.to_vec());
        let removed = self.removed_contents.contains(&content)
            || behalf.replaces.is_some_and(|old| self.removed_files.contains(&old.file));
        decide(&proposal, current, rights, removed)
    }

    /// The first version of a new file.
    fn create(&mut self, publishing: &Publishing, version: &NewVersion, behalf: Behalf) -> Current {
        let file = FileId(new_id(publishing.now_ms));
        self.made.insert(version.name.as_str().to_owned());
        self.extras.extend(behalf.extras.map(|extras| (file, extras)));
        Current {
            file,
            owner: behalf.account,
            public: behalf.public,
            serial: 1,
            version: 1,
            content: version.content,
        }
    }

    fn end(&mut self, upload: Option<UploadId>, version: VersionRef) -> VersionRef {
        self.ended.extend(upload.map(|upload| (upload, version)));
        version
    }

    /// Writes what was decided.
    pub(super) async fn write(&self, c: &mut Conn, publishing: &Publishing) -> Result<()> {
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
        for (file, extras) in &self.extras {
            uploads::write_extras(c, *file, extras).await?;
        }
        for (upload, version) in &self.ended {
            uploads::end(c, *upload, *version).await?;
        }
        Ok(())
    }
}

fn reference(current: &Current) -> VersionRef {
    VersionRef { file: current.file, version: current.version }
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

async fn load_current(c: &mut Conn, names: &[&str]) -> Result<HashMap<String, Current>> {
    let mut current = HashMap::with_capacity(names.len());
    for row in bulk::current(c, names).await? {
        let content = Content {
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
