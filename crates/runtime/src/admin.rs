//! The admin listener: probes and metrics in plaintext, on a port of its own.
//!
//! `/livez` checks the event loop and nothing else: a database that is down must not restart a
//! process. `/readyz` lists the named checks and answers 503 while one fails or during the drain.
//! `/metrics` is for Prometheus. The listener answers until the process ends.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use opentelemetry::KeyValue;
use prometheus::{Registry, TextEncoder};
use serde::Serialize;

use crate::{
    Lock, Shutdown,
    serve::{Listener, ServeConfig, serve},
};

/// How often the event loop records the time.
const BEAT: Duration = Duration::from_secs(1);
/// How old that record may become before `/livez` fails.
const BEATS_MISSED: Duration = Duration::from_secs(10);

/// The named checks of a process. It is ready when all of them pass.
#[derive(Debug, Clone, Default)]
pub struct Checks {
    named: Arc<Mutex<BTreeMap<String, CheckState>>>,
}

/// What a check reported last. `text` says why it fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct CheckState {
    ok: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
}

/// One named check; it fails with "starting" until it is set.
#[derive(Debug, Clone)]
pub struct Check {
    checks: Checks,
    name: String,
}

impl Checks {
    /// Without checks, a process is ready at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check, or takes up one of this name again.
    pub fn register(&self, name: impl Into<String>) -> Check {
        let check = Check { checks: self.clone(), name: name.into() };
        self.named
            .locked()
            .entry(check.name.clone())
            .or_insert_with(|| CheckState { ok: false, text: "starting".into() });
        check
    }

    /// Whether all checks pass.
    pub fn ready(&self) -> bool {
        self.named.locked().values().all(|state| state.ok)
    }
}

impl Check {
    /// The check passes.
    pub fn ok(&self) {
        self.set(CheckState { ok: true, text: String::new() });
    }

    /// The check fails; the text says why.
    pub fn err(&self, text: impl Into<String>) {
        self.set(CheckState { ok: false, text: text.into() });
    }

    fn set(&self, state: CheckState) {
        let (now, text) = (state.ok, state.text.clone());
        let before = self.checks.named.locked().insert(self.name.clone(), state);
        // Only a change is logged.
        match (before.is_some_and(|before| before.ok), now) {
            (true, false) => tracing::warn!(check = self.name, reason = text, "no longer ready"),
            (false, true) => tracing::info!(check = self.name, "ready"),
            _ => {}
        }
    }
}

#[derive(Debug, Clone)]
struct AdminState {
    checks: Checks,
    metrics: Registry,
    shutdown: Shutdown,
    beat: Arc<Mutex<Instant>>,
}

/// Serves `/livez`, `/readyz` and `/metrics` until the kill: also during the drain, when `/readyz`
/// says so.
pub async fn serve_admin(
    listener: Listener,
    checks: Checks,
    metrics: Registry,
    shutdown: Shutdown,
) {
    let config = ServeConfig {
        max_connections: 256,
        max_connections_per_ip: 128,
        max_concurrent_streams: 16,
        ..ServeConfig::default()
    };
    let until = shutdown.only_killed();
    tracing::info!(address = %listener.local_addr(), "serving probes and metrics");
    measure(&checks);
    let admin =
        AdminState { checks, metrics, shutdown, beat: Arc::new(Mutex::new(Instant::now())) };
    let router = router(admin.clone());
    tokio::join!(
        serve(listener, config, None, router, until.clone()),
        until.killed().run_until_cancelled(beat(&admin.beat))
    );
}

/// Exports each check as a metric: 1 passes, 0 fails.
fn measure(checks: &Checks) {
    let seen = Arc::downgrade(&checks.named);
    // The callback lives as long as the meter, and looks through a weak reference.
    opentelemetry::global::meter("peral")
        .u64_observable_gauge("peral.check.ok")
        .with_description("Readiness checks by name: 1 passes, 0 fails")
        .with_callback(move |gauge| {
            let Some(named) = seen.upgrade() else { return };
            for (name, found) in named.locked().iter() {
                gauge.observe(found.ok.into(), &[KeyValue::new("check", name.clone())]);
            }
        })
        .build();
}

fn router(admin: AdminState) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

async fn beat(last: &Mutex<Instant>) {
    loop {
        *last.locked() = Instant::now();
        tokio::time::sleep(BEAT).await;
    }
}

async fn livez(State(admin): State<AdminState>) -> (StatusCode, String) {
    let silent = admin.beat.locked().elapsed();
    if silent < BEATS_MISSED {
        (StatusCode::OK, "live\n".into())
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the event loop has not beaten for {} s\n", silent.as_secs()),
        )
    }
}

#[derive(Debug, Serialize)]
struct ReadyzBody {
    ready: bool,
    checks: BTreeMap<String, CheckState>,
}

async fn readyz(State(admin): State<AdminState>) -> (StatusCode, Json<ReadyzBody>) {
    let mut checks = admin.checks.named.locked().clone();
    if admin.shutdown.draining().is_cancelled() {
        checks.insert("shutdown".into(), CheckState { ok: false, text: "draining".into() });
    }
    let ready = checks.values().all(|state| state.ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ReadyzBody { ready, checks }))
}

async fn metrics(State(admin): State<AdminState>) -> Response {
    match TextEncoder::new().encode_to_string(&admin.metrics.gather()) {
        Ok(text) => ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot write the metrics: {error}\n"))
                .into_response()
        }
    }
}
