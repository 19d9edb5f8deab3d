//! The admin listener: probes and metrics, plaintext, apart from what users and peers reach.
//!
//! `/livez` says that the event loop beats and nothing else, so that no database away restarts a
//! process. `/readyz` lists the named checks, and answers 503 as long as one fails or the drain
//! runs. `/metrics` is for Prometheus. It answers until the very end.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
    Shutdown,
    serve::{Listener, ServeConfig, serve},
};

/// The event loop notes the time so often.
const BEAT: Duration = Duration::from_secs(1);
/// Without a note for so long the process is taken for dead.
const BEATS_MISSED: Duration = Duration::from_secs(10);

/// The named checks of a process: what must be well for it to be ready.
#[derive(Debug, Clone, Default)]
pub struct Checks {
    named: Arc<Mutex<BTreeMap<String, Found>>>,
}

/// What one check found last. `text` says why it fails, or what there is to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Found {
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
    /// No checks: ready at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check, or takes up one of this name again.
    pub fn register(&self, name: impl Into<String>) -> Check {
        let check = Check { checks: self.clone(), name: name.into() };
        self.lock()
            .entry(check.name.clone())
            .or_insert_with(|| Found { ok: false, text: "starting".into() });
        check
    }

    /// Do all checks pass?
    pub fn ready(&self) -> bool {
        self.lock().values().all(|state| state.ok)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Found>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Check {
    /// It is well.
    pub fn ok(&self) {
        self.set(Found { ok: true, text: String::new() });
    }

    /// It is not; the text says what and why.
    pub fn err(&self, text: impl Into<String>) {
        self.set(Found { ok: false, text: text.into() });
    }

    fn set(&self, state: Found) {
        let (now, text) = (state.ok, state.text.clone());
        let before = self.checks.lock().insert(self.name.clone(), state);
        // A change is worth a line, its repetition is not.
        match (before.is_some_and(|before| before.ok), now) {
            (true, false) => tracing::warn!(check = self.name, reason = text, "no longer ready"),
            (false, true) => tracing::info!(check = self.name, "ready"),
            _ => {}
        }
    }
}

#[derive(Debug, Clone)]
struct Admin {
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
    let admin = Admin { checks, metrics, shutdown, beat: Arc::new(Mutex::new(Instant::now())) };
    let router = router(admin.clone());
    tokio::join!(
        serve(listener, config, None, router, until.clone()),
        until.killed().run_until_cancelled(beat(&admin.beat))
    );
}

/// Shows each check as a metric: 1 for well, 0 for not.
fn measure(checks: &Checks) {
    let seen = Arc::downgrade(&checks.named);
    // The callback lives as long as the meter, and looks through a weak reference.
    opentelemetry::global::meter("peral")
        .u64_observable_gauge("peral.check.ok")
        .with_description("Checks of readiness, by name: 1 for well, 0 for not")
        .with_callback(move |gauge| {
            let Some(named) = seen.upgrade() else { return };
            for (name, found) in named.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                gauge.observe(found.ok.into(), &[KeyValue::new("check", name.clone())]);
            }
        })
        .build();
}

fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

async fn beat(last: &Mutex<Instant>) {
    loop {
        *last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        tokio::time::sleep(BEAT).await;
    }
}

async fn livez(State(admin): State<Admin>) -> (StatusCode, String) {
    let silent = admin.beat.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
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
struct Readiness {
    ready: bool,
    checks: BTreeMap<String, Found>,
}

async fn readyz(State(admin): State<Admin>) -> (StatusCode, Json<Readiness>) {
    let mut checks = admin.checks.lock().clone();
    if admin.shutdown.draining().is_cancelled() {
        checks.insert("shutdown".into(), Found { ok: false, text: "draining".into() });
    }
    let ready = checks.values().all(|state| state.ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, checks }))
}

async fn metrics(State(admin): State<Admin>) -> Response {
    match TextEncoder::new().encode_to_string(&admin.metrics.gather()) {
        Ok(text) => ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("the metrics cannot be written: {error}\n"))
                .into_response()
        }
    }
}
