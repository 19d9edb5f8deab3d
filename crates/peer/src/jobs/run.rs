//! The task of one accepted download.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use peral_model::Grant;
use peral_runtime::{Backoff, Jitter, propagate};
use peral_transfer::{
    Here,
    fetch::{Asker, CatalogueFinder, FetchDeps, fetch},
};
use peral_wire::{Catalogue, ErrorCode, Failure, Sealed, fail, keys::Verifier, pb};
use tokio::time::{Instant, sleep};
use tracing::Instrument;
use uuid::Uuid;

use super::{Jobs, Wanted, state::State};
use crate::library::Adopt;

/// Longest pause between two attempts while central cannot be reached and no source is known.
const PAUSE: Duration = Duration::from_secs(3);

impl Jobs {
    /// Runs a download in a task that the drain ends; it is taken up again by the next process.
    pub(super) fn start(&self, state: Arc<State>, wanted: Wanted, request: pb::DownloadRequest) {
        let this = self.clone();
        let draining = self.0.deps.shutdown.draining().clone();
        // Of the trace of whoever asked for it, and longer than the call.
        let span = propagate::follow(tracing::info_span!(parent: None, "job", job = %state.id()));
        let job = async move {
            tokio::select! {
                () = draining.cancelled() => {}
                () = this.run(&state, wanted, request) => {}
            }
        };
        self.0.deps.shutdown.spawn(job.instrument(span));
    }

    async fn run(&self, state: &Arc<State>, wanted: Wanted, request: pb::DownloadRequest) {
        let running = self.0.downloads.begin();
        let end = tokio::select! {
            end = self.fetched(state, &wanted, &request) => end,
            () = state.cancelled().cancelled() => Err(fail!(Cancelled, "the download was cancelled")),
        };
        // A cancelled one is forgotten by who cancelled it.
        if end.as_ref().err().is_none_or(|failure| failure.code != ErrorCode::Cancelled) {
            self.ended(state, &request, &end).await;
        }
        running.ended(&end);
        state.end(end);
        self.trim();
    }

    async fn fetched(
        &self,
        state: &Arc<State>,
        wanted: &Wanted,
        request: &pb::DownloadRequest,
    ) -> Result<pb::Envelope, Failure> {
        let inner = &self.0;
        let _turn = Arc::clone(&inner.moving)
            .acquire_owned()
            .await
            .map_err(|error| fail!(Internal, "{error}"))?;
        let library = &inner.deps.library;
        library.will_fetch(&wanted.fetch.record.value).await?;
        let start = Instant::now();
        let asker = PeerAsker { jobs: self.clone(), id: state.id(), request: request.clone() };
        let finder = CatalogueFinder::new(Arc::new(asker), &wanted.fetch.record.value)
            .renewing(wanted.grant.clone());
        let deps = FetchDeps {
            dialer: inner.deps.dialer.clone(),
            finder: Arc::new(finder),
            lists: library.lists().clone(),
            limits: inner.deps.limits.clone(),
            registry: library.registry().clone(),
            room: Arc::new(library.space().clone()),
            here: library.link().here(),
            metrics: inner.deps.metrics.clone(),
            seed: rand::random,
        };
        let mut backoff = Backoff::new(PAUSE, PAUSE).with_jitter(Jitter::Equal);
        let fetched = loop {
            let observer: Arc<State> = Arc::clone(state);
            match fetch(wanted.fetch.clone(), &deps, observer, state.cancelled().clone()).await {
                // After a restart central may not be reached yet.
                Err(failure)
                    if failure.code == ErrorCode::Unavailable
                        && start.elapsed() < wanted.fetch.wait =>
                {
                    peral_transfer::progress::Observer::note(state.as_ref(), &failure.to_string());
                    sleep(backoff.next_pause()).await;
                }
                fetched => break fetched?,
            }
        };
        library
            .adopt(Adopt {
                record: fetched.record.clone(),
                path: fetched.path,
                stamp: fetched.stamp,
            })
            .await?;
        Ok(fetched.record.envelope)
    }
}

/// Asks central as the peer, and keeps each renewed grant for the time after a restart.
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
