//! One download is one trace, from the command through central to the peer that sends.

use std::{
    collections::BTreeSet,
    fs,
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value,
    trace::v1::{Span, span::SpanKind},
};
use peral_testkit::{Process, eventually, sample::noise_file};
use serde_json::Value;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

use crate::{command::peral, network::Network};

/// The trace ids in a log of JSON lines.
fn traces(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| line["trace_id"].as_str().map(str::to_owned)).collect()
}

#[test]
fn one_download_is_one_trace() {
    let network = Network::start_with(None, &["--log-format", "json", "--log", "debug"]);
    network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
    let one = network.peer("one", "peers", &["--log-format", "json"]);
    noise_file(&one.share.join("a.bin"), "a", 3 << 20);
    network.sources("a.bin", 1);
    let mut command = peral(&network.admin.home);
    command
        .args([
            "download",
            "a.bin",
            "--log-format",
            "json",
            "--log",
            "debug",
            "--output",
            "json",
            "-o",
        ])
        .arg(network.path("fetched"));
    let said = Process::start(command, &network.path("download.log")).finish();
    assert_eq!(said.code, Some(0), "{said:?}");
    let of_command = traces(&said.err);
    assert_eq!(of_command.len(), 1, "{}", said.err);
    for log in ["central.log", "one.log"] {
        let known = traces(&fs::read_to_string(network.path(log)).unwrap());
        assert!(known.is_superset(&of_command), "{log} does not know {of_command:?}");
    }
}

/// A collector that keeps the spans it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Sent>>>);

/// A span, and the service that sent it.
#[derive(Clone, Debug)]
struct Sent {
    service: String,
    span: Span,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.unwrap_or_default().attributes;
            let service =
                attributes.into_iter().find(|attribute| attribute.key == "service.name").unwrap();
            let Some(any_value::Value::StringValue(service)) =
                service.value.and_then(|value| value.value)
            else {
                panic!("no name")
            };
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.0
                .lock()
                .unwrap()
                .extend(spans.map(|span| Sent { service: service.clone(), span }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Listens in a thread of its own, as long as the tests run.
    fn start(&self) -> String {
        let (collector, (tell, told)) = (self.clone(), std::sync::mpsc::channel());
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
                tell.send(incoming.local_addr().unwrap()).unwrap();
                Server::builder()
                    .add_service(TraceServiceServer::new(collector))
                    .serve_with_incoming(incoming)
                    .await
                    .unwrap();
            });
        });
        format!("http://{}", told.recv().unwrap())
    }

    /// The spans of a trace.
    fn of(&self, trace: &[u8]) -> Vec<Sent> {
        self.0.lock().unwrap().iter().filter(|sent| sent.span.trace_id == trace).cloned().collect()
    }
}

/// Follows names of spans and their services downwards from a span; the last one, if there is such
/// a way.
fn way<'a>(all: &'a [Sent], from: &'a [u8], names: &[(&str, &str, SpanKind)]) -> Option<&'a Sent> {
    let ((service, name, kind), rest) = names.split_first()?;
    let fits = |sent: &&Sent| {
        let span = &sent.span;
        (span.parent_span_id == from, sent.service == *service, span.name == *name, span.kind())
            == (true, true, true, *kind)
    };
    all.iter().filter(fits).find_map(|sent| {
        if rest.is_empty() { Some(sent) } else { way(all, &sent.span.span_id, rest) }
    })
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
/// Ways that the trace of an upload and a download through peers must have, from whoever began it.
const WAYS: &[&[(&str, &str, SpanKind)]] = &[
    &[
        ("peral", "peral upload", SpanKind::Client),
        ("peral-peer", "peral.v1.ControlService/Upload", SpanKind::Server),
        ("peral-peer", "upload", SpanKind::Internal),
        ("peral-central", "POST /v1/files", SpanKind::Server),
    ],
    &[
        ("peral", "peral search", SpanKind::Client),
        ("peral-central", "GET /v1/search", SpanKind::Server),
    ],
    &[
        ("peral", "peral download", SpanKind::Client),
        ("peral-central", "POST /v1/sources", SpanKind::Server),
    ],
    &[
        ("peral", "peral download", SpanKind::Client),
        ("peral-peer", "peral.v1.ControlService/Download", SpanKind::Server),
        ("peral-peer", "job", SpanKind::Internal),
        ("peral-peer", "download", SpanKind::Internal),
        ("peral-peer", "peral.v1.PeerService/DownloadFile", SpanKind::Client),
        ("peral-peer", "peral.v1.PeerService/DownloadFile", SpanKind::Server),
    ],
];

#[test]
fn upload_search_and_download_through_peers_are_one_tree() {
    let collector = Collector::default();
    let telemetry = ["--otlp-endpoint", &collector.start()];
    let network = Network::start_with(None, &telemetry);
    network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
    let [one, two] = ["one", "two"].map(|label| network.peer(label, "peers", &telemetry));
    let (source, target) = (network.path("a.bin"), network.path("fetched"));
    noise_file(&source, "a", 3 << 20);
    let begun = format!("00-{TRACE}-{PARENT}-01");
    let traced = |node, args: &[&str]| {
        network
            .at(node, &network.admin, &[args, &telemetry, &["--traceparent", &begun]].concat())
            .ok()
    };
    traced(&one, &["upload", source.to_str().unwrap()]);
    traced(&two, &["search", "a.bin"]);
    traced(&two, &["download", "a.bin", "-o", target.to_str().unwrap()]);

    let (trace, parent) = (hex::decode(TRACE).unwrap(), hex::decode(PARENT).unwrap());
    let missing = |all: &[Sent]| {
        WAYS.iter().filter(|names| way(all, &parent, names).is_none()).collect::<Vec<_>>()
    };
    eventually("all spans have come", || missing(&collector.of(&trace)).is_empty());
    let all = collector.of(&trace);
    let orphans = all.iter().filter(|sent| {
        sent.span.parent_span_id != parent
            && !all.iter().any(|other| other.span.span_id == sent.span.parent_span_id)
    });
    let orphans: Vec<_> = orphans.map(|sent| (&sent.service, &sent.span.name)).collect();
    assert!(orphans.is_empty(), "without their parents: {orphans:?}");
}
