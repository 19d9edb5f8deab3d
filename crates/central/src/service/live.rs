//! Sessions and peers that were active a moment ago.

use std::time::Duration;

use moka::future::Cache;
use peral_model::{PeerId, SessionId};
use peral_wire::Failure;

use super::caller::Caller;
use crate::token::Subject;

/// How long an entry is trusted. What ends on this replica ends at once; what ends on another one,
/// within this time.
const BELIEVED: Duration = Duration::from_secs(5);
/// Maximum number of sessions and peers that are remembered.
const REMEMBERED: u64 = 100_000;

/// A cache of callers, so that not every request asks the database.
pub(super) struct LiveCallers(Cache<Subject, Caller>);

impl Default for LiveCallers {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(REMEMBERED).time_to_live(BELIEVED).build())
    }
}

impl LiveCallers {
    /// The caller that is remembered, or the one that `look_up` finds.
    pub async fn get(
        &self,
        subject: Subject,
        look_up: impl Future<Output = Result<Caller, Failure>>,
    ) -> Result<Caller, Failure> {
        let caller = self.0.try_get_with(subject, look_up).await;
        caller.map_err(|failure| Failure::clone(&failure))
    }

    /// The session ended here.
    pub async fn forget_session(&self, sid: SessionId) {
        self.0.invalidate(&Subject::User { sid }).await;
    }

    /// The peer ended here, at this epoch.
    pub async fn forget_peer(&self, pid: PeerId, epoch: u64) {
        self.0.invalidate(&Subject::Peer { pid, epoch }).await;
    }

    /// A peer ended here, at whatever epoch; or an account changed, with whatever belongs to it.
    pub fn forget_all(&self) {
        self.0.invalidate_all();
    }
}
