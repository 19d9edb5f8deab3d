//! The volume that a peer lives on: waited for until it can be used, and watched from then on.

use std::{ops::ControlFlow, time::Duration};

use opentelemetry::metrics::Gauge;
use peral_runtime::{Backoff, SharedClock, admin::Check, work};
use peral_transfer::Here;
use peral_wire::{ErrorCode, Failure, keys::Verifier};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config, data::DataDir, db::Db, identity::PeerKey, library::Library, link::Link,
    rights::Rights,
};

/// Between two tries to use the volume.
const RETRY: Duration = Duration::from_secs(3);
/// Between two looks at its room.
const LOOK: Duration = Duration::from_secs(5);

/// What a peer keeps on its volume, opened.
pub(crate) struct Opened {
    pub library: Library,
    pub key: PeerKey,
}

/// Locks the data folder, opens its database, creates the key, and shares what the command line
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

/// Whether the failure is a mistake in how the peer was started, or another process that runs here.
/// Waiting does not help then.
pub(crate) fn is_mistake(failure: &Failure) -> bool {
    matches!(
        failure.code,
        ErrorCode::AlreadyExists | ErrorCode::InvalidArgument | ErrorCode::InvalidName
    )
}

/// Tries to open the volume until it works. The process stays, not ready, and says why: if it
/// ended, it would only be restarted. `None` when told to stop before.
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
    let mut first = Some(first);
    let attempt = || {
        let known = first.take();
        async move {
            let opened = match known {
                Some(failure) => Err(failure),
                None => open(config, clock).await,
            };
            match opened {
                Err(failure) if !is_mistake(&failure) => {
                    check.err(&failure.detail);
                    ControlFlow::Continue(failure)
                }
                opened => ControlFlow::Break(opened),
            }
        }
    };
    let log = |failure: &Failure| {
        tracing::error!(
            code = %failure.code,
            reason = failure.detail,
            retry_seconds = RETRY.as_secs(),
            "this peer cannot use its volume; retrying"
        );
    };
    let opened = work::retry(Backoff::constant(RETRY), attempt, log);
    let opened = stop.run_until_cancelled(opened).await.transpose()?;
    if opened.is_some() {
        tracing::info!("the volume can be used now");
    }
    Ok(opened)
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
                .with_description("Bytes that can still be reserved on the volume")
                .build(),
            full: meter
                .u64_gauge("peral.full")
                .with_description("1 while there is too little room for uploads, else 0")
                .build(),
        }
    }
}

/// Looks after the room on the volume until told to stop. A full one is logged once, and the peer
/// stays ready.
pub(crate) async fn watch(library: Library, check: Check, stop: CancellationToken) {
    let (instruments, mut was_full) = (Instruments::new(), false);
    work::repeat(&stop, || {
        match library.space().trouble() {
            None => check.ok(),
            Some(trouble) => check.err(trouble),
        }
        let (room, full) = (library.space().room(), library.space().is_full());
        instruments.room.record(room, &[]);
        instruments.full.record(full.into(), &[]);
        match (std::mem::replace(&mut was_full, full), full) {
            (false, true) => tracing::warn!(
                room,
                "the volume is full; no uploads are accepted until there is more room"
            ),
            (true, false) => {
                tracing::info!(room, "the volume has room again; uploads are accepted");
            }
            _ => {}
        }
        std::future::ready(LOOK)
    })
    .await;
}
