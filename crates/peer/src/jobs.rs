//! Accepted downloads: each goes on without the command that asked for it, and over restarts, until
//! it is done, has failed or is cancelled.

mod run;
mod state;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::Stream;
use peral_model::{Grant, Record};
use peral_runtime::{Lock, SharedClock, Shutdown};
use peral_transfer::{
    blocking,
    dial::Dialer,
    fetch::{self, DEFAULT_WAIT, FetchRequest},
    limits::Limits,
    metrics::Metrics,
};
use peral_wire::{Failure, Sealed, convert::required, fail, pb, rest::files::Source};
use prost::Message;
use tokio::{sync::Semaphore, time::timeout};
use uuid::Uuid;

use self::state::{Ended, State};
use crate::{db::jobs::JobRow, library::Library, metrics::Downloads};

/// Downloads that are kept at a time, failed ones among them.
const MAX_JOBS: usize = 1000;
/// Downloads that move at a time; the others wait their turn. Bounds the memory of all of them.
const MAX_MOVING: usize = 4;
/// Ended downloads whose end can still be asked for.
const MAX_ENDED: usize = 64;
/// Sources that a request may name.
const MAX_SOURCES: usize = 64;
/// Longest wait for sources, in seconds: as long as a grant can be renewed.
const MAX_WAIT: u32 = 7 * 24 * 3600;
/// How long a cancelled download may take to let go of its files.
const LETTING_GO: Duration = Duration::from_secs(10);

/// States of a row.
const WAITING: &str = "waiting";
const FAILED: &str = "failed";

/// What downloads work with.
pub struct JobsDeps {
    /// Takes what is done.
    pub library: Library,
    /// Connects to peers.
    pub dialer: Dialer,
    /// The limits of this process.
    pub limits: Limits,
    /// Counters.
    pub metrics: Metrics,
    /// Tells when a download was accepted.
    pub clock: SharedClock,
    /// Ends the tasks, not the downloads.
    pub shutdown: Shutdown,
}

struct Inner {
    deps: JobsDeps,
    downloads: Downloads,
    moving: Arc<Semaphore>,
    jobs: Mutex<HashMap<Uuid, Arc<State>>>,
}

/// The accepted downloads of this peer. Cheap to clone.
#[derive(Clone)]
pub struct Jobs(Arc<Inner>);

/// A request that was checked.
#[derive(Debug, Clone)]
struct Wanted {
    fetch: FetchRequest,
    grant: Option<Sealed<Grant>>,
}

impl Jobs {
    /// None yet; [`Jobs::resume_all`] takes up those from before.
    pub fn new(deps: JobsDeps) -> Self {
        Self(Arc::new(Inner {
            deps,
            downloads: Downloads::new(&opentelemetry::global::meter("peral")),
            moving: Arc::new(Semaphore::new(MAX_MOVING)),
            jobs: Mutex::default(),
        }))
    }

    /// What this process counts.
    pub fn metrics(&self) -> &Metrics {
        &self.0.deps.metrics
    }

    /// Accepts a download. It is kept on disk when this returns. A download of the same version to
    /// the same path is the same job.
    ///
    /// # Errors
    /// INVALID_ARGUMENT or UNAUTHENTICATED for the request, BUSY, INTERNAL.
    pub async fn accept(&self, request: &pb::DownloadRequest) -> Result<Uuid, Failure> {
        let wanted = self.read(request)?;
        let twin = self.all().into_iter().find(|state| state.same(&wanted.fetch));
        if let Some(twin) = twin {
            if !twin.has_ended() {
                return Ok(twin.id());
            }
            self.forget(twin.id()).await?;
        }
        let state = Arc::new(State::new(Uuid::now_v7(), &wanted.fetch));
        {
            let mut jobs = self.lock();
            if jobs.len() >= MAX_JOBS {
                return Err(fail!(
                    Busy,
                    "{MAX_JOBS} downloads are kept here already; cancel some that failed"
                ));
            }
            jobs.insert(state.id(), Arc::clone(&state));
        }
        let saved = self.save(state.id(), request, WAITING, "").await;
        if saved.is_err() {
            self.lock().remove(&state.id());
        }
        saved?;
        self.start(Arc::clone(&state), wanted, request.clone());
        Ok(state.id())
    }

    /// Takes up the downloads that were accepted before this process began. Call it once.
    ///
    /// # Errors
    /// INTERNAL, when the database fails.
    pub async fn resume_all(&self) -> Result<(), Failure> {
        for row in self.0.deps.library.db().jobs().await? {
            let request = pb::DownloadRequest::decode(row.request.as_slice());
            let wanted = request
                .map_err(|error| fail!(Internal, "{error}"))
                .and_then(|request| Ok((self.read(&request)?, request)));
            let (wanted, request) = match wanted {
                Ok(wanted) => wanted,
                Err(failure) => {
                    tracing::warn!(job = %row.id, %failure, "an accepted download cannot be taken up again and is forgotten");
                    self.0.deps.library.db().remove_job(row.id).await?;
                    continue;
                }
            };
            let state = Arc::new(State::new(row.id, &wanted.fetch));
            self.lock().insert(row.id, Arc::clone(&state));
            if row.state == FAILED {
                state.end(Err(Failure::new(peral_wire::ErrorCode::NoSource, row.detail)));
            } else {
                self.start(state, wanted, request);
            }
        }
        Ok(())
    }

