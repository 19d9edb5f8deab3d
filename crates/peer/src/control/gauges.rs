//! The status of a peer as metrics.

use std::{
    sync::{Arc, Mutex, Weak},
    time::{Duration, Instant},
};

use opentelemetry::{
    KeyValue,
    metrics::{AsyncInstrument, Meter},
};
use peral_runtime::{Lock, work};
use peral_wire::Failure;
use tokio_util::sync::CancellationToken;

use super::view::{STATES, View};
use crate::{db::pending::WaitingFiles, library::Library};

/// Files are counted so often, and less often where counting takes more than one part in a hundred
/// of the time.
const COUNT: Duration = Duration::from_secs(5);
const COUNTING: u32 = 100;

/// Files as they were counted last.
#[derive(Debug, Clone, Copy)]
struct FileCounts {
    held: u64,
    waiting: WaitingFiles,
}

type Count = fn(FileCounts) -> u64;
type LastCounts = Arc<Mutex<Option<FileCounts>>>;

/// Shows a peer's state as metrics, for as long as it exists. Counts its files until told to stop.
pub(super) async fn measure(view: &Arc<View>, stop: &CancellationToken) {
    let meter = opentelemetry::global::meter("peral");
    let counts = LastCounts::default();
    show_state(&meter, &Arc::downgrade(view));
    show_files(&meter, &Arc::downgrade(view), &counts);
    work::repeat(stop, || async {
        let start = Instant::now();
        let counted = count(&view.library).await.inspect_err(
            |failure| tracing::debug!(reason = %failure, "could not count files; will retry"),
        );
        *counts.locked() = counted.ok();
        COUNT.max(start.elapsed() * COUNTING)
    })
    .await;
}

async fn count(library: &Library) -> Result<FileCounts, Failure> {
    let waiting = library.db().waiting_files().await?;
    Ok(FileCounts { held: library.db().versions_held().await?, waiting })
}

/// The callbacks live as long as the meter, and look through weak references.
fn gauge(
    meter: &Meter,
    name: &'static str,
    about: &'static str,
    observe: impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync + 'static,
) {
    meter.u64_observable_gauge(name).with_description(about).with_callback(observe).build();
}

fn show_state(meter: &Meter, view: &Weak<View>) {
    let seen = Weak::clone(view);
    gauge(
        meter,
        "peral.peer.state",
        "State of this peer: 1 for the present one, 0 for the others",
        move |gauge| {
            let Some(peer) = seen.upgrade() else { return };
            let now = peer.state();
            for state in STATES {
                gauge.observe((state == now).into(), &[KeyValue::new("state", state)]);
            }
        },
    );
    let seen = Weak::clone(view);
    gauge(
        meter,
        "peral.central.connected",
        "1 if central accepted the last heartbeat of this peer, else 0",
        move |gauge| {
            let Some(peer) = seen.upgrade() else { return };
            gauge.observe(peer.is_connected().into(), &[]);
        },
    );
    let seen = Weak::clone(view);
    gauge(
        meter,
        "peral.peer.epoch",
        "Fencing number of this peer, raised at each registration",
        move |gauge| {
            let peer = seen.upgrade();
            if let Some(now) = peer.and_then(|peer| peer.library.link().registration()) {
                gauge.observe(now.epoch, &[]);
            }
        },
    );
    let seen = Weak::clone(view);
    let age = meter.f64_observable_gauge("peral.heartbeat.age").with_unit("s");
    age.with_description(
        "Time since central accepted a heartbeat of this peer; its lease lasts 30 s",
    )
    .with_callback(move |gauge| {
        if let Some(age) = seen.upgrade().and_then(|peer| peer.membership.since_heartbeat()) {
            gauge.observe(age.as_secs_f64(), &[]);
        }
    })
    .build();
}

fn show_files(meter: &Meter, view: &Weak<View>, counts: &LastCounts) {
    let shown: [(_, _, Count); 3] = [
        ("peral.files.held", "File versions that this peer holds", |files| files.held),
        ("peral.files.pending", "Files that are hashed and wait to be published", |files| {
            files.waiting.pending
        }),
        (
            "peral.files.left.out",
            "Files that the indexer leaves out of the catalogue; peral status says why",
            |files| files.waiting.left_out,
        ),
    ];
    for (name, about, value) in shown {
        let (seen, counts) = (Weak::clone(view), Arc::clone(counts));
        gauge(meter, name, about, move |gauge| {
            // A peer that is gone shows nothing.
            let counted = seen.upgrade().and_then(|_| *counts.locked());
            if let Some(files) = counted {
                gauge.observe(value(files), &[]);
            }
        });
    }
}
