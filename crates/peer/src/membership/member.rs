//! What a peer knows of its membership, and how it shows it.

use std::{
    net::SocketAddr,
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use peral_runtime::{Backoff, Lock, SharedClock, admin::Check, work};
use peral_transfer::trust::{FirstContact, Inject, Network};
use peral_wire::{Catalogue, ErrorCode, Failure, rest::sessions::Credentials};
use tokio::sync::Notify;

use super::address::Advertise;
use crate::{
    identity::{Lifetime, PeerKey},
    library::Library,
    link::{IdentityLoss, Link, RegisteredPeer},
    secret::{JoinToken, PodToken},
};

/// First and longest pause between two tries to reach central.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(500);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What a peer tells central of itself, and how it verifies central.
#[derive(Debug, Clone)]
pub struct About {
    /// How others reach it.
    pub advertise: Advertise,
    /// Its name in listings.
    pub label: String,
    pub node: String,
    pub zone: String,
    /// Registers a new key.
    pub join_token: Option<JoinToken>,
    /// Registers the peer as the pod that it runs in.
    pub pod_token: Option<PodToken>,
    /// How central is verified at first contact.
    pub first_contact: Option<FirstContact>,
    /// Time between heartbeats, give or take a tenth.
    pub heartbeat: Duration,
}

/// Keeps a peer in its network. Cheap to clone.
#[derive(Clone)]
pub struct Membership(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub about: About,
    pub key: PeerKey,
    pub library: Library,
    pub clock: SharedClock,
    pub inject: Inject,
    /// Whether the peer can serve.
    pub check: Check,
    /// Wakes when all holdings are to be compared.
    pub compare: Arc<Notify>,
    pub lifetime: Mutex<Option<Lifetime>>,
    pub network: Mutex<Option<Network>>,
    /// As it was registered last.
    pub address: Mutex<Option<SocketAddr>>,
    pub leaving: AtomicBool,
    /// When central accepted the last heartbeat.
    pub heartbeat: Mutex<Option<Instant>>,
    /// What keeps the peer from its work.
    pub trouble: Mutex<Option<Failure>>,
}

impl Membership {
    /// A peer that is about to join, or to come back. `check` shows whether it can serve.
    pub fn new(
        about: About,
        key: PeerKey,
        library: Library,
        clock: SharedClock,
        inject: Inject,
        check: Check,
    ) -> Self {
        Self(Arc::new(Inner {
            about,
            key,
            library,
            clock,
            inject,
            check,
            compare: Arc::default(),
            lifetime: Mutex::default(),
            network: Mutex::default(),
            address: Mutex::default(),
            leaving: AtomicBool::new(false),
            heartbeat: Mutex::default(),
            trouble: Mutex::default(),
        }))
    }

    /// Wakes when all holdings are to be compared.
    pub fn compare(&self) -> Arc<Notify> {
        Arc::clone(&self.0.compare)
    }

    /// What keeps this peer from its work now, if anything does.
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

    /// Time since central accepted the last heartbeat of this process; `None` before the first.
    pub fn since_heartbeat(&self) -> Option<Duration> {
        let last = *self.0.heartbeat.locked();
        last.map(|last| last.elapsed())
    }

    /// Whether this process is about to end.
    pub fn is_leaving(&self) -> bool {
        self.0.leaving.load(Ordering::SeqCst)
    }

    pub(super) fn link(&self) -> &Link {
        self.0.library.link()
    }

    pub(super) fn anonymous(&self) -> Result<Catalogue, Failure> {
        self.link().anonymous()
    }

    pub(super) fn lifetime(&self) -> Option<Lifetime> {
        *self.0.lifetime.locked()
    }

    /// Takes the certificate and the token that central issued.
    pub(super) async fn take(
        &self,
        registration: RegisteredPeer,
        credentials: &Credentials,
    ) -> Result<(), Failure> {
        let (key, issued, now_ms) =
            (self.0.key.clone(), credentials.clone(), self.0.clock.now_ms());
        let taken = tokio::task::spawn_blocking(move || key.take(registration, &issued, now_ms))
            .await
            .map_err(crate::db::broken)??;
        *self.0.lifetime.locked() = Some(taken);
        self.link().set_registration(registration);
        self.link().renew(&credentials.token, credentials.token_ends_ms);
        Ok(())
    }

    /// Whether this failure means that this process lost the peer's identity. Then it stops serving
    /// and writing.
    pub(super) fn is_lost(&self, failure: &Failure) -> bool {
        let why = match failure.code {
            ErrorCode::StaleEpoch | ErrorCode::Superseded => IdentityLoss::Superseded,
            ErrorCode::Revoked => IdentityLoss::Revoked,
            _ => return false,
        };
        self.link().lose(why);
        self.set_trouble(Some(failure));
        true
    }

    pub(super) fn set_trouble(&self, failure: Option<&Failure>) {
        *self.0.trouble.locked() = failure.cloned();
    }

    /// Shows what keeps this peer from its work.
    pub(super) fn hinder(&self, failure: &Failure, what: &str) {
        self.set_trouble(Some(failure));
        if self.link().registration().is_none() {
            self.0.check.err(format!("{what}: {failure}"));
        }
    }

    /// Tries until there is a result; meanwhile `what` is what keeps this peer from its work.
    pub(super) async fn retry<T, F>(
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
}

pub(super) fn log(failure: &Failure, what: &str) {
    tracing::warn!(code = %failure.code, reason = %failure, "{what}; retrying");
}
