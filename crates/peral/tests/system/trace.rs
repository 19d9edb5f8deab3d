//! One download is one trace, from the command through central to the peer that sends.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::{
    network::{Network, noise_file},
    process::{Process, peral},
};

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
    command.args(["download", "a.bin", "--log-format", "json", "--log", "debug", "--output", "json", "-o"]).arg(network.path("fetched"));
    let said = Process::start(command, &network.path("download.log")).finish();
    assert_eq!(said.code, Some(0), "{said:?}");
    let of_command = traces(&said.err);
    assert_eq!(of_command.len(), 1, "{}", said.err);
    for log in ["central.log", "one.log"] {
        let known = traces(&fs::read_to_string(network.path(log)).unwrap());
        assert!(known.is_superset(&of_command), "{log} does not know {of_command:?}");
    }
}
