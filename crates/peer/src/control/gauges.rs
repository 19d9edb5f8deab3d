//! What the status of a peer comes to, as metrics.

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

use super::{Control, Inner, status};
use crate::library::Library;

/// Files are counted so often, and less often where counting takes more than one part in a hundred
/// of the time.
const COUNT: Duration = Duration::from_secs(5);
const COUNTING: u32 = 100;
/// All states, so that each is shown, as 0 or 1.
const STATES: [&str; 6] =
    ["ready", "full", "leaving", "superseded", "revoked", "waiting-for-central"];

/// Files as they were counted last.
#[derive(Debug, Clone, Copy)]
struct Files {
    held: u64,
    pending: u64,
    left_out: u64,
}

type Of = fn(Files) -> u64;

/// What the gauges show of files.
#[derive(Default)]
pub(super) struct Gauges(Mutex<Option<Files>>);

impl Gauges {
    fn files(&self) -> Option<Files> {
        *self.0.locked()
    }
}

impl Control {
    /// Shows this peer's state as metrics, for as long as it is there. Counts its files until told
    /// to stop.
    pub async fn measure(&self, stop: CancellationToken) {
        let meter = opentelemetry::global::meter("peral");
        show_state(&meter, &Arc::downgrade(&self.0));
        show_files(&meter, &Arc::downgrade(&self.0));
        work::repeat(&stop, || async {
            let start = Instant::now();
            let counted = count(&self.0.library).await.inspect_err(
                |failure| tracing::debug!(reason = %failure, "files are not counted now"),
            );
            *self.0.gauges.0.locked() = counted.ok();
            COUNT.max(start.elapsed() * COUNTING)
        })
        .await;
    }
}

async fn count(library: &Library) -> Result<Files, Failure> {
    let (pending, left_out) = library.db().waiting_files().await?;
    Ok(Files { held: library.db().versions_held().await?, pending, left_out })
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

fn show_state(meter: &Meter, peer: &Weak<Inner>) {
    let seen = Weak::clone(peer);
    gauge(
        meter,
        "peral.peer.state",
        "State of this peer: 1 for the one that it is in",
        move |gauge| {
            let Some(peer) = seen.upgrade() else { return };
            let now = status::state(&peer);
            for state in STATES {
                gauge.observe((state == now).into(), &[KeyValue::new("state", state)]);
            }
        },
    );
    let seen = Weak::clone(peer);
    gauge(
        meter,
        "peral.central.connected",
        "Central took the last heartbeat of this peer: 1 for yes",
        move |gauge| {
            let Some(peer) = seen.upgrade() else { return };
            gauge.observe(is_connected(&peer).into(), &[]);
        },
    );
    let seen = Weak::clone(peer);
    gauge(
        meter,
        "peral.peer.epoch",
        "Fencing number of this peer, raised at each registration",
        move |gauge| {
            if let Some(standing) = seen.upgrade().and_then(|peer| peer.library.link().standing()) {
                gauge.observe(standing.epoch, &[]);
            }
        },
    );
    let seen = Weak::clone(peer);
    let age = meter.f64_observable_gauge("peral.heartbeat.age").with_unit("s");
    age.with_description("Time since central took a heartbeat of this peer; its lease lasts 30 s")
        .with_callback(move |gauge| {
            if let Some(age) = seen.upgrade().and_then(|peer| peer.membership.since_heartbeat()) {
                gauge.observe(age.as_secs_f64(), &[]);
            }
        })
        .build();
}

fn is_connected(peer: &Inner) -> bool {
    let link = peer.library.link();
    link.standing().is_some() && link.ended().is_none() && peer.membership.trouble().is_none()
}

fn show_files(meter: &Meter, peer: &Weak<Inner>) {
    let shown: [(_, _, Of); 3] = [
        ("peral.files.held", "File versions that this peer holds", |files| files.held),
        ("peral.files.pending", "Files that are hashed and wait to be published", |files| {
            files.pending
        }),
        (
            "peral.files.left.out",
            "Files that the indexer leaves out of the catalogue; peral status says why",
            |files| files.left_out,
        ),
    ];
    for (name, about, of) in shown {
        let seen = Weak::clone(peer);
        gauge(meter, name, about, move |gauge| {
            if let Some(files) = seen.upgrade().and_then(|peer| peer.gauges.files()) {
                gauge.observe(of(files), &[]);
            }
        });
    }
}
