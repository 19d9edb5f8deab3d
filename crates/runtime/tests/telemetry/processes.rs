//! Whole processes: what they log, send and serve, and that a collector that is away holds up
//! nothing.

use std::net::TcpListener;

use peral_testkit::net::free_address;
use serde_json::Value;

use crate::{child, collector};

#[tokio::test(flavor = "multi_thread")]
async fn traces_and_metrics_reach_the_collector_and_json_logs_name_the_trace() {
    for runtime in ["many", "one"] {
        let (address, calls) = collector::start();
        let endpoint = format!("http://{address}");
        let variables =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("PERAL_LOG_FORMAT", "json".to_owned())];
        let said = tokio::task::spawn_blocking(move || {
            let variables: Vec<_> =
                variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
            child::run(runtime, &variables)
        });
        let said = said.await.unwrap();

        let calls = calls.lock().unwrap();
        let sent = |path: &str, text: &str| {
            calls.iter().any(|(called, body)| {
                called.ends_with(path)
                    && body.windows(text.len()).any(|part| part == text.as_bytes())
            })
        };
        assert!(sent("TraceService/Export", "GET /pears/{id}"), "{runtime}: no span came");
        assert!(
            sent("TraceService/Export", "peral-child") && sent("TraceService/Export", "child-1")
        );
        assert!(
            sent("MetricsService/Export", "http.server.request.duration"),
            "{runtime}: no metrics came"
        );

        let lines: Vec<Value> =
            said.logs.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let line = |message: &str| lines.iter().find(|line| line["message"] == message).unwrap();
        let inside = line("picking");
        assert_eq!(inside["trace_id"], said.trace.as_str());
        assert_eq!(inside["span_id"].as_str().unwrap().len(), 16);
        assert_eq!(inside["fields"], serde_json::json!({"pears": 3, "name": "conférence"}));
        assert_eq!(inside["level"], "INFO");
        assert!(inside["timestamp"].as_str().unwrap().ends_with('Z'));
        assert!(line("outside of any trace").get("trace_id").is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sampler_and_the_resource_come_from_the_environment() {
    for (sampler, traced) in [("always_on", true), ("parentbased_always_off", false)] {
        let (address, calls) = collector::start();
        let endpoint = format!("http://{address}");
        let said = tokio::task::spawn_blocking(move || {
            let resource = ("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=orchard-3");
            child::run(
                "many",
                &[
                    ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
                    ("OTEL_TRACES_SAMPLER", sampler),
                    resource,
                ],
            )
        });
        assert_eq!(said.await.unwrap().trace.len(), 32, "there is an id for the logs in any case");
        let calls = calls.lock().unwrap();
        let of = |path: &str| {
            calls
                .iter()
                .filter(|(called, _)| called.ends_with(path))
                .map(|(_, body)| body)
                .collect::<Vec<_>>()
        };
        let named = |body: &[u8]| body.windows(9).any(|part| part == b"orchard-3");
        assert_eq!(!of("TraceService/Export").is_empty(), traced, "{sampler}");
        assert!(of("Export").iter().all(|body| named(body)), "{sampler}");
    }
}

#[test]
fn a_collector_that_is_away_holds_up_nothing() {
    // One takes connections and never answers, the other has nobody listening.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = free_address();
    for (runtime, address) in
        [("many", deaf.local_addr().unwrap()), ("one", deaf.local_addr().unwrap()), ("many", gone)]
    {
        let endpoint = format!("http://{address}");
        // Whoever waited for an answer would do so for an hour.
        let patient = ("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000");
        let said = child::run(runtime, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), patient]);
        assert!(said.logs.contains("picking"));
        if address == gone {
            assert_eq!(said.logs.matches("cannot send traces").count(), 1, "{}", said.logs);
        }
    }
}

#[test]
fn without_a_collector_there_are_metrics_to_scrape_and_trace_ids() {
    let said = child::run("many", &[("PERAL_LOG", "warn")]);
    assert_eq!(said.trace.len(), 32);
    assert!(
        !said.logs.contains("picking")
            && said.logs.contains("outside of any trace")
            && !said.logs.contains("cannot send"),
        "{}",
        said.logs
    );
    let series = "http_server_request_duration_seconds_count{http_request_method=\"GET\",\
                  http_response_status_code=\"200\",http_route=\"/pears/{id}\",\
                  url_scheme=\"http\"} 1";
    assert!(said.metrics.contains(series), "{}", said.metrics);
    assert!(said.metrics.contains("service_name=\"peral-child\""));
    assert!(!said.metrics.contains("otel_scope"));
}

#[test]
fn an_empty_endpoint_is_none_and_an_unusable_one_is_said() {
    use peral_runtime::{Telemetry, TelemetryArgs, telemetry::TelemetryError};
    assert!(child::run("many", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]).logs.contains("picking"));
    let args = TelemetryArgs {
        otlp_endpoint: Some("http://not a host".into()),
        ..TelemetryArgs::default()
    };
    assert!(matches!(Telemetry::init(args, "peral", None), Err(TelemetryError::Endpoint { .. })));
    let args = TelemetryArgs { log: Some("peral=loud".into()), ..TelemetryArgs::default() };
    assert!(matches!(Telemetry::init(args, "peral", None), Err(TelemetryError::Filter { .. })));
}
