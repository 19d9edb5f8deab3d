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
use uuid::Uuid;

use crate::{
    db::{
        broken,
        pending::{LeftOut, PendingRow, Published},
        shares::visibility,
        unsigned,
    },
    library::Library,
};

/// How often a batch is tried with the same idempotency key, so that a lost answer does no harm; then
/// its files are read again.
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
    pub fn new(library: Library, rows: Vec<PendingRow>) -> Self {
        Self { library, rows }
    }

    /// Publishes it and records the result of each file.
    ///
    /// # Errors
    /// UNAVAILABLE and the like: nothing was recorded, try again later.
    pub async fn publish(self) -> Result<(), Failure> {
        let mut left_out = Vec::new();
        let mut entries = Vec::new();
        for row in self.rows {
            match held_back(&row) {
                Some(detail) => {
                    left_out.push(LeftOut { id: row.id, code: ErrorCode::Extent, detail });
                }
                None => entries.push(entry(row)?),
            }
        }
        let mut published = Vec::new();
        for (entry, result) in entries.iter().zip(send(&self.library, &entries).await?) {
            let id = entry.id;
            match checked(&self.library, entry, result) {
                Ok(record) => published.push(Published { id, record }),
                Err(failure) => {
                    left_out.push(LeftOut {
                        id,
                        code: shown(failure.code),
                        detail: failure.detail,
                    });
                }
            }
        }
        for LeftOut { id, code, detail } in &left_out {
            tracing::debug!(id, %code, detail, "a file is left out of the catalogue");
        }
        if !left_out.is_empty() {
            self.library.db().leave_out(&left_out).await?;
        }
        if !published.is_empty() {
            self.library.db().set_published(&published).await?;
            self.library.wake_ups().deltas.notify_one();
        }
        Ok(())
    }
}

/// Why only an upload may publish this content under this name, if so.
fn held_back(row: &PendingRow) -> Option<String> {
    if row.size == 0 {
        // No bytes, nothing to disclose.
        return None;
    }
    let private_here = visibility(row.visibility) == peral_model::Visibility::Private;
    if row.was_fetched {
        return Some(
            "this content came from others, by a download or an upload; to publish it under \
            this name, use: peral upload"
                .into(),
        );
    }
    let private = if private_here { row.private_of_other_owners } else { row.private_of_others };
    (private > 0).then(|| {
        "this peer holds this content for a private file; to publish it under this name, use: \
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
                    "central returned {} results for {} files",
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

/// The record in central's answer, if it is the one for this file.
fn checked(
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
        return Err(fail!(
            Internal,
            "central returned the record of another file for {}",
            entry.path
        ));
    }
    Ok(record)
}

/// Where the catalogue has a newer version, people know this copy as outdated.
fn shown(code: ErrorCode) -> ErrorCode {
    if code == ErrorCode::VersionConflict { ErrorCode::Outdated } else { code }
}
