//! Downloads by the command itself.

use std::{
    fs, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use futures::future::BoxFuture;
use peral_model::Record;
use peral_runtime::tls::CertStore;
use peral_transfer::{
    Here,
    fetch::{DiskRoom, FetchDeps, FetchRequest, KnownSources, SourceFinder, fetch},
    limits::Limits,
    lists::ListStore,
    metrics::Metrics,
    progress::{Observer, Phase, Progress},
};
use peral_wire::{
    Catalogue, ErrorCode, Failure, Sealed,
    envelope::envelope_from_text,
    fail,
    keys::{KeyUse, Verifier},
    rest::files::{Sources, SourcesRequest},
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Way, show, unless_interrupted};
use crate::{
    command::download::Wanted,
    context::Context,
    output::{self, Meter, Step},
    session::UserSession,
};

/// Fetches a file: how many bytes came over the network.
///
/// # Errors
/// As [`fetch`].
pub async fn download(
    context: &Context,
    user: UserSession,
    wanted: &Wanted,
) -> Result<u64, Failure> {
    let way = Way::new(&user.login)?;
    let scratch = scratch(&wanted.path)?;
    let lists = ListStore::temporary(scratch.path())
        .map_err(|error| fail!(Internal, "piece lists cannot be kept: {error}"))?;
    let deps = FetchDeps {
        dialer: way.dialer.clone(),
        finder: Arc::new(Finder::new(context, way.certs, user, wanted)),
        lists,
        limits: Limits::default(),
        room: Arc::new(DiskRoom),
        here: Here::default(),
        metrics: Metrics::new(),
        seed: || Uuid::new_v4().as_u64_pair().0,
    };
    let request = FetchRequest {
        record: wanted.record.clone(),
        grant: wanted.sources.grant.as_deref().map(envelope_from_text).transpose()?,
        sources: wanted.sources.sources.clone(),
        path: wanted.path.clone(),
        overwrite: wanted.overwrite,
        wait: wanted.wait,
    };
    let watch = Arc::new(Watch::new(context));
    let cancel = CancellationToken::new();
    let running = fetch(request, &deps, Arc::clone(&watch) as Arc<dyn Observer>, cancel.clone());
    let ended = unless_interrupted(running, cancel).await;
    watch.finish();
    match ended {
        Ok(fetched) => Ok(fetched.bytes_fetched),
        Err(failure) if failure.code == ErrorCode::Cancelled => {
            let path = wanted.path.display();
            Err(fail!(
                Cancelled,
                "the download was ended; what came is kept beside {path}, and the same command \
                 goes on from there"
            ))
        }
        Err(failure) => Err(failure),
    }
}

/// A folder for piece lists: a temporary one, or, where there is no place for those, one beside the
/// target.
fn scratch(target: &Path) -> Result<TempDir, Failure> {
    let reason = match tempfile::tempdir() {
        Ok(folder) => return Ok(folder),
        Err(reason) => reason,
    };
    let (Some(folder), Some(name)) = (target.parent(), target.file_name()) else {
        return Err(no_place(&reason));
    };
    // Always the same, so that one that a killed command left is found again.
    let name = format!(".{}.lists", name.to_string_lossy());
    drop(fs::remove_dir_all(folder.join(&name)));
    tempfile::Builder::new()
        .prefix(&name)
        .rand_bytes(0)
        .tempdir_in(folder)
        .map_err(|error| no_place(&error))
}

fn no_place(error: &io::Error) -> Failure {
    fail!(Internal, "there is no place for temporary files: {error}; set TMPDIR")
}

/// Shows what the engine reports.
pub(super) struct Watch {
    meter: Meter,
}

impl Watch {
    pub fn new(context: &Context) -> Self {
        Self { meter: context.out.meter() }
    }

    pub fn finish(&self) {
        self.meter.finish();
    }
}

impl Observer for Watch {
    fn progress(&self, progress: &Progress) {
        let phase = match progress.phase {
            Phase::Waiting => output::Phase::Waiting,
            Phase::Hashing => output::Phase::Hashing,
            Phase::Moving => output::Phase::Moving,
            Phase::Publishing => output::Phase::Publishing,
        };
        let Progress { done, total, fetched, sources, .. } = *progress;
        self.meter.step(&Step { phase, done, total, fetched, sources });
    }

    fn note(&self, text: &str) {
        self.meter.note(text);
    }
}

/// Asks central for sources of one file version, for as long as the session lasts.
struct Finder {
    context: Context,
    certs: Arc<CertStore>,
    request: SourcesRequest,
    /// What is known of the network's keys; a new key is learned when one is needed.
    verifier: Mutex<Verifier>,
}

impl Finder {
    fn new(context: &Context, certs: Arc<CertStore>, user: UserSession, wanted: &Wanted) -> Self {
        let record = &wanted.record.value;
        let request = SourcesRequest {
            file: Some(record.file),
            version: Some(record.version),
            ..SourcesRequest::default()
        };
        // The session is asked for again by its address: another login made meanwhile is not taken
        // for this one.
        let context = Context { central: Some(user.login.central), ..context.clone() };
        Self { context, certs, request, verifier: Mutex::new(wanted.verifier.clone()) }
    }

    async fn find(&self) -> Result<KnownSources, Failure> {
        let user = self.context.user().await?;
        show(&self.certs, &user.login)?;
        let sources = user.catalogue.sources(&self.request).await?;
        let record = self.open(&user.catalogue, &sources).await?;
        let grant = sources.grant.as_deref().map(envelope_from_text).transpose()?;
        Ok(KnownSources { record, grant, sources: sources.sources, away: sources.away })
    }

    async fn open(
        &self,
        catalogue: &Catalogue,
        sources: &Sources,
    ) -> Result<Sealed<Record>, Failure> {
        let known = self.verifier.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Ok(record) = Sealed::from_text(&sources.record, &known) {
            return Ok(record);
        }
        let fresh = Verifier::new(&catalogue.jwks().await?, KeyUse::Record);
        let record = Sealed::from_text(&sources.record, &fresh)?;
        *self.verifier.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(record)
    }
}

impl SourceFinder for Finder {
    fn sources(&self) -> BoxFuture<'_, Result<KnownSources, Failure>> {
        Box::pin(self.find())
    }
}
