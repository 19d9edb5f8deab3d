//! Accepted downloads: each goes on without the command that asked for it, and after a restart,
//! until it is done, has failed or is cancelled.

mod job;
mod request;
mod run;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures::Stream;
use peral_runtime::{Lock, SharedClock, Shutdown};
use peral_transfer::{blocking, dial::Dialer, fetch, limits::Limits, metrics::Metrics};
use peral_wire::{ErrorCode, Failure, fail, pb};
use prost::Message;
use tokio::{sync::Semaphore, time::timeout};
use uuid::Uuid;

use self::{
    job::{Job, JobResult},
    request::CheckedRequest,
};
use crate::{db::jobs::JobRow, library::Library, metrics::DownloadMetrics};

/// Maximum number of downloads that are kept, failed ones included.
const MAX_JOBS: usize = 1000;
/// Downloads that run at a time; the others wait. Bounds the memory of all of them.
const MAX_MOVING: usize = 4;
/// Maximum number of ended downloads whose result can still be asked for.
const MAX_ENDED: usize = 64;
/// How long a cancelled download may take to release its files.
const LETTING_GO: Duration = Duration::from_secs(10);

/// States of a row.
const WAITING: &str = "waiting";
const FAILED: &str = "failed";

/// What downloads work with.
pub struct JobsDeps {
    /// Takes finished downloads.
    pub library: Library,
    /// Connects to peers.
    pub dialer: Dialer,
    /// The limits of this process.
    pub limits: Limits,
    /// The counters of this process.
    pub metrics: Metrics,
    /// Says when a download was accepted.
    pub clock: SharedClock,
    /// Ends the tasks, not the downloads.
    pub shutdown: Shutdown,
}

struct Inner {
    deps: JobsDeps,
    downloads: DownloadMetrics,
    moving: Arc<Semaphore>,
    jobs: Mutex<HashMap<Uuid, Arc<Job>>>,
}

/// The accepted downloads of this peer. Cheap to clone.
#[derive(Clone)]
pub struct Jobs(Arc<Inner>);

impl Jobs {
    /// No downloads yet; [`Jobs::resume_all`] resumes those from before.
    pub fn new(deps: JobsDeps) -> Self {
        Self(Arc::new(Inner {
            deps,
            downloads: DownloadMetrics::new(&opentelemetry::global::meter("peral")),
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
        let checked = CheckedRequest::new(&self.0.deps.library, request)?;
        let twin = self.all().into_iter().find(|job| job.same(&checked.fetch));
        if let Some(twin) = twin {
            if !twin.has_ended() {
                return Ok(twin.id());
            }
            self.forget(twin.id()).await?;
        }
        let job = Arc::new(Job::new(Uuid::now_v7(), &checked.fetch));
        {
            let mut jobs = self.lock();
            if jobs.len() >= MAX_JOBS {
                return Err(fail!(
                    Busy,
                    "this peer keeps {MAX_JOBS} downloads already; cancel some that failed"
                ));
            }
            jobs.insert(job.id(), Arc::clone(&job));
        }
        let saved = self.save(job.id(), request, WAITING, "").await;
        if saved.is_err() {
            self.lock().remove(&job.id());
        }
        saved?;
        self.start(Arc::clone(&job), checked, request.clone());
        Ok(job.id())
    }

    /// Resumes the downloads that were accepted before this process started. Call it once.
    ///
    /// # Errors
    /// INTERNAL, when the database fails.
    pub async fn resume_all(&self) -> Result<(), Failure> {
        let library = &self.0.deps.library;
        for row in library.db().jobs().await? {
            let request = pb::DownloadRequest::decode(row.request.as_slice());
            let checked = request
                .map_err(|error| fail!(Internal, "{error}"))
                .and_then(|request| Ok((CheckedRequest::new(library, &request)?, request)));
            let (checked, request) = match checked {
                Ok(checked) => checked,
                Err(failure) => {
                    tracing::warn!(job = %row.id, %failure, "cannot resume an accepted download; dropping it");
                    library.db().remove_job(row.id).await?;
                    continue;
                }
            };
            let job = Arc::new(Job::new(row.id, &checked.fetch));
            self.lock().insert(row.id, Arc::clone(&job));
            if row.state == FAILED {
                job.end(Err(Failure::new(ErrorCode::NoSource, row.detail)));
            } else {
                self.start(job, checked, request);
            }
        }
        Ok(())
    }

    /// The progress of a download, from now to its end. The last message is the record, or the
    /// failure.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub fn watch(
        &self,
        id: Uuid,
    ) -> Result<impl Stream<Item = Result<pb::Progress, Failure>> + Send + use<>, Failure> {
        Ok(job::watch(self.get(id)?))
    }

    /// Ends a download and deletes what it wrote.
    ///
    /// # Errors
    /// NOT_FOUND; INTERNAL.
    pub async fn cancel(&self, id: Uuid) -> Result<(), Failure> {
        let job = self.get(id)?;
        if job.is_done() {
            return Ok(());
        }
        job.cancel();
        // It releases its lock first: deleting what a running download writes would only hide it.
        if timeout(LETTING_GO, job.ended()).await.is_err() {
            tracing::warn!(job = %id, "a cancelled download did not end in time");
        }
        let (path, content) = job.target();
        blocking(move || fetch::discard(&path, &content)).await?;
        self.forget(id).await
    }

    /// The downloads that are not done, the oldest first.
    pub fn list(&self) -> Vec<pb::Job> {
        let mut all = self.all();
        all.sort_by_key(|job| job.id());
        all.iter().filter(|job| !job.is_done()).map(|job| job.shown()).collect()
    }

    fn get(&self, id: Uuid) -> Result<Arc<Job>, Failure> {
        self.lock()
            .get(&id)
            .cloned()
            .ok_or_else(|| fail!(NotFound, "this peer has no download {id}"))
    }

    fn all(&self) -> Vec<Arc<Job>> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Job>>> {
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

    /// Drops finished downloads beyond the limit, the oldest first.
    fn trim(&self) {
        let mut jobs = self.lock();
        let mut done: Vec<Uuid> =
            jobs.values().filter(|job| job.is_done()).map(|job| job.id()).collect();
        done.sort_unstable();
        let surplus = done.len().saturating_sub(MAX_ENDED);
        for id in done.into_iter().take(surplus) {
            jobs.remove(&id);
        }
    }

    /// Stores how a download ended.
    fn ended(
        &self,
        job: &Job,
        request: &pb::DownloadRequest,
        end: &JobResult,
    ) -> impl Future<Output = ()> + Send {
        let (this, id, request, failed) =
            (self.clone(), job.id(), request.clone(), end.as_ref().err().map(ToString::to_string));
        async move {
            let kept = match failed {
                None => this.0.deps.library.db().remove_job(id).await,
                Some(detail) => this.save(id, &request, FAILED, &detail).await,
            };
            if let Err(failure) = kept {
                tracing::error!(job = %id, %failure, "could not store how a download ended");
            }
        }
    }
}
