//! One batch of a publish.

use std::time::Duration;

use peral_model::{Content, ContentId, FileId, Record};
use peral_runtime::Backoff;
use peral_wire::{
    ErrorCode, Failure, Sealed, fail,
    rest::{
        files::{NewVersion, Publish, PublishResult},
        holdings::VersionRef,
    },
};
use serde_json::json;
use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::{
    db::{
        broken,
        files::PendingRow,
        records::{hex, hold, rows},
        shares::visibility,
        unsigned,
    },
    library::Library,
};

/// The same batch with the same key, so that a lost answer does no harm, is tried so often; then
/// the files are read anew.
const TRIES: u32 = 6;

/// Files that are published together.
pub struct Batch {
    library: Library,
    rows: Vec<PendingRow>,
}

struct Entry {
    id: i64,
    path: String,
    name: String,
    content: Content,
    version: NewVersion,
}

impl Batch {
    /// A batch of at most 1,000 files.
    pub fn new(library: Library, rows: Vec<PendingRow>) -> Self {
        Self { library, rows }
    }

    /// Publishes it and notes what became of each file.
    ///
    /// # Errors
    /// UNAVAILABLE and the like: nothing was noted, try again later.
    pub async fn publish(self) -> Result<(), Failure> {
        let mut troubles = Vec::new();
        let mut entries = Vec::new();
        for row in self.rows {
            match held_back(&row) {
                Some(detail) => troubles.push((row.id, ErrorCode::Held, detail)),
                None => entries.push(entry(row)?),
            }
        }
        let mut published = Vec::new();
        for (entry, result) in entries.iter().zip(send(&self.library, &entries).await?) {
            match outcome(&self.library, entry, result) {
                Ok(record) => published.push((entry.id, record)),
                Err(failure) => troubles.push((entry.id, shown(failure.code), failure.detail)),
            }
        }
        for (id, code, detail) in &troubles {
            tracing::debug!(id, %code, detail, "a file is left out of the catalogue");
        }
        if !troubles.is_empty() {
            self.library.db().trouble(troubles).await?;
        }
        if !published.is_empty() {
            note(&self.library, published).await?;
        }
        Ok(())
    }
}

/// Only an upload publishes this content under another name.
fn held_back(row: &PendingRow) -> Option<String> {
    if row.size == 0 {
        // No bytes, nothing to give away.
        return None;
    }
    let private_here = visibility(row.visibility) == peral_model::Visibility::Private;
    if row.was_fetched {
        return Some(
            "this content came from others, by a download or an upload; publish it under \
            this name with: peral upload"
                .into(),
        );
    }
    let private = if private_here { row.private_of_other_owners } else { row.private_of_others };
    (private > 0).then(|| {
        "this peer holds this content for a private file; publish it under this name with: \
        peral upload"
            .into()
    })
}

fn entry(row: PendingRow) -> Result<Entry, Failure> {
    let content = Content {
        hash: ContentId::from_bytes(&row.hash).map_err(broken)?,
        size: unsigned(row.size),
    };
    let had = row.had_file.zip(row.had_version);
    let version = NewVersion {
        name: row.name.clone(),
        hash: content.hash,
        size: content.size,
        visibility: visibility(row.visibility),
        replaces: had
            .map(|(file, version)| VersionRef { file: FileId(file), version: unsigned(version) }),
        upload: None,
    };
    Ok(Entry { id: row.id, path: row.path, name: row.name, content, version })
}

async fn send(library: &Library, entries: &[Entry]) -> Result<Vec<PublishResult>, Failure> {
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let files = entries.iter().map(|entry| entry.version.clone()).collect();
    let publish = Publish { idempotency_key: Uuid::new_v4().to_string(), files };
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    let mut tries = 0;
    loop {
        let answer = match library.link().catalogue().await {
            Ok(catalogue) => catalogue.publish(&publish).await,
            Err(failure) => Err(failure),
        };
        tries += 1;
        match answer {
            Ok(answer) if answer.results.len() == entries.len() => return Ok(answer.results),
            Ok(answer) => {
                return Err(fail!(
                    Internal,
                    "central gave {} results for {} files",
                    answer.results.len(),
                    entries.len()
                ));
            }
            Err(failure) if tries < TRIES && is_passing(failure.code) => {
                tokio::time::sleep(backoff.next_pause()).await;
            }
            Err(failure) => return Err(failure),
        }
    }
}

fn is_passing(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::Unavailable
            | ErrorCode::DeadlineExceeded
            | ErrorCode::Busy
            | ErrorCode::RateLimited
    )
}

fn outcome(
    library: &Library,
    entry: &Entry,
    result: PublishResult,
) -> Result<Sealed<Record>, Failure> {
    let record = match result {
        PublishResult::Record(text) => {
            Sealed::<Record>::from_text(&text, &library.rights().verifier())?
        }
        PublishResult::Problem(problem) => return Err(problem.into()),
    };
    if record.value.name.as_str() != entry.name || record.value.content != entry.content {
        return Err(fail!(Internal, "central published something else for {}", entry.path));
    }
    Ok(record)
}

/// A newer version than this copy is what people call outdated.
fn shown(code: ErrorCode) -> ErrorCode {
    if code == ErrorCode::VersionConflict { ErrorCode::Outdated } else { code }
}

/// Notes what was published: what the peer last had of each name, the rows that did not change
/// meanwhile, and their holdings.
async fn note(library: &Library, published: Vec<(i64, Sealed<Record>)>) -> Result<(), Failure> {
    let records = rows(published.iter().map(|(_, record)| record));
    let ids = published.iter().map(|(id, record)| {
        let value = &record.value;
        json!([
            id,
            value.file.0.simple().to_string(),
            value.version,
            hex(&value.content.hash.0),
            value.name.as_str()
        ])
    });
    let ids = serde_json::Value::Array(ids.collect()).to_string();
    let write = library.db().write(move |db: &mut SqliteConnection| {
        Box::pin(async move {
            let names = "INSERT INTO names (name, file_id, version, hash)
                SELECT value ->> 4, unhex(value ->> 1), value ->> 2, unhex(value ->> 3) FROM
                json_each($1) WHERE true
                ON CONFLICT (name) DO UPDATE SET file_id = excluded.file_id, version =
                excluded.version, hash = excluded.hash";
            sqlx::query(names).bind(&ids).execute(&mut *db).await?;
            let files = "UPDATE files SET state = 1, file_id = unhex(n.value ->> 1), version =
                n.value ->> 2, code = NULL, detail = NULL
                FROM json_each($1) n WHERE files.id = n.value ->> 0 AND state = 0 AND hash =
                unhex(n.value ->> 3)";
            sqlx::query(files).bind(&ids).execute(&mut *db).await?;
            hold(db, &records).await
        })
    });
    write.await?;
    library.kicks().deltas.notify_one();
    Ok(())
}
