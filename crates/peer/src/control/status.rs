//! What a peer is doing, and what keeps it from its work.

use std::time::{Duration, Instant};

use peral_wire::{Failure, pb};
use tokio::sync::Mutex;

use super::view::View;
use crate::{
    db::{
        shares::{ShareCount, ShareRow},
        unsigned,
    },
    library::Library,
};

/// Maximum number of troubles of files that are shown.
const MAX_TROUBLES: u32 = 1000;
/// Counting may take one part in so many of the time: with a million files, frequent requests get a
/// count of a few seconds ago.
const COUNTING: u32 = 20;

/// What was counted last.
#[derive(Default)]
pub(super) struct Counted(Mutex<Option<LastCount>>);

struct LastCount {
    at: Instant,
    took: Duration,
    counts: Counts,
}

#[derive(Clone, Default)]
struct Counts {
    shares: Vec<ShareCount>,
    files: u64,
}

impl Counted {
    async fn now(&self, library: &Library) -> Result<Counts, Failure> {
        let mut last = self.0.lock().await;
        if let Some(last) = last.as_ref()
            && last.at.elapsed() < last.took * COUNTING
        {
            return Ok(last.counts.clone());
        }
        let start = Instant::now();
        let counts = Counts {
            shares: library.db().share_counts().await?,
            files: library.db().versions_held().await?,
        };
        let (at, took) = (Instant::now(), start.elapsed());
        *last = Some(LastCount { at, took, counts: counts.clone() });
        Ok(counts)
    }
}

pub(super) async fn of(peer: &View, counted: &Counted) -> Result<pb::StatusResponse, Failure> {
    let link = peer.library.link();
    let registration = link.registration();
    let room = peer.library.space().room();
    let counts = counted.now(&peer.library).await?;
    Ok(pb::StatusResponse {
        peer: registration.map(|now| now.peer.to_vec()).unwrap_or_default().into(),
        epoch: registration.map_or(0, |now| now.epoch),
        address: peer.membership.address().map(|address| address.to_string()).unwrap_or_default(),
        central: link.base().into(),
        state: peer.state().into(),
        shares: shares(peer, &counts.shares).await?,
        troubles: troubles(peer).await?,
        jobs: peer.engine.get().map(|engine| engine.jobs.list()).unwrap_or_default(),
        room,
        sent: peer.engine.get().map_or(0, |engine| engine.jobs.metrics().sent.get()),
        received: peer.engine.get().map_or(0, |engine| engine.jobs.metrics().received.get()),
        version: env!("CARGO_PKG_VERSION").into(),
        files: counts.files,
    })
}

async fn shares(peer: &View, counts: &[ShareCount]) -> Result<Vec<pb::ShareStatus>, Failure> {
    let shown = |share: ShareRow| {
        let count =
            counts.iter().find(|count| count.share == share.number).copied().unwrap_or_default();
        pb::ShareStatus {
            share_id: share.share_id().to_vec().into(),
            visibility: pb::Visibility::from(share.visibility()).into(),
            files: unsigned(count.files),
            bytes: unsigned(count.bytes),
            pending: unsigned(count.pending),
            path: share.path,
            prefix: share.prefix,
        }
    };
    Ok(peer.library.shares().await?.into_iter().map(shown).collect())
}

/// What keeps the peer itself from its work, then what keeps files from being published.
async fn troubles(peer: &View) -> Result<Vec<pb::Trouble>, Failure> {
    let own = [peer.membership.trouble(), peer.library.db().trouble_writing().await];
    let mut troubles: Vec<_> = own
        .into_iter()
        .flatten()
        .map(|failure| pb::Trouble {
            path: String::new(),
            name: String::new(),
            code: failure.code.to_string(),
            detail: failure.detail,
        })
        .collect();
    let unindexable = peer.library.unindexable();
    troubles.extend(unindexable.into_iter().map(|(path, failure)| pb::Trouble {
        path: path.to_string_lossy().into_owned(),
        name: String::new(),
        code: failure.code.to_string(),
        detail: failure.detail,
    }));
    let rows = peer.library.db().troubles(MAX_TROUBLES).await?;
    troubles.extend(rows.into_iter().map(|row| pb::Trouble {
        path: row.path,
        name: row.name,
        code: row.code.unwrap_or_default(),
        detail: row.detail.unwrap_or_default(),
    }));
    Ok(troubles)
}
