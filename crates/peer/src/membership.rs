//! A peer's life in the network: first contact, registration, heartbeats, renewals, logout.

mod address;
mod beat;
mod join;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use peral_runtime::{Lock, SharedClock, admin::Check};
use peral_transfer::trust::{FirstContact, Inject, Network};
use peral_wire::{Catalogue, ErrorCode, Failure, rest::sessions::Credentials};
use rand::RngExt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use self::address::Advertise;
use crate::{
    args::{JoinToken, PodToken},
    backoff::Backoff,
    identity::{Lifetime, PeerKey},
    library::Library,
    link::{Ended, Link, Standing},
};

/// Central's keys are fetched again so often, and at once, but not more often than this, when a key
/// is not known.
const KEYS: Duration = Duration::from_secs(3600);
const KEYS_AT_MOST: Duration = Duration::from_secs(10);
/// Longest pause between two tries to reach central.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Central hears of the end of this process within this time, or not at all.
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
                tracing::error!(code = %failure.code, reason = failure.detail, "this process serves and writes nothing more");
            }
            std::future::pending::<()>().await;
        });
        ended.await;
    }

    /// Registers, trying as long as it takes. False when this process is this peer no more.
    async fn register(&self) -> bool {
        let mut backoff = Backoff::new(Duration::from_millis(500), LONGEST_PAUSE);
        loop {
            match join::register(self).await {
                Ok(()) => {
                    self.note(None);
                    // The first heartbeat tells what room there is: a peer that is ready can be
                    // sent an upload.
                    if let Err(failure) = beat::beat(self).await {
                        tracing::info!(reason = %failure, "central does not take the first heartbeat");
                    }
                    self.0.check.ok();
                    return true;
                }
                Err(failure) if failure.code != ErrorCode::StaleEpoch && self.is_over(&failure) => {
                    return false;
                }
                Err(failure) => {
                    self.wait(&failure, "this peer is not registered yet", &mut backoff).await;
                }
            }
        }
    }

    /// Does this failure say that this process is this peer no more? Then nothing is served or
    /// written from now on.
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

    async fn wait(&self, failure: &Failure, what: &str, backoff: &mut Backoff) {
        tracing::warn!(code = %failure.code, reason = %failure, "{what}");
        self.note(Some(failure));
        if self.link().standing().is_none() {
            self.0.check.err(format!("{what}: {failure}"));
        }
        tokio::time::sleep(backoff.pause()).await;
    }

    /// Heartbeats, until this process is this peer no more.
    async fn keep(&self) {
        let mut backoff = Backoff::new(Duration::from_secs(1), LONGEST_PAUSE);
        let mut keys = Instant::now();
        loop {
            match beat::beat(self).await {
                Ok(()) => {
                    self.note(None);
                    backoff.reset();
                }
                Err(failure) if self.is_over(&failure) => return,
                Err(failure) => {
                    self.wait(
                        &failure,
                        "central does not take the heartbeat of this peer",
                        &mut backoff,
                    )
                    .await;
                    continue;
                }
            }
            let next = tokio::time::sleep(
                self.0.about.heartbeat.mul_f64(rand::rng().random_range(0.9..1.1)),
            );
            tokio::pin!(next);
            loop {
                tokio::select! {
                    () = &mut next => break,
                    () = self.link().token_wanted() => break,
                    () = tokio::time::sleep_until((keys + KEYS).into()) => (),
                    // Strangers can show unknown keys as often as they like.
                    () = self.0.library.rights().keys_wanted(), if keys.elapsed() >= KEYS_AT_MOST => (),
                }
                join::refresh_keys(self).await;
                keys = Instant::now();
            }
        }
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
