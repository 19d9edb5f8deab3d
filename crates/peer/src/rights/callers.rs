//! Which callers are served at all.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use peral_model::Identity;
use peral_runtime::SharedClock;
use peral_wire::{Failure, fail};

use crate::link::Link;

/// Knows who is revoked, and whether this process may serve.
pub(super) struct Callers {
    clock: SharedClock,
    link: Link,
    /// With the time when their last certificate expires.
    revoked: ArcSwap<HashMap<Identity, i64>>,
    /// Counts up with each revocation.
    generation: AtomicU64,
}

impl Callers {
    pub fn new(clock: SharedClock, link: Link, revoked: HashMap<Identity, i64>) -> Self {
        let revoked = ArcSwap::from_pointee(revoked);
        Self { clock, link, revoked, generation: AtomicU64::new(1) }
    }

    pub fn admits(&self, identity: Identity, not_after_ms: i64) -> Result<(), Failure> {
        self.goes_on(identity)?;
        if self.has_expired(not_after_ms) {
            return Err(fail!(
                Unauthenticated,
                "the certificate of {identity} has expired; connect again with a new one"
            ));
        }
        Ok(())
    }

    pub fn goes_on(&self, identity: Identity) -> Result<(), Failure> {
        self.may_serve()?;
        if self.revoked.load().contains_key(&identity) {
            return Err(fail!(Unauthenticated, "the identity {identity} is revoked; log in again"));
        }
        Ok(())
    }

    pub fn may_serve(&self) -> Result<(), Failure> {
        self.link.check()
    }

    pub fn has_expired(&self, not_after_ms: i64) -> bool {
        not_after_ms < self.clock.now_ms()
    }

    /// Changes with each revocation; never 0.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    pub fn set_revoked(&self, revoked: HashMap<Identity, i64>) {
        self.revoked.store(Arc::new(revoked));
        self.generation.fetch_add(1, Ordering::SeqCst);
    }
}
