//! Metrics. None has a name, an id or an address as a label: such labels grow without bound.

use std::sync::{Arc, Mutex};

use opentelemetry::{
    KeyValue, global,
    metrics::{AsyncInstrument, Counter},
};
use peral_runtime::Lock;
use peral_wire::Failure;

use super::beats::Beats;
use crate::store::{CatalogueCounts, SharedStore};

/// One of the counts, if it is known.
type CountOf = fn(&CatalogueCounts) -> Option<u64>;

/// Central's instruments.
pub(crate) struct Metrics {
    heartbeats: Counter<u64>,
    /// The last count of the catalogue.
    counted: Arc<Mutex<Option<CatalogueCounts>>>,
    logins: Counter<u64>,
    published: Counter<u64>,
    searches: Counter<u64>,
    registrations: Counter<u64>,
}

impl Metrics {
    pub(super) fn new(beats: &Arc<Beats>) -> Self {
        let meter = global::meter("peral");
        let seen = Arc::downgrade(beats);
        // The callback lives as long as the meter, and so holds a weak reference.
        meter
            .u64_observable_gauge("peral.peers.alive")
            .with_description("Peers whose heartbeat this central received within the last 30 s")
            .with_callback(move |gauge| {
                gauge.observe(seen.upgrade().map_or(0, |beats| beats.alive() as u64), &[]);
            })
            .build();
        let ok = || KeyValue::new("outcome", "ok");
        let [plain, words, exact] = [
            vec![ok()],
            vec![KeyValue::new("kind", "words"), ok()],
            vec![KeyValue::new("kind", "exact"), ok()],
        ];
        let counter = |name: &'static str, about: &'static str, kinds: &[&[KeyValue]]| {
            let counter = meter.u64_counter(name).with_description(about).build();
            // Counters start at 0: one that appears with its first event shows no increase.
            kinds.iter().for_each(|kind| counter.add(0, kind));
            counter
        };
        let counted = Arc::default();
        show(&counted);
        Self {
            heartbeats: counter("peral.heartbeats", "Heartbeats of peers, by outcome", &[&plain]),
            counted,
            logins: counter("peral.logins", "Logins, by outcome", &[&plain]),
            published: counter(
                "peral.published",
                "Versions offered for publishing, by outcome",
                &[&plain],
            ),
            searches: counter("peral.searches", "Searches, by kind and outcome", &[&words, &exact]),
            registrations: counter(
                "peral.registrations",
                "Registrations of peers, by outcome",
                &[&plain],
            ),
        }
    }

    /// Observes the connections of a database for as long as it is open.
    pub(super) fn watch(store: &SharedStore) {
        let store = Arc::downgrade(store);
        global::meter("peral")
            .u64_observable_gauge("db.client.connection.count")
            .with_description("Connections to the database, by state")
            .with_callback(move |gauge| {
                let Some(connections) = store.upgrade().map(|store| store.connections()) else {
                    return;
                };
                for (state, count) in [("used", connections.used), ("idle", connections.idle)] {
                    gauge.observe(count, &[KeyValue::new("db.client.connection.state", state)]);
                }
            })
            .build();
    }

    /// Heartbeats that were written, and those that were refused.
    pub(super) fn heartbeats(&self, written: usize, refused: usize) {
        self.heartbeats.add(written as u64, &[KeyValue::new("outcome", "ok")]);
        self.heartbeats.add(refused as u64, &[KeyValue::new("outcome", "refused")]);
    }

    /// Heartbeats that the database did not write.
    pub(super) fn heartbeats_lost(&self, lost: usize) {
        self.heartbeats.add(lost as u64, &[KeyValue::new("outcome", "failed")]);
    }

    /// The last count of the catalogue; nothing while the database is not available, because an old
    /// count may be wrong.
    pub fn catalogue(&self, counts: Option<CatalogueCounts>) {
        *self.counted.locked() = counts;
    }

    pub(super) fn login<T>(&self, outcome: &Result<T, Failure>) {
        self.logins.add(1, &[label(outcome)]);
    }

    pub(super) fn registration<T>(&self, outcome: &Result<T, Failure>) {
        self.registrations.add(1, &[label(outcome)]);
    }

    pub(super) fn search<T>(&self, kind: &'static str, outcome: &Result<T, Failure>) {
        self.searches.add(1, &[KeyValue::new("kind", kind), label(outcome)]);
    }

    pub(super) fn published(&self, good: usize, refused: usize) {
        self.published.add(good as u64, &[KeyValue::new("outcome", "ok")]);
        self.published.add(refused as u64, &[KeyValue::new("outcome", "refused")]);
    }
}

/// Shows the last count.
fn show(counted: &Arc<Mutex<Option<CatalogueCounts>>>) {
    let meter = global::meter("peral");
    let seen = Arc::downgrade(counted);
    let last = move || *seen.upgrade()?.locked();
    let peers = last.clone();
    meter
        .u64_observable_gauge("peral.peers")
        .with_description("Registered peers, by state; counted at most once a minute")
        .with_callback(move |gauge| {
            let Some(counts) = peers() else { return };
            for (state, count) in [
                ("ready", counts.ready),
                ("full", counts.full),
                ("leaving", counts.leaving),
                ("away", counts.away),
            ] {
                gauge.observe(count, &[KeyValue::new("state", state)]);
            }
        })
        .build();
    let shown: [(_, _, CountOf); 3] = [
        (
            "peral.catalogue.files",
            "Names in the catalogue; an estimate if there are many",
            |counts| counts.files,
        ),
        (
            "peral.catalogue.versions",
            "File versions that are kept; an estimate if there are many",
            |counts| counts.versions,
        ),
        (
            "peral.catalogue.holdings",
            "Versions that peers hold, counted for each peer; an estimate if there are many",
            |counts| counts.holdings,
        ),
    ];
    for (name, about, of) in shown {
        let last = last.clone();
        let observe = move |gauge: &dyn AsyncInstrument<u64>| {
            if let Some(count) = last().as_ref().and_then(of) {
                gauge.observe(count, &[]);
            }
        };
        meter.u64_observable_gauge(name).with_description(about).with_callback(observe).build();
    }
}

fn label<T>(outcome: &Result<T, Failure>) -> KeyValue {
    KeyValue::new(
        "outcome",
        outcome.as_ref().map_or_else(|failure| failure.code.as_str(), |_| "ok"),
    )
}
