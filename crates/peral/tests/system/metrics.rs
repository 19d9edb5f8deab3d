//! What an operator sees: the metrics of real processes after real transfers.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use peral_testkit::{Process, eventually, metrics::Metrics, net, sample::noise_file};

use crate::network::{Network, Node};

const SIZE: usize = (3 << 20) + 17;

/// Where a process serves its metrics.
pub fn admin(process: &Process) -> String {
    let said = process.err();
    let line = said
        .lines()
        .find(|line| line.contains("serving probes and metrics"))
        .unwrap_or_else(|| panic!("it serves no metrics: {said}"));
    line.split_once("address=").unwrap().1.split_whitespace().next().unwrap().to_owned()
}

/// The metrics of a process as Prometheus gets them.
fn scrape(admin: &str) -> String {
    let page = net::get(admin, "/metrics").unwrap();
    assert!(page.status == 200 && page.head.contains("text/plain; version=0.0.4"), "{page:?}");
    page.body
}

/// Waits until the sum of some series is what is expected.
fn becomes(admin: &str, name: &str, labels: &[&str], right: impl Fn(f64) -> bool) {
    eventually(&format!("{name} {labels:?} at {admin}"), || {
        Metrics::read(&scrape(admin)).find(name, labels).filter(|value| right(*value))
    });
}

/// Prometheus' own opinion of what is served.
fn lint(text: &str) {
    let mut promtool = Command::new("promtool");
    promtool
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut promtool =
        promtool.spawn().expect("promtool is not on the PATH: `make test` installs it");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let said = String::from_utf8([said.stdout, said.stderr].concat()).unwrap();
    // The name that OpenTelemetry's conventions give it.
    let wrong: Vec<_> = said
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("db_client_connection_count "))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}\n{text}");
}

/// Central, and three peers: the first with files, the second in another zone, the third beside the
/// first.
fn network() -> (Network, [Node; 3]) {
    let network = Network::start_with(None, &["--count-seconds", "1"]);
    network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
    let at = |label: &str, node: &str, zone: &str| {
        network.peer(label, "peers", &["--node", node, "--zone", zone])
    };
    let nodes = [
        at("one", "node-1", "zone-a"),
        at("two", "node-2", "zone-b"),
        at("three", "node-1", "zone-a"),
    ];
    (network, nodes)
}

#[test]
fn both_roles_show_what_an_operator_needs() {
    let (network, nodes) = network();
    for name in ["far.bin", "near.bin"] {
        noise_file(&nodes[0].share.join(name), name, SIZE);
        network.sources(name, 1);
    }
    for (node, name) in [(&nodes[1], "far.bin"), (&nodes[2], "near.bin")] {
        let target = network.path(&format!("fetched-{name}"));
        network.at(node, &network.admin, &["download", name, "-o", target.to_str().unwrap()]).ok();
        network.sources(name, 2);
    }
    assert_eq!(network.said(&network.admin, &["download", "no.bin"]).failed(), "NOT_FOUND");
    let [one, two, three] = nodes.each_ref().map(|node| admin(&node.process));
    of_peers(&one, &two, &three);
    of_central(&admin(&network.central));
}

fn of_peers(one: &str, two: &str, three: &str) {
    let size = |value: f64| value >= SIZE as f64;
    becomes(one, "peral_transfer_sent_bytes_total", &[], |value| value >= 2.0 * SIZE as f64);
    becomes(one, "peral_streams_served_total", &[], |value| value >= 2.0);
    becomes(one, "peral_streams", &[], |value| value == 0.0);
    becomes(one, "peral_index_hashed_bytes_total", &[], |value| value == 2.0 * SIZE as f64);
    becomes(one, "peral_index_pieces_total", &[], |value| value == 8.0);
    becomes(one, "peral_index_files_total", &[], |value| value == 2.0);
    becomes(
        one,
        "rpc_server_call_duration_seconds_count",
        &["DownloadFile", "rpc_response_status_code=\"OK\""],
        |value| value >= 2.0,
    );
    becomes(two, "peral_transfer_received_bytes_total", &["nearness=\"other-zone\""], size);
    becomes(three, "peral_transfer_received_bytes_total", &["nearness=\"node\""], size);
    for (peer, others) in
        [(two, ["node", "zone", "unknown"]), (three, ["other-zone", "zone", "unknown"])]
    {
        others.iter().for_each(|near| {
            becomes(
                peer,
                "peral_transfer_received_bytes_total",
                &[&format!("nearness=\"{near}\"")],
                |value| value == 0.0,
            );
        });
        becomes(peer, "peral_downloads_total", &["outcome=\"ok\""], |value| value == 1.0);
        becomes(peer, "peral_downloads_running", &[], |value| value == 0.0);
        becomes(peer, "peral_files_held", &[], |value| value == 1.0);
    }
    for peer in [one, two, three] {
        let zero = [
            "peral_pieces_bad_total",
            "peral_transfer_wasted_bytes_total",
            "peral_files_pending",
            "peral_files_left_out",
            "peral_full",
        ];
        zero.iter().for_each(|name| becomes(peer, name, &[], |value| value == 0.0));
        becomes(peer, "peral_room_bytes", &[], |value| value > 0.0);
        becomes(peer, "peral_peer_state", &["state=\"ready\""], |value| value == 1.0);
        becomes(peer, "peral_peer_state", &[], |value| value == 1.0);
        becomes(peer, "peral_peer_epoch", &[], |value| value == 1.0);
        becomes(peer, "peral_central_connected", &[], |value| value == 1.0);
        becomes(peer, "peral_heartbeat_age_seconds", &[], |value| value < 30.0);
        becomes(peer, "peral_check_ok", &["check=\"network\""], |value| value == 1.0);
        lint(&scrape(peer));
    }
}

fn of_central(central: &str) {
    becomes(central, "peral_peers", &["state=\"ready\""], |value| value == 3.0);
    becomes(central, "peral_peers", &[], |value| value == 3.0);
    becomes(central, "peral_catalogue_files", &[], |value| value == 2.0);
    becomes(central, "peral_catalogue_versions", &[], |value| value == 2.0);
    becomes(central, "peral_catalogue_holdings", &[], |value| value == 4.0);
    becomes(central, "peral_heartbeats_total", &["outcome=\"ok\""], |value| value >= 3.0);
    becomes(central, "peral_check_ok", &["check=\"database\""], |value| value == 1.0);
    becomes(central, "peral_published_total", &["outcome=\"ok\""], |value| value == 2.0);
    becomes(central, "peral_registrations_total", &["outcome=\"ok\""], |value| value == 3.0);
    becomes(central, "db_client_connection_count", &[], |value| value > 0.0);
    let requests = "http_server_request_duration_seconds_count";
    let of = |route, status| {
        [
            "http_request_method=\"POST\"",
            route,
            status,
            "url_scheme=\"https\"",
            "peral_route_class=\"member\"",
        ]
    };
    becomes(
        central,
        requests,
        &of("http_route=\"/v1/sources\"", "http_response_status_code=\"200\""),
        |value| value >= 2.0,
    );
    becomes(
        central,
        requests,
        &of("error_type=\"NOT_FOUND\"", "http_response_status_code=\"404\""),
        |value| value == 1.0,
    );
    becomes(
        central,
        requests,
        &["http_route=\"/v1/heartbeat\"", "peral_route_class=\"peer\""],
        |value| value >= 3.0,
    );
    let text = scrape(central);
    assert!(!text.contains("far.bin"), "metrics name no file");
    lint(&text);
}
