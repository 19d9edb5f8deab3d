//! Central's state, which all use cases share.

use std::sync::{Arc, OnceLock};

use peral_runtime::SharedClock;
use peral_wire::{Failure, Sealed, fail, rest::sessions::Ca};

use super::{attempts::Attempts, beats::Beats, live::LiveCallers, metrics::Metrics};
use crate::{
    config::Config,
    keys::Keys,
    password::Passwords,
    pods::Pods,
    store::{SharedStore, publish::Seal},
};

/// Central, as handlers and background work see it.
pub(crate) struct App {
    pub config: Config,
    pub keys: Arc<Keys>,
    pub beats: Arc<Beats>,
    pub metrics: Metrics,
    pub(super) passwords: Passwords,
    pub(super) live: LiveCallers,
    pub(super) attempts: Attempts,
    pub(super) pods: Option<Pods>,
    clock: SharedClock,
    store: OnceLock<SharedStore>,
}

impl App {
    /// Central without its database, which comes by [`App::open`].
    ///
    /// # Errors
    /// INTERNAL, when the system gives no randomness. INVALID_ARGUMENT, when the configuration of
    /// Kubernetes cannot be used.
    pub fn new(config: Config, keys: Keys, clock: SharedClock) -> Result<Arc<Self>, Failure> {
        let beats = Arc::new(Beats::default());
        Ok(Arc::new(Self {
            passwords: Passwords::new(config.limits.hashes_at_once)?,
            metrics: Metrics::new(&beats),
            beats,
            live: LiveCallers::default(),
            attempts: Attempts::new(&config.limits),
            pods: config.kubernetes.as_ref().map(Pods::new).transpose()?,
            store: OnceLock::new(),
            keys: Arc::new(keys),
            clock,
            config,
        }))
    }

    /// Sets the database, once; until then everything that needs it answers UNAVAILABLE.
    pub fn open(&self, store: SharedStore) {
        Metrics::watch(&store);
        drop(self.store.set(store));
    }

    pub fn store(&self) -> Result<&SharedStore, Failure> {
        self.store.get().ok_or_else(|| {
            fail!(Unavailable, "central is waiting for its database; try again later")
        })
    }

    pub fn now(&self) -> i64 {
        self.clock.now_ms()
    }

    /// What a client needs before it can trust central.
    pub fn ca(&self) -> Ca {
        let authority = &self.keys.authority;
        Ca {
            network: self.keys.network,
            certificate: authority.certificate_pem(),
            fingerprint: authority.fingerprint(),
        }
    }

    /// Signs records, inside the store's transactions.
    pub(super) fn seal(&self) -> Seal {
        let keys = Arc::clone(&self.keys);
        Arc::new(move |record| Sealed::seal(record.clone(), &keys.record).to_bytes().to_vec())
    }

    /// Drops what no longer matters from memory.
    pub fn tidy(&self) {
        self.attempts.tidy();
    }
}
