//! Background work while central serves.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use peral_runtime::{Shutdown, admin::Check};

use crate::{certificate::Certificate, service::App, store::SharedStore};

/// How often heartbeats are written.
const WRITE_BEATS: Duration = Duration::from_secs(1);
/// How often the database is checked.
const PING: Duration = Duration::from_secs(2);
/// How often memory is cleaned up and the certificate is checked.
const TIDY: Duration = Duration::from_secs(60);
/// The database is cleaned up every so many of those rounds.
const CLEAN: u32 = 5;
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
        let chores = async {
            tokio::join!(self.watch_database(), self.tidy(), self.count_catalogue());
        };
        tokio::select! {
            () = chores => {}
            () = shutdown.draining().clone().cancelled_owned() => {}
        }
        shutdown.finish(self.app.config.limits.drain).await;
        drop(beats.await);
        self.store.close().await;
    }

    async fn watch_database(&self) {
        loop {
            match self.store.ping().await {
                Ok(()) => self.ready.ok(),
                Err(error) => self.ready.err(error.to_string()),
            }
            tokio::time::sleep(PING).await;
        }
    }

    async fn tidy(&self) {
        for round in 0_u32.. {
            self.app.tidy();
            if let Err(failure) = self.certificate.keep_fresh(&self.app) {
                tracing::error!(
                    reason = %failure,
                    "could not renew central's certificate; will retry"
                );
            }
            if round % CLEAN == 0 {
                match self.store.clean(self.app.now()).await {
                    Ok(rows) => tracing::debug!(rows, "cleaned up the database"),
                    Err(error) => {
                        tracing::warn!(%error, "could not clean up the database; will retry");
                    }
                }
            }
            tokio::time::sleep(TIDY).await;
        }
    }

    /// Counts the catalogue for the metrics: as often as configured, and less often where counting
    /// takes long.
    async fn count_catalogue(&self) {
        loop {
            let start = Instant::now();
            let counts = self.store.counts(self.app.now()).await.inspect_err(
                |error| tracing::debug!(%error, "could not count the catalogue; will retry"),
            );
            self.app.metrics.catalogue(counts.ok());
            let pause = self.app.config.limits.count.max(start.elapsed() * COUNTING);
            tokio::time::sleep(pause).await;
        }
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
