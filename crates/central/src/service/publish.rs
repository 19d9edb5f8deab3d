//! Publishing, and uploads that lead to it.

use base64::{Engine, engine::general_purpose::STANDARD};
use peral_model::{Content, Ticket};
use peral_wire::{
    Failure, Sealed, convert, fail,
    rest::{
        files::{
            MAX_PUBLISH, NewUpload, NewVersion, Publish, PublishResult, Published, Source, Upload,
        },
        holdings::VersionRef,
    },
};

use super::{
    app::App,
    caller::{Caller, PeerCaller},
    files::checked_lists,
};
use crate::store::publish as kept;

/// How long a ticket is valid, in milliseconds.
const OPEN_MS: i64 = 3_600_000;

impl App {
    /// Publishes versions; each has a result of its own.
    ///
    /// # Errors
    /// As a whole: STALE_EPOCH, INVALID_ARGUMENT.
    pub async fn publish(&self, peer: &PeerCaller, publish: Publish) -> Result<Published, Failure> {
        let key = publish.idempotency_key;
        if publish.files.len() > MAX_PUBLISH {
            return Err(fail!(
                InvalidArgument,
                "{} versions in one request; the maximum is {MAX_PUBLISH}",
                publish.files.len()
            ));
        }
        if key.is_empty() || key.len() > 64 || key.contains('\0') {
            return Err(fail!(InvalidArgument, "an idempotency key must have 1 to 64 characters"));
        }
        let read: Vec<Result<kept::NewVersion, Failure>> =
            publish.files.iter().map(version).collect();
        let versions: Vec<kept::NewVersion> = read.iter().flatten().cloned().collect();
        let publishing = kept::Publishing {
            writer: peer.writer,
            key,
            versions,
            seal: self.seal(),
            now_ms: self.now(),
        };
        let mut published = self.store()?.publish(publishing).await?.into_iter();
        let missing = || fail!(Internal, "the store returned fewer results than versions");
        let mut next = || published.next().ok_or_else(missing)?.map_err(Failure::from);
        let results: Vec<_> =
            read.into_iter().map(|version| version.and_then(|_| next())).collect();
        let good = results.iter().filter(|result| result.is_ok()).count();
        self.metrics.published(good, results.len() - good);
        tracing::info!(
            peer = %peer.writer.peer,
            published = good,
            refused = results.len() - good,
            "published"
        );
        Ok(Published { results: results.into_iter().map(result).collect() })
    }

    /// Begins an upload: chooses the peer, and issues the ticket to show to it.
    ///
    /// # Errors
    /// NAME_TAKEN, VERSION_CONFLICT, NO_SPACE, UNAVAILABLE, FORBIDDEN (the bearer),
    /// INVALID_ARGUMENT, INVALID_NAME.
    pub async fn upload(&self, caller: &Caller, new: NewUpload) -> Result<Upload, Failure> {
        let bearer = caller.bearer(new.bearer)?;
        let name = convert::name(&new.name)?;
        let size = convert::size(new.size)?;
        checked_lists(&new.access, &new.tags)?;
        let now_ms = self.now();
        let begin = kept::NewUpload {
            viewer: caller.viewer(),
            name: name.clone(),
            size,
            visibility: new.visibility,
            access: new.access,
            tags: new.tags,
            replaces: number(new.replaces)?,
            peer: new.peer,
            placed: new.placed && new.peer.is_some(),
            now_ms,
        };
        let begun = self.store()?.begin_upload(begin).await?;
        let ticket = Ticket {
            upload: begun.id,
            peer: begun.peer,
            name,
            max_size: size,
            visibility: begun.visibility,
            account: caller.account,
            bearer,
            expires_ms: now_ms + OPEN_MS,
        };
        tracing::info!(
            upload = %begun.id,
            peer = %begun.peer,
            size,
            by = %caller.identity(),
            "began an upload"
        );
        let place = begun.place;
        let source = Source {
            peer: begun.peer,
            address: place.address,
            node: place.node,
            zone: place.zone,
            complete: false,
        };
        Ok(Upload {
            id: begun.id,
            source,
            ticket: Sealed::seal(ticket, &self.keys.record).to_text(),
        })
    }
}

fn version(new: &NewVersion) -> Result<kept::NewVersion, Failure> {
    let content = Content { hash: new.hash, size: convert::size(new.size)? };
    let replaces = new
        .replaces
        .map(|replaced| {
            Ok::<_, Failure>(VersionRef { version: number(replaced.version)?, ..replaced })
        })
        .transpose()?;
    Ok(kept::NewVersion {
        name: convert::name(&new.name)?,
        content,
        visibility: new.visibility,
        replaces,
        upload: new.upload,
    })
}

fn number(version: u64) -> Result<u64, Failure> {
    i64::try_from(version)
        .map(|_| version)
        .map_err(|_| fail!(InvalidArgument, "a version number is 2^63 or more"))
}

fn result(result: Result<Vec<u8>, Failure>) -> PublishResult {
    match result {
        Ok(envelope) => PublishResult::Record(STANDARD.encode(envelope)),
        Err(failure) => PublishResult::Problem(failure.problem(None)),
    }
}
