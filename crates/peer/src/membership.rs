//! A peer's life in the network: first contact, registration, heartbeats, renewals, logout.

mod address;
mod beat;
mod join;

use std::{
    net::SocketAddr,
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use peral_runtime::{
    Backoff, Lock, SharedClock,
    admin::Check,
    work::{self, Worker},
};
use peral_transfer::trust::{FirstContact, Inject, Network};
use peral_wire::{Catalogue, ErrorCode, Failure, rest::sessions::Credentials};
use rand::RngExt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use self::address::Advertise;
use crate::{
    args::{JoinToken, PodToken},
    identity::{Lifetime, PeerKey},
    library::Library,
    link::{Ended, Link, Standing},
};

/// How often central's keys are fetched again, and how soon again when a key is not known.
const KEYS: Duration = Duration::from_secs(3600);
const KEYS_AT_MOST: Duration = Duration::from_secs(10);
/// First and longest pause between two tries to reach central.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long the end of this process may wait for central to hear of it.
const LAST_CALL: Duration = Duration::from_secs(3);

/// What a peer says of itself, and how it finds its central.
#[derive(Debug, Clone)]
pub struct About {
    /// How others reach it.
    pub advertise: Advertise,
    /// What to call it in listings.
    pub label: String,
    /// Its node.
    pub node: String,
    /// Its zone.
    pub zone: String,
    /// Lets its key join, once.
    pub join_token: Option<JoinToken>,
    /// Says which pod it is.
    pub pod_token: Option<PodToken>,
    /// How central is believed the first time.
    pub first_contact: Option<FirstContact>,
    /// Between two heartbeats, a tenth more or less.
    pub heartbeat: Duration,
}

/// Keeps a peer in its network. Cheap to clone.
#[derive(Clone)]
pub struct Membership(Arc<Inner>);

struct Inner {
    about: About,
    key: PeerKey,
    library: Library,
    clock: SharedClock,
    inject: Inject,
    check: Check,
    /// All holdings are to be compared.
    compare: Arc<Notify>,
    lifetime: Mutex<Option<Lifetime>>,
    network: Mutex<Option<Network>>,
    /// As it was registered last.
    address: Mutex<Option<SocketAddr>>,
    leaving: AtomicBool,
    /// When central took a heartbeat last.
    beaten: Mutex<Option<Instant>>,
    /// What stands in the way, for people.
    trouble: Mutex<Option<Failure>>,
}

impl Membership {
    /// A peer that is about to join, or to come back. `check` says whether it can serve.
    pub fn new(
        about: About,
        key: PeerKey,
        library: Library,
        clock: SharedClock,
        inject: Inject,
        check: Check,
    ) -> Self {
        let (compare, lifetime, network) = (Arc::default(), Mutex::default(), Mutex::default());
        let (address, leaving, trouble) =
            (Mutex::default(), AtomicBool::new(false), Mutex::default());
        let beaten = Mutex::default();
        Self(Arc::new(Inner {
            about,
            key,
            library,
            clock,
            inject,
            check,
            compare,
            lifetime,
            network,
            address,
            leaving,
            beaten,
            trouble,
        }))
    }

    fn link(&self) -> &Link {
        self.0.library.link()
    }

    /// Wakes when all holdings are to be compared.
    pub fn compare(&self) -> Arc<Notify> {
        Arc::clone(&self.0.compare)
    }

    /// What stands in the way of this peer now, if anything does.
    pub fn trouble(&self) -> Option<Failure> {
        self.0.trouble.locked().clone()
    }

    /// The network, once it is known.
    pub fn network(&self) -> Option<Network> {
        self.0.network.locked().clone()
    }

    /// Where others reach this peer, as it was registered last.
    pub fn address(&self) -> Option<SocketAddr> {
        *self.0.address.locked()
    }

    /// How long ago central took a heartbeat of this process; nothing before the first.
    pub fn since_heartbeat(&self) -> Option<Duration> {
        let beaten = *self.0.beaten.locked();
        beaten.map(|beaten| beaten.elapsed())
    }

    /// Is this process about to end?
    pub fn is_leaving(&self) -> bool {
        self.0.leaving.load(Ordering::SeqCst)
    }

    fn note(&self, failure: Option<&Failure>) {
        *self.0.trouble.locked() = failure.cloned();
    }

    /// Waits until the network is known, from disk or by first contact. Nothing when told to stop
    /// before.
    ///
    /// # Errors
    /// What no waiting mends: nothing says how to believe central, or what is on disk cannot be
    /// read.
    pub async fn meet(&self, stop: &CancellationToken) -> Result<Option<Network>, Failure> {
        let met = stop.run_until_cancelled(join::meet(self)).await;
        met.transpose()
    }

    /// Registers and keeps the lease, until told to stop, or for ever once another process took
    /// over or the key was revoked.
    pub async fn run(&self, stop: &CancellationToken) {
        let ended = stop.run_until_cancelled(async {
            if self.register().await {
                self.keep().await;
            }
            if let Err(failure) = self.link().check() {
                self.0.check.err(failure.to_string());
                tracing::error!(code = %failure.code, reason = failure.detail, "this process lost its peer identity and stopped serving and writing");
            }
            std::future::pending::<()>().await;
        });
        ended.await;
    }

    /// Registers, however long it takes. False when this process is not this peer any more.
    async fn register(&self) -> bool {
        let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let attempt = || async move {
            match join::register(self).await {
                Ok(()) => ControlFlow::Break(true),
                Err(failure) if failure.code != ErrorCode::StaleEpoch && self.is_over(&failure) => {
                    ControlFlow::Break(false)
                }
                Err(failure) => ControlFlow::Continue(failure),
            }
        };
        let registered = self.retry(backoff, "this peer is not registered yet", attempt).await;
        if registered {
            self.note(None);
            // The first heartbeat tells what room there is: a peer that is ready can be sent an
            // upload.
            if let Err(failure) = beat::beat(self).await {
                tracing::info!(reason = %failure, "central does not take the first heartbeat");
            }
            self.0.check.ok();
        }
        registered
    }

    /// Whether this failure means that this process is not this peer any more. Then it stops serving
    /// and writing.
    fn is_over(&self, failure: &Failure) -> bool {
        let why = match failure.code {
            ErrorCode::StaleEpoch | ErrorCode::Superseded => Ended::Superseded,
            ErrorCode::Revoked => Ended::Revoked,
            _ => return false,
        };
        self.link().end(why);
        self.note(Some(failure));
        true
    }

    /// Tries until there is a result; meanwhile `what` is what keeps this peer from its work.
    async fn retry<T, F>(
        &self,
        backoff: Backoff,
        what: &'static str,
        mut attempt: impl FnMut() -> F,
    ) -> T
    where
        F: Future<Output = ControlFlow<T, Failure>>,
    {
        let attempt = || {
            let running = attempt();
            async move {
                let done = running.await;
                if let ControlFlow::Continue(failure) = &done {
                    self.hinder(failure, what);
                }
                done
            }
        };
        work::retry(backoff, attempt, |failure| log(failure, what)).await
    }

    /// Shows what keeps this peer from its work.
    fn hinder(&self, failure: &Failure, what: &str) {
        self.note(Some(failure));
        if self.link().standing().is_none() {
            self.0.check.err(format!("{what}: {failure}"));
        }
    }

    /// Heartbeats, until this process is not this peer any more.
    async fn keep(&self) {
        let over = CancellationToken::new();
        let heartbeats = Heartbeats { membership: self, keys: Instant::now(), over: over.clone() };
        work::run(heartbeats, Backoff::new(Duration::from_secs(1), LONGEST_PAUSE), &over).await;
    }

    /// Says that this peer is about to end: no longer named as a source or for uploads.
    pub async fn leave(&self) {
        self.0.leaving.store(true, Ordering::SeqCst);
        if self.link().standing().is_some()
            && self.link().ended().is_none()
            && let Ok(Err(failure)) | Err(failure) =
                tokio::time::timeout(LAST_CALL, beat::beat(self))
                    .await
                    .map_err(|_| peral_wire::fail!(DeadlineExceeded, "no answer in time"))
        {
            tracing::info!(reason = %failure, "central was not told that this peer is about to end");
        }
    }

    /// Logs out.
    pub async fn log_out(&self) {
        let Some(standing) = self.link().standing().filter(|_| self.link().ended().is_none())
        else {
            return;
        };
        let call = async { self.link().catalogue().await?.log_out_peer(standing.peer).await };
        match tokio::time::timeout(LAST_CALL, call).await {
            Ok(Ok(_)) => tracing::info!("logged out"),
            Ok(Err(failure)) => {
                tracing::info!(reason = %failure, "not logged out; the lease ends by itself");
            }
            Err(_) => tracing::info!("not logged out in time; the lease ends by itself"),
        }
    }

    fn anonymous(&self) -> Result<Catalogue, Failure> {
        self.link().anonymous()
    }

    /// Takes certificate and token that central gave.
    async fn take(&self, standing: Standing, credentials: &Credentials) -> Result<(), Failure> {
        let (key, given, now_ms) = (self.0.key.clone(), credentials.clone(), self.0.clock.now_ms());
        let taken = tokio::task::spawn_blocking(move || key.take(standing, &given, now_ms))
            .await
            .map_err(crate::db::broken)??;
        *self.0.lifetime.locked() = Some(taken);
        self.link().stand(standing);
        self.link().renew(&credentials.token, credentials.token_ends_ms);
        Ok(())
    }

    fn lifetime(&self) -> Option<Lifetime> {
        *self.0.lifetime.locked()
    }
}

fn log(failure: &Failure, what: &str) {
    tracing::warn!(code = %failure.code, reason = %failure, "{what}");
}

struct Heartbeats<'a> {
    membership: &'a Membership,
    /// When central's keys were fetched last.
    keys: Instant,
    /// Cancelled when this process is not this peer any more.
    over: CancellationToken,
}

impl Heartbeats<'_> {
    const WHAT: &'static str = "central does not take the heartbeat of this peer";
}

impl Worker for Heartbeats<'_> {
    type Error = Failure;

    async fn step(&mut self) -> Result<(), Failure> {
        match beat::beat(self.membership).await {
            Ok(()) => {
                self.membership.note(None);
                Ok(())
            }
            Err(failure) if self.membership.is_over(&failure) => {
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
            join::refresh_keys(self.membership).await;
            self.keys = Instant::now();
        }
    }

    fn log(&self, failure: &Failure) {
        log(failure, Self::WHAT);
    }
}
