//! What central counts. Never by name, id or address: such labels would grow without end.

use std::sync::Arc;

use opentelemetry::{KeyValue, global, metrics::Counter};
use peral_wire::Failure;

use super::beats::Beats;
use crate::store::SharedStore;

/// Central's instruments.
pub struct Metrics {
    logins: Counter<u64>,
    published: Counter<u64>,
    searches: Counter<u64>,
    registrations: Counter<u64>,
}

impl Metrics {
    pub(super) fn new(beats: &Arc<Beats>) -> Self {
        let meter = global::meter("peral");
        let seen = Arc::downgrade(beats);
        // The callback lives as long as the meter, and looks through a weak reference.
        meter
            .u64_observable_gauge("peral.peers.alive")
            .with_description("Peers whose heartbeat this central took within the last 30 s")
            .with_callback(move |gauge| gauge.observe(seen.upgrade().map_or(0, |beats| beats.alive() as u64), &[]))
            .build();
        let counter = |name: &'static str, about: &'static str| meter.u64_counter(name).with_description(about).build();
        Self {
            logins: counter("peral.logins", "Logins, by outcome"),
            published: counter("peral.published", "Versions offered for publishing, by outcome"),
            searches: counter("peral.searches", "Searches, by kind and outcome"),
            registrations: counter("peral.registrations", "Registrations of peers, by outcome"),
        }
    }

    /// Watches the connections of a database for as long as it is there.
    pub(super) fn watch(store: &SharedStore) {
        let store = Arc::downgrade(store);
        global::meter("peral")
            .u64_observable_gauge("db.client.connection.count")
            .with_description("Connections to the database, by what they do")
            .with_callback(move |gauge| {
                let Some(connections) = store.upgrade().map(|store| store.connections()) else { return };
                for (state, count) in [("used", connections.used), ("idle", connections.idle)] {
                    gauge.observe(count, &[KeyValue::new("db.client.connection.state", state)]);
                }
            })
            .build();
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

fn label<T>(outcome: &Result<T, Failure>) -> KeyValue {
    KeyValue::new("outcome", outcome.as_ref().map_or_else(|failure| failure.code.as_str(), |_| "ok"))
}
