//! Providers of traces and metrics, and their way out.

use std::{
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use opentelemetry_otlp::{ExporterBuildError, MetricExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::SdkMeterProvider,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use tokio::{runtime, sync::oneshot};

use super::TelemetryError;

/// What a process measures and traces with.
#[derive(Debug)]
pub(super) struct Providers {
    pub(super) traces: SdkTracerProvider,
    pub(super) metrics: SdkMeterProvider,
    pub(super) registry: prometheus::Registry,
    /// Dropping it ends the thread that exports.
    _exporting: Option<oneshot::Sender<()>>,
}

impl Providers {
    pub(super) fn new(resource: Resource, endpoint: Option<&str>) -> Result<Self, TelemetryError> {
        let setup = |error: &dyn ToString| TelemetryError::Setup(error.to_string());
        let registry = prometheus::Registry::new();
        let scrape = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build();
        let mut metrics = SdkMeterProvider::builder()
            .with_resource(resource.clone())
            .with_reader(scrape.map_err(|error| setup(&error))?);
        // The sampler is that of OTEL_TRACES_SAMPLER, by default parentbased_always_on.
        let mut traces = SdkTracerProvider::builder().with_resource(resource);
        let mut exporting = None;
        if let Some(endpoint) = endpoint {
            let (handle, stop) = own_runtime().map_err(|error| setup(&error))?;
            let _entered = handle.enter();
            let (spans, pushed) = exporters(endpoint).map_err(|error| {
                TelemetryError::Endpoint { endpoint: endpoint.into(), reason: error.to_string() }
            })?;
            traces = traces.with_batch_exporter(spans);
            metrics = metrics.with_periodic_exporter(pushed);
            exporting = Some(stop);
        }
        Ok(Self {
            traces: traces.build(),
            metrics: metrics.build(),
            registry,
            _exporting: exporting,
        })
    }

    /// Sends what is left. The SDK keeps no bound of its own (a connection attempt may outlive it),
    /// so a thread does it and is left behind.
    pub(super) fn finish(self, bound: Duration) {
        let Some(_exporting) = self._exporting else { return };
        let (traces, metrics) = (self.traces, self.metrics);
        let (done, wait) = mpsc::channel();
        let flush = thread::Builder::new().name("peral-flush".into()).spawn(move || {
            // Failing means that the collector is away: said before, and no reason to fail.
            drop(traces.shutdown_with_timeout(bound));
            drop(metrics.shutdown_with_timeout(bound));
            let _ = done.send(());
        });
        if flush.is_ok() {
            let _ = wait.recv_timeout(bound);
        }
    }
}

/// A runtime of its own, on its own thread: the exporters' connections then never wait for the
/// workers of the process, which may be one, and busy, or gone by the time of the last flush.
fn own_runtime() -> std::io::Result<(runtime::Handle, oneshot::Sender<()>)> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    thread::Builder::new().name("peral-telemetry".into()).spawn(move || {
        // An error is the drop of the sender: the end.
        drop(runtime.block_on(stopped));
        runtime.shutdown_background();
    })?;
    Ok((handle, stop))
}

fn exporters(
    endpoint: &str,
) -> Result<(SaysOnce<opentelemetry_otlp::SpanExporter>, MetricExporter), ExporterBuildError> {
    let url =
        if endpoint.contains("://") { endpoint.to_owned() } else { format!("http://{endpoint}") };
    let spans = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(url.clone())
        .build()?;
    let metrics = MetricExporter::builder().with_tonic().with_endpoint(url).build()?;
    Ok((
        SaysOnce { inner: spans, endpoint: endpoint.to_owned(), failing: AtomicBool::new(false) },
        metrics,
    ))
}

/// Logs once when traces are lost, and once when they are accepted again.
#[derive(Debug)]
struct SaysOnce<E> {
    inner: E,
    endpoint: String,
    failing: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for SaysOnce<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.inner.export(batch).await;
        match (&result, self.failing.swap(result.is_err(), Ordering::Relaxed)) {
            (Err(error), false) => {
                tracing::warn!(
                    endpoint = self.endpoint,
                    %error,
                    "cannot send traces; dropping them until the endpoint accepts them"
                );
            }
            (Ok(()), true) => tracing::info!(endpoint = self.endpoint, "sending traces again"),
            _ => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
