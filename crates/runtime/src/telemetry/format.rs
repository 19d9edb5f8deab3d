//! Logs as JSON: one object a line, with the ids of the trace that it belongs to.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use opentelemetry::trace::TraceContextExt;
use serde_json::{Map, Value};
use tracing::{
    Dispatch, Event, Subscriber,
    dispatcher::WeakDispatch,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// The dispatcher that a layer belongs to. While an event is being written it cannot be asked for
/// in the usual way.
#[derive(Debug, Clone, Default)]
pub(super) struct OwnDispatch(Arc<OnceLock<WeakDispatch>>);

impl<S: Subscriber> Layer<S> for OwnDispatch {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        // A subscriber is registered once.
        drop(self.0.set(dispatch.downgrade()));
    }
}

impl OwnDispatch {
    /// Trace and span id of the current span, whether or not logs show it.
    fn ids(&self) -> Option<(String, String)> {
        let dispatch = self.0.get()?.upgrade()?;
        let span = dispatch.current_span();
        let context = tracing_opentelemetry::get_otel_context(span.id()?, &dispatch)?;
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| (span.trace_id().to_string(), span.span_id().to_string()))
    }
}

/// `{"timestamp", "level", "target", "message", "fields": {…}, "trace_id", "span_id"}`
#[derive(Debug)]
pub(super) struct Json {
    pub(super) dispatch: OwnDispatch,
}

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut line = Map::new();
        let mut put = |key: &str, value: Value| line.insert(key.to_owned(), value);
        put("timestamp", time.into());
        put("level", event.metadata().level().as_str().into());
        put("target", event.metadata().target().into());
        put("message", fields.message.into());
        if !fields.others.is_empty() {
            put("fields", fields.others.into());
        }
        if let Some((trace, span)) = self.dispatch.ids() {
            put("trace_id", trace.into());
            put("span_id", span.into());
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

#[derive(Debug, Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.others.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" { self.message = text } else { self.put(field, text.into()) }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.put(field, value.into());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
}
