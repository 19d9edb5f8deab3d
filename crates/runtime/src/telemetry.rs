//! Logs, traces and metrics of a process, long-lived or a short command.
//!
//! Logs go to stderr. Every process has traces, so that its logs carry their ids and its calls pass
//! them on. Traces and metrics are exported (OTLP over gRPC) only where an endpoint is set. When
//! the collector is down, only telemetry is lost.

mod error;
mod export;
mod format;

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use opentelemetry::{KeyValue, global, trace::TracerProvider};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::Targets, layer::SubscriberExt, registry::LookupSpan,
    util::SubscriberInitExt,
};

pub use error::TelemetryError;

/// What is logged unless the user says otherwise.
const DEFAULT_LOG: &str = "info";
/// Libraries that log much, or that would trace the export of traces.
const QUIET: [&str; 7] = ["h2", "hyper", "hyper_util", "tonic", "tower", "rustls", "opentelemetry"];
/// The longest time that the last export may delay the end of a process.
const LAST_FLUSH: Duration = Duration::from_secs(2);

/// How logs are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line, with trace ids.
    Json,
}

/// The flags of every role and command.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Telemetry")]
pub struct TelemetryArgs {
    /// What to log: a level (error, warn, info, debug, trace), or a list such as
    /// info,peral_peer=debug.
    #[arg(long, env = "PERAL_LOG", value_name = "FILTER", global = true)]
    pub log: Option<String>,
    /// How to write logs.
    #[arg(
        long,
        env = "PERAL_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text",
        global = true
    )]
    pub log_format: LogFormat,
    /// Where to send traces and metrics (OTLP over gRPC), such as http://collector:4317 [default:
    /// they are not sent]
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", global = true)]
    pub otlp_endpoint: Option<String>,
    /// The trace to continue (W3C trace context), so that several commands form one trace. A role
    /// ignores it: each request has its own trace.
    #[arg(long, env = "TRACEPARENT", value_name = "TRACEPARENT", global = true)]
    pub traceparent: Option<String>,
}

impl TelemetryArgs {
    /// What to log where the user does not say: a short command wants less than a server.
    #[must_use]
    pub fn with_default_log(mut self, filter: &str) -> Self {
        self.log.get_or_insert_with(|| filter.to_owned());
        self
    }
}

/// Sets up the telemetry of a process.
#[derive(Debug)]
pub struct Telemetry;

impl Telemetry {
    /// Sets up logs, traces and metrics for the whole process; `service` is its role (such as
    /// `peral-central`), `instance` tells it from others of the role. Keep the guard until the end.
    /// Instruments made before this call measure nothing.
    ///
    /// # Errors
    /// [`TelemetryError`]; never because a collector is away.
    pub fn init(
        args: TelemetryArgs,
        service: &str,
        instance: Option<&str>,
    ) -> Result<TelemetryGuard, TelemetryError> {
        let TelemetryArgs { log, log_format, otlp_endpoint, traceparent: _ } = args;
        let filter = filter(log.as_deref().unwrap_or(DEFAULT_LOG))?;
        let endpoint = otlp_endpoint.filter(|endpoint| !endpoint.is_empty());
        let providers = export::Providers::new(resource(service, instance), endpoint.as_deref())?;
        let tracer = providers.traces.tracer("peral");
        let otel = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_context_activation(false)
            .with_filter(traced());
        let dispatch = format::OwnDispatch::default();
        let logs = logs(log_format, dispatch.clone()).with_filter(filter);
        let subscriber = Registry::default().with(dispatch).with(otel).with(logs);
        subscriber.try_init().map_err(|error| TelemetryError::Setup(error.to_string()))?;
        global::set_text_map_propagator(TraceContextPropagator::new());
        global::set_tracer_provider(providers.traces.clone());
        global::set_meter_provider(providers.metrics.clone());
        Ok(TelemetryGuard { providers: Some(providers) })
    }
}

/// Keeps telemetry alive. Dropped or [`shut down`](Self::shutdown), it sends what is left, for at
/// most 2 s.
#[derive(Debug)]
#[must_use = "dropped, it ends the telemetry"]
pub struct TelemetryGuard {
    providers: Option<export::Providers>,
}

impl TelemetryGuard {
    /// The metrics of this process, for the admin listener.
    pub fn metrics(&self) -> prometheus::Registry {
        self.providers.as_ref().map(|providers| providers.registry.clone()).unwrap_or_default()
    }

    /// Sends what is left, for at most 2 s, without holding up other tasks.
    pub async fn shutdown(mut self) {
        if let Some(providers) = self.providers.take() {
            // The task ends by itself within the bound; it cannot panic or be cancelled.
            drop(tokio::task::spawn_blocking(move || providers.finish(LAST_FLUSH)).await);
        }
    }
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        if let Some(providers) = self.providers.take() {
            providers.finish(LAST_FLUSH);
        }
    }
}

fn filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    let quiet = QUIET.iter().filter(|target| !text.contains(*target)).map(|target| {
        // The SDK repeats at each export that the collector is away; we say it once.
        let level = if *target == "opentelemetry" { "off" } else { "warn" };
        format!("{target}={level},")
    });
    // What comes later in the list wins over what is as specific, so the user's words are the last.
    let directives = quiet.collect::<String>() + text;
    EnvFilter::builder()
        .parse(directives)
        .map_err(|error| TelemetryError::Filter { filter: text.into(), reason: error.to_string() })
}

/// Which spans are traced: whatever the logs leave out.
fn traced() -> Targets {
    QUIET.iter().fold(Targets::new().with_default(LevelFilter::INFO), |targets, quiet| {
        targets.with_target(*quiet, LevelFilter::OFF)
    })
}

fn logs<S>(format: LogFormat, dispatch: format::OwnDispatch) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    match format {
        LogFormat::Text => {
            let colours = io::stderr().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            Box::new(layer.with_ansi(colours))
        }
        LogFormat::Json => Box::new(layer.with_ansi(false).event_format(format::Json { dispatch })),
    }
}

fn resource(service: &str, instance: Option<&str>) -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder().with_service_name(service.to_owned()).with_attribute(version);
    let instance =
        instance.map(|instance| KeyValue::new("service.instance.id", instance.to_owned()));
    builder.with_attributes(instance).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_filter_wins_over_the_quiet_list() {
        let shown = filter("debug,h2=trace").unwrap().to_string();
        assert!(
            shown.contains("h2=trace")
                && !shown.contains("h2=warn")
                && shown.contains("hyper=warn"),
            "{shown}"
        );
        assert!(filter("info,=").is_err());
        assert!(filter("peral=loud").is_err());
    }

    #[test]
    fn a_default_gives_way_to_what_the_user_says() {
        assert_eq!(TelemetryArgs::default().with_default_log("warn").log.as_deref(), Some("warn"));
        let said = TelemetryArgs { log: Some("debug".into()), ..TelemetryArgs::default() };
        assert_eq!(said.with_default_log("warn").log.as_deref(), Some("debug"));
    }
}
