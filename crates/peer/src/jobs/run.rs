//! The task of one accepted download.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use peral_model::Grant;
use peral_runtime::{Backoff, Jitter, propagate};
use peral_transfer::{
    Here,
    fetch::{Asker, CatalogueFinder, FetchDeps, fetch},
    progress::Observer,
};
use peral_wire::{Catalogue, ErrorCode, Failure, Sealed, fail, keys::Verifier, pb};
use tokio::time::{Instant, sleep};
use tracing::Instrument;
use uuid::Uuid;

use super::{Jobs, job::Job, request::CheckedRequest};
use crate::library::FinishedDownload;

/// Longest pause between two attempts while central cannot be reached and no source is known.
const PAUSE: Duration = Duration::from_secs(3);

impl Jobs {
    /// Runs a download in a task that the drain ends; the next process resumes it.
    pub(super) fn start(
        &self,
        job: Arc<Job>,
        checked: CheckedRequest,
        request: pb::DownloadRequest,
    ) {
        let this = self.clone();
        let draining = self.0.deps.shutdown.draining().clone();
        // In the trace of the call that asked for it, though it outlives the call.
        let span = propagate::follow(tracing::info_span!(parent: None, "job", job = %job.id()));
        let running = async move {
            tokio::select! {
                () = draining.cancelled() => {}
                () = this.run(&job, checked, request) => {}
            }
        };
        self.0.deps.shutdown.spawn(running.instrument(span));
    }

    async fn run(&self, job: &Arc<Job>, checked: CheckedRequest, request: pb::DownloadRequest) {
        let running = self.0.downloads.begin();
        let end = tokio::select! {
            end = self.fetched(job, &checked, &request) => end,
            () = job.cancelled().cancelled() => Err(fail!(Cancelled, "the download was cancelled")),
        };
        // Who cancelled it forgets it.
        if end.as_ref().err().is_none_or(|failure| failure.code != ErrorCode::Cancelled) {
            self.ended(job, &request, &end).await;
        }
        running.ended(&end);
        job.end(end);
        self.trim();
    }

    async fn fetched(
        &self,
        job: &Arc<Job>,
        checked: &CheckedRequest,
        request: &pb::DownloadRequest,
    ) -> Result<pb::Envelope, Failure> {
        let inner = &self.0;
        let _turn = Arc::clone(&inner.moving)
            .acquire_owned()
            .await
            .map_err(|error| fail!(Internal, "{error}"))?;
        let library = &inner.deps.library;
        library.will_fetch(&checked.fetch.record.value).await?;
        let start = Instant::now();
        let deps = self.fetch_deps(job.id(), checked, request);
        let mut backoff = Backoff::new(PAUSE, PAUSE).with_jitter(Jitter::Equal);
        let fetched = loop {
            let observer: Arc<Job> = Arc::clone(job);
            match fetch(checked.fetch.clone(), &deps, observer, job.cancelled().clone()).await {
                // After a restart central may not be reachable yet.
                Err(failure)
                    if failure.code == ErrorCode::Unavailable
                        && start.elapsed() < checked.fetch.wait =>
                {
                    Observer::note(job.as_ref(), &failure.to_string());
                    sleep(backoff.next_pause()).await;
                }
                fetched => break fetched?,
            }
        };
        library
            .adopt(FinishedDownload {
                record: fetched.record.clone(),
                path: fetched.path,
                stamp: fetched.stamp,
            })
            .await?;
        Ok(fetched.record.envelope)
    }

    fn fetch_deps(
        &self,
        id: Uuid,
        checked: &CheckedRequest,
        request: &pb::DownloadRequest,
    ) -> FetchDeps {
        let (inner, library) = (&self.0, &self.0.deps.library);
        let asker = PeerAsker { jobs: self.clone(), id, request: request.clone() };
        let finder = CatalogueFinder::new(Arc::new(asker), &checked.fetch.record.value)
            .renewing(checked.grant.clone());
        FetchDeps {
            dialer: inner.deps.dialer.clone(),
            finder: Arc::new(finder),
            lists: library.lists().clone(),
            limits: inner.deps.limits.clone(),
            registry: library.registry().clone(),
            room: Arc::new(library.space().clone()),
            here: library.link().here(),
            metrics: inner.deps.metrics.clone(),
            seed: rand::random,
        }
    }
}

/// Asks central as the peer, and stores each renewed grant for after a restart.
struct PeerAsker {
    jobs: Jobs,
    id: Uuid,
    request: pb::DownloadRequest,
}

impl Asker for PeerAsker {
    fn catalogue(&self) -> BoxFuture<'_, Result<Catalogue, Failure>> {
        Box::pin(self.jobs.0.deps.library.link().catalogue())
    }

    fn verifier(&self) -> Arc<Verifier> {
        self.jobs.0.deps.library.rights().verifier()
    }

    fn here(&self) -> Here {
        self.jobs.0.deps.library.link().here()
    }

    fn keep<'a>(&'a self, grant: &'a Sealed<Grant>) -> BoxFuture<'a, Result<(), Failure>> {
        let request =
            pb::DownloadRequest { grant: Some(grant.envelope.clone()), ..self.request.clone() };
        Box::pin(
            async move { self.jobs.save(self.id, &request, super::WAITING, "").await.map(drop) },
        )
    }
}
