//! A release of the chart, used as its users do: `helm` from outside, `kubectl exec` inside.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use peral_testkit::{Process, Said, metrics::Metrics, net::Answer};
use serde_json::Value;

use super::{Forward, Space, Toolbox, eventually, files, run, settings};

/// Longest that a release, or a part of it, may take to be ready, and that a state may take to be
/// seen.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A pod, as far as the tests look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    pub name: String,
    pub uid: String,
    pub ip: String,
    pub node: String,
    pub ready: bool,
    pub restarts: u64,
}

/// A release called `peral`.
#[derive(Debug)]
pub struct Release<'a> {
    pub space: &'a Space,
    /// How long `helm install --wait` took.
    pub took: Duration,
    values: Vec<String>,
}

impl<'a> Release<'a> {
    /// The smallest sensible release: the values of ci/e2e-values.yaml, and these (`--set` lines,
    /// or files that end in .yaml).
    pub fn install(space: &'a Space, values: &[&str]) -> Self {
        let values: Vec<_> = std::iter::once("helm/peral/ci/e2e-values.yaml")
            .chain(values.iter().copied())
            .map(str::to_owned)
            .collect();
        Self::install_with(space, values)
    }

    /// What a user gets who says nothing but which image.
    pub fn defaults(space: &'a Space) -> Self {
        Self::install_with(space, Vec::new())
    }

    fn install_with(space: &'a Space, values: Vec<String>) -> Self {
        let mut release = Self { space, took: Duration::ZERO, values };
        let begin = Instant::now();
        release.install_again();
        release.took = begin.elapsed();
        release
    }

    /// Tries to install with more values; for those that must be refused.
    pub fn attempt(space: &Space, values: &[&str]) -> Said {
        space.keep_release("peral");
        let values: Vec<_> = values.iter().map(|value| (*value).to_owned()).collect();
        run(Self::helm(space, &["install", "peral", "helm/peral"], &settings().image, &values))
    }

    /// Installs once more after `uninstall`.
    pub fn install_again(&self) {
        self.space.keep_release("peral");
        let args = ["install", "peral", "helm/peral", "--wait", "--timeout", "180s"];
        run(Self::helm(self.space, &args, &settings().image, &self.values)).success();
    }

    /// Starts `helm upgrade` to an image, with the values that it has and these.
    pub fn upgrade(&mut self, image: &str, values: &[&str]) -> Process {
        self.values.extend(values.iter().map(|value| (*value).to_owned()));
        Process::spawn(Self::helm(
            self.space,
            &["upgrade", "peral", "helm/peral", "--wait", "--timeout", "240s"],
            image,
            &self.values,
        ))
    }

    fn helm(space: &Space, args: &[&str], image: &str, values: &[String]) -> Command {
        let mut command = space.helm(args);
        let (repository, tag) = image.rsplit_once(':').unwrap();
        command.args([
            "--set",
            &format!("image.repository={repository},image.tag={tag},image.pullPolicy=IfNotPresent"),
        ]);
        for value in values {
            command.args([if value.ends_with(".yaml") { "--values" } else { "--set" }, value]);
        }
        command
    }

    /// `helm uninstall`, until all its pods are gone.
    pub fn uninstall(&self) {
        run(self.space.helm(&["uninstall", "peral", "--wait"])).success();
        eventually("the pods are gone", PATIENCE, || self.pods("").is_empty());
    }

    /// Starts `peral` in a peer's pod, as its default user.
    pub fn begin(&self, peer: usize, args: &[&str]) -> Process {
        Process::spawn(self.exec(peer, args))
    }

    fn exec(&self, peer: usize, args: &[&str]) -> Command {
        let pod = format!("peral-peer-{peer}");
        self.space
            .command(&[&["exec", "-i", &pod, "--", "peral"], args, &["--output", "json"]].concat())
    }

    /// Runs `peral` in a peer's pod.
    pub fn said(&self, peer: usize, args: &[&str]) -> Said {
        run(self.exec(peer, args))
    }

    /// The same, which must succeed; what it says.
    pub fn peral(&self, peer: usize, args: &[&str]) -> Value {
        self.said(peer, args).ok()
    }

    /// `kubectl exec -i … upload - --name NAME < FILE`.
    pub fn upload(&self, peer: usize, file: &Path, name: &str) -> Value {
        self.try_upload(peer, file, name).ok()
    }

    /// The same, whatever comes of it.
    pub fn try_upload(&self, peer: usize, file: &Path, name: &str) -> Said {
        let mut command = self.exec(peer, &["upload", "-", "--name", name]);
        command.stdin(files::open(file));
        Process::spawn(command).finish_within(PATIENCE)
    }

    /// What the peer says of itself.
    pub fn status(&self, peer: usize) -> Value {
        self.peral(peer, &["status"])
    }

