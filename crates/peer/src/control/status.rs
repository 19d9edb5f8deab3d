//! What a peer is doing, and what stands in its way.

use std::time::{Duration, Instant};

use peral_wire::{Failure, pb};
use tokio::sync::Mutex;

use super::Inner;
use crate::{
    db::{
        shares::{ShareCount, ShareRow},
        unsigned,
    },
    library::Library,
    link::Ended,
};

/// Troubles that are shown.
const MAX_TROUBLES: u32 = 1000;
/// Counting may take one part in so many of the time: with a million files, who asks often is told
/// a count of a few seconds ago.
const COUNTING: u32 = 20;

/// What was counted last, and when, and how long it took.
#[derive(Default)]
pub(super) struct Counted(Mutex<Option<(Instant, Duration, Counts)>>);

#[derive(Clone, Default)]
struct Counts {
    shares: Vec<ShareCount>,
    files: u64,
}

impl Counted {
    async fn now(&self, library: &Library) -> Result<Counts, Failure> {
        let mut last = self.0.lock().await;
        if let Some((at, took, counts)) = last.as_ref()
            && at.elapsed() < *took * COUNTING
        {
            return Ok(counts.clone());
        }
        let start = Instant::now();
        let counts = Counts {
            shares: library.db().share_counts().await?,
            files: library.db().versions_held().await?,
        };
        *last = Some((Instant::now(), start.elapsed(), counts.clone()));
        Ok(counts)
    }
}

pub(super) async fn of(peer: &Inner) -> Result<pb::StatusResponse, Failure> {
    let link = peer.library.link();
    let standing = link.standing();
    let room = peer.library.space().room();
    let counts = peer.counted.now(&peer.library).await?;
    Ok(pb::StatusResponse {
        peer: standing.map(|standing| standing.peer.to_vec()).unwrap_or_default().into(),
        epoch: standing.map_or(0, |standing| standing.epoch),
        address: peer.membership.address().map(|address| address.to_string()).unwrap_or_default(),
        central: link.base().into(),
        state: state(peer).into(),
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

/// The state of a peer, in one word.
pub(super) fn state(peer: &Inner) -> &'static str {
    if let Some(ended) = peer.library.link().ended() {
        match ended {
            Ended::Superseded => "superseded",
            Ended::Revoked => "revoked",
        }
    } else if peer.membership.is_leaving() {
        "leaving"
    } else if peer.library.link().standing().is_none() || peer.membership.trouble().is_some() {
        "waiting-for-central"
    } else if peer.library.space().is_full() {
        "full"
    } else {
        "ready"
    }
}

async fn shares(peer: &Inner, counts: &[ShareCount]) -> Result<Vec<pb::ShareStatus>, Failure> {
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

/// What stands in the way of the peer itself, then of files.
async fn troubles(peer: &Inner) -> Result<Vec<pb::Trouble>, Failure> {
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
    let noted = peer.library.unindexable();
    let noted = noted.into_iter().map(|(path, (code, detail))| pb::Trouble {
        path: path.to_string_lossy().into_owned(),
        name: String::new(),
        code: code.to_string(),
        detail,
    });
    troubles.extend(noted);
    let rows = peer.library.db().troubles(MAX_TROUBLES).await?;
    troubles.extend(rows.into_iter().map(|row| pb::Trouble {
        path: row.path,
        name: row.name,
        code: row.code.unwrap_or_default(),
        detail: row.detail.unwrap_or_default(),
    }));
    Ok(troubles)
}
