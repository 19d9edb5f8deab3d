//! Every object that the chart renders, for every file of values, as the API server takes it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use peral_testkit::Process;
use serde_json::{Value, json};

use crate::harness::{Space, run, settings};

/// Kinds of others, which a cluster may not know.
const OPTIONAL: &[&str] = &[
    "ServiceMonitor",
    "PodMonitor",
    "PrometheusRule",
    "HTTPRoute",
    "GRPCRoute",
    "BackendTLSPolicy",
];

/// The chart's files of values.
fn files() -> Vec<PathBuf> {
    let chart = settings().repository.join("helm/peral");
    let listed = [chart.clone(), chart.join("ci")]
        .into_iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap());
    let mut files: Vec<_> =
        listed.map(|entry| entry.unwrap().path()).filter(|path| is_values(path)).collect();
    files.sort();
    assert!(files.len() >= 4, "{files:?}");
    files
}

fn is_values(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    (name.starts_with("values") || name.ends_with("-values.yaml")) && name.ends_with(".yaml")
}

/// Shows: for every file of values, the API server accepts every object, hooks and tests too;
/// nothing that makes pods would break Pod Security "restricted"; no Secret is rendered; no role
/// has a wildcard, and no role can read Secrets but the one that makes the keys.
#[test]
fn every_rendered_object_is_accepted() {
    let space = Space::new("objects");
    let service = [
        "monitoring.coreos.com/v1/ServiceMonitor",
        "monitoring.coreos.com/v1",
        "gateway.networking.k8s.io/v1/HTTPRoute",
    ];
    // A pod is looked at together with its account, and a dry run makes none.
    space.apply(&json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "peral-peer" },
    }));
    let version = space.kubectl(&["version", "-o", "json"]).ok()["serverVersion"]["gitVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    for file in files() {
        let mut args = vec![
            "template",
            "--kube-version",
            &version,
            "peral",
            "helm/peral",
            "--values",
            file.to_str().unwrap(),
        ];
        for api in &service {
            args.extend(["--api-versions", api]);
        }
        let rendered = run(space.helm(&args)).success().out;
        let path = settings()
            .logs
            .join(format!("{}.rendered.yaml", file.file_name().unwrap().to_string_lossy()));
        fs::create_dir_all(&settings().logs).unwrap();
        fs::write(&path, known(&rendered)).unwrap();
        accepted(&space, &file, &path);
    }
}

/// The documents without those whose kinds belong to somebody else.
fn known(rendered: &str) -> String {
    let is_optional = |document: &&str| {
        document.lines().any(|line| OPTIONAL.iter().any(|kind| line == format!("kind: {kind}")))
    };
    rendered
        .split("\n---")
        .filter(|document| !is_optional(document))
        .collect::<Vec<_>>()
        .join("\n---")
}

fn accepted(space: &Space, file: &Path, rendered: &Path) {
    let said = Process::spawn(space.command(&[
        "apply",
        "--dry-run=server",
        "-o",
        "json",
        "-f",
        rendered.to_str().unwrap(),
    ]))
    .finish_within(std::time::Duration::from_secs(60));
    let errors: Vec<_> = said.err.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(
        errors,
        Vec::<&str>::new(),
        "{} has objects that are refused or warned of",
        file.display()
    );
    let list = said.json();
    let objects = list["items"].as_array().cloned().unwrap_or_else(|| vec![list.clone()]);
    let kinds: Vec<_> = objects.iter().map(|object| object["kind"].as_str().unwrap()).collect();
    for kind in ["Deployment", "StatefulSet", "Service", "Job", "Role", "ClusterRole"] {
        assert!(kinds.contains(&kind), "{} renders no {kind}: {kinds:?}", file.display());
    }
    assert!(!kinds.contains(&"Secret"), "{} renders a Secret", file.display());
    for object in &objects {
        frugal(object);
    }
}

/// A role asks for what it needs and names it.
fn frugal(object: &Value) {
    let name = format!(
        "{}/{}",
        object["kind"].as_str().unwrap(),
        object["metadata"]["name"].as_str().unwrap()
    );
    for rule in object["rules"].as_array().into_iter().flatten() {
        assert!(!rule.to_string().contains("\"*\""), "{name} has a wildcard: {rule}");
        let reads_secrets = rule["resources"]
            .as_array()
            .is_some_and(|resources| resources.contains(&"secrets".into()));
        assert!(!reads_secrets || name == "Role/peral-keys", "{name} may have Secrets: {rule}");
    }
}
