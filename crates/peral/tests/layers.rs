//! Crates depend only on crates below them: checks the layout of crates/README.md with `cargo
//! metadata`.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

/// Each crate of the workspace, and the crates that it may depend on, tests included. A new crate
/// needs a row.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "peral",
        &[
            "peral-central",
            "peral-peer",
            "peral-transfer",
            "peral-wire",
            "peral-runtime",
            "peral-model",
        ],
    ),
    ("peral-central", &["peral-wire", "peral-runtime", "peral-model"]),
    ("peral-peer", &["peral-transfer", "peral-wire", "peral-runtime", "peral-model"]),
    // The engine knows no daemon.
    ("peral-transfer", &["peral-wire", "peral-runtime", "peral-model"]),
    ("peral-wire", &["peral-model"]),
    ("peral-runtime", &["peral-model"]),
    ("peral-model", &[]),
    (TESTKIT, &["peral-wire", "peral-runtime", "peral-model"]),
    // The cluster tests use images and commands, as users do.
    ("peral-e2e", &[]),
];

/// Every crate may use it in its tests, and none in what it builds.
const TESTKIT: &str = "peral-testkit";

/// Crates that the model must not depend on, even indirectly: it does no I/O and never waits.
const IMPURE: &[&str] = &[
    "tokio", "mio", "async-io", "hyper", "axum", "tonic", "reqwest", "sqlx", "rustls", "tracing",
    "notify", "walkdir",
];

/// Describes the dependencies that ARROWS does not allow.
fn violations(members: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let rows: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let mut found = Vec::new();
    for (member, dependencies) in members {
        let Some(allowed) = rows.get(member.as_str()) else {
            found.push(format!("{member} has no row in ARROWS"));
            continue;
        };
        let own = dependencies.iter().filter(|name| members.contains_key(*name));
        found.extend(
            own.filter(|name| !allowed.contains(&name.as_str()))
                .map(|name| format!("{member} depends on {name}")),
        );
    }
    found.extend(
        rows.keys()
            .filter(|name| !members.contains_key(**name))
            .map(|name| format!("{name} has a row in ARROWS, but no such crate exists")),
    );
    found
}

/// All crates that `root` depends on, directly or indirectly.
fn reached(edges: &BTreeMap<String, BTreeSet<String>>, root: &str) -> BTreeSet<String> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![root.to_owned()]);
    while let Some(name) = open.pop() {
        for next in edges.get(&name).into_iter().flatten() {
            if seen.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    seen
}

/// What cargo says about the workspace, for this platform only: a build does not fetch the crates
/// of other platforms.
fn metadata() -> Value {
    let version = output(Command::new(env!("CARGO")).arg("-vV"));
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let metadata = output(
        Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked"])
            .args(["--filter-platform", host, "--manifest-path"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")),
    );
    serde_json::from_str(&metadata).unwrap()
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().unwrap().iter()
}

/// The members of the workspace and their direct dependencies, including those of tests and build
/// scripts, except the testkit where only tests use it.
fn members(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let ids: BTreeSet<String> = list(&metadata["workspace_members"]).map(text).collect();
    let packages =
        list(&metadata["packages"]).filter(|package| ids.contains(package["id"].as_str().unwrap()));
    let of_tests = |one: &&Value| one["name"] == TESTKIT && one["kind"] == "dev";
    packages
        .map(|package| {
            let named = list(&package["dependencies"]).filter(|one| !of_tests(one));
            (text(&package["name"]), named.map(|one| text(&one["name"])).collect())
        })
        .collect()
}

/// The resolved graph by name, without dependencies of tests.
fn edges(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let names: BTreeMap<String, String> = list(&metadata["packages"])
        .map(|package| (text(&package["id"]), text(&package["name"])))
        .collect();
    let mut edges = BTreeMap::<String, BTreeSet<String>>::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let needed = list(&node["deps"])
            .filter(|dep| list(&dep["dep_kinds"]).any(|kind| kind["kind"] != "dev"));
        let needed = needed.map(|dep| names[dep["pkg"].as_str().unwrap()].clone());
        edges.entry(names[node["id"].as_str().unwrap()].clone()).or_default().extend(needed);
    }
    edges
}

#[test]
fn arrows_point_downwards_only() {
    assert_eq!(violations(&members(&metadata())), Vec::<String>::new());
}

#[test]
fn the_model_is_pure() {
    let reached = reached(&edges(&metadata()), "peral-model");
    assert!(reached.contains("blake3"), "the graph was not read: {reached:?}");
    let impure: Vec<_> = IMPURE.iter().filter(|name| reached.contains(**name)).collect();
    assert!(impure.is_empty(), "peral-model reaches {impure:?}");
}

#[test]
fn an_arrow_upwards_or_sideways_and_a_crate_without_a_row_are_found() {
    let mut members: BTreeMap<String, BTreeSet<String>> =
        ARROWS.iter().map(|(name, _)| ((*name).to_owned(), BTreeSet::new())).collect();
    assert!(violations(&members).is_empty());
    for (from, to) in [
        ("peral-model", "peral-wire"),
        ("peral-wire", "peral-runtime"),
        ("peral-central", "peral-peer"),
        ("peral-peer", "peral-central"),
        ("peral-transfer", "peral-peer"),
        ("peral-peer", TESTKIT),
        ("peral-peer", "tokio"),
    ] {
        members.get_mut(from).unwrap().insert(to.to_owned());
    }
    members.insert("peral-new".to_owned(), BTreeSet::new());
    let found = violations(&members);
    assert_eq!(found.len(), 7, "{found:?}");
}