    /// The peers that central lists, as peer `from` is told.
    pub fn peers(&self, from: usize) -> Vec<Value> {
        self.peral(from, &["peers"])["items"].as_array().unwrap().clone()
    }

    /// Waits until central lists the peer with this label in this state; its row.
    pub fn listed(&self, from: usize, label: &str, state: &str) -> Value {
        eventually(&format!("{label} is listed as {state}"), PATIENCE, || {
            let said = self.said(from, &["peers"]);
            let rows = if said.code == Some(0) {
                said.json()["items"].as_array().unwrap().clone()
            } else {
                Vec::new()
            };
            rows.into_iter().find(|row| row["label"] == label && row["state"] == state)
        })
    }

    /// The file as the catalogue lists it, as peer `from` is told.
    pub fn file(&self, from: usize, name: &str) -> Option<Value> {
        let said = self.said(from, &["search", name]);
        let items = if said.code == Some(0) {
            said.json()["items"].as_array().unwrap().clone()
        } else {
            Vec::new()
        };
        items.into_iter().find(|file| file["name"] == name)
    }

    /// Waits until the catalogue lists the file with so many sources.
    pub fn sources(&self, from: usize, name: &str, count: u64) -> Value {
        eventually(&format!("{name} has {count} sources"), PATIENCE, || {
            self.file(from, name).filter(|file| file["sources"] == count)
        })
    }

    /// BLAKE3 of a file in a peer's share, read from its volume by a pod beside it and hashed by
    /// b3sum on this machine.
    pub fn b3sum(&self, peer: usize, path: &str) -> String {
        let claim = format!("peral-peral-peer-{peer}");
        let toolbox = Toolbox::start(
            self.space,
            &format!("look-{peer}"),
            &serde_json::json!({}),
            Some(&claim),
        );
        let sum = toolbox.b3sum(&format!("/peral/files/{path}"));
        toolbox.end();
        sum
    }

    /// Pods of a component (`central`, `peer`, ...), or of all.
    pub fn pods(&self, component: &str) -> Vec<Pod> {
        let selector = "app.kubernetes.io/instance=peral".to_owned();
        let selector = if component.is_empty() {
            selector
        } else {
            format!("{selector},app.kubernetes.io/component={component}")
        };
        let list = self.space.kubectl(&["get", "pods", "-l", &selector, "-o", "json"]).ok();
        list["items"].as_array().unwrap().iter().map(pod).collect()
    }

    /// A pod by its name, if it is there.
    pub fn pod(&self, name: &str) -> Option<Pod> {
        self.space.find(&format!("pod/{name}")).as_ref().map(pod)
    }

    /// Waits until a pod of this name is ready that is not the one that was.
    pub fn replaced(&self, before: &Pod) -> Pod {
        eventually(&format!("{} is there again", before.name), PATIENCE, || {
            self.pod(&before.name).filter(|pod| pod.ready && pod.uid != before.uid)
        })
    }

    /// The pod of central, where there is one only.
    pub fn central(&self) -> Pod {
        let pods = self.pods("central");
        assert_eq!(pods.len(), 1, "{pods:?}");
        pods[0].clone()
    }

    /// Waits until so many pods of a component are ready, and no others are there.
    pub fn ready(&self, component: &str, count: usize) -> Vec<Pod> {
        eventually(&format!("{count} pods of {component} are ready"), PATIENCE, || {
            let pods = self.pods(component);
            let all = pods.len() == count && pods.iter().all(|pod| pod.ready);
            if all { Ok(pods) } else { Err(pods) }
        })
    }

    /// What a pod serves on its admin port.
    pub fn admin(&self, pod: &str, path: &str) -> Answer {
        let forward = Forward::open(self.space, &format!("pod/{pod}"), 7079);
        forward.get(path).unwrap_or_else(|error| panic!("{pod}{path}: {error}; {}", forward.said()))
    }

    /// The metrics of a pod.
    pub fn metrics(&self, pod: &str) -> Metrics {
        let page = self.admin(pod, "/metrics");
        assert_eq!(page.status, 200, "{page:?}");
        Metrics::read(&page.body)
    }

    /// What a pod has logged.
    pub fn log(&self, pod: &str) -> String {
        self.space.ok(&["logs", pod, "--all-containers", "--tail=-1"])
    }
}

fn pod(pod: &Value) -> Pod {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let is_ready =
        |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    Pod {
        name: text(&pod["metadata"]["name"]),
        uid: text(&pod["metadata"]["uid"]),
        ip: text(&pod["status"]["podIP"]),
        node: text(&pod["spec"]["nodeName"]),
        ready: pod["metadata"]["deletionTimestamp"].is_null()
            && rows(&pod["status"]["conditions"]).iter().any(is_ready),
        restarts: rows(&pod["status"]["containerStatuses"])
            .iter()
            .filter_map(|one| one["restartCount"].as_u64())
            .sum(),
    }
}
