//! The use cases of central, apart from HTTP.

mod accounts;
mod authenticate;
mod beats;
mod files;
mod grants;
mod holdings;
mod listing;
mod metrics;
mod peers;
mod pods;
mod proofs;
mod publish;
mod sessions;
mod tokens;

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

pub(crate) use accounts::good_name;
pub use authenticate::{Caller, PeerCaller};
pub use listing::PageQuery;
use peral_runtime::SharedClock;
use peral_wire::{Failure, fail, rest::sessions::Ca};

pub use crate::token::Subject;
use crate::{
    config::Config,
    keys::Keys,
    limit::PerMinute,
    password::Passwords,
    pods::Pods,
    store::{SharedStore, publish::Seal},
};

/// How long a certificate of a user or peer lasts.
const CERTIFICATE: Duration = Duration::from_hours(12);
/// Certificates begin so long before they are made, in milliseconds: clocks differ a little.
pub(crate) const BACKDATE_MS: i64 = 5 * 60 * 1000;

/// Central, as its handlers see it.
pub struct App {
    /// What it was told at its start.
    pub config: Config,
    /// Its keys.
    pub keys: Arc<Keys>,
    pub(crate) clock: SharedClock,
    pub(crate) passwords: Passwords,
    pub(crate) beats: Arc<beats::Beats>,
    pub(crate) metrics: metrics::Metrics,
    live: authenticate::LiveCache,
    limits: Attempts,
    pods: Option<Pods>,
    store: OnceLock<SharedStore>,
}

/// How often somebody may try.
struct Attempts {
    logins: PerMinute<(String, IpAddr)>,
    logins_in_all: PerMinute<String>,
    logins_from: PerMinute<IpAddr>,
    proofs_from: PerMinute<IpAddr>,
    nonces_from: PerMinute<IpAddr>,
}

impl App {
    /// Central without its database, which comes by [`App::open`].
    ///
    /// # Errors
    /// INTERNAL, when the system gives no randomness. INVALID_ARGUMENT, when Kubernetes cannot be
    /// asked as it is configured.
    pub fn new(config: Config, keys: Keys, clock: SharedClock) -> Result<Arc<Self>, Failure> {
        let limits = &config.limits;
        let attempts = Attempts {
            logins: PerMinute::new(
                "logins for this account from this address",
                limits.logins_per_account,
            ),
            logins_in_all: PerMinute::new(
                "logins for this account",
                limits.logins_per_account_in_all,
            ),
            logins_from: PerMinute::new("logins from this address", limits.logins_per_address),
            proofs_from: PerMinute::new("proofs from this address", limits.proofs_per_address),
            nonces_from: PerMinute::new("nonces for this address", limits.nonces_per_address),
        };
        let beats = Arc::new(beats::Beats::default());
        Ok(Arc::new(Self {
            passwords: Passwords::new(limits.hashes_at_once)?,
            metrics: metrics::Metrics::new(&beats),
            beats,
            live: authenticate::live_cache(),
            limits: attempts,
            pods: config.kubernetes.as_ref().map(Pods::new).transpose()?,
            store: OnceLock::new(),
            keys: Arc::new(keys),
            clock,
            config,
        }))
    }

    /// Takes the database, once; until then everything that needs it answers UNAVAILABLE.
    pub fn open(&self, store: SharedStore) {
        metrics::Metrics::watch(&store);
        drop(self.store.set(store));
    }

    pub(crate) fn store(&self) -> Result<&SharedStore, Failure> {
        self.store
            .get()
            .ok_or_else(|| fail!(Unavailable, "central waits for its database; try again later"))
    }

    pub(crate) fn now(&self) -> i64 {
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
    pub(crate) fn seal(&self) -> Seal {
        let keys = Arc::clone(&self.keys);
        Arc::new(move |record| {
            peral_wire::Sealed::seal(record.clone(), &keys.record).to_bytes().to_vec()
        })
    }

    /// Forgets what no longer matters in memory.
    pub(crate) fn tidy(&self) {
        self.limits.logins.tidy();
        self.limits.logins_in_all.tidy();
        self.limits.logins_from.tidy();
        self.limits.proofs_from.tidy();
        self.limits.nonces_from.tidy();
    }
}

/// Takes a text of at most so many characters.
fn short(what: &str, text: &str, most: usize) -> Result<(), Failure> {
    let chars = text.chars().count();
    if chars <= most && !text.contains('\0') {
        return Ok(());
    }
    Err(fail!(
        InvalidArgument,
        "the {what} has {chars} characters; it takes at most {most}, and no NUL"
    ))
}
