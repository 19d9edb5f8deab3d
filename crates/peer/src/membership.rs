//! A peer's life in the network: first contact, registration, heartbeats, renewals, logout.

mod address;
mod beat;
mod join;
mod keys;
mod member;

use std::{
    ops::ControlFlow,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use peral_runtime::{
    Backoff,
    work::{self, Worker},
};
use peral_transfer::trust::Network;
use peral_wire::{ErrorCode, Failure, fail};
use rand::RngExt;
use tokio_util::sync::CancellationToken;

use self::member::{FIRST_PAUSE, LONGEST_PAUSE, log};
pub use self::{
    address::Advertise,
    member::{About, Membership},
};

/// How often central's keys are fetched again, and how soon again when a key is not known.
const KEYS: Duration = Duration::from_secs(3600);
const KEYS_AT_MOST: Duration = Duration::from_secs(10);
/// First pause after a heartbeat that failed.
const BEAT_PAUSE: Duration = Duration::from_secs(1);
/// How long the end of this process may wait for central to hear of it.
const LAST_CALL: Duration = Duration::from_secs(3);

impl Membership {
    /// Waits until the network is known, from disk or by first contact. `None` when told to stop
    /// before.
    ///
    /// # Errors
    /// What does not pass by waiting: nothing says how to verify central, or what is on disk cannot
    /// be read.
    pub async fn meet(&self, stop: &CancellationToken) -> Result<Option<Network>, Failure> {
        stop.run_until_cancelled(self.learn_network()).await.transpose()
    }

    /// Registers and keeps the lease, until told to stop. Does nothing more once another process
    /// took over or the key was revoked.
    pub async fn run(&self, stop: &CancellationToken) {
        let ended = stop.run_until_cancelled(async {
            if self.register().await {
                self.keep().await;
            }
            if let Err(failure) = self.link().check() {
                self.0.check.err(failure.to_string());
                tracing::error!(
                    code = %failure.code,
                    reason = failure.detail,
                    "this process lost its peer identity and stopped serving and writing"
                );
            }
            std::future::pending::<()>().await;
        });
        ended.await;
    }

    /// Registers, however long it takes. False when this process lost the peer's identity.
    async fn register(&self) -> bool {
        let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let attempt = || async move {
            match self.register_once().await {
                Ok(()) => ControlFlow::Break(true),
                Err(failure) if failure.code != ErrorCode::StaleEpoch && self.is_lost(&failure) => {
                    ControlFlow::Break(false)
                }
                Err(failure) => ControlFlow::Continue(failure),
            }
        };
        let what = "this peer is not registered yet";
        let registered = self.retry(backoff, what, attempt).await;
        if registered {
            self.set_trouble(None);
            // The first heartbeat says how much room there is: uploads can be sent to a peer that
            // is ready.
            if let Err(failure) = self.beat().await {
                tracing::info!(reason = %failure, "the first heartbeat failed");
            }
            self.0.check.ok();
        }
        registered
    }

    /// Heartbeats, until this process loses the peer's identity.
    async fn keep(&self) {
        let over = CancellationToken::new();
        let heartbeats = Heartbeats { membership: self, keys: Instant::now(), over: over.clone() };
        work::run(heartbeats, Backoff::new(BEAT_PAUSE, LONGEST_PAUSE), &over).await;
    }

    /// Tells central that this peer is about to end, so that it is no longer named as a source or
    /// for uploads.
    pub async fn leave(&self) {
        self.0.leaving.store(true, Ordering::SeqCst);
        if self.link().registration().is_none() || self.link().lost().is_some() {
            return;
        }
        let told = tokio::time::timeout(LAST_CALL, self.beat())
            .await
            .unwrap_or_else(|_| Err(fail!(DeadlineExceeded, "no answer in time")));
        if let Err(failure) = told {
            tracing::info!(reason = %failure, "could not tell central that this peer is about to end");
        }
    }

    /// Logs out.
    pub async fn log_out(&self) {
        let link = self.link();
        let Some(registration) = link.registration().filter(|_| link.lost().is_none()) else {
            return;
        };
        let call = async { link.catalogue().await?.log_out_peer(registration.peer).await };
        match tokio::time::timeout(LAST_CALL, call).await {
            Ok(Ok(_)) => tracing::info!("logged out"),
            Ok(Err(failure)) => {
                tracing::info!(reason = %failure, "could not log out; the lease will expire");
            }
            Err(_) => tracing::info!("could not log out in time; the lease will expire"),
        }
    }
}

struct Heartbeats<'a> {
    membership: &'a Membership,
    /// When central's keys were fetched last.
    keys: Instant,
    /// Cancelled when this process loses the peer's identity.
    over: CancellationToken,
}

impl Heartbeats<'_> {
    const WHAT: &'static str = "a heartbeat to central failed";
}

impl Worker for Heartbeats<'_> {
    type Error = Failure;

    async fn step(&mut self) -> Result<(), Failure> {
        match self.membership.beat().await {
            Ok(()) => {
                self.membership.set_trouble(None);
                Ok(())
            }
            Err(failure) if self.membership.is_lost(&failure) => {
                self.over.cancel();
                Ok(())
            }
            Err(failure) => {
                self.membership.hinder(&failure, Self::WHAT);
                Err(failure)
            }
        }
    }

    async fn due(&mut self) {
        let inner = &self.membership.0;
        let jitter = rand::rng().random_range(0.9..1.1);
        let next = tokio::time::sleep(inner.about.heartbeat.mul_f64(jitter));
        tokio::pin!(next);
        loop {
            tokio::select! {
                () = &mut next => return,
                () = self.membership.link().token_wanted() => return,
                () = tokio::time::sleep_until((self.keys + KEYS).into()) => (),
                // Strangers can show unknown keys as often as they like.
                () = inner.library.rights().keys_wanted(),
                    if self.keys.elapsed() >= KEYS_AT_MOST => (),
            }
            self.membership.refresh_keys().await;
            self.keys = Instant::now();
        }
    }

    fn log(&self, failure: &Failure) {
        log(failure, Self::WHAT);
    }
}
