//! Events: the one place that writes them.

use peral_model::event::Event;

use super::{Conn, bulk};
use crate::store::{Result, events::StoredEvent};

/// Writes events. Nobody sees them before this transaction has committed.
pub(super) async fn append(c: &mut Conn, events: &[Event], now_ms: i64) -> Result<()> {
    let rows: Vec<StoredEvent> = events.iter().map(StoredEvent::new).collect::<Result<_>>()?;
    bulk::append_events(c, &rows, now_ms).await
}
