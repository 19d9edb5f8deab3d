//! What peers must obey, in the order in which it was decided.

use async_trait::async_trait;
use peral_model::PeerId;
use peral_wire::rest::peers::Notice;

use super::Result;

/// Most notices of one answer.
pub const MAX_NOTICES: u32 = 1000;

#[derive(Debug, Clone, PartialEq)]
pub struct NoticeList {
    /// In order, at most [`MAX_NOTICES`].
    pub notices: Vec<Notice>,
    /// Number to ask after next.
    pub obeyed: u64,
}

#[async_trait]
pub trait Notices: Send + Sync {
    /// What this peer must obey after number `after`: all revocations that still count, and the
    /// changes and removals of files that it holds or held. Numbers rise in the order of commits,
    /// so nothing turns up later behind a number already given. An `after` from the future (the
    /// database was restored from a backup) starts again from the beginning.
    async fn notices(&self, peer: PeerId, after: u64, now_ms: i64) -> Result<NoticeList>;
}
