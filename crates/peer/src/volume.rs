//! The volume that a peer lives on: waited for until it can be used, and watched from then on.

use std::time::Duration;

use opentelemetry::metrics::Gauge;
use peral_runtime::{SharedClock, admin::Check};
use peral_transfer::Here;
use peral_wire::{ErrorCode, Failure, keys::Verifier};
use tokio_util::sync::CancellationToken;

use crate::{
    args::Config, data::DataDir, db::Db, identity::PeerKey, library::Library, link::Link,
    rights::Rights,
};

/// Between two tries to use the volume.
const RETRY: Duration = Duration::from_secs(3);
/// Between two looks at its room.
const LOOK: Duration = Duration::from_secs(5);

/// What a peer keeps on its volume, open.
pub(crate) struct Opened {
    /// What it holds, and its shares.
    pub library: Library,
    /// Who it is.
    pub key: PeerKey,
}

/// Takes the data folder, opens its database, makes the key, and shares what the command line
/// names.
///
/// # Errors
/// As [`DataDir::open`], [`Db::open`], [`PeerKey::open`] and [`Library::configure`].
pub(crate) async fn open(config: &Config, clock: &SharedClock) -> Result<Opened, Failure> {
    let data = DataDir::open(&config.data)?;
    let db = Db::open(&data.file("peer.db")).await?;
    let key = PeerKey::open(&data)?;
    let link = Link::new(&config.central, clock.clone());
    link.place(Here { node: config.node.clone(), zone: config.zone.clone() });
    let rights = Rights::open(db.clone(), clock.clone(), link.clone(), Verifier::default()).await?;
    let library = Library::new(data, db, rights, link, clock.clone())?;
    library.configure(&config.shares).await?;
    Ok(Opened { library, key })
}

/// Is it a mistake of whoever started the peer, or of what already runs here? No waiting mends
/// that.
pub(crate) fn is_mistake(failure: &Failure) -> bool {
    matches!(
        failure.code,
        ErrorCode::AlreadyExists | ErrorCode::InvalidArgument | ErrorCode::InvalidName
    )
}

/// Tries to open the volume until it works. The process stays, not ready, and says why: an end
/// would only be followed by a restart. Nothing when told to stop before.
///
/// # Errors
/// A mistake, see [`is_mistake`].
pub(crate) async fn wait(
    config: &Config,
    clock: &SharedClock,
    first: Failure,
    check: &Check,
    stop: &CancellationToken,
) -> Result<Option<Opened>, Failure> {
    let (mut failure, mut told) = (first, String::new());
    loop {
        if is_mistake(&failure) {
            return Err(failure);
        }
        check.err(&failure.detail);
        // The same reason again is worth no line.
        if failure.detail != told {
            tracing::error!(code = %failure.code, reason = failure.detail, retry_seconds = RETRY.as_secs(), "this peer cannot use its volume: it waits");
            told.clone_from(&failure.detail);
        }
        if stop.run_until_cancelled(tokio::time::sleep(RETRY)).await.is_none() {
            return Ok(None);
        }
        match stop.run_until_cancelled(open(config, clock)).await {
            None => return Ok(None),
            Some(Ok(opened)) => {
                tracing::info!("the volume can be used now");
                return Ok(Some(opened));
            }
            Some(Err(next)) => failure = next,
        }
    }
}

/// The instruments of the volume.
struct Instruments {
    room: Gauge<u64>,
    full: Gauge<u64>,
}

impl Instruments {
    fn new() -> Self {
        let meter = opentelemetry::global::meter("peral");
        Self {
            room: meter
                .u64_gauge("peral.room")
                .with_unit("By")
                .with_description("Bytes that can still be promised on the volume")
                .build(),
            full: meter
                .u64_gauge("peral.full")
                .with_description("1 while there is too little room for uploads, else 0")
                .build(),
        }
    }
}

/// Looks after the room on the volume until told to stop: a full one is said once, and stays ready.
pub(crate) async fn watch(library: Library, check: Check, stop: CancellationToken) {
    let (instruments, mut was_full) = (Instruments::new(), false);
    let mut due = tokio::time::interval(LOOK);
    while stop.run_until_cancelled(due.tick()).await.is_some() {
        match library.space().trouble() {
            None => check.ok(),
            Some(trouble) => check.err(trouble),
        }
        let (room, full) = (library.space().room(), library.space().is_full());
        instruments.room.record(room, &[]);
        instruments.full.record(full.into(), &[]);
        match (was_full, full) {
            (false, true) => tracing::warn!(
                room,
                "the volume is full: no uploads are taken until there is more room"
            ),
            (true, false) => tracing::info!(room, "the volume has room again: uploads are taken"),
            _ => {}
        }
        was_full = full;
    }
}
