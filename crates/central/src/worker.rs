//! Background work while central serves.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use peral_runtime::{Shutdown, admin::Check, work::repeat};

use crate::{certificate::Certificate, service::App, store::SharedStore};

/// How often heartbeats are written.
const WRITE_BEATS: Duration = Duration::from_secs(1);
/// How often the database is checked.
const PING: Duration = Duration::from_secs(2);
/// How often memory is cleaned up and the certificate is checked.
const TIDY: Duration = Duration::from_secs(60);
/// How often the database is cleaned up.
const CLEAN: Duration = Duration::from_secs(300);
/// Counting the catalogue takes at most this fraction (one in so many) of the time.
const COUNTING: u32 = 100;

/// What the background work needs.
pub(crate) struct Worker {
    pub app: Arc<App>,
    pub store: SharedStore,
    pub certificate: Certificate,
    /// The readiness check of the database.
    pub ready: Check,
}

impl Worker {
    /// Works until the drain begins; heartbeats are written until it is over.
    pub async fn run(&self, shutdown: &Shutdown) {
        let beats = {
            let (app, shutdown) = (Arc::clone(&self.app), shutdown.clone());
            tokio::spawn(async move { write_beats(&app, &shutdown).await })
        };
        let drain = shutdown.draining();
        let chores = async {
            tokio::join!(
                repeat(drain, || self.watch_database()),
                repeat(drain, || self.tidy()),
                repeat(drain, || self.clean_database()),
                repeat(drain, || self.count_catalogue()),
            )
        };
        // A chore that runs when the drain begins is cut off: each can be repeated.
        drain.run_until_cancelled(chores).await;
        shutdown.finish(self.app.config.limits.drain).await;
        drop(beats.await);
        self.store.close().await;
    }

    async fn watch_database(&self) -> Duration {
        match self.store.ping().await {
            Ok(()) => self.ready.ok(),
            Err(error) => self.ready.err(error.to_string()),
        }
        PING
    }

    async fn tidy(&self) -> Duration {
        self.app.tidy();
        if let Err(failure) = self.certificate.keep_fresh(&self.app) {
            tracing::error!(reason = %failure, "could not renew central's certificate; will retry");
        }
        TIDY
    }

    async fn clean_database(&self) -> Duration {
        match self.store.clean(self.app.now()).await {
            Ok(rows) => tracing::debug!(rows, "cleaned up the database"),
            Err(error) => tracing::warn!(%error, "could not clean up the database; will retry"),
        }
        CLEAN
    }

    /// Counts the catalogue for the metrics: as often as configured, and less often if counting
    /// takes long.
    async fn count_catalogue(&self) -> Duration {
        let start = Instant::now();
        let counts = self.store.counts(self.app.now()).await;
        let counts = counts
            .inspect_err(|error| tracing::debug!(%error, "could not count the catalogue"))
            .ok();
        self.app.metrics.catalogue(counts);
        self.app.config.limits.count.max(start.elapsed() * COUNTING)
    }
}

async fn write_beats(app: &App, shutdown: &Shutdown) {
    let mut tick = tokio::time::interval(WRITE_BEATS);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = app.beats.urgent() => {}
            () = shutdown.killed().cancelled() => return,
        }
        app.write_beats().await;
    }
}