    /// How a download goes, from now to its end. The last message is the record, or the failure.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub fn watch(
        &self,
        id: Uuid,
    ) -> Result<impl Stream<Item = Result<pb::Progress, Failure>> + Send + use<>, Failure> {
        Ok(state::watch(self.get(id)?))
    }

    /// Ends a download and removes what is there of it.
    ///
    /// # Errors
    /// NOT_FOUND; INTERNAL.
    pub async fn cancel(&self, id: Uuid) -> Result<(), Failure> {
        let state = self.get(id)?;
        if state.is_done() {
            return Ok(());
        }
        state.cancel();
        // It lets go of its lock first: removing what a running download writes would only hide it.
        if timeout(LETTING_GO, state.ended()).await.is_err() {
            tracing::warn!(job = %id, "a cancelled download does not end");
        }
        let (path, content) = state.target();
        blocking(move || fetch::discard(&path, &content)).await?;
        self.forget(id).await
    }

    /// The downloads that are not done, the oldest first.
    pub fn list(&self) -> Vec<pb::Job> {
        let mut all = self.all();
        all.sort_by_key(|state| state.id());
        all.iter().filter(|state| !state.is_done()).map(|state| state.shown()).collect()
    }

    fn get(&self, id: Uuid) -> Result<Arc<State>, Failure> {
        self.lock()
            .get(&id)
            .cloned()
            .ok_or_else(|| fail!(NotFound, "there is no download {id} on this peer"))
    }

    fn all(&self) -> Vec<Arc<State>> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Arc<State>>> {
        self.0.jobs.locked()
    }

    async fn forget(&self, id: Uuid) -> Result<(), Failure> {
        self.0.deps.library.db().remove_job(id).await?;
        self.lock().remove(&id);
        Ok(())
    }

    async fn save(
        &self,
        id: Uuid,
        request: &pb::DownloadRequest,
        state: &str,
        detail: &str,
    ) -> Result<(), Failure> {
        let created_ms = self.0.deps.clock.now_ms();
        let row = JobRow {
            id,
            request: request.encode_to_vec(),
            created_ms,
            state: state.into(),
            detail: detail.into(),
        };
        self.0.deps.library.db().save_job(row).await
    }

    /// Those that are done longest go first.
    fn trim(&self) {
        let mut jobs = self.lock();
        let mut done: Vec<Uuid> =
            jobs.values().filter(|state| state.is_done()).map(|state| state.id()).collect();
        done.sort_unstable();
        let surplus = done.len().saturating_sub(MAX_ENDED);
        for id in done.into_iter().take(surplus) {
            jobs.remove(&id);
        }
    }

    fn read(&self, request: &pb::DownloadRequest) -> Result<Wanted, Failure> {
        let rights = self.0.deps.library.rights();
        let record: Sealed<Record> = rights.read(required(request.record.clone(), "record")?)?;
        let grant: Option<Sealed<Grant>> =
            request.grant.clone().map(|envelope| rights.read(envelope)).transpose()?;
        let path = PathBuf::from(&request.path);
        if !path.is_absolute()
            || path.components().any(|part| part == std::path::Component::ParentDir)
        {
            return Err(fail!(
                InvalidArgument,
                "{} is no absolute path without ..",
                path.display()
            ));
        }
        if path.starts_with(self.0.deps.library.data().root()) {
            return Err(fail!(
                InvalidArgument,
                "{} is inside the peer's data folder; choose another place",
                path.display()
            ));
        }
        if request.sources.len() > MAX_SOURCES || request.wait_seconds > MAX_WAIT {
            return Err(fail!(
                InvalidArgument,
                "at most {MAX_SOURCES} sources and {MAX_WAIT} seconds of waiting"
            ));
        }
        let sources = request.sources.iter().map(source).collect::<Result<_, _>>()?;
        let wait = if request.wait_seconds == 0 {
            DEFAULT_WAIT
        } else {
            Duration::from_secs(request.wait_seconds.into())
        };
        let envelope = grant.as_ref().map(|grant| grant.envelope.clone());
        let fetch = FetchRequest {
            record,
            grant: envelope,
            sources,
            path,
            overwrite: request.overwrite,
            wait,
        };
        Ok(Wanted { fetch, grant })
    }
}

fn source(source: &pb::Source) -> Result<Source, Failure> {
    let bad = |error: &dyn std::fmt::Display| fail!(InvalidArgument, "malformed source: {error}");
    let peer = peral_model::PeerId::from_bytes(&source.peer).map_err(|error| bad(&error))?;
    let address: std::net::SocketAddr = source.address.parse().map_err(|error| bad(&error))?;
    Ok(Source {
        peer,
        address: address.to_string(),
        node: source.node.clone(),
        zone: source.zone.clone(),
        complete: true,
    })
}

/// Does this path name the same file as that one, as far as can be told without looking?
fn same_path(one: &Path, other: &Path) -> bool {
    one.components().eq(other.components())
}

impl Jobs {
    fn ended(
        &self,
        state: &State,
        request: &pb::DownloadRequest,
        end: &Ended,
    ) -> impl Future<Output = ()> + Send {
        let (this, id, request, failed) = (
            self.clone(),
            state.id(),
            request.clone(),
            end.as_ref().err().map(ToString::to_string),
        );
        async move {
            let kept = match failed {
                None => this.0.deps.library.db().remove_job(id).await,
                Some(detail) => this.save(id, &request, FAILED, &detail).await,
            };
            if let Err(failure) = kept {
                tracing::error!(job = %id, %failure, "the end of a download could not be kept");
            }
        }
    }
}
